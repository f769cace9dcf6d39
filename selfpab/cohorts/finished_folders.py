"""Which folders of a prediction folder are whole, and what they say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from selfpab.activities import Activities


def facts_of(folder: Path) -> dict[str, Any]:
    """info.json of a finished folder; empty for one that is not whole."""
    try:
        info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return info if all((folder / name).exists() for name in info.get("files", ())) else {}


def predictions_in(out: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """(folder, info.json) of every finished prediction in `out`, in the order of their names, one at a time."""
    for path in sorted(out.glob("*/info.json")):
        info = facts_of(path.parent)
        if "classes" in info:  # which embeddings do not have
            yield path.parent, info


def classes_of(info: Mapping[str, Any]) -> Activities:
    """The label set of a prediction.

    >>> classes_of({"classes": [{"code": 7, "name": "sitting"}]}).columns
    ('p_sitting',)
    """
    codes, names = zip(*((each["code"], each["name"]) for each in info["classes"]), strict=True)
    return Activities("predicted", codes, names)


def clock_of(times: pl.Series, info: Mapping[str, Any]) -> tzinfo | None:
    """The zone of a recording's clock; its bare offset where the table, which knows zones by name only, has UTC.

    times : the column `time` of seconds.parquet. None where the clock has no zone, or there is no date.

    >>> utc = pl.Series([0]).cast(pl.Datetime("us", "UTC"))
    >>> str(clock_of(utc, {"start": "2024-05-01T00:00:00+02:00"}))
    'UTC+02:00'
    """
    name = times.dtype.time_zone if isinstance(times.dtype, pl.Datetime) else None
    if name is None:
        return None
    if name == "UTC" and info["start"] is not None:
        return timezone(datetime.fromisoformat(info["start"]).utcoffset() or timedelta())
    return ZoneInfo(name)
