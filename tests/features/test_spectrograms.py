"""STFT magnitude: against torch.stft, a slow loop, and its own shape rules."""

import numpy as np
import pytest
import torch

from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig, frame_magnitudes, spectrogram, window_spectra

SIZES = {"frame_samples": 50, "hop_samples": 25}


@pytest.mark.parametrize(("frame", "hop", "samples"), [(50, 25, 15_000), (50, 25, 74), (50, 10, 333), (64, 64, 640)])
def test_agrees_with_torch_stft(frame, hop, samples):
    signal = torch.randn(3, samples, 6, generator=torch.Generator().manual_seed(1))
    ours = spectrogram(signal, frame_samples=frame, hop_samples=hop)
    theirs = torch.stft(
        signal.transpose(1, 2).reshape(-1, samples),
        n_fft=frame,
        hop_length=hop,
        window=torch.hann_window(frame),
        center=False,
        return_complex=True,
    ).abs()
    theirs = theirs.view(3, 6, frame // 2 + 1, -1).permute(0, 3, 1, 2)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_agrees_with_a_slow_loop_of_rfft():
    signal = np.random.default_rng(2).normal(size=(160, 6))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(50) / 50)
    ours = spectrogram(torch.from_numpy(signal).float()[None], **SIZES)[0].numpy()
    for frame in range(5):
        for channel in range(6):
            slow = np.abs(np.fft.rfft(signal[25 * frame : 25 * frame + 50, channel] * hann))
            np.testing.assert_allclose(ours[frame, channel], slow, atol=2e-5)


def test_a_frame_that_was_cut_out_has_the_same_magnitudes():
    signal = torch.randn(1, 500, 6, generator=torch.Generator().manual_seed(3))
    frames = torch.stack([signal[0, start : start + 50] for start in (0, 25, 425)])
    whole = spectrogram(signal, **SIZES)[0][[0, 1, 17]]
    torch.testing.assert_close(frame_magnitudes(frames), whole, rtol=1e-5, atol=1e-5)


def test_precision_is_not_touched_by_autocast():
    signal = torch.randn(1, 500, 6, generator=torch.Generator().manual_seed(4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = spectrogram(signal, **SIZES)
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, spectrogram(signal, **SIZES), rtol=0, atol=0)


def test_a_signal_shorter_than_a_frame_is_an_error():
    with pytest.raises(ValueError, match="at most the 49 samples, got 50 and 25"):
        spectrogram(torch.zeros(1, 49, 6), **SIZES)


def test_window_spectra_scale_choose_and_pad():
    shape = SpectrogramConfig(window_frames=5)
    counts = torch.randint(-4000, 4000, (2, 150, 6), generator=torch.Generator().manual_seed(5), dtype=torch.int16)
    frames = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 3, -1, -1]], dtype=torch.int32)
    values, valid = window_spectra(counts, torch.tensor([4096, 2048]), frames, shape)
    in_g = spectrogram(counts.float() / torch.tensor([4096.0, 2048.0])[:, None, None], **SIZES).flatten(2)
    torch.testing.assert_close(values[0], in_g[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(values[1, :3], in_g[1, [0, 1, 3]], rtol=1e-5, atol=1e-5)
    assert valid.tolist() == [[True] * 5, [True, True, True, False, False]]
    assert not values[1, 3:].any()


@pytest.mark.parametrize("hops_at_once", [1, 12, 100])
def test_windows_do_not_depend_on_how_many_are_computed_at_once(monkeypatch, hops_at_once):
    signal = torch.randn(7, 150, 6, generator=torch.Generator().manual_seed(6))
    monkeypatch.setattr("selfpab.features.spectrograms.HOPS_AT_ONCE", hops_at_once)
    values = spectrogram(signal, **SIZES)
    for window in range(7):
        torch.testing.assert_close(values[window], frame_magnitudes(signal[window].unfold(0, 50, 25).transpose(1, 2)))


@pytest.mark.parametrize("gap", [False, True])
def test_spectra_that_are_normalised_as_they_are_written(monkeypatch, gap):
    monkeypatch.setattr("selfpab.features.spectrograms.HOPS_AT_ONCE", 12)  # two windows
    shape = SpectrogramConfig(window_frames=5)
    generator = torch.Generator().manual_seed(7)
    counts = torch.randint(-4000, 4000, (9, 150, 6), generator=generator, dtype=torch.int16)
    frames = torch.arange(5, dtype=torch.int32).repeat(9, 1)
    if gap:
        frames[4] = torch.tensor([0, 3, 4, -1, -1])
    scale = torch.tensor([4096, 2048, 256] * 3)
    rng = np.random.default_rng(8)
    normalise = Normalisation(rng.random(156).astype(np.float32) * 9, rng.random(156).astype(np.float32) + 0.1)
    raw, valid = window_spectra(counts, scale, frames, shape)
    values, same = window_spectra(counts, scale, frames, shape, *normalise.factor_and_shift(counts.device))
    torch.testing.assert_close(values, normalise(raw) * valid[..., None], rtol=1e-4, atol=1e-4)
    assert torch.equal(valid, same)
    assert not values[~valid].any()
    assert int((~valid).sum()) == 2 * gap


def test_feature_order_is_channel_major():
    counts = torch.zeros(1, 50, 6, dtype=torch.int16)
    counts[0, :, 2] = 4096
    values, _ = window_spectra(
        counts, torch.tensor([4096]), torch.zeros(1, 1, dtype=torch.int32), SpectrogramConfig(window_frames=1)
    )
    assert values[0, 0].nonzero().flatten()[:2].tolist() == [52, 53]
    assert values[0, 0, 52].item() == pytest.approx(25, abs=1e-5)
