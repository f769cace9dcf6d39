"""diary.csv of a recording, a row per interval, and people_diary.csv, a row per person and kind of interval.

A diary that changes does not make predictions anew: its rows are joined to the seconds.parquet that are there.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from selfpab.cohorts.diaries import Interval, Moment, intervals_of, seconds_of
from selfpab.cohorts.finished_folders import classes_of, clock_of, facts_of, predictions_in
from selfpab.inference.columns import column_dictionary
from selfpab.inference.days import ENMO, coded, summaries
from selfpab.writing import write_csv, write_text

NAME = "diary.csv"
MEASURED_FROM = "recorded_minutes"  # the columns from this one on are measured, not written down


def join_diary(folder: Path, diary: Iterable[Interval]) -> None:
    """Write diary.csv into a finished prediction's folder, or take it away where no interval is the person's.

    info.json keeps a key of the intervals: what was joined already is not joined again.

    Raises ValueError, which names the row, for an interval that does not fit the recording's clock.
    """
    info = facts_of(folder) or json.loads((folder / "info.json").read_text(encoding="utf-8"))
    mine = intervals_of(diary, (str(info["subject"]), folder.name))
    key = hashlib.sha256(repr((info["key"], mine)).encode()).hexdigest()
    files = sorted({*info["files"]} - {NAME})
    if mine:
        if info.get("diary") == key and (folder / NAME).exists():
            return
        write_csv(folder / NAME, *diary_table(folder, info, mine))
        info |= {"diary": key, "files": sorted([*files, NAME])}
    elif "diary" in info or NAME in info["files"]:
        info["files"] = files
        info.pop("diary", None)
    else:
        return
    write_text(folder / "info.json", json.dumps(info, indent=1))
    if not mine:
        (folder / NAME).unlink(missing_ok=True)


def diary_table(
    folder: Path, info: Mapping[str, Any], intervals: Sequence[Interval]
) -> tuple[list[str], list[list[object]]]:
    """Header and rows of diary.csv: what the seconds that begin in every interval hold.

    An interval outside the recording has 0 recorded minutes.
    """
    activities = classes_of(info)
    wanted = ["time", "activity", "wear", "gap", *ENMO, "sensors"]
    there = pl.read_parquet_schema(folder / "seconds.parquet")  # of an earlier version without the last one
    seconds = pl.read_parquet(folder / "seconds.parquet", columns=[name for name in wanted if name in there])
    zone = clock_of(seconds["time"], info)
    first = _first_moment(seconds, info["start"] is not None)
    table, sums = coded(seconds), summaries(activities)
    listed = column_dictionary(activities).filter(pl.col("file") == NAME)["column"].to_list()
    rows: list[list[object]] = []
    for interval in sorted(intervals, key=lambda interval: (seconds_of(interval.start), interval.row)):
        start, end = interval.placed(zone, dated=info["start"] is not None)
        low, high = (min(max(math.ceil(seconds_of(moment) - first), 0), len(table)) for moment in (start, end))
        row = table.slice(low, high - low).select(sums).row(0, named=True)
        row |= {"diary_row": interval.row, "kind": interval.kind, "start": _text(start), "end": _text(end)}
        row["minutes"] = (seconds_of(end) - seconds_of(start)) / 60
        rows.append([round(row[name], 4) if isinstance(row[name], float) else row[name] for name in listed])
    return listed, rows


def write_people_diary(out: Path, columns: Sequence[str]) -> None:
    """people_diary.csv of every diary.csv in `out`; none where there is none.

    columns : of the table, in their order. An interval that touches several recordings of a person is one interval; in
        recordings that are made of the same files it counts once.
    """
    found: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    counted: dict[tuple[str, str], Path] = {}
    for folder, info in predictions_in(out):
        if "diary" in info:
            sha256 = info.get("content", {}).get("sha256", folder.name)
            with open(folder / NAME, newline="", encoding="utf-8") as file:
                for cells in csv.DictReader(file):
                    if counted.setdefault((sha256, cells["diary_row"]), folder) != folder:
                        continue
                    own = found.setdefault((str(info["subject"]), cells["kind"]), {})
                    _add(own.setdefault(int(cells["diary_row"]), {}), cells)
    if not found:
        (out / "people_diary.csv").unlink(missing_ok=True)
        return
    rows = [_person(subject, kind, list(found[subject, kind].values())) for subject, kind in sorted(found)]
    write_csv(out / "people_diary.csv", columns, [[row.get(column) for column in columns] for row in rows])


def _add(interval: dict[str, Any], cells: Mapping[str, str]) -> None:
    """What one recording has of an interval; ENMO becomes its sum over worn minutes, so that it adds up too."""
    interval["start"], interval["minutes"] = cells["start"], float(cells["minutes"])
    names = list(cells)
    for name in names[names.index(MEASURED_FROM) :]:
        if cells[name]:
            weight = float(cells["wear_minutes"]) if name in ENMO else 1.0
            interval[name] = interval.get(name, 0.0) + float(cells[name]) * weight


def _person(subject: str, kind: str, intervals: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    worn = [interval for interval in intervals if interval["wear_minutes"]]
    row: dict[str, Any] = {"subject": subject, "kind": kind, "intervals": len(intervals), "intervals_worn": len(worn)}
    dated = all(":" in interval["start"] for interval in intervals)
    row["days"] = len({date.fromisoformat(interval["start"][:10]) for interval in worn}) if dated else None
    for name in {name for interval in intervals for name in interval} - {"start"}:
        total = sum(interval[name] for interval in intervals if name in interval)
        weight = sum(interval["wear_minutes"] for interval in intervals if name in interval) if name in ENMO else 1.0
        row[name] = round(total / weight, 4) if weight else None
    return row


def _first_moment(seconds: pl.DataFrame, dated: bool) -> float:
    """`seconds_of` the first row."""
    times = seconds["time"].head(1)
    if not len(times):
        return 0.0
    return (times.dt.epoch("us").item() / 1e6) if dated else float(times.item())


def _text(moment: Moment) -> str:
    if isinstance(moment, datetime):
        return moment.isoformat(sep=" ", timespec="seconds")
    return f"{moment:g}"
