"""When the samples of a .cwa file were taken: the runs of its blocks, and times by the blocks' own stamps.

The true rate differs from the nominal one (97 to 103 Hz at "100" has been seen) and drifts with temperature, so times
come from the clock, not from counting. Every block brings one pair (sample, time); between the pairs of one run the
times are interpolated. The stamps' jitter of a few ms is still in them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from selfpab.devices.cwa_blocks import NO_TIME, RESUMED, SECOND_NS

JUMP_S = 0.5  # ours: stamps of one run jitter by some ms, and none has been seen to be off by a second
JUMP_SHARE = 0.1  # ours, of the time between two stamps; true rates are within 3 % of the nominal one


class Breaks(NamedTuple):
    """Why a block does not follow on the one before it in the table; the first block has no break. Each (B,)."""

    restart: np.ndarray  # bool: logging resumed, the session changed, or the sequence begins again
    falls: np.ndarray  # bool: the sequence does not rise, and it is no restart
    missing: np.ndarray  # int64: blocks that were written, by the sequence, and are not in the file
    left_out: np.ndarray  # bool: blocks of the file in between could not be read
    jump_ns: np.ndarray  # int64: by how much the clock leaps, 0 where it goes on

    @property
    def any(self) -> np.ndarray:
        """Where a new run begins, bool (B,)."""
        return self.restart | self.falls | (self.missing > 0) | self.left_out | (self.jump_ns != 0)


def breaks_of(table: np.ndarray, rate_hz: float) -> Breaks:
    """Breaks between the readable blocks of a file, TABLE (B,)."""
    size = len(table)
    restart, falls, left_out = (np.zeros(size, bool) for _ in range(3))
    missing, jump_ns = (np.zeros(size, np.int64) for _ in range(2))
    step = np.diff(table["sequence"])
    between = np.diff(table["block"]) - 1  # in the file, but not readable
    restart[1:] = (
        (np.diff(table["session"]) != 0)
        | ((table["events"][1:] & RESUMED) != 0)
        | ((step <= 0) & (table["sequence"][1:] <= between))  # 0, or the first that can be read after it
    )
    falls[1:] = ~restart[1:] & (step <= 0)
    goes_on = ~restart[1:] & (step > 0)
    missing[1:] = np.where(goes_on, np.maximum(step - 1 - between, 0), 0)
    left_out[1:] = goes_on & (between > 0) & (step > 1)
    # Only within what is a run so far, and over blocks that do not know the time.
    timed = np.flatnonzero(table["stamp_ns"] != NO_TIME)
    run = np.cumsum(restart | falls | (missing > 0) | left_out)[timed]
    nominal = np.diff(table["first"][timed]) * (SECOND_NS / rate_hz)
    leap = np.diff(starts_ns(table, rate_hz)[timed]) - nominal
    found = (np.diff(run) == 0) & (np.abs(leap) > JUMP_S * SECOND_NS + JUMP_SHARE * nominal)
    jump_ns[timed[1:][found]] = np.rint(leap[found])
    return Breaks(restart, falls, missing, left_out, jump_ns)


def starts_ns(table: np.ndarray, rate_hz: float) -> np.ndarray:
    """Time of each block's first sample, by its own stamp and the nominal rate, int64 (B,); NO_TIME without a stamp."""
    back = np.rint((table["stamp_sample"] - table["first"]) * (SECOND_NS / rate_hz)).astype(np.int64)
    return np.where(table["stamp_ns"] == NO_TIME, NO_TIME, table["stamp_ns"] - back)


def sample_times_ns(table: np.ndarray, rate_hz: float) -> np.ndarray:
    """Times of all samples of the blocks, TABLE (B,) as read, in ns of the device's clock as if UTC; int64 (samples,).

    Interpolated between the stamps of each run, before the first and after the last by the run's own mean rate (the
    nominal one where a run has one stamp); a stamp whose sample or time does not rise is passed over, so times rise
    within a run. From one run to the next they may fall (a clock that was set back). NO_TIME for a run without stamps.

    `table` may be part of a file's: the samples are then those of this part, but take its neighbours along, for stamps
    lie behind their block.
    """
    times = np.full(int(table["samples"].sum()), NO_TIME, np.int64)
    edges = np.flatnonzero(np.diff(table["run"], prepend=-1, append=-1))
    origin = int(table["first"][0]) if len(table) else 0
    for first, stop in pairwise(edges.tolist()):
        part = table[first:stop]
        begin = int(part["first"][0]) - origin
        end = begin + int(part["samples"].sum())
        samples, stamps = _rising(part[part["stamp_ns"] != NO_TIME])
        if len(stamps):
            times[begin:end] = _interpolated(np.arange(begin, end), samples - origin, stamps, rate_hz)
    return times


def _rising(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples and times of the stamps, without those at which either does not rise above all before."""
    samples, stamps = part["stamp_sample"], part["stamp_ns"]
    if len(part) < 2:
        return samples, stamps
    rises = np.ones(len(part), bool)
    for values in (samples, stamps):
        rises[1:] &= values[1:] > np.maximum.accumulate(values)[:-1]
    return samples[rises], stamps[rises]


def _interpolated(wanted: np.ndarray, samples: np.ndarray, stamps: np.ndarray, rate_hz: float) -> np.ndarray:
    # Counted from the first stamp, so that float64 holds every ns of a recording of months.
    since = stamps - stamps[0]
    step = SECOND_NS / rate_hz if len(stamps) == 1 else since[-1] / (samples[-1] - samples[0])
    inside = np.interp(wanted, samples, since)
    before, after = np.minimum(wanted - samples[0], 0), np.maximum(wanted - samples[-1], 0)
    return stamps[0] + np.rint(inside + (before + after) * step).astype(np.int64)
