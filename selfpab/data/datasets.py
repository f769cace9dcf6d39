"""Data sets with labels: HARTH, HAR70+, and any folder of recordings with a `dataset.json` (DESIGN 2).

`dataset.json`: {"name": ..., "version": ..., "classes": [{"code": 1, "name": "walking"}, ...], "merge": {"130": 13}},
and where a person has more than one file "subjects": {file's stem: subject}, so that nobody is tested on themselves.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from selfpab.activities import HAR70PLUS, HARTH, Activities
from selfpab.config import ConfigError
from selfpab.data.checks import RATE_HZ, place, sha256_of_all
from selfpab.data.named_people import MANIFEST
from selfpab.data.reading import read
from selfpab.recording import UNLABELLED, Recording, RecordingError

SUFFIXES = (".csv", ".parquet")
RAW_SUFFIXES = (
    ".npz",
    ".cwa",
    ".gt3x",
    ".gz",
    ".zip",
)  # named when left out, for they may have been meant as recordings
KEYS = ("name", "version", "classes", "merge", "subjects", "description", "licence", "license", "citation", "url")
SITTING = 7
ENOUGH_SITTING = round(60 * RATE_HZ)  # samples, ours
TURNED = tuple(f"S{number:03d}" for number in range(6, 23))  # S006 to S022: thigh turned about x in v1.2
ADDED = tuple(f"S{number:03d}" for number in range(30, 39))  # S030 to S038 came with v2.0


@dataclass(frozen=True)
class KnownForm:
    """What is known of a published data set: the label set, its files' names, where users get it."""

    activities: Activities
    files: str  # regular expression of the stem
    subjects: str
    uci: int

    @property
    def where(self) -> str:
        """Where the files are to be had."""
        return f"https://archive.ics.uci.edu/dataset/{self.uci} (UCI repository, id {self.uci})"


PUBLISHED = {
    "harth": KnownForm(HARTH, r"S\d\d\d", "S006.csv ...", 779),
    "har70plus": KnownForm(HAR70PLUS, r"5\d\d", "501.csv ...", 780),
}


@dataclass(frozen=True)
class Dataset:
    """Recordings of one label set. The subject of a file is its stem, unless `subjects` says another."""

    name: str
    version: str
    activities: Activities
    files: tuple[Path, ...]
    sha256: str  # over names and contents of the files
    folder: Path
    ignored: tuple[Path, ...] = ()  # files in the folder that look like recordings and are not of the data set
    subjects: dict[str, str] = field(default_factory=dict)

    def recordings(self) -> Iterator[Recording]:
        """All recordings, in the order of `files`, one at a time."""
        return map(self.load, self.files)

    def load(self, file: str | Path) -> Recording:
        """One of `files`, by path, name or stem.

        Raises RecordingError for a file that is not of the data set, and for a label that is no activity of it, with
        the first line that has it.
        """
        path = next((path for path in self.files if str(file) in (str(path), path.name, path.stem)), None)
        if path is None:
            raise RecordingError(f"{file}: is no file of {self.name} in {self.folder}; it has {_few(self.files)}")
        recording = read(path, subject=self.subjects.get(path.stem))
        if recording.labels is not None:
            try:
                self.activities.indices(recording.labels)
            except ValueError as error:
                known = [*self.activities.codes, *self.activities.merge, UNLABELLED]
                row = int(np.flatnonzero(~np.isin(recording.labels, known))[0])
                raise RecordingError(f"{place(path, row)}: {error}") from error
        return recording


