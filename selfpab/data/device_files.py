"""Which files of a folder are raw files of a device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

DEVICES = (".cwa", ".gt3x", ".bin")
GENEACTIV = b"Device Identity"  # how its .bin begins


def files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and below it, links followed, each place once; those with a dot in front are left out."""
    seen: set[Path] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = Path(place).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place) / name for name in names if not name.startswith("."))


def is_device(file: Path) -> bool:
    """Of .bin files, whose suffix others have too, only those of a GENEActiv, or that are damaged at the front."""
    if file.suffix.lower() != ".bin":
        return True
    with file.open("rb") as opened:
        head = opened.read(len(GENEACTIV))
    return head == GENEACTIV or not head.strip(b"\0")
