"""Which windows a model looks through; those of the release against loops and its own numbers."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from selfpab.activities import HARTH, Activities
from selfpab.downstream import release
from selfpab.downstream.classifier import network_probabilities
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head
from selfpab.downstream.states import Extractor
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.inference.frame_windows import chosen_windows, step_of, window_states
from selfpab.inference.model import Model
from selfpab.recording import Recording, Segment
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.encoder import EncoderConfig

TWELVE = HARTH.unmerged()
RELEASED = asdict(FinetuneConfig(framing="release", overlap=587))
PAPER = SpectrogramConfig()


def recording(samples=4000, gap_at=None, seed=4):
    values = np.random.default_rng(seed).normal(0, 1, (samples, 6)).astype(np.float32)
    values *= (1 + np.arange(samples) // 700 % 3)[:, None]
    parts = (Segment(0, samples, 0.0),)
    if gap_at:
        parts = (Segment(0, gap_at, 0.0), Segment(gap_at, samples, 9e3))
    return Recording("p", None, 50.0, values, segments=parts)


def model_of(shape, finetune, classes=12):
    torch.manual_seed(1)
    numbers = Normalisation(np.full(156, 2, np.float32), np.full(156, 3, np.float32))
    config = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    upstream = Upstream.fresh(config, shape, numbers)
    upstream.encoder.eval()
    head = Head(2, 12, 9, classes).eval()
    with torch.no_grad():
        head.output.weight.mul_(5)
    names = Activities("some", TWELVE.codes[:classes], TWELVE.names[:classes])
    return Model(upstream, head, names, {"downstream": {"finetune": finetune}} if finetune else {}, "fp32")


@pytest.mark.parametrize(
    ("windows", "finetune", "expected"),
    [
        ("auto", {}, "ours"),
        ("auto", {"framing": "runs"}, "ours"),
        ("auto", RELEASED, "authors"),
        ("ours", RELEASED, "ours"),
        ("authors", {}, "authors"),
    ],
)
def test_auto_is_what_the_model_was_evaluated_with(windows, finetune, expected):
    assert chosen_windows(windows, finetune) == expected


def test_other_windows_are_refused():
    with pytest.raises(ValueError, match="windows must be auto, ours or authors, got 'theirs'"):
        chosen_windows("theirs", {})


@pytest.mark.parametrize(
    ("frames", "finetune", "ours", "authors"),
    [
        (599, {}, 479, 12),  # BEHAVIOUR (e): 300 samples
        (119, {}, 90, 2),
        (11, {}, 9, 1),
        (599, {"overlap": 0}, 599, 12),  # side by side, as it was evaluated
        (119, {"overlap": 24, "framing": "runs"}, 95, 2),
        (599, RELEASED, 479, 12),  # its overlap is that of the release, not of one pass
        (599, {"overlap": 590, "framing": "release"}, 479, 9),
    ],
)
def test_steps(frames, finetune, ours, authors):
    extractor = Extractor.of_encoder(model_of(replace(PAPER, window_frames=frames), {}).upstream)
    assert (step_of(extractor, finetune, "ours"), step_of(extractor, finetune, "authors")) == (ours, authors)


def test_an_overlap_of_ones_own():
    extractor = Extractor.of_encoder(model_of(replace(PAPER, window_frames=119), {}).upstream)
    for windows in ("ours", "authors"):
        assert step_of(extractor, {"overlap": 60}, windows, 12) == 107
        assert step_of(extractor, {"overlap": 60}, windows, 0) == 119
        for wrong in (119, -1):
            with pytest.raises(ValueError, match=f"between 0 and 118, the windows have 119 frames; got {wrong}"):
                step_of(extractor, {}, windows, wrong)


def test_a_prediction_with_an_overlap_of_ones_own_is_that_of_a_model_evaluated_so():
    shape, given = replace(PAPER, window_frames=21), recording()
    model = model_of(shape, {"overlap": 10})
    other = model_of(shape, {"overlap": 2})  # of the same seed
    asked = model.predict(given, overlap=2).frames.values
    np.testing.assert_array_equal(asked, other.predict(given).frames.values)
    assert np.abs(asked - model.predict(given).frames.values).max() > 1e-4


def slow_average(model, given, length, step):
    """Every window by itself, on zeros behind the end; softmax averaged frame by frame, then sample by sample."""
    frames = -(-len(given) // 25)
    samples = np.zeros(((frames - 1) * 25 + 50, 6), np.float32)
    samples[: len(given)] = given.acceleration_g
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(50) / 50)
    pieces = np.stack([samples[25 * t : 25 * t + 50] for t in range(frames)])
    spectra = np.abs(np.fft.rfft(pieces * hann[:, None], axis=1)).transpose(0, 2, 1).reshape(frames, 156)
    spectra = (spectra - 2) / 3
    total, count = np.zeros((frames, 12)), np.zeros((frames, 1))
    for first in range(0, frames if frames >= length else 1, step):
        here = spectra[first : first + length]
        window = np.zeros((length if frames >= length else frames, 156), np.float32)
        window[: len(here)] = here
        with torch.no_grad():
            states = torch.stack(model.upstream.encoder.hidden_states(torch.from_numpy(window)[None]))
            chances = model.head(states)[0].double().softmax(-1).numpy()
        total[first : first + length] += chances[: len(here)]
        count[first : first + length] += 1
    means = total / count
    at = np.arange(len(given)) // 25
    return np.where((at > 0)[:, None], (means[at] + means[np.maximum(at - 1, 0)]) / 2, means[0])


@pytest.mark.parametrize(("samples", "length", "step"), [(2013, 21, 3), (1310, 21, 5), (400, 21, 3)])
def test_the_authors_windows_are_a_slow_loop(samples, length, step):
    model = model_of(replace(PAPER, window_frames=length), {"framing": "release", "overlap": length - step})
    given = recording(samples, gap_at=samples // 2)  # which the release does not see
    prediction = model.predict(given)
    slow = slow_average(model, given, length, step)
    np.testing.assert_allclose(prediction.probabilities, slow, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(model.predict(given, windows="authors").probabilities, prediction.probabilities)
    ours = model.predict(given, windows="ours").probabilities
    assert np.abs(ours - slow).max() > 1e-3
    seconds = prediction.seconds
    assert seconds.height == int(9e3 + (samples - 1 - samples // 2) / 50) + 1  # the gap is one in the table
    assert seconds.filter("gap")["activity"].null_count() == seconds["gap"].sum() > 8000


def test_a_fine_tuned_model_of_preset_authors_predicts_as_it_was_evaluated():
    shape = replace(PAPER, window_frames=21)
    config = FinetuneConfig(framing="release", overlap=18, merge="confusion")
    model, given = model_of(shape, asdict(config)), recording(1700, gap_at=803)
    network = Extractor.of_encoder(model.upstream, "fp32")
    network.network.head = model.head
    evaluated = network_probabilities(replace(network, attend_padding=True), given, config)
    np.testing.assert_array_equal(model.predict(given).probabilities, evaluated)


SUBJECTS = ("S906", "S907", "S908", "S909")  # of golden g6; the last is shorter than a window


@pytest.mark.parametrize("subject", SUBJECTS)
def test_g6_predictions_at_fifty_hertz(golden, subject, monkeypatch):
    """From made-up probabilities of every window to the release's own class of every sample, through `predict`."""
    with np.load(golden / "g6_downstream.npz") as file:
        signal, wanted = file[f"{subject}_signal"], file[f"{subject}_pred50"]
        count, first = int(file[f"{subject}_n_infer_windows"]), file[f"{subject}_frame_probs_first5"]
    frames = -(-len(signal) // 25)
    chance = np.random.RandomState(800 + SUBJECTS.index(subject))
    made = chance.dirichlet(0.3 * np.ones(12), size=(count, min(599, frames))).astype(np.float32)
    model = model_of(PAPER, RELEASED)
    given = replace(recording(len(signal), gap_at=len(signal) // 2), samples=signal)
    places = []

    def played(self, asked, cuts):
        places.extend(cuts[:].starts.tolist())
        return iter(np.log(made[: len(cuts), None]))  # (1, T, 12): a layer

    monkeypatch.setattr(Extractor, "lazily", played)
    monkeypatch.setattr(Head, "forward", lambda self, states, valid=None: states[0])
    prediction = model.predict(given)
    assert len(places) == (count if subject != "S909" else 1)
    np.testing.assert_allclose(prediction.frames.values[:5], first, rtol=1e-5, atol=1e-8)
    np.testing.assert_array_equal(prediction.classes, wanted)


@pytest.mark.parametrize("windows", ["ours", "authors"])
def test_another_rate_is_an_error(windows):
    model = model_of(replace(PAPER, window_frames=21), {})
    with pytest.raises(ValueError, match="p has 100 Hz; the spectrograms need 50 Hz"):
        model.predict(replace(recording(), rate_hz=100.0), windows=windows)


def test_windows_of_the_release_attend_to_what_stands_behind_the_end():
    extractor = Extractor.of_encoder(model_of(replace(PAPER, window_frames=21), {}).upstream, "fp32")
    given = recording(1310)
    padded = release.padded(given, extractor.shape)
    states = window_states(given, extractor, {}, "authors")
    assert len(states.spans) == (len(padded) - 50) // 25 + 1
    values, masked = list(states.values), list(extractor.lazily(padded, states.spans))
    assert np.abs(values[-1][:, 0] - masked[-1][:, 0]).max() > 1e-3


def test_an_empty_recording_is_an_error():
    nothing = Recording("p", None, 50.0, np.zeros((0, 6), np.float32))
    with pytest.raises(ValueError, match="the recording is empty: there is nothing to predict"):
        model_of(PAPER, RELEASED).predict(nothing)


class TestSecondLook:
    """Where windows share half of their frames, every other one waits for a doubt."""

    HALF = replace(PAPER, window_frames=21)

    @pytest.mark.parametrize("more", [0, 1, 5, 10, 11, 25, 30])
    def test_with_doubt_everywhere_it_is_the_evaluation_s_windows(self, monkeypatch, more):
        """Also where the last window of a run is aligned to its end, however close to the one before."""
        monkeypatch.setattr("selfpab.inference.frame_windows.SURE", 1.1)
        model = model_of(self.HALF, asdict(FinetuneConfig(overlap=11)))
        given = recording(25 * (20 + more) + 50)  # 21 frames and some
        found, wanted = (model.predict(given, overlap=overlap).frames for overlap in (None, 11))
        np.testing.assert_array_equal(found.starts, wanted.starts)
        assert len(found.starts) == 21 + more
        np.testing.assert_allclose(found.values, wanted.values, atol=1e-6)

    def test_without_doubt_every_other_window_is_left_out(self, monkeypatch):
        monkeypatch.setattr("selfpab.inference.frame_windows.SURE", 0.0)
        model = model_of(self.HALF, asdict(FinetuneConfig(overlap=11)))
        given = recording(25 * (20 + 10 * 12) + 25, gap_at=1500)
        found, wanted = (model.predict(given, overlap=overlap).frames for overlap in (None, 1))
        np.testing.assert_array_equal(found.starts, wanted.starts)
        np.testing.assert_allclose(found.values, wanted.values, atol=1e-6)

    @pytest.mark.parametrize(
        ("overlap", "doubting", "twice"), [(11, True, True), (10, True, False), (11, False, False)]
    )
    def test_only_where_the_others_hold_every_frame(self, overlap, doubting, twice):
        model = model_of(self.HALF, {})
        extractor = Extractor.of_encoder(model.upstream, "fp32")
        states = window_states(recording(), extractor, {"overlap": overlap}, "ours", doubting=doubting)
        assert (states.between is not None) == twice
        assert set(states.spans.firsts[:3].tolist()) == ({0, 20, 40} if twice else {0, 21 - overlap, 42 - 2 * overlap})

    def test_an_embedding_is_of_all_windows(self):
        all_of_them, every_other = (model_of(self.HALF, asdict(FinetuneConfig(overlap=n))) for n in (11, 1))
        extractor = Extractor.of_encoder(all_of_them.upstream, "fp32")
        for model, step in ((all_of_them, 10), (every_other, 20)):
            spans = extractor.spans(recording(), step=step)
            windows = [
                model.head.features(torch.from_numpy(w)[:, None])[0] for w in extractor.lazily(recording(), spans)
            ]
            middle = [w[10] for w, first in zip(windows, spans.firsts, strict=True) for _ in [0] if first == 10]
            assert len(middle) == (step == 10)  # a window that only all of them have
        assert np.abs(all_of_them.embed(recording()) - every_other.embed(recording())).max() > 1e-3
