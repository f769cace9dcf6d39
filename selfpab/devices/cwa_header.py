"""The 1,024-byte header of a .cwa file: which device, how it was configured, what its user wrote.

The blocks are believed before the header: devices exist whose header tells another rate than their blocks.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qsl

import numpy as np

from selfpab.devices.cwa_blocks import HEADER_BYTES, NO_TIME, SECOND_NS, SLOWEST_CODE, clock_ns, rate_and_range

TAG, LENGTH = 0x444D, 1020
FIELDS = struct.Struct("<HHBHIHII")  # tag, length, hardware, id (low), session, id (high), start, stop
SENSORS, RATE, CHANGED, FIRMWARE = 35, 36, 37, 41  # offsets of the later fields
TEXTS = ((64, 448), (512, 512))  # offset and bytes: the user's, the device's
DEVICES = {0x00: "AX3", 0xFF: "AX3", 0x17: "AX3", 0x64: "AX6"}
PADDING = b"\x20\x00\xff"


class CwaHeader(NamedTuple):
    """Facts of the header. Times are the clock of the computer that configured the device, without a zone."""

    whole: bool  # False: the header is damaged and nothing below was found in it
    device: str  # "AX3", "AX6", or the unknown code
    device_id: int | None
    session_id: int | None
    firmware: int | None
    rate_hz: float | None  # as configured
    range_g: int | None
    gyroscope_dps: int | None  # range, None without one
    start: datetime | None  # logging as configured; None: at once
    stop: datetime | None  # None: never
    changed: datetime | None  # last change of the metadata, which may be after the recording
    metadata: dict[str, str]  # name = value pairs of both texts


def header_of(raw: bytes) -> CwaHeader:
    """The header from the first 1,024 bytes of a file; `whole` is False where they are none."""
    if len(raw) < HEADER_BYTES or FIELDS.unpack_from(raw)[:2] != (TAG, LENGTH):
        return CwaHeader(False, "unknown", None, None, None, None, None, None, None, None, None, {})
    _, _, hardware, low, session, high, start, stop = FIELDS.unpack_from(raw)
    device = DEVICES.get(hardware, f"unknown (code 0x{hardware:02x})")
    known = raw[RATE] & 15 >= SLOWEST_CODE
    rate_hz, range_g = rate_and_range(raw[RATE]) if known else (None, None)
    sensors = 0 if raw[SENSORS] == 0xFF else raw[SENSORS] & 15
    return CwaHeader(
        whole=True,
        device=device,
        device_id=low | (0 if high == 0xFFFF else high) << 16,
        session_id=session,
        firmware=raw[FIRMWARE],
        rate_hz=rate_hz,
        range_g=range_g,
        gyroscope_dps=8000 >> sensors if device == "AX6" and sensors else None,
        start=_time(start),
        stop=_time(stop),
        changed=_time(struct.unpack_from("<I", raw, CHANGED)[0]),
        metadata=dict(pair for first, size in TEXTS for pair in _pairs(raw[first : first + size])),
    )


def _time(stamp: int) -> datetime | None:
    ns = int(clock_ns(np.array([stamp], np.uint32))[0])
    return None if ns == NO_TIME else datetime.fromtimestamp(ns // SECOND_NS, UTC).replace(tzinfo=None)


def _pairs(text: bytes) -> list[tuple[str, str]]:
    """URL-encoded pairs; also the padding of a text that was never written is no pair."""
    return parse_qsl(text.rstrip(PADDING).decode("latin-1"), keep_blank_values=True)
