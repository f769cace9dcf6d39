"""A row per person against lives that are written down."""

import csv
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from selfpab.activities import Activities
from selfpab.cohorts.people import days_of, write_people
from selfpab.inference.columns import column_dictionary
from tests.predicted_lives import GAP, THREE, write_life

COLUMNS = column_dictionary(THREE).filter(column_dictionary(THREE)["file"] == "people.csv")["column"].to_list()
HOUR = 3600
FRIDAY = datetime(2024, 5, 3)


def people(out, minutes=600.0, columns=COLUMNS):
    write_people(out, columns, minutes)
    with open(out / "people.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == columns
    return {row["subject"]: row for row in rows}


def number(row, *names):
    return tuple(float(row[name]) if row[name] else None for name in names)


def test_what_is_per_day_is_a_mean_over_the_valid_days(tmp_path):
    """Friday 10 h (8 sitting, 2 walking), Saturday 12 h lying, Sunday 9.99 h: not valid."""
    friday = [7] * (8 * HOUR) + [1] * (2 * HOUR) + [GAP] * (14 * HOUR)
    saturday = [8] * (12 * HOUR) + [GAP] * (12 * HOUR)
    write_life(tmp_path, "a", friday + saturday + [1] * (10 * HOUR - 6), FRIDAY)
    row = people(tmp_path)["a"]
    assert (row["first_date"], row["last_date"]) == ("2024-05-03", "2024-05-05")
    assert number(row, "recordings", "days", "valid_days", "valid_weekdays", "valid_weekend_days") == (1, 3, 2, 1, 1)
    assert number(row, "wear_minutes", "wear_minutes_weekday", "wear_minutes_weekend") == (660, 600, 720)
    assert number(row, "minutes_sitting", "minutes_sitting_weekday", "minutes_sitting_weekend") == (240, 480, 0)
    assert number(row, "minutes_walking", "minutes_lying_weekend") == (60, 720)
    assert number(row, "sit_to_stand", "sit_to_stand_weekday", "sitting_bouts_30min") == (0.5, 1, 0.5)
    assert number(row, "enmo_back_mg", "enmo_thigh_mg") == (10, 20)
    assert row["remarks"] == ""
    assert number(people(tmp_path, minutes=599.8)["a"], "valid_days", "valid_weekend_days") == (3, 2)
    none = people(tmp_path, minutes=1000)["a"]
    assert number(none, "days", "valid_days", "wear_minutes", "minutes_sitting", "enmo_thigh_mg") == (
        3,
        0,
        None,
        None,
        None,
    )


def test_two_recordings_of_a_day_are_one_day(tmp_path):
    write_life(tmp_path, "p1_morning", [7] * (6 * HOUR), FRIDAY, subject="p1", enmo=10.0)
    write_life(
        tmp_path, "p1_noon", [1] * (6 * HOUR), FRIDAY + timedelta(hours=12), subject="p1", enmo=40.0, warnings=["x"]
    )
    worn = np.arange(4 * HOUR) < 2 * HOUR
    write_life(
        tmp_path, "p1_later", [1] * (4 * HOUR), FRIDAY + timedelta(hours=18), subject="p1", enmo=100.0, worn=worn
    )
    row = people(tmp_path)["p1"]
    assert number(row, "recordings", "days", "valid_days", "wear_minutes") == (3, 1, 1, 840)
    assert number(row, "minutes_sitting", "minutes_walking") == (360, 480)
    assert number(row, "enmo_thigh_mg")[0] == pytest.approx((6 * 10 + 6 * 40 + 2 * 100) / 14, abs=1e-3)
    assert row["quality_remarks"] == "1"
    assert row["remarks"] == ""


def test_recordings_that_overlap_are_told(tmp_path):
    for name, hours in (("a", 0), ("b", 5.9), ("c", 11.9)):
        write_life(tmp_path, name, [7] * (6 * HOUR), FRIDAY + timedelta(hours=hours), subject="p1")
    assert people(tmp_path)["p1"]["remarks"] == ("a and b overlap: what they share counts twice")


def test_recordings_of_the_same_files_count_once(tmp_path):
    for name, subject, sha256 in (("a", "p1", "1"), ("b", "p1", "1"), ("c", "p2", "1"), ("d", "p2", "2")):
        write_life(tmp_path, name, [7] * (11 * HOUR), FRIDAY, subject=subject, sha256=sha256)
    rows = people(tmp_path)
    assert (
        number(rows["p1"], "recordings", "wear_minutes") == number(rows["p2"], "recordings", "wear_minutes") == (1, 660)
    )
    assert rows["p1"]["remarks"] == "; ".join(f"{name} has the same files as a: they count once" for name in "bc")
    assert rows["p2"]["remarks"] == ""


def test_days_without_a_date_are_neither_weekday_nor_weekend(tmp_path):
    for name in ("a", "b"):
        write_life(tmp_path, name, [7] * (36 * HOUR), None, subject="p1")
    row = people(tmp_path)["p1"]
    assert number(row, "recordings", "days", "valid_days", "wear_minutes") == (2, 4, 4, 1080)
    empty = (
        "first_date",
        "last_date",
        "valid_weekdays",
        "valid_weekend_days",
        "wear_minutes_weekday",
        "wear_minutes_weekend",
    )
    assert [row[name] for name in empty] == [""] * 6
    assert "recordings without a date" in row["remarks"]
    assert set(days_of([tmp_path / "a"])) == {(tmp_path / "a", 1), (tmp_path / "a", 2)}


def test_days_without_any_sample_are_no_days(tmp_path):
    write_life(tmp_path, "a", [7] * HOUR + [GAP] * (47 * HOUR) + [7] * HOUR, FRIDAY)
    row = people(tmp_path, minutes=0)["a"]
    assert number(row, "days", "valid_days") == (2, 2)
    assert set(days_of([tmp_path / "a"])) == {date(2024, 5, day) for day in (3, 4, 5)}


def test_the_share_of_uncertain_seconds_is_over_all_recordings(tmp_path):
    write_life(tmp_path, "a", [7] * 100, FRIDAY, subject="p", uncertain=[True] * 10 + [False] * 90)
    write_life(tmp_path, "b", [7] * 300 + [GAP] * 50, FRIDAY, subject="p", uncertain=[True] * 30 + [False] * 320)
    write_life(tmp_path, "c", [GAP] * 10, FRIDAY, subject="nothing")
    rows = people(tmp_path)
    assert rows["p"]["uncertain_share"] == "0.1"
    assert (rows["nothing"]["uncertain_share"], rows["nothing"]["days"]) == ("", "0")


def test_people_with_other_classes_have_their_own_columns(tmp_path):
    other = Activities("other", (2, 7), ("running", "sitting"))
    write_life(tmp_path, "a", [7] * (10 * HOUR), FRIDAY)
    write_life(tmp_path, "b", [2] * (10 * HOUR), FRIDAY, activities=other)
    rows = people(tmp_path, columns=[*COLUMNS, "minutes_running"])
    assert number(rows["b"], "minutes_running", "minutes_sitting", "minutes_walking") == (600, 0, None)
    assert number(rows["a"], "minutes_running", "minutes_sitting", "minutes_walking") == (None, 600, 0)


def test_a_column_that_is_none_of_these_is_not_taken_for_one(tmp_path):
    """daily.csv may grow; people.csv has the columns of the dictionary."""
    folder = write_life(tmp_path, "a", [7] * (10 * HOUR), FRIDAY)
    text = (folder / "daily.csv").read_text().splitlines()
    (folder / "daily.csv").write_text(f"{text[0]},minutes_sitting_low\n{text[1]},3\n")
    assert "minutes_sitting_low" not in people(tmp_path)["a"]
