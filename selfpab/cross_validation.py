"""Methods x seeds x subjects: everybody is left out once by each method and seed (paper, section 4.2).

    RUN/<method>/seed-<n>/
      config.yaml       resolved and complete; `preset=` of it repeats this evaluation
      folds/, seconds/  what every subject gave (evaluation/folds.py); a fold that is there is not made again
      results.json      once all folds are there
      single-<sensor>/  folds/, seconds/, results.json of the same people on one sensor alone, where the method can
    RUN/<method>/search-<data set>.json    the trials of `search=`, before the folds
    RUN/pool/           outputs of frozen encoders, until all folds are there

All missing folds are one list of jobs, those of a method and seed beside each other, done in this process or on Dask
workers (workers.py). A worker opens the data set once, builds a method once, and saves its folds itself.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from selfpab.config import ConfigError, changed, dump
from selfpab.data.datasets import Dataset, open_dataset, with_classes
from selfpab.evaluation.folds import Fold, finished_folds
from selfpab.evaluation.loso import checked_subjects, checksum, fold_settings
from selfpab.evaluation.results import assemble, read_results, write_results
from selfpab.fold_jobs import NESTED, Call, Job, Part, check_strangers, facts_of, forget, make_fold, opened, part_of
from selfpab.methods import EvaluateConfig, check, method, short_name
from selfpab.progress import Progress, duration
from selfpab.provenance import environment
from selfpab.recording import SENSORS
from selfpab.search import find_settings, named_study
from selfpab.upstream.engine import chosen_device, resolved_precision
from selfpab.upstream.pretraining import LONGEST_S, TooLong
from selfpab.workers import check_workers, in_parallel
from selfpab.writing import write_text


class FoldsFailed(RuntimeError):
    """Some folds failed; the others are saved, and the same call makes only those that are missing.

    failures : what failed and why, a line each. lines : of `evaluate`, for the methods that are complete.
    """

    def __init__(self, failures: Sequence[str], lines: Sequence[str]) -> None:
        super().__init__("\n".join([f"{len(failures)} folds failed; the same command tries them again", *failures]))
        self.failures, self.lines = tuple(failures), tuple(lines)


def evaluate(
    names: Sequence[str], dataset: str, run: Path, config: EvaluateConfig, *, make: Callable[..., Any] = method
) -> list[str]:
    """Leave one subject out with each method and seed, and say in a line each what came out.

    Parameters
    ----------
    names : of methods.
    dataset : a folder, or harth or har70plus (`open_dataset`).
    run : folder of the results. With `config.scheduler`, it, the data set and the model must lie on storage that all
        workers see under the same path.
    make : (name, activities, config, seed, folder for outputs of the frozen encoder) -> what builds a fresh classifier
        when called, with `settings` (plain values that scores depend on), `protocol` and `upstream` for results.json.

    A killed evaluation goes on with the folds that are missing. Raises FoldsFailed after all the others are done; before
    anything is computed ConfigError, and ValueError for folds of other settings or data; TooLong where 48 hours would
    not do, once three folds are made.
    """
    seeds = seed_list(config)
    check_workers(config.workers)
    if config.search is None and (config.search_without or config.search_trials != EvaluateConfig.search_trials):
        raise ConfigError(
            "search_trials= and search_without= say how settings are searched for, and none are: say search=DATASET too, "
            "or leave them out"
        )
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"wanted one or more methods, each once, got {', '.join(names) or 'none'}")
    if make is method:
        for name in names:
            check(name, config)
    data = with_classes(open_dataset(dataset), config.classes)
    others = open_dataset(config.train_with) if config.train_with else None
    given, config = config, _for_workers(config)
    call = Call(
        key=uuid4().hex,
        dataset=str(data.folder.resolve()),
        sha256=data.sha256,
        pool=str((run / "pool").resolve()),
        train_with=str(others.folder.resolve()) if others else None,
        configs=dict.fromkeys(names, config),
        make=make,
        classes=str(Path(config.classes).resolve())
        if config.classes and Path(config.classes).is_dir()
        else config.classes,
        about_others=facts_of(others) if others else {},
    )
    try:
        subjects, known = _checked(call)
        studies: dict[str, Any] = {}
        if config.search not in (None, NESTED):
            for name in names:
                studies[name], searched = _searched(name, data, run, config, call)
                call = replace(call, configs={**call.configs, name: searched})
        parts = [part_of(call, name, seed, run, known, studies.get(name)) for name in names for seed in seeds]
        done = [set(finished_folds(part.folder, subjects, part.settings)) for part in parts]  # all, before any work
        if config.scheduler is not None or config.workers > 1:
            forget()  # the workers open them for themselves
        for part in parts:
            found = call.configs[part.name]  # with paths and precision as they were given: config.yaml may travel
            as_given = {key: getattr(given, key) for key in ("upstream", "pool", "precision")}
            if part.name in studies:  # it is done: to search anew around what was found would be another evaluation
                as_given |= {"search": None, "search_without": "", "search_trials": EvaluateConfig.search_trials}
            settings = replace(found, seeds=str(part.seed), **as_given)
            write_text(part.folder / "config.yaml", dump("evaluate", settings))
        jobs = [
            Job(call, p, subject)
            for p, old in zip(parts, done, strict=True)
            for subject in subjects
            if subject not in old
        ]
        failures = _make_folds(jobs, len(parts) * len(subjects), config)
    finally:
        forget()
    lines = []
    for part in parts:
        folds = finished_folds(part.folder, subjects, part.settings)
        if len(folds) == len(subjects):
            fresh = any(job.part is part for job in jobs)
            lines += _lines(part, folds, data, fresh=fresh, several=len(seeds) > 1)
        lost = [s for s in subjects if s not in folds and str(Job(call, part, s)) not in failures]
        unseen = OSError(f"it is not in {part.folder}; do all workers write to the folder that this machine sees?")
        failures |= {str(Job(call, part, s)): unseen for s in lost}
    if failures:
        told = [f"{job}: {_reason(error)}" for job, error in failures.items()]
        raise FoldsFailed(told, lines) from next(iter(failures.values()))
    shutil.rmtree(run / "pool", ignore_errors=True)  # gigabytes at paper size, and no fold is left to use them
    return lines


def seed_list(config: EvaluateConfig) -> tuple[int, ...]:
    """The seeds of `seeds=`.

    >>> seed_list(EvaluateConfig(seeds="0, 1,2"))
    (0, 1, 2)
    """
    words = [word.strip() for word in config.seeds.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise ConfigError(f"seeds must be whole numbers with commas between them, as 0,1,2; got {config.seeds!r}")
    seeds = tuple(int(word) for word in words)
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds must differ, got {config.seeds!r}")
    return seeds


def expected_s(took: Iterable[tuple[str, float]], left: int) -> float | None:
    """Seconds that so many more folds will take, from (process, seconds) of those done; None before it can be said.

    The first fold of every process is slow and does not count; two others are needed, so one process says it after
    three folds. Methods that come later are taken to be as fast.

    >>> expected_s([("a", 90.0), ("a", 10.0), ("a", 14.0)], 5)
    60.0
    """
    seen: set[str] = set()
    counted = []
    for process, seconds in took:
        counted += [seconds] if process in seen else []
        seen.add(process)
    return sum(counted) / len(counted) * left / len(seen) if len(counted) >= 2 else None


def _make_folds(jobs: Sequence[Job], of: int, config: EvaluateConfig) -> dict[str, Exception]:
    """What failed, and why."""
    failures: dict[str, Exception] = {}
    took: list[tuple[str, float]] = []
    expected: float | None = None
    with (
        Progress("folds", of, done=of - len(jobs)) as progress,
        closing(
            in_parallel(make_fold, jobs, workers=config.workers, scheduler=config.scheduler, say=progress.say)
        ) as outcomes,
    ):
        for job, outcome in outcomes:
            if isinstance(outcome, Exception):
                failures[str(job)] = outcome
                progress.say(f"failed: {job}: {_reason(outcome)}")
            else:
                took.append(outcome)
            progress.advance(note=str(job))
            left = of - progress.done
            if expected is None and left and (expected := expected_s(took, left)) is not None:
                if expected > LONGEST_S and not config.long:
                    raise TooLong(
                        f"this would take about {duration(expected)}; take preset=small, fewer seeds or methods, more "
                        "workers=, or say long=yes"
                    )
                progress.say(f"expected duration {duration(expected)}")
    return failures


def _checked(call: Call) -> tuple[list[str], dict[str, Any]]:
    """The subjects, and what folds must agree with about the data."""
    activities, recordings, others = opened(call)
    settings = {"train_with": checksum(others)} if others else {}
    return checked_subjects(recordings, activities), fold_settings(settings, activities, recordings)


def _searched(name: str, data: Dataset, run: Path, config: EvaluateConfig, call: Call) -> tuple[Any, EvaluateConfig]:
    """What results.json says of the search on another data set, and the settings it found."""
    assert config.search is not None
    other = with_classes(open_dataset(config.search), config.classes)
    if other.sha256 == data.sha256:
        raise ConfigError(
            f"search={config.search} would choose settings on the test people; name another data set, or say search=nested"
        )
    file = run / short_name(name) / f"search-{other.name}.json"
    about, people = facts_of(other), list(other.recordings())
    check_strangers(f"search={config.search}", data.name, opened(call)[1], other.name, people)
    label = f"search for {short_name(name)} on {other.name}"
    with tempfile.TemporaryDirectory() as scratch, Progress(label, config.search_trials) as progress:

        def say(line: str) -> None:
            progress.say(line)
            progress.advance()

        study = find_settings(
            name, people, other.activities, config, Path(scratch), file=file, about=about, make=call.make, say=say
        )
    return named_study(study, file), changed(config, study["best"])


def _lines(part: Part, folds: Mapping[str, Fold], data: Dataset, *, fresh: bool, several: bool) -> list[str]:
    """Write results.json, also of what was scored on one sensor alone; a line for each."""
    lines = [_summary(part, _results(part, folds, data, fresh=fresh), several=several)]
    for sensor in SENSORS:
        folder = part.scored_on(sensor)
        alone = finished_folds(folder, list(folds), part.settings)
        if len(alone) == len(folds):
            told = f"{part.details['protocol']}; of the tested person the {sensor}'s sensor alone"
            single = replace(part, folder=folder, details={**part.details, "protocol": told})
            line = _summary(single, _results(single, alone, data, fresh=fresh), several=several)
            lines.append(f"{line}, {sensor} alone")
    return lines


def _results(part: Part, folds: Mapping[str, Fold], data: Dataset, *, fresh: bool) -> dict[str, Any]:
    """results.json; one that is there and complete stays, for its `environment` is the one that made it."""
    path = part.folder / "results.json"
    if not fresh and path.is_file():
        try:
            return read_results(path)
        except ValueError:  # of another version: made again
            pass
    about = {"version": data.version, "sha256": data.sha256}
    details = dict(part.details)
    if details.get("search") == NESTED:
        details["search"] = {"nested": {subject: fold.facts.get("search") for subject, fold in folds.items()}}
    results = assemble(
        folds,
        data.activities,
        method=short_name(part.name),
        dataset=data.name,
        data=about,
        environment=environment(),
        **details,
    )
    write_results(path, results)
    return results


def _summary(part: Part, results: Mapping[str, Any], *, several: bool) -> str:
    score = results["macro_f1"]
    name = short_name(part.name)
    name = f"{name}, seed {part.seed}" if several else name
    return (
        f"{name}: macro F1 {100 * score['mean']:.1f} ± {100 * score['sem']:.1f} % ({len(results['subjects'])} people)"
    )


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError | OSError | RuntimeError) else f"{type(error).__name__}: {error}"


def _for_workers(config: EvaluateConfig) -> EvaluateConfig:
    """Whole paths, and the precision as this machine resolves it: on a cluster, another might resolve it otherwise."""
    paths = {key: str(Path(path).resolve()) for key in ("upstream", "pool") if (path := getattr(config, key))}
    return replace(config, precision=resolved_precision(config.precision, chosen_device(config.device)), **paths)
