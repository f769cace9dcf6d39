"""Whose recordings the files of a folder are, where its `dataset.json` says so under `subjects`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from selfpab.data.corpus_entries import corpus_of
from selfpab.data.sources import READABLE, Source
from selfpab.recording import RecordingError

MANIFEST = "dataset.json"


def with_subjects(sources: Sequence[Source]) -> list[Source]:
    """The same, those of a folder with a `dataset.json` with the subjects that it names; the others as they are.

    Pairs of device files have their person by their names or a table, entries of a corpus by its index.

    Raises RecordingError for a `dataset.json` that cannot be read or whose `subjects` name no file of the folder.
    """
    told: dict[Path, dict[str, str]] = {}
    found = []
    for source in sources:
        if source.thigh is None and source.subject is None and not corpus_of(source.path):
            if source.study not in told:
                told[source.study] = _subjects(source.study)
            name = source.path.stem if source.path.suffix.lower() in READABLE else source.path.name
            source = replace(source, subject=told[source.study].get(name))
        found.append(source)
    return found


def _subjects(folder: Path) -> dict[str, str]:
    """{file's name without suffix: subject}; nothing where no `dataset.json` says so."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordingError(f"{path}: is no JSON as wanted: {error}; mend it, or take it away") from error
    subjects = given.get("subjects", {}) if isinstance(given, dict) else {}
    fits = isinstance(subjects, dict) and all(isinstance(subject, str) and subject for subject in subjects.values())
    if not fits:
        raise RecordingError(f"{path}: subjects is {subjects!r}; wanted {{file name without suffix: subject}}")
    there = {file.name if file.is_dir() else file.stem for file in folder.iterdir()}
    if strangers := sorted(set(subjects) - there):
        raise RecordingError(
            f"{path}: subjects names {', '.join(strangers)}, and there is no such file; wanted file names without suffix"
        )
    return subjects
