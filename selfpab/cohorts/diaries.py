"""What people wrote down: intervals such as time in bed or work, joined to what the sensors say (DESIGN 2; PEERS W13).

Nothing is inferred from an interval: lying in bed is lying, not sleep. A row that cannot be right is named by its number,
as a spreadsheet shows it (the header is row 1), and never left out silently.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from pathlib import Path

from selfpab.data.sources import Problem

Moment = datetime | float  # a date and time, or seconds from the start of a recording that has no date
NAMES = {  # what a column may be called; case, spaces, hyphens and underscores do not count
    "person": ("subject", "recording", "person", "participant", "name", "id", "pid"),
    "start": ("start", "from", "begin", "starttime", "onset"),
    "end": ("end", "to", "until", "stop", "endtime", "offset"),
    "kind": ("kind", "type", "what", "label", "interval", "activity"),
}
WANTED = "2024-05-01 22:30, with an offset such as +02:00 where the recording's clock is not meant"
TOLD = 10  # wrong rows that are listed


@dataclass(frozen=True)
class Interval:
    """A row of a diary; `start` and `end` are as they stand there, so that naive ones mean the recording's own clock."""

    row: int
    person: str
    kind: str
    start: Moment
    end: Moment

    def placed(self, zone: tzinfo | None, dated: bool) -> tuple[Moment, Moment]:
        """start and end on a recording's clock: of this zone, naive (None), or seconds where it is not `dated`.

        Where summer time ends, an hour comes twice: the first is meant, unless the diary gives an offset.

        Raises ValueError for an interval that is written for another kind of clock, and for a time that no clock showed.
        """
        start, end = (_on_clock(moment, zone, dated, self.row) for moment in (self.start, self.end))
        if not seconds_of(start) < seconds_of(end):
            raise ValueError(f"row {self.row}: ends at {end}, which in this zone is not after its start, {start}")
        return start, end


def read_diary(path: Path) -> tuple[Interval, ...]:
    """The intervals of a csv file with columns for person, start, end and kind, in its order.

    The person is a subject or the name of a recording's folder. Columns may be called as in `NAMES` and be divided by
    commas, semicolons or tabs; others are ignored. Times are ISO 8601 or 01.05.2024 22:30 (day first). Intervals of
    different kinds may overlap, those of one kind and person may not.

    Raises FileNotFoundError; ValueError that names the wrong rows, ten at most.
    """
    text = path.read_text(encoding="utf-8-sig")  # a spreadsheet begins its files with a mark
    head = text.partition("\n")[0]
    rows = list(csv.reader(text.splitlines(), delimiter=max(",;\t", key=head.count)))
    if not rows:
        raise ValueError(f"{path} is empty; wanted a header and rows with person, start, end and kind")
    places = _places(rows[0], path)
    found: list[Interval] = []
    wrong: list[tuple[int, str]] = []
    for number, row in enumerate(rows[1:], start=2):
        if any(cell.strip() for cell in row):
            try:
                found.append(_interval(number, row, places))
            except ValueError as error:
                wrong.append((number, str(error)))
    wrong += _overlaps(found)
    if wrong:
        told = [f"row {number}: {reason}" for number, reason in sorted(wrong)[:TOLD]]
        more = [f"and {len(wrong) - TOLD} more"] if len(wrong) > TOLD else []
        raise ValueError(f"{path}: {'; '.join(told + more)}")
    return tuple(found)


def intervals_of(diary: Iterable[Interval], names: Iterable[str]) -> list[Interval]:
    """Those of a person who is called by any of these names."""
    wanted = {_plain(name) for name in names}
    return [interval for interval in diary if _plain(interval.person) in wanted]


def strangers(path: Path, diary: Sequence[Interval], names: Iterable[str]) -> list[Problem]:
    """One problem with all rows of people that no recording is of; none where there are none."""
    known = {_plain(name) for name in names}
    rows: dict[str, list[int]] = {}
    for interval in diary:
        if _plain(interval.person) not in known:
            rows.setdefault(interval.person, []).append(interval.row)
    if not rows:
        return []
    people = [f"{person} (row {', '.join(map(str, places[:TOLD]))})" for person, places in rows.items()]
    more = f" and {len(people) - TOLD} more" if len(people) > TOLD else ""
    return [
        Problem(path, f"no recording is of {', '.join(people[:TOLD])}{more}; wanted subjects or names of recordings")
    ]


