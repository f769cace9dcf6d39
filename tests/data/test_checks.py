"""Checks that every reader asks."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from selfpab.data.checks import (
    RecordingError,
    check_channels,
    check_gravity,
    check_rising,
    place,
    sha256_of,
    sha256_of_all,
    times_at_50_hz,
    whole_numbers,
)
from selfpab.recording import CHANNELS

FILE = Path("S1.parquet")
MS = 1_000_000


def standing(rows: int = 100) -> np.ndarray:
    return np.tile(np.array([-1, 0, 0, -1, 0, 0], np.float32), (rows, 1))


def test_an_error_is_a_value_error_and_g_passes():
    assert issubclass(RecordingError, ValueError)
    check_channels(standing(), FILE)
    check_channels(standing() * 4.9, FILE)  # nobody's median is so high, and still no other unit's
    check_channels(standing() * 0, FILE)


@pytest.mark.parametrize(
    ("factor", "sensor", "message"),
    [
        (9.81, "back", r"S1\.parquet: the back sensor's median acceleration is 9\.81; that looks like m/s².*9\.80665"),
        (1000, "thigh", "thigh sensor's median acceleration is 1000; that looks like mg.*divide by 1000"),
        (256, "thigh", "thigh sensor's median acceleration is 256; wanted g.*counts per g"),
        (5.1, "back", "the back sensor"),
    ],
)
def test_other_units_are_told_by_the_median_of_one_sensor(factor, sensor, message):
    samples = standing()
    samples[:, slice(0, 3) if sensor == "back" else slice(3, 6)] *= factor
    with pytest.raises(RecordingError, match=message):
        check_channels(samples, FILE)


def test_a_few_large_values_are_no_other_unit():
    samples = standing(1000)
    samples[:400] *= 8
    check_channels(samples, FILE)


@pytest.mark.parametrize(
    ("made_of", "message"),
    [
        (lambda g: g * [1, 1, 1, 2, 2, 2], r"at rest, the thigh sensor measures 2; .*the scale is wrong, divide by 2 "),
        (lambda g: g * [0.5, 0.5, 0.5, 1, 1, 1], r"at rest, the back sensor measures 0\.5; .*divide by 0\.5"),
        (lambda g: g / 9.80665, r"at rest, the back sensor measures 0\.102; .*g divided by 9\.80665: multiply by it"),
        (
            lambda g: g - g.mean(axis=0),
            r"at rest, the back sensor measures 0\.0.*gravity in it.*taken out: export raw acceleration",
        ),
    ],
)
def test_at_rest_a_sensor_measures_gravity(made_of, message):
    rng = np.random.default_rng(0)
    resting = standing(1000) + rng.normal(0, 0.008, (1000, 6))
    check_gravity(resting.astype(np.float32), FILE)
    check_gravity((resting * 1.4).astype(np.float32), FILE)  # no calibration is so bad
    check_gravity(made_of(resting).astype(np.float32)[:400], FILE)  # one stretch is not enough
    with pytest.raises(RecordingError, match=r"S1\.parquet: " + message):
        check_channels(made_of(resting).astype(np.float32), FILE)


def test_who_never_rests_is_not_judged():
    check_gravity(np.random.default_rng(0).normal(0, 1, (5000, 6)).astype(np.float32), FILE)


@pytest.mark.shared
def test_all_real_recordings_rest_at_1_g(shared):
    import polars as pl

    for name in ("har70plus", "harth", "dsads", "selfback", "daphnet"):
        for file in sorted((shared / "data" / name).glob("*.parquet"))[::4]:
            check_gravity(pl.read_parquet(file, columns=list(CHANNELS)).to_numpy(), file)


def test_a_sensor_without_any_number_is_missing():
    samples = standing()
    samples[:, 3:] = np.nan
    with pytest.raises(
        RecordingError, match=r"the thigh sensor has no number in any row: .*leave its three columns out"
    ):
        check_channels(samples, FILE)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "missing or no number"), (np.inf, "infinite"), (-np.inf, "inf")])
def test_the_first_value_that_is_no_number_is_named(value, word):
    samples = standing()
    samples[[17, 40], 4] = value
    with pytest.raises(RecordingError, match=rf"S1\.parquet, row 17 .*thigh_y is {word}.*2 such rows.*leave such rows"):
        check_channels(samples, FILE)


def test_times_must_rise():
    times = np.arange(100) * 20 * MS
    check_rising(times, FILE)
    times[50] = times[49]
    with pytest.raises(RecordingError, match=r"row 50 .*the time is the same as in the row before \(1 such"):
        check_rising(times, FILE)
    times[50] -= 1000 * MS
    with pytest.raises(RecordingError, match=r"row 50 .*the time is 1 s before that of the row before"):
        check_rising(times, FILE)


def test_stamps_rounded_to_milliseconds_are_50_hz():
    times = (np.arange(1000) * 20.004).round().astype(np.int64) * MS
    assert set(np.diff(times) // MS) == {20, 21}
    same, stamped, repairs = times_at_50_hz(times, FILE)
    assert np.array_equal(same, times)
    assert repairs == []
    assert stamped == pytest.approx(49.99, abs=1e-3)


@pytest.mark.parametrize("step_ms", [5, 15, 18, 22, 40, 90])
def test_another_rate_is_an_error_even_if_50_is_claimed(step_ms):
    times = np.arange(100) * step_ms * MS
    for rate_hz in (None, 50.0):
        with pytest.raises(RecordingError, match=rf"has {1000 / step_ms:.4g} samples per second.*resample it to 50 Hz"):
            times_at_50_hz(times, FILE, rate_hz)


def test_every_fourth_sample_missing_is_not_50_hz():
    times = np.delete(np.arange(4000), np.s_[::4]) * 20 * MS
    assert np.median(np.diff(times)) == 20 * MS
    with pytest.raises(RecordingError, match="median 20 ms, mean 26"):
        times_at_50_hz(times, FILE)


def test_one_sample_a_second_is_an_error():
    with pytest.raises(RecordingError, match=r"all steps .* are longer than 0\.1 s \(median 1 s\)"):
        times_at_50_hz(np.arange(10) * 1000 * MS, FILE)
    assert times_at_50_hz(np.array([5]), FILE) == (np.array([5]), None, [])


def test_steps_from_part_to_part_say_nothing_of_the_rate():
    times = np.cumsum(np.tile([60, 20], 50)) * MS  # pairs of samples; 25 Hz if it were one part
    with pytest.raises(RecordingError, match=r"has 25.* samples per second"):
        times_at_50_hz(times, FILE)
    assert times_at_50_hz(times, FILE, parts=np.repeat(np.arange(50), 2))[1] == pytest.approx(50)


def test_another_rate_cannot_be_asked_for():
    with pytest.raises(RecordingError, match="rate_hz=100 was asked for; only 50 Hz"):
        times_at_50_hz(np.arange(9) * 10 * MS, FILE, 100.0)


def test_10_ms_are_repaired_when_asked_and_for_the_known_file_only():
    times = np.arange(408_709) * 10 * MS
    times[200_000:] += 3000 * MS
    for path, rows in ((FILE, 408_709), (Path("S006.csv"), 408_708)):
        with pytest.raises(RecordingError, match=r"stamped every 10 ms \(100 Hz\).*rate_hz=50; otherwise resample"):
            times_at_50_hz(times[:rows], path)
    for path, rate_hz in ((FILE, 50.0), (Path("S006.csv"), None)):
        repaired, stamped, repairs = times_at_50_hz(times, path, rate_hz)
        steps = np.diff(repaired)
        assert stamped == pytest.approx(100)
        assert len(repairs) == 1
        assert "sampled at 50 Hz" in repairs[0]
        assert steps[199_999] == 3020 * MS  # the gap of 3 s is still 3 s
        assert set(np.delete(steps, 199_999)) == {20 * MS}


def test_whole_numbers():
    labels = whole_numbers(np.array([6.0, np.nan, 140]), "label", FILE)
    assert labels.dtype == np.int16
    assert labels.tolist() == [6, -1, 140]
    assert whole_numbers(np.array([2.0**40]), "segment", FILE, bits=64).tolist() == [2**40]
    for wrong in (6.5, 40_000, np.inf, -np.inf):
        with pytest.raises(RecordingError, match=r"row 1 .*label is .*; wanted a whole number of 16 bits"):
            whole_numbers(np.array([6.0, wrong]), "label", FILE)


def test_place_counts_lines_of_a_csv_from_1_with_the_header(tmp_path):
    file = tmp_path / "a.CSV"
    file.write_text("head\nfirst\nsecond\n")
    assert place(file, 1) == f"{file}, line 3 ('second')"
    assert place(tmp_path / "a.npz", 1).endswith("a.npz, row 1 (counted from 0)")


def test_checksums(tmp_path):
    big = bytes(range(256)) * 10_000
    (tmp_path / "b").write_bytes(big)
    (tmp_path / "a").write_bytes(b"a")
    assert sha256_of(tmp_path / "b") == hashlib.sha256(big).hexdigest()
    both = sha256_of_all([tmp_path / "b", tmp_path / "a"])
    assert both == sha256_of_all([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "a").rename(tmp_path / "aa")
    assert both != sha256_of_all([tmp_path / "aa", tmp_path / "b"])
