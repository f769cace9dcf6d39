"""Raw counts at a device's own times -> calibrated int16 counts on any times, such as an even grid of 50 Hz.

Two steps, both exact in time. A linear-phase low-pass brings every rate to 100 Hz, or close to it, by the device's own
counting of samples (one matrix product for many samples at once); a quintic B-spline, whose droop the low-pass makes
good, gives the values at the wanted fractions between those. Measured for 50 Hz (tests/devices/test_resampling.py): up
to 20 Hz a sine keeps its amplitude within 0.4 %, from 31 Hz on it is at least 60 dB down, and in between half is left at
25 Hz. Devices below 50 Hz are interpolated: up to 0.4 of their rate passes, and images beyond 0.6 are removed.

Each run of blocks is filtered by itself, and goes on beyond its ends as its own mirror image: nothing rings across a gap
and gravity stays as it is. Only of the last quarter of a second next to a gap the filter sees a part twice.
Legend: n wanted times, K samples under the filter. (Ours.)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cache
from typing import NamedTuple

import numpy as np

from selfpab.devices.calibration import NO_CALIBRATION, Calibration
from selfpab.devices.surveys import Samples, Survey

MIDDLE_HZ = 100.0  # about so many between the two steps, by the nominal rate: BATCH values in a whole number of samples
PASS_HZ, STOP_HZ = 20.0, 30.0  # of devices with 50 Hz and more
SLOW_HZ = 50.0  # below, both shrink with the rate
STOP_DB = 75.0  # what Kaiser's formula is asked for
BATCH = 64  # values that one row of the matrix product gives
ROWS = 32  # of one product: few enough that BLAS starts no threads of its own, which get into each other's way
PHASES = 4096  # between two samples of 100 Hz, of which the nearest is taken: at most 1.2 microseconds beside
SPLINE = 6  # values under a quintic B-spline
AT_ONCE = 1 << 14  # wanted times, which fit into a core's cache
INT16_MAX = 32_767


class DoesNotFit(ValueError):
    """A value is too large for int16 with so many counts per g."""


class LowPass(NamedTuple):
    """One row of samples -> BATCH values, evenly over `hop` samples: at 100 Hz or close to it."""

    weights: np.ndarray  # float32 (K, BATCH)
    hop: int  # samples from row to row
    reach: int  # samples in front of the first value that its row begins


def resample(
    survey: Survey,
    times_ns: np.ndarray,
    out: np.ndarray,
    *,
    counts_per_g: int,
    calibration: Calibration = NO_CALIBRATION,
) -> None:
    """Write a device's acceleration at the given times to `out`.

    Only the blocks around these times are read, so a long recording is made piece by piece, in any order or at once.

    Parameters
    ----------
    survey : of the file.
    times_ns : int64 (n,), rising, by the device's clock, all within its runs.
    out : int16 (n, 3) or a view of that form, of a mapped file too.
    counts_per_g : of the result.
    calibration : applied to the filtered values, which is the same as filtering calibrated ones; the temperature between
        two blocks' is taken from both.

    Raises ValueError for times at which nothing was recorded, and DoesNotFit.
    """
    runs = survey.clock.runs
    with survey.opened() as samples:
        for first in range(0, len(times_ns), AT_ONCE):
            rows = slice(first, min(first + AT_ONCE, len(times_ns)))
            wanted = survey.clock.samples_at(times_ns[rows])
            if np.isnan(wanted).any():
                at = int(times_ns[rows][np.isnan(wanted)][0])
                raise ValueError(f"{survey.path}: recorded nothing at {np.datetime64(at, 'ns')}, which was asked for")
            begin = 0
            while begin < len(wanted):
                run = runs[bisect_right(runs, wanted[begin] + 0.5, key=lambda run: run.first) - 1]
                end = int(np.searchsorted(wanted, run.stop - 0.5))
                values = _filtered(samples, survey, wanted[begin:end], (run.first, run.stop))
                _store(values, survey, wanted[begin:end], out[rows][begin:end], counts_per_g, calibration)
                begin = end


def _filtered(samples: Samples, survey: Survey, wanted: np.ndarray, run: tuple[int, int]) -> np.ndarray:
    """Counts, float32 (3, n), of one run at the samples wanted (n,), fractions between two."""
    low_pass = low_pass_of(survey.layout.rate_hz)
    at = wanted * (BATCH / low_pass.hop)
    whole = np.floor(at).astype(np.int64)
    # rows begin at fixed samples, and products at fixed rows, wherever a piece begins: on some processors the last digit of
    # a row depends on its place in the product
    row = int(whole[0] - 2) // BATCH // ROWS * ROWS
    rows = -(-((int(whole[-1]) + SPLINE - 3) // BATCH + 1 - row) // ROWS) * ROWS
    begin = row * low_pass.hop - low_pass.reach
    end = begin + (rows - 1) * low_pass.hop + len(low_pass.weights)
    low, high = max(begin, run[0]), min(end, run[1])
    axes = np.ascontiguousarray(samples(low, high).T, np.float32)
    if (begin, end) != (low, high):
        axes = np.pad(axes, ((0, 0), (low - begin, end - high)), mode="symmetric")
    under = np.lib.stride_tricks.sliding_window_view(axes, len(low_pass.weights), axis=1)[:, :: low_pass.hop]
    middle = (np.ascontiguousarray(under).reshape(-1, ROWS, len(low_pass.weights)) @ low_pass.weights).reshape(3, -1)
    spline = spline_weights()[:, np.rint((at - whole) * PHASES).astype(np.int64)]
    place = whole - 2 - row * BATCH
    values = spline[0] * np.take(middle, place, axis=1)
    for k in range(1, SPLINE):
        values += spline[k] * np.take(middle, place + k, axis=1)
    return values


def _store(
    values: np.ndarray,
    survey: Survey,
    wanted: np.ndarray,
    out: np.ndarray,
    counts_per_g: int,
    calibration: Calibration,
) -> None:
    """Calibrate the raw counts (3, n), which are overwritten, and round them into out, int16 (n, 3)."""
    gain, offset_g, slope_g = calibration.gain, calibration.offset_g, calibration.temperature_slope_g
    values *= (gain * (counts_per_g / survey.layout.counts_per_g)).astype(np.float32)[:, None]
    values += (offset_g * counts_per_g).astype(np.float32)[:, None]
    if slope_g.any():
        low, high = (bisect_left(survey.blocks["first"], edge) for edge in (wanted[0], wanted[-1]))
        near = survey.blocks[max(0, low - 2) : high + 2]
        celsius = np.interp(wanted, near["first"] + (near["samples"] - 1) / 2, near["temperature_c"])
        warmer = (celsius - calibration.reference_c).astype(np.float32)
        values += (slope_g * counts_per_g).astype(np.float32)[:, None] * warmer
    np.rint(values, out=values)
    if (largest := float(np.abs(values).max())) > INT16_MAX:
        raise DoesNotFit(f"{survey.path}: {largest / counts_per_g:.2f} g does not fit at {counts_per_g} counts per g")
    out[...] = values.T


@cache
def low_pass_of(rate_hz: float) -> LowPass:
    """The first step for a nominal rate of 5 Hz or more.

    Kaiser's window over the ideal low-pass, times 1 / (spline's response) in the pass band. Weights of a value add up to 1.
    """
    share = min(1.0, rate_hz / SLOW_HZ)
    hop = round(BATCH * rate_hz / MIDDLE_HZ)
    step = hop / BATCH  # samples from value to value; not one beside for Axivity's 3200 / 2^n Hz, which give 100 Hz
    beta = 0.1102 * (STOP_DB - 8.7)
    width_s = (STOP_DB - 7.95) / (2.285 * 2 * np.pi * (STOP_HZ - PASS_HZ) * share) / 2
    reach = int(np.ceil(width_s * rate_hz))
    places = np.arange(hop + 2 * reach)[:, None] - reach - np.arange(BATCH) * step
    # One value for each distance that occurs; the integral over the pass band by the midpoint rule.
    distances, inverse = np.unique(np.abs(places), return_inverse=True)
    edge_hz = share * (PASS_HZ + STOP_HZ) / 2
    hz = (np.arange(2048) + 0.5) * edge_hz / 2048
    cosines = np.cos(2 * np.pi * hz * distances[:, None] / rate_hz)
    ideal = (cosines / np.sinc(hz * step / rate_hz) ** SPLINE).mean(axis=1)
    inside = np.clip(1 - (distances / (width_s * rate_hz)) ** 2, 0, None)
    shape = np.where(distances <= width_s * rate_hz, ideal * np.i0(beta * np.sqrt(inside)), 0.0)
    weights = shape[inverse.reshape(places.shape)]
    return LowPass((weights / weights.sum(axis=0)).astype(np.float32), hop, reach)


@cache
def spline_weights() -> np.ndarray:
    """Weights of the six values around a place, float32 (6, PHASES + 1), by how far it lies beyond the third."""
    from scipy.interpolate import BSpline

    beyond = np.arange(PHASES + 1) / PHASES
    spline = BSpline.basis_element(np.arange(-3, 4), extrapolate=False)
    return np.nan_to_num(np.stack([spline(beyond + 2 - k) for k in range(SPLINE)])).astype(np.float32)
