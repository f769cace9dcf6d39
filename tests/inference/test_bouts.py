"""Bouts against a loop over seconds."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfpab.inference.bouts import bout_table

NAMES = {7: "sitting", 1: "walking", None: None}


def seconds_of(states, start=None):
    """A table of seconds from (code, worn): (None, None) is a gap, (None, True) a missing sensor."""
    times = [i if start is None else start + timedelta(seconds=i) for i in range(len(states))]
    if start is not None and start.tzinfo is not None:  # python adds on the wall clock, which jumps
        times = [(start.astimezone(UTC) + timedelta(seconds=i)).astimezone(start.tzinfo) for i in range(len(states))]
    kinds = {"activity": pl.Int32, "activity_name": pl.String, "wear": pl.Boolean}
    if start is None:
        kinds["time"] = pl.Int64
    return pl.DataFrame(
        {
            "time": times,
            "activity": [code for code, _ in states],
            "activity_name": [NAMES[code] for code, _ in states],
            "wear": [worn for _, worn in states],
        },
        schema_overrides=kinds,
    )


def slow_bouts(states):
    bouts = []
    before = None
    for i, (code, worn) in enumerate(states):
        now = code if worn else None
        if now is not None and now == before:
            bouts[-1][1] = i + 1
        elif now is not None:
            bouts.append([i, i + 1, now])
        before = now
    return [(a, b, b - a, code, NAMES[code]) for a, b, code in bouts]


STATES = st.sampled_from([(7, True), (1, True), (7, False), (None, True), (None, None)])


@given(st.lists(STATES, max_size=40))
def test_bouts_are_those_of_a_slow_loop(states):
    table = bout_table(seconds_of(states))
    assert table.columns == ["start", "end", "seconds", "activity", "activity_name"]
    assert table.rows() == slow_bouts(states)


def test_midnight_does_not_end_a_bout():
    start = datetime(2024, 5, 1, 23, 59, 58)
    assert bout_table(seconds_of([(7, True)] * 5, start)).rows() == [
        (start, start + timedelta(seconds=5), 5, 7, "sitting")
    ]


def test_an_hour_that_comes_twice_is_two_hours():
    start = datetime(2024, 10, 27, 0, 59, 59, tzinfo=UTC).astimezone(ZoneInfo("Europe/Oslo"))
    ((begin, end, length, _, _),) = bout_table(seconds_of([(1, True)] * 2, start)).rows()
    assert (begin.isoformat(), end.isoformat(), length) == ("2024-10-27T02:59:59+02:00", "2024-10-27T02:00:01+01:00", 2)


@pytest.mark.parametrize("start", [None, datetime(2024, 5, 1)])
def test_no_bouts_is_an_empty_table_of_the_same_kinds(start):
    full, empty = (bout_table(seconds_of([(code, True)] * 3, start)) for code in (7, None))
    assert empty.height == 0
    assert empty.schema == full.schema
