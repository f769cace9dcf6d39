"""Methods side by side, from the results.json files of one run folder alone (DESIGN 2).

    RUN/<method>/seed-<n>/results.json      (or RUN/<method>/results.json, where there is one seed)

A subject's score is the mean over the seeds; a method's score is mean and standard error over subjects, as in the
paper's Table 1 and BEHAVIOUR (f). Two methods are compared subject by subject, because subjects differ far more than
methods do (ours). Everything is recomputed from the confusion matrices. Legend: K classes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from selfpab.evaluation.metrics import Mean, f1, macro_f1, mean_and_error
from selfpab.evaluation.results import read_results
from selfpab.paper import TABLE_1
from selfpab.seeding import seed_of
from selfpab.writing import write_csv

RESULTS = "results.json"
CONFIDENCE = 0.95
EXACT_PEOPLE = 20  # up to here all 2^n sign flips are looked at, beyond so many random ones
FLIPS = 99_999
SAMPLES_PER_MINUTE = 50 * 60  # results.json counts samples at 50 Hz
Seeds = Mapping[int, Mapping[str, Any]]  # seed -> content of results.json
Runs = Mapping[str, Seeds]  # method -> seeds


class Row(NamedTuple):
    """A method's macro F1: mean and SEM over `n` subjects; `seed_sd` is the SD of the seeds' means, NaN for one seed."""

    method: str
    seeds: tuple[int, ...]
    mean: float
    sem: float
    seed_sd: float
    n: int


class Difference(NamedTuple):
    """`first` minus `second` in macro F1, over the `n` subjects.

    low, high : 95 % t-interval of the mean. better : subjects for whom `first` scores higher. p : two-sided sign-flip
    test of the mean.
    """

    first: str
    second: str
    mean: float
    sem: float
    low: float
    high: float
    n: int
    better: int
    p: float


def gather(run: Path, methods: Sequence[str] | None = None) -> dict[str, dict[int, dict[str, Any]]]:
    """All results of a run folder, {method: {seed: content}}, once they are known to be comparable.

    methods : which, and in which order; None takes all there are, Table 1 of the paper from below, then other names.

    Raises ValueError where there are none, where a file does not lie where its method and seed say, and where files
    differ in data set, version, checksum, classes, subjects or truth, or the seeds of a method in protocol.
    """
    paths: dict[tuple[str, int], Path] = {}
    runs: dict[str, dict[int, dict[str, Any]]] = {}
    for path in sorted([*run.glob(f"*/{RESULTS}"), *run.glob(f"*/seed-*/{RESULTS}")]):
        method, *folder = path.relative_to(run).parts[:-1]
        if methods is not None and method not in methods:
            continue
        content = read_results(path)
        seed = content.get("seed") or 0  # null: the method draws no random numbers
        if content["method"] != method or folder not in ([], [f"seed-{seed}"]):
            raise ValueError(
                f"{path} holds {content['method']} with seed {seed}; was it moved? put it back, or remove it"
            )
        if (method, seed) in paths:
            raise ValueError(f"{method} has seed {seed} twice, {paths[method, seed]} and {path}; remove one")
        paths[method, seed] = path
        runs.setdefault(method, {})[seed] = content
    missing = sorted(set(methods or ()) - set(runs))
    if missing or not runs:
        raise ValueError(
            f"{run} has no {RESULTS} of {', '.join(missing) or 'any method'}; wanted {run}/<method>/seed-<n>/{RESULTS}, "
            "which `selfpab evaluate` writes when all subjects are done"
        )
    _check_comparable({path: runs[method][seed] for (method, seed), path in paths.items()})
    chosen = methods if methods is not None else sorted(runs, key=_place)
    return {method: dict(sorted(runs[method].items())) for method in chosen}


def any_results(runs: Runs) -> Mapping[str, Any]:
    """Any results.json of them: what it says of data set, classes and people is the same in all."""
    return next(iter(next(iter(runs.values())).values()))


def data_facts(content: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a results.json says of its data: data set, version, sha256, classes, subjects, and what each of them did.

    Where two differ in one of these, their numbers must not stand side by side.
    """
    data, subjects = content["data"], sorted(content["subjects"])
    truth = {subject: _matrix(content, subject).sum(axis=1).tolist() for subject in subjects}
    return content["dataset"], data.get("version"), data.get("sha256"), content["classes"], subjects, truth


def subject_scores(seeds: Seeds) -> dict[str, float]:
    """Macro F1 of every subject, averaged over the seeds."""
    return {subject: mean_and_error(scores).mean for subject, scores in scores_by_seed(seeds).items()}


