"""From a head to one row of probabilities per sample; every sample, and nothing but averages."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpab.activities import Activities
from selfpab.downstream.classifier import HeadClassifier, sample_probabilities, window_labels
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head
from selfpab.downstream.states import Extractor, Kept, Shelf, States
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.recording import Recording, Segment

SHAPE = SpectrogramConfig(window_frames=11)
THREE = Activities("three", (10, 20, 30), ("still", "slow", "fast"), {31: 30})
QUICK = FinetuneConfig(steps=120, batch=8, hidden=32, rate=0.01, pool_step=5, overlap=4)
SHORT = ((0, 203, 0.0), (203, 230, 5.0), (230, 700, 7.0), (700, 712, 500.0), (712, 1100, 900.0))


def person(name="p", segments=((0, 3000, 0.0),), seed=0):
    """Ten seconds of each of three levels of movement in turn."""
    chance = np.random.default_rng(seed)
    size = segments[-1][1]
    index = np.arange(size) // 500 % 3
    samples = chance.normal(0, 1, (size, 6)) * np.array([0.01, 1.0, 5.0])[index][:, None]
    labels = np.array([10, 20, 30], np.int16)[index]
    return Recording(
        name, None, 50.0, samples.astype(np.float32), labels, tuple(Segment(*segment) for segment in segments)
    )


@pytest.fixture(scope="module")
def extractor():
    return Extractor.of_spectrogram(Normalisation(np.full(156, 3, np.float32), np.full(156, 5, np.float32)), SHAPE)


@pytest.fixture(scope="module")
def fitted(extractor):
    classifier = HeadClassifier(Shelf(extractor), THREE, QUICK, seed=0)
    classifier.fit([person("a", seed=1), person("b", seed=2)])
    return classifier


def slow_probabilities(head, extractor, recording, step):
    """Every window alone, every frame's and every sample's average by a loop."""
    starts, stops = extractor.windows(recording, step=step, to_the_end=True)
    frames = {}
    for start, stop in zip(starts, stops, strict=True):
        real = start >= 0
        values = extractor.states(recording, start[None, real], stop[None, real])
        with torch.no_grad():
            logits = head(torch.from_numpy(values).float().transpose(0, 1))[0]
        odds = torch.exp(logits.double())
        for place, end, row in zip(start[real], stop[real], (odds / odds.sum(1, keepdim=True)).numpy(), strict=True):
            frames.setdefault((int(place), int(end)), []).append(row)
    result = np.zeros((len(recording), odds.shape[1]))
    for sample in range(len(recording)):
        over = [np.mean(rows, axis=0) for (a, b), rows in frames.items() if a <= sample < min(a + 50, b)]
        assert 1 <= len(over) <= 3
        result[sample] = np.mean(over, axis=0)
    return result, frames


@pytest.mark.parametrize("segments", [((0, 1300, 0.0),), SHORT, ((0, 20, 0.0),), ((0, 50, 0.0),)])
def test_probabilities_are_the_averages_of_a_slow_loop(fitted, extractor, segments):
    recording = replace(person(segments=segments, seed=3), labels=None)
    found = fitted.probabilities(recording)
    slow, frames = slow_probabilities(fitted.head, extractor, recording, 11 - QUICK.overlap)
    if len(recording) > 1000:
        assert max(map(len, frames.values())) > 1  # windows do overlap
    assert found.shape == (len(recording), 3)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, slow, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
    np.testing.assert_array_equal(fitted.predict(recording), found.argmax(1))
    assert fitted.predict(recording).dtype == np.int64


def test_it_learns(fitted):
    test = person("c", seed=9)
    assert (fitted.predict(test) == THREE.indices(test.labels)).mean() > 0.9
    assert fitted.losses[-1] < fitted.losses[0] / 4
    assert len(fitted.layer_weights) == 1


def test_states_of_one_pass_give_the_same(fitted, extractor):
    recording = person(segments=SHORT)
    cut = extractor.windows(recording, step=7, to_the_end=True)
    lazy = sample_probabilities(fitted.head, extractor.lazy_states(recording, *cut), len(recording), extractor)
    np.testing.assert_allclose(lazy, fitted.probabilities(recording), rtol=1e-6, atol=1e-9)


def test_a_tie_goes_to_the_lower_index(extractor):
    classifier = HeadClassifier(Shelf(extractor), THREE, replace(QUICK, steps=1), seed=0)
    classifier.fit([person()])
    with torch.no_grad():
        classifier.head.output.weight.zero_()
        classifier.head.output.bias.copy_(torch.tensor([0.0, 1.0, 1.0]))
    assert set(classifier.predict(person()).tolist()) == {1}


def test_the_first_fifth_is_not_trained_on(extractor):
    one, other = person("a", seed=1), person("a", seed=1)
    other.samples[:500] *= 7
    other.labels[:500] = 20
    heads = []
    for recording in (one, other):
        classifier = HeadClassifier(Shelf(extractor), THREE, QUICK, seed=0)
        classifier.fit([recording])
        heads.append(classifier.head.hidden.weight)
    torch.testing.assert_close(*heads, rtol=0, atol=0)


def test_labels_of_windows_are_majorities_and_pads_have_none(extractor):
    recording = person(segments=((0, 210, 0.0),))
    recording.labels[:] = [*[20] * 60, *[31] * 100, *[-1] * 50]
    starts, stops = extractor.windows(recording, step=11, to_the_end=False)
    labels = window_labels(recording, Kept(np.zeros((1, 1, 11, 156), np.float16), starts, stops), THREE, 50)
    # frames begin at 0, 25, ... 150; the one at 50 has 10 of class 1, the last 10 labelled samples of 50
    assert labels.tolist() == [[1, 1, 2, 2, 2, 2, -1, -1, -1, -1, -1]]


def test_a_shelf_may_be_made_of_the_training_recordings(extractor):
    seen = []

    def make(recordings):
        seen.extend(r.subject for r in recordings)
        return Shelf(extractor)

    classifier = HeadClassifier(make, THREE, replace(QUICK, steps=2), seed=0)
    classifier.fit([person("a"), person("b", seed=2)])
    assert seen == ["a", "b"]


def test_what_cannot_be_done_is_said(extractor):
    classifier = HeadClassifier(Shelf(extractor), THREE, QUICK, seed=0)
    assert classifier.layer_weights == []
    with pytest.raises(RuntimeError, match="fit before predict"):
        classifier.predict(person())
    with pytest.raises(ValueError, match="p has no labels to train on"):
        classifier.fit([replace(person(), labels=None)])
    nothing = States([], np.empty((0, 11), np.int64), np.empty((0, 11), np.int64))
    with pytest.raises(ValueError, match="the recording is empty"):
        sample_probabilities(Head(1, 156, 4, 3), nothing, 0, extractor)


def test_no_tail_is_trained_on(extractor):
    """A frame that ends at a segment's last sample, off the hops, is for prediction only (DESIGN 5a)."""
    longer, shorter = person("a", ((0, 2015, 0.0),), seed=1), person("a", ((0, 2000, 0.0),), seed=1)
    longer.samples[:2000], longer.labels[:2000] = shorter.samples, shorter.labels
    heads = []
    for recording in (longer, shorter):
        classifier = HeadClassifier(Shelf(extractor), THREE, replace(QUICK, steps=5), seed=0)
        classifier.fit([recording])
        heads.append(classifier.head.hidden.weight)
    torch.testing.assert_close(*heads, rtol=0, atol=0)
