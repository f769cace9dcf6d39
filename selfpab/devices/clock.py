"""A device's clock without the jitter of its stamps: a sample's time, and the sample of a time.

Every block is stamped. The true rate of the samples differs from the nominal one (97 to 103 Hz at "100") and drifts as
the sensor warms up, and a stamp may be off by some ms, 10 where the firmware knows only whole seconds. So each run of
blocks gets lines of least squares that meet at knots, as many of them as predict stamps best that they have not seen.
(Ours. Device clocks have no zone: all times are ns since 1970 as if UTC.)
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from selfpab.devices.cwa_blocks import NO_TIME, SECOND_NS

# From knot to knot. Real files with fractions of a second want 10 s, for their devices warm up, and the one without 30 s
# (tests/devices/test_clock.py); stamps that jitter want more.
SPANS_S = (10.0, 30.0, 120.0, 600.0)
LEAST_STAMPS = 4  # from knot to knot, and for a run to have a rate of its own
LEAST_RATE_S = 10.0  # of stamps in a file to tell its rate
WRONG_S, WRONG_TIMES = 0.02, 6.0  # a stamp is left out that is further from its neighbours' median, and so many times
NEIGHBOURS = 9  # further than half of them are
SLOWEST, FASTEST = 0.9, 1.1  # lines with other rates than these times the nominal one are not believed
FAR_DAYS = 7  # no recording pauses so long: such a run's clock is wrong


class ClockRun(NamedTuple):
    """Samples `first` to `stop` (exclusive) without a gap, from half a period before the first to half a one after the last."""

    first: int
    stop: int
    start_ns: int
    stop_ns: int
    rate_hz: float  # the true one, mean over the run


@dataclass(frozen=True, eq=False)
class Clock:
    """Times of one device's samples; a sample stands for half a period on either side of its time.

    Runs without any stamp, a run whose clock is more than 7 days off the others, and, where the clock goes back, what is
    stamped before the end of the runs before or these, whichever are fewer samples, have no times, and `told` says so.
    """

    runs: tuple[ClockRun, ...]  # in the order of the file, which is that of time
    rate_hz: float  # true one, mean over all runs
    span_s: float  # from knot to knot
    jitter_ms: float  # mean distance of the stamps from the lines
    told: tuple[str, ...]
    left_out: tuple[str, ...]  # what of `told` is of samples that have no time
    # One row per line: where it begins and ends, when it begins, and how long a sample lasts.
    begins: np.ndarray  # float64 (L,), samples
    ends: np.ndarray  # float64 (L,), samples
    begins_ns: np.ndarray  # int64 (L,)
    step_ns: np.ndarray  # float64 (L,)

    def times_ns(self, samples: np.ndarray) -> np.ndarray:
        """Times, int64 (n,), of samples (n,), whole or between two; NO_TIME for samples that have none."""
        if not self.runs:
            return np.full(len(samples), NO_TIME)
        line = np.searchsorted(self.begins, samples, "right") - 1
        known = (line >= 0) & (samples < self.ends[line])
        # Times of days would lose ns in a float64, those since the line's begin do not.
        since = np.where(known, (samples - self.begins[line]) * self.step_ns[line], 0.0)
        return np.where(known, self.begins_ns[line] + np.rint(since).astype(np.int64), NO_TIME)

    def samples_at(self, times_ns: np.ndarray) -> np.ndarray:
        """Samples, float64 (n,), fractions between two, of times int64 (n,); NaN where nothing was recorded."""
        if not self.runs:
            return np.full(len(times_ns), np.nan)
        line = np.searchsorted(self.begins_ns, times_ns, "right") - 1
        found = self.begins[line] + (times_ns - self.begins_ns[line]) / self.step_ns[line]
        return np.where((line >= 0) & (found < self.ends[line]), found, np.nan)


class Lines(NamedTuple):
    """The lines of one run: samples and times of their knots; beyond them the outer lines go on."""

    first: int
    stop: int
    knots: np.ndarray  # float64 (k,)
    knots_ns: np.ndarray  # float64 (k,), since origin_ns
    origin_ns: int

    @property
    def steps(self) -> np.ndarray:
        """ns from sample to sample, (k - 1,)."""
        return np.diff(self.knots_ns) / np.diff(self.knots)

    def at(self, samples: np.ndarray) -> np.ndarray:
        """ns since the origin, float64 (n,), of samples (n,)."""
        line = np.clip(np.searchsorted(self.knots, samples, "right") - 1, 0, len(self.knots) - 2)
        return self.knots_ns[line] + (samples - self.knots[line]) * self.steps[line]

    def time_ns(self, sample: float) -> int:
        return self.origin_ns + round(float(self.at(np.array([sample]))[0]))


def clock_of(blocks: np.ndarray, rate_hz: float) -> Clock:
    """Clock of one file.

    A run of fewer than four stamps takes the rate of the file (the nominal one where there are no ten seconds of
    stamps); any other has lines of its own, from knot to knot as long as fits the file best, of at least four stamps.

    Parameters
    ----------
    blocks : cwa_blocks.TABLE (B,) of one device, with runs.
    rate_hz : the nominal rate.
    """
    left_out: list[str] = []
    stamped: list[tuple[int, int, np.ndarray, np.ndarray]] = []
    wrong = 0
    for first_row, stop_row in pairwise(np.flatnonzero(np.diff(blocks["run"], prepend=-1, append=-1)).tolist()):
        part = blocks[first_row:stop_row]
        first = int(part["first"][0])
        stop = int(part["first"][-1] + part["samples"][-1])
        known = part["stamp_ns"] != NO_TIME
        if known.any() and stop > first:
            samples, rows = np.unique(part["stamp_sample"][known], return_index=True)
            stamps_ns = part["stamp_ns"][known][rows]
            kept = _believed(samples, stamps_ns)
            wrong += int((~kept).sum())
            stamped.append((first, stop, samples[kept], stamps_ns[kept]))
        elif stop > first:
            left_out.append(f"samples {first} to {stop - 1} have no time: no block of theirs is stamped")
    span_s = _best_span(stamped, rate_hz)
    step_ns = _file_step_ns(stamped, rate_hz)
    lines = [_lines(*run, span_s, step_ns, rate_hz) for run in stamped]
    told = [f"{wrong} stamps were left out, each at least {WRONG_S * 1e3:g} ms off those around it"] if wrong else []
    return _joined(lines, stamped, span_s, told, left_out)


def _believed(samples: np.ndarray, stamps_ns: np.ndarray) -> np.ndarray:
    """Which stamps (n,) lie where those around them do, bool (n,)."""
    if len(samples) < NEIGHBOURS:
        return np.ones(len(samples), bool)
    from scipy.ndimage import median_filter

    since = (stamps_ns - stamps_ns[0]).astype(np.float64)
    beside = since - (samples - samples[0]) * (since[-1] / (samples[-1] - samples[0]))
    off = np.abs(beside - median_filter(beside, NEIGHBOURS, mode="nearest"))
    return off <= max(WRONG_S * SECOND_NS, WRONG_TIMES * float(np.median(off)))


def _best_span(stamped: list, rate_hz: float) -> float:
    """The span with which every other stamp of the longest run predicts those between best."""
    if not stamped:
        return SPANS_S[0]
    _, _, samples, stamps_ns = max(stamped, key=lambda run: len(run[2]))
    since = (stamps_ns - stamps_ns[0]).astype(np.float64)
    errors = {}
    for span_s in SPANS_S:
        if len(samples) >= 2 * LEAST_STAMPS + 1:
            knots = _knots(samples[::2], since[::2], span_s, rate_hz)
            errors[span_s] = np.abs(Lines(0, 0, *knots, 0).at(samples[1::2]) - since[1::2]).mean()
    return min(errors, key=lambda span_s: errors[span_s], default=SPANS_S[0])


def _file_step_ns(stamped: list, rate_hz: float) -> float:
    """ns from sample to sample, over all stamps of the file."""
    samples = sum(int(run[2][-1] - run[2][0]) for run in stamped)
    time_ns = sum(int(run[3][-1] - run[3][0]) for run in stamped)
    nominal = SECOND_NS / rate_hz
    if time_ns < LEAST_RATE_S * SECOND_NS or not SLOWEST < samples * nominal / time_ns < FASTEST:
        return nominal
    return time_ns / samples


def _lines(
    first: int, stop: int, samples: np.ndarray, stamps_ns: np.ndarray, span_s: float, step_ns: float, rate_hz: float
) -> Lines:
    since = (stamps_ns - stamps_ns[0]).astype(np.float64)
    for wider_s in (*(s for s in SPANS_S if s >= span_s), np.inf):
        if len(samples) < LEAST_STAMPS:
            break
        lines = Lines(first, stop, *_knots(samples, since, wider_s, rate_hz), int(stamps_ns[0]))
        rates = SECOND_NS / rate_hz / lines.steps
        if ((rates > SLOWEST) & (rates < FASTEST)).all():
            return lines
    knots = np.array([samples[0], samples[0] + 1.0])
    begins = float(np.median(since - (samples - samples[0]) * step_ns))
    return Lines(first, stop, knots, np.array([begins, begins + step_ns]), int(stamps_ns[0]))


def _knots(samples: np.ndarray, since: np.ndarray, span_s: float, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples and times of the knots, (k,): lines of least squares that meet there, at every so-manieth stamp."""
    from scipy.linalg import solveh_banded

    length_s = (samples[-1] - samples[0]) / rate_hz
    every = max(LEAST_STAMPS, round((len(samples) - 1) * min(1.0, span_s / length_s)))
    count = max(1, (len(samples) - 1) // every)
    knots = samples[[*range(0, count * every, every), -1]].astype(np.float64)
    # Beside the straight line from end to end, so that no ns is lost.
    slope = since[-1] / (samples[-1] - samples[0])
    beside = since - (samples - samples[0]) * slope
    line = np.clip(np.searchsorted(knots, samples, "right") - 1, 0, count - 1)
    share = (samples - knots[line]) / (knots[line + 1] - knots[line])
    # Normal equations of the hat functions: each knot touches its neighbours only.
    banded = np.zeros((2, count + 1))
    np.add.at(banded[1], line, (1 - share) ** 2)
    np.add.at(banded[1], line + 1, share**2)
    np.add.at(banded[0], line + 1, share * (1 - share))
    wanted = np.bincount(line, (1 - share) * beside, count + 1) + np.bincount(line + 1, share * beside, count + 1)
    return knots, solveh_banded(banded, wanted) + (knots - samples[0]) * slope


def _joined(lines: list[Lines], stamped: list, span_s: float, told: list[str], left_out: list[str]) -> Clock:
    runs: list[ClockRun] = []
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    off_ns = [
        run[3] - run_lines.origin_ns - run_lines.at(run[2]) for run, run_lines in zip(stamped, lines, strict=True)
    ]
    for run, first in _in_order(_of_one_time(lines, left_out), left_out):
        inner = run.knots[1:-1]
        begins = np.concatenate([[first - 0.5], inner[(inner > first - 0.5) & (inner < run.stop - 0.5)]])
        ends = np.append(begins[1:], run.stop - 0.5)
        steps = run.steps[np.clip(np.searchsorted(run.knots, begins, "right") - 1, 0, len(run.knots) - 2)]
        rows.append((begins, ends, run.origin_ns + np.rint(run.at(begins)).astype(np.int64), steps))
        start_ns, end_ns = (run.time_ns(sample - 0.5) for sample in (first, run.stop))
        rate_hz = (run.stop - first) * SECOND_NS / (end_ns - start_ns)
        runs.append(ClockRun(first, run.stop, start_ns, end_ns, rate_hz))
    empty = (np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0))
    begins, ends, begins_ns, steps = (np.concatenate(column) for column in zip(empty, *rows, strict=True))
    recorded_ns = sum(run.stop_ns - run.start_ns for run in runs)
    return Clock(
        runs=tuple(runs),
        rate_hz=sum(run.stop - run.first for run in runs) * SECOND_NS / recorded_ns if runs else float("nan"),
        span_s=span_s,
        jitter_ms=float(np.abs(np.concatenate(off_ns)).mean() * 1e-6) if off_ns else float("nan"),
        told=(*told, *left_out),
        left_out=tuple(left_out),
        begins=begins,
        ends=ends,
        begins_ns=begins_ns,
        step_ns=steps,
    )


