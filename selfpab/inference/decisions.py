"""From probabilities to one activity per second, for the score that is an average over activities. Ours.

The most probable class is right most often, but macro F1 counts rare classes as much as frequent ones: part of the
classes' frequency is divided out of the probabilities. Then rare classes are named too often, in single seconds, and one
such second is an F1 of 0 for who never did the class; so a class that not everybody does needs a bout of some seconds.
Legend: R rows in order, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from selfpab.activities import Activities
from selfpab.evaluation.answers import Answers, checked_people
from selfpab.evaluation.metrics import confusion, macro_f1, mean_and_error
from selfpab.recording import UNLABELLED

BALANCES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # ours, tried in this order: of equal ones the first is taken
SHORTEST_S = (1, 2, 3, 4, 5)
OCCASIONAL = 0.8  # ours; a class that fewer of the people did is one that a new person may never do
BLOCK_ROWS = 50_000  # at once: what a week's need in between is small
SMALLEST_SHARE = 1e-3  # a class with less (or none) in training is not favoured beyond this


@dataclass(frozen=True)
class Decision:
    """weights (K,): what probabilities are multiplied by. shortest_s (K,): a shorter bout of the class is given away."""

    weights: tuple[float, ...]
    shortest_s: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.weights) != len(self.shortest_s) or min(self.weights, default=0) <= 0:
            raise ValueError(f"one weight above 0 and one shortest bout per class are needed, got {self}")

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `from_json`."""
        return {name: list(values) for name, values in asdict(self).items()}

    def by_name(self, activities: Activities) -> dict[str, dict[str, Any]]:
        """{name of a class: {"weight", "shortest_s"}}, for info.json.

        >>> Decision((0.5, 1.0), (1, 3)).by_name(Activities("two", (7, 1), ("sitting", "walking")))["walking"]
        {'weight': 1.0, 'shortest_s': 3}
        """
        own = zip(activities.names, self.weights, self.shortest_s, strict=True)
        return {name: {"weight": weight, "shortest_s": shortest} for name, weight, shortest in own}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Decision:
        return cls(tuple(map(float, values["weights"])), tuple(map(int, values["shortest_s"])))


def decide(probabilities: np.ndarray, decision: Decision, *, rows_per_s: int = 1) -> np.ndarray:
    """Class index of every row, int64 (R,); -1 where its probabilities are NaN. Ties go to the lower index.

    A bout that is too short goes, row by row, to the next best class, until none is left. Rows of NaN end a bout.

    >>> p = np.array([[0.6, 0.4], [0.4, 0.6], [0.6, 0.4]])
    >>> decide(p, Decision((1.0, 1.0), (1, 2))).tolist(), decide(p, Decision((1.0, 2.0), (1, 2))).tolist()
    ([0, 0, 0], [1, 1, 1])
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(decision.weights):
        raise ValueError(f"this decision is for {len(decision.weights)} classes, got shape {probabilities.shape}")
    named, weights = _worth_most(probabilities, decision), np.array(decision.weights)
    shortest = np.array([*decision.shortest_s, 0]) * rows_per_s  # the last is that of -1
    struck = np.zeros(probabilities.shape, bool)  # classes whose bout was too short
    struck_out = np.zeros(len(named), bool)  # of every class: it would be named for ever
    while True:
        edges = np.flatnonzero(np.diff(named, prepend=named[:1] - 1))
        lengths = np.diff(edges, append=len(named))
        rows = np.flatnonzero(np.repeat(lengths < shortest[named[edges]], lengths) & ~struck_out)
        if not len(rows):
            return named
        struck[rows, named[rows]] = True
        worth = np.where(struck[rows], -1.0, probabilities[rows] * weights)
        named[rows] = worth.argmax(axis=1)
        struck_out[rows] = struck[rows].all(axis=1)


def last_cut(probabilities: np.ndarray, decision: Decision) -> int:
    """The last row before which the rows can be decided without knowing those from it on, and those without these.

    It lies in a bout of which both parts are long enough to stay; 0 where there is none. For who has the rows of a month, a
    day at a time.

    >>> p = np.array([[0.6, 0.4]] * 5 + [[0.4, 0.6]])
    >>> last_cut(p, Decision((1.0, 1.0), (1, 2))), last_cut(p[3:], Decision((1.0, 1.0), (1, 2)))
    (3, 0)
    """
    named, least = _worth_most(probabilities, decision), max(decision.shortest_s)
    edges = np.flatnonzero(np.diff(named, prepend=named[:1] - 1))
    ends = np.append(edges[1:], len(named))
    long = np.flatnonzero(ends - edges >= 2 * least)
    return int(ends[long[-1]]) - least if len(long) else 0


def _worth_most(probabilities: np.ndarray, decision: Decision) -> np.ndarray:
    """Class index of every row, whatever the length of its bout, int64 (R,); -1 where its probabilities are NaN."""
    named, weights = np.empty(len(probabilities), np.int64), np.array(decision.weights)
    for first in range(0, len(named), BLOCK_ROWS):
        worth = probabilities[first : first + BLOCK_ROWS] * weights
        missing = ~np.isfinite(worth @ np.ones(len(weights)))
        named[first : first + BLOCK_ROWS] = np.where(missing, UNLABELLED, worth.argmax(axis=1))
    return named


def fit_decision(people: Mapping[str, Answers]) -> Decision:
    """The decision with the highest mean macro F1 over people whom the model did not learn from.

    Tried: `BALANCES` (powers of a class's share of the people's time that are divided out) times `SHORTEST_S` (of the
    classes that fewer than `OCCASIONAL` of the people did). A gain within one standard error (of the differences, over
    people) is taken for chance: then it is the most probable class, as it is for a single person.
    """
    classes = checked_people(people)
    counts = np.array([np.bincount(a.truth[a.scored], minlength=classes) for a in people.values()])
    share = np.maximum((counts / counts.sum(axis=1, keepdims=True)).mean(axis=0), SMALLEST_SHARE)
    occasional = (counts > 0).mean(axis=0) < OCCASIONAL
    before = np.array([person_macro_f1(answers, most_probable(classes)) for answers in people.values()])
    best, chosen = before, most_probable(classes)
    for balance in BALANCES:
        weights = share**-balance
        for seconds in SHORTEST_S:
            shortest = np.where(occasional, seconds, 1)
            tried = Decision(tuple((weights / weights.max()).tolist()), tuple(shortest.tolist()))
            scores = np.array([person_macro_f1(answers, tried) for answers in people.values()])
            if scores.mean() > best.mean():
                best, chosen = scores, tried
    gain = mean_and_error(best - before)
    return chosen if gain.n > 1 and gain.mean > gain.sem else most_probable(classes)


def person_macro_f1(answers: Answers, decision: Decision) -> float:
    """Macro F1 of one person's scored rows under this decision."""
    named = decide(answers.probabilities, decision)
    scored = answers.scored
    return macro_f1(confusion(answers.truth[scored], named[scored], answers.probabilities.shape[1]))


def most_probable(classes: int) -> Decision:
    """The plain decision: the most probable class, bouts of any length."""
    return Decision((1.0,) * classes, (1,) * classes)
