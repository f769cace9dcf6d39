"""All that makes a model's probabilities, decisions, doubts and minutes trustworthy, as one `calibration.json`. Ours.

Fitted on people whom the model did not learn from: the held-out people of leave-one-subject-out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from selfpab.evaluation.answers import Answers, checked_people
from selfpab.inference.decisions import Decision, decide, fit_decision, most_probable
from selfpab.inference.doubt import Answered, Coverage, fit_threshold
from selfpab.inference.minutes import Intervals, Minutes, fit_intervals, minutes_of
from selfpab.inference.probability_maps import ProbabilityMap, fit_map
from selfpab.writing import write_text

SCHEMA = 1


@dataclass(frozen=True)
class SingleTrust:
    """Of seconds that one sensor alone was read for; they are decided as the others."""

    map: ProbabilityMap
    uncertain: Coverage

    def to_json(self) -> dict[str, Any]:
        return {"map": self.map.to_json(), "uncertain": self.uncertain._asdict()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SingleTrust:
        return cls(ProbabilityMap.from_json(values["map"]), Coverage(**values["uncertain"]))


@dataclass(frozen=True)
class Trust:
    """What stands in calibration.json; order of classes as in the model's classes.json.

    uncertain : threshold, and the coverage and accuracy there over the people it was fitted on.
    single : by sensor, of seconds that it alone was read for; {} where nobody evaluated that.
    """

    map: ProbabilityMap
    decision: Decision
    uncertain: Coverage
    intervals: Intervals
    single: Mapping[str, SingleTrust] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `from_json`."""
        return {
            "schema": SCHEMA,
            "map": self.map.to_json(),
            "decision": self.decision.to_json(),
            "uncertain": self.uncertain._asdict(),
            "intervals": self.intervals.to_json(),
            "single": {sensor: own.to_json() for sensor, own in self.single.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Trust:
        if values.get("schema") != SCHEMA:
            raise ValueError(f"calibration of schema {values.get('schema')}, this version of selfpab reads {SCHEMA}")
        return cls(
            ProbabilityMap.from_json(values["map"]),
            Decision.from_json(values["decision"]),
            Coverage(**values["uncertain"]),
            Intervals.from_json(values["intervals"]),
            {sensor: SingleTrust.from_json(own) for sensor, own in values.get("single", {}).items()},
        )


class Judged(NamedTuple):
    """One person's seconds after calibration and decision: probabilities (R, K), named (R,; -1 where there are none)."""

    truth: np.ndarray
    probabilities: np.ndarray
    named: np.ndarray

    @property
    def answered(self) -> Answered:
        """Confidence in what was named and whether it was right, of the rows that have a truth."""
        kept = self.scored
        return self.probabilities[kept, self.named[kept]], self.named[kept] == self.truth[kept]

    @property
    def scored(self) -> np.ndarray:
        return Answers(self.truth, self.probabilities).scored

    @property
    def minutes(self) -> Minutes:
        return minutes_of(self.named, self.probabilities, self.truth)


def fit_trust(
    people: Mapping[str, Answers], *, accuracy: float = 0.95, decision: Decision | None = None, biases: bool = False
) -> Trust:
    """Map, decision, threshold and intervals, in this order, each for what the ones before it give.

    Parameters
    ----------
    people : at least two whom the model did not learn from.
    accuracy : wanted of the seconds that are not uncertain.
    decision : given, instead of fitted; `decisions.most_probable(K)` for none.
    """
    checked_people(people)
    map_ = fit_map(people, biases=biases)
    mapped = {name: Answers(a.truth, map_(a.probabilities)) for name, a in people.items()}
    decision = fit_decision(mapped) if decision is None else decision
    judged = {name: Judged(*a, decide(a.probabilities, decision)) for name, a in mapped.items()}
    threshold = fit_threshold({name: j.answered for name, j in judged.items()}, accuracy=accuracy)
    return Trust(map_, decision, threshold, fit_intervals({name: j.minutes for name, j in judged.items()}))


def fit_single(people: Mapping[str, Answers], decision: Decision, *, accuracy: float = 0.95) -> SingleTrust:
    """The same of the answers that one sensor alone gave, which are decided as those of both."""
    checked_people(people)
    map_ = fit_map(people)
    judged = {name: judge_by(answers, map_, decision).answered for name, answers in people.items()}
    return SingleTrust(map_, fit_threshold(judged, accuracy=accuracy))


def judge_by(answers: Answers, map_: ProbabilityMap, decision: Decision) -> Judged:
    """A person's seconds with these probabilities and this decision."""
    mapped = map_(answers.probabilities)
    return Judged(answers.truth, mapped, decide(mapped, decision))


def judge(answers: Answers, trust: Trust) -> Judged:
    """A person's seconds as a model with this calibration would give them."""
    return judge_by(answers, trust.map, trust.decision)


def cross_fitted(
    people: Mapping[str, Answers], *, accuracy: float = 0.95, plain: bool = False, biases: bool = False
) -> dict[str, tuple[Judged, Trust]]:
    """Everyone judged by a calibration that was fitted on the others only: what a new person can expect.

    plain : the most probable class is named, instead of what `fit_decision` finds.
    """
    classes = checked_people(people)
    if len(people) < 3:
        raise ValueError(f"cross-fitting needs at least three people, got {sorted(people)}")
    result = {}
    for name, answers in people.items():
        others = {other: a for other, a in people.items() if other != name}
        decision = most_probable(classes) if plain else None
        trust = fit_trust(others, accuracy=accuracy, decision=decision, biases=biases)
        result[name] = judge(answers, trust), trust
    return result


def cross_fitted_single(
    people: Mapping[str, Answers], both: Mapping[str, tuple[Judged, Trust]], *, accuracy: float = 0.95
) -> dict[str, tuple[Judged, Trust]]:
    """The same of what one sensor alone gave, decided as both sensors' answers are.

    both : of the same people, what `cross_fitted` gave for both sensors: everyone's decision is that of the others.
    """
    result = {}
    for name, answers in people.items():
        others = {other: a for other, a in people.items() if other != name}
        trust = both[name][1]
        own = fit_single(others, trust.decision, accuracy=accuracy)
        judged = judge_by(answers, own.map, trust.decision)
        result[name] = judged, replace(trust, map=own.map, uncertain=own.uncertain)
    return result


def write_trust(path: Path, trust: Trust) -> None:
    """Write calibration.json whole or not at all."""
    write_text(path, json.dumps(trust.to_json(), indent=1, allow_nan=False) + "\n")


def read_trust(path: Path) -> Trust:
    """Read calibration.json; ValueError where it is none, or of another schema."""
    try:
        return Trust.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no calibration of a model: {error!r}; fit it again") from error
