"""Clocks that know no daylight saving, in civil time."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from selfpab.data.zones import hours_apart, in_zone, offset_warnings, start_of, text_of, zone_of
from selfpab.recording import RecordingError

PATH = Path("P1_back.cwa")
OSLO = ZoneInfo("Europe/Oslo")


def civil(start: datetime, **settings: str) -> str:
    placed = in_zone(start, "Europe/Oslo", PATH, **settings)
    assert placed is not None
    assert placed.tzinfo == OSLO
    return placed.isoformat()


def test_the_offset_in_force_at_the_first_sample_by_default():
    assert civil(datetime(2024, 1, 10, 8)) == "2024-01-10T08:00:00+01:00"
    assert civil(datetime(2024, 7, 10, 8)) == "2024-07-10T08:00:00+02:00"


def test_a_clock_set_in_winter_is_an_hour_behind_in_summer_and_the_other_way_round():
    assert civil(datetime(2024, 4, 2, 8), configured_at="2024-03-30T12:00") == "2024-04-02T09:00:00+02:00"
    assert civil(datetime(2024, 10, 28, 8), configured_at="2024-10-20") == "2024-10-28T07:00:00+01:00"


def test_a_clock_that_was_set_with_an_offset_known():
    assert civil(datetime(2024, 4, 2, 8), configured_at="2024-03-30T11:00:00+00:00") == "2024-04-02T09:00:00+02:00"


def test_civil_days_have_23_and_25_hours():
    for date, hours in ((datetime(2024, 3, 31), 23), (datetime(2024, 10, 27), 25)):
        midnights = [(date + timedelta(days=d)).replace(tzinfo=OSLO).astimezone(UTC) for d in (0, 1)]
        assert (midnights[1] - midnights[0]) / timedelta(hours=1) == hours
        placed = in_zone(date, "Europe/Oslo", PATH)
        assert placed is not None
        last = (placed.astimezone(UTC) + timedelta(hours=hours, seconds=-1)).astimezone(OSLO)
        assert (last.date(), last.hour) == (date.date(), 23)


def test_a_start_with_an_offset_is_only_converted():
    start = datetime(2024, 7, 1, 6, tzinfo=timezone(timedelta(hours=0)))
    assert civil(start) == "2024-07-01T08:00:00+02:00"
    assert in_zone(start, None, PATH) is start
    assert in_zone(None, None, PATH) is None


@pytest.mark.parametrize(
    ("start", "tz", "configured_at", "words"),
    [
        (datetime(2024, 1, 1), "Europe/Olso", None, r"P1_back.cwa: does not know .*'Europe/Olso'; did you mean Europe/Oslo\?"),
        (datetime(2024, 1, 1), "../etc", None, "does not know the time zone"),
        (None, "Europe/Oslo", None, "has only seconds and no date"),
        (datetime(2024, 3, 31, 2, 30), "Europe/Oslo", None, "begins at 2024-03-31 02:30:00, a local time that Europe/Oslo"),
        (datetime(2024, 4, 1), "Europe/Oslo", "2024-03-31T02:30", "configured_at= 2024-03-31 02:30:00, a local time"),
        (datetime(2024, 4, 1), "Europe/Oslo", "last week", "'last week' is no date; wanted one like 2024-03-20"),
        (datetime(2024, 4, 1), None, "2024-03-01", "without tz=; wanted both, or neither"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_of_a_time(start, tz, configured_at, words):
    with pytest.raises(RecordingError, match=words):
        in_zone(start, tz, PATH, configured_at)


def test_an_hour_that_no_clock_showed_is_fine_where_the_clock_was_set_before():
    start = datetime(2024, 3, 31, 2, 30)
    assert civil(start, configured_at="2024-03-30") == "2024-03-31T03:30:00+02:00"


@pytest.mark.parametrize(
    "start",
    [
        None,
        datetime(2024, 1, 2, 3, 4, 5, 678),
        datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        datetime(2024, 10, 27, 2, 30, tzinfo=OSLO, fold=1),  # the hour that comes twice
        datetime(2024, 10, 27, 2, 30, tzinfo=OSLO),
    ],
)
def test_a_start_comes_back_from_its_text(start):
    again = start_of(text_of(start))
    assert again == start
    if start is not None:
        assert (again.utcoffset(), again.fold) == (start.utcoffset(), start.fold)
        assert getattr(again.tzinfo, "key", None) == getattr(start.tzinfo, "key", None)


def test_how_far_civil_time_moved_since_the_clock_was_set():
    winter, summer = datetime(2024, 3, 1), datetime(2024, 6, 1)
    assert hours_apart(summer, winter, "Europe/Oslo", PATH) == 1
    assert hours_apart(winter, winter, "Europe/Oslo", PATH) == 0
    assert zone_of("Europe/Oslo", PATH) == OSLO


def test_only_an_offset_that_changes_is_warned_of():
    summer, winter = "2024-10-27 00:00:00+02:00", "2024-10-27 12:00:00+0100"
    assert offset_warnings(summer, winter)["warnings"][0].startswith(
        "the stamps' offset from UTC changes from +02:00 to"
    )
    for pair in ((summer, summer), ("2024-10-27 00:00:00", "2024-10-27 12:00:00"), ("", ""), (summer, "None")):
        assert offset_warnings(*pair) == {}
