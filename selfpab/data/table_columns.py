"""Which columns of a csv or parquet file are read, and what to do where some are missing.

Columns are found by name: `timestamp` or `time_s`, the six `CHANNELS` in g, and where there are any `label` (or `activity`)
and `segment`. A file may have the three columns of one sensor alone: its other channels are 0 then, and marked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from selfpab.recording import CHANNELS, SENSOR_MISSING_OF, SENSORS, Mark, Recording, RecordingError

TIMES = ("timestamp", "time_s")  # the first that is there is used
LABELS = ("label", "activity")
NO_COLUMNS = "the file has no columns of the"  # sensor
EXAMPLE = f"timestamp,{','.join(CHANNELS)},label"


def wanted_columns(names: Sequence[str], path: Path) -> list[str]:
    """Those of a file's columns that are read; RecordingError says which are missing or there twice.

    The three of one sensor may be missing, where there are no others that may be meant by them.
    """
    missing = [name for name in CHANNELS if name not in names]
    if absent := _absent_sensor(names, missing):
        missing = []
    missing += [] if any(name in names for name in TIMES) else ["timestamp (or time_s)"]
    if missing:
        raise RecordingError(
            f"{path}: has no column {', '.join(missing)}; its columns are {', '.join(map(repr, names))}; "
            f"wanted {EXAMPLE}: {_remedy(names, missing)}"
        )
    channels = [name for name in CHANNELS if not (absent and name.startswith(absent))]
    wanted = [next(name for name in TIMES if name in names), *channels]
    wanted += [name for name in LABELS if name in names][:1] + [name for name in ("segment",) if name in names]
    if twice := [name for name in wanted if names.count(name) > 1]:
        raise RecordingError(
            f"{path}: has the column {twice[0]} twice; wanted it once: rename or leave out one of them"
        )
    return wanted


def _remedy(names: Sequence[str], missing: Sequence[str]) -> str:
    """What to do about missing columns.

    >>> _remedy(["Back X", "back_y"], ["back_x"])
    'rename Back X to back_x'
    """
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if mark in "".join(names):
            return f"it is divided by {word}: save it with commas, and with points in the numbers"
    alike = _alike(names, missing)
    renamed = ", ".join(f"{theirs} to {ours}" for theirs, ours in alike)
    if len(alike) == len(missing):
        return f"rename {renamed}"
    sensors = [sensor for sensor in SENSORS if {f"{sensor}_{axis}" for axis in "xyz"} <= set(missing)]
    if len(sensors) == 1 and len(missing) == 3:
        axes = ", ".join(_axes(names))
        return f"if {axes} are the {sensors[0]}'s, rename them; else leave them out, and the other sensor is read alone"
    return "rename the columns" + (f" ({renamed})" if renamed else "")


def _alike(names: Sequence[str], missing: Sequence[str]) -> list[tuple[str, str]]:
    """Names of the file that seem to mean missing ones, and these."""
    plain = {re.sub(r"[\W_]", "", name).lower(): name for name in names}
    return [(plain[key], name) for name in missing if (key := name.replace("_", "")) in plain]


def _absent_sensor(names: Sequence[str], missing: Sequence[str]) -> str | None:
    """The sensor whose columns are all that is missing, and no others may be meant by them."""
    if len(missing) != 3 or _axes(names):
        return None
    return next((sensor for sensor in SENSORS if all(name.startswith(f"{sensor}_") for name in missing)), None)


def _axes(names: Sequence[str]) -> list[str]:
    """Unknown columns that may be a sensor's three axes."""
    found = [name for name in names if name not in CHANNELS and name[-1:].lower() in ("x", "y", "z")]
    return found if len({name[-1].lower() for name in found}) == 3 else []


def channels_in(wanted: Sequence[str]) -> list[str]:
    """Those of `CHANNELS` that are among the columns that are read."""
    return [name for name in CHANNELS if name in wanted]


def marked_where_missing(recording: Recording, channels: Sequence[str]) -> Recording:
    """The recording with a mark over it for a sensor that the file has no columns of."""
    for sensor, kind in SENSOR_MISSING_OF.items():
        if not any(name.startswith(sensor) for name in channels):
            recording = recording.with_marks(
                [*recording.marks, Mark(0, len(recording), kind, f"{sensor} not in this file")]
            )
            own = ", ".join(name for name in CHANNELS if name.startswith(sensor))
            said = f"{NO_COLUMNS} {sensor} sensor: activities are told from the other one alone; if it was worn, name them {own}"
            warnings = [*recording.source.get("warnings", ()), said]
            recording = replace(recording, source={**recording.source, "warnings": warnings})
    return recording
