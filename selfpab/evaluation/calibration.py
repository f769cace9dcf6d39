"""Do probabilities mean what they say? Sums per confidence bin, that add up over recordings and subjects.

Confidence is the probability given to the predicted class. Bin b of 15 holds confidences in [b/15, (b+1)/15), the last
one also 1. Only labelled samples count. Ours: the paper reports no calibration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selfpab.recording import UNLABELLED

BINS = 15
SMALLEST_PROBABILITY = 1e-12  # ours; a class ruled out that was true would otherwise cost infinity


@dataclass(frozen=True, eq=False)
class Calibration:
    """Sums over samples: `n`, `confidence` and `correct` per bin, each (15,), and the summed -ln p(truth) in nats."""

    n: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray
    nll: float

    def __add__(self, other: Calibration) -> Calibration:
        return Calibration(
            self.n + other.n, self.confidence + other.confidence, self.correct + other.correct, self.nll + other.nll
        )


def nothing_counted() -> Calibration:
    """The sums before the first sample."""
    return Calibration(np.zeros(BINS, np.int64), np.zeros(BINS), np.zeros(BINS, np.int64), 0.0)


def calibration_sums(truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> Calibration:
    """The sums of one recording.

    Parameters
    ----------
    truth, predicted : class indices (samples,); -1 in truth is unlabelled.
    probabilities : (samples, K), each row adding up to 1.

    >>> calibration_sums(np.array([0, 1]), np.array([0, 0]), np.array([[0.9, 0.1], [0.9, 0.1]])).correct[13]
    np.int64(1)
    """
    labelled = np.flatnonzero(truth != UNLABELLED)
    confidence = probabilities[labelled, predicted[labelled]].astype(np.float64)
    places = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    hit = predicted[labelled] == truth[labelled]
    true = np.maximum(probabilities[labelled, truth[labelled]].astype(np.float64), SMALLEST_PROBABILITY)
    return Calibration(
        np.bincount(places, minlength=BINS).astype(np.int64),
        np.bincount(places, confidence, minlength=BINS),
        np.bincount(places[hit], minlength=BINS).astype(np.int64),
        float(-np.log(true).sum()),
    )
