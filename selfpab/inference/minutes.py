"""How far minutes per activity may be off, for a person never seen: 90 % intervals (issue "The product", 2). Ours.

Errors of a recording's minutes are those of the person (a gait, a tilted sensor), not of independent seconds: sums of
variances would give intervals of seconds. What grows with them is the doubt: the sum of p (1 - p) over the seconds. So

    minutes +- factor x (doubt + 0.05 min),    factor = 90 % quantile of |true - named| / (doubt + 0.05 min)

over people whom the model did not learn from (split conformal prediction, people as units) and activities that they did
or were said to do; each activity's own errors are pooled with those of all. The width is in proportion to time: a person is
taken to err all day as in the recording. Factors of pieces of five minutes fit recordings of an hour; a day was never
tested (`docs/how-to/probabilities.md`).
Legend: K classes, P people (or pieces of their recordings).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from selfpab.recording import UNLABELLED

LEVEL = 0.9
SMALLEST_DOUBT_MIN = 0.05  # ours; three seconds: that much may always be a matter of where a bout begins
POOLING = 0.5  # ours; the weight of all activities' errors beside an activity's own


class Minutes(NamedTuple):
    """Of one recording or one person's day, each float64 (K,), in minutes.

    named : seconds that were named each class. doubt : sum of p (1 - p). true : seconds that were each class, or None.
    """

    named: np.ndarray
    doubt: np.ndarray
    true: np.ndarray | None = None


@dataclass(frozen=True)
class Intervals:
    """`factor` (K,) by which doubt is multiplied, found for `level` on `people` recordings of `minutes` (median)."""

    factor: tuple[float, ...]
    level: float
    people: int
    minutes: float

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `from_json`."""
        return asdict(self) | {"factor": list(self.factor)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Intervals:
        factor = tuple(map(float, values["factor"]))
        return cls(factor, float(values["level"]), int(values["people"]), float(values["minutes"]))


def minutes_of(named: np.ndarray, probabilities: np.ndarray, truth: np.ndarray | None = None) -> Minutes:
    """Minutes of seconds (R,) that were named, with calibrated probabilities (R, K).

    Seconds that were not named (-1) count nowhere; with a truth, neither do those without one (-1).

    >>> minutes_of(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.5, 0.5], [0.5, 0.5]])).doubt.round(5).tolist()
    [0.00983, 0.00983]
    """
    classes = probabilities.shape[1]
    kept = (named != UNLABELLED) & ((truth != UNLABELLED) if truth is not None else True)
    values = probabilities[kept]
    return Minutes(
        np.bincount(named[kept], minlength=classes) / 60,
        (values * (1 - values)).sum(axis=0) / 60,
        np.bincount(truth[kept], minlength=classes) / 60 if truth is not None else None,
    )


def interval(minutes: np.ndarray, doubt: np.ndarray, intervals: Intervals) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of minutes per class; whole tables at once.

    Parameters
    ----------
    minutes, doubt : (..., K), in minutes, as of `minutes_of`: a day's, an hour's, a recording's.

    Returns
    -------
    float64 (..., K) each; low is at least 0, high at most the sum of the row's minutes; minutes lie between them.

    >>> low, high = interval(np.array([50.0, 10.0]), np.array([1.0, 1.0]), Intervals((2.0, 2.0), 0.9, 18, 40.0))
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([47.9, 7.9], [52.1, 12.1])
    """
    if minutes.shape != doubt.shape or minutes.shape[-1:] != (len(intervals.factor),):
        raise ValueError(
            f"minutes and doubt must both have shape (..., {len(intervals.factor)}), got {minutes.shape} and {doubt.shape}"
        )
    width = np.array(intervals.factor) * (doubt + SMALLEST_DOUBT_MIN)
    return np.maximum(minutes - width, 0.0), np.minimum(minutes + width, minutes.sum(axis=-1, keepdims=True))


def fit_intervals(people: Mapping[str, Minutes], *, level: float = LEVEL) -> Intervals:
    """Intervals that hold the truth of `level` of the pairs of person and activity, where it was done or named.

    people : one recording per person, with `true`, of people whom the model did not learn from.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}; 0.9 is 90 %")
    if len(people) < 2 or any(m.true is None for m in people.values()):
        raise ValueError(f"at least two people with their true minutes are needed, got {len(people)}")
    ratio = np.array([errors_in_doubt(minutes) for minutes in people.values()])  # (P, K)
    count, classes = ratio.shape
    # an activity that was neither done nor named is no evidence: short pieces are full of these
    there = np.array([(np.asarray(m.true) > 0) | (m.named > 0) for m in people.values()])
    factor = []
    for index in range(classes):
        weight = there * POOLING / classes
        weight[:, index] += there[:, index] * (1 - POOLING)
        factor.append(_quantile(ratio.ravel(), weight.ravel(), level))
    return Intervals(tuple(factor), level, count, float(np.median([m.named.sum() for m in people.values()])))


def errors_in_doubt(minutes: Minutes) -> np.ndarray:
    """|true - named| as a multiple of the doubt, float64 (K,)."""
    assert minutes.true is not None
    return np.abs(minutes.true - minutes.named) / (minutes.doubt + SMALLEST_DOUBT_MIN)


def _quantile(values: np.ndarray, weights: np.ndarray, level: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, level - 1e-12)), len(values) - 1)])
