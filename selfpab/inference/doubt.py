"""Below which probability a second is called uncertain: so that the others are right in a wanted share. Ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(20, 100))


class Coverage(NamedTuple):
    """At a threshold: the share of seconds that are not uncertain, and the share of these that is right.

    Both are means over people; a person without a certain second does not count in `accuracy` (NaN if nobody has one).
    """

    threshold: float
    coverage: float
    accuracy: float


Answered = tuple[np.ndarray, np.ndarray]  # confidence in what was named, and whether it was right: (R,), bool (R,)


def coverage_at(people: Mapping[str, Answered], threshold: float) -> Coverage:
    """Coverage and accuracy of the seconds whose confidence is at least `threshold`.

    >>> coverage_at({"a": (np.array([0.9, 0.5]), np.array([True, False]))}, 0.6)
    Coverage(threshold=0.6, coverage=0.5, accuracy=1.0)
    """
    if not people:
        raise ValueError("there is nobody to measure; pass {person: (confidence, right)}")
    certain = [(confidence >= threshold, right) for confidence, right in people.values()]
    shares = [float(right[sure].mean()) for sure, right in certain if sure.any()]
    coverage = float(np.mean([sure.mean() for sure, _ in certain]))
    return Coverage(threshold, coverage, float(np.mean(shares)) if shares else float("nan"))


def coverage_curve(people: Mapping[str, Answered], thresholds: tuple[float, ...] = THRESHOLDS) -> list[Coverage]:
    """`coverage_at` every threshold: the curve of a model's card."""
    return [coverage_at(people, threshold) for threshold in thresholds]


def fit_threshold(people: Mapping[str, Answered], *, accuracy: float = 0.95) -> Coverage:
    """The lowest of `THRESHOLDS` above which seconds are right in at least `accuracy`, mean over people.

    people : confidence (R,) in the class that was named, and whether it was right, of people the model did not learn from.

    Where none reaches it, the threshold with the highest accuracy: look at what comes back.
    """
    if not 0 < accuracy <= 1:
        raise ValueError(f"accuracy must lie in (0, 1], got {accuracy}; 0.95 is 95 %")
    curve = [point for point in coverage_curve(people) if not np.isnan(point.accuracy)]
    if not curve:
        raise ValueError(f"nobody has a second with a confidence of {THRESHOLDS[0]} or more")
    reaching = [point for point in curve if point.accuracy >= accuracy]
    return reaching[0] if reaching else max(curve, key=lambda point: point.accuracy)
