"""Windows of a recording and what an extractor makes of them, against slow and independent computations."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpab.downstream.states import Extractor, Shelf, fingerprint
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.recording import Recording, Segment
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.encoder import EncoderConfig

SHAPE = SpectrogramConfig(window_frames=11)
SMALL = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)


def person(segments=((0, 1000, 0.0),), seed=0, rate_hz=50.0):
    samples = np.random.default_rng(seed).normal(0, 1, (segments[-1][1], 6)).astype(np.float32)
    return Recording("p", None, rate_hz, samples, segments=tuple(Segment(*s) for s in segments))


GAPPED = person(((0, 203, 0.0), (203, 230, 5.0), (230, 700, 7.0), (700, 1100, 200.0)))


@pytest.fixture(scope="module")
def normalisation():
    chance = np.random.default_rng(5)
    return Normalisation(*(chance.uniform(1, 3, 156).astype(np.float32) for _ in range(2)))


@pytest.fixture(scope="module")
def encoder(normalisation):
    torch.manual_seed(0)
    return Extractor.of_encoder(Upstream.fresh(SMALL, SHAPE, normalisation), "fp32")


def slow_spectra(recording, starts, stops, normalisation):
    """torch.stft, one frame at a time."""
    rows = []
    for start, stop in zip(starts, stops, strict=True):
        piece = recording.acceleration_g[start : min(start + 50, stop)]
        piece = np.concatenate([piece, np.repeat(piece[-1:], 50 - len(piece), axis=0)])
        made = torch.stft(
            torch.from_numpy(piece.T.copy()), 50, 25, window=torch.hann_window(50), center=False, return_complex=True
        )
        rows.append(made.abs()[:, :, 0].flatten().numpy())
    return (np.array(rows) - normalisation.mean) / normalisation.std


def test_windows_of_a_gapped_recording(encoder):
    """The first three segments are one run; the fourth is behind a gap of minutes."""
    starts, stops = encoder.windows(GAPPED, step=11, to_the_end=True)
    first = [0, 25, 50, 75, 100, 125, 150, 153]
    run = [*first, 203, *range(230, 651, 25), 650]
    other = list(range(700, 1051, 25))
    expected = [run[0:11], run[11:22], run[-11:], other[0:11], other[-11:]]
    assert starts.tolist() == expected
    assert set(stops[0].tolist()) == {203, 230, 700}
    assert set(stops[3].tolist()) == {1100}
    bounds = [(s.first, s.stop) for s in GAPPED.segments]
    for start, stop in zip(starts.flatten(), stops.flatten(), strict=True):
        assert any(a <= start < b == stop for a, b in bounds)


def test_training_leaves_out_tails_and_pieces_under_a_second(encoder):
    starts, stops = encoder.windows(GAPPED, step=11, to_the_end=False)
    assert (starts[starts >= 0] + 50 <= stops[starts >= 0]).all()
    assert not {153, 203, 650} & set(starts.flatten().tolist())


def test_a_short_recording_is_one_window_padded_behind(encoder):
    starts, stops = encoder.windows(person(((0, 110, 0.0),)), step=11, to_the_end=True)
    assert starts.tolist() == [[0, 25, 50, 60] + [-1] * 7]
    assert stops.tolist() == [[110] * 4 + [-1] * 7]


def test_an_empty_recording_has_no_windows(encoder):
    empty = Recording("p", None, 50.0, np.zeros((0, 6), np.float32))
    starts, stops = encoder.windows(empty, step=11, to_the_end=True)
    assert starts.shape == stops.shape == (0, 11)
    assert encoder.states(empty, starts, stops).shape == (0, 2, 11, 12)


@pytest.mark.parametrize("segments", [((0, 1000, 0.0),), ((0, 150, 0.0), (150, 260, 3.5), (260, 1010, 100.0))])
def test_the_first_fifth_of_the_frames_is_left_out_exactly(encoder, segments):
    recording = person(segments)
    every = encoder.windows(recording, step=1, to_the_end=False)[0]
    kept = encoder.windows(recording, step=1, to_the_end=False, skip_share=0.2)[0]
    frames = sorted(set(every[every >= 0].tolist()))
    assert sorted(set(kept[kept >= 0].tolist())) == frames[int(0.2 * len(frames)) :]


def test_another_rate_is_refused(encoder):
    with pytest.raises(ValueError, match="p has 100 Hz; the spectrograms need 50 Hz"):
        encoder.windows(person(rate_hz=100.0), step=11, to_the_end=True)


def test_spectra_are_those_of_torch_stft_frame_by_frame(encoder, normalisation):
    starts, stops = encoder.windows(GAPPED, step=7, to_the_end=True)
    spectra, valid = encoder.spectra(GAPPED, starts, stops)
    assert (valid.numpy() == (starts >= 0)).all()
    for window, real, start, stop in zip(spectra, valid, starts, stops, strict=True):
        slow = slow_spectra(GAPPED, start[real.numpy()], stop[real.numpy()], normalisation)
        np.testing.assert_allclose(window[real].numpy(), slow, rtol=1e-4, atol=1e-4)
        assert not window[~real].any()


def test_states_are_the_layer_outputs_of_the_encoder(normalisation):
    torch.manual_seed(1)
    upstream = Upstream.fresh(SMALL, SHAPE, normalisation)
    upstream.encoder.train()  # dropout must be off all the same
    extractor = Extractor.of_encoder(upstream, "fp32")
    starts, stops = extractor.windows(GAPPED, step=11, to_the_end=True)
    values = extractor.states(GAPPED, starts, stops)
    assert values.dtype == np.float16
    assert values.shape == (len(starts), 2, 11, 12)
    for window in range(len(starts)):
        slow = slow_spectra(GAPPED, starts[window], stops[window], normalisation)
        with torch.no_grad():
            layers = upstream.encoder.hidden_states(torch.from_numpy(slow).float()[None])
        for layer in range(2):
            np.testing.assert_allclose(values[window, layer], layers[layer][0].numpy(), rtol=2e-3, atol=2e-3)


def test_padding_does_not_reach_the_states_of_real_frames(encoder):
    short = person(((0, 110, 0.0),))
    starts, stops = encoder.windows(short, step=11, to_the_end=True)
    padded = encoder.states(short, starts, stops)[0, :, :4]
    alone = encoder.states(short, starts[:, :4], stops[:, :4])[0]
    np.testing.assert_allclose(padded.astype(np.float32), alone.astype(np.float32), rtol=2e-3, atol=2e-3)


def test_lazily_is_the_same_window_by_window(encoder, monkeypatch):
    starts, stops = encoder.windows(GAPPED, step=2, to_the_end=True)
    monkeypatch.setattr("selfpab.downstream.states.AT_ONCE", 3)
    whole = encoder.states(GAPPED, starts, stops)
    assert len(starts) > 6
    windows = list(encoder.lazily(GAPPED, starts, stops))
    np.testing.assert_array_equal(np.stack(windows), whole)
    lazy = encoder.lazy_states(GAPPED, starts, stops)
    assert not isinstance(lazy.values, np.ndarray)
    np.testing.assert_array_equal(next(iter(lazy.values)), whole[0])


def test_counts_and_g_give_the_same_states(encoder):
    counts = (GAPPED.samples * 4096).astype(np.int16)
    stored = replace(GAPPED, samples=counts, counts_per_g=4096)
    in_g = replace(GAPPED, samples=counts.astype(np.float32) / 4096)
    cut = encoder.windows(stored, step=11, to_the_end=True)
    np.testing.assert_array_equal(encoder.states(stored, *cut), encoder.states(in_g, *cut))


def test_the_bare_spectrogram_is_one_layer(normalisation):
    extractor = Extractor.of_spectrogram(normalisation, SHAPE)
    assert (extractor.layers, extractor.width) == (1, 156)
    cut = extractor.windows(GAPPED, step=11, to_the_end=True)
    values = extractor.states(GAPPED, *cut)
    spectra, _ = extractor.spectra(GAPPED, *cut)
    np.testing.assert_array_equal(values[:, 0], spectra.numpy().astype(np.float16))


def test_a_shelf_computes_once_and_tells_recordings_apart(encoder):
    made = []

    def counted(spectra, valid):
        made.append(len(spectra))
        return encoder.extract(spectra, valid)

    shelf = Shelf(replace(encoder, extract=counted))
    cut = {"step": 11, "to_the_end": True}
    first = shelf.of(GAPPED, **cut)
    calls = len(made)
    relabelled = replace(GAPPED, subject="q", labels=np.ones(len(GAPPED), np.int16), samples=GAPPED.samples.copy())
    assert shelf.of(relabelled, **cut) is first
    assert len(made) == calls
    changed = GAPPED.samples.copy()
    changed[500, 2] += 0.5
    other = shelf.of(replace(GAPPED, samples=changed), **cut)
    assert other is not first
    assert (other.values != first.values).any()
    for different in ({"step": 5, "to_the_end": True}, {"step": 11, "to_the_end": False}, {**cut, "skip_share": 0.2}):
        assert shelf.of(GAPPED, **different) is not first
    assert shelf.of(GAPPED, **cut) is first


def test_a_fingerprint_is_of_samples_and_segments():
    moved = replace(GAPPED, segments=(*GAPPED.segments[:-1], Segment(700, 1100, 201.0)))
    assert fingerprint(moved) != fingerprint(GAPPED)
    assert fingerprint(replace(GAPPED, subject="z")) == fingerprint(GAPPED)
    assert fingerprint(replace(GAPPED, rate_hz=100.0)) != fingerprint(GAPPED)
