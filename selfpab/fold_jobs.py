"""One fold as a job that any process can do: what it needs, and what is opened and built once for many (cross_validation.py)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from os import getpid
from pathlib import Path
from platform import node
from typing import Any

import numpy as np

from selfpab.activities import Activities
from selfpab.allocator import keep_freed_memory
from selfpab.config import ConfigError
from selfpab.data.datasets import Dataset, check_names, known, open_dataset, with_classes
from selfpab.evaluation.folds import save_fold
from selfpab.evaluation.loso import every_fold
from selfpab.evaluation.results import SINGLE
from selfpab.methods import EvaluateConfig, short_name
from selfpab.recording import Recording
from selfpab.search import nested_method

NESTED = "nested"  # of `search=`


@dataclass(frozen=True)
class Call:
    """One call of `evaluate`, as its workers need it."""

    key: str  # nothing that was opened outlives the call: files may change
    dataset: str
    sha256: str
    pool: str
    train_with: str | None
    configs: Mapping[str, EvaluateConfig] = field(compare=False)  # of every method: `search=` gives each its own
    make: Callable[..., Any] = field(compare=False)
    classes: str | None = None
    about_others: Mapping[str, str] = field(default_factory=dict, compare=False)  # what results say of `train_with`


@dataclass(frozen=True)
class Part:
    """One method with one seed."""

    name: str
    seed: int
    folder: Path
    settings: Mapping[str, Any]  # that a fold must agree with
    details: Mapping[str, Any]  # for results.json

    def scored_on(self, sensor: str | None) -> Path:
        """The folder of what is scored on both sensors, or on this one alone."""
        return self.folder if sensor is None else self.folder / f"{SINGLE}{sensor}"


@dataclass(frozen=True)
class Job:
    """One fold."""

    call: Call
    part: Part
    subject: str

    def __str__(self) -> str:
        return f"{short_name(self.part.name)}, seed {self.part.seed}, {self.subject}"


def make_fold(job: Job) -> tuple[str, float]:
    """Train and test one fold and save it; which process did it, and the seconds it took."""
    activities, recordings, others = opened(job.call)
    build = built(job.call, job.part.name, job.part.seed)
    found = every_fold(build, recordings, activities, job.subject, train_with=others)
    for sensor, (fold, seconds) in reversed(found.items()):  # that of both sensors last: where it is, all are
        save_fold(job.part.scored_on(sensor), fold, seconds, job.part.settings)
    return f"{node()} {getpid()}", sum(fold.took_s for fold, _ in found.values())


def part_of(call: Call, name: str, seed: int, run: Path, about_data: Mapping[str, Any], study: Any) -> Part:
    """One method with one seed. about_data : what folds must agree with; study : what `named_study` says, or None."""
    chosen = built(call, name, seed)
    settings = {**chosen.settings, **about_data}
    details = {"protocol": chosen.protocol, "upstream": chosen.upstream, "seed": seed}
    if "precision" in settings:
        details["precision"] = settings["precision"]
    if "encoder" in settings:
        details["encoder"] = settings["encoder"]
    if call.train_with:
        details["train_with"] = [dict(call.about_others)]
    if study or settings.get("search"):
        details["search"] = study or NESTED
    details["config"] = settings.get("finetune", settings.get("config", chosen.settings))
    return Part(name, seed, (run / short_name(name) / f"seed-{seed}").resolve(), settings, details)


def facts_of(data: Dataset) -> dict[str, str]:
    """What results.json says of a data set that is not the one evaluated."""
    return {"name": data.name, "version": data.version, "sha256": data.sha256}


@lru_cache(maxsize=1)
def opened(call: Call) -> tuple[Activities, list[Recording], list[Recording]]:
    """The activities, the recordings, and those of `train_with`, whose people get names that nobody else has."""
    keep_freed_memory()
    data = with_classes(open_dataset(call.dataset), call.classes)
    if data.sha256 != call.sha256:
        raise ValueError(f"{call.dataset} holds other data here than where the evaluation was started")
    recordings, others = list(data.recordings()), []
    if call.train_with:
        more = open_dataset(call.train_with)
        if more.sha256 == data.sha256:
            raise ConfigError(f"train_with={call.train_with} is the data set that is evaluated; name another")
        check_names(data.activities, more.activities)
        named = [known(r, data.activities) for r in more.recordings()]
        check_strangers(f"train_with={call.train_with}", data.name, recordings, more.name, named)
        others = [replace(r, subject=f"{more.name}/{r.subject}") for r in named]
    return data.activities, recordings, others


def check_strangers(
    asked: str, name: str, tested: Sequence[Recording], other: str, theirs: Sequence[Recording]
) -> None:
    """Nobody is tested on what was learnt from themselves, whatever they are called in the other data set.

    asked : the setting that names the other data set. name, other : what the two are called.

    Raises ConfigError where the samples of a recording are in both, and where two data sets of one name, as HARTH in two
    versions, have a subject in common.
    """
    subjects = {recording.subject: recording.subject for recording in tested if other == name}
    samples = {_samples_hash(recording): recording.subject for recording in tested}
    pairs = [(subjects.get(r.subject) or samples.get(_samples_hash(r)), r.subject) for r in theirs]
    if both := sorted({who if who == there else f"{who} (there {there})" for who, there in pairs if who}):
        raise ConfigError(
            f"{asked} holds people who are tested: {', '.join(both)}; leave their files out of it, or, if these are "
            "other people, give one of the data sets another name in its dataset.json"
        )


def _samples_hash(recording: Recording) -> str:
    """Whatever the labels, the times and the names."""
    digest = hashlib.blake2b(digest_size=16)
    for _, piece in recording.blocks(600):
        digest.update(np.ascontiguousarray(piece).tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def built(call: Call, name: str, seed: int) -> Any:
    config = call.configs[name]
    make = partial(nested_method, make=call.make) if config.search == NESTED else call.make
    return make(name, opened(call)[0], config, seed, Path(call.pool))


def forget() -> None:
    """Let go of data and models."""
    opened.cache_clear()
    built.cache_clear()
