"""DeepConvLSTM on raw windows: what it is trained on, what it answers, and that nothing else reaches it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, log_loss

from selfpab.downstream import signal_classifier
from selfpab.downstream.signal_classifier import (
    SignalClassifier,
    SignalConfig,
    SignalMaterial,
    channel_normalisation,
)
from selfpab.recording import Recording, Segment

QUICK = SignalConfig(
    steps=80, batch=16, rate=0.005, length=50, filters=32, kernel=3, convolutions=2, lstm=32, dropout=0.1
)
FEW = replace(QUICK, steps=3)


@pytest.fixture(scope="module")
def people(toy):
    return [toy.person("a", seed=1), toy.person("b", toy.short, seed=2)]


@pytest.fixture(scope="module")
def trained(toy, people):
    return fitted(toy, people, QUICK)


def fitted(toy, people, config=FEW, *, seed=0, precision="fp32"):
    classifier = SignalClassifier(toy.three, config, seed, precision=precision)
    classifier.fit(people)
    return classifier


def numbered(lengths, codes=None, name="n"):
    """A recording whose first axis is the place of the sample."""
    edges = np.cumsum([0, *lengths]).tolist()
    samples = np.random.default_rng(0).normal(0, 1, (edges[-1], 6)).astype(np.float32)
    samples[:, 0] = np.arange(edges[-1])
    labels = np.full(edges[-1], 10, np.int16) if codes is None else codes
    segments = tuple(
        Segment(a, a + size, a / 50 + 9 * i) for i, (a, size) in enumerate(zip(edges, lengths, strict=False))
    )
    return Recording(name, None, 50.0, samples, labels, segments)


def test_it_learns(toy, trained):
    test = toy.person("c", seed=9)
    assert (trained.predict(test) == toy.three.indices(test.labels)).mean() > 0.9
    assert len(trained.losses) == 80
    assert trained.facts["loss"] == pytest.approx(np.mean(trained.losses[-20:]))


@pytest.mark.parametrize("segments", [((0, 1337, 0.0),), ((0, 30, 0.0), (30, 180, 9.0), (180, 181, 20.0))])
@pytest.mark.parametrize("framing", ["runs", "release"])
def test_probabilities_are_those_of_a_slow_loop(toy, trained, segments, framing):
    recording = replace(toy.person("c", segments, seed=4), labels=None)
    mean, std = trained.normalisation.mean, trained.normalisation.std
    expected = np.zeros((len(recording), 3))
    stretches = [(a, b) for a, b, _ in segments] if framing == "runs" else [(0, len(recording))]
    for first, stop in stretches:
        for sample in range(first, stop):
            start = first + (sample - first) // 50 * 50
            if start + 50 > stop:
                start = max(first, stop - 50)
            window = recording.samples[np.minimum(np.arange(start, start + 50), stop - 1)]
            if sample == first or sample % 7 == 0 or sample == stop - 1:
                with torch.no_grad():
                    logits = trained.network(torch.from_numpy((window - mean) / std)[None])
                expected[sample] = logits[0].double().softmax(-1)
    other = SignalClassifier(toy.three, replace(QUICK, framing=framing), 0, precision="fp32")
    other.network, other.normalisation = trained.network, trained.normalisation
    found = other.probabilities(recording)
    assert (found.shape, found.dtype) == ((len(recording), 3), np.float64)
    looked = expected.any(1)
    np.testing.assert_allclose(found[looked], expected[looked], atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
    np.testing.assert_array_equal(other.predict(recording), found.argmax(1))
    assert other.predict(recording).dtype == np.int64


def test_windows_are_drawn_from_the_last_part_and_never_across_a_gap(toy):
    """Of 1000 samples the first 200 are held out; segments end at 430, 470 (too short) and 1000."""
    one = numbered((430, 40, 530))
    material = SignalMaterial([one], toy.three, replace(QUICK, batch=64))
    samples, truth = map(np.concatenate, zip(*(material.batch(seed) for seed in range(40)), strict=True))
    assert (samples.shape, samples.dtype, truth.dtype) == ((2560, 50, 6), np.float32, np.int64)
    np.testing.assert_array_equal(samples[:, :, 0], samples[:, :1, 0] + np.arange(50))
    starts = samples[:, 0, 0].astype(int)
    allowed = set(range(200, 381)) | set(range(470, 951))
    assert set(starts.tolist()) <= allowed
    for edge in (
        200,
        380,
        470,
        950,
    ):  # for every sample to be the drawn one as often, windows at the edges are likelier
        assert (starts == edge).mean() == pytest.approx(sum(range(1, 51)) / 50 / 760, abs=0.015)
    assert (truth == 0).all()
    assert (starts < 400).mean() == pytest.approx(230 / 760, abs=0.03)  # by samples
    through = SignalMaterial([one], toy.three, replace(QUICK, batch=640, framing="release"))
    starts = through.batch(0)[0][:, 0, 0].astype(int)
    assert starts.min() < 210
    assert set(starts.tolist()) - allowed


def test_every_person_has_its_share_and_its_labels(toy):
    codes = np.repeat(np.array([20, -1, 31], np.int16), 200)  # 31 is merged into 30
    people = [numbered((1200,), name="a"), numbered((600,), codes, name="b")]
    material = SignalMaterial(people, toy.three, replace(QUICK, batch=3000, validation_share=0.0))
    samples, truth = material.batch(1)
    assert (truth == 0).mean() == pytest.approx(2 / 3, abs=0.03)
    starts = samples[truth != 0][:, 0, 0]
    np.testing.assert_array_equal(truth[truth != 0], np.select([starts <= 175, starts < 375], [1, -1], 2))


def test_a_batch_is_a_function_of_its_seed_and_every_step_has_its_own(toy, people, monkeypatch):
    material = SignalMaterial(people, toy.three, QUICK)
    np.testing.assert_array_equal(material.batch(7)[0], material.batch(7)[0])
    seeds, real = [], SignalMaterial.batch
    monkeypatch.setattr(SignalMaterial, "batch", lambda self, seed: (seeds.append(seed), real(self, seed))[1])
    for seed in (0, 1):
        fitted(toy, people, seed=seed)
    assert len(set(seeds)) == 6


def test_a_seed_says_everything(toy, people, monkeypatch):
    one, again, other, coarse = (
        fitted(toy, people, seed=seed, precision=precision).network.state_dict()
        for seed, precision in ((0, "fp32"), (0, "fp32"), (1, "fp32"), (0, "bf16"))
    )
    assert toy.same(one, again)
    assert not toy.same(one, other)
    assert not toy.same(one, coarse)
    classifier = SignalClassifier(toy.three, FEW, 0, precision="fp32")
    classifier.fit(people[:1])
    classifier.fit(people)  # from the beginning
    assert toy.same(classifier.network.state_dict(), one)
    real = SignalMaterial.batch
    monkeypatch.setattr(SignalMaterial, "batch", lambda self, seed: (torch.rand(3), real(self, seed))[1])
    with_dropout = replace(FEW, dropout=0.5)
    noisy = fitted(toy, people, with_dropout).network.state_dict()
    monkeypatch.undo()
    assert toy.same(noisy, fitted(toy, people, with_dropout).network.state_dict())


def test_the_rate_falls_and_gradients_reach_every_parameter(toy, people, monkeypatch):
    rates, norms, real = [], [], torch.optim.Adam.step

    def spy(self):
        (group,) = self.param_groups
        rates.append(group["lr"])
        norms.append(min(float(p.grad.norm()) for p in group["params"]))
        assert (group["betas"], group["weight_decay"]) == ((0.9, 0.98), 0)
        return real(self)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    fitted(toy, people, replace(FEW, steps=4))
    np.testing.assert_allclose(rates, 0.005 * 0.1 ** (np.arange(4) / 4))
    assert min(norms) > 0


def test_subnormal_gradients_do_not_slow_a_step_down(toy, people, monkeypatch):
    """Of 234 steps of the LSTM only the last is asked for; what arrives at the first is below 1e-38."""

    def subnormals_stay():
        return bool(torch.tensor([1e-20]).mul(1e-20).any())

    seen, real = [], torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: (seen.append(subnormals_stay()), real(self))[1])
    torch.set_flush_denormal(False)
    if not subnormals_stay():
        pytest.skip("this processor knows no subnormal numbers")
    fitted(toy, people)
    assert not any(seen)
    assert seen
    assert subnormals_stay()


def test_normalisation_is_that_of_the_training_people_alone(toy, people):
    fold = fitted(toy, people)
    rows = np.concatenate([one.acceleration_g for one in people]).astype(np.float64)
    np.testing.assert_allclose(fold.normalisation.mean, rows.mean(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(fold.normalisation.std, rows.std(0), rtol=1e-6)
    before = toy.weights(fold.network), fold.normalisation.mean.copy()
    fold.predict(replace(toy.person("c", seed=3), labels=None))
    assert toy.same(before[0], toy.weights(fold.network))
    np.testing.assert_array_equal(before[1], fold.normalisation.mean)
    counts = replace(people[0], samples=(people[0].samples * 1024).astype(np.int16), counts_per_g=1024)
    np.testing.assert_allclose(channel_normalisation([counts]).std, counts.acceleration_g.std(0), rtol=1e-4)


def test_the_first_fifth_trains_no_weights(toy):
    one = toy.person("a", seed=1)
    for place, differs in ((slice(0, 600), False), (slice(600, 650), True)):
        other = replace(one, labels=one.labels.copy())
        other.labels[place] = 30
        many = replace(FEW, steps=1, batch=400)
        found = [fitted(toy, [given], many).network.state_dict() for given in (one, other)]
        assert toy.same(*found) is not differs, place


def test_facts_of_validation_are_those_of_an_independent_computation(toy, trained, people):
    truth, chances = [], []
    for recording, starts in zip(people, ([*range(0, 551, 50)], [0, 50, 100, 150]), strict=True):  # 600, 220 held out
        for start in starts:
            window = (recording.samples[start : start + 50] - trained.normalisation.mean) / trained.normalisation.std
            with torch.no_grad():
                chances.append(trained.network(torch.from_numpy(window)[None])[0].double().softmax(-1).numpy())
            truth.append(np.bincount(toy.three.indices(recording.labels[start : start + 50])).argmax())
    predicted = np.argmax(chances, axis=1)
    known = sorted(set(truth) | set(predicted.tolist()))
    validation = trained.facts["validation"]
    assert len(known) > 1
    assert validation["macro_f1"] == pytest.approx(f1_score(truth, predicted, labels=known, average="macro"))
    assert validation["loss"] == pytest.approx(log_loss(truth, chances, labels=[0, 1, 2]), rel=1e-4)
    assert set(fitted(toy, people, replace(FEW, validation_share=0.0)).facts) == {"loss"}


def test_an_answer_is_of_the_recording_and_of_the_last_fit(toy, people, monkeypatch):
    calls, real = [], signal_classifier.window_pieces
    monkeypatch.setattr(signal_classifier, "window_pieces", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    classifier = fitted(toy, people, replace(FEW, validation_share=0.0))
    one, other = toy.person("c", seed=5), toy.person("d", seed=6)
    first = classifier.probabilities(one)
    assert classifier.predict(one).tolist() == first.argmax(1).tolist()
    assert len(calls) == 1
    assert not np.allclose(classifier.probabilities(other), first)
    np.testing.assert_array_equal(classifier.probabilities(one), first)
    classifier.fit(people[:1])
    assert not np.allclose(classifier.probabilities(one), first)


def test_a_loss_that_is_not_finite_is_an_error(toy, people, monkeypatch):
    monkeypatch.setattr(signal_classifier, "frame_cross_entropy", lambda logits, _: logits.sum() * float("nan"))
    with pytest.raises(FloatingPointError, match="the loss became nan; lower rate="):
        fitted(toy, people)


def test_what_cannot_be_done_is_said(toy, people):
    build = SignalClassifier(toy.three, FEW, 0)
    with pytest.raises(RuntimeError, match="fit before predict"):
        build.predict(toy.person())
    with pytest.raises(ValueError, match="p has no labels to train on"):
        build.fit([replace(toy.person(), labels=None)])
    with pytest.raises(ValueError, match="no recording has 50 samples without a gap after its validation part"):
        build.fit([numbered((60,))])
    with pytest.raises(ValueError, match="no windows to train on"):
        build.fit([])
    with pytest.raises(ValueError, match="p has 100 Hz; the windows need 50 Hz"):
        build.fit([toy.person(rate_hz=100.0)])
    with pytest.raises(ValueError, match="p has 100 Hz"):
        build.predict(toy.person(rate_hz=100.0))
    missing = toy.person()
    missing.samples[:, 3:] = 0
    with pytest.raises(ValueError, match="thigh_x, thigh_y, thigh_z never vary"):
        build.fit([missing])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "got 0, 32, 0.2, 0.5"),
        ({"batch": 0}, "steps and batch of at least 1"),
        ({"validation_share": 1.0}, "validation_share and dropout from 0 to below 1"),
        ({"dropout": 1.0}, "validation_share and dropout from 0 to below 1"),
        ({"lstm_layers": 0}, "lstm_layers of at least 1"),
        ({"length": 16}, "take 16 samples off a window: length=16 is too short"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SignalConfig(**settings)
