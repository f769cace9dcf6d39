"""Long csv and parquet files, a piece at a time into int16: a week as float32 columns is several gigabytes.

The result holds 12 bytes a sample, its label, and while it is checked the time. What is found wrong is said in the words
of `selfpab.data.checks`, as of short files. Ours. Legend: N samples of the file, n of a piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from selfpab.data.checks import (
    RATE_HZ,
    SECOND_NS,
    check_finite,
    check_gravity,
    check_units,
    gravity_rows,
    unit_rows,
    whole_numbers,
)
from selfpab.data.store import COUNTS_PER_G, INT16_MAX
from selfpab.recording import CHANNELS, RecordingError

LONG_ROWS = round(6 * 3600 * RATE_HZ)  # more than those of HARTH and HAR70+, which stay float32, bit by bit
PIECE_ROWS = 1 << 18


class Piece(NamedTuple):
    """Rows of a file, one after the other."""

    times_ns: np.ndarray  # int64 (n,)
    samples: np.ndarray  # float32 (n, 6) in g, NaN where nothing stands
    codes: dict[str, np.ndarray | None]  # float64 (n,) of labels and segment; None: words, which are no labels


class Gathered(NamedTuple):
    """A whole file."""

    times_ns: np.ndarray  # int64 (N,)
    samples: np.ndarray  # int16 (N, 6)
    codes: dict[str, np.ndarray | None]  # int16 (N,) of labels, float64 (N,) of segment and of what is no label
    counts_per_g: int


def gathered(pieces: Callable[[], Iterator[Piece]], rows: int, path: Path) -> Gathered | None:
    """All pieces of a file of so many rows, at the finest scale that holds its largest value.

    Every value is rounded once: where one is too large, all are read again for the next scale. None where none of
    `COUNTS_PER_G` holds them, or where there are fewer rows; then the file must be read whole. Raises RecordingError as
    `selfpab.data.checks.check_channels`.
    """
    for counts_per_g in COUNTS_PER_G:
        found = _filled(pieces(), rows, path, counts_per_g, last=counts_per_g == COUNTS_PER_G[-1])
        if found is not None:
            return found
    return None


def seconds_since(first_ns: int, times_ns: np.ndarray, *, spent: bool) -> np.ndarray:
    """Seconds from `first_ns` to every time, float64 (N,), in the memory of `times_ns`, which is lost, if it is `spent`."""
    seconds = times_ns.view(np.float64) if spent else np.empty(len(times_ns))
    for at in range(0, len(times_ns), PIECE_ROWS):
        own = slice(at, at + PIECE_ROWS)
        seconds[own] = (times_ns[own] - first_ns) / SECOND_NS
    return seconds


def _filled(pieces: Iterator[Piece], rows: int, path: Path, counts_per_g: int, *, last: bool) -> Gathered | None:
    """As `gathered`, for one scale; None where a value is too large for it, of the last scale after all checks."""
    times_ns, samples = np.empty(rows, np.int64), np.empty((rows, len(CHANNELS)), np.int16)
    codes: dict[str, np.ndarray | None] = {}
    units, gravity = _Rows(unit_rows(rows)), _Rows(gravity_rows(rows))
    too_large, faults, at = False, None, 0
    for piece in pieces:
        count = min(len(piece.samples), rows - at)
        values = piece.samples[:count]
        own = slice(at, at + count)
        times_ns[own] = piece.times_ns[:count]
        finite = np.isfinite(values)
        if faults is None and not finite.all():
            faults = samples.view(np.float16)  # the same memory: from here on only what is wrong is kept, and where
            faults[:at] = 0
        if faults is not None:
            faults[own] = np.where(finite, np.float32(0), values)
        else:
            scaled = np.rint(values * np.float32(counts_per_g))
            if np.abs(scaled).max(initial=0) <= INT16_MAX:
                samples[own] = scaled
            elif last:
                too_large = True  # in another unit, perhaps: that is told below
            else:
                return None
        units.take(values, at)
        gravity.take(values, at)
        _put(codes, piece.codes, at, count, rows, path)
        at += count
    if faults is not None:
        check_finite(faults, path)
    if at < rows:
        return None
    check_units(units.found, path)
    check_gravity(gravity.found, path)
    return None if too_large else Gathered(times_ns, samples, codes, counts_per_g)


class _Rows:
    """Some rows of a file, in their order, taken out of the pieces as these pass by."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows
        self.found = np.zeros((len(rows), len(CHANNELS)), np.float32)

    def take(self, values: np.ndarray, at: int) -> None:
        first, stop = np.searchsorted(self.rows, (at, at + len(values)))
        self.found[first:stop] = values[self.rows[first:stop] - at]


def _put(
    codes: dict[str, np.ndarray | None],
    piece: dict[str, np.ndarray | None],
    at: int,
    count: int,
    rows: int,
    path: Path,
) -> None:
    """Labels and parts of a piece; what is no whole number stays as it is, for the last check to find."""
    for name, values in piece.items():
        kind = np.float64 if name == "segment" else np.int16
        target = codes.setdefault(name, np.full(rows, -1, kind))
        if values is None or target is None:
            codes[name] = None
            continue
        values = values[:count]
        if target.dtype == np.int16:
            try:
                values = whole_numbers(values, name, path)
            except RecordingError:
                codes[name] = target = target.astype(np.float64)
        target[at : at + count] = values
