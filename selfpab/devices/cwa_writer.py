"""Writes .cwa files as an AX3 or AX6 would, and with what goes wrong in the field: known truth for the reader.

The counterpart of `cwa`, by the same description of the format; used by tests and by simulated device pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

from selfpab.devices.cwa_blocks import (
    BLOCK,
    BLOCK_BYTES,
    DATA_FIRST,
    DATA_STOP,
    FRACTION,
    HEADER_BYTES,
    LENGTH,
    RESUMED,
    SLOWEST_CODE,
    TAG,
    Layout,
    checksums,
)
from selfpab.devices.cwa_header import CHANGED, FIELDS, FIRMWARE, RATE, SENSORS, TEXTS
from selfpab.devices.cwa_header import LENGTH as HEADER_LENGTH
from selfpab.devices.cwa_header import TAG as HEADER_TAG
from selfpab.writing import write_whole

FORMS = ("packed", "unpacked", "ax6")
PIECE = 2048  # blocks made at once
CODES = {3200 / (1 << (15 - code)): code for code in range(SLOWEST_CODE, 16)}
RANGES = {16 >> code: code for code in range(4)}


@dataclass(frozen=True)
class Planted:
    """What shall be wrong in a file. Blocks are counted as written without any of it, from 0."""

    restarts: Mapping[int, float] = field(default_factory=dict)  # sequence from 0 and event "resumed" at this block, so
    # many seconds after the end of the one before (less than 0: the clock was set back)
    missing: Collection[int] = ()  # blocks that were recorded and are not in the file
    erased: Collection[int] = ()  # 0xff throughout
    bad_checksums: Collection[int] = ()
    untimed: Collection[int] = ()  # stamp 0
    empty: Collection[int] = ()  # sample count 0: the block's samples are lost
    sequence_jumps: Mapping[int, int] = field(default_factory=dict)  # so many numbers left out, no sample and no time
    cut_bytes: int = 0  # off the end of the file
    header_rate_hz: float | None = None  # another rate than the blocks'
    header_start: datetime | None = None  # logging as configured; None: at once
    header_stop: datetime | None = None


NOTHING = Planted()


def layout_for(form: str, rate_hz: float, range_g: int) -> Layout:
    """Layout of a form ("packed" and "unpacked" of an AX3, "ax6"); ValueError for what the devices do not have."""
    if form not in FORMS or rate_hz not in CODES or range_g not in RANGES:
        raise ValueError(
            f"no device writes form={form!r}, rate_hz={rate_hz:g}, range_g={range_g}; wanted a form of {FORMS}, a rate "
            f"of {tuple(CODES)} Hz, a range of {tuple(RANGES)} g"
        )
    counts_per_g = 32768 // range_g if form == "ax6" else 256
    return Layout(6 if form == "ax6" else 3, form == "packed", rate_hz, range_g, counts_per_g)


def quantised(samples_g: np.ndarray, layout: Layout) -> np.ndarray:
    """Counts, int16 (N, 3), that the device keeps of samples_g (N, 3): clipped at its range, rounded, and packed ones
    without the bits that the common exponent costs."""
    end = layout.range_g * layout.counts_per_g
    counts = np.clip(np.rint(np.asarray(samples_g, np.float64) * layout.counts_per_g), -end, end - 1).astype(np.int16)
    return counts if not layout.packed else counts >> (lost := _exponents(counts)[:, None]) << lost


def _exponents(counts: np.ndarray) -> np.ndarray:
    """Bits (N,) to shift counts (N, 3) so that each axis fits into ten."""
    # ~x of a value below 0 is as long as the value itself
    largest = np.where(counts < 0, ~counts, counts).max(axis=1, initial=0)
    return ((largest > 511).astype(np.int16) + (largest > 1023) + (largest > 2047)).astype(np.int16)


def write_cwa(
    path: Path,
    samples_g: np.ndarray,
    *,
    form: str,
    rate_hz: float,
    range_g: int,
    start: datetime,
    planted: Planted = NOTHING,
    device_id: int = 10_001,
    session_id: int = 1,
    firmware: int = 50,
    metadata: Mapping[str, str] | None = None,
    drift_ppm: float | np.ndarray = 0.0,
    temperature_c: float | np.ndarray = 25.0,
    light: int | np.ndarray = 100,
    battery_v: float | np.ndarray = 4.0,
    gyroscope: np.ndarray | None = None,
    fraction: bool = True,
) -> None:
    """Write one device's file, whole or not at all.

    Parameters
    ----------
    samples_g : (N, 3) in g; the last block is filled in part.
    start : the device's clock at the first sample.
    drift_ppm : how much faster than `rate_hz` the samples come by the device's clock; a number, or (B,), by block.
    temperature_c, light (0 to 1023), battery_v : numbers, or (B,) by block, rounded as the device does.
    gyroscope : int16 (N, 3), raw, "ax6" only; else zeros.
    fraction : stamps with a fraction of a second, as firmware of today; False: with the device id instead.
    """
    layout = layout_for(form, rate_hz, range_g)
    size = -(-len(samples_g) // layout.capacity)
    known = [*planted.restarts, *planted.missing, *planted.erased, *planted.bad_checksums, *planted.untimed]
    known += [*planted.empty, *planted.sequence_jumps]
    if known and not 0 <= min(known) <= max(known) < size:
        raise ValueError(f"planted faults in the blocks {min(known)} to {max(known)}; the file has 0 to {size - 1}")
    header = _header(layout, start, planted, device_id, session_id, firmware, metadata or {})
    facts = _facts(size, layout, planted, drift_ppm, temperature_c, light, battery_v)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(header)
            for first in range(0, size, PIECE):
                rows = slice(first, min(first + PIECE, size))
                blocks = _stamped(facts[rows], len(samples_g), first, layout, start, device_id, session_id, fraction)
                held = slice(rows.start * layout.capacity, rows.stop * layout.capacity)
                _fill(blocks, samples_g[held], None if gyroscope is None else gyroscope[held], layout)
                file.write(_spoilt(blocks, first, planted).tobytes())
            file.truncate(file.tell() - planted.cut_bytes)

    write_whole(Path(path), write)


FACTS = np.dtype(
    [
        ("sequence", np.int64),
        ("first_s", np.float64),  # of its first sample, since the start
        ("step_s", np.float64),  # from sample to sample
        ("events", np.uint8),
        ("temperature", np.int64),
        ("light", np.int64),
        ("battery", np.int64),
    ]
)


def _facts(size: int, layout: Layout, planted: Planted, drift_ppm, temperature_c, light, battery_v) -> np.ndarray:
    """What differs from block to block, FACTS (B,)."""
    facts = np.zeros(size, FACTS)
    facts["step_s"] = 1 / layout.rate_hz / (1 + np.asarray(drift_ppm) * 1e-6)
    lasts = facts["step_s"] * layout.capacity
    facts["first_s"] = np.cumsum(lasts) - lasts
    facts["sequence"] = np.arange(size)
    for block, numbers in planted.sequence_jumps.items():
        facts["sequence"][block:] += numbers
    for block, gap_s in sorted(planted.restarts.items()):
        facts["sequence"][block:] -= facts["sequence"][block]
        facts["first_s"][block:] += gap_s
        facts["events"][block] = RESUMED
    if size:
        facts["events"][0] = RESUMED
    facts["temperature"] = np.rint((np.asarray(temperature_c) + 50) * (256 / 75))
    facts["light"] = light
    facts["battery"] = np.rint(np.asarray(battery_v) * (1024 / 6) - 512)
    return facts


def _stamped(
    facts: np.ndarray, samples: int, first: int, layout: Layout, start: datetime, device: int, session: int, exact: bool
) -> np.ndarray:
    """Blocks BLOCK (n,) with all but samples and checksum; `first` is the place of the first one."""
    blocks = np.zeros(len(facts), BLOCK)
    full = layout.capacity
    blocks["tag"], blocks["length"], blocks["session"] = TAG, LENGTH, session
    blocks["sequence"], blocks["events"] = facts["sequence"], facts["events"]
    blocks["count"] = np.minimum(full, samples - (first + np.arange(len(facts))) * full)
    # The device looks at its clock when it has the block's last sample.
    time_s = start.microsecond * 1e-6 + facts["first_s"] + full * facts["step_s"]
    # Whole counts of the stamp; a float64 holds them for any recording.
    parts = np.floor(time_s * FRACTION).astype(np.int64)
    seconds, parts = parts // FRACTION, parts % FRACTION
    blocks["stamp"] = stamps_of(start.replace(microsecond=0), seconds)
    blocks["stamp_index"] = full - np.floor(parts * layout.rate_hz / FRACTION).astype(np.int64)
    blocks["fraction"] = FRACTION | parts if exact else device & 0x7FFF
    scale = layout.counts_per_g.bit_length() - 9  # 256 << scale
    gyroscope = 2 if layout.axes > 3 else 0  # 2000 dps
    blocks["light"] = facts["light"] | gyroscope << 10 | (0 if layout.packed else scale) << 13
    blocks["temperature"], blocks["battery"] = facts["temperature"], facts["battery"]
    blocks["rate"] = _rate_code(layout.rate_hz, layout.range_g)
    blocks["coding"] = layout.axes << 4 | (0 if layout.packed else 2)
    return blocks


def _fill(blocks: np.ndarray, samples_g: np.ndarray, gyroscope: np.ndarray | None, layout: Layout) -> None:
    """Put the samples (n, 3) into their blocks."""
    counts = quantised(samples_g, layout)
    values = np.zeros((len(blocks) * layout.capacity, layout.axes), np.int16)
    values[: len(counts), layout.axes - 3 :] = counts
    if layout.axes > 3 and gyroscope is not None:
        values[: len(counts), :3] = gyroscope
    if layout.packed:
        lost = _exponents(values)
        x, y, z = ((values[:, axis] >> lost).astype(np.uint32) & 1023 for axis in range(3))
        packed = x | y << 10 | z << 20 | lost.astype(np.uint32) << 30
        raw = packed.astype("<u4").view(np.uint8).reshape(len(blocks), -1)
    else:
        raw = values.astype("<i2").reshape(len(blocks), -1).view(np.uint8)
    blocks.view(np.uint8).reshape(len(blocks), BLOCK_BYTES)[:, DATA_FIRST:DATA_STOP] = raw


def _spoilt(blocks: np.ndarray, first: int, planted: Planted) -> np.ndarray:
    """The blocks with what is planted in single ones, and their checksums."""

    def rows(places: Collection[int]) -> list[int]:
        return [place - first for place in places if first <= place < first + len(blocks)]

    for name, places in (("stamp", planted.untimed), ("count", planted.empty)):
        blocks[name][rows(places)] = 0
    blocks["checksum"] = -checksums(blocks)  # which was 0 so far
    blocks["checksum"][rows(planted.bad_checksums)] ^= 1
    blocks.view(np.uint8).reshape(len(blocks), BLOCK_BYTES)[rows(planted.erased)] = 0xFF
    return np.delete(blocks, rows(planted.missing))


def _header(
    layout: Layout,
    start: datetime,
    planted: Planted,
    device: int,
    session: int,
    firmware: int,
    metadata: Mapping[str, str],
) -> bytes:
    raw = bytearray(b"\xff" * HEADER_BYTES)
    times = [0 if (t := planted.header_start) is None else _stamp(t)]
    times += [0xFFFFFFFF if (t := planted.header_stop) is None else _stamp(t)]
    hardware = 0x64 if layout.axes > 3 else 0x17
    FIELDS.pack_into(raw, 0, HEADER_TAG, HEADER_LENGTH, hardware, device & 0xFFFF, session, device >> 16, *times)
    raw[SENSORS] = 2 if layout.axes > 3 else 0
    raw[RATE] = _rate_code(planted.header_rate_hz or layout.rate_hz, layout.range_g)
    raw[CHANGED : CHANGED + 4] = _stamp(start - timedelta(hours=1)).to_bytes(4, "little")
    raw[FIRMWARE] = firmware
    text = urlencode(metadata).encode()
    first, room = TEXTS[0]
    if len(text) > room:
        raise ValueError(f"metadata needs {len(text)} bytes; a .cwa file has room for {room}")
    raw[first : first + room] = text.ljust(room, b" ")
    return bytes(raw)


def _rate_code(rate_hz: float, range_g: int) -> int:
    return RANGES[range_g] << 6 | CODES[rate_hz]


def _stamp(clock: datetime) -> int:
    return int(stamps_of(clock, np.zeros(1, np.int64))[0])


def stamps_of(start: datetime, seconds: np.ndarray) -> np.ndarray:
    """Stamps, uint32 (n,), of so many whole seconds (n,) after `start`; the counterpart of `cwa_blocks.clock_ns`."""
    clock = np.datetime64(start, "s") + seconds.astype("timedelta64[s]")
    months, days = clock.astype("datetime64[M]"), clock.astype("datetime64[D]")
    of_day = (clock - days).astype(np.int64)
    month = months.astype(np.int64) + 1970 * 12
    day = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    parts = (month // 12 - 2000, month % 12 + 1, day, of_day // 3600, of_day // 60 % 60, of_day % 60)
    bits = (26, 22, 17, 12, 6, 0)
    return np.bitwise_or.reduce([part << bit for part, bit in zip(parts, bits, strict=True)]).astype(np.uint32)
