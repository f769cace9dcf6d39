"""Intervals against lives that are written down."""

import csv
import json
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from selfpab.cohorts.diaries import Interval
from selfpab.cohorts.diary_tables import join_diary, write_people_diary
from selfpab.cohorts.finished_folders import facts_of
from selfpab.inference.columns import column_dictionary
from tests.predicted_lives import GAP, THREE, write_life

OSLO = ZoneInfo("Europe/Oslo")
START = datetime(2024, 5, 3, 8)
LISTED = column_dictionary(THREE)
COLUMNS = {
    file: LISTED.filter(LISTED["file"] == file)["column"].to_list() for file in ("diary.csv", "people_diary.csv")
}


def interval(begin_s, end_s, kind="work", person="p", row=2, start=START):
    begin, end = ((start + timedelta(seconds=s)).replace(tzinfo=None) if start else float(s) for s in (begin_s, end_s))
    return Interval(row, person, kind, begin, end)


def rows_of(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS[path.name]
    return rows


def number(row, *names):
    return tuple(float(row[name]) if row[name] else None for name in names)


@pytest.mark.parametrize(
    "start",
    [START, START.replace(tzinfo=OSLO), START.replace(tzinfo=timezone(timedelta(hours=-5))), None],
    ids=["naive", "zone", "offset", "seconds"],
)
def test_the_seconds_that_begin_in_an_interval_are_in_it(tmp_path, start):
    codes = [7] * 60 + [1] * 60 + [GAP] * 60 + [7] * 59 + [1]
    worn = [True] * 30 + [False] * 30 + [True] * 180
    folder = write_life(tmp_path, "p", codes, start, worn=worn)
    join_diary(folder, [interval(0, 120, start=start), interval(59.5, 240, "desk", row=3, start=start)])
    work, desk = rows_of(folder / "diary.csv")
    assert (work["diary_row"], work["kind"], desk["kind"]) == ("2", "work", "desk")
    assert number(work, "minutes", "recorded_minutes", "wear_minutes") == (2, 2, 1.5)
    assert number(work, "minutes_sitting", "minutes_walking", "sit_to_stand") == (0.5, 1, 0)
    assert number(desk, "minutes", "recorded_minutes") == (3.0083, 2)
    assert number(desk, "minutes_sitting", "minutes_walking", "sit_to_stand") == (0.9833, 1.0167, 1)
    assert number(work, "enmo_back_mg", "enmo_thigh_mg") == (10, 20)
    expected = {None: "0", OSLO: "2024-05-03 08:00:00+02:00"}
    zone = start and start.tzinfo
    text = "2024-05-03 08:00:00" if start and zone is None else expected.get(zone, "2024-05-03 08:00:00-05:00")
    assert work["start"] == text


def test_a_sit_to_stand_belongs_to_the_second_of_standing_up(tmp_path):
    folder = write_life(tmp_path, "p", [7, 7, 1, 1], START)
    join_diary(folder, [interval(0, 2), interval(2, 4, row=3)])
    assert [row["sit_to_stand"] for row in rows_of(folder / "diary.csv")] == ["0", "1"]


def test_an_interval_outside_the_recording_is_a_row_with_nothing_in_it(tmp_path):
    folder = write_life(tmp_path, "p", [7] * 60, START)
    join_diary(folder, [interval(-600, -60), interval(-30, 30, row=3), interval(600, 660, row=4)])
    rows = rows_of(folder / "diary.csv")
    assert [number(row, "minutes", "recorded_minutes", "enmo_back_mg") for row in rows] == [
        (9, 0, None), (1, 0.5, 10), (1, 0, None),
    ]  # fmt: skip


def test_the_night_in_which_the_clocks_change(tmp_path):
    folder = write_life(tmp_path, "p", [8] * 3600 * 12, datetime(2024, 10, 26, 22, tzinfo=OSLO))
    night = Interval(2, "p", "time in bed", datetime(2024, 10, 26, 23), datetime(2024, 10, 27, 7))
    join_diary(folder, [night])
    (row,) = rows_of(folder / "diary.csv")
    assert number(row, "minutes", "minutes_lying") == (540, 540)
    assert (row["start"], row["end"]) == ("2024-10-26 23:00:00+02:00", "2024-10-27 07:00:00+01:00")


def test_what_is_joined_is_not_joined_again_and_what_changed_is(tmp_path, monkeypatch):
    from selfpab.cohorts import diary_tables as module

    folder = write_life(tmp_path, "p", [7] * 60, START)
    made = []
    real = module.diary_table
    monkeypatch.setattr(module, "diary_table", lambda *args: (made.append(len(args[2])), real(*args))[1])
    others = interval(0, 9, person="somebody else")
    join_diary(folder, [others])
    assert made == []
    assert not (folder / "diary.csv").exists()
    for diary in ([interval(0, 10)], [interval(0, 10), others], [interval(0, 11)]):
        join_diary(folder, diary)
    assert made == [1, 1]
    assert facts_of(folder)["files"] == ["bouts.csv", "daily.csv", "diary.csv", "seconds.parquet"]
    (folder / "diary.csv").unlink()
    join_diary(folder, [interval(0, 11)])
    assert made == [1, 1, 1]
    join_diary(folder, [])
    assert not (folder / "diary.csv").exists()
    assert "diary" not in facts_of(folder)
    assert facts_of(folder)["files"] == ["bouts.csv", "daily.csv", "seconds.parquet"]


def test_a_new_prediction_is_joined_anew(tmp_path):
    folder = write_life(tmp_path, "p", [7] * 60, START)
    join_diary(folder, [interval(0, 60)])
    info = json.loads((folder / "info.json").read_text()) | {"key": "another"}
    write_life(tmp_path, "p", [1] * 60, START)
    (folder / "info.json").write_text(json.dumps(info))
    join_diary(folder, [interval(0, 60)])
    assert number(rows_of(folder / "diary.csv")[0], "minutes_walking") == (1,)


def test_a_row_that_does_not_fit_leaves_what_was_there(tmp_path):
    folder = write_life(tmp_path, "p", [7] * 60, START)
    with pytest.raises(ValueError, match=r"row 2: 3\.0 does not fit a recording that has dates"):
        join_diary(folder, [interval(3, 9, start=None)])
    assert facts_of(folder)["files"] == ["bouts.csv", "daily.csv", "seconds.parquet"]


def test_a_row_per_person_and_kind(tmp_path):
    one = write_life(tmp_path, "p_1", [7] * 600, START, subject="p", enmo=10.0)
    two = write_life(tmp_path, "p_2", [1] * 600, START + timedelta(minutes=10), subject="p", enmo=40.0)
    diary = [
        interval(0, 300, row=2), interval(450, 1200, row=3), interval(90_000, 90_060, row=4),
        interval(0, 60, "Break".lower(), row=5),
    ]  # fmt: skip
    for folder in (one, two):
        join_diary(folder, diary)
    write_life(tmp_path, "q", [7] * 60, START)
    write_people_diary(tmp_path, COLUMNS["people_diary.csv"])
    pause, work = rows_of(tmp_path / "people_diary.csv")
    assert (pause["kind"], work["subject"], work["kind"]) == ("break", "p", "work")
    assert number(work, "intervals", "intervals_worn", "days", "minutes") == (3, 2, 1, 18.5)
    assert number(work, "wear_minutes", "minutes_sitting", "minutes_walking") == (17.5, 7.5, 10)
    assert number(work, "enmo_thigh_mg")[0] == pytest.approx((7.5 * 10 + 10 * 40) / 17.5, abs=1e-3)
    for folder in (one, two):
        join_diary(folder, [])
    write_people_diary(tmp_path, COLUMNS["people_diary.csv"])
    assert not (tmp_path / "people_diary.csv").exists()


def test_an_interval_in_two_recordings_of_the_same_files_counts_once(tmp_path):
    for name in ("a", "b"):
        folder = write_life(tmp_path, name, [7] * 120, START, subject="p", sha256="1")
        join_diary(folder, [interval(0, 60), interval(60, 120, person=name, row={"a": 3, "b": 4}[name])])
    write_people_diary(tmp_path, COLUMNS["people_diary.csv"])
    (row,) = rows_of(tmp_path / "people_diary.csv")
    assert number(row, "intervals", "wear_minutes", "minutes_sitting") == (3, 3, 3)
