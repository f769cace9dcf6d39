"""What one sensor tells where the other one says nothing: training, prediction, evaluation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpab.downstream.classifier import FinetunedClassifier, frame_probabilities
from selfpab.downstream.cuts import frame_pieces
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head, head_from
from selfpab.downstream.single_sensor import single_windows
from selfpab.downstream.states import Extractor
from selfpab.downstream.waveform import WaveformConfig, WaveformReader
from selfpab.evaluation.loso import every_fold
from selfpab.recording import Mark
from selfpab.sensors import without

CONFIG = FinetuneConfig(
    steps=4,
    batch=2,
    hidden=8,
    unfreeze_at=0.0,
    validation_share=0.0,
    statistics=True,
    upright_share=0.5,
    overlap=3,
    waveform=WaveformConfig(width=16, steps=60, batch=4, frames=8, single=True),
)


@pytest.fixture(scope="module")
def fitted(toy):
    classifier = FinetunedClassifier("pretrained", toy.upstream(), toy.three, CONFIG, 0, precision="fp32")
    classifier.fit([toy.person("a", seed=1), toy.person("b", toy.short, seed=2)])
    return classifier


def parts_of(classifier):
    return classifier.extractor, classifier.extractor.network.head


def chances_of(classifier, recording):
    extractor, head = parts_of(classifier)
    return frame_probabilities(head, extractor.states_for(head, recording, step=8))


def test_the_rest_learns_as_without_them(toy, fitted):
    both = FinetunedClassifier(
        "pretrained", toy.upstream(), toy.three, replace(CONFIG, waveform=replace(CONFIG.waveform, single=False)), 0
    )
    both.precision = "fp32"
    both.fit([toy.person("a", seed=1), toy.person("b", toy.short, seed=2)])
    ours, theirs = (toy.weights(c.extractor.network) for c in (fitted, both))
    assert toy.same({name: ours[name] for name in theirs}, theirs)
    more = {name.split(".")[2] for name in ours.keys() - theirs.keys()}
    assert more == {"back", "thigh"}
    assert (fitted.reads_single, both.reads_single) == (True, False)


@pytest.mark.parametrize("sensor", ["back", "thigh"])
def test_one_sensor_is_enough_to_tell_still_from_fast(toy, fitted, sensor):
    recording = toy.person("c", seed=9)
    other = {"back": "thigh", "thigh": "back"}[sensor]
    alone = without(recording, other)
    values, starts, stops = chances_of(fitted, alone)
    assert np.allclose(values.sum(1), 1)
    assert np.array_equal(starts, chances_of(fitted, recording)[1])
    assert (stops == 3000).all()
    assert (fitted.predict(alone) == recording.labels // 10 - 1).mean() > 0.8
    # what the other one would have said is not heard
    loud = replace(alone, samples=np.where(alone.samples == 0, np.float32(3), alone.samples))
    assert np.array_equal(chances_of(fitted, loud)[0], values)


def test_windows_are_what_the_reader_says_of_their_frames(toy, fitted):
    extractor, head = parts_of(fitted)
    recording = toy.person("c", toy.short, seed=9)
    spans = extractor.spans(recording, step=8)
    found = list(
        single_windows(head.reader_of("thigh"), extractor, recording, spans, lambda logits: logits.double().numpy())
    )
    assert [first for first, _ in found] == spans.firsts.tolist()
    for place, (_, values) in enumerate(found):
        cuts = spans[place : place + 1]
        pieces = torch.from_numpy(frame_pieces(recording, cuts, 50))
        middles = pieces[:, 12:37].flatten(1)
        with torch.no_grad():
            wanted = head.reader_of("thigh")(middles[None])[0]
        np.testing.assert_allclose(values, wanted.numpy(), atol=1e-5)


def test_each_stretch_is_told_by_who_says_something_there(toy, fitted):
    """As if the stretch were a recording of its own: no frame and no window reaches over its ends."""
    recording = toy.person("c", seed=9)
    marks = (Mark(600, 1400, "non-wear back"), Mark(2000, 2600, "sensor dropout thigh"))
    values, starts, stops = chances_of(fitted, recording.with_marks(marks))
    assert (np.diff(starts) > 0).all()
    assert set(stops.tolist()) == {600, 1400, 2000, 2600, 3000}
    for first, stop, missing in ((600, 1400, "back"), (2000, 2600, "thigh")):
        piece = replace(
            recording, samples=recording.samples[first:stop], labels=recording.labels[first:stop], segments=()
        )
        alone, own, _ = chances_of(fitted, without(piece, missing))
        here = (starts >= first) & (starts < stop)
        assert np.array_equal(starts[here] - first, own)
        np.testing.assert_allclose(values[here], alone, atol=1e-6)
    # of stretches that both say something of nothing changes but where windows begin
    whole, frames, _ = chances_of(fitted, recording)
    shared = np.isin(starts, frames) & (starts < 600)
    np.testing.assert_allclose(values[shared][:11], whole[np.isin(frames, starts[shared])][:11], atol=1e-5)


def test_a_model_without_such_readers_takes_everything_as_it_is(toy, encoder, gapped):
    head = Head(2, 12, 5, 3)
    marked = gapped.with_marks([Mark(100, 600, "non-wear back")])
    extractor = Extractor.of_encoder(toy.upstream(), "fp32")
    one, other = (frame_probabilities(head, extractor.states_for(head, given, step=8)) for given in (gapped, marked))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_saved_weights_are_read_back(fitted, toy):
    head = parts_of(fitted)[1]
    again = head_from(head.state_dict(), 2, 12, 156, 3)
    again.load_state_dict(head.state_dict())
    assert set(again.single) == {"back", "thigh"}
    samples = torch.randn(1, 7, 150)
    with torch.no_grad():
        for sensor in again.single:
            assert torch.equal(again.eval().reader_of(sensor)(samples), head.reader_of(sensor)(samples))


def test_a_fold_is_also_scored_on_each_sensor_alone(toy):
    people = [toy.person(name, seed=seed) for seed, name in enumerate("abc")]

    def build():
        return FinetunedClassifier("pretrained", toy.upstream(), toy.three, CONFIG, 0, precision="fp32")

    found = every_fold(build, people, toy.three, "c")
    assert list(found) == [None, "back", "thigh"]
    for sensor, (fold, seconds) in found.items():
        assert fold.subject == "c"
        assert fold.samples_scored == 3000
        assert len(seconds) == 60
        if sensor:
            assert not np.array_equal(seconds["p_slow"], found[None][1]["p_slow"])
    classifier = build()
    classifier.fit(people[:2])
    alone = without(replace(people[2], labels=None), "back")
    truth = people[2].labels // 10 - 1
    wanted = np.zeros((3, 3), int)
    np.add.at(wanted, (truth, classifier.predict(alone)), 1)
    assert np.array_equal(found["thigh"][0].confusion, wanted)


def test_a_reader_of_one_sensor_differs_in_its_first_convolution_alone():
    """They are the same network but for the first convolution."""
    one, both = (WaveformReader(3, width=16, sensor=sensor).state_dict() for sensor in ("back", None))
    assert one.keys() == both.keys()
    assert [name for name in one if one[name].shape != both[name].shape] == ["stem.weight"]
