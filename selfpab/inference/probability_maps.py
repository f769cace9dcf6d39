"""From what a model says to probabilities that can be believed: a temperature and a floor (issue "The product", 2). Ours.

    q = (1 - floor) softmax(ln p / temperature + bias) + floor / K

The temperature mends confidence as a whole. The floor is the chance of an error that the model cannot see (a turned
sensor, a wrong label): without it a single such person drags the temperature up for all (`results/probabilities`).
Legend: R rows (clock seconds), K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from selfpab.evaluation.answers import Answers, checked_people
from selfpab.evaluation.calibration import SMALLEST_PROBABILITY

SMALLEST_FLOOR = 0.005  # ours; below it one person of a new kind costs more than all others gain
LARGEST_FLOOR = 0.5
BIAS_PENALTY = 0.01  # ours; nats per squared bias: a class with 100 rows of 40,000 moves by little


@dataclass(frozen=True)
class ProbabilityMap:
    """temperature > 0 (above 1: less confident), floor in [0, 1), bias: one number per class, or () for none.

    >>> ProbabilityMap(temperature=2.0, floor=0.1)(np.array([[0.8, 0.2]])).round(4).tolist()
    [[0.65, 0.35]]
    """

    temperature: float = 1.0
    floor: float = 0.0
    bias: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and 0 <= self.floor < 1):
            raise ValueError(f"a temperature above 0 and a floor in [0, 1) are needed, got {self}")

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Mapped probabilities, float64 (R, K); rows of NaN stay so. The order of a row's classes changes only by `bias`."""
        classes = probabilities.shape[1]
        if self.bias and len(self.bias) != classes:
            raise ValueError(f"this map is for {len(self.bias)} classes, got probabilities of {classes}")
        # in place, and sums as a product with ones: a week has 6 million numbers
        share = np.maximum(probabilities, SMALLEST_PROBABILITY, dtype=np.float64)
        share **= 1 / self.temperature
        if self.bias:
            share *= np.exp(self.bias)
        share *= ((1 - self.floor) / (share @ np.ones(classes)))[:, None]
        share += self.floor / classes
        return share

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `from_json`."""
        return asdict(self) | {"bias": list(self.bias)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ProbabilityMap:
        return cls(float(values["temperature"]), float(values["floor"]), tuple(map(float, values["bias"])))


def fit_map(people: Mapping[str, Answers], *, biases: bool = False, people_equal: bool = True) -> ProbabilityMap:
    """The map with the smallest mean -ln q(truth) on people whom the model did not learn from.

    Parameters
    ----------
    people : at least one; rows without truth or answer do not count.
    biases : also one bias per class, pulled towards 0. Measured on both data sets: no gain, and a lower F1.
    people_equal : everyone counts the same however long the recording; otherwise every row does.
    """
    from scipy.optimize import minimize

    classes = checked_people(people)
    kept = [(a.truth[a.scored], a.probabilities[a.scored]) for a in people.values()]
    truth = np.concatenate([t for t, _ in kept])
    logs = _logs(np.concatenate([p for _, p in kept]))
    weight = np.concatenate([np.full(len(t), 1 / len(t) if people_equal else 1.0) for t, _ in kept])
    weight /= weight.sum()
    rows = np.arange(len(truth))

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        sharpness, floor, bias = np.exp(x[0]), x[1], x[2:]
        share = _softmax(logs * sharpness + bias if biases else logs * sharpness)
        believed = share[rows, truth]
        mapped = (1 - floor) * believed + floor / classes
        value = -(weight * np.log(mapped)).sum() + BIAS_PENALTY * (bias**2).sum()
        share[rows, truth] -= 1
        slope = share * (weight * (1 - floor) * believed / mapped)[:, None]  # by the logits
        by_bias = slope.sum(axis=0) + 2 * BIAS_PENALTY * bias if biases else np.zeros(0)
        by_floor = (weight * (believed - 1 / classes) / mapped).sum()
        return value, np.concatenate([[(slope * logs).sum() * sharpness, by_floor], by_bias])

    free = classes if biases else 0
    bounds = [(-3.0, 3.0), (SMALLEST_FLOOR, LARGEST_FLOOR)] + [(-5.0, 5.0)] * free
    found = minimize(loss, np.r_[0.0, 2 * SMALLEST_FLOOR, np.zeros(free)], jac=True, method="L-BFGS-B", bounds=bounds)
    return ProbabilityMap(float(np.exp(-found.x[0])), float(found.x[1]), tuple(found.x[2:].tolist()))


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))


def _softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
