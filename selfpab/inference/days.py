"""A row per civil day: minutes, bouts, transitions, movement (DESIGN 2, prediction folder).

Nothing is smoothed, and seconds without wear count only as recorded. What is counted by name is found by the names of
HARTH's and HAR70+'s classes; where a label set does not have them, the column is null.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from selfpab.activities import NAMES, Activities
from selfpab.inference.bouts import worn_activity
from selfpab.inference.minutes import Intervals, interval
from selfpab.recording import SENSORS

SITTING = NAMES[7]
UPRIGHT = tuple(NAMES[code] for code in (1, 2, 3, 4, 5, 6))  # walking, running, shuffling, stairs, standing
LONG_BOUT_S = 30 * 60
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
    minutes_<class> ... : worn seconds of every class, named like the columns p_<class>.
    sit_to_stand : seconds of sitting that an upright one (walking, running, shuffling, stairs, standing) directly
        follows; on the day of the latter.
    sitting_bouts_30min : bouts of sitting of 30 minutes and more, on the day on which they start.
    enmo_back_mg, enmo_thigh_mg : mean over the worn seconds that have it.
    low_minutes_<class>, high_minutes_<class> ... : with `intervals` (of the model's calibration), between which the
        minutes lie with its level, for a person like those it was fitted on.
    """
    sitting = _codes(activities, (SITTING,))
    day = _civil_day(seconds["time"], start)
    table = coded(seconds).with_columns(day=day)
    daily = table.group_by("day", maintain_order=True).agg(summaries(activities))
    long = bouts.filter(pl.col("activity").is_in(sitting) & (pl.col("seconds") >= LONG_BOUT_S))
    counts = _civil_day(long["start"], start).alias("day").value_counts(name="long").cast({"long": pl.Int64})
    many = pl.col("long").fill_null(0) if sitting else _nothing("long")
    date = pl.col("day").cast(pl.Date) if start is not None else pl.lit(None, dtype=pl.Date)
    between = []
    if intervals is not None:
        between = _between(daily, seconds.with_columns(day=day), activities, intervals)
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
    )


def _between(
    daily: pl.DataFrame, seconds: pl.DataFrame, activities: Activities, intervals: Intervals
) -> list[pl.Series]:
    """The columns low_minutes_<class> ... and high_minutes_<class> ..., a row for each day of `daily`."""
    chances = [pl.col(name).cast(pl.Float64) for name in activities.columns]
    unsure = [pl.when("wear").then(chance * (1 - chance)).sum() / 60 for chance in chances]
    doubt = seconds.group_by("day", maintain_order=True).agg(
        one.alias(name) for one, name in zip(unsure, activities.columns, strict=True)
    )
    columns = minute_columns(activities)
    low, high = interval(daily.select(columns).to_numpy(), doubt.select(activities.columns).to_numpy(), intervals)
    return [
        pl.Series(f"{side}_{column}", values[:, place])
        for side, values in (("low", low), ("high", high))
        for place, column in enumerate(columns)
    ]


def coded(seconds: pl.DataFrame) -> pl.DataFrame:
    """What `summaries` are made of: wear, gap, ENMO, the worn code of every second, and that of the one before."""
    return seconds.select("wear", "gap", *ENMO, code=worn_activity(seconds)).with_columns(before=pl.col("code").shift())


def summaries(activities: Activities) -> list[pl.Expr]:
    """Of some rows of `coded`: wear_minutes, recorded_minutes, minutes_<class> ..., sit_to_stand, ENMO; see `daily_table`."""
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
