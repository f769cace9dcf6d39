"""What every recording's folder and person are called where several folders are given at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from selfpab.data.corpus_entries import corpus_of
from selfpab.data.sources import READABLE, Source, check_distinct, person_name


def named(found: Sequence[Source]) -> tuple[list[str], list[Source]]:
    """A folder's name for every source, and the sources; people of one name from two studies get names of their own.

    Raises ValueError where two recordings would be written under one name, or two people be told as one.

    >>> names, sources = named([Source(Path(study), Path(study) / "p1.csv") for study in ("a", "b")])
    >>> names, [source.subject for source in sources]
    (['a-p1', 'b-p1'], ['a/p1', 'b/p1'])
    """
    shorts = [source.short_name for source in found]
    counted = Counter(shorts)
    # two people of one name from two folders must not overwrite each other
    names = [short if counted[short] == 1 else source.name for short, source in zip(shorts, found, strict=True)]
    check_distinct(names, found)
    return names, _told_apart(found)


def _told_apart(found: Sequence[Source]) -> list[Source]:
    """Nor may they become one person of the tables: these are called study/person, as in a corpus."""
    studies = [source.study.resolve() for source in found]
    if len(set(studies)) < 2:
        return list(found)
    people = [_person(source) for source in found]
    where: dict[str, dict[Path, Path]] = {}
    for person, study, source in zip(people, studies, found, strict=True):
        where.setdefault(person, {}).setdefault(study, source.path)
    for person, places in where.items():
        if len({person_name(study, person) for study in places}) < len(places):
            both = " and ".join(map(str, places.values()))
            raise ValueError(
                f"{both} would both be told of the person {person_name(next(iter(places)), person)}; rename a folder"
            )
    return [
        replace(source, subject=person_name(source.study, person)) if len(where[person]) > 1 else source
        for person, source in zip(people, found, strict=True)
    ]


def _person(source: Source) -> str:
    """Who the recording will be said to be of, before it is read."""
    if source.subject:
        return source.subject
    if corpus_of(source.path):
        try:
            return str(json.loads(source.path.with_suffix(".json").read_bytes())["subject"])
        except (OSError, ValueError, KeyError):  # it will fail when it is read, and must not stop the others
            return source.path.stem
    suffix = source.path.suffix.lower()
    if suffix == ".npz":  # an hourly file is called like its hour, its folder like the person
        return source.path.resolve().parent.name
    return source.path.stem if suffix in READABLE else source.path.resolve().name
