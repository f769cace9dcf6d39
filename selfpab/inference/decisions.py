"""From probabilities to one activity per second, for the score that is an average over activities. Ours.

The most probable class is right most often, but macro F1 counts rare classes as much as frequent ones: part of the
classes' frequency is divided out of the probabilities. Then rare classes are named too often, in single seconds, and one
such second is an F1 of 0 for who never did the class; so a class that not everybody does needs a bout of some seconds, and
the probabilities of neighbouring seconds may be averaged before one is named.
Legend: R rows in order, K classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from selfpab.activities import Activities
from selfpab.evaluation.answers import Answers, checked_people
from selfpab.evaluation.metrics import confusion, macro_f1, mean_and_error
from selfpab.recording import UNLABELLED

BALANCES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # ours, tried in this order: of equal ones the first is taken
SHORTEST_S = (1, 2, 3, 4, 5)
AROUND_S = (0, 1, 2)
OCCASIONAL = 0.8  # ours; a class that fewer of the people did is one that a new person may never do
BLOCK_ROWS = 50_000  # at once: what a week's need in between is small
SMALLEST_SHARE = 1e-3  # a class with less (or none) in training is not favoured beyond this


@dataclass(frozen=True)
class Decision:
    """weights (K,): what probabilities are multiplied by. shortest_s (K,): a shorter bout of the class is given away.

    around_s : so many seconds on either side, as far as nothing is missing between, are averaged with a second's own before.
    """

    weights: tuple[float, ...]
    shortest_s: tuple[int, ...]
    around_s: int = 0

    def __post_init__(self) -> None:
        if len(self.weights) != len(self.shortest_s) or min(self.weights, default=0) <= 0:
            raise ValueError(f"one weight above 0 and one shortest bout per class are needed, got {self}")
        if self.around_s < 0:
            raise ValueError(f"wanted around_s of at least 0, got {self.around_s}")

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `from_json`."""
        return {"weights": list(self.weights), "shortest_s": list(self.shortest_s), "around_s": self.around_s}

    def by_name(self, activities: Activities) -> dict[str, dict[str, Any]]:
        """{name of a class: {"weight", "shortest_s"}}, for info.json.

        >>> Decision((0.5, 1.0), (1, 3)).by_name(Activities("two", (7, 1), ("sitting", "walking")))["walking"]
        {'weight': 1.0, 'shortest_s': 3}
        """
        own = zip(activities.names, self.weights, self.shortest_s, strict=True)
        return {name: {"weight": weight, "shortest_s": shortest} for name, weight, shortest in own}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Decision:
        around_s = int(values.get("around_s", 0))  # models of a time before it was there have none
        return cls(tuple(map(float, values["weights"])), tuple(map(int, values["shortest_s"])), around_s)


