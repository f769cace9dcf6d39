"""From recordings to one row of probabilities per sample: every sample, and nothing but averages."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, log_loss

from selfpab.downstream.classifier import FinetunedClassifier, network_probabilities, sample_probabilities
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head
from selfpab.downstream.states import Extractor, States
from selfpab.features.normalisation import Moments, recording_moments

QUICK = FinetuneConfig(steps=60, batch=8, hidden=32, rate=0.01, pool_step=5, overlap=4)
SHORT = ((0, 203, 0.0), (203, 230, 5.0), (230, 700, 7.0), (700, 712, 500.0), (712, 1100, 900.0))
FEW = replace(QUICK, steps=6)


@pytest.fixture(scope="module")
def people(toy):
    return [toy.person("a", seed=1), toy.person("b", toy.short, seed=2)]


@pytest.fixture(scope="module")
def build(toy):
    def made(config=QUICK, start="pretrained", *, seed=0, upstream="toy", activities=toy.three, **settings):
        given = toy.upstream() if upstream == "toy" else upstream
        return FinetunedClassifier(start, given, activities, config, seed, **{"precision": "fp32", **settings})

    return made


@pytest.fixture(scope="module")
def fitted(build, people):
    classifier = build()
    classifier.fit(people)
    return classifier


def fit(classifier, people):
    classifier.fit(people)
    return classifier


def network_weights(classifier):
    return classifier.extractor.network.state_dict()


def slow_probabilities(classifier, recording, step, to_spectra):
    """Every window alone, every frame's and every sample's average by a loop."""
    spans = classifier.extractor.spans(recording, step=step)
    frames = {}
    for start, stop in zip(spans[:].starts, spans[:].stops, strict=True):
        real = start >= 0
        spectra = torch.from_numpy(to_spectra(recording, start[real], stop[real]))[None]
        with torch.no_grad():
            odds = torch.exp(classifier.extractor.network(spectra)[0].double())
        for place, end, row in zip(start[real], stop[real], (odds / odds.sum(1, keepdim=True)).numpy(), strict=True):
            frames.setdefault((int(place), int(end)), []).append(row)
    result = np.zeros((len(recording), odds.shape[1]))
    for sample in range(len(recording)):
        over = [np.mean(rows, axis=0) for (a, b), rows in frames.items() if a <= sample < min(a + 50, b)]
        assert 1 <= len(over) <= 3
        result[sample] = np.mean(over, axis=0)
    return result, frames


@pytest.mark.parametrize("segments", [((0, 1300, 0.0),), SHORT, ((0, 20, 0.0),), ((0, 50, 0.0),)])
def test_probabilities_are_the_averages_of_a_slow_loop(toy, fitted, segments):
    recording = replace(toy.person(segments=segments, seed=3), labels=None)
    found = fitted.probabilities(recording)
    slow, frames = slow_probabilities(fitted, recording, 7, toy.slow_spectra)
    if len(recording) > 1000:
        assert max(map(len, frames.values())) > 1  # windows do overlap
    assert (found.shape, found.dtype) == ((len(recording), 3), np.float64)
    np.testing.assert_allclose(found, slow, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
    np.testing.assert_array_equal(fitted.predict(recording), found.argmax(1))
    assert fitted.predict(recording).dtype == np.int64


def test_it_learns(toy, fitted):
    test = toy.person("c", seed=9)
    assert (fitted.predict(test) == toy.three.indices(test.labels)).mean() > 0.9
    assert fitted.losses[-1] < fitted.losses[0] / 3
    assert len(fitted.losses) == 60
    assert len(fitted.facts["layer_weights"]) == 2
    assert fitted.facts["loss"] == pytest.approx(np.mean(fitted.losses[-20:]))


def test_a_tie_goes_to_the_lower_index(toy, build, people):
    classifier = fit(build(FEW), people)
    with torch.no_grad():
        classifier.extractor.network.head.output.weight.zero_()
        classifier.extractor.network.head.output.bias.copy_(torch.tensor([0.0, 1.0, 1.0]))
    assert set(classifier.predict(toy.person()).tolist()) == {1}


@pytest.mark.parametrize("start", ["pretrained", "none"])
def test_the_first_fifth_is_never_trained_on_and_the_rest_is(toy, build, people, tmp_path, start):
    """30 s and so 119 frames, 23 of them for validation; the first frame trained on begins at 23 * 25."""
    one = toy.person("a", seed=1)
    for place, differs in ((slice(0, 575), False), (slice(575, 625), True), (slice(2950, 3000), True)):
        other = replace(one, samples=one.samples.copy(), labels=one.labels.copy())
        other.samples[place] *= 7
        other.labels[place] = 20
        grid = replace(FEW, epochs=1, cuts="grid", grid_step=1)  # all frames are seen, so a poisoned one is
        found = [
            network_weights(fit(build(grid, start, pool=tmp_path / name), [given]))
            for name, given in (("one", one), ("other", other))
        ]
        assert toy.same(*found) is not differs, place
    pools = [
        network_weights(fit(build(FEW, start, pool=tmp_path / "both"), [given]))
        for given in (one, replace(one, samples=np.concatenate([one.samples[:575] * 7, one.samples[575:]])))
    ]
    assert toy.same(*pools)


def test_facts_of_validation_are_those_of_an_independent_computation(toy, fitted, people):
    truth, chances = [], []
    for recording in people:
        frames = [(at, s.stop) for s in recording.segments for at in range(s.first, s.stop - 49, 25)]
        held = frames[: int(0.2 * len(frames))]
        seen = {}
        for first in range(0, len(held), 11):  # side by side, the last one aligned to the end; a frame counts once
            first = max(0, min(first, len(held) - 11))
            window = held[first : first + 11]
            spectra = torch.from_numpy(toy.slow_spectra(recording, *map(np.array, zip(*window, strict=True))))[None]
            with torch.no_grad():
                rows = fitted.extractor.network(spectra)[0].double().softmax(-1).numpy()
            for (at, _), row in zip(window, rows, strict=True):
                seen.setdefault(at, row)
        for at, row in seen.items():
            truth.append(np.bincount(toy.three.indices(recording.labels[at : at + 50])).argmax())
            chances.append(row)
    predicted = np.argmax(chances, axis=1)
    known = sorted(set(truth) | set(predicted.tolist()))
    assert len(known) > 1
    validation = fitted.facts["validation"]
    assert validation["macro_f1"] == pytest.approx(f1_score(truth, predicted, labels=known, average="macro"), abs=1e-9)
    assert validation["loss"] == pytest.approx(log_loss(truth, chances, labels=[0, 1, 2]), rel=1e-3)


def test_without_a_validation_part_there_is_no_fact_of_it(build, people):
    facts = fit(build(replace(FEW, validation_share=0.0)), people).facts
    assert set(facts) == {"loss", "layer_weights"}
    assert set(fit(build(FEW, "none"), people).facts) == {"loss", "validation"}
    assert set(fit(build(replace(FEW, weighted=False)), people).facts) == {"loss", "validation"}


@pytest.mark.parametrize("upstream", ["toy", None])
def test_a_person_who_is_not_given_touches_nothing(toy, build, people, tmp_path, upstream):
    """Neither the weights, nor the normalisation where there is no encoder, nor through a pool that folds share."""
    start, third = "pretrained" if upstream else "none", toy.person("c", seed=3)
    found = []
    for factor in (1, 9):
        others = replace(third, samples=third.samples * np.float32(factor))
        pool = tmp_path / str(factor)
        fit(build(FEW, start, upstream=upstream, pool=pool), [*people[1:], others])  # another fold came first
        found.append(fit(build(FEW, start, upstream=upstream, pool=pool), people))
    assert toy.same(*map(network_weights, found))
    for kind in ("mean", "std"):
        one, other = (getattr(classifier.extractor.normalisation, kind) for classifier in found)
        np.testing.assert_array_equal(one, other)
    assert found[0].facts == found[1].facts
    if upstream is None:
        moments = Moments.joined(recording_moments(person, found[0].shape) for person in people).normalisation()
        np.testing.assert_allclose(found[0].extractor.normalisation.std, moments.std, rtol=1e-6)


def test_the_pretrained_encoder_is_never_changed(toy, build, people):
    given = toy.upstream()
    before = toy.weights(given.encoder)
    classifier = fit(build(FEW, upstream=given), people)
    assert toy.same(before, toy.weights(given.encoder))
    ours = {n.removeprefix("encoder."): v for n, v in network_weights(classifier).items() if n.startswith("encoder.")}
    assert not toy.same(before, ours)
    assert all(parameter.grad is None for parameter in given.encoder.parameters())
    first = network_weights(classifier)
    assert toy.same(first, network_weights(fit(classifier, people)))  # from the beginning, not from where it was


def test_how_an_encoder_starts(toy, build, people):
    nothing = replace(FEW, steps=1, rate=1e-12, unfreeze_at=1.0)
    given = toy.upstream(4)
    encoders = {
        name: toy.weights(fit(build(nothing, start, seed=seed, upstream=given), people).extractor.network.encoder)
        for name, start, seed in (
            ("pretrained", "pretrained", 0),
            ("random", "random", 0),
            ("again", "random", 0),
            ("other", "random", 1),
        )
    }
    assert toy.same(encoders["pretrained"], given.encoder.state_dict())
    assert toy.same(encoders["random"], encoders["again"])
    assert not toy.same(encoders["random"], encoders["other"])
    assert not torch.equal(encoders["random"]["projection.weight"], encoders["pretrained"]["projection.weight"])
    shapes = [{k: v.shape for k, v in encoders[name].items()} for name in ("random", "pretrained")]
    assert shapes[0] == shapes[1]
    heads = [
        fit(build(nothing, start, upstream=given), people).extractor.network.head.hidden.weight
        for start in ("pretrained", "random")
    ]
    torch.testing.assert_close(*heads, rtol=0, atol=1e-9)  # the same head on either
    assert fit(build(nothing, "none"), people).extractor.network.encoder is None


def test_classes_that_are_merged_late(toy, build, people):
    """Outputs of their own in training; the best output's class in prediction; chances added up."""
    merged = replace(FEW, merge="confusion")
    relabelled = [replace(one, labels=one.labels.copy()) for one in people]
    for one in relabelled:
        one.labels[: len(one) // 2][one.labels[: len(one) // 2] == 30] = 31
    classifier = fit(build(merged), relabelled)
    assert classifier.outputs.codes == (10, 20, 30, 31)
    test = toy.person("c", seed=5)
    every = network_probabilities(classifier.extractor, test, merged)
    assert every.shape == (len(test), 4)
    found = classifier.probabilities(test)
    for row, ours, predicted in zip(every, found, classifier.predict(test), strict=True):
        np.testing.assert_allclose(ours, [row[0], row[1], row[2] + row[3]], rtol=1e-12)
        assert predicted == [0, 1, 2, 2][int(np.argmax(row))]
    with torch.no_grad():  # 31 and 30 together are likelier than 20, but none is alone
        classifier.extractor.network.head.output.weight.zero_()
        classifier.extractor.network.head.output.bias.copy_(torch.tensor([0.4, 0.3, 0.2, 0.25]).log())
    again = replace(test)  # another object: the last answer is kept
    assert set(classifier.predict(again).tolist()) == {0}
    np.testing.assert_allclose(classifier.probabilities(again)[0], np.array([0.4, 0.3, 0.45]) / 1.15, rtol=1e-5)
    early = fit(build(FEW), relabelled)
    assert early.outputs.codes == (10, 20, 30)


def test_an_answer_is_of_the_recording_and_of_the_last_fit(toy, build, people, monkeypatch):
    calls, real = [], Extractor.lazily
    monkeypatch.setattr(Extractor, "lazily", lambda self, *given: (calls.append(1), real(self, *given))[1])
    classifier = fit(build(FEW, "none"), people)
    one, other = toy.person("c", seed=5), toy.person("d", seed=6)
    first = classifier.probabilities(one)
    assert classifier.predict(one).tolist() == first.argmax(1).tolist()
    assert len(calls) == 1
    assert not np.allclose(classifier.probabilities(other), first)
    np.testing.assert_array_equal(classifier.probabilities(one), first)
    fit(classifier, people[:1])
    assert not np.allclose(classifier.probabilities(one), first)


def test_bf16_predicts_as_fp32_does(toy, fitted):
    test = toy.person("c", seed=9)
    exact = network_probabilities(fitted.extractor, test, QUICK)
    coarse = network_probabilities(replace(fitted.extractor, precision="bf16"), test, QUICK)
    assert abs(exact - coarse).max() > 0
    assert (exact.argmax(1) == coarse.argmax(1)).mean() >= 0.99


def test_states_of_one_pass_give_the_same(toy, fitted):
    recording, extractor = toy.person(segments=SHORT), fitted.extractor
    states = extractor.span_states(recording, extractor.spans(recording, step=7))
    states = States(iter(list(states.values)), states.spans)  # made before, so that the head takes them as they are
    lazy = sample_probabilities(extractor.network.head, states, len(recording), extractor)
    np.testing.assert_allclose(lazy, fitted.probabilities(recording), rtol=1e-6, atol=1e-9)


def test_what_cannot_be_done_is_said(toy, build, fitted, people):
    with pytest.raises(RuntimeError, match="fit before predict"):
        build().predict(toy.person())
    with pytest.raises(ValueError, match="a pre-trained encoder is wanted, and none was given"):
        build(upstream=None)
    with pytest.raises(ValueError, match="overlap must be below the 11 frames of a window, got 11"):
        build(replace(QUICK, overlap=11))  # before an hour of training
    with pytest.raises(ValueError, match="p has no labels to train on"):
        build().fit([replace(toy.person(), labels=None)])
    nothing = States(
        [],
        fitted.extractor.spans(
            replace(toy.person(), samples=np.zeros((0, 6), np.float32), labels=None, segments=()), step=7
        ),
    )
    with pytest.raises(ValueError, match="the recording is empty"):
        sample_probabilities(Head(1, 156, 4, 3), nothing, 0, fitted.extractor)
    empty = replace(people[0], samples=np.zeros((0, 6), np.float32), labels=None, segments=())
    with pytest.raises(ValueError, match="the recording is empty"):
        fitted.predict(empty)


def test_no_tail_is_trained_on(toy, build):
    """A frame that ends at a segment's last sample, off the hops, is for prediction only (DESIGN 5a)."""
    longer, shorter = toy.person("a", ((0, 2015, 0.0),), seed=1), toy.person("a", ((0, 2000, 0.0),), seed=1)
    longer.samples[:2000], longer.labels[:2000] = shorter.samples, shorter.labels
    found = [network_weights(fit(build(FEW), [recording])) for recording in (longer, shorter)]
    assert toy.same(*found)


@pytest.mark.parametrize(
    ("change", "files"),
    [({}, 2), ({"unfreeze_at": 0.0}, 0), ({"frozen_dropout": True}, 0), ({"cuts": "grid"}, 0)],
)
def test_only_what_never_changes_is_kept_on_disk(build, people, tmp_path, change, files):
    fit(build(replace(FEW, **change), pool=tmp_path / "pool"), people)
    assert len(list((tmp_path / "pool").glob("*"))) == files
    fit(build(FEW, "none", pool=tmp_path / "bare"), people)
    assert not (tmp_path / "bare").exists()