def _in_order(lines: list[Lines], left_out: list[str]) -> list[tuple[Lines, int]]:
    """Runs whose times rise, and the first sample of each that counts: where a clock goes back fewer samples give way."""
    kept: list[tuple[Lines, int]] = []
    for run in lines:
        begin_ns = run.time_ns(run.first - 0.5)
        end_ns = kept[-1][0].time_ns(kept[-1][0].stop - 0.5) if kept else begin_ns
        first = min(_first_after(run, end_ns), run.stop)
        told = f"the clock goes back by {(end_ns - begin_ns) / SECOND_NS:.3f} s at sample {run.first}: samples"
        place, before = len(kept), 0  # runs from `place` on end after this one begins
        while (
            place
            and before < first - run.first
            and kept[place - 1][0].time_ns(kept[place - 1][0].stop - 0.5) > begin_ns
        ):
            place -= 1
            before += kept[place][0].stop - kept[place][1]
        if before < first - run.first:  # such as a few stamps that are hours ahead
            gone = f"{kept[place][1]} to {kept[-1][0].stop - 1}, stamped after the begin of more that follow"
            left_out.append(f"{told} {gone}, are left out")
            kept[place:], first = [], run.first
        elif first > run.first:
            end = f"{run.first} to {first - 1}, stamped before the end of what came before them"
            left_out.append(f"{told} {end}, are left out")
        if first < run.stop:
            kept.append((run, first))
    return kept