def open_dataset(path_or_name: str | Path, *, root: Path | None = None) -> Dataset:
    """A folder as a data set, or `harth` / `har70plus` found by name.

    Parameters
    ----------
    path_or_name : a folder with csv or parquet files and `dataset.json`, or one whose name begins with harth or
        har70plus; or one of these two names.
    root : where names are looked up; $SELFPAB_DATA if None, else ./data.

    Returns
    -------
    Dataset. `version` of HARTH is told by its data (BEHAVIOUR (h)): 1.2 where those of S006 to S022 sit with thigh_z
    near +1, 2.0 where near -1; without such files 2.0 if S030 to S038 are among them, else "unknown". HAR70+ has 1.0.

    Raises RecordingError if there is nothing, with where to get it, and for a `dataset.json` that is wrong.
    """
    folder = _folder(path_or_name, root)
    tables = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))
    others = sorted(f for f in folder.iterdir() if f.suffix.lower() in RAW_SUFFIXES)
    key = next((key for key in PUBLISHED if folder.resolve().name.lower().startswith(key)), None)
    if (folder / MANIFEST).is_file():
        name, version, activities, subjects = _manifest(folder / MANIFEST, {file.stem for file in tables})
        files = tables
    elif key is not None:
        name, version, activities, subjects = key, "1.0", PUBLISHED[key].activities, {}
        files = [file for file in tables if re.fullmatch(PUBLISHED[key].files, file.stem)]
    else:
        raise RecordingError(
            f"{folder}: has no {MANIFEST}, and its name begins neither with harth nor with har70plus; wanted a "
            f'{MANIFEST} like {{"name": "mine", "version": "1", "classes": [{{"code": 1, "name": "walking"}}]}}'
        )
    if not files:
        wanted = f"{PUBLISHED[key].subjects} from {PUBLISHED[key].where}" if key else "csv or parquet files"
        raise RecordingError(f"{folder}: has no recordings; wanted {wanted}")
    stems = [file.stem for file in files]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise RecordingError(f"{folder}: has {twice[0]} twice, as csv and as parquet; keep one of the two files")
    ignored = tuple(sorted({*tables, *others} - set(files)))
    dataset = Dataset(name, version, activities, tuple(files), sha256_of_all(files), folder, ignored, subjects)
    return dataclasses.replace(dataset, version=_harth_version(dataset)) if activities is HARTH else dataset