def scores_by_seed(seeds: Seeds) -> dict[str, list[float]]:
    """Macro F1 of every subject, seed by seed in the order of `seeds`."""
    contents = list(seeds.values())
    return {
        subject: [macro_f1(_matrix(content, subject)) for content in contents] for subject in contents[0]["subjects"]
    }


def row(method: str, seeds: Seeds) -> Row:
    """A method's line of the table."""
    over_subjects = mean_and_error(list(subject_scores(seeds).values()))
    per_seed = [mean_and_error(scores).mean for scores in zip(*scores_by_seed(seeds).values(), strict=True)]
    seed_sd = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else math.nan
    return Row(method, tuple(seeds), over_subjects.mean, over_subjects.sem, seed_sd, over_subjects.n)


def per_class(seeds: Seeds) -> dict[str, Mean]:
    """F1 of every class: mean, SEM and number of the subjects that have one (BEHAVIOUR (f)).

    A subject's F1 is the mean over the seeds in which it has one: a class never done has none where it was not
    predicted either, and 0 where it was.
    """
    contents = list(seeds.values())
    scores = np.array([[f1(_matrix(content, subject)) for content in contents] for subject in contents[0]["subjects"]])
    means = [[mean_and_error(cell).mean for cell in subject.T] for subject in scores]
    names = [item["name"] for item in contents[0]["classes"]]
    return {name: mean_and_error(column) for name, column in zip(names, zip(*means, strict=True), strict=True)}


def total_confusion(seeds: Seeds) -> np.ndarray:
    """Samples summed over subjects and averaged over seeds, float64 (K, K): its sum is what the data set holds."""
    matrices = [_matrix(content, subject) for content in seeds.values() for subject in content["subjects"]]
    return np.sum(matrices, axis=0) / len(seeds)


def minutes_by_activity(runs: Runs) -> dict[str, float]:
    """Labelled minutes of every activity, most first; they are the same whatever the method."""
    samples = total_confusion(next(iter(runs.values()))).sum(axis=1)
    names = [item["name"] for item in any_results(runs)["classes"]]
    minutes = {name: float(count) / SAMPLES_PER_MINUTE for name, count in zip(names, samples, strict=True)}
    return dict(sorted(minutes.items(), key=lambda pair: -pair[1]))


def difference(first: str, second: str, runs: Runs) -> Difference:
    """Compare two methods subject by subject: both were tested on the same people."""
    from scipy.special import stdtrit  # quantile of Student's t; scipy.stats takes a second to import

    ours, theirs = subject_scores(runs[first]), subject_scores(runs[second])
    if set(ours) != set(theirs):
        raise ValueError(f"{first} and {second} were tested on different subjects: {sorted(set(ours) ^ set(theirs))}")
    apart = np.array([ours[subject] - theirs[subject] for subject in ours])
    apart = apart[~np.isnan(apart)]
    over_subjects = mean_and_error(apart)
    half = float(stdtrit(over_subjects.n - 1, (1 + CONFIDENCE) / 2)) * over_subjects.sem if len(apart) > 1 else math.nan
    mean, sem, n = over_subjects
    better = int(np.count_nonzero(apart > 0))
    return Difference(first, second, mean, sem, mean - half, mean + half, n, better, sign_flip_p(apart))


def differences(runs: Runs) -> list[Difference]:
    """Every pair of methods, in the order of `runs`."""
    return [difference(first, second, runs) for first, second in itertools.combinations(runs, 2)]


def sign_flip_p(apart: np.ndarray) -> float:
    """Two-sided p: how often a mean as far from 0 arises when each subject's difference (n,) takes a random sign.

    Exact up to 20 subjects; beyond, 99,999 random flips that are the same every time. NaN for no subject.

    >>> sign_flip_p(np.array([1.0, 2.0, 3.0]))
    0.25
    """
    if not len(apart):
        return math.nan
    if len(apart) <= EXACT_PEOPLE:
        sums, known = np.zeros(1), 0
        for value in apart:
            sums = np.concatenate((sums + value, sums - value))
    else:
        generator = np.random.default_rng(seed_of("sign flips", len(apart)))
        sums, known = generator.choice((-1.0, 1.0), (FLIPS, len(apart))) @ apart, 1  # the data themselves are one flip
    bound = abs(apart.sum()) - 1e-9 * np.abs(apart).sum()  # the same sum added up in another order is as far
    return float((np.count_nonzero(np.abs(sums) >= bound) + known) / (len(sums) + known))


