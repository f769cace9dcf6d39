"""The 512-byte data blocks of a .cwa file (Axivity AX3 and AX6): told apart, summed up and unpacked, many at a time.

From the maker's public description (openmovement, `cwa.h`). Every block stands alone: own time, sequence number and
checksum, so one that is broken costs only itself. Legend: B blocks, K samples that fit into one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

HEADER_BYTES = 1024
BLOCK_BYTES = 512
SECOND_NS = 1_000_000_000
NO_TIME = np.iinfo(np.int64).min  # a time that nobody knows, in ns
FRACTION = 1 << 15  # parts of a second in a stamp
RESUMED = 1  # event bit: logging began or went on again
SLOWEST_CODE = 6  # 6.25 Hz; below, the code is that of 2011's firmware, whose blocks mean something else

BLOCK = np.dtype(
    [
        ("tag", "<u2"),
        ("length", "<u2"),
        ("fraction", "<u2"),  # top bit set: of the stamp's second; clear: device id
        ("session", "<u4"),
        ("sequence", "<u4"),
        ("stamp", "<u4"),
        ("light", "<u2"),  # low 10 bits; above them the scales of gyroscope and accelerometer
        ("temperature", "<u2"),
        ("events", "u1"),
        ("battery", "u1"),
        ("rate", "u1"),
        ("coding", "u1"),
        ("stamp_index", "<i2"),
        ("count", "<u2"),
        ("data", "u1", (480,)),
        ("checksum", "<u2"),
    ]
)
TAG, LENGTH = 0x5841, 508
DATA_FIRST, DATA_STOP = 30, 510  # bytes of the samples in a block

# What a reader learns of each readable block; `first` and `stamp_sample` count the samples that were read.
TABLE = np.dtype(
    [
        ("block", np.int64),  # place in the file, from 0
        ("run", np.int32),  # blocks of one run follow each other without a gap
        ("first", np.int64),  # its first sample
        ("samples", np.int32),
        ("clipped", np.int32),  # samples at the end of the range in at least one axis
        ("sequence", np.int64),
        ("session", np.int64),
        ("device", np.int32),  # low 15 bits of the id, -1 where the block does not tell
        ("stamp_ns", np.int64),  # device clock, as if UTC, since 1970; NO_TIME where unknown
        ("stamp_sample", np.int64),  # the sample taken at stamp_ns; may lie beside the block
        ("temperature_c", np.float32),
        ("battery_v", np.float32),
        ("light", np.int16),  # raw, 0 to 1023
        ("events", np.uint8),
    ]
)

AT_ONCE = 256  # blocks unpacked together: what they need in between fits into a core's own cache; 3 times as fast
READABLE, BAD_CHECKSUM, ERASED, FOREIGN, CONTRADICTORY = range(5)  # what a block is


class Layout(NamedTuple):
    """How the samples of a block are written. A file has one layout."""

    axes: int  # 3 accelerometer, 6 gyroscope then accelerometer, 9 with magnetometer
    packed: bool  # 3 × 10 bits and a common exponent; else int16 each
    rate_hz: float
    range_g: int
    counts_per_g: int

    @property
    def capacity(self) -> int:
        """Samples in a full block."""
        return 120 if self.packed else 480 // (2 * self.axes)

    @property
    def limits(self) -> tuple[int, int]:
        """Counts at and beyond which a value is clipped, below and above; the exponent costs a packed one its last bits.

        Where the range does not fit into 16 bits at this scale, they are the end.

        >>> Layout(axes=3, packed=True, rate_hz=100.0, range_g=8, counts_per_g=256).limits
        (-2048, 2044)
        """
        end = min(self.range_g * self.counts_per_g, 1 << 15)
        return -end, end - (end // 512 if self.packed else 1)

    def __str__(self) -> str:
        how = "packed" if self.packed else f"{self.axes} axes unpacked at {self.counts_per_g} counts per g"
        return f"{how}, {self.rate_hz:g} Hz, ±{self.range_g} g"


def rate_and_range(code: int) -> tuple[float, int]:
    """Hz and g of a rate code.

    >>> rate_and_range(0x4A)
    (100.0, 8)
    """
    return 3200 / (1 << (15 - (code & 15))), 16 >> (code >> 6)


def layout_of(block: np.ndarray | np.void) -> Layout | None:
    """Layout of one block, None where its codes contradict each other or are not known."""
    axes, form = int(block["coding"]) >> 4, int(block["coding"]) & 15
    code = int(block["rate"])
    if axes not in (3, 6, 9) or form not in (0, 2) or (form == 0 and axes != 3) or code & 15 < SLOWEST_CODE:
        return None
    rate_hz, range_g = rate_and_range(code)
    counts_per_g = 256 if form == 0 else 256 << (int(block["light"]) >> 13)
    layout = Layout(axes, form == 0, rate_hz, range_g, counts_per_g)
    return layout if int(block["count"]) <= layout.capacity else None


def layout_keys(blocks: np.ndarray) -> np.ndarray:
    """One number per block, int64 (B,), that differs where the layouts of blocks (B,) differ."""
    packed = (blocks["coding"] & 15) == 0
    scale = np.where(packed, 0, blocks["light"] >> 13).astype(np.int64)
    return blocks["coding"].astype(np.int64) | (blocks["rate"] & 0xCF).astype(np.int64) << 8 | scale << 16


def checksums(blocks: np.ndarray) -> np.ndarray:
    """Sum of the 256 words of each block modulo 65,536, uint16 (B,): 0 where nothing is broken."""
    return np.add.reduce(blocks.view("<u2").reshape(len(blocks), -1), axis=1, dtype=np.uint16)


def sort(blocks: np.ndarray) -> np.ndarray:
    """What each of blocks (B,) is, uint8 (B,): READABLE, BAD_CHECKSUM, ERASED (all 0xff or all 0), FOREIGN or
    CONTRADICTORY (checksum right, but codes that are unknown or more samples than fit)."""
    states = np.where(checksums(blocks) == 0, READABLE, BAD_CHECKSUM).astype(np.uint8)
    foreign = np.flatnonzero((blocks["tag"] != TAG) | (blocks["length"] != LENGTH))
    if foreign.size:
        raw = blocks[foreign].view(np.uint8).reshape(-1, BLOCK_BYTES)
        blank = ((raw == 0xFF) | (raw == 0)).all(axis=1) & (raw == raw[:, :1]).all(axis=1)
        states[foreign] = np.where(blank, ERASED, FOREIGN)
    good = np.flatnonzero(states == READABLE)
    # Few different ones exist in a file, mostly one: look at each once.
    keys = layout_keys(blocks)[good] << 16 | blocks["count"][good]
    others = np.flatnonzero(keys != keys[:1])
    _, examples, inverse = np.unique(keys[others], return_index=True, return_inverse=True)
    unknown = np.array([layout_of(blocks[good[others[i]]]) is None for i in examples], bool)
    states[good[others[unknown[inverse]]]] = CONTRADICTORY
    if good.size and layout_of(blocks[good[0]]) is None:
        states[np.delete(good, others)] = CONTRADICTORY
    return states


def unpack(blocks: np.ndarray, layout: Layout, out: np.ndarray) -> None:
    """Write the acceleration of whole blocks (B,) in counts to `out`, int16 (B, K, 3)."""
    raw = blocks.view(np.uint8).reshape(len(blocks), BLOCK_BYTES)[:, DATA_FIRST:DATA_STOP]
    if layout.packed:
        for first in range(0, len(raw), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            _unpack_10_bits(np.ascontiguousarray(raw[part]).view("<u4"), out[part])
        return
    width = 2 * layout.axes
    # With more than three axes the gyroscope's three come first.
    first = 0 if layout.axes == 3 else 3
    values = raw[:, : layout.capacity * width].view("<i2").reshape(len(blocks), layout.capacity, layout.axes)
    out[...] = values[:, :, first : first + 3]


def _unpack_10_bits(words: np.ndarray, out: np.ndarray) -> None:
    """uint32 (B, 120) of 2 bits exponent, then z, y, x of 10 bits each -> int16 (B, 120, 3).

    A value's ten bits are moved to the top of an int16, so that shifting back extends its sign. Everything lies side
    by side in 16 bits, which processors do many at a time.
    """
    low, high = words.astype(np.uint16), (words >> 16).astype(np.uint16)
    factor = (np.uint16(1) << (high >> 14)).view(np.int16)
    for axis, top in enumerate((low << 6, (words >> 4).astype(np.uint16), high << 2)):
        value = top.view(np.int16)
        value >>= 6
        value *= factor
        out[:, :, axis] = value


def table_of(blocks: np.ndarray, numbers: np.ndarray, first: int, layout: Layout) -> np.ndarray:
    """Facts of readable blocks (B,), whose places in the file are `numbers`; `first` samples were read before. TABLE (B,).

    Fields `run` and `clipped` stay 0: one needs all blocks, the other the samples.
    """
    table = np.zeros(len(blocks), TABLE)
    counts = blocks["count"].astype(np.int64)
    table["block"], table["samples"] = numbers, counts
    table["first"] = first + np.cumsum(counts) - counts
    for name in ("sequence", "session", "events"):
        table[name] = blocks[name]
    exact = blocks["fraction"] >= FRACTION
    table["device"] = np.where(exact, -1, blocks["fraction"].astype(np.int32))
    parts = np.where(exact, blocks["fraction"] & (FRACTION - 1), 0).astype(np.int64)
    seconds = clock_ns(blocks["stamp"])
    table["stamp_ns"] = np.where(seconds == NO_TIME, NO_TIME, seconds + parts * SECOND_NS // FRACTION)
    # The device moved the index back to the whole second, for readers that know no fraction: move it on again.
    moved = np.floor(parts * layout.rate_hz / FRACTION).astype(np.int64)
    table["stamp_sample"] = table["first"] + blocks["stamp_index"] + moved
    table["temperature_c"] = (blocks["temperature"] & 1023) * (75 / 256) - 50
    table["battery_v"] = (blocks["battery"] + 512.0) * 6 / 1024
    table["light"] = blocks["light"] & 1023
    return table


def clock_ns(stamps: np.ndarray) -> np.ndarray:
    """Stamps, uint32 (B,), as ns since 1970 read as if UTC, int64 (B,); NO_TIME for 0 and for days that do not exist.

    Six bits year since 2000, then 4 month, 5 day, 5 hour, 6 minute, 6 second.

    >>> clock_ns(np.array([0x4CB4ADC7], np.uint32)).astype("datetime64[ns]").astype("datetime64[s]")
    array(['2019-02-26T10:55:07'], dtype='datetime64[s]')
    """
    t = np.asarray(stamps).astype(np.int64)
    month, day, hour = (t >> 22) & 15, (t >> 17) & 31, (t >> 12) & 31
    minute, second = (t >> 6) & 63, t & 63
    # Calendars are slow, and neighbours have the same day.
    dates, inverse = np.unique(t >> 17, return_inverse=True)
    of_month = ((dates >> 9) + 30) * 12 + ((dates >> 5) & 15) - 1
    begins, ends = ((of_month + i).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for i in (0, 1))
    days = (begins + (dates & 31) - 1)[inverse]
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (day <= (ends - begins)[inverse])
    exists &= (hour < 24) & (minute < 60) & (second < 60)
    return np.where(exists, (days * 86_400 + hour * 3600 + minute * 60 + second) * SECOND_NS, NO_TIME)
