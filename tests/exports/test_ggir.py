"""Part 5 against daily.csv and against means that are worked out by hand."""

import csv
from datetime import datetime

import pytest

from selfpab.cohorts.people import write_people
from selfpab.exports.ggir import EMPTY, SLEEP, write_part5
from tests.predicted_lives import GAP, write_life

HOUR = 3600
FRIDAY = datetime(2024, 5, 3)


def tables(tmp_path, minutes=600.0):
    paths = write_part5(tmp_path / "out", tmp_path / "to", minutes)
    assert [path.name for path in paths] == ["part5_daysummary_MM_selfpab.csv", "part5_personsummary_MM_selfpab.csv"]
    return [list(csv.DictReader(path.read_text().splitlines())) for path in paths]


@pytest.fixture
def life(tmp_path):
    friday = [7] * (10 * HOUR) + [1] * (2 * HOUR) + [GAP] * (12 * HOUR)
    saturday = [8] * (20 * HOUR) + [7] * (4 * HOUR)
    worn = [True] * (24 * HOUR) + [False] * (4 * HOUR) + [True] * (30 * HOUR)
    codes = friday + saturday + [1] * (10 * HOUR)
    return write_life(tmp_path / "out", "p_1", codes, FRIDAY, subject="p", worn=worn[: len(codes)])


def test_a_day_is_a_row_of_daily_csv(life, tmp_path):
    days, _ = tables(tmp_path)
    for day, row in zip(csv.DictReader((life / "daily.csv").read_text().splitlines()), days, strict=True):
        assert (row["ID"], row["filename"], row["calendar_date"]) == ("p", "p_1", day["date"])
        for name in ("sitting", "walking", "lying"):
            assert float(row[f"dur_day_spt_{name}_min"]) == float(day[f"minutes_{name}"])
        assert float(row["dur_day_spt_min"]) == float(day["recorded_minutes"])
        assert row["N_day_spt_sit_to_stand"] == day["sit_to_stand"]
        assert float(row["ACC_day_spt_thigh_mg"]) == float(day["enmo_thigh_mg"])
        assert {row[name] for name in (*SLEEP, *EMPTY, "ACC_day_spt_mg")} == {""}
    assert [row["weekday"] for row in days] == ["Friday", "Saturday", "Sunday"]
    assert [row["daytype"] for row in days] == ["WD", "WE", "WE"]
    assert [row["window_number"] for row in days] == ["1", "2", "3"]
    assert [float(row["nonwear_perc_day_spt"]) for row in days] == [0, pytest.approx(100 / 6, abs=1e-3), 0]
    assert list(days[0])[:7] == [
        *("ID", "filename", "weekday", "calendar_date", "window_number", "window", "start_end_window"),
    ]


def test_a_person_has_plain_and_weighted_means(life, tmp_path):
    _, (person,) = tables(tmp_path)
    assert [person[name] for name in ("startday", "calendar_date")] == ["Friday", "2024-05-03"]
    assert [person[f"Nvaliddays{part}"] for part in ("", "_WD", "_WE")] == ["3", "1", "2"]
    walking = (120, 0, 600)
    assert float(person["dur_day_spt_walking_min_pla"]) == sum(walking) / 3
    assert float(person["dur_day_spt_walking_min_wei"]) == pytest.approx((5 * 120 + 2 * 300) / 7, abs=1e-3)
    assert person["dur_day_min_pla"] == person["dur_spt_min_wei"] == ""


def test_only_valid_days_count_for_a_person(life, tmp_path):
    _, (person,) = tables(tmp_path, minutes=720.5)
    assert [person[f"Nvaliddays{part}"] for part in ("", "_WD", "_WE")] == ["1", "0", "1"]
    assert float(person["dur_day_spt_walking_min_pla"]) == 0
    assert person["dur_day_spt_walking_min_wei"] == ""
    _, (person,) = tables(tmp_path, minutes=1e6)
    assert (person["Nvaliddays"], person["dur_day_spt_walking_min_pla"]) == ("0", "")


@pytest.mark.parametrize("minutes", [600, 0])
def test_a_day_is_valid_where_it_is_in_people_csv(tmp_path, minutes):
    """700 of 1,300 minutes not worn are 53.8462 %, of which 599.9994 minutes of wear would be left; then a day of nothing."""
    worn = [True] * (600 * 60) + [False] * (24 * HOUR - 600 * 60)
    codes = [7] * (1300 * 60) + [GAP] * (24 * HOUR - 1300 * 60)
    write_life(tmp_path / "out", "a", codes + [GAP] * (24 * HOUR) + [7], FRIDAY, worn=[*worn, *worn, False])
    write_people(tmp_path / "out", ["subject", "valid_days"], minutes)
    (row,) = csv.DictReader((tmp_path / "out" / "people.csv").read_text().splitlines())
    _, (person,) = tables(tmp_path, minutes)
    assert person["Nvaliddays"] == row["valid_days"] == ("1" if minutes else "2")
    assert "wear_minutes" not in str(sorted(person))


def test_a_recording_without_a_date(tmp_path):
    write_life(tmp_path / "out", "a", [7] * HOUR, None)
    (day,), (person,) = tables(tmp_path, minutes=60)
    assert (day["weekday"], day["calendar_date"], day["daytype"], day["dur_day_spt_sitting_min"]) == (
        "",
        "",
        "",
        "60.0",
    )
    assert [person[f"Nvaliddays{part}"] for part in ("", "_WD", "_WE")] == ["1", "", ""]
