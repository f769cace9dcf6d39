"""people.csv: a row per person, from the daily.csv of every finished recording (DESIGN 2; PEERS W8).

Files are read person by person, so that memory does not grow with the days. What is per day is the plain mean over the
valid days. A day is valid from 10 hours of wear on, as is the field's convention since Troiano et al. (2008); weekends are
Saturday and Sunday (ours).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from selfpab.cohorts.finished_folders import predictions_in
from selfpab.inference.columns import PARTS_OF_WEEK
from selfpab.inference.days import ENMO
from selfpab.writing import write_csv

VALID_DAY_MINUTES = 600.0
Day = dict[str, float | None]


@dataclass(frozen=True)
class Visit:
    """What of a recording's info.json counts here."""

    folder: Path
    start: datetime | None
    seconds: int
    judged: int  # worn seconds with an activity
    uncertain: int  # of these
    remarks: int
    doubles: list[str] = field(default_factory=list)  # other folders of the same files


def write_people(out: Path, columns: Sequence[str], valid_day_minutes: float = VALID_DAY_MINUTES) -> Path:
    """people.csv in `out`, of all its finished recordings, those of earlier calls included.

    Of recordings that are made of the same files only the first counts, and its person's remarks name the others.

    columns : of the table, in their order, as `inference.column_dictionary` lists them; what a recording's daily.csv does
        not have is empty.
    valid_day_minutes : of wear, that make a day valid.
    """
    people: dict[str, list[Visit]] = {}
    first: dict[str, Visit] = {}
    for folder, info in predictions_in(out):
        visit = _visit(folder, info)
        sha256 = info.get("content", {}).get("sha256")
        if sha256 is None or first.setdefault(sha256, visit) is visit:
            people.setdefault(str(info["subject"]), []).append(visit)
        else:
            first[sha256].doubles.append(folder.name)
    rows = (_row(subject, people[subject], valid_day_minutes) for subject in sorted(people))
    return write_csv(out / "people.csv", columns, ([row.get(column) for column in columns] for row in rows))


def days_of(folders: Iterable[Path]) -> dict[object, Day]:
    """The days of a person's recordings, added up where recordings share a civil day.

    Keys are dates, or (folder, number) where a recording has no dates: such days are its own. Values are the columns of
    daily.csv but `date` and `day`; ENMO is weighted by wear. None where nothing is known.
    """
    found: dict[object, Day] = {}
    for folder in folders:
        with open(folder / "daily.csv", newline="", encoding="utf-8") as file:
            for cells in csv.DictReader(file):
                key = date.fromisoformat(cells["date"]) if cells["date"] else (folder, int(cells["day"]))
                own = {
                    name: float(cell) if cell else None for name, cell in cells.items() if name not in ("date", "day")
                }
                found[key] = _together(found[key], own) if key in found else own
    return found


def _visit(folder: Path, info: Mapping[str, Any]) -> Visit:
    return Visit(
        folder=folder,
        start=None if info["start"] is None else datetime.fromisoformat(info["start"]),
        seconds=info["seconds"],
        judged=sum(info["seconds_per_activity"].values()),
        uncertain=info["seconds_uncertain"],
        remarks=len(info["source"].get("warnings", ())),
    )


def _row(subject: str, visits: Sequence[Visit], valid_day_minutes: float) -> dict[str, object]:
    days = {key: day for key, day in days_of(visit.folder for visit in visits).items() if day["recorded_minutes"]}
    valid = {key: day for key, day in days.items() if (day["wear_minutes"] or 0) >= valid_day_minutes}
    dates = sorted(key for key in days if isinstance(key, date))
    parts = {
        "": list(valid.values()),
        "_weekday": [day for key, day in valid.items() if isinstance(key, date) and key.weekday() < 5],
        "_weekend": [day for key, day in valid.items() if isinstance(key, date) and key.weekday() >= 5],
    }
    assert parts.keys() == PARTS_OF_WEEK.keys()
    judged = sum(visit.judged for visit in visits)
    dated = bool(dates) or not days
    return {
        "subject": subject,
        "recordings": len(visits),
        "first_date": dates[0] if dates else None,
        "last_date": dates[-1] if dates else None,
        "days": len(days),
        "valid_days": len(valid),
        "valid_weekdays": len(parts["_weekday"]) if dated else None,
        "valid_weekend_days": len(parts["_weekend"]) if dated else None,
        **{name + suffix: value for suffix, some in parts.items() for name, value in _means(some).items()},
        "uncertain_share": round(sum(visit.uncertain for visit in visits) / judged, 4) if judged else None,
        "quality_remarks": sum(visit.remarks for visit in visits),
        "remarks": "; ".join(_remarks(visits, len(dates) < len(days))) or None,
    }


def _means(days: Sequence[Day]) -> dict[str, float]:
    """Mean of every column over the days that know it."""
    names = {name for day in days for name in day}
    known = {name: [value for day in days if (value := day.get(name)) is not None] for name in names}
    return {name: round(fmean(values), 4) for name, values in known.items() if values}


def _together(one: Day, other: Day) -> Day:
    """Two pieces of a day: sums; ENMO is a mean, so it is weighted by wear."""
    both: Day = {}
    for name in {**one, **other}:
        values = [
            (value, part["wear_minutes"] or 0.0) for part in (one, other) if (value := part.get(name)) is not None
        ]
        weight = sum(weight for _, weight in values)
        if not values:
            both[name] = None
        elif name in ENMO:
            both[name] = sum(value * own for value, own in values) / weight if weight else None
        else:
            both[name] = sum(value for value, _ in values)
    return both


def _remarks(visits: Sequence[Visit], undated: bool) -> Iterator[str]:
    if undated:
        yield "days of recordings without a date are of 24 hours from their start, and neither weekday nor weekend"
    for visit in visits:
        for name in visit.doubles:
            yield f"{name} has the same files as {visit.folder.name}: they count once"
    for one, other in combinations(visits, 2):
        if _overlap(one, other):
            yield f"{one.folder.name} and {other.folder.name} overlap: what they share counts twice"


def _overlap(one: Visit, other: Visit) -> bool:
    if one.start is None or other.start is None or (one.start.tzinfo is None) != (other.start.tzinfo is None):
        return False
    ends = [visit.start + timedelta(seconds=visit.seconds - 1) for visit in (one, other) if visit.start is not None]
    return max(one.start, other.start) < min(ends)
