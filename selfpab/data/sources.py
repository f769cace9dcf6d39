"""What the paths of a command hold: files, folders of hourly files, pairs of device files, corpora (DESIGN 3).

A pair is told apart by the words for its places in the names, by `pairs=` patterns or by a `pairs=` table; nothing is
guessed: a device file without a partner is a problem that is named.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfpab.data.corpus_entries import SAMPLES, entry_file, entry_files, is_corpus
from selfpab.data.device_files import DEVICES, files_below, is_device
from selfpab.data.hunt4 import WANTED_NAME, hours_of, npz_of

READABLE = (".csv", ".parquet", ".npz")
PLACES = ("back", "thigh")
WORDS = (  # for the places; those of a later row count where a name has none of an earlier one: a person may be called B
    {"back": r"lower[-_ ]?back|l?back", "thigh": r"(?:right|left|r|l)?[-_ ]?thigh"},
    {"back": r"lb|trunk|b", "thigh": r"rt|lt|th|leg|t"},
)
COLUMNS = ("subject", "back", "thigh")
OPTIONAL = ("visit", "tz", "configured_at")
NONE = "none"  # in the place of a file, of who has one sensor alone
HOW = (
    "names that differ in the words back and thigh alone (P1_back.cwa, P1_thigh.cwa); or "
    "pairs={subject}_LB_*.cwa,{subject}_RT_*.cwa; or pairs=TABLE.csv with the columns subject, back, thigh "
    "(none for the sensor that a person did not wear)"
)


@dataclass(frozen=True)
class Source:
    """One recording to be read.

    study : the folder that was named, or that the file lies in. path : the file, a folder of hourly files, the samples
    of an entry of the corpus `study`, or the back's device file, whose partner is `thigh`, or a device file without one, of
    `sensor`. visit : which of a person's recordings. visit, tz, configured_at : of a table's row.
    """

    study: Path
    path: Path
    thigh: Path | None = None
    subject: str | None = None
    tz: str | None = None
    configured_at: str | None = None
    visit: str | None = None
    sensor: str | None = None

    @property
    def of_devices(self) -> bool:
        """Whether it is made of device files."""
        return self.thigh is not None or self.sensor is not None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files it is made of."""
        if self.thigh is not None:
            return (self.path, self.thigh)
        return (self.path,) if self.path.is_file() else tuple(npz_of(self.path))

    @property
    def short_name(self) -> str:
        """The person's name, and visit, of a pair, else the name of the file or folder without its suffix."""
        if self.of_devices and self.subject:
            return _plain("_".join(filter(None, (self.subject, self.visit))))
        return _plain(self.path.stem if self.path.suffix.lower() in (*READABLE, SAMPLES) else self.path.name)

    @property
    def name(self) -> str:
        """Study and short name, so that two data sets may have a subject of the same name.

        >>> Source(Path("data/harth"), Path("data/harth/S009.parquet")).name
        'harth-S009'
        """
        return _plain(f"{self.study.resolve().name}-{self.short_name}")

    def __str__(self) -> str:
        return str(self.path) if self.thigh is None else f"{self.path} and {self.thigh}"


@dataclass(frozen=True)
class Problem:
    """Something that is no recording, and why; it stops nothing."""

    path: Path
    reason: str


