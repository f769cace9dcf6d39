"""Bouts: stretches of seconds of one activity (DESIGN 2, prediction folder).

Nothing is smoothed: a single second of another activity ends a bout.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl


def bout_table(seconds: pl.DataFrame) -> pl.DataFrame:
    """Longest stretches of one activity, in order, from the table `seconds`.

    A gap, a missing sensor and a second of non-wear end a bout and lie in none; midnight does not end one.

    Returns
    -------
    start : the first second's beginning; end : the last second's end, so that end - start = seconds.
    seconds, activity (code), activity_name.

    >>> seconds = pl.DataFrame({"time": [0, 1, 2, 3], "activity": [7, 7, None, 7], "wear": [True, True, None, True]})
    >>> bout_table(seconds.with_columns(activity_name=pl.lit("sitting"))).drop("activity_name").rows()
    [(0, 2, 2, 7), (3, 4, 1, 7)]
    """
    stretches = worn_activity(seconds).rle().struct.unnest()
    first = stretches["len"].cum_sum() - stretches["len"]
    there = stretches["value"].is_not_null()
    first, length = first.filter(there), stretches["len"].filter(there)
    start, last = seconds["time"].gather(first), seconds["time"].gather(first + length - 1)
    one = 1 if last.dtype.is_integer() else timedelta(seconds=1)
    return pl.DataFrame(
        {
            "start": start,
            "end": last + one,
            "seconds": length.cast(pl.Int64),
            "activity": stretches["value"].filter(there),
            "activity_name": seconds["activity_name"].gather(first),
        }
    )


def worn_activity(seconds: pl.DataFrame) -> pl.Series:
    """The code of every second; null also where the sensors were not worn."""
    return seconds.select(pl.when("wear").then("activity")).to_series()
