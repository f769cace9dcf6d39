"""Summaries against daily.csv and against lives that are written down."""

import csv
import gzip
import json
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from selfpab.exports.oxwearables import epoch_table, write_summaries
from tests.predicted_lives import GAP, THREE, seconds_of, write_life

HOUR = 3600
FRIDAY = datetime(2024, 5, 3)


def exported(tmp_path, name="a"):
    write_summaries(tmp_path / "out", tmp_path / "to")
    place = tmp_path / "to" / name
    series = csv.DictReader(gzip.decompress((place / f"{name}-timeSeries.csv.gz").read_bytes()).decode().splitlines())
    return json.loads((place / f"{name}-summary.json").read_text()), list(series)


def test_hours_of_a_day_are_the_minutes_of_daily_csv(tmp_path):
    folder = write_life(tmp_path / "out", "a", ([7] * 1000 + [1] * 700 + [8] * 55) * 100, FRIDAY.replace(hour=9))
    summary, _ = exported(tmp_path)
    days = list(csv.DictReader((folder / "daily.csv").read_text().splitlines()))
    assert len(days) == 3
    for number, day in enumerate(days):
        for name in ("sitting", "walking", "lying"):
            told = summary[f"day{number}-recorded-{name}(hrs)"]
            assert told == pytest.approx(float(day[f"minutes_{name}"]) / 60, abs=0.0051)
        assert summary[f"day{number}-recorded-wearTime(hrs)"] == pytest.approx(
            float(day["wear_minutes"]) / 60, abs=0.0051
        )
    assert "day3-recorded-wearTime(hrs)" not in summary
    assert summary["file-startTime"] == "2024-05-03 09:00:00.000000"
    assert summary["file-firstDay(0=mon,6=sun)"] == 4
    assert summary["acc-overall-avg"] is None


