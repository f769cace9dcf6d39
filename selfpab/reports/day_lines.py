"""Where a second stands in the picture of the week: on which line, at which time of the day, and in which state.

A line is a civil day of the recording's own clock, from 0 to 24 o'clock. Where clocks are put back, an hour comes twice:
its second time is a line of its own. Where they are put forward, an hour stays empty. Ours. Legend: R seconds, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl

from selfpab.activities import NAMES, Activities
from selfpab.inference.bouts import worn_activity
from selfpab.scratch import room_for

DAY_S = 86_400
ROWS_AT_ONCE = 1 << 16  # a power of two, as are `packing.bin_seconds`: no bin is in two pieces
NOT_COUNTED = ("not worn", "a sensor missing", "not recorded")  # states behind the classes: K, K + 1, K + 2
_ORDER = (8, 7, 6, 3, 13, 14, 1, 5, 4, 2)  # from lying to running: the heights in the picture (ours)
_LOWEST = 0.3
_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800)  # between the ticks of an axis
_MOST_TICKS = 12
Values = TypeVar("Values", pl.DataFrame, pl.Series)


class Line(NamedTuple):
    """A day, or what of it comes a second time, as stretches of rows of `seconds`; there may be more than one."""

    day: int  # civil day since 1970, or since the start
    again: bool  # the second time of an hour that comes twice
    stretches: tuple[slice, ...]
    local_s: np.ndarray  # of all rows, not only of these

    @property
    def rows(self) -> np.ndarray:
        """int64, in order."""
        return np.concatenate([np.arange(part.start, part.stop) for part in self.stretches])

    @property
    def times_s(self) -> np.ndarray:
        """Seconds since midnight by the clock, int64, of every row."""
        return np.concatenate([self.local_s[part] for part in self.stretches]) % DAY_S


class Axis(NamedTuple):
    """Seconds since midnight at both ends, and between ticks."""

    first_s: int
    stop_s: int
    tick_s: int


def local_seconds(times: pl.Series, start: datetime | None) -> np.ndarray:
    """Seconds since 1970 as the recording's own clock shows them, or since the start where it has no date: int64 (R,).

    The clock is the one that `daily.csv` goes by: also a bare offset's, which the other tables keep as UTC.
    """
    offset = timedelta(0)
    if start is None:
        return by_pieces(times, lambda piece: piece, np.int64)
    if start.tzinfo is not None and not hasattr(start.tzinfo, "key"):
        offset = start.utcoffset() or offset
    return by_pieces(times, lambda piece: (piece.dt.replace_time_zone(None) + offset).dt.epoch("s"), np.int64)


def by_pieces(
    values: Values, numbers: Callable[[Values], pl.Series], dtype: type[np.int64 | np.uint16 | np.uint8]
) -> np.ndarray:
    """`numbers` of a long table or column, made of pieces of it, so that what is made on the way does not grow with it."""
    result = room_for(len(values), dtype)
    for first in range(0, len(values), ROWS_AT_ONCE):
        result[first : first + ROWS_AT_ONCE] = numbers(values.slice(first, ROWS_AT_ONCE)).to_numpy()
    return result


def clock_changes(local_s: np.ndarray) -> list[int]:
    """Rows at which the recording's clock was put forward or back; a gap is no such change.

    >>> clock_changes(np.array([7, 8, 9, 8, 9, 12]))
    [3, 5]
    """
    found: list[int] = []
    for first in range(0, len(local_s) - 1, ROWS_AT_ONCE):
        here = local_s[first : first + ROWS_AT_ONCE + 1]
        found += (first + 1 + np.flatnonzero(np.diff(here) != 1)).tolist()
    return found


def lines_of(local_s: np.ndarray) -> list[Line]:
    """The lines of the picture, in order of time; a day without any second has none.

    >>> clock = np.array([86398, 86399, 86400, 86399, 86400, 86401])  # put back by two seconds, just after midnight
    >>> [(line.day, line.again, line.times_s.tolist()) for line in lines_of(clock)]
    [(0, False, [86398, 86399]), (1, False, [0, 1]), (0, True, [86399]), (1, True, [0])]
    """
    found: dict[int, list[slice]] = {}
    latest = np.iinfo(np.int64).min
    for first in range(0, len(local_s), ROWS_AT_ONCE):
        here = local_s[first : first + ROWS_AT_ONCE]
        before = np.maximum.accumulate(np.append(latest, here))
        keys = 2 * (here // DAY_S) + (here <= before[:-1])
        latest = before[-1]
        edges = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1, append=keys[-1] - 1))
        for begin, stop in pairwise(edges.tolist()):
            stretches = found.setdefault(int(keys[begin]), [])
            goes_on = bool(stretches) and stretches[-1].stop == first + begin
            start = stretches.pop().start if goes_on else first + begin
            stretches.append(slice(start, first + stop))
    return [Line(key // 2, bool(key % 2), tuple(stretches), local_s) for key, stretches in found.items()]


def states_of(seconds: pl.DataFrame, activities: Activities) -> np.ndarray:
    """uint8 (R,): the class index of what the tables count, or K and more for `NOT_COUNTED`."""
    places = {code: place for place, code in enumerate(activities.codes)}
    missing = pl.when("gap").then(len(places) + 2).when(~pl.col("wear")).then(len(places)).otherwise(len(places) + 1)

    def numbers(rows: pl.DataFrame) -> pl.Series:
        counted = worn_activity(rows).replace_strict(places, default=None, return_dtype=pl.Int64)
        return counted.fill_null(rows.select(missing.cast(pl.Int64)).to_series())

    return by_pieces(seconds, numbers, np.uint8)


def heights_of(activities: Activities) -> list[float]:
    """How high every class stands on a line, 0 to 1: the picture can be read without its colours.

    >>> from selfpab.activities import HAR70PLUS
    >>> dict(zip(HAR70PLUS.names, heights_of(HAR70PLUS)))["lying"]
    0.3
    """
    known = {NAMES[code]: rank for rank, code in enumerate(_ORDER)}
    ranks = [known.get(name, len(known) + place) for place, name in enumerate(activities.names)]
    steps = max(len(ranks) - 1, 1)
    return [round(_LOWEST + (1 - _LOWEST) * sorted(ranks).index(rank) / steps, 3) for rank in ranks]


def axis_of(lines: Sequence[Line]) -> Axis:
    """0 to 24 o'clock; of a recording within one day only the hours it needs.

    >>> axis_of([Line(0, False, (slice(0, 3),), np.array([36_010, 36_011, 37_000]))])
    Axis(first_s=36000, stop_s=37080, tick_s=120)
    """
    if len(lines) != 1:
        return Axis(0, DAY_S, _STEPS_S[-1])
    first, last = int(lines[0].times_s[0]), int(lines[0].times_s[-1]) + 1
    tick = next((step for step in _STEPS_S if last - first <= _MOST_TICKS * step), _STEPS_S[-1])
    return Axis(first // tick * tick, min(-(-last // tick) * tick, DAY_S), tick)


def majority(values: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    """The most frequent of the small whole numbers `values` at each of `count` places, int64; -1 where there is none.

    >>> majority(np.array([2, 2, 1, 0]), np.array([0, 0, 0, 2]), 3).tolist()
    [2, -1, 0]
    """
    kinds = int(values.max(initial=0)) + 1
    votes = np.bincount(places * kinds + values, minlength=count * kinds).reshape(count, kinds)
    return np.where(votes.any(axis=1), votes.argmax(axis=1), -1)


def day_name(line: Line, dated: bool, first_day: int) -> str:
    """What stands beside a line.

    >>> day_name(Line(19_723, False, (), np.arange(0)), True, 19_723), day_name(Line(1, False, (), np.arange(0)), False, 0)
    ('Mon 1 Jan', 'day 2')
    """
    name = (
        f"{date_of(line.day):%a} {date_of(line.day).day} {date_of(line.day):%b}"
        if dated
        else f"day {line.day - first_day + 1}"
    )
    return f"{name}, again" if line.again else name


def date_of(day: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(days=day)


def moment(local_s: int, dated: bool) -> str:
    """A time in words, by the recording's clock.

    >>> moment(1_704_096_012, True), moment(90_000, False)
    ('Mon 1 Jan 2024 08:00:12', 'day 2 01:00:00 from the start')
    """
    clock = f"{local_s % DAY_S // 3600:02}:{local_s % 3600 // 60:02}:{local_s % 60:02}"
    if not dated:
        return f"day {local_s // DAY_S + 1} {clock} from the start"
    date = date_of(local_s // DAY_S)
    return f"{date:%a} {date.day} {date:%b %Y} {clock}"


def length(seconds: float) -> str:
    """A duration in words, to the second.

    >>> length(3723), length(59.6), length(0)
    ('1 h 2 min 3 s', '1 min', '0 s')
    """
    whole = round(seconds)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "min"), (whole % 60, "s"))
    return " ".join(f"{count:,} {unit}" for count, unit in parts if count) or "0 s"
