"""What was wrong with a .cwa file, and where: counted, located, told. Nothing here repairs anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from selfpab.devices.cwa_blocks import (
    BAD_CHECKSUM,
    BLOCK_BYTES,
    CONTRADICTORY,
    ERASED,
    FOREIGN,
    HEADER_BYTES,
    NO_TIME,
    RESUMED,
    SECOND_NS,
    Layout,
)
from selfpab.devices.cwa_header import CwaHeader
from selfpab.devices.cwa_times import Breaks, starts_ns

# Bytes that were not decoded; `size` blocks (bytes in a truncated tail).
LEFT_OUT = {
    BAD_CHECKSUM: "bad checksum",
    ERASED: "erased",
    FOREIGN: "no data block",
    CONTRADICTORY: "contradictory block",
}
TAIL = "truncated tail"
DAMAGED = "damaged header"
# Blocks that were read; `size` blocks.
PART_FILLED = "part-filled block"  # the bytes after its last sample were not decoded
RESTART, MISSING, FALLS, JUMP = "restart", "missing blocks", "sequence falls", "clock jump"
UNTIMED, OTHER_DEVICE, CLIPPED = "time unknown", "other device", "clipped samples"
# The header against the blocks.
HARDWARE, FIRMWARE, RATE, RANGE, SESSION = "odd hardware", "odd firmware", "wrong rate", "wrong range", "other session"
EARLY, LATE = "before the configured start", "after the configured stop"
HEADER = -1  # the place of what is said of the header


class Fault(NamedTuple):
    """One thing that is not as it should be."""

    kind: str
    block: int  # the first one it concerns, counted in the file from 0; -1 the header
    size: int  # how many: blocks, for "missing blocks" those not there, samples where clipped, bytes of the tail
    told: str

    @property
    def byte(self) -> int:
        """Where it begins in the file."""
        return 0 if self.block < 0 else HEADER_BYTES + self.block * BLOCK_BYTES


class BlockReport(NamedTuple):
    """All faults of a file, in the order of the file, and what was read of it."""

    file_bytes: int
    blocks: int  # whole ones in the file, or in the part that was asked for
    readable: int
    samples: int
    runs: int
    faults: tuple[Fault, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Kind -> how many: blocks, missing blocks, clipped samples, bytes of a truncated tail."""
        counts = Counter[str]()
        for fault in self.faults:
            counts[fault.kind] += fault.size
        return dict(counts)

    def places(self, kind: str) -> list[int]:
        """The blocks at which faults of one kind begin; of blocks that were left out, every one."""
        found = [fault for fault in self.faults if fault.kind == kind]
        if kind not in LEFT_OUT.values():
            return [fault.block for fault in found]
        return [block for fault in found for block in range(fault.block, fault.block + fault.size)]

    def __str__(self) -> str:
        heading = f"{self.readable} of {self.blocks} blocks read: {self.samples} samples in {self.runs} runs"
        return "\n".join([heading, *(f"{fault.kind}: {fault.told}" for fault in self.faults)])


def report_of(
    *,
    file_bytes: int,
    span: tuple[int, int],
    header: CwaHeader,
    layout: Layout,
    states: np.ndarray,
    table: np.ndarray,
    breaks: Breaks,
) -> BlockReport:
    """The report on blocks `span` of a file.

    Parameters
    ----------
    states : uint8 (blocks of the span,), as from `cwa_blocks.sort`.
    table : TABLE (B,), the readable ones, with runs and clipped samples.
    breaks : between them.
    """
    faults = [
        *_of_header(header, layout),
        *_left_out(states, span[0]),
        *_of_runs(table, breaks, layout, whole_start=span[0] == 0),
        *_of_blocks(table, header, layout),
        *_of_configured_times(table, header, layout),
    ]
    tail = (file_bytes - HEADER_BYTES) % BLOCK_BYTES
    last = (file_bytes - HEADER_BYTES) // BLOCK_BYTES
    if tail and span[1] == last:
        faults.append(
            Fault(TAIL, last, tail, f"the file ends {BLOCK_BYTES - tail} bytes before the end of block {last}")
        )
    return BlockReport(
        file_bytes=file_bytes,
        blocks=len(states),
        readable=len(table),
        samples=int(table["samples"].sum()),
        runs=int(table["run"][-1]) + 1 if len(table) else 0,
        faults=tuple(sorted(faults, key=lambda fault: fault.block)),
    )


