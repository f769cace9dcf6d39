"""Files whose stamps drift away from 50 Hz: their samples are laid onto steps of 20 ms by the stamps.

In a Recording sample i of a segment was taken i / 50 s after the segment's first one. Seven hours that were sampled at
49.75 Hz would so end two minutes early, and at 50.8 Hz a segment would reach into the next one. There every step gets
the sample that is nearest by the stamps: now and then one comes twice or is left out, none is changed. All other files
stay as they are, to the bit. Ours. Legend: N samples of the file, M after that.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from selfpab.data.checks import RATE_HZ
from selfpab.recording import Segment

FARTHEST_S = 0.5  # between a stamp and its sample's time; half of a second of the answer
KNOT = 500  # samples from one stamp that counts to the next: stamps jitter, clocks drift in 10 s by little
ROWS_AT_ONCE = 1 << 18


def on_steps(
    times_s: np.ndarray, segments: Sequence[Segment]
) -> tuple[np.ndarray, tuple[Segment, ...], list[str]] | None:
    """Which sample comes at every step of 20 ms, where some segments' stamps drift; None where none do.

    Parameters
    ----------
    times_s : float64 (N,), seconds from the first stamp. segments : of these times.

    Returns
    -------
    rows, int64 (M,), rising, of the samples to keep, in their order; the segments of these; what was done, in words.

    >>> times_s = np.arange(10_000) / 49.75
    >>> rows, segments, _ = on_steps(times_s, [Segment(0, 10_000, 0.0)])
    >>> len(rows), rows[[0, 5000, -1]].tolist()
    (10050, [0, 4975, 9999])
    """
    starts_s = [*(segment.start_s for segment in segments[1:]), np.inf]
    drifting = [_drifts(times_s, own, next_s) for own, next_s in zip(segments, starts_s, strict=True)]
    if not any(drifting):
        return None
    pieces = [
        _nearest(times_s, own) if drifts else np.arange(own.first, own.stop)
        for own, drifts in zip(segments, drifting, strict=True)
    ]
    edges = [0, *itertools.accumulate(map(len, pieces))]
    laid = tuple(
        replace(own, first=first, stop=stop)
        for own, (first, stop) in zip(segments, itertools.pairwise(edges), strict=True)
    )
    rows = np.concatenate(pieces)
    different = 1 + int(np.count_nonzero(np.diff(rows)))
    told = (
        f"the stamps of {sum(drifting)} of {len(segments)} segments drift away from 50 Hz: every 20 ms given the sample "
        f"that is nearest by the stamps; {len(rows) - different} samples twice, {len(times_s) - different} left out"
    )
    return rows, laid, [told]


def _drifts(times_s: np.ndarray, segment: Segment, next_s: float) -> bool:
    """Whether a sample's time would be far from its stamp, or not before the next segment's start."""
    places = _knots(segment)
    drift_s = times_s[places] - segment.start_s - (places - segment.first) / RATE_HZ
    last_s = segment.start_s + (len(segment) - 1) / RATE_HZ
    return bool(np.abs(drift_s).max() > FARTHEST_S or last_s >= next_s)


def _nearest(times_s: np.ndarray, segment: Segment) -> np.ndarray:
    """The sample at every 20 ms from a segment's first stamp to its last one, int64."""
    places = _knots(segment)
    seconds = times_s[places] - segment.start_s
    rows = np.empty(int(seconds[-1] * RATE_HZ + 1e-6) + 1, np.int64)
    for at in range(0, len(rows), ROWS_AT_ONCE):
        steps = np.arange(at, min(at + ROWS_AT_ONCE, len(rows)))
        rows[steps] = np.rint(np.interp(steps / RATE_HZ, seconds, places))
    return rows


def _knots(segment: Segment) -> np.ndarray:
    """Every so many samples of a segment, and its last one."""
    return np.append(np.arange(segment.first, segment.stop - 1, KNOT), segment.stop - 1)
