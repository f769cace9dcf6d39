"""A row per civil day: minutes, bouts, transitions, movement (DESIGN 2, prediction folder).

Nothing is smoothed, and seconds without wear count only as recorded. What is counted by name is found by the names of
HARTH's and HAR70+'s classes; where a label set does not have them, the column is null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import polars as pl

from selfpab.activities import NAMES, Activities
from selfpab.inference.bouts import worn_activity
from selfpab.inference.minutes import Intervals, interval
from selfpab.recording import SENSORS

SITTING = NAMES[7]
UPRIGHT = tuple(NAMES[code] for code in (1, 2, 3, 4, 5, 6))  # walking, running, shuffling, stairs, standing
LONG_BOUT_S = 30 * 60
SECONDS_AT_ONCE = 86_400
MOST_SINGLE_MINUTES = 1.0  # of a day that has intervals, which were fitted on what both sensors told
ENMO = tuple(f"enmo_{sensor}_mg" for sensor in SENSORS)


def daily_table(
    seconds: pl.DataFrame,
    bouts: pl.DataFrame,
    activities: Activities,
    start: datetime | None,
    intervals: Intervals | None = None,
) -> pl.DataFrame:
    """One row per civil day from the first to the last second, days without any sample included.

    A day is one of the recording's own clock: of its zone where it has one (a day then has 23 or 25 hours when the
    clocks change), else of the naive clock. Where there is no date, `date` is null and days are 24 hours from the start.

    Parameters
    ----------
    seconds, bouts : the tables of `second_table` and `bout_table`.
    start : the recording's.

    Returns
    -------
    date, day : the day, and its number from 1.
    wear_minutes, recorded_minutes : seconds with wear, and seconds that are no gap.
    single_sensor_minutes : seconds with wear whose activity was told from one sensor alone.
    minutes_<class> ... : worn seconds of every class, named like the columns p_<class>.
    sit_to_stand : seconds of sitting that an upright one (walking, running, shuffling, stairs, standing) directly
        follows; on the day of the latter.
    sitting_bouts_30min : bouts of sitting of 30 minutes and more, on the day on which they start.
    enmo_back_mg, enmo_thigh_mg : mean over the worn seconds that have it.
    low_minutes_<class>, high_minutes_<class> ... : with `intervals` (of the model's calibration), between which the
        minutes lie with its level, for a person like those it was fitted on; null on days with more than a minute that was
        told from one sensor alone, of which no interval is known.
    """
    sitting = _codes(activities, (SITTING,))
    days = _rows_by_day(seconds["time"], start)
    daily = _day_by_day(days, lambda rows: _coded_rows(seconds, rows), summaries(activities))
    long = bouts.filter(pl.col("activity").is_in(sitting) & (pl.col("seconds") >= LONG_BOUT_S))
    counts = _civil_day(long["start"], start).alias("day").value_counts(name="long").cast({"long": pl.Int64})
    many = pl.col("long").fill_null(0) if sitting else _nothing("long")
    date = pl.col("day").cast(pl.Date) if start is not None else pl.lit(None, dtype=pl.Date)
    between = []
    if intervals is not None:
        between = _between(
            daily, _day_by_day(days, partial(_rows, seconds), _doubts(activities)), activities, intervals
        )
        daily = daily.with_columns(between)
    return daily.join(counts, on="day", how="left", maintain_order="left").select(
        date.alias("date"),
        (pl.col("day") - pl.col("day").min() + 1).alias("day"),
        pl.col("wear_minutes", "recorded_minutes"),
        pl.col(minute_columns(activities)),
        "sit_to_stand",
        many.alias("sitting_bouts_30min"),
        *ENMO,
        *(column.name for column in between),
        "single_sensor_minutes",
    )


def _rows_by_day(times: pl.Series, start: datetime | None) -> dict[int, list[slice]]:
    """The seconds of every civil day, in order; a clock that is put back over midnight makes two stretches of a day."""
    found: dict[int, list[slice]] = {}
    for first in range(0, len(times), SECONDS_AT_ONCE):
        begin = first
        for length, day in _civil_day(times.slice(first, SECONDS_AT_ONCE), start).rle().struct.unnest().rows():
            found.setdefault(day, []).append(slice(begin, begin + length))
            begin += length
    return found


def _day_by_day(
    days: dict[int, list[slice]], rows: Callable[[slice], pl.DataFrame], sums: Sequence[pl.Expr]
) -> pl.DataFrame:
    """`sums` of the rows of each day, with the column `day`: what a day needs in memory is what all need."""
    parts = [
        pl.concat(map(rows, stretches)).select(*sums, day=pl.lit(day, pl.Int64)) for day, stretches in days.items()
    ]
    return pl.concat(parts or [rows(slice(0, 0)).select(*sums, day=pl.lit(0, pl.Int64)).clear()])


def _rows(seconds: pl.DataFrame, rows: slice) -> pl.DataFrame:
    return seconds.slice(rows.start, rows.stop - rows.start)


def _coded_rows(seconds: pl.DataFrame, rows: slice) -> pl.DataFrame:
    """The same rows of `coded`: the first one knows of the second before it."""
    before = min(rows.start, 1)
    return coded(_rows(seconds, slice(rows.start - before, rows.stop))).slice(before)


def _doubts(activities: Activities) -> list[pl.Expr]:
    """By how much the minutes of every class may vary by chance, if seconds were right by themselves (`minutes.interval`)."""
    chances = [pl.col(name).cast(pl.Float64) for name in activities.columns]
    unsure = [pl.when("wear").then(chance * (1 - chance)).sum() / 60 for chance in chances]
    return [one.alias(name) for one, name in zip(unsure, activities.columns, strict=True)]


def _between(
    daily: pl.DataFrame, doubts: pl.DataFrame, activities: Activities, intervals: Intervals
) -> list[pl.Series]:
    """The columns low_minutes_<class> ... and high_minutes_<class> ..., a row for each day of `daily`."""
    columns = minute_columns(activities)
    low, high = interval(daily.select(columns).to_numpy(), doubts.select(activities.columns).to_numpy(), intervals)
    known = daily["single_sensor_minutes"] <= MOST_SINGLE_MINUTES
    return [
        pl.Series(f"{side}_{column}", values[:, place]).zip_with(known, pl.Series([None], dtype=pl.Float64))
        for side, values in (("low", low), ("high", high))
        for place, column in enumerate(columns)
    ]


def coded(seconds: pl.DataFrame) -> pl.DataFrame:
    """What `summaries` are made of: wear, gap, ENMO, whether one sensor alone told the activity (tables of a time before that
    was possible do not say), the worn code of every second, and that of the one before."""
    told = pl.col("sensors") if "sensors" in seconds.columns else pl.lit("both")
    single = told.is_in(SENSORS).fill_null(value=False)
    columns = seconds.select("wear", "gap", *ENMO, single.alias("single"), code=worn_activity(seconds))
    return columns.with_columns(before=pl.col("code").shift())


def summaries(activities: Activities) -> list[pl.Expr]:
    """Of some rows of `coded`: wear_minutes, recorded_minutes, minutes_<class> ..., sit_to_stand, ENMO,
    single_sensor_minutes; see `daily_table`."""
    sitting, upright = _codes(activities, (SITTING,)), _codes(activities, UPRIGHT)
    rises = pl.col("before").is_in(sitting) & pl.col("code").is_in(upright)
    return [
        _minutes(pl.col("wear")).alias("wear_minutes"),
        _minutes(~pl.col("gap")).alias("recorded_minutes"),
        *(
            _minutes(pl.col("code") == code).alias(column)
            for code, column in zip(activities.codes, minute_columns(activities), strict=True)
        ),
        rises.sum().cast(pl.Int64).alias("sit_to_stand") if sitting and upright else _nothing("sit_to_stand"),
        *(pl.col(name).filter("wear").cast(pl.Float64).mean() for name in ENMO),
        _minutes(pl.col("wear") & pl.col("single")).alias("single_sensor_minutes"),
    ]


def minute_columns(activities: Activities) -> list[str]:
    """minutes_<class> ..., named like the columns p_<class>."""
    return [column.replace("p_", "minutes_", 1) for column in activities.columns]


def _codes(activities: Activities, names: tuple[str, ...]) -> list[int]:
    return [code for code, name in zip(activities.codes, activities.names, strict=True) if name.lower() in names]


def _minutes(seconds: pl.Expr) -> pl.Expr:
    return seconds.sum() / 60


def _nothing(name: str) -> pl.Expr:
    return pl.lit(None, dtype=pl.Int64).alias(name)


def _civil_day(times: pl.Series, start: datetime | None) -> pl.Series:
    """Days since 1970 on the recording's own clock, or since the start where there is no date; Int64."""
    if start is None:
        return times // 86_400
    clock = times.dt.replace_time_zone(None)
    if start.tzinfo is not None and not hasattr(start.tzinfo, "key"):  # `second_times` keeps a bare offset as UTC
        clock += start.utcoffset()
    return clock.dt.date().cast(pl.Int32).cast(pl.Int64)
