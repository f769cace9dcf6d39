"""A row per civil day: minutes, bouts, transitions, movement (DESIGN 2, prediction folder).

Nothing is smoothed, and seconds without wear count only as recorded. What is counted by name is found by the names of
HARTH's and HAR70+'s classes; where a label set does not have them, the column is null.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from selfpab.activities import NAMES, Activities
from selfpab.inference.bouts import worn_activity
from selfpab.recording import SENSORS

SITTING = NAMES[7]
UPRIGHT = tuple(NAMES[code] for code in (1, 2, 3, 4, 5, 6))  # walking, running, shuffling, stairs, standing
LONG_BOUT_S = 30 * 60
ENMO = tuple(f"enmo_{sensor}_mg" for sensor in SENSORS)


def daily_table(
    seconds: pl.DataFrame, bouts: pl.DataFrame, activities: Activities, start: datetime | None
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
    """
    sitting, upright = _codes(activities, (SITTING,)), _codes(activities, UPRIGHT)
    table = seconds.select(
        "wear",
        "gap",
        *ENMO,
        day=_civil_day(seconds["time"], start),
        code=worn_activity(seconds),
    ).with_columns(before=pl.col("code").shift())
    minutes = [
        _minutes(pl.col("code") == code).alias(column.replace("p_", "minutes_", 1))
        for code, column in zip(activities.codes, activities.columns, strict=True)
    ]
    rises = pl.col("before").is_in(sitting) & pl.col("code").is_in(upright)
    daily = table.group_by("day", maintain_order=True).agg(
        _minutes(pl.col("wear")).alias("wear_minutes"),
        _minutes(~pl.col("gap")).alias("recorded_minutes"),
        *minutes,
        rises.sum().cast(pl.Int64).alias("sit_to_stand") if sitting and upright else _nothing("sit_to_stand"),
        *(pl.col(name).filter("wear").cast(pl.Float64).mean() for name in ENMO),
    )
    long = bouts.filter(pl.col("activity").is_in(sitting) & (pl.col("seconds") >= LONG_BOUT_S))
    counts = _civil_day(long["start"], start).alias("day").value_counts(name="long").cast({"long": pl.Int64})
    many = pl.col("long").fill_null(0) if sitting else _nothing("long")
    date = pl.col("day").cast(pl.Date) if start is not None else pl.lit(None, dtype=pl.Date)
    return daily.join(counts, on="day", how="left", maintain_order="left").select(
        date.alias("date"),
        (pl.col("day") - pl.col("day").min() + 1).alias("day"),
        pl.col("wear_minutes", "recorded_minutes"),
        pl.col([column.meta.output_name() for column in minutes]),
        "sit_to_stand",
        many.alias("sitting_bouts_30min"),
        *ENMO,
    )


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
