"""One block at a time against the slow obvious reading of the format, and what a block is."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpab.devices.cwa_blocks import (
    BAD_CHECKSUM,
    BLOCK,
    BLOCK_BYTES,
    CONTRADICTORY,
    ERASED,
    FOREIGN,
    NO_TIME,
    READABLE,
    Layout,
    checksums,
    clock_ns,
    layout_of,
    rate_and_range,
    sort,
    table_of,
    unpack,
)

PACKED = Layout(3, True, 100.0, 8, 256)


def block(data: bytes = b"", **fields) -> np.ndarray:
    """One readable block (1,), packed at 100 Hz and 8 g unless told otherwise."""
    one = np.zeros(1, BLOCK)
    one["tag"], one["length"], one["rate"], one["coding"], one["count"] = 0x5841, 508, 0x4A, 0x30, 120
    for name, value in fields.items():
        one[name] = value
    one["data"][0, : len(data)] = np.frombuffer(data, np.uint8)
    one["checksum"] = 0
    one["checksum"] = -checksums(one)
    return one


def obvious(word: int) -> list[int]:
    """x, y, z of a packed word, bit by bit as the description says."""
    values = []
    for low in (0, 10, 20):
        value = (word >> low) & 1023
        values.append((value - 1024 if value & 512 else value) << (word >> 30))
    return values


def test_a_block_has_512_bytes_and_its_fields_where_the_description_has_them():
    assert BLOCK.itemsize == BLOCK_BYTES
    places = {name: BLOCK.fields[name][1] for name in BLOCK.names}
    assert places["session"] == 6
    assert places["stamp"] == 14
    assert (places["rate"], places["coding"], places["stamp_index"], places["count"]) == (24, 25, 26, 28)
    assert (places["data"], places["checksum"]) == (30, 510)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=120, max_size=120))
@settings(max_examples=30, deadline=None)
def test_packed_samples_are_those_of_the_slow_reading(words):
    out = np.empty((1, 120, 3), np.int16)
    unpack(block(struct.pack("<120I", *words)), PACKED, out)
    assert out[0].tolist() == [obvious(word) for word in words]


def test_packed_extremes():
    words = [0x200 | 0x1FF << 10 | 3 << 30, 0x3FF << 20 | 1 << 30, 0x1FF << 20]
    out = np.empty((1, 120, 3), np.int16)
    unpack(block(struct.pack("<3I", *words)), PACKED, out)
    assert out[0, :3].tolist() == [[-4096, 4088, 0], [0, 0, -2], [0, 0, 511]]


@pytest.mark.parametrize(("axes", "samples", "first"), [(3, 80, 0), (6, 40, 3), (9, 26, 3)])
def test_unpacked_samples_without_gyroscope_and_magnetometer(axes, samples, first):
    values = np.arange(samples * axes, dtype="<i2").reshape(samples, axes) * 31 - 3000
    layout = Layout(axes, False, 100.0, 16, 2048)
    assert layout.capacity == samples
    out = np.empty((1, samples, 3), np.int16)
    unpack(block(values.tobytes()), layout, out)
    np.testing.assert_array_equal(out[0], values[:, first : first + 3])


@pytest.mark.parametrize(
    ("fields", "layout"),
    [
        ({}, PACKED),
        ({"light": 3 << 13}, PACKED),  # the scale is for unpacked values
        ({"coding": 0x32, "count": 80}, Layout(3, False, 100.0, 8, 256)),
        (
            {"coding": 0x62, "count": 40, "rate": 0x0A, "light": 3 << 13 | 2 << 10 | 9},
            Layout(6, False, 100.0, 16, 2048),
        ),
        ({"coding": 0x92, "count": 26, "rate": 0xC7, "light": 6 << 13}, Layout(9, False, 12.5, 2, 16384)),
        ({"count": 121}, None),
        ({"coding": 0x62, "count": 41}, None),
        ({"coding": 0x31}, None),
        ({"coding": 0x60, "count": 40}, None),
        ({"coding": 0x40}, None),
        ({"rate": 0}, None),
    ],
)
def test_layouts(fields, layout):
    assert layout_of(block(**fields)[0]) == layout
    assert sort(block(**fields)).tolist() == [CONTRADICTORY if layout is None else READABLE]


def test_what_a_block_is():
    good, bad, short, contrary = block(), block(), block(length=500), block(coding=0x33)
    bad["data"][0, 7] += 1
    erased = np.frombuffer(b"\xff" * 512, BLOCK)
    mixed = np.frombuffer(b"\xff" * 500 + bytes(12), BLOCK)
    blocks = np.concatenate([good, bad, erased, np.zeros(1, BLOCK), short, contrary, mixed, good])
    expected = [READABLE, BAD_CHECKSUM, ERASED, ERASED, FOREIGN, CONTRADICTORY, FOREIGN, READABLE]
    assert sort(blocks).tolist() == expected


@given(st.integers(0, 511), st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_a_changed_byte_is_always_noticed(place, change):
    one = block(bytes(range(240)) * 2)
    one.view(np.uint8)[place] ^= change
    assert sort(one).tolist()[0] in (BAD_CHECKSUM, FOREIGN)


def test_facts_of_blocks():
    blocks = np.concatenate(
        [
            block(
                fraction=0x8000 | 0x2010,
                stamp=0x4CB4ADC7,
                stamp_index=100,
                temperature=258,
                battery=190,
                light=3 << 13 | 283,
            ),
            block(fraction=77, stamp=0x4CB4ADC8, stamp_index=-5, temperature=0xFC00, events=4, sequence=2**32 - 1),
            block(stamp=0, count=7),
        ]
    )
    table = table_of(blocks, np.array([3, 5, 6]), 1000, PACKED)
    assert table["block"].tolist() == [3, 5, 6]
    assert table["first"].tolist() == [1000, 1120, 1240]
    assert table["samples"].tolist() == [120, 120, 7]
    # A quarter of a second is 25 samples, by which the device moved the index back.
    assert table["stamp_sample"].tolist() == [1000 + 125, 1120 - 5, 1240]
    second = int(np.datetime64("2019-02-26T10:55:07", "ns").astype(np.int64))
    assert table["stamp_ns"].tolist() == [second + 0x2010 * 10**9 // 32768, second + 10**9, NO_TIME]
    assert table["device"].tolist() == [-1, 77, 0]
    np.testing.assert_allclose(table["temperature_c"], [258 * 75 / 256 - 50, -50, -50], rtol=1e-6)
    np.testing.assert_allclose(table["battery_v"], [702 * 6 / 1024, 3, 3], rtol=1e-6)  # 4.11 V
    assert table["light"].tolist() == [283, 0, 0]
    assert table["events"].tolist() == [0, 4, 0]
    assert table["sequence"].tolist() == [0, 2**32 - 1, 0]


def stamp(year, month, day, hour=0, minute=0, second=0) -> int:
    return (year - 2000) << 26 | month << 22 | day << 17 | hour << 12 | minute << 6 | second


@pytest.mark.parametrize("text", ["2000-01-01T00:00:00", "2024-02-29T23:59:59", "2063-12-31T12:30:31"])
def test_the_clock(text):
    parts = [int(part) for part in text.replace("T", "-").replace(":", "-").split("-")]
    found = clock_ns(np.array([stamp(*parts)], np.uint32))
    assert found.astype("datetime64[ns]")[0] == np.datetime64(text)


@pytest.mark.parametrize(
    "parts",
    [(2023, 2, 29), (2024, 0, 5), (2024, 13, 5), (2024, 4, 31), (2024, 4, 0), (2024, 4, 1, 24), (2024, 4, 1, 0, 60)],
)
def test_days_and_hours_that_do_not_exist(parts):
    assert clock_ns(np.array([stamp(*parts), 0, stamp(2024, 4, 1, 0, 0, 60)], np.uint32)).tolist() == [NO_TIME] * 3


@pytest.mark.parametrize(("code", "known"), [(0x4A, (100, 8)), (0xC6, (6.25, 2)), (0x0F, (3200, 16)), (0x8C, (400, 4))])
def test_rate_codes(code, known):
    assert rate_and_range(code) == known
