"""Tables of the shape of GGIR's part 5 report, midnight to midnight (MM).

Columns and their order after the GGIR documentation ("GGIR output", part 5; version 3). GGIR tells intensities of a wrist
by thresholds and knows sleep; we tell activities and know no sleep. So its columns of intensity, sleep and waking hours
exist and are empty, and activities have names of their own: dur_day_spt_<activity>_min, of the whole day.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from selfpab.cohorts.finished_folders import classes_of, predictions_in
from selfpab.inference.days import minute_columns
from selfpab.writing import write_csv

NAME = "part5_{}_MM_selfpab.csv"  # GGIR has its thresholds where it says selfpab
SLEEP = (
    *("sleeponset", "wakeup", "sleeponset_ts", "wakeup_ts", "night_number", "daysleeper", "cleaningcode", "guider"),
    *("sleeplog_used", "acc_available"),
)
FIRST = ("ID", "filename", "weekday", "calendar_date", "window_number", "window", "start_end_window", *SLEEP)
CLASSES = ("IN", "LIG", "MOD", "VIG")
EMPTY = (
    *("nonwear_perc_day", "nonwear_perc_spt"),
    *(f"dur_spt_wake_{name}_min" for name in CLASSES),
    "dur_spt_sleep_min",
    *(f"dur_day_total_{name}_min" for name in CLASSES),
    *("dur_day_min", "dur_spt_min"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEIGHTS = {"WD": 5, "WE": 2}  # of a week, in what ends in _wei
WEAR = "wear_minutes"  # of a day's row, and no column: a percentage that was rounded cannot say whether a day is valid
Row = dict[str, Any]


def write_part5(predicted: Path, destination: Path, valid_day_minutes: float) -> list[Path]:
    """part5_daysummary_MM_selfpab.csv, a row per recording and day, and part5_personsummary_MM_selfpab.csv, a row per recording.

    valid_day_minutes : of wear, that make a day count in the person summary; GGIR's own rules are other ones.
    """
    days: list[Row] = []
    people: list[Row] = []
    measured: dict[str, None] = {}  # in order
    for folder, info in predictions_in(predicted):
        own = _days(folder, info)
        days += own
        people.append(_person(own, info, valid_day_minutes))
        measured |= dict.fromkeys(name for row in own for name in row if name not in (*FIRST, "daytype", WEAR))
    if not people:
        return []
    of_day = [*FIRST, *EMPTY, *measured, "daytype"]
    means = [name + ending for name in (*EMPTY, *measured) for ending in ("_pla", "_wei")]
    of_person = ["ID", "filename", "startday", "calendar_date", "Nvaliddays", "Nvaliddays_WD", "Nvaliddays_WE", *means]
    return [
        write_csv(destination / NAME.format(name), columns, [[row.get(column) for column in columns] for row in rows])
        for name, columns, rows in (("daysummary", of_day, days), ("personsummary", of_person, people))
    ]


def _days(folder: Path, info: Mapping[str, Any]) -> list[Row]:
    activities = classes_of(info)
    with open(folder / "daily.csv", newline="", encoding="utf-8") as file:
        table = [{name: cell or None for name, cell in row.items()} for row in csv.DictReader(file)]
    rows = []
    for day in table:
        recorded, wear = float(day["recorded_minutes"] or 0), float(day["wear_minutes"] or 0)
        when = date.fromisoformat(day["date"]) if day["date"] else None
        row: Row = {
            "ID": info["subject"],
            "filename": folder.name,
            "weekday": None if when is None else WEEKDAYS[when.weekday()],
            "calendar_date": day["date"],
            "window_number": int(day["day"] or 0),
            "window": "MM",
            "start_end_window": "00:00:00-23:59:59",
            "nonwear_perc_day_spt": round(100 * (1 - wear / recorded), 4) if recorded else None,
            "dur_day_spt_min": recorded,
            "daytype": None if when is None else _daytype(when),
            WEAR: wear,
        }
        for activity, column in zip(activities.columns, minute_columns(activities), strict=True):
            row[f"dur_day_spt_{activity.removeprefix('p_')}_min"] = _number(day[column])
        row["Nbouts_day_spt_sitting_bts_30"] = _number(day["sitting_bouts_30min"])
        row["N_day_spt_sit_to_stand"] = _number(day["sit_to_stand"])
        row["ACC_day_spt_mg"] = None  # GGIR's is the wrist's
        row |= {f"ACC_day_spt_{place}_mg": _number(day[f"enmo_{place}_mg"]) for place in ("back", "thigh")}
        rows.append(row)
    return rows


def _person(days: list[Row], info: Mapping[str, Any], valid_day_minutes: float) -> Row:
    """Plain means over the valid days, and means in which weekdays count five sevenths."""
    valid = [day for day in days if day["dur_day_spt_min"] and day[WEAR] >= valid_day_minutes]
    start = None if info["start"] is None else datetime.fromisoformat(info["start"])
    of = {kind: [day for day in valid if day["daytype"] == kind] for kind in WEIGHTS}
    row: Row = {
        "ID": info["subject"],
        "filename": days[0]["filename"] if days else None,
        "startday": None if start is None else WEEKDAYS[start.weekday()],
        "calendar_date": None if start is None else start.date().isoformat(),
        "Nvaliddays": len(valid),
        **{f"Nvaliddays_{kind}": len(some) if start else None for kind, some in of.items()},
    }
    for name in {name for day in valid for name in day} - {*FIRST, "daytype", WEAR}:
        row[f"{name}_pla"] = _mean(valid, name)
        parts = {kind: _mean(some, name) for kind, some in of.items()}
        if None not in parts.values():
            row[f"{name}_wei"] = round(sum(WEIGHTS[kind] * (part or 0) for kind, part in parts.items()) / 7, 4)
    return row


def _mean(days: list[Row], name: str) -> float | None:
    values = [day[name] for day in days if day.get(name) is not None]
    return round(fmean(values), 4) if values else None


def _daytype(when: date) -> str:
    return "WE" if when.weekday() >= 5 else "WD"


def _number(cell: str | None) -> float | int | None:
    if cell is None:
        return None
    return float(cell) if "." in cell else int(cell)