def seconds_of(moment: Moment) -> float:
    """For comparisons and differences: seconds since 1970, a naive clock read as if it were UTC; seconds as they are.

    >>> seconds_of(datetime(1970, 1, 1, 0, 1)), seconds_of(90.0)
    (60.0, 90.0)
    """
    if not isinstance(moment, datetime):
        return moment
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _places(header: Sequence[str], path: Path) -> dict[str, int]:
    """Which column is which."""
    plain = [re.sub(r"[\s_-]", "", cell).lower() for cell in header]
    places = {}
    for wanted, names in NAMES.items():
        fitting = [plain.index(name) for name in names if name in plain]
        if not fitting:
            raise ValueError(
                f"{path} has no column for the {wanted}; wanted one called {' or '.join(names[:3])}, got {', '.join(header)}"
            )
        places[wanted] = fitting[0]
    return places


def _interval(number: int, row: Sequence[str], places: dict[str, int]) -> Interval:
    cells = {name: " ".join(row[place].split()) if place < len(row) else "" for name, place in places.items()}
    for name, cell in cells.items():
        if not cell:
            raise ValueError(f"no {name}")
    start, end = _moment(cells["start"]), _moment(cells["end"])
    if _clock(start) != _clock(end):
        raise ValueError(f"start {cells['start']} and end {cells['end']} are not of one kind; wanted {WANTED}")
    if not seconds_of(start) < seconds_of(end):
        raise ValueError(f"end {cells['end']} is not after start {cells['start']}")
    return Interval(number, cells["person"], cells["kind"].lower(), start, end)


def _moment(cell: str) -> Moment:
    if re.fullmatch(r"\d+(\.\d+)?", cell) and len(cell.partition(".")[0]) < 8:  # 20240501 would be a date
        return float(cell)
    german = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})[ T](\d{1,2}:\d{2}(?::\d{2})?)", cell)
    if german:
        day, month, year, clock = german.groups()
        cell = (
            f"{year}-{month:0>2}-{day:0>2} {clock:0>5}"
            if len(clock) < 6
            else f"{year}-{month:0>2}-{day:0>2} {clock:0>8}"
        )
    try:
        if ":" in cell:  # a date alone would say nothing of the hour
            return datetime.fromisoformat(cell)
    except ValueError:
        pass
    raise ValueError(f"{cell!r} is no date with a time; wanted {WANTED}")


def _clock(moment: Moment) -> str:
    if not isinstance(moment, datetime):
        return "seconds"
    return "naive" if moment.tzinfo is None else "aware"


def _overlaps(found: Sequence[Interval]) -> list[tuple[int, str]]:
    """Rows whose interval begins within another of the same kind and person."""
    groups: dict[tuple[str, str, str], list[Interval]] = {}
    for interval in found:
        groups.setdefault((_plain(interval.person), interval.kind, _clock(interval.start)), []).append(interval)
    wrong = []
    for group in groups.values():
        for one, next_ in pairwise(sorted(group, key=lambda interval: seconds_of(interval.start))):
            if seconds_of(next_.start) < seconds_of(one.end):
                wrong.append((next_.row, f"{next_.kind} of {next_.person} begins before that of row {one.row} ends"))
    return wrong


def _on_clock(moment: Moment, zone: tzinfo | None, dated: bool, row: int) -> Moment:
    if isinstance(moment, datetime) != dated:
        has = "has dates" if dated else "has no dates"
        raise ValueError(f"row {row}: {moment} does not fit a recording that {has}")
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        if zone is None:
            return moment
        local = moment.replace(tzinfo=zone)
        if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
            raise ValueError(f"row {row}: {moment} is a local time that {zone} skipped when summer time began")
        return local
    if zone is None:
        raise ValueError(f"row {row}: {moment} has an offset, but the recording's clock has no time zone; give tz=")
    return moment.astimezone(zone)


def _plain(name: str) -> str:
    return name.strip().casefold()
