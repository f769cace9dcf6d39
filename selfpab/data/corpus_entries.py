"""A recording of a corpus as a path: `corpus/NAME`, or the file of its samples, corpus/recordings/NAME.npy.

It was checked, repaired and put into civil time when it was ingested, and is given as it lies there; DESIGN 2, the form
of the path is ours.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from selfpab.data.corpus_index import Rows, entry_of
from selfpab.data.store import AGAIN, recording_of, stored_checksum
from selfpab.recording import Recording, RecordingError

INDEX, RECORDINGS, SAMPLES = "index.parquet", "recordings", ".npy"


def is_corpus(folder: Path) -> bool:
    """Whether `ingest` made this folder."""
    return (folder / INDEX).is_file() and (folder / RECORDINGS).is_dir()


def corpus_of(file: Path) -> Path | None:
    """The corpus that this file of samples is an entry of; None for any other path."""
    if file.suffix != SAMPLES or file.parent.name != RECORDINGS or not is_corpus(file.parent.parent):
        return None
    return file.parent.parent if file.with_name(f"{file.stem}.json").is_file() else None


def entry_files(folder: Path) -> list[Path]:
    """The samples of all recordings of a corpus, in the order of its index."""
    return [folder / RECORDINGS / f"{name}{SAMPLES}" for name in Rows(folder / INDEX).values("file")]


def entry_file(path: Path) -> Path | None:
    """The file of samples of the entry that `path` names, None where it lies in no corpus.

    Raises RecordingError, with the names of entries that are meant perhaps, where the corpus has none of this name.
    """
    if corpus_of(path):
        return path
    inside = path.parent.name == RECORDINGS and is_corpus(path.parent.parent)
    folder, name = (path.parent.parent, path.name.removesuffix(SAMPLES)) if inside else (path.parent, path.name)
    if not is_corpus(folder) or (path.exists() and not inside):
        return None
    if corpus_of(file := folder / RECORDINGS / f"{name}{SAMPLES}"):
        return file
    names = [file.stem for file in entry_files(folder)]
    near = [other for other in names if name and name in other][:3] or difflib.get_close_matches(name, names)
    near += [other for other in names if not near and difflib.get_close_matches(name, [other.rpartition("-")[2]])][:3]
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise RecordingError(
        f"{path}: the corpus {folder} has no entry {name!r}{hint}; wanted one of {len(names)}, such as {folder / names[0]}"
    )


def checksum_of(file: Path) -> str | None:
    """Of an entry's content, and of how it was ingested; None where the file is no entry."""
    folder = corpus_of(file)
    return None if folder is None else stored_checksum(folder, file.stem)


def read_entry(
    file: Path,
    *,
    rate_hz: float | None = None,
    subject: str | None = None,
    tz: str | None = None,
    configured_at: str | datetime | None = None,
) -> Recording:
    """An entry by its file of samples, on mapped int16; nothing is looked for, repaired or moved again.

    Parameters
    ----------
    subject : another name for the person than the corpus has, study/person.
    rate_hz, tz, configured_at : may be told again, but not otherwise than when it was ingested.

    `source` is that of ingest, and `entry`, the file. Raises RecordingError for other settings, and where samples and row
    do not fit each other.
    """
    entry = entry_of(json.loads(file.with_name(f"{file.stem}.json").read_bytes()))
    said = {"rate_hz": (rate_hz, entry.rate_hz)} | {
        key: (None if value is None else str(value), entry.source.get(key))
        for key, value in (("tz", tz), ("configured_at", configured_at))
    }
    for key, (asked, found) in said.items():
        if asked is not None and asked != found:
            raise RecordingError(
                f"{file}: {key}={asked} was asked for; the entry was ingested with {found or f'no {key}'}, and is not "
                f"changed again: leave {key} out, or ingest the recording anew"
            )
    try:
        recording = recording_of(file.parent.parent, entry)
    except (ValueError, OSError, EOFError) as error:
        raise RecordingError(f"{file}: does not fit its row in {file.stem}.json ({error}); {AGAIN}") from error
    return replace(
        recording,
        subject=entry.subject if subject is None else subject,
        source={**entry.source, "entry": str(file)},
    )
