"""Stamps that drift away from 50 Hz keep their times; all others leave a file as it is."""

import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from selfpab.data.drifting_stamps import FARTHEST_S, on_steps
from selfpab.data.reading import read
from selfpab.recording import CHANNELS, Recording, segments_of

START = np.datetime64("2024-03-04T22:00:00", "us")


def stamps_s(samples: int, step_ms: float, gaps: dict[int, float] | None = None) -> np.ndarray:
    times_s = np.arange(samples) * step_ms / 1000
    for place, gap_s in (gaps or {}).items():
        times_s[place:] += gap_s
    return times_s


def write(path: Path, times_s: np.ndarray) -> np.ndarray:
    """A file whose back_y grows by 0.1 g a minute by its stamps; times to the microsecond."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.02, (len(times_s), 6)).astype(np.float32) - np.array([1, 0, 0, 1, 0, 0], np.float32)
    values[:, 1] = times_s / 600
    stamps = START + np.rint(times_s * 1e6).astype("timedelta64[us]")
    columns = {name: values[:, i] for i, name in enumerate(CHANNELS)}
    table = pl.DataFrame({"timestamp": stamps, **columns, "label": (times_s // 10).astype(np.int16)})
    if path.suffix == ".csv":
        table.write_csv(path, datetime_format="%Y-%m-%d %H:%M:%S%.f")
    else:
        table.write_parquet(path)
    return values


def check(recording: Recording, times_s: np.ndarray) -> None:
    """Every sample lies where its stamp says, and segments follow one another."""
    own_s = recording.sample_times_s()
    assert own_s[-1] == pytest.approx(times_s[-1], abs=0.021)
    assert recording.labels is not None
    np.testing.assert_allclose(recording.piece(0, len(recording))[:, 1] * 600, own_s, atol=0.1)
    assert np.abs(recording.labels - own_s // 10).max() <= 1
    assert np.mean(recording.labels != own_s // 10) < 0.005
    assert all(b.start_s > a.start_s + (len(a) - 1) / 50 for a, b in pairwise(recording.segments))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("step_ms", [19.7, 20.3])
def test_samples_stay_where_their_stamps_say(tmp_path, suffix, step_ms):
    times_s = stamps_s(9000, step_ms, {4000: 0.5})
    values = write(tmp_path / f"a{suffix}", times_s)
    recording = read(tmp_path / f"a{suffix}")
    check(recording, times_s)
    assert len(recording.segments) == 2
    assert recording.start == datetime(2024, 3, 4, 22)
    (told,) = recording.source["repairs"]
    assert "the stamps of 1 of 2" in told or "the stamps of 2 of 2" in told
    twice, out = (int(number) for number in re.findall(r"(\d+) (?:samples twice|left out)", told))
    drift = round(9000 * abs(step_ms - 20) / 20)
    if step_ms < 20:
        assert (twice, out) == (0, pytest.approx(drift, abs=2))
    else:
        assert (twice, out) == (pytest.approx(drift, abs=2), pytest.approx(1, abs=1))  # the last one of a segment
    measured = {row.tobytes() for row in values}
    assert all(row.tobytes() in measured for row in recording.samples)  # none is changed
    assert (recording.source["rows"], recording.source["stamped_rate_hz"]) == (9000, pytest.approx(1000 / step_ms))


def test_a_long_file_in_counts_keeps_its_times_too(tmp_path, monkeypatch):
    monkeypatch.setattr("selfpab.data.parquet.LONG_ROWS", 1000)
    monkeypatch.setattr("selfpab.data.drifting_stamps.ROWS_AT_ONCE", 700)
    times_s = stamps_s(9000, 20.1)
    write(tmp_path / "a.parquet", times_s)
    recording = read(tmp_path / "a.parquet")
    assert recording.samples.dtype == np.int16
    check(recording, times_s)


def test_segments_that_would_reach_into_the_next_do_not():
    times_s = stamps_s(3000, 19.7, dict.fromkeys(range(1000, 3000, 1000), 0.1))
    segments = segments_of(times_s)
    assert max(len(segment) for segment in segments) * 0.0003 < FARTHEST_S
    found = on_steps(times_s, segments)
    assert found is not None
    rows, laid, _ = found
    assert [segment.start_s for segment in laid] == [segment.start_s for segment in segments]
    assert all(b.start_s > a.start_s + (len(a) - 1) / 50 for a, b in pairwise(laid))
    assert len(rows) == laid[-1].stop
    assert (np.diff(rows) >= 0).all()


def test_stamps_that_jitter_or_drift_by_little_leave_a_file_alone(tmp_path):
    rng = np.random.default_rng(0)
    times_s = np.round(stamps_s(20_000, 20.001, {5000: 0.2, 9000: 60.0}) + rng.uniform(0, 0.008, 20_000), 3)
    assert on_steps(times_s, segments_of(times_s)) is None
    values = write(tmp_path / "a.parquet", times_s)
    recording = read(tmp_path / "a.parquet")
    assert recording.source["repairs"] == []
    np.testing.assert_array_equal(recording.samples, values)


def test_stamps_that_jitter_while_they_drift_leave_nothing_out_but_for_the_drift():
    rng = np.random.default_rng(0)
    times_s = stamps_s(50_000, 20.1) + rng.uniform(0, 0.015, 50_000)
    found = on_steps(times_s, segments_of(times_s))
    assert found is not None
    rows, (segment,), _ = found
    assert len(rows) == pytest.approx(50_250, abs=2)
    assert len(np.unique(rows)) >= 49_999
    assert np.abs(times_s[rows] - times_s[0] - np.arange(len(segment)) / 50).max() < 0.04
