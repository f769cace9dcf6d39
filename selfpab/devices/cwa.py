"""Raw files of Axivity AX3 and AX6 (.cwa): acceleration, block times, and a report on all that is wrong with them.

Own code, because the field's readers need Java or write the part after a restart over the one before. Nothing is
filled with zeros, put in another order, or dropped without a word: every block is read, or named in the report.
The parts: `cwa_header`, `cwa_blocks` (512 bytes each), `cwa_times` (runs, times of samples), `cwa_report`.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from selfpab.devices.cwa_blocks import (
    BLOCK,
    BLOCK_BYTES,
    HEADER_BYTES,
    READABLE,
    TABLE,
    Layout,
    layout_keys,
    layout_of,
    sort,
    table_of,
    unpack,
)
from selfpab.devices.cwa_header import CwaHeader, header_of
from selfpab.devices.cwa_report import LEFT_OUT, BlockReport, report_of
from selfpab.devices.cwa_times import breaks_of, sample_times_ns
from selfpab.recording import RecordingError
from selfpab.scratch import room_for

PIECE = 2048  # blocks read at once: a megabyte, which stays in a core's cache while it is decoded


@dataclass(frozen=True, eq=False)
class CwaRecording:
    """One device's file, as recorded: nothing calibrated, resampled or turned."""

    path: Path
    header: CwaHeader
    layout: Layout  # rate_hz (nominal), range_g and counts_per_g, by the blocks
    samples: np.ndarray  # int16 (N, 3), x, y, z in counts
    blocks: np.ndarray  # cwa_blocks.TABLE (B,), one row per readable block
    report: BlockReport

    def acceleration_g(self, first: int = 0, stop: int | None = None) -> np.ndarray:
        """Samples first to stop in g, float32 (n, 3); exact, for counts_per_g is a power of two."""
        return self.samples[first:stop] * np.float32(1 / self.layout.counts_per_g)

    def times_ns(self) -> np.ndarray:
        """Times of all samples in ns of the device's clock as if UTC, int64 (N,); see `cwa_times.sample_times_ns`."""
        return sample_times_ns(self.blocks, self.layout.rate_hz)

    @property
    def seconds(self) -> float:
        """Recorded time at the nominal rate, without the gaps."""
        return len(self.samples) / self.layout.rate_hz


class CwaFacts(NamedTuple):
    """All of a `CwaRecording` but its samples."""

    path: Path
    header: CwaHeader
    layout: Layout
    blocks: np.ndarray  # cwa_blocks.TABLE (B,)
    report: BlockReport


class CwaPiece(NamedTuple):
    """Some blocks of a file, read one after the other."""

    layout: Layout
    states: np.ndarray  # uint8 (blocks,): what each is, as from `cwa_blocks.sort`
    blocks: np.ndarray  # TABLE (B,), the readable ones; `first` counts on from piece to piece, `run` is not yet known
    samples: np.ndarray  # int16 (n, 3) in counts


def _new_room(layout: Layout, left: int) -> np.ndarray:
    return np.empty((min(left, PIECE) * layout.capacity, 3), np.int16)


def read_cwa(path: str | Path, *, blocks: tuple[int, int | None] = (0, None)) -> CwaRecording:
    """A whole file, or its data blocks first to stop (counted from 0, readable or not).

    It is read a megabyte at a time, so that little memory is needed beside the result (6 bytes per sample and 0.1 kB
    per block). Blocks with a bad checksum, erased and foreign ones are left out and told in `report`, as are restarts,
    missing blocks, leaps of the clock, clipped samples, a truncated tail and a header that the blocks contradict.

    Raises RecordingError for a file that is no .cwa, one without any readable block, and one whose blocks change
    rate, range or packing midway.
    """
    samples, filled = np.empty((0, 3), np.int16), 0

    def room(layout: Layout, left: int) -> np.ndarray:
        nonlocal samples
        if not len(samples):  # as if all were readable and full; what is never written needs no memory
            samples = np.empty((left * layout.capacity, 3), np.int16)
        return samples[filled:]

    def take(piece: CwaPiece) -> None:
        nonlocal filled
        filled += len(piece.samples)

    facts = scan_cwa(path, take, blocks=blocks, room=room)
    samples.resize((filled, 3), refcheck=False)  # in place: gives back what blocks that were left out did not need
    return CwaRecording(facts.path, facts.header, facts.layout, samples, facts.blocks, facts.report)


