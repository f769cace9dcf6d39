"""Whether a recording's files are those of an earlier call, without reading them: a cohort of 35,000 weeks is 17 TB.

As make and git do: by size and time of the last change. Ours.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from selfpab.data.sources import Source
from selfpab.data.store import file_checksum

SETTLED_S = 3.0  # a file that was changed so shortly ago may change again within one tick of its file system's clock


def content_of(source: Source, info: Mapping[str, Any]) -> dict[str, Any]:
    """{"sha256": of all files of a source, "stamps": [[size, time of change in ns], ...] or None while they are fresh,
    "place": of where it lies}.

    info : info.json of an earlier call, or nothing. Where its `content` has the same stamps in the same place, its sha256
        is believed and no file is read.
    """
    stamps, place = _stamps(source), place_of(source.path)  # before reading: what changes meanwhile is seen next time
    known = info.get("content", {})
    if stamps is not None and known.get("stamps") == stamps and known.get("place", place) == place:
        return {**known, "place": place}
    return {"sha256": file_checksum(source.files), "stamps": stamps, "place": place}


def place_of(path: Path) -> str:
    """A checksum of where a file lies: info.json goes to other people, to whom the folders of this machine are nothing."""
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]


def check_whose(folder: Path, info: Mapping[str, Any], source: Source, content: Mapping[str, Any]) -> None:
    """ValueError where a finished folder is of another recording: a file of another place and of another content.

    info : info.json of the folder, or nothing. content : `content_of` the source that would be written there. A recording
    that changed has its place still, one that was moved its content.
    """
    known = info.get("content", {})
    if known.get("place", content["place"]) != content["place"] and known.get("sha256") != content["sha256"]:
        said = info.get("source", {})
        raise ValueError(
            f"{source}: {folder.name} in {folder.parent} is of {said.get('entry') or said.get('path')}, and is not replaced; "
            f"use another OUT, rename the recording, or take {folder} away"
        )


def with_doubles(infos: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of quality.csv of info.json files; the remarks of one whose files are those of another name it.

    >>> rows = [{"content": {"sha256": "a"}, "quality": {"name": name, "remarks": None}} for name in ("P1", "P2")]
    >>> [row["remarks"] for row in with_doubles(rows)]
    [None, 'the same files as P1']
    """
    first: dict[str, str] = {}
    for info in infos:
        if "quality" not in info:
            continue
        row = dict(info["quality"])
        sha256 = info.get("content", {}).get("sha256")
        if sha256 is not None and first.setdefault(sha256, row["name"]) != row["name"]:
            row["remarks"] = "; ".join(filter(None, [row["remarks"], f"the same files as {first[sha256]}"]))
        yield row


def _stamps(source: Source) -> list[list[int]] | None:
    facts = [file.stat() for file in source.files]
    if any(time.time() - fact.st_mtime < SETTLED_S for fact in facts):
        return None
    return [[fact.st_size, fact.st_mtime_ns] for fact in facts]
