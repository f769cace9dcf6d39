"""What a device recorded, in short: one pass over its file for the clock, stillness and movement, in little memory.

Stillness (means and deviations of 10 s) is for the calibration, movement (25 values a second, whichever way the sensor
is turned) for laying two devices on one clock. Legend: B blocks, E epochs, M movement values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from selfpab.devices.clock import Clock, clock_of
from selfpab.devices.cwa import CwaPiece, samples_between, scan_cwa
from selfpab.devices.cwa_blocks import BLOCK_BYTES, SECOND_NS, Layout
from selfpab.devices.cwa_header import CwaHeader
from selfpab.devices.cwa_report import BlockReport
from selfpab.devices.other_makers import SUFFIXES, OtherHeader, OtherLayout, OtherReport, read_other
from selfpab.recording import RecordingError
from selfpab.scratch import room_for

EPOCH_S = 10.0  # of stillness, as van Hees 2014
MOVEMENT_HZ = 25.0
STEP_NS = round(SECOND_NS / MOVEMENT_HZ)
GROUP_S = 0.02  # samples are summed up so long before their times are known (ours: half a step)
STEPS = 1 << 14  # of movement made at once
EPOCHS = 1 << 12  # of stillness made at once
AT_ONCE = 3600  # blocks of a file that was read whole, summed up at once: an hour
LONGEST_DAYS = 100  # a battery lasts for 30 at 50 Hz; movement of so many are 0.9 GB of a mapped file

STILLNESS = np.dtype(
    [
        ("first", np.int64),  # sample
        ("start_ns", np.int64),  # its time by the device's clock; NO_TIME where that is not known
        ("mean_g", np.float64, (3,)),
        ("sd_g", np.float64, (3,)),
        ("temperature_c", np.float64),
        ("clipped", np.int64),  # samples
    ]
)


class Movement(NamedTuple):
    """Length of the acceleration vector in g on an even grid of the device's own clock, float32 (M,).

    Value i is the mean over the 40 ms from start_ns + 40,000,000 i on; NaN where not all of these were recorded.
    """

    start_ns: int
    rate_hz: float
    magnitude_g: np.ndarray


Samples = Callable[[int, int], np.ndarray]  # first, stop -> (stop - first, 3) in counts


class Survey(NamedTuple):
    """All that is known of a file after one pass."""

    path: Path
    header: CwaHeader | OtherHeader
    layout: Layout | OtherLayout
    blocks: np.ndarray  # cwa_blocks.TABLE (B,)
    report: BlockReport | OtherReport
    clock: Clock
    stillness: np.ndarray  # STILLNESS (E,)
    movement: Movement
    largest_g: float  # largest value of any axis, without its sign
    opened: Callable[[], AbstractContextManager[Samples]]  # within it samples can be had, for threads each their own
    warnings: tuple[str, ...] = ()  # of values that may not be what the sensor felt


def survey(path: str | Path) -> Survey:
    """Survey a file: .gt3x and .bin as `other_makers.read_other` has them, which reads them whole, any other as .cwa.

    Epochs of stillness are whole blocks of one run, as many as come closest to 10 s; the rest of a run shorter than
    that is in none. A week at 100 Hz of .cwa needs a quarter of a GB on the way and keeps a tenth, in movement and blocks;
    most of it lies in mapped files (`scratch.room_for`).

    Raises RecordingError as `cwa.read_cwa` or `read_other`, and for a file that spans more than 100 days.
    """
    path = Path(path)
    return _survey_other(path) if path.suffix.lower() in SUFFIXES else _survey_cwa(path)


def _survey_cwa(path: Path) -> Survey:
    sums = _Sums(path.stat().st_size // BLOCK_BYTES)

    def take(piece: CwaPiece) -> None:
        sums.take(piece.layout, piece.blocks, piece.samples)

    facts = scan_cwa(path, take)
    clock = _clock(path, facts.blocks, facts.layout, "leave the file out, or read its parts with read_cwa(blocks=)")
    return Survey(
        *facts,
        clock=clock,
        stillness=_stillness(facts.blocks, facts.layout, clock, sums.moments),
        movement=_movement(sums.groups, _group(facts.layout), clock),
        largest_g=sums.largest / facts.layout.counts_per_g,
        opened=partial(_opened_cwa, path, facts.layout, facts.blocks),
    )


def _survey_other(path: Path) -> Survey:
    read = read_other(path)
    blocks, layout = read.blocks, read.layout
    clock = _clock(path, blocks, layout, "leave the file out")
    sums = _Sums(len(blocks))
    for row in range(0, len(blocks), AT_ONCE):
        part = blocks[row : row + AT_ONCE]
        first, size = int(part["first"][0]), int(part["samples"].sum())
        sums.take(layout, part, read.samples[first : first + size])
    return Survey(
        path,
        read.header,
        layout,
        blocks,
        read.report,
        clock=clock,
        stillness=_stillness(blocks, layout, clock, sums.moments),
        movement=_movement(sums.groups, _group(layout), clock),
        largest_g=sums.largest,
        opened=partial(nullcontext, lambda first, stop: read.samples[first:stop]),
        warnings=read.warnings,
    )


@contextmanager
def _opened_cwa(path: Path, layout: Layout, blocks: np.ndarray) -> Iterator[Samples]:
    with path.open("rb", buffering=0) as file:
        yield partial(samples_between, file, layout, blocks)


def _clock(path: Path, blocks: np.ndarray, layout: Layout | OtherLayout, instead: str) -> Clock:
    clock = clock_of(blocks, layout.rate_hz)
    days = (clock.runs[-1].stop_ns - clock.runs[0].start_ns) / SECOND_NS / 86_400 if clock.runs else 0
    if days > LONGEST_DAYS:
        raise RecordingError(
            f"{path}: its {len(clock.runs)} runs lie within {days:.0f} days by its clock, and no device records longer than "
            f"{LONGEST_DAYS}; the clock is wrong: {instead}"
        )
    return clock


def _group(layout: Layout | OtherLayout) -> int:
    return max(1, int(layout.rate_hz * GROUP_S))


class _Sums:
    """What a pass gathers: mean and squared deviations of each block's counts, mean length of each group's vectors.

    There is room for as many blocks as the file may have; what is never written needs no memory.
    """

    def __init__(self, blocks: int) -> None:
        self.moments = room_for((blocks, 2, 3), np.float32)
        self.groups = np.empty(0, np.float32)  # in g
        self.rest = np.zeros(0, np.float32)  # lengths that do not fill a group yet
        self.rows = self.filled = 0
        self.largest = 0.0

    def take(self, layout: Layout | OtherLayout, blocks: np.ndarray, samples: np.ndarray) -> None:
        """Samples (n, 3) in counts of blocks TABLE (b,), which follow on those of the call before."""
        size = _group(layout)
        if not self.groups.size:
            self.groups = room_for(len(self.moments) * layout.capacity // size + 1, np.float32)
        axes = np.array(samples.T, np.float32, order="C")  # a copy, whatever samples are
        self.largest = max(self.largest, float(axes.max(initial=0)), -float(axes.min(initial=0)))
        length = np.sqrt(np.einsum("an,an->n", axes, axes))
        length *= np.float32(1 / layout.counts_per_g)
        length = np.concatenate([self.rest, length])
        count = len(length) // size
        sums = np.einsum("gs->g", length[: count * size].reshape(count, size))
        self.groups[self.filled : self.filled + count] = sums / np.float32(size)
        self.rest = length[count * size :]
        self.filled += count
        self.moments[self.rows : self.rows + len(blocks)] = _moments(axes, blocks["samples"])
        self.rows += len(blocks)


def _moments(axes: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Mean and sum of squared deviations of the counts (3, n), which are overwritten, by block, (b, 2, 3)."""
    moments = np.zeros((len(samples), 2, 3), np.float32)
    held = np.flatnonzero(samples)
    lengths = samples[held]
    if held.size:
        # Sums of at most 120 counts of 16 bits are exact in a float32; those of a second's values in g lose a µg.
        begins = np.cumsum(lengths) - lengths
        means = np.add.reduceat(axes, begins, axis=1) / lengths.astype(np.float32)
        axes -= np.repeat(means, lengths, axis=1)
        axes *= axes
        moments[held, 0], moments[held, 1] = means.T, np.add.reduceat(axes, begins, axis=1).T
    return moments