def decide(probabilities: np.ndarray, decision: Decision, *, rows_per_s: int = 1) -> np.ndarray:
    """Class index of every row, int64 (R,); -1 where its probabilities are NaN. Ties go to the lower index.

    A bout that is too short goes, row by row, to the next best class, until none is left. Rows of NaN end a bout.

    >>> p = np.array([[0.6, 0.4], [0.4, 0.6], [0.6, 0.4]])
    >>> decide(p, Decision((1.0, 1.0), (1, 2))).tolist(), decide(p, Decision((1.0, 2.0), (1, 2))).tolist()
    ([0, 0, 0], [1, 1, 1])
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(decision.weights):
        raise ValueError(f"this decision is for {len(decision.weights)} classes, got shape {probabilities.shape}")
    return named_of(averaged(probabilities, decision.around_s * rows_per_s), decision, rows_per_s=rows_per_s)


def averaged(probabilities: np.ndarray, around: int) -> np.ndarray:
    """Mean with the rows up to `around` before and behind that no row of NaN lies between, (R, K); NaN stays.

    >>> averaged(np.array([[1.0], [0.0], [np.nan], [1.0]]), 1).ravel().tolist()
    [0.5, 0.5, nan, 1.0]
    """
    if not around:
        return probabilities
    there = np.isfinite(probabilities @ np.ones(probabilities.shape[1]))
    own = np.where(there[:, None], probabilities, 0)
    total, count = own.copy(), there.astype(own.dtype)
    for sign in (1, -1):
        reached = there  # whether all rows from this one to the other are there
        for shift in range(1, around + 1):
            reached = reached & _shifted(there, sign * shift)
            total += np.where(reached[:, None], _shifted(own, sign * shift), 0)
            count += reached
    return np.where(there[:, None], total / np.maximum(count, 1)[:, None], np.nan).astype(own.dtype)


def _shifted(values: np.ndarray, by: int) -> np.ndarray:
    """values[i + by], 0 where there is none."""
    found = np.zeros_like(values)
    if abs(by) < len(values):
        here, there = slice(None, -abs(by)), slice(abs(by), None)
        found[here if by > 0 else there] = values[there if by > 0 else here]
    return found


def named_of(worth: np.ndarray, decision: Decision, *, rows_per_s: int = 1) -> np.ndarray:
    """What `decide` makes of probabilities that were `averaged` before."""
    named, weights = _worth_most(worth, decision), np.array(decision.weights)
    shortest = np.array([*decision.shortest_s, 0]) * rows_per_s  # the last is that of -1
    struck = np.zeros(worth.shape, bool)  # classes whose bout was too short
    struck_out = np.zeros(len(named), bool)  # of every class: it would be named for ever
    while True:
        edges = np.flatnonzero(np.diff(named, prepend=named[:1] - 1))
        lengths = np.diff(edges, append=len(named))
        rows = np.flatnonzero(np.repeat(lengths < shortest[named[edges]], lengths) & ~struck_out)
        if not len(rows):
            return named
        struck[rows, named[rows]] = True
        left = np.where(struck[rows], -1.0, worth[rows] * weights)
        named[rows] = left.argmax(axis=1)
        struck_out[rows] = struck[rows].all(axis=1)


def last_cut(worth: np.ndarray, decision: Decision) -> int:
    """The last row before which `averaged` rows can be named without knowing those from it on, and those without these.

    It lies in a bout of which both parts are long enough to stay; 0 where there is none. For who has the rows of a month, a
    day at a time.

    >>> p = np.array([[0.6, 0.4]] * 5 + [[0.4, 0.6]])
    >>> last_cut(p, Decision((1.0, 1.0), (1, 2))), last_cut(p[3:], Decision((1.0, 1.0), (1, 2)))
    (3, 0)
    """
    named, least = _worth_most(worth, decision), max(decision.shortest_s)
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

    Tried: `AROUND_S` times `BALANCES` (powers of a class's share of the people's time that are divided out) times
    `SHORTEST_S` (of the classes that fewer than `OCCASIONAL` of the people did). A gain within one standard error (of the
    differences, over people) is taken for chance: then it is the most probable class, as it is for a single person.
    """
    classes = checked_people(people)
    counts = np.array([np.bincount(a.truth[a.scored], minlength=classes) for a in people.values()])
    share = np.maximum((counts / counts.sum(axis=1, keepdims=True)).mean(axis=0), SMALLEST_SHARE)
    occasional = (counts > 0).mean(axis=0) < OCCASIONAL
    before = np.array([person_macro_f1(answers, most_probable(classes)) for answers in people.values()])
    best, chosen = before, most_probable(classes)
    for around in AROUND_S:
        near = [Answers(a.truth, averaged(a.probabilities, around)) for a in people.values()]
        for balance, seconds in itertools.product(BALANCES, SHORTEST_S):
            weights = share**-balance
            shortest = np.where(occasional, seconds, 1)
            tried = Decision(tuple((weights / weights.max()).tolist()), tuple(shortest.tolist()))
            scores = np.array([person_macro_f1(answers, tried) for answers in near])
            if scores.mean() > best.mean():
                best, chosen = scores, replace(tried, around_s=around)
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
