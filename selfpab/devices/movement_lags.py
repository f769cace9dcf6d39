"""How far two movement signals lie apart, minute by minute: a coarse track over all lags, then fine lags around it.

Lags are seconds of the thigh's clock minus the back's. Both steps cross-correlate and follow the ridge through time by
dynamic programming, because the clocks drift: over a week by up to a minute. Legend: W windows of a minute, L lags,
B blocks of time, N values at 25 Hz.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from selfpab.devices.cwa_blocks import SECOND_NS
from selfpab.devices.surveys import Movement
from selfpab.scratch import room_for

RATE_HZ = 25
MOVING_G = 0.015  # ours: standard deviation within a second; a sensor at rest has a fifth of it
FLOOR_G, SMALL_G = 0.01, 0.03  # ours: sizes from which on movement, and a single quick change, are taken by logarithm
# Coarse: logarithm of the movement in bins of 2 s. A drift of 270 ppm moves the lag by two bins in a block.
BIN_S, BLOCK_S, STEP_BINS, LEAST_COMMON_S, TREND_S = 2, 4 * 3600, 2, 300, 300
# Fine: windows of a minute; 20 s hold the coarse track's error and the neighbours that a peak must stand out from.
WINDOW_S, REACH_S, LEAST_MOVING_S, FOLLOW_WINDOWS, STEP_LAGS = 60, 10, 1, 10, 3
WINDOW, REACH, FFT = WINDOW_S * RATE_HZ, REACH_S * RATE_HZ, 2048
BATCH = 128  # windows at a time: some MB

WINDOWS = np.dtype([("start_ns", np.int64), ("lag_s", float), ("correlation", np.float32), ("used", bool)])


class Signal(NamedTuple):
    """A device's movement, ready to be compared."""

    start_ns: int  # of the device's own clock
    magnitude_g: np.ndarray  # float32 (N,) at 25 Hz, NaN where nothing was recorded
    spread_g: np.ndarray  # float32 (N // 25,): standard deviation of every second, NaN where it is not whole


class Track(NamedTuple):
    """A coarse lag for the whole recording, linear between the places."""

    seconds: np.ndarray  # float64 (B,) since the back's start
    lag_s: np.ndarray  # float64 (B,)


def signal_of(movement: Movement) -> Signal:
    """ValueError for movement at another rate than 25 Hz."""
    if movement.rate_hz != RATE_HZ:
        raise ValueError(f"movement signals must have {RATE_HZ} values per second, got {movement.rate_hz:g}")
    whole = len(movement.magnitude_g) // RATE_HZ
    spread = np.empty(whole, np.float32)
    for a in range(0, whole, 1 << 15):
        piece = movement.magnitude_g[a * RATE_HZ : min(a + (1 << 15), whole) * RATE_HZ]
        spread[a : a + (1 << 15)] = piece.reshape(-1, RATE_HZ).std(1)
    return Signal(movement.start_ns, movement.magnitude_g, spread)


