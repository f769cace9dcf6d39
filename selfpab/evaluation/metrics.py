"""From labels to scores: confusion matrix -> F1 -> mean and standard error.

Conventions (BEHAVIOUR (f), paper section 4.2): a confusion matrix is int64 (K, K), rows are the truth, columns the
prediction, entries are samples. A class that a subject neither did nor was predicted has no F1 (NaN) and is skipped;
a class that was never done but predicted even once has F1 0 and counts. Legend: K classes, S subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from selfpab.recording import UNLABELLED


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count every (truth, prediction) pair of the labelled samples.

    Parameters
    ----------
    truth : class indices, integers (samples,); -1 is unlabelled and not counted.
    predicted : class indices, integers (samples,); one for every labelled sample, or the evaluation fails.
    classes : K, the number of classes.

    Returns
    -------
    int64 (K, K), rows = truth.

    >>> confusion(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0]), 2)
    array([[1, 1],
           [0, 1]])
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.ndim != 1 or truth.shape != predicted.shape:
        raise ValueError(
            f"truth and predicted must both have shape (samples,), got {truth.shape} and {predicted.shape}; "
            "every labelled sample is scored, or the evaluation fails"
        )
    for name, indices in (("truth", truth), ("predicted", predicted)):
        if indices.size and indices.dtype.kind not in "iu":
            raise ValueError(f"{name} must hold integer class indices, got {indices.dtype}")
        if indices.size and not (indices.min() >= UNLABELLED and indices.max() < classes):
            raise ValueError(
                f"{name} must lie in 0 ... {classes - 1}, or be -1 for nothing, "
                f"got {indices.min()} ... {indices.max()}; are these codes instead of class indices?"
            )
    labelled = truth != UNLABELLED
    if missing := int(np.count_nonzero(predicted[labelled] == UNLABELLED)):
        raise ValueError(
            f"{missing} of {np.count_nonzero(labelled)} labelled samples have no prediction (-1); "
            "every labelled sample is scored, or the evaluation fails"
        )
    pairs = truth[labelled].astype(np.int64) * classes + predicted[labelled]
    return np.bincount(pairs, minlength=classes * classes).astype(np.int64).reshape(classes, classes)


def merged(confusion: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """Merge classes by summing their rows and columns, as 130 into 13 and 140 into 14 (BEHAVIOUR (f)).

    groups : for each of the K old classes, the index of its new class; the new indices are 0 ... max(groups).

    >>> merged(np.array([[5, 1, 0], [2, 6, 1], [0, 3, 7]]), (0, 1, 1))
    array([[ 5,  1],
           [ 2, 17]])
    """
    _check(confusion)
    if len(groups) != len(confusion) or set(groups) != set(range(max(groups, default=-1) + 1)):
        raise ValueError(
            f"groups must name a new class, counted from 0 without holes, for each of the {len(confusion)} classes, "
            f"got {tuple(groups)}"
        )
    member = np.eye(max(groups) + 1, dtype=np.int64)[list(groups)]  # (old, new)
    return member.T @ confusion @ member


def f1(confusion: np.ndarray) -> np.ndarray:
    """F1 of every class, 2 TP / (row + column), float64 (K,); NaN = neither done nor predicted (BEHAVIOUR (f)).

    >>> f1(np.array([[3, 1, 0], [1, 5, 0], [0, 0, 0]])).round(3)
    array([0.75 , 0.833,   nan])
    """
    _check(confusion)
    both = confusion.sum(axis=0) + confusion.sum(axis=1)
    return np.divide(2.0 * np.diagonal(confusion), both, out=np.full(len(both), np.nan), where=both > 0)


def macro_f1(confusion: np.ndarray) -> float:
    """Mean F1 over the classes that have one; a class only predicted counts 0. NaN for an empty matrix."""
    return mean_and_error(f1(confusion)).mean


def macro_f1_present(confusion: np.ndarray) -> float:
    """Mean F1 over the classes that the subject did (rows with samples); NaN for an empty matrix."""
    return mean_and_error(f1(confusion)[confusion.sum(axis=1) > 0]).mean


def accuracy(confusion: np.ndarray) -> float:
    """Share of the samples on the diagonal; NaN for an empty matrix."""
    _check(confusion)
    total = int(confusion.sum())
    return float(np.trace(confusion) / total) if total else float("nan")


class Mean(NamedTuple):
    """A mean, its standard error, and how many values there were."""

    mean: float
    sem: float
    n: int


def mean_and_error(values: Sequence[float] | np.ndarray) -> Mean:
    """Mean and standard error (ddof 1, as the paper's tables) of the values that are not NaN.

    The mean of no value is NaN, and so is the standard error of fewer than two.

    >>> mean_and_error([1.0, 3.0, float("nan")])
    Mean(mean=2.0, sem=1.0, n=2)
    """
    kept = np.asarray(values, np.float64)
    kept = kept[~np.isnan(kept)]
    n = len(kept)
    mean = float(kept.mean()) if n else float("nan")
    return Mean(mean, float(kept.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan"), n)


def _check(confusion: np.ndarray) -> None:
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f"a confusion matrix has shape (classes, classes), got {confusion.shape}")
