"""Offset between two clocks as a line with as few bends as the evidence asks for, fitted robustly.

Two crystals drift against each other at a nearly constant rate; it changes with their temperature. So: a constant; a
slope if the lags show one; bends where one explains them much better. Legend: W lags, K bends.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SLOPE_GAIN = 16.0  # of chi², that is four standard errors of the drift; ours
BEND_GAIN = 45.0  # of chi², for a place and a slope; a bend that is not there costs accuracy at the ends; ours
SPACE_S = 3600.0  # between bends, and twice that to the ends, where a bend for an hour's noise leads far astray; ours
LEAST_LAGS = 6  # from bend to bend; ours
LEAST_SLOPE_LAGS, LARGEST_SLOPE = 16, 250e-6  # fewer lags do not show a drift, and no clock drifts more; ours
MEAN_S = 600.0  # lags are put together over so long, once it is known which are wrong
COMMON_S = 0.01  # by which the lags of ten minutes err together: activities differ by so much (docs/devices.md)
NEIGHBOURS = 31  # lags that tell how noisy they are: awake a tenth of what they are in bed
ROUNDS = 12  # of weighing
LEAST_NOISE_S = 0.004  # of one lag; a tenth of the movement signals' step


class Line(NamedTuple):
    """Linear between its knots, and on at the same rate beyond the ends."""

    knots_s: np.ndarray  # float64 (K + 2,), rising; the first and last are the ends of the evidence
    lag_s: np.ndarray  # float64 (K + 2,)
    sloped: bool  # False: the evidence did not tell a drift from none
    slope_error_ppm: float  # standard error of one slope through everything; inf for fewer than three lags

    def at(self, seconds: np.ndarray) -> np.ndarray:
        """Lag in s at these times, of their shape."""
        return extended(np.asarray(seconds, float), self.knots_s, self.lag_s)


def extended(x: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Linear interpolation that goes on beyond the first and the last knot at the rate it has there.

    >>> extended(np.array([-1.0, 0.5, 3.0]), np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 3.0])).tolist()
    [-2.0, 1.0, 4.0]
    """
    slopes = np.diff(values) / np.diff(knots)
    inside = np.interp(x, knots, values)
    return inside + np.minimum(x - knots[0], 0) * slopes[0] + np.maximum(x - knots[-1], 0) * slopes[-1]


def fit_line(seconds: np.ndarray, lag_s: np.ndarray, bend_gain: float = BEND_GAIN) -> Line:
    """The line through lags (W,) at rising times (W,); some of the lags may be wrong. ValueError for no lags.

    First with a bend in every hour, which shows the lags that are wrong; then the bends are taken away that explain
    least, and the others moved to their best places. What a bend is worth is measured against the noise from one lag
    to the next.

    >>> t = np.arange(0.0, 86400.0, 60.0)
    >>> line = fit_line(t, 5 + 1e-4 * np.minimum(t, 40000.0))
    >>> line.knots_s.round(-3).tolist(), line.at(np.array([0.0, 86400.0])).round(2).tolist()
    ([0.0, 40000.0, 86000.0], [5.0, 9.0])
    """
    if not len(lag_s):
        raise ValueError("a line needs at least one lag, got none")
    ends = np.array([seconds[0], max(seconds[-1], seconds[0] + 1.0)])  # of one lag: a second apart
    knots = np.array([ends[0], *_hourly(seconds), ends[1]])
    noise = np.full(len(lag_s), _noise(lag_s))
    values, _ = _through(seconds, lag_s, knots, noise)
    noise = _local_noise(lag_s - np.interp(seconds, knots, values))
    values, weights = _through(seconds, lag_s, knots, noise)
    spread = float(np.sqrt((weights * (seconds - np.average(seconds, weights=weights)) ** 2).sum()))
    error_ppm = 1e6 / spread if spread > 0 else float("inf")
    if len(lag_s) >= LEAST_SLOPE_LAGS:
        t, rest, w = _means(seconds, lag_s - np.interp(seconds, knots, values), weights)
        bends = _bends(t, rest + np.interp(t, knots, values), w, knots[1:-1], bend_gain)
        knots = np.array([ends[0], *bends, ends[1]])
        values, _ = _through(seconds, lag_s, knots, noise)
        slopes = np.diff(values) / np.diff(knots)
        told = len(knots) > 2 or abs(slopes[0]) * 1e6 > np.sqrt(SLOPE_GAIN) * error_ppm
        if told and np.abs(slopes).max() < LARGEST_SLOPE:
            return Line(knots, values, True, error_ppm)
    return Line(ends, np.full(2, _level(lag_s, noise)), False, error_ppm)


