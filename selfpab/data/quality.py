"""One row per recording on what was found and done to it: the table that a cohort is cleaned with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from selfpab.data.sources import Problem
from selfpab.recording import NON_WEAR, NON_WEAR_OF, SENSOR_MISSING, SENSOR_MISSING_OF, Recording
from selfpab.writing import write_csv

AS_IT_SHOULD_BE = "as it should be"  # told of a sensor (placement_stretches)
SURE = 5.0  # log odds, as there
PLACEMENT = "placement"  # how the kinds of marks on sensors that are turned or swapped begin
COLUMNS = {
    "name": "as it is called in the folder",
    "subject": "person",
    "start": "first sample, ISO 8601; civil time where tz= was given, else the recording's own clock",
    "hours": "recorded, without gaps",
    "gaps": "steps of more than 0.1 s between samples",
    "gap_hours": "length of these together",
    "non_wear_hours": "neither sensor worn",
    "back_off_hours": "the back's sensor alone not worn",
    "thigh_off_hours": "the thigh's sensor alone not worn",
    "dropout_hours": "a sensor, or both, measured nothing: at 0 g, or not changing by a bit while all around it moves",
    "placement": "sensors found turned or swapped, and whether that was repaired, or why none could be; empty: not looked for",
    "back_error_mg": "mean distance of still periods from 1 g, after calibration",
    "thigh_error_mg": "the same of the thigh's sensor",
    "calibrated": "sensors whose gain and offset were corrected",
    "clock_offset_s": "thigh's clock ahead of the back's at the start, as found from the movement and corrected",
    "clock_drift_ppm": "by how much it gains on it",
    "clock_confidence": "0 to 1; 0: nothing was found, and the clocks were taken as they are",
    "blocks_lost": "of both device files: bad, erased, missing",
    "remarks": "all else that a person should know",
}
LOST = ("bad checksum", "erased", "no data block", "contradictory block", "missing blocks")


def quality_of(recording: Recording, name: str) -> dict[str, Any]:
    """A row of `COLUMNS`; None where a thing does not apply or was not looked for (`source["looked_for"]`)."""
    rate_hz, source = recording.rate_hz, recording.source
    gaps_s = [gap.seconds for gap in recording.gaps]
    hours = {
        kind: sum(mark.stop - mark.first for mark in recording.marks if mark.kind == kind) / rate_hz / 3600
        for kind in (NON_WEAR, *NON_WEAR_OF.values())
    }
    missing = (SENSOR_MISSING, *SENSOR_MISSING_OF.values())
    dropouts = [(mark.first, mark.stop) for mark in recording.marks if mark.kind in missing]
    looked_for = source.get("looked_for", {})
    placed = [f"{mark.kind}: {mark.evidence}" for mark in recording.marks if mark.kind.startswith(PLACEMENT)]
    sensors: dict[str, Mapping[str, Any]] = {s: source[s] for s in NON_WEAR_OF if isinstance(source.get(s), Mapping)}
    calibrations = {sensor: about["calibration"] for sensor, about in sensors.items()}
    alignment = source.get("alignment") or {}
    lost = sum(about["faults"].get(kind, 0) for about in sensors.values() for kind in LOST)
    if not looked_for.get("non_wear", True):
        hours = dict.fromkeys(hours)
    return {
        "name": name,
        "subject": recording.subject,
        "start": None if recording.start is None else recording.start.isoformat(),
        "hours": round(len(recording) / rate_hz / 3600, 4),
        "gaps": len(gaps_s),
        "gap_hours": round(sum(gaps_s) / 3600, 4),
        "non_wear_hours": _short(hours[NON_WEAR]),
        **{f"{sensor}_off_hours": _short(hours[kind]) for sensor, kind in NON_WEAR_OF.items()},
        "dropout_hours": _short(covered(dropouts) / rate_hz / 3600),
        "placement": "; ".join(placed) or (_unplaced(source) if looked_for.get("placement") else None),
        **{f"{sensor}_error_mg": _short(calibrations.get(sensor, {}).get("error_after_mg")) for sensor in NON_WEAR_OF},
        "calibrated": ", ".join(s for s, about in calibrations.items() if about["applied"]) if sensors else None,
        "clock_offset_s": _short(alignment.get("offset_s")),
        "clock_drift_ppm": _short(alignment.get("drift_ppm")),
        "clock_confidence": _short(alignment.get("confidence")),
        "blocks_lost": lost if sensors else None,
        "remarks": "; ".join(source.get("warnings", ())) or None,
    }


def covered(stretches: Iterable[tuple[int, int]]) -> int:
    """Samples in the union of stretches, in the order of their first samples.

    >>> covered([(0, 10), (5, 8), (20, 30)])
    20
    """
    total = reached = 0
    for first, stop in stretches:
        total += max(0, stop - max(first, reached))
        reached = max(reached, stop)
    return total


def _unplaced(source: Mapping[str, Any]) -> str:
    """Nothing was found; did what was looked at suffice to say so?"""
    stretches = source.get("placement", {}).get("stretches", ())
    told = {name: {s[name]["told"] for s in stretches} - {AS_IT_SHOULD_BE} for name in NON_WEAR_OF}
    doubts = [f"{name}: {', '.join(sorted(words))}" for name, words in told.items() if words]
    odds = max((s["swap_log_odds"] for s in stretches), default=-SURE)
    if odds > 0:
        doubts.append(f"more likely swapped than not (log odds {odds:.1f}), too little to repair")
    elif not doubts and odds > -SURE:
        doubts = ["too little evidence that they are not swapped"]
    return "; ".join(["nothing found", *doubts])


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def write_quality(folder: Path, rows: Iterable[Mapping[str, Any]], failed: Iterable[Problem]) -> None:
    """`quality.csv`, one row per recording, and `failures.csv`: path and reason of what is none."""
    write_csv(folder / "quality.csv", list(COLUMNS), [[row[column] for column in COLUMNS] for row in rows])
    write_csv(folder / "failures.csv", ["path", "reason"], [[str(item.path), item.reason] for item in failed])
