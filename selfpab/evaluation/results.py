"""results.json: everything an evaluation found and how it was made (DESIGN 2). Tables and figures derive from it alone.

What was not computed is absent, not invented; what has no value (the F1 of a class never seen) is null, never NaN.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from selfpab.activities import Activities
from selfpab.evaluation.calibration import Calibration
from selfpab.evaluation.folds import Fold, plain
from selfpab.evaluation.metrics import accuracy, f1, macro_f1, macro_f1_present, mean_and_error
from selfpab.writing import write_text

SCHEMA = 1
SINGLE = "single-"  # how the folders beside results.json begin that hold the same of one sensor alone, as single-thigh
DETAILS = (
    "seed",
    "precision",
    "upstream",
    "encoder",
    "train_with",
    "search",
    "layer_weights",
    "validation",
)  # of some methods only
TAIL = ("config", "environment")
VALIDATION = ("loss", "macro_f1")  # of people held out from training, never of the test subject


def assemble(
    folds: Mapping[str, Fold],
    activities: Activities,
    *,
    method: str,
    dataset: str,
    protocol: str,
    data: Mapping[str, Any],
    **details: Any,
) -> dict[str, Any]:
    """The content of results.json.

    Parameters
    ----------
    folds : from `leave_one_subject_out`.
    data : `version` and `sha256` of the data set, as far as known; the sample counts are added.
    details : any of seed, precision, upstream, encoder (the shape of an untrained one), train_with, search, layer_weights,
        validation, config, environment. What is not given does not appear; None appears as null, which says "there is
        none" (upstream of a support vector machine). Layer weights and validation come from the folds' facts, as means,
        where every fold has them.
    """
    if not folds:
        raise ValueError("there are no results without folds")
    if strange := set(details) - {*DETAILS, *TAIL}:
        raise TypeError(f"results.json has no {sorted(strange)}; there are {', '.join((*DETAILS, *TAIL))}")
    details = {**_mean_facts(folds.values()), **details}
    matrices = [fold.confusion for fold in folds.values()]
    per_class = np.array([f1(matrix) for matrix in matrices])
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "method": method,
        "dataset": dataset,
        "data": {
            **data,
            "samples_scored": sum(fold.samples_scored for fold in folds.values()),
            "samples_unlabelled": sum(fold.samples_unlabelled for fold in folds.values()),
        },
        "protocol": protocol,
        "classes": [
            {"code": code, "name": name} for code, name in zip(activities.codes, activities.names, strict=True)
        ],
        **{key: details[key] for key in DETAILS if key in details},
        "subjects": {subject: _subject(fold) for subject, fold in folds.items()},
        "macro_f1": _mean_sem(map(macro_f1, matrices)),
        "macro_f1_present": _mean_sem(map(macro_f1_present, matrices)),
        "accuracy": _mean_sem(map(accuracy, matrices)),
        "per_class_f1": {
            name: mean_and_error(scores)._asdict() for name, scores in zip(activities.names, per_class.T, strict=True)
        },
        "calibration": _calibration(reduce(add, (fold.calibration for fold in folds.values()))),
        **{key: details[key] for key in TAIL if key in details},
        "seconds": sum(fold.took_s for fold in folds.values()),
    }
    return plain(content)


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write the file whole or not at all."""
    text = json.dumps(plain(results), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text)


def read_results(path: Path) -> dict[str, Any]:
    """Read the file; ValueError where it is no results.json of this schema."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no results.json: {error}") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise ValueError(
            f"{path} has schema {schema}, this version of selfpab reads {SCHEMA}; evaluate again, or use the version "
            "named in the file's `environment`"
        )
    return content


def _mean_facts(folds: Iterable[Fold]) -> dict[str, Any]:
    """Means over the folds of their layer weights and of their validation scores, rounded to 4 digits.

    A mean over some of the folds would pass for one over all, so it is left out where a fold lacks it.
    """
    facts = [fold.facts for fold in folds]
    means: dict[str, Any] = {}
    if all(known.get("layer_weights") for known in facts):
        means["layer_weights"] = np.mean([known["layer_weights"] for known in facts], axis=0).round(4)
    if all(known.get("validation") for known in facts):
        columns = {key: [known["validation"].get(key) for known in facts] for key in VALIDATION}
        means["validation"] = {key: round(float(np.mean(v)), 4) for key, v in columns.items() if None not in v}
    return means


def _subject(fold: Fold) -> dict[str, Any]:
    return {
        "confusion": fold.confusion,
        "f1": f1(fold.confusion),
        "macro_f1": macro_f1(fold.confusion),
        "macro_f1_present": macro_f1_present(fold.confusion),
        "accuracy": accuracy(fold.confusion),
    }


def _mean_sem(values: Iterable[float]) -> dict[str, float]:
    result = mean_and_error(list(values))
    return {"mean": result.mean, "sem": result.sem}


def _calibration(sums: Calibration) -> dict[str, Any]:
    """Per bin the count, mean confidence and share correct; and the mean -ln p(truth) per sample, in nats."""
    total = int(sums.n.sum())
    with np.errstate(invalid="ignore"):  # an empty bin has no mean: NaN, written as null
        confidence, correct = sums.confidence / sums.n, sums.correct / sums.n
    nll = sums.nll / total if total else math.nan
    return {"n": sums.n, "confidence": confidence, "correct": correct, "nll": nll}