def scan_cwa(
    path: str | Path,
    take: Callable[[CwaPiece], None],
    *,
    blocks: tuple[int, int | None] = (0, None),
    room: Callable[[Layout, int], np.ndarray] = _new_room,
) -> CwaFacts:
    """One pass over a file, all that `read_cwa` gives but the samples; errors as of it.

    Parameters
    ----------
    take : called with every piece, in the order of the file; pieces in front of the first readable block are left out.
    room : gives, for the layout and the number of blocks left, an int16 array (n, 3) to whose front the next piece's
        samples are written; of itself a new one each time.
    """
    path = Path(path)
    with path.open("rb", buffering=0) as file:
        size, header, span = _opened(file, path, blocks)
        states = np.empty(span[1] - span[0], np.uint8)
        table = room_for(span[1] - span[0], TABLE)
        layout, rows, filled = None, 0, 0
        for number, raw in _raw_pieces(file, span):
            part = states[number - span[0] :][: len(raw)]
            part[:] = sort(raw)
            facts, layout = _facts(raw, part, number, filled, layout, path)
            if layout is None:
                continue
            samples = room(layout, span[1] - number)
            got = _decode(raw, part, facts, layout, samples)
            filled += got
            table[rows : rows + len(facts)] = facts
            rows += len(facts)
            take(CwaPiece(layout, part, facts, samples[:got]))
    if layout is None:
        raise _unreadable(path, header, states, blocks)
    table = table[:rows]  # what was never written needs no memory
    breaks = breaks_of(table, layout.rate_hz)
    table["run"] = np.cumsum(breaks.any)
    report = report_of(
        file_bytes=size,
        span=span,
        header=header,
        layout=layout,
        states=states,
        table=table,
        breaks=breaks,
    )
    return CwaFacts(path, header, layout, table, report)


def cwa_pieces(path: str | Path, *, blocks: tuple[int, int | None] = (0, None)) -> Iterator[CwaPiece]:
    """The same a megabyte at a time, for files that shall not lie in memory; pieces without a readable block too,
    once the layout is known. Errors as of `read_cwa`; runs and the report need the whole file.
    """
    path = Path(path)
    with path.open("rb", buffering=0) as file:
        _, header, span = _opened(file, path, blocks)
        layout, filled = None, 0
        before = [np.zeros(0, np.uint8)]  # of blocks in front of the first readable one
        for number, raw in _raw_pieces(file, span):
            states = sort(raw)
            table, layout = _facts(raw, states, number, filled, layout, path)
            if layout is None:
                before.append(states)
                continue
            samples = np.empty((int(table["samples"].sum()), 3), np.int16)
            filled += _decode(raw, states, table, layout, samples)
            yield CwaPiece(layout, np.concatenate([*before, states]), table, samples)
            before = before[:1]
        if layout is None:
            raise _unreadable(path, header, np.concatenate(before), blocks)


