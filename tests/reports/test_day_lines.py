"""Where a second stands: by the clock of the recording, on days of 23, 24 and 25 hours."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from selfpab.activities import HAR70PLUS, HARTH, Activities
from selfpab.evaluation.clock import second_times
from selfpab.reports.day_lines import (
    DAY_S,
    axis_of,
    date_of,
    heights_of,
    length,
    lines_of,
    local_seconds,
    majority,
    moment,
    states_of,
)

OSLO = ZoneInfo("Europe/Oslo")


def local_of(start, count):
    aware = start if start.tzinfo else start.replace(tzinfo=UTC)
    return local_seconds(second_times(start, int(aware.timestamp()), count), start)


@pytest.mark.parametrize(
    "start",
    [
        datetime(2024, 3, 30, 22, tzinfo=OSLO),
        datetime(2024, 10, 26, 22, tzinfo=OSLO),
        datetime(2024, 5, 1, 22),
        datetime(2024, 5, 1, 22, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
)
def test_local_time_is_what_python_shows(start):
    local = local_of(start, 30 * 3600)
    for row in range(0, len(local), 599):
        there = start if start.tzinfo is None else start.astimezone(UTC)
        shown = there + timedelta(seconds=row)
        shown = shown if start.tzinfo is None else shown.astimezone(start.tzinfo)
        assert date_of(0) + timedelta(seconds=int(local[row])) == shown.replace(tzinfo=None, fold=0)


def test_an_hour_that_comes_twice_has_a_line_of_its_own():
    lines = lines_of(local_of(datetime(2024, 10, 26, 22, tzinfo=OSLO), 30 * 3600))
    assert [(date_of(line.day).day, line.again, len(line.rows) / 3600) for line in lines] == [
        (26, False, 2),
        (27, False, 24),
        (27, True, 1),
        (28, False, 3),
    ]
    assert (lines[2].times_s[0], lines[2].times_s[-1]) == (2 * 3600, 3 * 3600 - 1)
    assert sorted(np.concatenate([line.rows for line in lines])) == list(range(30 * 3600))


def test_an_hour_that_does_not_exist_stays_empty():
    lines = lines_of(local_of(datetime(2024, 3, 30, 22, tzinfo=OSLO), 30 * 3600))
    assert [(date_of(line.day).day, line.again, len(line.rows) / 3600) for line in lines] == [
        (30, False, 2),
        (31, False, 23),
        (1, False, 5),
    ]
    assert not ((lines[1].times_s >= 2 * 3600) & (lines[1].times_s < 3 * 3600)).any()


def test_lines_of_nothing():
    assert lines_of(np.zeros(0, np.int64)) == []


def test_states():
    seconds = pl.DataFrame(
        {
            "activity": pl.Series([7, 1, 7, None, None, None], dtype=pl.Int32),
            "wear": [True, True, False, True, False, None],
            "gap": [False, False, False, False, False, True],
        }
    )
    two = Activities("two", (1, 7), ("walking", "sitting"))
    assert states_of(seconds, two).tolist() == [1, 0, 2, 3, 2, 4]


@pytest.mark.parametrize(
    "activities", [HARTH, HAR70PLUS, Activities("own", (9, 1, 5), ("dancing", "walking", "rowing"))]
)
def test_no_two_heights_are_alike(activities):
    heights = dict(zip(activities.names, heights_of(activities), strict=True))
    assert len(set(heights.values())) == len(activities)
    assert min(heights.values()) == 0.3
    assert max(heights.values()) == 1
    if "lying" in heights:
        assert heights["lying"] < heights["sitting"] < heights["standing"] < heights["walking"]


@pytest.mark.parametrize("seconds", [1, 9, 61, 3000, 7000, 40_000, DAY_S])
def test_the_axis_of_one_line_holds_it_with_few_ticks(seconds):
    (line,) = lines_of(local_of(datetime(2024, 5, 1), seconds))
    axis = axis_of([line])
    assert axis.first_s <= line.times_s[0]
    assert line.times_s[-1] < axis.stop_s <= DAY_S
    assert (axis.stop_s - axis.first_s) / axis.tick_s <= 12


def test_majority_as_the_slow_loop_has_it():
    generator = np.random.default_rng(0)
    values, places = generator.integers(0, 4, 500), np.sort(generator.integers(0, 90, 500))
    expected = []
    for place in range(95):
        own = values[places == place].tolist()
        expected.append(max(range(4), key=own.count) if own else -1)
    assert majority(values, places, 95).tolist() == expected
    assert -1 in expected


def test_words_of_times():
    assert moment(0, False) == "day 1 00:00:00 from the start"
    assert length(604_800) == "168 h"
    assert length(86_399) == "23 h 59 min 59 s"
