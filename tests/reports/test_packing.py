"""What is packed comes out again, and holds what it must."""

from dataclasses import replace

import numpy as np
import pytest

from selfpab.reports import packing
from selfpab.reports.packing import (
    MOST_BINS,
    NOTHING,
    bin_seconds,
    binned_per_cent,
    envelope,
    packed_bins,
    packed_signal,
    stretches,
)


def slow(recording, start_us, seconds, width):
    """Lowest and highest of every bin, sample by sample's time."""
    steps = recording.acceleration_g * np.float32(32)
    seconds_of = (np.round(recording.sample_times_s() * 1e6).astype(int) + start_us) // 1_000_000
    result = np.empty((2, 6, -(-seconds // width)), int)
    for place in range(result.shape[2]):
        own = steps[(seconds_of // width) == place]
        lowest, highest = (own.min(axis=0), own.max(axis=0)) if len(own) else NOTHING
        result[0, :, place] = np.clip(np.floor(lowest), -128, 127)
        result[1, :, place] = np.clip(np.ceil(highest), -128, 127)
    return result


@pytest.mark.parametrize(("width", "block_s"), [(1, 7.3), (4, 600.0)])
def test_the_envelope_holds_every_sample(prediction, width, block_s, monkeypatch):
    monkeypatch.setattr(packing, "BLOCK_S", block_s)
    whole = prediction.recording
    first, second = whole.segments
    cut = slice(first.stop - 3000, first.stop + 2500)
    segments = (replace(first, first=0, stop=3000), replace(second, first=3000, stop=5500, start_s=60 + 13.37))
    samples = whole.samples[cut] * np.float32(8)
    part = replace(whole, samples=samples, segments=segments, marks=(), start=None)
    made = envelope(part, width)
    np.testing.assert_array_equal(made, slow(part, 0, -(-int(1e6 * (73.37 + 50)) // 1_000_000), width))
    assert made.min() == -128
    gaps = (made[0] == NOTHING[0]).all(axis=0) & (made[1] == NOTHING[1]).all(axis=0)
    assert gaps.any()


def test_missing_numbers_are_zero_and_no_error(prediction):
    samples = np.full((100, 6), np.nan, np.float32)
    made = envelope(replace(prediction.recording, samples=samples, segments=(), marks=(), start=None), 1)
    assert not made.any()


def test_bins_come_out_again(unpacked):
    values = np.random.default_rng(0).integers(-128, 128, (2, 6, 77)).astype(np.int8)
    made = packed_bins(values, 2)
    assert (made["seconds"], made["bins"]) == (2, 77)
    found = np.cumsum(unpacked(made["data"], np.uint8).reshape(-1, 77), axis=1, dtype=np.uint8)
    np.testing.assert_array_equal(found.view(np.int8).reshape(values.shape), values)


@pytest.mark.parametrize("values", [[], [5], [5, 5, 5], [0, 1, 1, 65_535, 0]])
def test_stretches_come_out_again(values, unpacked):
    made = stretches(np.array(values, np.uint16))
    lengths, kept = unpacked(made["lengths"], "<u4"), unpacked(made["values"], "<u2")
    assert np.repeat(kept, lengths).tolist() == values
    assert not (kept[1:] == kept[:-1]).any()


def test_probabilities_are_means_of_what_is_known():
    assert binned_per_cent(np.array([np.nan, 0.2, 0.4, 1.0], np.float32), 3).tolist() == [30, 100]


def test_there_are_never_more_bins_than_fit():
    for seconds in (1, MOST_BINS, MOST_BINS + 1, 28 * 86_400, 365 * 86_400):
        width = bin_seconds(seconds)
        assert seconds / width <= MOST_BINS
        assert width == 1 or 2 * seconds / width > MOST_BINS


def test_a_week_of_noise_fits():
    """Nothing can be made smaller: twelve signals and ten probabilities of a week, of 5 MB in all."""
    generator = np.random.default_rng(0)
    bins = 7 * 86_400 // bin_seconds(7 * 86_400)
    signal = packed_bins(generator.integers(0, 256, (12, bins), np.uint8), 4)
    shares = packed_bins(generator.integers(0, 101, (10, bins), np.uint8), 4)
    assert len(str(signal["data"])) + len(str(shares["data"])) < 4_400_000


def test_a_signal_says_how_wide_its_bins_are(prediction):
    assert packed_signal(prediction.recording, len(prediction.seconds))["seconds"] == 1