def sources_in(path: Path, pairs: str | None = None) -> tuple[list[Source], list[Problem]]:
    """Everything readable in a file or folder, and what looks as if it were and is not.

    Parameters
    ----------
    path : a file; a folder of hourly npz files, which is one recording; a folder with csv and parquet files, such
        folders of hourly files, and pairs of device files, which may lie in folders below it, or both in one; a corpus,
        or corpus/NAME, one entry of it.
    pairs : how device files belong together, `HOW`; None goes by the words for the places in their names.

    Raises FileNotFoundError for a path that leads nowhere, ValueError for one without recordings, for a single device
    file and for `pairs` that cannot be used.
    """
    if entry := entry_file(path):
        return [Source(entry.parent.parent, entry)], []
    if not path.exists():
        raise FileNotFoundError(f"no {path}")
    if is_corpus(path):
        return [Source(path, entry) for entry in entry_files(path)], []
    if path.is_file():
        if path.suffix.lower() in DEVICES:
            raise ValueError(
                f"{path}: a device file is one sensor; wanted both: back=FILE thigh=FILE, or the folder that holds them; of "
                "one sensor alone say which it is: back=FILE or thigh=FILE"
            )
        return [Source(path.parent, path)], []
    found = [Source(path.parent, path)] if hours_of(path) else []
    unknown = [] if found else [Problem(file, f"its name is no date and hour; {WANTED_NAME}") for file in npz_of(path)]
    found += [Source(path, hours) for hours in sorted(path.iterdir()) if hours.is_dir() and npz_of(hours)]
    found += [
        Source(path, file)
        for file in sorted(path.iterdir())
        if file.suffix.lower() in READABLE[:2] and file.name[0] != "." and not _is(file, pairs)
    ]
    paired, problems = _pairs(path, pairs)
    found, problems = found + paired, unknown + problems
    if not found and not problems:
        wanted = f"{', '.join(READABLE)}, folders of hourly npz files, or pairs of {', '.join(DEVICES)} files"
        raise ValueError(f"{path} holds no recordings: wanted {wanted}")
    return found, problems


def pair_of(back: Path, thigh: Path) -> Source:
    """Two device files that were named; the person is called by what their names share, else by the back's.

    >>> pair_of(Path("data/P1_back.cwa"), Path("data/P1_thigh.cwa")).subject
    'P1'
    """
    for file in (back, thigh):
        if back.parent.exists() and not file.is_file():
            raise FileNotFoundError(f"no {file}")
    named = {place: subject for _, subject, place in _by_words(back.parent, [back])}
    named |= {place: subject for _, subject, place in _by_words(thigh.parent, [thigh])}
    same = set(named) == set(PLACES) and named["back"] == named["thigh"]
    return Source(back.parent, back, thigh, named["back"] if same else back.stem)


def single_of(file: Path, sensor: str) -> Source:
    """One device file that was named, of this sensor; the person is called by what else its name says."""
    if file.parent.exists() and not file.is_file():
        raise FileNotFoundError(f"no {file}")
    named = [subject for _, subject, place in _by_words(file.parent, [file]) if place == sensor]
    return Source(file.parent, file, subject=(named[0] if named else None) or file.stem, sensor=sensor)


def check_distinct(names: Sequence[str], sources: Sequence[Source]) -> None:
    """ValueError where two recordings would be written under one name, so that none replaces another unseen."""
    seen: dict[str, Source] = {}
    for name, source in zip(names, sources, strict=True):
        if name in seen:
            raise ValueError(
                f"{seen[name]} and {source} would both be written as {name}; rename a folder, or leave one out"
            )
        seen[name] = source


def person_name(study: Path, subject: str) -> str:
    """Two data sets may both have a p1; in a corpus they must not become one person.

    >>> person_name(Path("data/dsads"), "p1")
    'dsads/p1'
    """
    return f"{study.resolve().name}/{subject}"


def _pairs(folder: Path, pairs: str | None) -> tuple[list[Source], list[Problem]]:
    files = sorted(file for file in files_below(folder) if file.suffix.lower() in DEVICES and is_device(file))
    if pairs is not None and Path(pairs).suffix.lower() == ".csv":
        return _of_table(folder, Path(pairs))
    named = _by_patterns(folder, files, pairs) if pairs else _by_words(folder, files)
    together: dict[str, dict[str, list[Path]]] = {}
    problems = []
    for file, subject, place in named:
        if place is None:
            problems.append(Problem(file, f"cannot tell whose sensor it is and where it was worn; wanted {HOW}"))
        else:
            together.setdefault(str(subject), {}).setdefault(place, []).append(file)
    found = []
    for subject, places in together.items():
        sides = {place: places.get(place, []) for place in PLACES}
        if all(len(side) == 1 for side in sides.values()):
            found.append(Source(folder, sides["back"][0], sides["thigh"][0], subject))
            continue
        what = " and ".join(f"{len(side)} of the {place}" for place, side in sides.items())
        reason = f"{subject} has {what}; wanted one each: {HOW}"
        problems += [Problem(file, reason) for side in sides.values() for file in side]
    return found, problems


