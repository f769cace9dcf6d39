"""Samples to clock seconds: fractions, gaps, time zones, truth by majority."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from selfpab.activities import Activities
from selfpab.evaluation.clock import clock_seconds, per_second, second_rows
from selfpab.recording import Recording, Segment

TWO = Activities("two", (6, 1), ("standing", "walking"))


def recording(samples: int, start: datetime | None = None, segments: tuple[Segment, ...] = ()) -> Recording:
    return Recording("S1", start, 50.0, np.zeros((samples, 6), np.float32), segments=segments)


def one_hot(indices) -> np.ndarray:
    return np.eye(2)[np.asarray(indices)]


def test_one_row_per_second_with_the_mean_of_its_probabilities():
    probabilities = np.concatenate(
        [np.tile([0.9, 0.1], (50, 1)), np.tile([0.4, 0.6], (25, 1)), np.tile([1.0, 0], (25, 1))]
    )
    table = per_second(recording(100), np.array([0] * 50 + [1] * 50), probabilities, TWO)
    assert table.columns == ["time", "truth", "activity", "activity_name", "probability", "p_standing", "p_walking"]
    assert table["time"].to_list() == [0, 1]
    assert table["truth"].to_list() == [6, 1]
    assert table["activity"].to_list() == [6, 6]
    assert table["activity_name"].to_list() == ["standing", "standing"]
    np.testing.assert_allclose(table["p_standing"], [0.9, 0.7], rtol=1e-6)
    np.testing.assert_allclose(table["probability"], [0.9, 0.7], rtol=1e-6)


def test_a_second_begins_on_the_clock_and_not_at_the_first_sample():
    table = per_second(
        recording(100, datetime(2024, 1, 1, 8, 0, 0, 600_000)), np.zeros(100, int), one_hot([0] * 100), TWO
    )
    assert table["time"].to_list() == [datetime(2024, 1, 1, 8, 0, second) for second in (0, 1, 2)]


def test_no_sample_slips_over_a_full_second():
    """4.02 s are 4019999 whole microseconds in floating point; 0.98 s later it is the fifth second all the same."""
    assert int(201 / 50 * 1e6) == 4_019_999
    first, rows = clock_seconds(recording(300, datetime(1970, 1, 1, 0, 0, 0, 980_000)))
    assert first == 0
    assert rows[[0, 1, 200, 201]].tolist() == [0, 1, 4, 5]


def test_gaps_are_rows_without_truth_and_prediction():
    gapped = recording(100, segments=(Segment(0, 50, 0.0), Segment(50, 100, 4.0)))
    table = per_second(gapped, np.ones(100, int), one_hot([1] * 100), TWO)
    assert table["time"].to_list() == [0, 1, 2, 3, 4]
    for name in ("truth", "activity"):
        assert table[name].to_list() == [1, None, None, None, 1]
    for name in ("activity_name", "probability", "p_standing", "p_walking"):
        assert table[name].is_null().to_list() == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        ([1] * 26 + [0] * 24, 1),
        ([1] * 25 + [0] * 25, 6),  # a tie goes to the lower class index, which is not the lower code
        ([1] * 25 + [-1] * 25, 1),
        ([1] * 24 + [-1] * 26, None),  # more than half unlabelled
    ],
)
def test_truth_is_the_majority_of_the_labelled(truth, expected):
    table = per_second(recording(50), np.array(truth), one_hot([0] * 50), TWO)
    assert table["truth"].to_list() == [expected]


def test_a_zone_stays_across_the_change_of_clocks():
    zone = ZoneInfo("Europe/Oslo")
    before = datetime(2024, 10, 27, 2, 59, 59, tzinfo=zone)  # summer time; the next second is 02:00:00 again
    times = per_second(recording(100, before), np.zeros(100, int), one_hot([0] * 100), TWO)["time"].to_list()
    assert [time.astimezone(UTC) - before.astimezone(UTC) for time in times] == [timedelta(0), timedelta(seconds=1)]
    assert [time.utcoffset() for time in times] == [timedelta(hours=2), timedelta(hours=1)]


def test_a_bare_offset_keeps_the_moment():
    start = datetime(2024, 1, 1, 8, tzinfo=timezone(timedelta(hours=3)))
    assert per_second(recording(50, start), np.zeros(50, int), one_hot([0] * 50), TWO)["time"].to_list() == [start]


def test_rows_of_some_samples_are_those_of_all():
    segments = (Segment(0, 70, 0.0), Segment(70, 71, 1.5), Segment(71, 200, 30.49))
    given = recording(200, datetime(2024, 1, 1, 8, 0, 0, 600_000), segments)
    slow = np.floor(np.round((given.sample_times_s() + 0.6) * 1e6) / 1e6).astype(int)
    first, count, rows_of = second_rows(given)
    assert (first, count) == (clock_seconds(given)[0], slow[-1] + 1)
    np.testing.assert_array_equal(clock_seconds(given)[1], slow)
    some = np.random.default_rng(0).integers(0, 200, 50)
    np.testing.assert_array_equal(rows_of(some), slow[some])
    first, count, rows_of = second_rows(recording(0))
    assert (first, count, rows_of(np.zeros(0, int)).tolist()) == (0, 0, [])


def test_times_that_run_backwards_are_refused():
    with pytest.raises(ValueError, match="times of S1 run backwards"):
        clock_seconds(recording(100, segments=(Segment(0, 50, 9.0), Segment(50, 100, 0.0))))


def test_an_empty_recording_has_no_seconds():
    assert per_second(recording(0), np.zeros(0, int), np.zeros((0, 2)), TWO).height == 0