def _stillness(blocks: np.ndarray, layout: Layout | OtherLayout, clock: Clock, moments: np.ndarray) -> np.ndarray:
    size = max(1, round(EPOCH_S * layout.rate_hz / layout.capacity))
    edges = np.flatnonzero(np.diff(blocks["run"], prepend=-1, append=-1)).tolist()
    rows = np.concatenate([np.arange(a, b - size + 1, size) for a, b in pairwise(edges)])
    held = np.cumsum(np.append(0, blocks["samples"]))
    rows = rows[held[rows + size] > held[rows]]
    still = np.empty(len(rows), STILLNESS)
    still["first"] = blocks["first"][rows]
    still["start_ns"] = clock.times_ns(still["first"])
    for begin in range(0, len(rows), EPOCHS):
        part = slice(begin, begin + EPOCHS)
        of_epoch = rows[part, None] + np.arange(size)
        counts = blocks["samples"][of_epoch][:, :, None].astype(np.float64)
        means, squares = moments[of_epoch, 0].astype(np.float64), moments[of_epoch, 1]
        total = counts.sum(axis=1)
        mean = (means * counts).sum(axis=1) / total
        squares = (squares + counts * (means - mean[:, None]) ** 2).sum(axis=1)
        still["mean_g"][part] = mean / layout.counts_per_g
        still["sd_g"][part] = np.sqrt(squares / total) / layout.counts_per_g
        still["temperature_c"][part] = blocks["temperature_c"][of_epoch].mean(axis=1)
        still["clipped"][part] = blocks["clipped"][of_epoch].sum(axis=1)
    return still


