"""How far probabilities can be believed, as numbers: calibration errors, log-likelihood, Brier score. Ours.

Legend: R rows (seconds, or samples), K classes. Sums per confidence bin come from `calibration.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from selfpab.evaluation.calibration import BINS, Calibration, calibration_sums


class Reliability(NamedTuple):
    """Of rows with a truth; all but `rows` and `accuracy` are better the smaller.

    ece : expected calibration error, sum over the 15 bins of share x |mean confidence - share correct| (Guo et al. 2017).
    classwise_ece : the same of each class's own probability against how often it was true, mean over the classes.
    nll : mean -ln p(truth) in nats.
    brier : mean squared distance to the truth, 0 ... 2.
    """

    rows: int
    accuracy: float
    ece: float
    classwise_ece: float
    nll: float
    brier: float


def reliability(truth: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray | None = None) -> Reliability:
    """Scores of probabilities (R, K) against class indices (R,); every row must have both.

    predicted : class indices (R,) whose probability is the confidence; the most probable ones where it is not given.

    >>> reliability(np.array([0, 1]), np.array([[0.8, 0.2], [0.8, 0.2]])).ece.__round__(6)
    0.3
    """
    if truth.ndim != 1 or probabilities.shape[:1] != truth.shape or not len(truth) or truth.min() < 0:
        raise ValueError(
            f"truth (rows,) without -1 and probabilities (rows, K) are needed, got {truth.shape} from "
            f"{truth.min(initial=0)} up and {probabilities.shape}; pass labelled rows only"
        )
    named = probabilities.argmax(axis=1) if predicted is None else predicted
    sums = calibration_sums(truth, named, probabilities)
    one_hot = np.eye(probabilities.shape[1])[truth]
    return Reliability(
        rows=len(truth),
        accuracy=float((named == truth).mean()),
        ece=expected_calibration_error(sums),
        classwise_ece=float(np.mean([_class_error(p, hit) for p, hit in zip(probabilities.T, one_hot.T, strict=True)])),
        nll=sums.nll / len(truth),
        brier=float(((probabilities - one_hot) ** 2).sum(axis=1).mean()),
    )


def expected_calibration_error(sums: Calibration) -> float:
    """Sum over the bins of their share times |mean confidence - share correct|; NaN where nothing was counted."""
    total = int(sums.n.sum())
    return float(np.abs(sums.confidence - sums.correct).sum() / total) if total else float("nan")


def reliability_diagram(sums: Calibration) -> list[dict[str, float | int]]:
    """One row per bin that holds something, to be drawn: `low`, `high` (its edges), `n`, `confidence`, `correct` (means).

    >>> sums = calibration_sums(np.array([0, 1]), np.array([0, 0]), np.array([[0.9, 0.1], [0.9, 0.1]]))
    >>> reliability_diagram(sums)[0]["correct"]
    0.5
    """
    return [
        {
            "low": b / BINS,
            "high": (b + 1) / BINS,
            "n": int(sums.n[b]),
            "confidence": float(sums.confidence[b] / sums.n[b]),
            "correct": float(sums.correct[b] / sums.n[b]),
        }
        for b in np.flatnonzero(sums.n).tolist()
    ]


def _class_error(probability: np.ndarray, hit: np.ndarray) -> float:
    """Calibration error of one class: its sums are those of a problem with the classes "it" and "not it"."""
    both = np.stack([probability, 1 - probability], axis=1)
    always = np.zeros(len(hit), np.int64)
    return expected_calibration_error(calibration_sums(1 - hit.astype(np.int64), always, both))
