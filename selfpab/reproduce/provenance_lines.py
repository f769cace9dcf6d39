"""Where every number of a table or figure comes from, in lines of text: data, people, settings, seeds, commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from selfpab.evaluation.comparison import SAMPLES_PER_MINUTE, Seeds, total_confusion
from selfpab.reproduce.collected_results import Collected

SHORT = 12  # letters of a checksum or commit that are shown


def data_line(collected: Collected) -> str:
    """Data set, version, checksum, people and minutes."""
    data = collected.first["data"]
    minutes = total_confusion(next(iter(collected.runs.values()))).sum() / SAMPLES_PER_MINUTE
    without = f", without {', '.join(collected.left_out)}" if collected.left_out else ""
    who = "person" if collected.people == 1 else "people"
    return (
        f"{collected.dataset}: version {data.get('version') or 'unknown'}, SHA-256 of the files "
        f"{(data.get('sha256') or 'unknown')[:SHORT]}, {collected.people} {who}{without}, {minutes:.1f} labelled minutes"
    )


def method_lines(collected: Collected) -> list[str]:
    """A line per method and way of making it: most methods have one, for all their seeds."""
    return [
        f"{collected.dataset}, {method}: {told}"
        for method, seeds in collected.runs.items()
        for told in made(seeds, collected.folders[method])
    ]


def made(seeds: Seeds, folder: Path) -> list[str]:
    """How results of one method were made; seeds made alike share a line."""
    ways: dict[str, list[str]] = {}
    for content in seeds.values():
        seed = content.get("seed")
        ways.setdefault("; ".join(_parts(content)), []).append("none" if seed is None else str(seed))
    return [f"{_plural('seed', names)}; {way}; from {folder.as_posix()}" for way, names in ways.items()]


def settings_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that `results.json` holds, flat, without those that are not set.

    >>> settings_of({"config": {"steps": 400, "epochs": None, "search": {"trials": 20}}})
    {'steps': 400, 'search.trials': 20}
    """
    return dict(_flat(content.get("config") or {}))


def commit_of(content: Mapping[str, Any]) -> str:
    """The commit of the source, and whether it had uncommitted changes; the version where no commit is known."""
    environment = content.get("environment") or {}
    if "commit" not in environment:
        version = environment.get("selfpab")
        return f"selfpab {version}, commit not known" if version else "commit not known"
    changed = "" if environment.get("clean") else " with uncommitted changes"
    return f"commit {environment['commit'][:SHORT]}{changed}"


def encoder_of(content: Mapping[str, Any]) -> str:
    """What the pre-trained encoder was made of; nothing for a method without one."""
    upstream = content.get("upstream")
    if not upstream:
        return ""
    told = [f"{upstream[key]:g} {key}" for key in ("hours", "people", "steps") if upstream.get(key) is not None]
    corpora = ", ".join(
        f"{corpus.get('name')} {(corpus.get('sha256') or '')[:SHORT]}".strip() for corpus in upstream.get("corpora", [])
    )
    told += [f"corpora: {corpora}"] if corpora else []
    return f"encoder {upstream['sha256'][:SHORT]}{': ' if told else ''}{', '.join(told)}"


def other_people(content: Mapping[str, Any]) -> Iterator[str]:
    """Whose data beside the training subjects' had a part in it: those trained on, and those of a search."""
    for data in content.get("train_with") or ():
        yield f"trained also on all of {data['name']} {data['version']}"
    search = content.get("search")
    if search and "nested" in search:
        yield "settings searched for in every fold among its training people"
    elif search:
        data, score = search["data"], 100 * search["macro_f1"]
        yield f"settings from {search['trials']} trials on {data['name']} {data['version']} (macro F1 {score:.1f} there)"


def _parts(content: Mapping[str, Any]) -> Iterator[str]:
    yield content["protocol"]
    if settings := settings_of(content):
        yield "settings " + " ".join(f"{key}={value}" for key, value in settings.items())
    if content.get("precision"):
        yield f"precision {content['precision']}"
    yield from other_people(content)
    if encoder := encoder_of(content):
        yield encoder
    yield commit_of(content)
    if command := (content.get("environment") or {}).get("command"):
        yield f"made by: {command}"


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        elif value is not None:
            yield before + key, value


def _plural(word: str, names: list[str]) -> str:
    return f"{word}{'s' if len(names) > 1 else ''} {', '.join(names)}"