def _movement(groups: np.ndarray, size: int, clock: Clock) -> Movement:
    """Movement from the means (G,) of so many samples each; a group that two runs share counts for neither."""
    if not clock.runs:
        return Movement(0, MOVEMENT_HZ, np.zeros(0, np.float32))
    start_ns = clock.runs[0].start_ns // STEP_NS * STEP_NS
    values = room_for(-(-(clock.runs[-1].stop_ns - start_ns) // STEP_NS), np.float32)
    values.fill(np.nan)
    for run in clock.runs:
        low, high = -(-run.first // size), run.stop // size
        first = max(0, -(-(run.start_ns - start_ns) // STEP_NS) - 1)
        stop = min(len(values), (run.stop_ns - start_ns) // STEP_NS + 1)
        for begin in range(first, stop, STEPS):
            end = min(begin + STEPS, stop)
            edges_ns = start_ns + np.arange(begin, end + 1) * STEP_NS
            # In groups; a sample stands for half a period on either side of its time.
            at = (clock.samples_at(edges_ns) + 0.5) / size
            inside = np.flatnonzero((at >= low) & (at <= high))
            if len(inside) < 2:
                continue
            at = at[inside[0] : inside[-1] + 1]
            origin = int(at[0])
            part = groups[origin : min(high, int(at[-1]) + 1)].astype(np.float64)
            total = np.concatenate([[0.0], np.cumsum(part)])
            whole = np.minimum((at - origin).astype(np.int64), len(part) - 1)
            reached = total[whole] + (at - origin - whole) * part[whole]
            values[begin + inside[0] : begin + inside[-1]] = np.diff(reached) / np.diff(at)
    return Movement(start_ns, MOVEMENT_HZ, values)
