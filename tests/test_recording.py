"""Recording: shapes, units, segments, runs."""

from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfpab.recording import Recording, Segment, runs_of, segments_of


def recording(count: int = 100, **changes) -> Recording:
    values = {"subject": "S1", "start": None, "rate_hz": 50.0, "samples": np.zeros((count, 6), np.float32)}
    return Recording(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": np.zeros((10, 3), np.float32)}, r"shape \(samples, 6\).*got \(10, 3\)"),
        ({"samples": np.zeros((10, 6))}, "float32 in g, or int16 with counts_per_g, got float64"),
        ({"samples": np.zeros((10, 6), np.int16)}, "int16 with counts_per_g, got int16 and None"),
        ({"counts_per_g": 4096}, "got float32 and 4096"),
        ({"rate_hz": 0.0}, "rate_hz must be positive, got 0.0"),
        ({"rate_hz": float("nan")}, "rate_hz must be positive"),
        ({"labels": np.zeros(99, np.int16)}, r"int16 of shape \(100,\), got int16 of shape \(99,\)"),
        ({"labels": np.zeros(100, np.int64)}, "got int64"),
        ({"segments": (Segment(0, 99, 0.0),)}, "must cover all 100 samples in order"),
        ({"segments": (Segment(0, 60, 0.0), Segment(50, 100, 5.0))}, "must cover all"),
        ({"segments": (Segment(0, 80, 0.0), Segment(80, 50, 5.0), Segment(50, 100, 9.0))}, "must cover all"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        recording(**changes)


def test_counts_become_g():
    counts = np.array([[4096, -2048, 1, 0, 32767, -32768]], np.int16)
    found = recording(samples=counts, counts_per_g=4096).acceleration_g
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, counts.astype(np.float64) / 4096)


@given(st.lists(st.integers(1, 120), min_size=1, max_size=5), st.floats(0.1, 2))
def test_blocks_are_all_samples_once_and_none_crosses_a_gap(lengths, seconds):
    edges = np.cumsum([0, *lengths]).tolist()
    segments = tuple(Segment(a, b, 10.0 * a) for a, b in pairwise(edges))
    samples = np.arange(edges[-1] * 6, dtype=np.float32).reshape(-1, 6)
    found = list(recording(samples=samples, segments=segments).blocks(seconds))
    np.testing.assert_array_equal(np.concatenate([piece for _, piece in found]), samples)
    for first, piece in found:
        assert 0 < len(piece) <= max(1, round(seconds * 50))
        assert sum(s.first <= first and first + len(piece) <= s.stop for s in segments) == 1


def test_time_jumps_at_a_gap():
    times = recording(4, segments=(Segment(0, 2, 0.0), Segment(2, 4, 7.5))).sample_times_s()
    np.testing.assert_allclose(times, [0, 0.02, 7.5, 7.52])


def test_seconds_do_not_count_gaps():
    assert recording(100, segments=(Segment(0, 50, 0.0), Segment(50, 100, 99.0))).seconds == 2.0


@pytest.mark.parametrize(("gap", "part", "runs"), [(30.0, 0, 1), (30.02, 0, 2), (0.5, 1, 2)])
def test_a_run_joins_gaps_up_to_30_s_of_one_part(gap, part, runs):
    segments = (Segment(0, 50, 0.0), Segment(50, 100, 1.0 + gap, part))
    assert len(runs_of(segments, 50.0, 30.0)) == runs
    assert len(recording(100, segments=segments).runs()) == runs


def test_segments_end_at_long_steps_and_at_a_new_part():
    times = np.array([10.0, 10.02, 10.12, 10.23, 10.25, 10.27])
    parts = np.array([4, 4, 4, 4, 4, 5])
    found = segments_of(times, parts)
    assert [(s.first, s.stop, s.part) for s in found] == [(0, 3, 4), (3, 5, 4), (5, 6, 5)]
    np.testing.assert_allclose([s.start_s for s in found], [0, 0.23, 0.27])
    assert segments_of(np.array([])) == ()


@pytest.mark.parametrize(
    ("start_s", "part", "gaps"),
    [
        (2.0, 1, []),  # only the part changes
        (2.08, 0, []),  # the step from 1.98 to 2.08 is not longer than 0.1 s
        (2.1, 0, [(2.0, 2.1)]),
        (62.0, 1, [(2.0, 62.0)]),
    ],
)
def test_a_gap_is_a_long_step_and_no_new_part(start_s, part, gaps):
    two = recording(200, segments=(Segment(0, 100, 0.0), Segment(100, 200, start_s, part)))
    assert list(two.gaps) == gaps
    assert [gap.seconds for gap in two.gaps] == [until_s - after_s for after_s, until_s in gaps]


def test_a_step_of_exactly_a_tenth_is_no_gap_whatever_floating_point_says():
    assert 1.1 - 1.0 > 0.1
    assert len(segments_of(np.arange(0, 60) / 10)) == 1


def test_an_empty_recording_is_a_recording():
    assert (len(recording(0)), recording(0).segments) == (0, ())
    assert recording(start=datetime(2024, 1, 1)).start == datetime(2024, 1, 1)
