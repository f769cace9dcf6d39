"""Evaluations gathered for the paper's table and figures: from results.json files alone, by data set, never mixed.

A place is a run folder, as `selfpab evaluate` leaves it, or a folder that holds run folders. Of the latter those count
that are called like their data set (`results/har70plus`): what is called otherwise is a side experiment, and is asked
for by its own path. Figure 3 also takes those called `<data set>-<hours>h` (`results/har70plus-10h`). (Ours.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from selfpab.config import words
from selfpab.evaluation.comparison import RESULTS, Runs, any_results, data_facts, gather
from selfpab.evaluation.results import read_results
from selfpab.paper import SUBJECTS, TABLE_1, why_not_beside

HOURS = r"-\d+(\.\d+)?h"  # behind a data set's name: a run whose encoder had so many hours


@dataclass(frozen=True)
class ReproduceConfig:
    results: str = "results"  # run folders, or folders of run folders, with commas between
    without: str = ""  # people left out of every mean and figure, with commas between


class Found(NamedTuple):
    """All that one run folder holds, without the people left out (those of them that were there)."""

    folder: Path
    runs: Runs
    left_out: tuple[str, ...] = ()


class Collected(NamedTuple):
    """Results of one data set that may stand side by side; `folders` says where each method's are from."""

    runs: Runs
    folders: Mapping[str, Path]
    left_out: tuple[str, ...]

    @property
    def first(self) -> Mapping[str, Any]:
        """Any results.json: what it says of the data is the same in all."""
        return any_results(self.runs)

    @property
    def dataset(self) -> str:
        return self.first["dataset"]

    @property
    def people(self) -> int:
        return len(self.first["subjects"])


def collect(config: ReproduceConfig) -> list[Collected]:
    """The results of every data set, those of the paper first; methods in the order of its Table 1, then by name.

    Raises ValueError where there are none, where data sets of one name differ, and where two run folders hold different
    results of one method.
    """
    return [merge(found) for found in find(config).values()]


def find(config: ReproduceConfig, *, hours: bool = False) -> dict[str, list[Found]]:
    """Run folders by data set, without the people left out; `hours` takes those called <data set>-<hours>h too."""
    left_out, everybody = words(config.without), set[str]()
    found: dict[str, list[Found]] = {}
    for folder in run_folders(config.results, hours=hours):
        runs = gather(folder)
        dataset = any_results(runs)["dataset"]
        people = any_results(runs)["subjects"]
        everybody |= set(people)
        found.setdefault(dataset, []).append(_without(Found(folder, runs), [who for who in left_out if who in people]))
    if strangers := sorted(set(left_out) - everybody):
        raise ValueError(f"without={config.without}: nobody is called {strangers[0]}; there are {sorted(everybody)}")
    for same in found.values():
        for other in same[1:]:
            _check_same_data(same[0], other)
    order = [*SUBJECTS, *sorted(set(found) - set(SUBJECTS))]
    return {dataset: found[dataset] for dataset in order if dataset in found}


def merge(found: Sequence[Found]) -> Collected:
    """The methods of several run folders of one data set; one that is in two of them must be the same there."""
    runs: dict[str, Any] = {}
    folders: dict[str, Path] = {}
    for folder, there, _ in found:
        for method, seeds in there.items():
            if method in runs and not _same(runs[method], seeds):
                raise ValueError(
                    f"{folders[method]} and {folder} hold different results of {method}; give one of them: "
                    f"results={folder}"
                )
            runs.setdefault(method, seeds)
            folders.setdefault(method, folder)
    return Collected({method: runs[method] for method in in_order(runs)}, folders, found[0].left_out)