def test_shares_are_of_worn_time_by_hour_and_day_of_the_week(tmp_path):
    """Friday sitting but for an hour of walking at 8, Saturday lying; half of Saturday's first hour not worn."""
    friday = [7] * (8 * HOUR) + [1] * HOUR + [7] * (15 * HOUR)
    worn = [True] * (24 * HOUR) + [False] * (HOUR // 2) + [True] * (24 * HOUR - HOUR // 2)
    write_life(tmp_path / "out", "a", friday + [8] * (24 * HOUR), FRIDAY, worn=worn)
    summary, _ = exported(tmp_path)
    assert summary["walking-overall-avg"] == pytest.approx(1 / 47.5, abs=1e-5)
    assert summary["walking-hourOfDay-8-avg"] == 0.5
    assert summary["walking-hourOfWeekday-8-avg"] == 1
    assert summary["walking-hourOfWeekend-8-avg"] == 0
    assert (summary["lying-fri-avg"], summary["lying-sat-avg"], summary["lying-sun-avg"]) == (0, 1, None)
    assert (summary["lying-weekday-avg"], summary["lying-weekend-avg"], summary["lying-week-avg"]) == (0, 1, 0.5)
    assert summary["wearTime-hourOfDay-0-avg"] == 0.75
    assert summary["wearTime-overall(days)"] == pytest.approx(47.5 / 24, abs=0.005)
    assert summary["nonWearTime-overall(days)"] == pytest.approx(0.5 / 24, abs=0.005)
    assert (summary["accBack-overall-avg"], summary["accThigh-sat-avg"]) == (10, 20)
    shares = [summary[f"{name}-overall-avg"] for name in ("sitting", "walking", "lying")]
    assert sum(shares) == pytest.approx(1, abs=2e-5)


@pytest.mark.parametrize(("hours", "good"), [(72, 1), (71.9, 0)])
def test_three_days_with_wear_in_every_hour_are_good(tmp_path, hours, good):
    write_life(tmp_path / "out", "a", [7] * int(hours * HOUR), FRIDAY)
    assert exported(tmp_path)[0]["quality-goodWearTime"] == good


def test_an_hour_of_the_day_without_wear_is_not_good(tmp_path):
    day = [True] * (23 * HOUR) + [False] * HOUR
    write_life(tmp_path / "out", "a", [7] * (4 * 24 * HOUR), FRIDAY, worn=day * 4)
    assert exported(tmp_path)[0]["quality-goodWearTime"] == 0


def test_gaps_and_long_non_wear_are_counted(tmp_path):
    codes = [7] * HOUR + [GAP] * (2 * HOUR) + [7] * (5 * HOUR)
    worn = [True] * (4 * HOUR) + [False] * (HOUR + 30) + [True] * HOUR + [False] * HOUR + [True] * (HOUR - 30)
    write_life(tmp_path / "out", "a", codes, FRIDAY, worn=worn)
    summary, series = exported(tmp_path)
    assert summary["wearTime-numNonWearEpisodes(>1hr)"] == 1
    assert summary["errs-interrupt-mins"] == 120
    assert len(series) == 8 * 120
    assert {row["sitting"] for row in series[120:360]} == {""}


def test_the_series_has_an_epoch_every_30_seconds_of_the_clock(tmp_path):
    start = datetime(2024, 10, 27, 1, 59, 45, tzinfo=ZoneInfo("Europe/Oslo"))
    write_life(tmp_path / "out", "a", [7] * 15 + [1] * 10 + [7] * 20 + [1] * 3600, start)
    _, series = exported(tmp_path)
    assert list(series[0]) == ["time", "acc", "accBack", "accThigh", "sitting", "walking", "lying", "imputed"]
    assert series[0]["time"] == "2024-10-27 01:59:30.000000+0200 [Europe/Oslo]"
    assert series[1]["time"] == "2024-10-27 02:00:00.000000+0200 [Europe/Oslo]"
    assert series[-1]["time"] == "2024-10-27 02:00:00.000000+0100 [Europe/Oslo]"
    assert len({row["time"] for row in series}) == len(series) == 122
    assert [float(series[1][name]) for name in ("accBack", "accThigh", "sitting", "walking", "lying")] == [
        *(10, 20, 0.6667, 0.3333, 0),
    ]
    assert (series[1]["acc"], series[1]["imputed"]) == ("", "0")


@pytest.mark.parametrize("minutes", [120, -330])
def test_days_and_hours_are_those_of_a_clock_with_an_offset(tmp_path, minutes):
    """As stamps like 2024-05-03T00:00:00+02:00 give it: the table of seconds has it in UTC."""
    clock = timezone(timedelta(minutes=minutes))
    folder = write_life(tmp_path / "out", "a", [7] * (2 * HOUR) + [1] * HOUR, FRIDAY.replace(tzinfo=clock))
    summary, series = exported(tmp_path)
    (day,) = csv.DictReader((folder / "daily.csv").read_text().splitlines())
    assert (day["date"], summary["file-firstDay(0=mon,6=sun)"]) == ("2024-05-03", 4)
    assert (summary["day0-recorded-sitting(hrs)"], "day1-recorded-sitting(hrs)" in summary) == (2, False)
    assert [summary[f"walking-hourOfDay-{hour}-avg"] for hour in (0, 1, 2, 3, 22)] == [0, 0, 1, None, None]
    assert (summary["walking-fri-avg"], summary["walking-thu-avg"]) == (0.33333, None)
    end = {120: "+0200 [+02:00]", -330: "-0530 [-05:30]"}[minutes]
    assert summary["file-startTime"] == series[0]["time"] == f"2024-05-03 00:00:00.000000{end}"
    assert summary["file-endTime"] == series[-1]["time"] == f"2024-05-03 02:59:30.000000{end}"


@pytest.mark.parametrize(("zone", "end"), [("Europe/Oslo", "+0200"), ("UTC", "+0000")])
def test_the_start_names_the_zone_of_the_clock(tmp_path, zone, end):
    write_life(tmp_path / "out", "a", [7] * 60, FRIDAY.replace(tzinfo=ZoneInfo(zone)))
    assert exported(tmp_path)[0]["file-startTime"] == f"2024-05-03 00:00:00.000000{end} [{zone}]"


def test_a_recording_without_a_date_has_no_hours_and_days(tmp_path):
    write_life(tmp_path / "out", "a", [7] * 45, None)
    write_life(tmp_path / "out", "b", [7] * 45, FRIDAY)
    summary, series = exported(tmp_path)
    assert [row["time"] for row in series] == ["0", "30"]
    assert summary["sitting-overall-avg"] == 1
    assert summary["quality-goodWearTime"] is None
    assert not [key for key in summary if "hourOf" in key or key.startswith("day")]
    rows = list(csv.DictReader((tmp_path / "to" / "all-summary.csv").read_text().splitlines()))
    assert [(row["file-name"], row["sitting-hourOfDay-0-avg"]) for row in rows] == [("a", ""), ("b", "1.0")]


def test_epochs_hold_all_seconds():
    table = seconds_of([7] * 100 + [GAP] * 10 + [1] * 100, FRIDAY)
    epochs = epoch_table(table, THREE, dated=True)
    assert epochs.select(pl.col("seconds", "worn", "recorded", "judged", "sitting", "walking").sum()).row(0) == (
        *(210, 200, 200, 200, 100, 100),
    )
