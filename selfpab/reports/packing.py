"""What the page draws on zoom, made small: seconds run-length encoded, signals and probabilities quantised, all gzipped.

Legend: R seconds, B bins of so many seconds each, K classes.
"""

from __future__ import annotations

import base64
import gzip

import numpy as np
import polars as pl

from selfpab.activities import Activities
from selfpab.evaluation.clock import second_rows
from selfpab.recording import CHANNELS, Recording
from selfpab.reports.day_lines import ROWS_AT_ONCE

BLOCK_S = 600.0  # of the recording at once
STEPS_PER_G = 32  # of the envelope: 31 mg, from -4 to just below 4 g
NOTHING = (127, -128)  # lowest and highest of a bin without samples
PER_CENT = 100
NO_PROBABILITY = 255
MOST_BINS = 160_000  # 1.9 days of seconds; a page stays below 5 MB even where nothing can be made smaller
LEVEL = 6  # of gzip


def packed(values: np.ndarray) -> bytes:
    """Little-endian, gzipped; the same values are the same bytes."""
    return gzip.compress(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes(), LEVEL, mtime=0)


def text(content: bytes) -> str:
    """For JSON."""
    return base64.b64encode(content).decode()


def stretches(values: np.ndarray) -> dict[str, str]:
    """Run-length code of whole numbers from 0 to 65,535: {"lengths": uint32, "values": uint16}, both packed."""
    first = np.flatnonzero(np.append(True, values[1:] != values[:-1])) if len(values) else np.zeros(0, np.int64)
    lengths = np.diff(first, append=len(values)).astype(np.uint32)
    return {"lengths": text(packed(lengths)), "values": text(packed(values[first].astype(np.uint16)))}


def bin_seconds(seconds: int) -> int:
    """Of a bin, for a recording of so many: 1, 2, 4 ..., so that there are at most `MOST_BINS`.

    >>> bin_seconds(86_400), bin_seconds(7 * 86_400), bin_seconds(28 * 86_400)
    (1, 4, 16)
    """
    width = 1
    while seconds > width * MOST_BINS:
        width *= 2
    return width


def envelope(recording: Recording, width: int) -> np.ndarray:
    """Lowest and highest acceleration in bins of `width` clock seconds, int8 (2, 6, B), in steps of 1/32 g.

    `NOTHING` in gaps. The lowest is rounded down and the highest up: no sample lies outside, but those beyond -4 and 4 g.
    """
    _, count, rows_of = second_rows(recording)
    result = np.empty((2, len(CHANNELS), -(-count // width)), np.int8)
    result[0], result[1] = NOTHING
    for first, piece in recording.blocks(BLOCK_S):
        bins = rows_of(np.arange(first, first + len(piece))) // width
        edges = np.flatnonzero(np.append(True, bins[1:] != bins[:-1]))
        values, here = np.ascontiguousarray(piece.T), bins[edges]
        for place, (extreme, whole) in enumerate(((np.minimum, np.floor), (np.maximum, np.ceil))):
            steps = whole(np.nan_to_num(extreme.reduceat(values, edges, axis=1)) * STEPS_PER_G)
            steps = np.clip(steps, -128, 127).astype(np.int8)
            result[place][:, here] = extreme(result[place][:, here], steps)  # a block's end may have cut a bin
    return result


def binned_per_cent(shares: np.ndarray, width: int) -> np.ndarray:
    """Mean probability in bins of `width` seconds in whole per cent, uint8 (B,); 255 where no second has any.

    shares : float32 (R,), NaN where there is none.

    >>> binned_per_cent(np.array([0.5, 0.25, np.nan, np.nan, 1.0], np.float32), 2).tolist()
    [38, 255, 100]
    """
    starts = np.arange(0, len(shares), width)
    known = ~np.isnan(shares)
    count = np.add.reduceat(known, starts, dtype=np.int64)
    total = np.add.reduceat(np.where(known, shares, 0), starts, dtype=np.float64)
    return np.where(count > 0, np.round(PER_CENT * total / np.maximum(count, 1)), NO_PROBABILITY).astype(np.uint8)


def packed_bins(values: np.ndarray, width: int) -> dict[str, object]:
    """{"seconds": of a bin, "bins", "data"}: bytes (..., B), kept as differences along the last axis, modulo 256."""
    differences = np.diff(values.view(np.uint8), axis=-1, prepend=np.uint8(0))
    return {"seconds": width, "bins": values.shape[-1], "data": text(packed(differences))}


def packed_signal(recording: Recording, seconds: int) -> dict[str, object]:
    """`packed_bins` of the six channels' envelope, int8 (2, 6, B); the recording spans so many seconds."""
    width = bin_seconds(seconds)
    return packed_bins(envelope(recording, width), width)


def packed_probabilities(seconds: pl.DataFrame, activities: Activities) -> dict[str, object]:
    """`packed_bins` of the probabilities in per cent, uint8 (K, B)."""
    width = bin_seconds(len(seconds))
    pieces = [seconds.slice(first, ROWS_AT_ONCE) for first in range(0, len(seconds), ROWS_AT_ONCE)]
    rows = [
        [binned_per_cent(piece[column].cast(pl.Float32).to_numpy(), width) for piece in pieces]
        for column in activities.columns
    ]
    return packed_bins(np.stack([np.concatenate(row) for row in rows]), width)
