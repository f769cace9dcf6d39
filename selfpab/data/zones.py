"""Civil time of recordings whose clock was set once from a computer's local time (ours; PEERS W10).

An AX3 knows no daylight saving: its clock runs on from the local time at which it was configured. So the offset from
UTC is the one in force then, for the whole recording, and the civil time of any sample follows from the instant.
"""

from __future__ import annotations

import difflib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from selfpab.recording import RecordingError

OFFSET = re.compile(r"[+-]\d\d:?\d\d$|Z$")
OFFSET_CHANGES = "the stamps' offset from UTC changes"  # how a warning begins that tz= makes needless


def in_zone(
    start: datetime | None, tz: str | None, path: Path, configured_at: str | datetime | None = None
) -> datetime | None:
    """The start of a recording in the time zone `tz`; unchanged without `tz`.

    Parameters
    ----------
    start : by the recording's own clock; one that knows its offset is only converted.
    tz : a name such as Europe/Oslo.
    path : names the recording in errors.
    configured_at : when the clock was set, by local time in `tz` (or with an offset); None takes `start`. Where summer
        time ends, an hour comes twice: the first is meant unless `fold=1`.

    Raises RecordingError for a zone that is not known, a recording without a date, and a local time that no clock showed.

    >>> in_zone(datetime(2024, 3, 31, 12), "Europe/Oslo", Path("a.cwa"), "2024-03-20").isoformat()
    '2024-03-31T13:00:00+02:00'
    """
    if tz is None:
        if configured_at is not None:
            raise RecordingError(
                f"{path}: configured_at={configured_at} was given without tz=; wanted both, or neither"
            )
        return start
    zone = zone_of(tz, path)
    if start is None:
        raise RecordingError(f"{path}: tz={tz} was asked for, but the recording has only seconds and no date")
    if start.tzinfo is not None:
        return start.astimezone(zone)
    clock_set = start if configured_at is None else _moment(configured_at, path)
    local = clock_set.replace(tzinfo=zone) if clock_set.tzinfo is None else clock_set.astimezone(zone)
    if clock_set.tzinfo is None and local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != clock_set:
        which = "the recording begins at" if configured_at is None else "configured_at="
        raise RecordingError(
            f"{path}: {which} {clock_set}, a local time that {tz} skipped when summer time began; give configured_at= a time "
            f"at which the clock was set"
        )
    offset = local.utcoffset()
    assert offset is not None  # a zone has one
    return (start - offset).replace(tzinfo=UTC).astimezone(zone)


def offset_warnings(first: str, last: str) -> dict[str, list[str]]:
    """`warnings` for a source whose first and last stamp, as text, have different offsets from UTC; else nothing.

    >>> offset_warnings("2024-10-27 00:00:00+02:00", "2024-10-27 12:00:00+02:00")
    {}
    """
    one, other = (OFFSET.search(text.strip()) for text in (first, last))
    if one is None or other is None or one[0] == other[0]:
        return {}
    told = f"from {one[0]} to {other[0]}; all times are told at {one[0]}: give tz=, such as tz=Europe/Oslo"
    return {"warnings": [f"{OFFSET_CHANGES} {told}"]}


def zone_of(tz: str, path: Path) -> ZoneInfo:
    """The time zone of a name; RecordingError with a suggestion where there is none."""
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(tz, available_timezones(), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise RecordingError(f"{path}: does not know the time zone {tz!r}{hint}; wanted one like Europe/Oslo") from None


def text_of(start: datetime | None) -> str | None:
    """ISO 8601 and, where there is one, the name of the zone in brackets (RFC 9557); the inverse of `start_of`.

    >>> text_of(datetime(2024, 7, 1, 8, tzinfo=ZoneInfo("Europe/Oslo")))
    '2024-07-01T08:00:00+02:00[Europe/Oslo]'
    """
    if start is None:
        return None
    name = start.tzinfo.key if isinstance(start.tzinfo, ZoneInfo) else None
    return start.isoformat() + (f"[{name}]" if name else "")


def start_of(text: str | None) -> datetime | None:
    """A start as `text_of` wrote it; one of another program may lack the zone's name."""
    if text is None:
        return None
    moment, _, name = text.rstrip("]").partition("[")
    start = datetime.fromisoformat(moment)
    return start.astimezone(ZoneInfo(name)) if name else start


def hours_apart(start: datetime, configured_at: datetime, tz: str, path: Path) -> float:
    """By how much civil time moved between setting the clock and the start, in hours; 0 on the same side of a change."""
    zone = zone_of(tz, path)
    offsets = [moment.replace(tzinfo=zone).utcoffset() or timedelta() for moment in (start, configured_at)]
    return (offsets[0] - offsets[1]) / timedelta(hours=1)


def _moment(text: str | datetime, path: Path) -> datetime:
    if isinstance(text, datetime):
        return text
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise RecordingError(
            f"{path}: configured_at={text!r} is no date; wanted one like 2024-03-20 or 2024-03-20T14:30"
        ) from None
