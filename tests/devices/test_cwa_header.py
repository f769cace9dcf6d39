"""The header field by field, from bytes put together here by the description."""

import struct
from datetime import datetime

import pytest

from selfpab.devices.cwa_header import header_of


def header(**changes: bytes) -> bytes:
    """An AX6's, with bytes changed at offsets named `at_<offset>`."""
    raw = bytearray(b"\xff" * 1024)
    start = 24 << 26 | 2 << 22 | 29 << 17 | 13 << 12 | 5 << 6 | 59
    raw[:5] = struct.pack("<HHB", 0x444D, 1020, 0x64)
    raw[5:13] = struct.pack("<HIH", 0x1234, 77, 2)
    raw[13:21] = struct.pack("<II", start, 0xFFFFFFFF)
    raw[35:42] = struct.pack("<BBIB", 0x02, 0x4A, start + 1 - (1 << 12) - 60, 54)
    raw[64:512] = b"_c=centre%201&_sc=S+7".ljust(448, b" ")
    raw[512:] = b"_x=".ljust(512, b"\0")
    for place, value in changes.items():
        first = int(place.removeprefix("at_"))
        raw[first : first + len(value)] = value
    return bytes(raw)


def test_every_fact():
    found = header_of(header())
    assert found.whole
    assert (found.device, found.device_id, found.session_id, found.firmware) == ("AX6", 2 << 16 | 0x1234, 77, 54)
    assert (found.rate_hz, found.range_g, found.gyroscope_dps) == (100, 8, 2000)
    assert (found.start, found.stop) == (datetime(2024, 2, 29, 13, 5, 59), None)
    assert found.changed == datetime(2024, 2, 29, 12, 5, 0)
    assert found.metadata == {"_c": "centre 1", "_sc": "S 7", "_x": ""}


@pytest.mark.parametrize("code", [b"\x00", b"\xff", b"\x17"])
def test_three_codes_of_an_ax3(code):
    found = header_of(header(at_4=code, at_11=b"\xff\xff"))
    assert (found.device, found.device_id, found.gyroscope_dps) == ("AX3", 0x1234, None)


@pytest.mark.parametrize(("code", "dps"), [(b"\x00", None), (b"\xff", None), (b"\x05", 250), (b"\x13", 1000)])
def test_the_gyroscope(code, dps):
    assert header_of(header(at_35=code)).gyroscope_dps == dps


def test_codes_nobody_knows():
    found = header_of(header(at_4=b"\x55", at_36=b"\x40"))
    assert (found.device, found.rate_hz, found.range_g) == ("unknown (code 0x55)", None, None)


def test_text_that_was_never_written():
    assert header_of(header(at_64=b"\xff" * 448, at_512=b"\0" * 512)).metadata == {}


@pytest.mark.parametrize("raw", [header(at_0=b"X"), header(at_2=b"\x00"), header()[:1023], b""])
def test_what_is_no_header(raw):
    found = header_of(raw)
    assert not found.whole
    assert (found.device_id, found.rate_hz, found.metadata) == (None, None, {})
