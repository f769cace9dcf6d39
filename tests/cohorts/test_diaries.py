"""Diaries as people write them; wrong rows are named."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from selfpab.cohorts.diaries import Interval, intervals_of, read_diary, seconds_of, strangers

OSLO = ZoneInfo("Europe/Oslo")
TWO = timezone(timedelta(hours=2))


def diary(tmp_path, *rows, header="subject,start,end,kind", encoding="utf-8"):
    path = tmp_path / "diary.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    return path


def interval(start, end, row=2, kind="work", person="p1"):
    return Interval(row, person, kind, start, end)


def test_a_plain_diary(tmp_path):
    path = diary(
        tmp_path, "p1,2024-05-01 22:30,2024-05-02T06:45:10,Time  in bed", "", "p2,90,1e2,nap".replace("1e2", "100.5")
    )
    assert read_diary(path) == (
        Interval(2, "p1", "time in bed", datetime(2024, 5, 1, 22, 30), datetime(2024, 5, 2, 6, 45, 10)),
        Interval(4, "p2", "nap", 90.0, 100.5),
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_may_be_called_otherwise_and_stand_in_any_order(tmp_path, separator):
    header = separator.join(["End time", "Remark", "PARTICIPANT", "type", "Start_Time"])
    row = separator.join(["01.05.2024 16:00", "x", "p1", "work", "1.5.2024 8:00:30"])
    path = diary(tmp_path, row, header=header, encoding="utf-8-sig")
    assert read_diary(path) == (interval(datetime(2024, 5, 1, 8, 0, 30), datetime(2024, 5, 1, 16)),)


def test_an_offset_is_kept(tmp_path):
    (found,) = read_diary(diary(tmp_path, "p1,2024-05-01 08:00+02:00,2024-05-01 07:00Z,work"))
    assert found.start == datetime(2024, 5, 1, 8, tzinfo=TWO)
    assert found.end == datetime(2024, 5, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("p1,yesterday,2024-05-01 10:00,work", "row 3: 'yesterday' is no date with a time; wanted 2024-05-01 22:30"),
        ("p1,2024-05-01,2024-05-01 10:00,work", "row 3: '2024-05-01' is no date with a time"),
        ("p1,20240501,20240502,work", "row 3: '20240501' is no date with a time"),
        ("p1,05/01/2024 10:00,05/01/2024 11:00,work", "row 3: '05/01/2024 10:00' is no date with a time"),
        (
            "p1,2024-05-01 10:00,2024-05-01 10:00,work",
            "row 3: end 2024-05-01 10:00 is not after start 2024-05-01 10:00",
        ),
        ("p1,2024-05-01 10:00,2024-05-01 09:00+02:00,work", "row 3: start .* and end .* are not of one kind"),
        ("p1,10,2024-05-01 09:00,work", "row 3: start 10 and end 2024-05-01 09:00 are not of one kind"),
        (",2024-05-01 10:00,2024-05-01 11:00,work", "row 3: no person"),
        ("p1,2024-05-01 10:00,2024-05-01 11:00", "row 3: no kind"),
        ("P1,2024-04-30 22:30,2024-05-01 00:01,WORK", "row 2: work of p1 begins before that of row 3 ends"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, message):
    path = diary(tmp_path, "p1,2024-05-01 00:00,2024-05-01 01:00,work", row)
    with pytest.raises(ValueError, match=rf"diary\.csv: .*{message}"):
        read_diary(path)


def test_all_wrong_rows_are_named_up_to_ten(tmp_path):
    path = diary(tmp_path, *["p1,a,b,work"] * 12)
    with pytest.raises(ValueError, match=r"row 2: .*; row 11: .*; and 2 more$"):
        read_diary(path)


def test_intervals_of_different_kinds_and_people_may_overlap(tmp_path):
    rows = [
        f"{p},2024-05-01 08:00,2024-05-01 16:00,{kind}" for p, kind in (("p1", "work"), ("p1", "desk"), ("p2", "work"))
    ]
    assert len(read_diary(diary(tmp_path, *rows, "p1,2024-05-01 16:00,2024-05-01 17:00,work"))) == 4


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "subject,start,end",
            "has no column for the kind; wanted one called kind or type or what, got subject, start, end",
        ),
        ("who,start,end,kind", "has no column for the person; wanted one called subject or recording or person"),
    ],
)
def test_a_column_that_is_missing_is_named(tmp_path, header, message):
    with pytest.raises(ValueError, match=message):
        read_diary(diary(tmp_path, header=header))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match=r"empty\.csv is empty; wanted a header"):
        read_diary(tmp_path / "empty.csv")


def test_rows_are_those_of_a_subject_or_of_a_recording(tmp_path):
    rows = [
        interval(0.0, 1.0, row, person=person) for row, person in enumerate(("P1", "p1_visit2", "p2", "p9", "p9"), 2)
    ]
    assert [found.row for found in intervals_of(rows, ("p1", "p1_visit2"))] == [2, 3]
    (problem,) = strangers(Path("d.csv"), rows, ("p1", "p1_visit2", "p2"))
    assert problem.reason == "no recording is of p9 (row 5, 6); wanted subjects or names of recordings"
    assert strangers(Path("d.csv"), rows, ("p1", "p1_visit2", "p2", "p9")) == []


class TestOnARecordingsClock:
    def test_a_naive_time_is_the_recordings_own(self):
        naive = interval(datetime(2024, 7, 1, 8), datetime(2024, 7, 1, 9))
        assert naive.placed(None, dated=True) == (naive.start, naive.end)
        start, _ = naive.placed(OSLO, dated=True)
        assert start.isoformat() == "2024-07-01T08:00:00+02:00"

    def test_an_offset_is_another_clock(self):
        aware = interval(datetime(2024, 7, 1, 8, tzinfo=UTC), datetime(2024, 7, 1, 9, tzinfo=UTC))
        assert aware.placed(OSLO, dated=True)[0].isoformat() == "2024-07-01T10:00:00+02:00"
        with pytest.raises(
            ValueError, match=r"row 2: .* has an offset, but the recording's clock has no time zone; give tz="
        ):
            aware.placed(None, dated=True)

    def test_a_night_in_which_the_clocks_change_has_its_length(self):
        autumn = interval(datetime(2024, 10, 26, 23), datetime(2024, 10, 27, 7))
        start, end = autumn.placed(OSLO, dated=True)
        assert seconds_of(end) - seconds_of(start) == 9 * 3600
        within = interval(datetime(2024, 10, 27, 2, 50, tzinfo=TWO), datetime(2024, 10, 27, 1, 10, tzinfo=UTC))
        start, end = within.placed(OSLO, dated=True)
        assert seconds_of(end) - seconds_of(start) == 20 * 60

    def test_a_time_that_no_clock_showed_is_refused(self):
        spring = interval(datetime(2024, 3, 31, 2, 30), datetime(2024, 3, 31, 7), row=5)
        with pytest.raises(ValueError, match="row 5: 2024-03-31 02:30:00 is a local time that Europe/Oslo skipped"):
            spring.placed(OSLO, dated=True)

    def test_dates_and_seconds_do_not_mix(self):
        with pytest.raises(ValueError, match=r"row 2: 10\.0 does not fit a recording that has dates"):
            interval(10.0, 20.0).placed(None, dated=True)
        with pytest.raises(ValueError, match="row 2: 2024-07-01 08:00:00 does not fit a recording that has no dates"):
            interval(datetime(2024, 7, 1, 8), datetime(2024, 7, 1, 9)).placed(None, dated=False)
        assert interval(10.0, 20.0).placed(None, dated=False) == (10.0, 20.0)