def samples_between(file: BinaryIO, layout: Layout, blocks: np.ndarray, first: int, stop: int) -> np.ndarray:
    """Samples first to stop, int16 (stop - first, 3) in counts, of an open file whose blocks TABLE (B,) are known.

    Only the blocks that hold them are read, and their checksums are not looked at again.
    """
    low = bisect_right(blocks["first"], first) - 1  # numpy's would copy the field first
    part = blocks[low : bisect_left(blocks["first"], stop)]
    places = part["block"] - part["block"][0]
    file.seek(HEADER_BYTES + int(part["block"][0]) * BLOCK_BYTES)
    raw = file.read((int(places[-1]) + 1) * BLOCK_BYTES)
    read = np.frombuffer(raw, BLOCK, len(raw) // BLOCK_BYTES)
    if len(read) <= places[-1]:
        raise RecordingError(f"{file.name}: became shorter while it was read; read it again when it is whole")
    counts = np.empty((len(part), layout.capacity, 3), np.int16)
    unpack(read if len(read) == len(part) else read[places], layout, counts)
    if (part["samples"] == layout.capacity).all():
        held = counts.reshape(-1, 3)
    else:
        held = counts[np.arange(layout.capacity) < part["samples"][:, None]]
    begin = first - int(part["first"][0])
    return held[begin : begin + stop - first]


def _opened(file: BinaryIO, path: Path, blocks: tuple[int, int | None]) -> tuple[int, CwaHeader, tuple[int, int]]:
    """Size of the file, its header, and the blocks to read; the file stands at the first of them."""
    size = os.fstat(file.fileno()).st_size
    whole = max(0, size - HEADER_BYTES) // BLOCK_BYTES
    first, stop = blocks[0], whole if blocks[1] is None else blocks[1]
    if not 0 <= first <= stop <= whole:
        raise ValueError(f"blocks={blocks} was asked for; {path} has the blocks 0 to {whole}")
    raw = file.read(HEADER_BYTES)
    if size < HEADER_BYTES + BLOCK_BYTES:
        what = "no .cwa file" if not header_of(raw).whole else "a .cwa file without a data block"
        raise RecordingError(
            f"{path}: has {size} bytes and is {what}; wanted a header of 1,024 bytes and blocks of 512: copy it from the "
            f"device again"
        )
    file.seek(HEADER_BYTES + first * BLOCK_BYTES)
    return size, header_of(raw), (first, stop)


def _raw_pieces(file: BinaryIO, span: tuple[int, int]) -> Iterator[tuple[int, np.ndarray]]:
    """Number of the first block and blocks BLOCK (n,), in a buffer that the next piece overwrites."""
    memory = bytearray(min(PIECE, span[1] - span[0]) * BLOCK_BYTES)
    buffer = np.frombuffer(memory, BLOCK)
    for number in range(span[0], span[1], PIECE):
        part = buffer[: min(PIECE, span[1] - number)]
        room = memoryview(memory)[: part.nbytes]
        while room:
            got = file.readinto(room)  # type: ignore[attr-defined]
            if not got:
                raise RecordingError(f"{file.name}: became shorter while it was read; read it again when it is whole")
            room = room[got:]
        yield number, part


def _facts(
    raw: np.ndarray, states: np.ndarray, number: int, filled: int, layout: Layout | None, path: Path
) -> tuple[np.ndarray, Layout | None]:
    """Table of a piece's readable blocks, and the layout that all of them have; None until one was readable."""
    good = np.flatnonzero(states == READABLE)
    blocks = raw if len(good) == len(raw) else raw[good]
    if not len(blocks):
        return np.empty(0, TABLE), layout
    keys = layout_keys(blocks)
    changes = np.flatnonzero(keys != keys[0])
    for i in (0, *changes[:1]):
        own = layout_of(blocks[i])
        if layout is not None and own != layout:
            at = number + int(good[i])
            raise RecordingError(
                f"{path}: block {at} (byte {HEADER_BYTES + at * BLOCK_BYTES}) has {own}, the blocks before it {layout}; "
                f"wanted one way of recording in a file: read the parts by themselves, blocks=(0, {at}) and "
                f"blocks=({at}, None)"
            )
        layout = own
    assert layout is not None  # a readable block has one
    return table_of(blocks, number + good, filled, layout), layout


def _decode(raw: np.ndarray, states: np.ndarray, table: np.ndarray, layout: Layout, room: np.ndarray) -> int:
    """Write the samples of a piece to the front of `room`, mark the clipped ones in the table; how many there were."""
    size, full = len(table), layout.capacity
    total = int(table["samples"].sum())
    blocks = raw if size == len(raw) else raw[states == READABLE]
    straight = total == size * full
    counts = room[:total].reshape(size, full, 3) if straight else np.empty((size, full, 3), np.int16)
    unpack(blocks, layout, counts)
    held = np.arange(full) < table["samples"][:, None]
    if not straight:
        room[:total] = counts[held]
    low, high = layout.limits
    flat = counts.reshape(size, 3 * full)
    some = np.flatnonzero((flat.max(axis=1, initial=low) >= high) | (flat.min(axis=1, initial=high) <= low))
    over = ((counts[some] >= high) | (counts[some] <= low)).any(axis=2) & held[some]
    table["clipped"][some] = over.sum(axis=1)
    return total


def _unreadable(path: Path, header: CwaHeader, states: np.ndarray, blocks: tuple[int, int | None]) -> RecordingError:
    found = ", ".join(
        f"{int((states == state).sum())} {kind}" for state, kind in LEFT_OUT.items() if (states == state).any()
    )
    if not header.whole and blocks == (0, None):
        return RecordingError(
            f"{path}: is no .cwa file: it does not begin with 'MD', and none of its {len(states)} blocks of 512 bytes is "
            f"one; wanted the file as it lies on an Axivity AX3 or AX6"
        )
    return RecordingError(
        f"{path}: none of its {len(states)} blocks can be read ({found}); copy the file from the device again, or leave "
        f"it out"
    )
