"""Per-frame moments: streamed equals whole, parts add up, nothing divides by zero."""

import numpy as np
import pytest
import torch

from selfpab.features.normalisation import Moments, Normalisation, recording_moments
from selfpab.features.spectrograms import SpectrogramConfig, spectrogram
from selfpab.recording import Recording, Segment

SHAPE = SpectrogramConfig()


def person(samples: int, seed: int = 0, segments: tuple[Segment, ...] = ()) -> Recording:
    values = np.random.default_rng(seed).normal(size=(samples, 6)).astype(np.float32)
    return Recording("S1", None, 50.0, values, segments=segments)


def test_streamed_moments_are_those_of_all_frames_at_once():
    recording = person(40_013)
    streamed = recording_moments(recording, SHAPE, block_s=7.0)
    whole = spectrogram(torch.from_numpy(recording.samples)[None], frame_samples=50, hop_samples=25)[0].flatten(1)
    assert streamed.frames == len(whole) == (40_013 - 50) // 25 + 1
    ours = streamed.normalisation()
    np.testing.assert_allclose(ours.mean, whole.double().mean(0).numpy(), rtol=1e-5)
    np.testing.assert_allclose(ours.std, whole.double().std(0, correction=0).numpy(), rtol=1e-4)


def test_no_frame_crosses_a_gap():
    parts = (Segment(0, 1000, 0.0), Segment(1000, 2010, 900.0))
    gapped = recording_moments(person(2010, segments=parts), SHAPE)
    first, second = (spectrogram(torch.from_numpy(person(2010).samples[a:b])[None], frame_samples=50, hop_samples=25)
                     for a, b in ((0, 1000), (1000, 2010)))  # fmt: skip
    assert gapped.frames == first.shape[1] + second.shape[1]
    expected = (first.double().sum(1) + second.double().sum(1)).flatten().numpy()
    np.testing.assert_allclose(gapped.total, expected, rtol=1e-6)


def test_moments_of_parts_add_up():
    a, b = recording_moments(person(5000, 1), SHAPE), recording_moments(person(900, 2), SHAPE)
    joined = Moments.joined([a, b])
    assert joined.frames == a.frames + b.frames
    np.testing.assert_allclose(joined.normalisation().mean, (a.total + b.total) / joined.frames, rtol=1e-6)


def test_a_sensor_that_never_moves_is_an_error():
    values = np.random.default_rng(0).normal(size=(5000, 6)).astype(np.float32)
    values[:, 3] = 0
    with pytest.raises(ValueError, match=r"channel 3, bin 0.* never vary .*missing or constant"):
        recording_moments(Recording("S1", None, 50.0, values), SHAPE).normalisation()


def test_nothing_but_short_pieces_is_an_error():
    with pytest.raises(ValueError, match="shorter than one second"):
        recording_moments(person(49), SHAPE).normalisation()


def test_saved_and_loaded_to_the_last_bit(tmp_path):
    made = recording_moments(person(5000), SHAPE).normalisation("five thousand samples")
    made.save(tmp_path / "normalisation.json")
    again = Normalisation.load(tmp_path / "normalisation.json")
    assert again.source == "five thousand samples"
    np.testing.assert_array_equal(again.mean, made.mean)
    np.testing.assert_array_equal(again.std, made.std)


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="a model without its normalisation is not a model"):
        Normalisation.load(tmp_path / "normalisation.json")
    (tmp_path / "normalisation.json").write_text('{"mean": []}')
    with pytest.raises(ValueError, match=r"has no \['std'\]"):
        Normalisation.load(tmp_path / "normalisation.json")


def test_a_zero_deviation_is_what_the_release_makes_of_it():
    made = Normalisation(np.zeros(1, np.float32), np.zeros(1, np.float32))
    assert made(torch.tensor([1e-10])).item() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="finite"):
        Normalisation(np.zeros(1, np.float32), np.full(1, np.nan, np.float32))


def test_a_factor_and_a_shift_say_the_same():
    normalise = Normalisation(np.array([3.0, 0.0, -2.0], np.float32), np.array([0.5, 0.0, 7.0], np.float32))
    spectra = torch.tensor([[1.0, 2e-10, 3.0], [-4.0, 0.0, 5.5]])
    factor, shift = normalise.factor_and_shift(spectra.device)
    torch.testing.assert_close(spectra * factor + shift, normalise(spectra))