def _folder(path_or_name: str | Path, root: Path | None) -> Path:
    path, name = Path(path_or_name), str(path_or_name).lower().replace("har70+", "har70plus")
    if path.is_dir() and not (name in PUBLISHED and str(path_or_name) == path.name and _is_no_dataset(path)):
        return path
    if path.is_file():
        raise RecordingError(f"{path}: is a file; wanted the folder of the data set, or use read for one recording")
    if name not in PUBLISHED:
        near = difflib.get_close_matches(name, PUBLISHED)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RecordingError(f"{path}: there is no such folder{hint}; wanted a folder, harth or har70plus")
    places = Path(os.environ.get("SELFPAB_DATA") or "data") if root is None else root
    found = sorted(p for p in places.glob("*") if p.is_dir() and p.name.lower().startswith(name))
    exact = [p for p in found if p.name.lower() == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        raise RecordingError(
            f"{name}: there are {', '.join(p.name for p in found)} in {places}; give the folder's path"
        )
    raise RecordingError(
        f"{name}: there is no folder {places / name}; put the files ({PUBLISHED[name].subjects}) there, from "
        f"{PUBLISHED[name].where}, or set SELFPAB_DATA to the folder that holds {name}/"
    )


def _is_no_dataset(folder: Path) -> bool:
    """Has it nothing of a data set, as a folder of results that bears the data set's name?"""
    return not any(f.name == MANIFEST or f.suffix.lower() in (*SUFFIXES, *RAW_SUFFIXES) for f in folder.iterdir())


def _harth_version(dataset: Dataset) -> str:
    """1.2 or 2.0 by the sign of thigh_z in sitting, over the first files that have a minute of it together."""
    total, count = 0.0, 0
    for file in dataset.files:
        if file.stem in TURNED and count < ENOUGH_SITTING:
            recording = read(file)
            sitting = np.flatnonzero(recording.labels == SITTING) if recording.labels is not None else np.array([], int)
            total, count = total + float(recording.samples[sitting, 5].sum(dtype=np.float64)), count + len(sitting)
    if count:
        return "1.2" if total > 0 else "2.0"
    return "2.0" if any(file.stem in ADDED for file in dataset.files) else "unknown"


def _manifest(path: Path, stems: set[str]) -> tuple[str, str, Activities, dict[str, str]]:
    """Name, version, activities and subjects of a `dataset.json`; RecordingError says what was wanted."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except ValueError as error:
        raise RecordingError(f"{path}: is no JSON as wanted: {error}") from error
    _want(isinstance(given, dict), path, "the file", given, "wanted an object {name, version, classes, merge}")
    for key in given:
        near = difflib.get_close_matches(key, KEYS) or [", ".join(KEYS)]
        _want(key in KEYS, path, "the key", key, f"did you mean {near[0]}?")
    for key, kinds, wanted in (
        ("name", str, "a name"),
        ("version", str | int | float, 'a version such as "1.0"'),
        ("classes", list, 'a list [{"code": 1, "name": "walking"}, ...]'),
    ):
        if key not in given:
            raise RecordingError(f"{path}: has no {key}; wanted {wanted}")
        _want(isinstance(given[key], kinds) and given[key] not in ("", []), path, key, given[key], f"wanted {wanted}")
    classes = given["classes"]
    for one in classes:
        fits = isinstance(one, dict) and set(one) == {"code", "name"} and isinstance(one["name"], str)
        fits = fits and isinstance(one["code"], int) and _is_code(one["code"])
        _want(fits, path, "a class", one, 'wanted {"code": whole number but -1, "name": "..."}')
    codes = tuple(one["code"] for one in classes)
    for i, code in enumerate(codes):
        _want(code not in codes[:i], path, "a class's code", code, "it is there twice; wanted every code once")
    merge: dict[int, int] = {}
    pairs = given.get("merge", {})
    _want(isinstance(pairs, dict), path, "merge", pairs, 'wanted {"130": 13} (code: code of a class)')
    for code, to in pairs.items():
        fits = re.fullmatch(r"-?\d+", code) and _is_code(int(code)) and to in codes and int(code) not in codes
        _want(bool(fits), path, "merge", {code: to}, f"wanted a code that is no class, to one of the classes {codes}")
        merge[int(code)] = to
    subjects = given.get("subjects", {})
    fits = isinstance(subjects, dict) and all(isinstance(name, str) and name for name in subjects.values())
    _want(fits and set(subjects) <= stems, path, "subjects", subjects, "wanted {file name without suffix: subject}")
    activities = Activities(given["name"], codes, tuple(one["name"] for one in classes), merge)
    for i, column in enumerate(activities.columns):
        _want(column not in activities.columns[:i], path, "a class's name", classes[i]["name"], "wanted distinct names")
    return given["name"], str(given["version"]), activities, subjects


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ValueError(f"the key {twice[0]!r} is there twice; wanted it once")
    return dict(pairs)


def _is_code(code: int) -> bool:
    return not isinstance(code, bool) and -(2**15) <= code < 2**15 and code != UNLABELLED


def _want(fits: bool, path: Path, what: str, came: Any, wanted: str) -> None:
    if not fits:
        raise RecordingError(f"{path}: {what} is {came!r}; {wanted}")


def _few(files: tuple[Path, ...]) -> str:
    names = [file.name for file in files]
    return ", ".join(names[:5]) + (f" ... ({len(names)})" if len(names) > 5 else "")


def with_classes(dataset: Dataset, classes: str | Path | None) -> Dataset:
    """The same people under the classes of another set: of `harth` or `har70plus`, or of a data set's folder.

    A label that those classes do not know is an error when the recording is loaded; ConfigError for one that is called
    otherwise there. None: as it is.

    >>> from selfpab.activities import HAR70PLUS
    >>> seven = Dataset("har70plus", "1.0", HAR70PLUS, (), "", Path("har70plus"))
    >>> len(with_classes(seven, "harth").activities)
    10
    """
    if classes is None:
        return dataset
    name = str(classes).lower().replace("har70+", "har70plus")
    found = PUBLISHED[name].activities if name in PUBLISHED else open_dataset(classes).activities
    check_names(dataset.activities, found)
    return dataclasses.replace(dataset, activities=found)


def check_names(one: Activities, other: Activities) -> None:
    """ConfigError where a code is a class of both under different names: labels are joined by their codes alone.

    Case and punctuation do not matter; neither do codes that are merged into others.
    """
    names = [dict(zip(of.codes, zip(of.names, of.columns, strict=True), strict=True)) for of in (one, other)]
    for code in (code for code in one.codes if code in other.codes):
        (here, column), (there, other_column) = (told[code] for told in names)
        if column != other_column:
            raise ConfigError(
                f"the code {code} is {here!r} in {one.name} and {there!r} in {other.name}, and labels are joined by their "
                "codes; give one activity one code and name in both, or the code of the other another number"
            )


def known(recording: Recording, activities: Activities) -> Recording:
    """The same with labels outside `activities` taken away: running has no place among the seven classes of HAR70+."""
    if recording.labels is None:
        return recording
    indices = activities.indices(recording.labels, unknown="unlabelled")
    return dataclasses.replace(recording, labels=np.where(indices < 0, -1, recording.labels).astype(np.int16))