def _by_words(folder: Path, files: Sequence[Path]) -> Iterator[tuple[Path, str | None, str | None]]:
    """File, subject and place, by the word for the place in its name; None where there is no such word, or both."""
    for file in files:
        hits: list[tuple[str, str]] = []
        for words in WORDS:
            for place in PLACES:
                pattern = rf"(?<![^\W_\d])(?:{words[place]})(?![^\W_\d])"
                hits.append((place, re.sub(pattern, "\0", file.stem, flags=re.IGNORECASE)))
            hits = [(place, text) for place, text in hits if "\0" in text]
            if hits:
                break
        if len(hits) != 1 or hits[0][1].count("\0") != 1:
            yield file, None, None
            continue
        (place, text), parent = hits[0], file.parent.relative_to(folder)
        before, after = text.split("\0")
        rest = "_".join(filter(None, (before.rstrip("-_. "), after.lstrip("-_. "))))
        yield file, "/".join(filter(None, (*parent.parts, rest))) or folder.resolve().name, place


def _by_patterns(folder: Path, files: Sequence[Path], pairs: str) -> Iterator[tuple[Path, str | None, str | None]]:
    parts = [part.strip() for part in pairs.split(",")]
    if len(parts) != len(PLACES) or any(part.count("{subject}") != 1 for part in parts):
        raise ValueError(
            f"pairs={pairs} cannot be used; wanted two patterns, the back's first, with {{subject}}: {HOW}"
        )
    patterns = [
        re.compile(re.escape(part).replace(r"\{subject\}", "(?P<subject>.+?)").replace(r"\*", ".*"), re.IGNORECASE)
        for part in parts
    ]
    for file in files:
        name = file.relative_to(folder).as_posix()
        hits = [
            (place, hit["subject"]) for place, p in zip(PLACES, patterns, strict=True) if (hit := p.fullmatch(name))
        ]
        yield (file, hits[0][1], hits[0][0]) if len(hits) == 1 else (file, None, None)


def _of_table(folder: Path, table: Path) -> tuple[list[Source], list[Problem]]:
    """Pairs by a csv file; paths count from `folder` or from where the table lies."""
    if not table.is_file():
        raise ValueError(f"pairs={table}: there is no such file; wanted a table with the columns {', '.join(COLUMNS)}")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            head = reader.fieldnames or []
            rows = [{key: (cell or "").strip() for key, cell in row.items() if key} for row in reader]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{table} is not UTF-8 ({error.reason} at byte {error.start}); save it as CSV UTF-8"
        ) from error
    if missing := [column for column in COLUMNS if column not in head]:
        raise ValueError(
            f"{table} has the columns {', '.join(head) or 'none'}; {', '.join(missing)} missing (commas between them?); "
            f"wanted {', '.join(COLUMNS)}, and {' or '.join(OPTIONAL)} where you like"
        )
    found: dict[str, Source] = {}
    problems = []
    for line, row in enumerate(rows, 2):
        named = {
            place: next((p for p in (folder / row[place], table.parent / row[place]) if p.is_file()), row[place])
            for place in PLACES
            if row[place].lower() != NONE
        }
        where = f"line {line} ({row['subject']})"
        if not row["subject"]:
            problems.append(Problem(table, f"line {line} names no subject"))
        elif not named:
            problems.append(Problem(table, f"{where}: no file is named, neither of the back nor of the thigh"))
        elif lost := [name for name in named.values() if not isinstance(name, Path)]:
            what = lost[0] or f"is named (of one sensor alone say {NONE} for the other)"
            problems.append(Problem(table, f"{where}: no file {what} in {folder}"))
        else:
            first, *partner = map(Path, named.values())
            source = Source(
                folder,
                first,
                partner[0] if partner else None,
                row["subject"],
                sensor=None if partner else next(iter(named)),
                **{c: row.get(c) or None for c in OPTIONAL},
            )
            if source.short_name in found:
                problems.append(Problem(table, f"{where}: is there twice; tell them apart in a column visit"))
            else:
                found[source.short_name] = source
    return list(found.values()), problems


def _is(file: Path, pairs: str | None) -> bool:
    """The table itself, where it lies among the recordings."""
    return pairs is not None and Path(pairs).exists() and file.resolve() == Path(pairs).resolve()


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)