def _of_header(header: CwaHeader, layout: Layout) -> Iterator[Fault]:
    if not header.whole:
        yield Fault(DAMAGED, HEADER, 1, "does not begin as one; device, configuration and metadata are not known")
        return
    if header.device not in ("AX3", "AX6"):
        yield Fault(HARDWARE, HEADER, 1, f"the device is {header.device}; known are AX3 and AX6")
    elif header.device == "AX3" and layout.axes > 3:
        yield Fault(HARDWARE, HEADER, 1, f"the header says AX3, but the blocks have {layout.axes} axes")
    if header.firmware in (0, 255):
        yield Fault(FIRMWARE, HEADER, 1, f"the header gives firmware {header.firmware}, which no device has")
    for kind, unit, told, real in (
        (RATE, "Hz", header.rate_hz, layout.rate_hz),
        (RANGE, "g", header.range_g, layout.range_g),
    ):
        if told != real:
            said = "an unknown code" if told is None else f"{told:g} {unit}"
            yield Fault(kind, HEADER, 1, f"the header says {said}, the blocks {real:g} {unit}; the blocks are believed")


def _left_out(states: np.ndarray, first: int) -> Iterator[Fault]:
    """Blocks that were not read, neighbours of one kind as one fault."""
    edges = np.flatnonzero(np.diff(states.astype(np.int16), prepend=-1, append=-1))
    for begin, end in pairwise(edges.tolist()):
        kind = LEFT_OUT.get(int(states[begin]))
        if kind:
            told = f"{_blocks(first + begin, end - begin)} left out"
            yield Fault(kind, first + begin, end - begin, told)


def _of_runs(table: np.ndarray, breaks: Breaks, layout: Layout, *, whole_start: bool) -> Iterator[Fault]:
    if not len(table):
        return
    begins = int(table["sequence"][0] - table["block"][0])
    if whole_start and begins > 0:
        told = f"the file begins at sequence number {table['sequence'][0]}: {begins} blocks before it are not in it"
        yield Fault(MISSING, int(table["block"][0]), begins, told)
    for i in np.flatnonzero(breaks.any).tolist():
        block, numbers = int(table["block"][i]), f"{table['sequence'][i - 1]} -> {table['sequence'][i]}"
        gap = _gap(table[i - 1 : i + 1], layout.rate_hz)
        if breaks.restart[i]:
            why = [f"sequence {numbers}"]
            if table["session"][i] != table["session"][i - 1]:
                why.append(f"session {table['session'][i - 1]} -> {table['session'][i]}")
            if table["events"][i] & RESUMED:
                why.append("the device says that it resumed")
            yield Fault(RESTART, block, 1, f"at block {block} ({', '.join(why)}); {gap}")
        if breaks.falls[i]:
            yield Fault(FALLS, block, 1, f"at block {block}, {numbers}, and it is no restart; {gap}")
        if breaks.missing[i]:
            missing = int(breaks.missing[i])
            yield Fault(MISSING, block, missing, f"{missing} before block {block} (sequence {numbers}); {gap}")
        if breaks.jump_ns[i]:
            leap = int(breaks.jump_ns[i]) / SECOND_NS
            yield Fault(
                JUMP, block, 1, f"at block {block} the clock leaps by {leap:+.3f} s; nothing is missing by number"
            )


