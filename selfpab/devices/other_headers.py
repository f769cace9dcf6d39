"""What the headers of ActiGraph's and GENEActiv's files say, as `actfast` gives them: words under headings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

TICKS_1970, TICKS_S = 621_355_968_000_000_000, 10_000_000  # .NET's time
RAW_END = 2048  # 12 bits

Metadata = Mapping[str, Mapping[str, str]]


class OtherHeader(NamedTuple):
    """Facts of the header, named like those of a `CwaHeader`; None: not told."""

    device: str
    device_id: str | None
    session_id: None
    firmware: str | None
    start: datetime | None  # as configured, by the device's clock
    stop: datetime | None


class Limits(NamedTuple):
    """The ends of the range: nominal, and below and above which a value is clipped, float32 (3,)."""

    range_g: float
    low_g: np.ndarray
    high_g: np.ndarray


def of_actigraph(metadata: Metadata) -> tuple[OtherHeader, Limits | None, float | None]:
    """Header, ends of the range and nominal rate."""
    info = metadata.get("info", {})
    header = OtherHeader(
        device=f"ActiGraph {_text(info, 'Device Type') or ''}".strip(),
        device_id=_text(info, "Serial Number"),
        session_id=None,
        firmware=_text(info, "Firmware"),
        start=_of_ticks(info, "Start Date"),
        stop=_of_ticks(info, "Stop Date"),
    )
    low, high, scale = (_number(info, f"Acceleration {name}") for name in ("Min", "Max", "Scale"))
    limits = None
    if low is not None and high is not None and scale:
        # A count within the end, and half of one for the rounding of a float32.
        ends = (np.full(3, end, np.float32) for end in (low + 0.5 / scale, high - 1.5 / scale))
        limits = Limits(max(-low, high), *ends)
    return header, limits, _number(info, "Sample Rate")


def of_geneactiv(metadata: Metadata) -> tuple[OtherHeader, Limits | None, float | None]:
    """The same; its values have their maker's gain and offset in them, and the ends of the range too."""
    identity, configuration = metadata.get("Device Identity", {}), metadata.get("Configuration Info", {})
    start = _text(configuration, "Start Time")
    try:
        begins = None if start is None else datetime.strptime(start, "%Y-%m-%d %H:%M:%S:%f")
    except ValueError:
        begins = None
    header = OtherHeader(
        device=" ".join(filter(None, (_text(identity, "Device Type") or "GENEActiv", _text(identity, "Device Model")))),
        device_id=_text(identity, "Device Unique Serial Code"),
        session_id=None,
        firmware=_text(identity, "Device Firmware Version"),
        start=begins,
        stop=None,
    )
    own = metadata.get("Calibration Data", {})
    gain, offset = (
        np.array([_number(own, f"{axis} {name}") or np.nan for axis in "xyz"]) for name in ("gain", "offset")
    )
    offset = np.nan_to_num(offset)
    span = (_text(metadata.get("Device Capabilities", {}), "Accelerometer Range") or "").split()
    limits = None
    if (gain > 0).all() and span and _as_number(span[-1]):
        low, high = ((100 * end - offset) / gain for end in (0.5 - RAW_END, RAW_END - 1.5))
        limits = Limits(float(span[-1]), low.astype(np.float32), high.astype(np.float32))
    return header, limits, _number(configuration, "Measurement Frequency")


def _text(values: Mapping[str, str], name: str) -> str | None:
    return values.get(name, "").strip("\0 \r\n\t") or None


def _as_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _number(values: Mapping[str, str], name: str) -> float | None:
    """The first word, as a number."""
    text = _text(values, name)
    return None if text is None else _as_number(text.split()[0])


def _of_ticks(values: Mapping[str, str], name: str) -> datetime | None:
    ticks = _number(values, name)
    if not ticks:
        return None
    try:
        return datetime(1970, 1, 1) + timedelta(seconds=round((ticks - TICKS_1970) / TICKS_S))
    except OverflowError:
        return None
