"""What simulated people do: sequences of bouts, as a semi-Markov chain with HARTH-like imbalance.

Dwell times are log-normal; medians, spreads and transitions follow the label sequences of HARTH v2.0 and HAR70+
(docs/simulator.md has the measured ones beside these), with riding and running entered more often so that a few
people-hours hold all ten classes. Lying and sitting may follow themselves: a turn or a shift of posture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

K = TypeVar("K", int, str)
POSTURES = ("upright", "seated", "supine", "prone", "left side", "right side", "riding", "not worn")
SCENARIOS = ("free-living", "protocol", "days")
# code: median dwell in seconds, sigma of its logarithm, shortest, longest
DWELL: dict[int, tuple[float, float, float, float]] = {
    1: (7.0, 1.35, 1.0, 600.0),
    2: (70.0, 1.0, 5.0, 900.0),
    3: (1.5, 0.6, 0.6, 8.0),
    4: (9.0, 0.45, 2.0, 25.0),
    5: (8.0, 0.45, 2.0, 25.0),
    6: (5.0, 1.05, 0.8, 300.0),
    7: (62.0, 0.9, 8.0, 1800.0),
    8: (125.0, 0.7, 20.0, 1800.0),
    13: (36.0, 0.9, 3.0, 600.0),
    14: (9.0, 0.9, 2.0, 120.0),
    130: (7.0, 0.6, 2.0, 60.0),
    140: (8.0, 0.4, 3.0, 25.0),
}
TRANSITIONS: dict[int, dict[int, float]] = {
    1: {6: 0.570, 3: 0.265, 4: 0.040, 5: 0.043, 7: 0.032, 8: 0.004, 2: 0.028, 13: 0.018},
    2: {1: 0.80, 6: 0.12, 3: 0.08},
    3: {6: 0.635, 1: 0.300, 7: 0.025, 4: 0.015, 5: 0.015, 8: 0.005, 2: 0.002, 13: 0.003},
    4: {1: 0.55, 6: 0.25, 3: 0.20},
    5: {1: 0.70, 6: 0.10, 3: 0.20},
    6: {1: 0.500, 3: 0.455, 7: 0.025, 4: 0.008, 5: 0.007, 8: 0.003, 14: 0.002},
    7: {7: 0.34, 1: 0.44, 6: 0.10, 3: 0.05, 8: 0.07},
    8: {8: 0.30, 7: 0.38, 1: 0.22, 6: 0.07, 3: 0.03},
    13: {14: 0.29, 130: 0.42, 1: 0.17, 6: 0.09, 140: 0.03},
    14: {13: 0.88, 140: 0.10, 6: 0.02},
    130: {13: 0.96, 3: 0.04},
    140: {14: 1.0},
}
FIRST = {6: 0.5, 1: 0.2, 7: 0.2, 8: 0.05, 13: 0.05}
LYING_POSTURES = {"supine": 0.72, "prone": 0.06, "left side": 0.11, "right side": 0.11}
WAKES_H, SLEEPS_H, NIGHT_SIGMA_H = 7.0, 23.0, 0.75  # of scenario "days"; ours
ASLEEP = (1500.0, 0.8, 120.0, 7200.0)  # dwell until the next turn in bed, as in DWELL; ours
HABIT_SIGMA = 0.2  # people differ in how long they stay; sigma of the logarithm


@dataclass(frozen=True)
class Bout:
    """Samples `first` to `stop` (exclusive) of one activity in one posture."""

    first: int
    stop: int
    code: int
    posture: str

    def __len__(self) -> int:
        return self.stop - self.first


def bouts(rng: np.random.Generator, samples: int, rate_hz: float, scenario: str = "free-living") -> list[Bout]:
    """Bouts that cover `samples` samples without a gap; the last one is cut to fit.

    scenario : "free-living"; "protocol": every code once per round in a random order, 8 to 20 s each, so that
        five minutes hold all of them; "days": free-living from 8 in the morning on, in bed from about 23 to 7. Another
        one raises ValueError.

    >>> [b.code for b in bouts(np.random.default_rng(0), 1000, 50.0)][:3]
    [7]
    """
    if scenario not in SCENARIOS:
        raise ValueError(f"scenario must be one of {', '.join(SCENARIOS)}, got {scenario!r}")
    steps = {"free-living": _free_living, "protocol": _protocol, "days": _days}[scenario](rng)
    found: list[Bout] = []
    first = 0
    while first < samples:
        code, seconds = next(steps)
        stop = min(samples, first + max(1, round(seconds * rate_hz)))
        found.append(Bout(first, stop, code, _posture(rng, code)))
        first = stop
    return found


def shares() -> dict[int, float]:
    """The share of time that every code has in an endless free-living recording.

    >>> round(sum(shares().values()), 6), max(shares(), key=shares().get)
    (1.0, 1)
    """
    codes = list(DWELL)
    matrix = np.array([[TRANSITIONS[a].get(b, 0.0) for b in codes] for a in codes])
    values, vectors = np.linalg.eig((matrix / matrix.sum(1, keepdims=True)).T)
    visits = np.abs(np.real(vectors[:, int(np.argmin(np.abs(values - 1)))]))
    normal = np.random.default_rng(0).standard_normal(100_000)
    means = [np.clip(m * np.exp(s * normal), low, high).mean() for m, s, low, high in DWELL.values()]
    time = visits * np.array(means)
    return {code: float(share) for code, share in zip(codes, time / time.sum(), strict=True)}


def _free_living(rng: np.random.Generator) -> Iterator[tuple[int, float]]:
    habit = {code: float(np.exp(HABIT_SIGMA * rng.standard_normal())) for code in DWELL}
    code = _draw(rng, FIRST)
    while True:
        median, sigma, low, high = DWELL[code]
        yield code, float(np.clip(habit[code] * median * np.exp(sigma * rng.standard_normal()), low, high))
        code = _draw(rng, TRANSITIONS[code])


def _days(rng: np.random.Generator) -> Iterator[tuple[int, float]]:
    awake, clock_h = _free_living(rng), 8.0
    while True:
        bed_h = 24 * ((clock_h - WAKES_H) // 24) + SLEEPS_H + NIGHT_SIGMA_H * rng.standard_normal()
        up_h = bed_h + 24 - SLEEPS_H + WAKES_H + NIGHT_SIGMA_H * rng.standard_normal()
        for stop_h, night in ((bed_h, False), (up_h, True)):
            while clock_h < stop_h:
                median, sigma, low, high = ASLEEP
                turn = (8, float(np.clip(median * np.exp(sigma * rng.standard_normal()), low, high)))
                code, seconds = turn if night else next(awake)
                yield code, seconds
                clock_h += seconds / 3600


def _protocol(rng: np.random.Generator) -> Iterator[tuple[int, float]]:
    while True:
        for code in rng.permutation(list(DWELL)):
            yield int(code), float(rng.uniform(8.0, 20.0))


def _draw(rng: np.random.Generator, odds: Mapping[K, float]) -> K:
    edges = np.cumsum(list(odds.values()))
    return list(odds)[int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))]


def _posture(rng: np.random.Generator, code: int) -> str:
    if code == 8:
        return _draw(rng, LYING_POSTURES)
    return {7: "seated", 13: "riding", 130: "riding", 14: "riding", 140: "riding"}.get(code, "upright")