def run_folders(places: str, *, hours: bool = False) -> list[Path]:
    """The run folders that `places` (paths with commas between) mean, each once."""
    found: list[Path] = []
    for place in map(Path, words(places)):
        if not place.is_dir():
            raise ValueError(f"results={places}: there is no folder {place}; wanted run folders of `selfpab evaluate`")
        below = {folder: _dataset(folder) for folder in sorted(place.iterdir()) if folder.is_dir()}
        runs = {folder: dataset for folder, dataset in below.items() if dataset}
        if _dataset(place):
            chosen = [place]
        else:
            end = f"({HOURS})?" if hours else ""
            chosen = [folder for folder, name in runs.items() if re.fullmatch(re.escape(name) + end, folder.name)]
        if not chosen:
            raise ValueError(
                f"{place} is no run folder (<method>/seed-<n>/{RESULTS}), and holds none that is called like its data "
                f"set; there are {', '.join(folder.name for folder in runs) or 'none at all'}: give the one you mean, "
                f"as results={next(iter(runs), 'FOLDER')}, or evaluate first"
            )
        found += [folder for folder in chosen if folder not in found]
    if not found:
        raise ValueError(f"results={places} names no folder; wanted run folders of `selfpab evaluate`")
    return found


def beside_the_paper(collected: Collected) -> str:
    """Why the paper's numbers of this data set may not stand beside these, or nothing where they may."""
    return runs_beside_the_paper(collected.runs)


def runs_beside_the_paper(runs: Runs) -> str:
    """The same of the methods of one data set; on whom methods were trained that the paper has not does not matter."""
    first = any_results(runs)
    version, codes = first["data"].get("version") or "unknown", [one["code"] for one in first["classes"]]
    printed = [content for method, seeds in runs.items() if method in TABLE_1 for content in seeds.values()]
    train_with = [other["name"] for content in printed for other in content.get("train_with") or ()]
    return why_not_beside(first["dataset"], version, len(first["subjects"]), codes, train_with)


def in_order(methods: Iterable[str]) -> list[str]:
    """Each once: those of the paper as its Table 1 has them, then others by name.

    >>> in_order(["mine", "selfpab", "b", "svm", "selfpab"])
    ['svm', 'selfpab', 'b', 'mine']
    """
    given = set(methods)
    return [*(method for method in TABLE_1 if method in given), *sorted(given - set(TABLE_1))]


def _dataset(folder: Path) -> str:
    """The data set of a run folder; nothing for any other folder, also one that has other files of that name."""
    for path in sorted([*folder.glob(f"*/seed-*/{RESULTS}"), *folder.glob(f"*/{RESULTS}")]):
        method = path.relative_to(folder).parts[0]
        try:
            content = read_results(path)
        except ValueError:
            continue
        if content.get("method") == method:
            return content["dataset"]
    return ""


def _without(found: Found, left_out: Sequence[str]) -> Found:
    if not left_out:
        return found

    def smaller(content: Mapping[str, Any]) -> dict[str, Any]:
        return {**content, "subjects": {who: own for who, own in content["subjects"].items() if who not in left_out}}

    runs = {method: {seed: smaller(content) for seed, content in seeds.items()} for method, seeds in found.runs.items()}
    if not any_results(runs)["subjects"]:
        raise ValueError(f"without={','.join(left_out)} leaves nobody of {found.folder}")
    return Found(found.folder, runs, tuple(left_out))


def _check_same_data(one: Found, other: Found) -> None:
    """Versions are never mixed: people, classes and what they did must be the same too."""
    (first, here), (second, there) = ((found.folder, any_results(found.runs)) for found in (one, other))
    for what, a, b in zip(_FACTS, data_facts(here), data_facts(there), strict=True):
        if a != b:
            raise ValueError(
                f"{first} and {second} are both of {here['dataset']} and differ in {what}: {str(a)[:80]} and "
                f"{str(b)[:80]}; data are never mixed, give one of the two folders"
            )


_FACTS = ("data set", "version", "sha256", "classes", "people", "what the people did")


def _same(one: Mapping[int, Any], other: Mapping[int, Any]) -> bool:
    """The same numbers of the same seeds, as where a folder was copied."""
    return set(one) == set(other) and all(one[seed]["subjects"] == other[seed]["subjects"] for seed in one)