def coarse_tracks(back: Signal, thigh: Signal, longest_s: float, count: int) -> list[Track]:
    """The `count` best tracks over all lags of at most `longest_s` that leave five minutes in common, best first.

    A track may move with the drift of the clocks. None where no such lag exists.
    """
    from scipy.fft import next_fast_len
    from scipy.ndimage import maximum_filter1d

    x, y = _activity(back.spread_g), _activity(thigh.spread_g)
    shift = round((thigh.start_ns - back.start_ns) / SECOND_NS / BIN_S)
    least = LEAST_COMMON_S // BIN_S
    low = int(max(-longest_s / BIN_S, shift - len(x) + least))
    high = int(min(longest_s / BIN_S, shift + len(y) - least))
    if high < low or min(len(x), len(y)) < least:
        return []
    size = BLOCK_S // BIN_S
    blocks = -(-len(x) // size)
    scores = np.empty((blocks, high - low + 1), np.float32)  # of the best track that ends here
    for block in range(blocks):
        piece = x[block * size : (block + 1) * size]
        other = _cut(y, block * size + low - shift, len(piece) + high - low, 0.0)
        length = next_fast_len(len(other), real=True)
        product = np.fft.rfft(other, length) * np.conj(np.fft.rfft(piece, length))
        scores[block] = np.fft.irfft(product, length)[: scores.shape[1]]
        if block:
            scores[block] += maximum_filter1d(scores[block - 1], 2 * STEP_BINS + 1)
    last, tracks = scores[-1].copy(), []
    places = (np.arange(blocks) + 0.5) * BLOCK_S
    for _ in range(count):
        best = int(last.argmax())
        if not np.isfinite(last[best]):
            break
        tracks.append(Track(places, (_backwards(scores, best, STEP_BINS) + low) * float(BIN_S)))
        last[max(0, best - REACH_S // BIN_S) : best + REACH_S // BIN_S + 1] = -np.inf
    return tracks


def zero_track(back: Signal, thigh: Signal) -> list[Track]:
    """The track of two clocks that are right, if they have time in common."""
    ends = [signal.start_ns + len(signal.magnitude_g) * SECOND_NS // RATE_HZ for signal in (back, thigh)]
    together = min(ends) > max(back.start_ns, thigh.start_ns)
    return [Track(np.zeros(1), np.zeros(1))] if together else []


def window_lags(back: Signal, thigh: Signal, track: Track) -> tuple[np.ndarray, np.ndarray]:
    """WINDOWS (W,): every minute in which both sensors moved, with its own best lag; and the ridge's lag there, (W,).

    A window's lag is its highest peak within 10 s of the coarse track, whatever the others say; NaN without one. The
    ridge is the way through the correlations of all windows that changes by at most 200 ppm: rhythmic movement alone
    has a peak at every step, but one that does not stay from bout to bout. `used` is False.
    """
    first, index, lag = _windows(back, thigh, track)
    curves = room_for((len(first), 2 * REACH + 1), np.float32)
    for a in range(0, len(first), BATCH):
        part = slice(a, a + BATCH)
        x = _features(np.stack([_cut(back.magnitude_g, i, WINDOW) for i in first[part].tolist()]))
        wider = (index[part] - REACH).tolist()
        y = _features(np.stack([_cut(thigh.magnitude_g, i, WINDOW + 2 * REACH) for i in wider]))
        product = (np.fft.rfft(y, FFT) * np.conj(np.fft.rfft(x, FFT))).sum(0)
        curves[part] = np.fft.irfft(product, FFT)[:, : 2 * REACH + 1] / (2 * WINDOW)
    peaks, heights = _peaks(curves)
    table = np.zeros(len(first), WINDOWS)
    table["start_ns"] = back.start_ns + first * (SECOND_NS // RATE_HZ)
    table["lag_s"] = lag + (peaks - REACH) / RATE_HZ
    table["correlation"] = heights
    return table, _ridge(curves, first // WINDOW, lag)


def _activity(spread_g: np.ndarray) -> np.ndarray:
    """Logarithm of the movement per bin without its slow changes; 0 where nothing was recorded. float32."""
    from scipy.ndimage import uniform_filter1d

    bins = np.log(FLOOR_G + spread_g[: len(spread_g) // BIN_S * BIN_S]).reshape(-1, BIN_S).mean(1)
    known = np.isfinite(bins)
    level = np.where(known, bins, 0).astype(np.float64)
    width = TREND_S // BIN_S
    share = uniform_filter1d(known.astype(np.float64), width, mode="constant")
    trend = uniform_filter1d(level, width, mode="constant") / np.maximum(share, 1 / width)
    return np.where(known, level - trend, 0).astype(np.float32)


def _windows(back: Signal, thigh: Signal, track: Track) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows in which both moved: first value of the back's, of the thigh's at the coarse lag, and that lag in s."""
    first = np.arange(len(back.magnitude_g) // WINDOW) * WINDOW
    shift_s = (thigh.start_ns - back.start_ns) / SECOND_NS
    coarse_s = np.interp((first + WINDOW / 2) / RATE_HZ, track.seconds, track.lag_s)
    step = np.rint((coarse_s - shift_s) * RATE_HZ).astype(np.int64)
    moving = np.ones(len(first), bool)
    for signal, begin in ((back, first), (thigh, first + step)):
        total = np.cumsum(np.append(False, signal.spread_g > MOVING_G))
        second = begin // RATE_HZ
        edges = np.clip(np.stack([second, second + WINDOW_S]), 0, len(total) - 1)
        moving &= total[edges[1]] - total[edges[0]] >= LEAST_MOVING_S
    return first[moving], (first + step)[moving], (step / RATE_HZ + shift_s)[moving]


def _features(magnitude_g: np.ndarray) -> np.ndarray:
    """Two views of each window, (2, W, N): the quick changes themselves, compressed, and their envelope.

    The first is sharp (heel strikes reach both sensors within some 10 ms) but repeats with every step; the second tells
    the steps apart. Each has unit size, so that running does not outweigh everything else.
    """
    from scipy.ndimage import uniform_filter1d

    known = np.isfinite(magnitude_g)
    filled = np.where(known, magnitude_g, 1).astype(np.float32)
    quick = np.where(known, filled - uniform_filter1d(filled, 87, axis=1, mode="nearest"), 0)
    power = uniform_filter1d(uniform_filter1d(quick * quick, 15, axis=1), 15, axis=1)
    envelope = np.log(np.sqrt(np.maximum(power, 0)) + FLOOR_G)
    changes = np.sign(quick) * np.log(1 + np.abs(quick) / SMALL_G)
    both = np.stack([changes, np.where(known, envelope - envelope.mean(1, keepdims=True), 0)]).astype(np.float32)
    return both / (np.sqrt(np.mean(both * both, 2, keepdims=True)) + np.float32(0.1))


def _ridge(curves: np.ndarray, minute: np.ndarray, lag_s: np.ndarray) -> np.ndarray:
    """Lag (W,) of the best way through the sums of ten minutes each, in s."""
    from scipy.ndimage import maximum_filter1d

    if not len(curves):
        return np.zeros(0)
    base = np.rint(lag_s * RATE_HZ).astype(np.int64)
    low = int(base.min())
    block = (minute - minute[0]) // FOLLOW_WINDOWS
    scores = np.zeros((int(block[-1]) + 1, int(base.max()) - low + curves.shape[1]), np.float32)
    for row, place, at in zip(curves, block.tolist(), (base - low).tolist(), strict=True):
        scores[place, at : at + len(row)] += row
    for place in range(1, len(scores)):
        scores[place] += maximum_filter1d(scores[place - 1], 2 * STEP_LAGS + 1)
    way = _backwards(scores, int(scores[-1].argmax()), STEP_LAGS)
    return (way[block] + low - REACH) / RATE_HZ


def _backwards(scores: np.ndarray, last: int, step: int) -> np.ndarray:
    """The best way (rows,) that ends in column `last` and moves by at most `step` columns per row."""
    way = [last]
    for row in scores[-2::-1]:
        first = max(0, way[-1] - step)
        way.append(first + int(row[first : way[-1] + step + 1].argmax()))
    return np.array(way[::-1])


def _peaks(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place of every curve's highest value, between the samples by a parabola through three; and that value.

    NaN where it lies at an edge: such a curve still rises beyond, and many of them would agree on the edge.
    """
    best = curves.argmax(1)
    rows, middle = np.arange(len(curves)), np.clip(best, 1, curves.shape[1] - 2)
    before, top, after = (curves[rows, middle + step] for step in (-1, 0, 1))
    bend = before - 2 * top + after
    part = np.where(bend < 0, (before - after) / (2 * np.where(bend < 0, bend, -1)), 0)
    return np.where(best == middle, middle + np.clip(part, -1, 1), np.nan), curves[rows, best]


def _cut(values: np.ndarray, first: int, length: int, missing: float = np.nan) -> np.ndarray:
    """`length` values from place `first`, which may lie outside: `missing` there."""
    piece = np.full(length, missing, np.float32)
    begin, end = max(first, 0), min(first + length, len(values))
    if end > begin:
        piece[begin - first : end - first] = values[begin:end]
    return piece