def _of_blocks(table: np.ndarray, header: CwaHeader, layout: Layout) -> Iterator[Fault]:
    part = np.flatnonzero(table["samples"] < layout.capacity)
    for begin, end in _neighbours(table["block"][part]):
        first, size = int(table["block"][part[begin]]), end - begin
        held = int(table["samples"][part[begin:end]].sum())
        told = f"{_blocks(first, size)} hold {held} samples; {layout.capacity} fit into each"
        yield Fault(PART_FILLED, first, size, told)
    untimed = np.flatnonzero(table["stamp_ns"] == NO_TIME)
    for begin, end in _neighbours(table["block"][untimed]):
        first, size = int(table["block"][untimed[begin]]), end - begin
        yield Fault(UNTIMED, first, size, f"{_blocks(first, size)} have no stamp, or that of a day that does not exist")
    if header.device_id is not None:
        yield from _others(table, OTHER_DEVICE, "device", header.device_id & 0x7FFF, exempt=-1)
    if header.session_id is not None:
        yield from _others(table, SESSION, "session", header.session_id)
    clipped = np.flatnonzero(table["clipped"])
    if clipped.size:
        count = int(table["clipped"].sum())
        first = int(table["block"][clipped[0]])
        told = f"{count} samples of {clipped.size} blocks at the end of ±{layout.range_g} g, first in block {first}"
        yield Fault(CLIPPED, first, count, told)


def _others(table: np.ndarray, kind: str, field: str, wanted: int, exempt: int | None = None) -> Iterator[Fault]:
    """Blocks that name another device or session than the header."""
    other = np.flatnonzero((table[field] != wanted) & (table[field] != (wanted if exempt is None else exempt)))
    if other.size:
        first, value = int(table["block"][other[0]]), int(table[field][other[0]])
        told = f"{other.size} blocks, the first {first}, name {field} {value}; the header {wanted}"
        yield Fault(kind, first, int(other.size), told)


def _of_configured_times(table: np.ndarray, header: CwaHeader, layout: Layout) -> Iterator[Fault]:
    """Samples outside the hours that the device was told to record; a block and a second (its grain) are allowed."""
    if header.start is None and header.stop is None:
        return
    starts = starts_ns(table, layout.rate_hz)
    timed = np.flatnonzero(starts != NO_TIME)
    length = round((layout.capacity / layout.rate_hz + 1) * SECOND_NS)
    for kind, limit, sign in ((EARLY, header.start, 1), (LATE, header.stop, -1)):
        if limit is None:
            continue
        outside = timed[sign * (_ns(limit) - starts[timed]) > length]
        if outside.size:
            i = outside[0]
            told = (
                f"{outside.size} blocks, block {table['block'][i]} at {_clock(int(starts[i]))}; configured was {limit}"
            )
            yield Fault(kind, int(table["block"][i]), int(outside.size), told)


def _neighbours(blocks: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and stop of the stretches in which blocks (n,) follow each other."""
    if len(blocks):
        edges = [0, *(np.flatnonzero(np.diff(blocks) != 1) + 1).tolist(), len(blocks)]
        yield from pairwise(edges)


def _blocks(first: int, count: int) -> str:
    return f"block {first}" if count == 1 else f"blocks {first} to {first + count - 1}"


def _gap(pair: np.ndarray, rate_hz: float) -> str:
    """How long nothing was recorded between two blocks, by the clock."""
    before, after = starts_ns(pair, rate_hz)
    if NO_TIME in (before, after):
        return "for how long is not known"
    gap = (after - before) / SECOND_NS - pair["samples"][0] / rate_hz
    return f"{gap:.3f} s without samples" if gap >= 0 else f"the clock goes back by {-gap:.3f} s"


def _ns(clock: datetime) -> int:
    return round(clock.replace(tzinfo=UTC).timestamp()) * SECOND_NS


def _clock(ns: int) -> datetime:
    return datetime.fromtimestamp(round(ns / SECOND_NS), UTC).replace(tzinfo=None)