def _of_one_time(lines: list[Lines], left_out: list[str]) -> list[Lines]:
    """The runs that lie within 7 days of each other: of several such groups the one with the most samples."""
    if not lines:
        return []
    start_ns = np.array([run.time_ns(run.first) for run in lines])
    stop_ns = np.array([run.time_ns(run.stop) for run in lines])
    order = np.argsort(start_ns)
    apart = start_ns[order][1:] - np.maximum.accumulate(stop_ns[order])[:-1] > FAR_DAYS * 86_400 * SECOND_NS
    group = np.empty(len(lines), np.int64)
    group[order] = np.concatenate([[0], np.cumsum(apart)])
    main = np.bincount(group, [run.stop - run.first for run in lines]).argmax()
    for place in np.flatnonzero(group != main).tolist():
        run, clock = lines[place], datetime.fromtimestamp(int(start_ns[place] // SECOND_NS), UTC).replace(tzinfo=None)
        left_out.append(
            f"samples {run.first} to {run.stop - 1} are left out: their clock says {clock}, more than {FAR_DAYS} days off "
            f"the rest"
        )
    return [run for run, own in zip(lines, group == main, strict=True) if own]


def _first_after(run: Lines, end_ns: int) -> int:
    """The first sample of a run that does not lie before the end of what came before it."""
    return run.first + bisect_left(range(run.first, run.stop), end_ns, key=lambda sample: run.time_ns(sample - 0.5))
