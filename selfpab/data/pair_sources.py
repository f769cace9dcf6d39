"""What is said of a recording made from two device files: plain values, ready for JSON."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from selfpab.data.checks import RATE_HZ, SECOND_NS
from selfpab.data.presence import Presence, clock_time, long_words, longer_alone, without_one
from selfpab.devices.calibration import Calibration
from selfpab.devices.cwa_report import JUMP
from selfpab.devices.movement_lags import WINDOW_S
from selfpab.devices.surveys import Survey
from selfpab.devices.synchronisation import Alignment

LISTED = 1000  # stretches without one or both sensors
LINES = 100  # of a report
LEAST_LOST_S = 1.0  # of samples without a time, that a person should know of (ours)
LOW_CONFIDENCE = 0.5  # of the minutes with movement agree with the alignment (ours)
STRAYING, STRAYING_SHARE = 20, 0.3  # minutes with movement; so few agree by chance, of a pair more (synchronisation.py)


class Device(NamedTuple):
    """One file, and what was found in it."""

    survey: Survey
    sha256: str
    calibration: Calibration


def source_of(
    devices: Sequence[Device], alignment: Alignment | None, presence: Presence, samples: int, *, single: bool = False
) -> dict[str, Any]:
    """`Recording.source` of a pair.

    form "cwa", "gt3x", "bin", or two of these as in "cwa and bin"; path and sha256 of both together; back, thigh: the
    file, its device, rates, report, clock and calibration; alignment: offset, drift and how sure they are; missing:
    stretches by the back's clock in which a sensor recorded nothing, the first 1000 of missing_stretches, and which the
    recording does not have; alone: those which it has (`single`); repairs and warnings: in words. Unknown numbers are null.
    """
    back, thigh = devices
    missing, alone = without_one(presence, kept=False, single=single), without_one(presence, kept=True, single=single)
    source = {
        "path": f"{back.survey.path} and {thigh.survey.path}",
        "form": " and ".join(dict.fromkeys(device.survey.path.suffix.lower()[1:] for device in devices)),
        "rows": samples,
        "sha256": hashlib.sha256(f"{back.sha256}\n{thigh.sha256}\n".encode()).hexdigest(),
        "repairs": [*_repairs("back", back), *_repairs("thigh", thigh), *_of_alignment(alignment)],
        "warnings": [*_warnings(back, thigh, alignment), *longer_alone(presence, single=single)],
        "back": _device(back),
        "thigh": _device(thigh),
        "alignment": _alignment(alignment),
        "missing": missing[:LISTED],
        "missing_stretches": len(missing),
        "missing_seconds": sum(row["seconds"] for row in missing),
        "alone": alone[:LISTED],
        "alone_seconds": sum(row["seconds"] for row in alone),
    }
    return _plain(source)


def source_of_one(device: Device, sensor: str, samples: int) -> dict[str, Any]:
    """The same of one sensor alone."""
    source = {
        "path": str(device.survey.path),
        "form": device.survey.path.suffix.lower()[1:],
        "rows": samples,
        "sha256": device.sha256,
        "repairs": _repairs(sensor, device),
        "warnings": _warnings_of(sensor, device),
        sensor: _device(device),
    }
    return _plain(source)


def _repairs(name: str, device: Device) -> list[str]:
    survey, calibration = device.survey, device.calibration
    rate_hz = survey.layout.rate_hz
    how = "interpolated, nothing above " + f"{0.4 * rate_hz:g} Hz is in it," if rate_hz < RATE_HZ else "filtered"
    told = [f"{name}: {how} to {RATE_HZ:g} Hz from {rate_hz:g} Hz, {survey.clock.rate_hz:.3f} Hz by the device's clock"]
    if calibration.applied:
        told.append(
            f"{name}: calibrated by its own stillness, error {calibration.error_before_mg:.1f} mg before and "
            f"{calibration.error_after_mg:.1f} mg after"
        )
    return told + [f"{name}: {line}" for line in survey.clock.told[:LINES]]


def _of_alignment(alignment: Alignment | None) -> list[str]:
    return [alignment.told] if alignment is not None and alignment.confidence > 0 else []


def _warnings(back: Device, thigh: Device, alignment: Alignment | None) -> list[str]:
    told = [*_warnings_of("back", back), *_warnings_of("thigh", thigh)]
    if alignment is None:
        told.append("the clocks were taken as they are: nobody looked how they lie")
    elif alignment.confidence < LOW_CONFIDENCE:
        told.append(f"the clocks may not be aligned (confidence {alignment.confidence:.2f}): {alignment.told}")
    if alignment is not None and alignment.confidence > 0:
        told += _straying(alignment)
    ids = [device.survey.header.device_id for device in (back, thigh)]
    if ids[0] is not None and ids[0] == ids[1]:
        told.append(f"both files name device {ids[0]}: is one of them of another day?")
    return told


def _warnings_of(name: str, device: Device) -> list[str]:
    told = [] if device.calibration.applied else [f"{name}: not calibrated: {device.calibration.why}"]
    told += [f"{name}: {line}" for line in (*device.survey.warnings[:LINES], *_without_time(device.survey))]
    if leaps := device.survey.report.counts.get(JUMP, 0):
        told.append(
            f"{name}: its clock leaps {'once' if leaps == 1 else f'{leaps} times'}; if it was set then, the sensors lie "
            "apart by as much before or after: the report says where"
        )
    return told


def _without_time(survey: Survey) -> list[str]:
    """How much of a file is in no recording, for its clock does not say when it was, in words; the rest is in repairs."""
    clock = survey.clock
    lost = int(survey.blocks["samples"].sum()) - sum(run.stop - run.first for run in clock.runs)
    if lost < LEAST_LOST_S * survey.layout.rate_hz:
        return []
    more = len(clock.left_out) - 1
    return [
        f"{long_words(lost / survey.layout.rate_hz)} of its samples are left out, for its clock does not tell when they were "
        "taken: "
        f"{clock.left_out[0]}" + (f"; and {more} more, told under repairs" if more else "")
    ]


def _straying(alignment: Alignment) -> list[str]:
    """Stretches in which the minutes with movement do not go by the line that was found for all, in words."""
    windows = alignment.windows
    told: list[str] = []
    for first, stop in _rare(windows["used"], STRAYING_SHARE):
        if stop - first > STRAYING:
            begin = clock_time(int(windows["start_ns"][first]))
            end = clock_time(int(windows["start_ns"][stop - 1]) + WINDOW_S * SECOND_NS)
            agree = windows["used"][first:stop].sum()
            told.append(
                f"from {begin:%Y-%m-%d %H:%M} on hardly any minute agrees with how the clocks lie ({agree} of "
                f"{stop - first} with movement, until {end:%Y-%m-%d %H:%M}): one of them may have leapt there, and the "
                "sensors may not belong together"
            )
    return told[:LINES]


def _rare(true: np.ndarray, share: float) -> list[tuple[int, int]]:
    """[first, stop) of the stretches in which less than `share` is true, counted from their begin to any place in them.

    >>> _rare(np.array([1, 1, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0], bool), 0.3)
    [(2, 5), (12, 13)]
    """
    found = []
    first = stop = 0
    lack = most = 0.0
    for place, one in enumerate(true.tolist()):
        lack += share - one
        if lack <= 0:
            found.append((first, stop))
            first, stop, lack, most = place + 1, place + 1, 0.0, 0.0
        elif lack > most:
            stop, most = place + 1, lack
    return [(a, b) for a, b in [*found, (first, stop)] if a < b]


def _device(device: Device) -> dict[str, Any]:
    path, header, layout, blocks, report, clock, *_ = device.survey
    lines = str(report).splitlines()
    more = [f"... and {len(lines) - LINES} more"] if len(lines) > LINES else []
    return {
        "file": path.name,
        "sha256": device.sha256,
        "device": header.device,
        "device_id": header.device_id,
        "session_id": header.session_id,
        "firmware": header.firmware,
        "configured_start": header.start,
        "configured_stop": header.stop,
        "layout": str(layout),
        "rate_hz": layout.rate_hz,
        "range_g": layout.range_g,
        "from": clock_time(clock.runs[0].start_ns),
        "to": clock_time(clock.runs[-1].stop_ns),
        "samples": report.samples,
        "faults": report.counts,
        "report": "\n".join(lines[:LINES] + more),
        "clock": {
            "rate_hz": clock.rate_hz,
            "rate_ppm": (clock.rate_hz / layout.rate_hz - 1) * 1e6,
            "jitter_ms": clock.jitter_ms,
            "line_seconds": clock.span_s,
            "runs": len(clock.runs),
            "told": list(clock.told[:LINES]),
        },
        "calibration": dict(device.calibration._asdict()),
        "largest_g": device.survey.largest_g,
        "temperature_c": [blocks["temperature_c"].min(), blocks["temperature_c"].max()],
        "battery_v": [blocks["battery_v"][0], blocks["battery_v"][-1]],
    }


def _alignment(alignment: Alignment | None) -> dict[str, Any] | None:
    if alignment is None:
        return None
    return {
        "offset_s": alignment.offset_s,
        "drift_ppm": alignment.drift_ppm,
        "confidence": alignment.confidence,
        "residual_s": alignment.residual_s,
        "windows": len(alignment.windows),
        "windows_used": alignment.windows["used"].sum(),
        "knots": [clock_time(time_ns) for time_ns in alignment.knots_ns.tolist()],
        "knots_offset_s": alignment.offset_ns / SECOND_NS,
        "told": alignment.told,
    }


def _plain(value: Any) -> Any:
    """The same of dicts, lists, strings, whole and finite numbers; None for numbers that are not known."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