def _hourly(seconds: np.ndarray) -> list[float]:
    """Places at least an hour and LEAST_LAGS lags apart, and further from the ends."""
    places, last = [], 0
    inner = seconds[0] + 2 * SPACE_S, seconds[-1] - 2 * SPACE_S
    for i in range(LEAST_LAGS, len(seconds) - LEAST_LAGS):
        far = seconds[i] - seconds[last] >= SPACE_S and inner[0] <= seconds[i] <= inner[1]
        if far and i - last >= LEAST_LAGS:
            places.append(float(seconds[i]))
            last = i
    return places


def _through(
    seconds: np.ndarray, lag_s: np.ndarray, knots: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values at the knots, and weights of the lags. Only the knots on either side of a lag know of it, so the normal
    equations have three diagonals."""
    from scipy.linalg import solveh_banded

    size = len(knots)
    left = np.searchsorted(knots, seconds, side="right").clip(1, size - 1) - 1
    part = (seconds - knots[left]) / (knots[left + 1] - knots[left])
    weights, values = 1 / noise**2, np.zeros(size)
    for _ in range(ROUNDS):
        matrix, target = np.zeros((2, size)), np.zeros(size)
        for place, share in ((left, 1 - part), (left + 1, part)):
            matrix[1] += np.bincount(place, weights * share * share, size)
            target += np.bincount(place, weights * share * lag_s, size)
        matrix[0, 1:] = np.bincount(left, weights * part * (1 - part), size)[: size - 1]
        matrix[1] += 1e-6  # where no lag is left
        values = solveh_banded(matrix, target)
        weights = _biweight((lag_s - values[left] * (1 - part) - values[left + 1] * part) / noise) / noise**2
    return values, weights


def _level(lag_s: np.ndarray, noise: np.ndarray) -> float:
    weights, level = 1 / noise**2, 0.0
    for _ in range(ROUNDS):
        level = float(np.average(lag_s, weights=weights))
        weights = _biweight((lag_s - level) / noise) / noise**2
    return level


def _biweight(rest: np.ndarray) -> np.ndarray:
    """Tukey's weights of what is left over in units of the noise, or of its own spread where that is larger."""
    scale = max(1.0, 1.4826 * float(np.median(np.abs(rest))))
    return np.clip(1 - (rest / (4.685 * scale)) ** 2, 0, None) ** 2


def _means(seconds: np.ndarray, rest_s: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean time, mean rest and one over its variance, of every ten minutes that have any; (3, means)."""
    place = ((seconds - seconds[0]) // MEAN_S).astype(np.int64)
    total = np.bincount(place, weights)
    some = total > 0
    sums = np.stack([np.bincount(place, weights * values)[some] for values in (seconds, rest_s)])
    return np.concatenate([sums / total[some], 1 / (1 / total[None, some] + COMMON_S**2)])


def _bends(t: np.ndarray, y: np.ndarray, weights: np.ndarray, places: np.ndarray, gain: float) -> list[float]:
    """Those of the places, moved, that are worth having; `weights` are one over the variance."""
    bends = _worth(t, y, weights, places.tolist(), gain)
    for _ in range(4):
        before = list(bends)
        for i in range(len(bends) - 1):  # a bend between two places has left two
            pair = before[i : i + 2]
            if len(pair) == 2 and set(pair) <= set(bends) and pair[1] - pair[0] < 3 * SPACE_S:
                others = [bend for bend in bends if bend not in pair]
                single = _moved(t, y, weights, others, np.linspace(pair[0], pair[1], 61))
                one, two = (_chi2(t, y, weights, some) for some in (sorted([*others, single]), bends))
                if one - two < gain:
                    bends = sorted([*others, single])
        for bend in list(bends):
            others = [other for other in bends if other != bend]
            edges = np.array([t[0] + SPACE_S, *others, t[-1] - SPACE_S])
            i = int(np.searchsorted(edges, bend))
            low, high = max(edges[i - 1], bend - 2 * SPACE_S), min(edges[i], bend + 2 * SPACE_S)
            near = np.append(np.linspace(low, high, 121)[1:-1], bend)
            near = near[(near - edges[i - 1] >= SPACE_S) & (edges[i] - near >= SPACE_S)]
            if len(near):
                bends = sorted([*others, _moved(t, y, weights, others, near)])
        bends = _worth(t, y, weights, bends, gain)
        if bends == before:
            break
    return bends


def _worth(t: np.ndarray, y: np.ndarray, weights: np.ndarray, bends: list[float], gain: float) -> list[float]:
    """Without those that explain too little, the least first; by what chi² would rise (Wald)."""
    columns = _columns(t, bends)
    matrix, target = columns.T @ (columns * weights[:, None]), columns.T @ (weights * y)
    kept = list(range(len(bends) + 2))
    while len(kept) > 2:
        inverse = np.linalg.pinv(matrix[np.ix_(kept, kept)], hermitian=True)
        loss = (inverse @ target[kept]) ** 2 / np.maximum(np.diag(inverse), 1e-300)
        least = 2 + int(loss[2:].argmin())
        if loss[least] > gain:
            break
        del kept[least]
    return [bends[i - 2] for i in kept[2:]]


def _moved(t: np.ndarray, y: np.ndarray, weights: np.ndarray, others: list[float], places: np.ndarray) -> float:
    """The one of the places where a bend explains most, beside the others."""
    root = np.sqrt(weights)[:, None]
    basis, _ = np.linalg.qr(_columns(t, others) * root)
    bent = np.maximum(t[:, None] - places, 0) / SPACE_S * root
    bent -= basis @ (basis.T @ bent)
    gain = (bent.T @ (y * root[:, 0])) ** 2 / np.maximum((bent * bent).sum(0), 1e-9)
    return float(places[int(gain.argmax())])


def _chi2(t: np.ndarray, y: np.ndarray, weights: np.ndarray, bends: list[float]) -> float:
    root = np.sqrt(weights)
    columns = _columns(t, bends) * root[:, None]
    rest = y * root - columns @ np.linalg.lstsq(columns, y * root, rcond=None)[0]
    return float(rest @ rest)


def _columns(t: np.ndarray, bends: list[float]) -> np.ndarray:
    """A constant, a slope, and a bend each, in hours so that all are of one size."""
    bent = (np.maximum(t - bend, 0) / SPACE_S for bend in bends)
    return np.stack([np.ones_like(t), (t - t[0]) / SPACE_S, *bent], axis=1)


def _noise(lag_s: np.ndarray) -> float:
    """Standard deviation of one lag, from neighbours, so that no line is needed to see it."""
    if len(lag_s) < 4:
        return 0.03
    steps = np.diff(lag_s)
    return max(LEAST_NOISE_S, 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / float(np.sqrt(2)))


def _local_noise(rest_s: np.ndarray) -> np.ndarray:
    """Standard deviation of each lag, from those around it."""
    from scipy.ndimage import median_filter

    return np.maximum(
        LEAST_NOISE_S, 1.4826 * median_filter(np.abs(rest_s), min(NEIGHBOURS, len(rest_s)), mode="nearest")
    )
