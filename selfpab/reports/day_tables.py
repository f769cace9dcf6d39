"""The tables of the page: what stands in daily.csv and bouts.csv, in words and rounded, never computed another way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from selfpab.activities import Activities
from selfpab.inference.days import ENMO, LONG_BOUT_S, SITTING, minute_columns
from selfpab.reports.day_lines import length, local_seconds, moment
from selfpab.reports.page_parts import table

DAYS_BESIDE = 8  # columns that fit on paper: a week that begins and ends in the middle of a day
MOST_SITTING = 20
NONE = "–"


def day_names(daily: pl.DataFrame) -> list[str]:
    """Of every row: the date, or its number where the recording has none."""
    dates = [None if date is None else datetime(date.year, date.month, date.day) for date in daily["date"]]
    return [
        f"day {day}" if date is None else f"{date:%a} {date.day} {date:%b}"
        for day, date in zip(daily["day"], dates, strict=True)
    ]


def minutes_tables(daily: pl.DataFrame, activities: Activities, order: Sequence[int]) -> str:
    """A column per row of daily.csv and one for all, `DAYS_BESIDE` days to a table; a row per column of daily.csv.

    order : class indices from top to bottom.
    """
    names = day_names(daily)
    columns = minute_columns(activities)
    classes = [(activities.names[k], columns[k]) for k in order]
    rows = [("recorded, min", "recorded_minutes"), ("worn, min", "wear_minutes")]
    rows += [(f"{name}, min", column) for name, column in classes]
    counts = [("sit to stand", "sit_to_stand"), (f"sitting {LONG_BOUT_S // 60} min or longer", "sitting_bouts_30min")]
    means = [(f"movement of the {column.split('_')[1]} (ENMO), mg", column) for column in ENMO]
    parts = []
    for first in range(0, len(daily), DAYS_BESIDE):
        days = daily[first : first + DAYS_BESIDE]
        last = len(daily) > 1 and first + DAYS_BESIDE >= len(daily)
        cells = []
        for heading, column in [*rows, *counts, *means]:
            form = "{:,d}" if (heading, column) in counts else "{:,.1f}"
            values = [*days[column], *([_whole(daily[column], (heading, column) in means)] if last else [])]
            cells.append((heading, *(NONE if value is None else form.format(value) for value in values)))
        head = ("", *names[first : first + DAYS_BESIDE], *(["all days"] if last else []))
        parts.append(table(f"minutes-{first // DAYS_BESIDE + 1}", head, cells))
    return "".join(parts)


def _whole(values: pl.Series, mean: bool) -> float | int | None:
    """Of all days: the sum; of movement nothing, for days are worn for different times."""
    if mean or values.null_count() == len(values):
        return None
    return int(values.sum()) if values.dtype.is_integer() else float(values.sum())


def bouts_table(bouts: pl.DataFrame, activities: Activities, order: Sequence[int], start: datetime | None) -> str:
    """A row per activity that bouts.csv has: how many, together, median, longest, and when the longest began."""
    ranked = bouts.sort("seconds", descending=True, maintain_order=True)
    codes, seconds = ranked["activity"].to_numpy(), ranked["seconds"].to_numpy()
    began = local_seconds(ranked["start"], start)
    rows = []
    for code, name in ((activities.codes[k], activities.names[k]) for k in order):
        own = np.flatnonzero(codes == code)  # the longest comes first
        if not len(own):
            continue
        median = float(np.median(seconds[own]))
        middle = f"{median:g} s" if median < 60 else length(median)
        together, longest = length(int(seconds[own].sum())), length(int(seconds[own[0]]))
        first = moment(int(began[own[0]]), start is not None)
        rows.append((name, f"{len(own):,}", together, middle, longest, first))
    return table("bouts", ("", "bouts", "together", "median", "longest", "the longest began"), rows)


def long_sitting(bouts: pl.DataFrame, activities: Activities) -> pl.DataFrame:
    """The rows of bouts.csv that are long sitting, longest first."""
    codes = [code for code, name in zip(activities.codes, activities.names, strict=True) if name.lower() == SITTING]
    kept = bouts.filter(pl.col("activity").is_in(codes) & (pl.col("seconds") >= LONG_BOUT_S))
    return kept.sort("seconds", descending=True, maintain_order=True)


def sitting_table(bouts: pl.DataFrame, activities: Activities, start: datetime | None) -> str:
    """The longest stretches of sitting, of 30 minutes and more, `MOST_SITTING` of them."""
    found = long_sitting(bouts, activities)
    if not len(found):
        return f"<p>No stretch of sitting lasted {LONG_BOUT_S // 60} minutes without a second of something else.</p>"
    shown = found[:MOST_SITTING]
    begins, ends = _times(shown, "start", start), _times(shown, "end", start)
    rows = [(begin, end, length(seconds)) for begin, end, seconds in zip(begins, ends, shown["seconds"], strict=True)]
    few = "" if len(found) == len(shown) else f" The {len(shown)} longest of {len(found)}; bouts.csv has all."
    note = f"<p>Stretches of sitting of {LONG_BOUT_S // 60} minutes and more, longest first.{few}</p>"
    return note + table("sitting", ("from", "to", "for"), rows)


def _times(rows: pl.DataFrame, column: str, start: datetime | None) -> list[str]:
    return [moment(int(when), start is not None) for when in local_seconds(rows[column], start)]


def span(local_s: np.ndarray, dated: bool) -> str:
    """From when to when, both ends in words.

    >>> span(np.array([0, 59]), False)
    'from day 1 00:00:00 from the start to day 1 00:01:00 from the start'
    """
    return f"from {moment(int(local_s[0]), dated)} to {moment(int(local_s[-1]) + 1, dated)}"
