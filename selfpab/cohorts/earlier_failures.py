"""What failed in earlier calls into the same folder and was not tried again: it stays in failures.csv."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from selfpab.cohorts.file_stamps import place_of
from selfpab.cohorts.finished_folders import facts_of
from selfpab.data.device_files import DEVICES
from selfpab.data.sources import Problem, Source


def still_failed(out: Path, looked_at: Iterable[Path], found: Iterable[Source]) -> list[Problem]:
    """The rows of `out`/failures.csv that a call neither repeats nor settles, in their order.

    looked_at, found : all files and folders that this call was given or named, and the recordings in them. What lies in such
    a folder was looked at, too, and is told anew if it still fails. A row is settled as well where its file has a folder
    that was finished since. Relative paths count from where this call runs.
    """
    table = out / "failures.csv"
    if not table.exists():
        return []
    with open(table, newline="", encoding="utf-8") as file:
        told = [Problem(Path(row["path"]), row["reason"] or "") for row in csv.DictReader(file) if row.get("path")]
    again = {path.resolve() for path in looked_at}
    again |= {file.resolve() for source in found for file in (source.path, *source.files)}
    rows = [row for row in told if not _within(row.path.resolve(), again)]
    if not rows:
        return []
    since = (
        table.stat().st_mtime_ns
    )  # a folder may be whole and its diary not fit: such a row is younger than the folder
    infos = (facts_of(path.parent) for path in out.glob("*/info.json") if path.stat().st_mtime_ns > since)
    finished = {info.get("content", {}).get("place") for info in infos}
    return [row for row in rows if place_of(row.path) not in finished]


def _within(path: Path, looked_at: set[Path]) -> bool:
    """Device files are looked for in all folders below one that is given, others in that one alone."""
    folders = path.parents if path.suffix.lower() in DEVICES else (path.parent,)
    return not looked_at.isdisjoint((path, *folders))