def table_lines(runs: Runs) -> list[str]:
    """The table and the paired differences as plain text, in per cent and percentage points."""
    rows = [row(method, seeds) for method, seeds in runs.items()]
    wide = max(len("method"), *(len(line.method) for line in rows))
    lines = [f"{'method':{wide}}  macro F1 ± SEM (%)  SD over seeds  seeds  people"]
    for method, seeds, mean, sem, seed_sd, n in rows:
        score = f"{100 * mean:.1f} ± {_or_dash(100 * sem)}"
        lines.append(f"{method:{wide}}  {score:18}  {_or_dash(100 * seed_sd):13}  {len(seeds):5}  {n:6}")
    pairs = differences(runs)
    if pairs:
        lines += [
            "",
            "paired differences in percentage points: mean (95 % interval), people for whom the first is better",
        ]
    for pair in pairs:
        interval = f"({_or_dash(100 * pair.low, '+.1f')} to {_or_dash(100 * pair.high, '+.1f')})"
        lines.append(
            f"{pair.first} - {pair.second}: {100 * pair.mean:+.1f} {interval}, {pair.better} of {pair.n}, p {p_text(pair.p)}"
        )
    return lines


def write_tables(runs: Runs, folder: Path) -> tuple[Path, Path]:
    """`table.csv` (method, seeds, mean, sem, seed_sd, n) and `differences.csv` (fields of `Difference`); shares of 1.

    What has no value is an empty cell.
    """
    rows = [row(method, seeds) for method, seeds in runs.items()]
    lines = [(method, " ".join(map(str, seeds)), *scores) for method, seeds, *scores in rows]
    table = write_csv(folder / "table.csv", Row._fields, lines)
    return table, write_csv(folder / "differences.csv", Difference._fields, differences(runs))


def p_text(p: float) -> str:
    """Three decimals; never 0."""
    return "< 0.001" if p < 0.001 else _or_dash(p, ".3f")


def _or_dash(value: float, form: str = ".1f") -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"


def _matrix(content: Mapping[str, Any], subject: str) -> np.ndarray:
    return np.array(content["subjects"][subject]["confusion"], np.int64)


def _place(method: str) -> tuple[int, str]:
    known = list(TABLE_1)[::-1]
    return (known.index(method) if method in known else len(known), method)


def _check_comparable(contents: Mapping[Path, Mapping[str, Any]]) -> None:
    """Everything that must be the same for numbers to stand in one table."""
    ways: dict[str, tuple[Path, Mapping[str, Any]]] = {}
    reference, expected = next(iter(contents.items()))
    for path, content in contents.items():
        for what, there, here in zip(_FACTS, data_facts(expected), data_facts(content), strict=True):
            if there != here:
                raise ValueError(
                    f"{reference} and {path} differ in {what}: {_short(there)} there, {_short(here)} here; evaluate both "
                    "on the same data, or keep them in different run folders"
                )
        first, told = ways.setdefault(content["method"], (path, _how(content)))
        for what, here in _how(content).items():
            if told[what] != here:
                raise ValueError(
                    f"{first} and {path} are seeds of one method and differ in {what}: {_short(told[what])} there, "
                    f"{_short(here)} here; evaluate both with the same settings, or keep them in different run folders"
                )
        for subject, found in content["subjects"].items():
            said, score = found["macro_f1"], macro_f1(_matrix(content, subject))
            if not (math.isnan(score) if said is None else math.isclose(said, score, abs_tol=1e-9)):
                raise ValueError(
                    f"{path}: the macro F1 of {subject} is said to be {said}, its matrix gives {score}; was the file altered?"
                )


_FACTS = ("data set", "version", "sha256", "classes", "subjects", "the truth of the subjects")


def _how(content: Mapping[str, Any]) -> dict[str, Any]:
    """What seeds of one method must share, whatever they are seeds of."""
    told = {key: content.get(key) for key in ("protocol", "train_with", "config", "precision", "encoder")}
    if isinstance(told["config"], Mapping):  # a user's own method may tell its seed there
        told["config"] = {key: value for key, value in told["config"].items() if key != "seed"}
    nested = "nested" in (content.get("search") or {})  # what another search found stands in the settings
    return told | {"search": "nested" if nested else None, "upstream": (content.get("upstream") or {}).get("sha256")}


def _short(value: Any) -> str:
    return text if len(text := str(value)) <= 80 else text[:77] + "..."
