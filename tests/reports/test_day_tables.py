"""Tables of long recordings, and of label sets that lack what is counted by name."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from selfpab.activities import Activities
from selfpab.reports.day_tables import bouts_table, day_names, minutes_tables, sitting_table, span

OWN = Activities("own", (1, 9), ("rowing", "sitting"))


def daily(days, dated=True):
    dates = [date(2024, 1, 30) + timedelta(days=day) if dated else None for day in range(days)]
    columns = {"day": np.arange(1, days + 1), "recorded_minutes": 100.0, "wear_minutes": 90.25}
    columns |= {"minutes_rowing": np.arange(days) / 60, "minutes_sitting": 1.0}
    made = pl.DataFrame({"date": pl.Series(dates, dtype=pl.Date)}).with_columns(
        **{name: pl.lit(pl.Series(values)) if np.ndim(values) else pl.lit(values) for name, values in columns.items()},
        sit_to_stand=pl.lit(None, dtype=pl.Int64),
        sitting_bouts_30min=pl.lit(2, dtype=pl.Int64),
        enmo_back_mg=pl.lit(20.04),
        enmo_thigh_mg=pl.lit(None, dtype=pl.Float64),
    )
    return made


def test_many_days_stand_eight_to_a_table_and_the_sum_in_the_last(parsed):
    tables = parsed(minutes_tables(daily(10), OWN, [1, 0])).tables
    assert list(tables) == ["minutes-1", "minutes-2"]
    assert tables["minutes-1"][0][1:] == day_names(daily(8))
    assert tables["minutes-2"][0] == ["", "Wed 7 Feb", "Thu 8 Feb", "all days"]
    cells = {row[0]: row[1:] for row in tables["minutes-2"]}
    assert cells["recorded, min"] == ["100.0", "100.0", "1,000.0"]
    assert cells["rowing, min"] == ["0.1", "0.1", "0.8"]  # 45 / 60 = 0.75 of all days
    assert cells["sit to stand"] == ["–", "–", "–"]
    assert cells["sitting 30 min or longer"] == ["2", "2", "20"]
    assert cells["movement of the thigh (ENMO), mg"] == ["–", "–", "–"]
    assert cells["movement of the back (ENMO), mg"] == ["20.0", "20.0", "–"]
    assert list(cells)[3:5] == ["sitting, min", "rowing, min"]


def test_one_day_needs_no_sum(parsed):
    assert parsed(minutes_tables(daily(1, dated=False), OWN, [0, 1])).tables["minutes-1"][0] == ["", "day 1"]


def bouts(lengths, code=9):
    stops = np.cumsum(lengths)
    start = [
        datetime(2024, 1, 1) + timedelta(seconds=int(stop - long)) for stop, long in zip(stops, lengths, strict=True)
    ]
    end = [datetime(2024, 1, 1) + timedelta(seconds=int(stop)) for stop in stops]
    return pl.DataFrame({"start": start, "end": end, "seconds": lengths, "activity": code, "activity_name": "sitting"})


def test_only_the_longest_sitting_is_listed(parsed):
    made = sitting_table(bouts([1799, *range(1800, 1825)]), OWN, datetime(2024, 1, 1))
    rows = parsed(made).tables["sitting"][1:]
    assert len(rows) == 20
    assert rows[0][2] == "30 min 24 s"
    assert rows[-1][2] == "30 min 5 s"
    assert "The 20 longest of 25; bouts.csv has all." in made


def test_no_long_sitting(parsed):
    assert "No stretch of sitting lasted 30 minutes" in sitting_table(bouts([1799]), OWN, None)


def test_a_median_between_two_seconds(parsed):
    (_, row) = parsed(bouts_table(bouts([1, 2, 4, 5]), OWN, [0, 1], datetime(2024, 1, 1))).tables["bouts"]
    assert row == ["sitting", "4", "12 s", "3 s", "5 s", "Mon 1 Jan 2024 00:00:07"]
    (_, row) = parsed(bouts_table(bouts([1, 2]), OWN, [0, 1], datetime(2024, 1, 1))).tables["bouts"]
    assert row[3] == "1.5 s"


def test_the_first_of_equally_long_bouts_counts(parsed):
    (_, row) = parsed(bouts_table(bouts([1, 9, 9]), OWN, [1], datetime(2024, 1, 1))).tables["bouts"]
    assert row[-1].endswith("00:00:01")


def test_span_ends_with_the_last_seconds_end():
    assert span(np.array([1_704_096_000, 1_704_096_059]), True).endswith("to Mon 1 Jan 2024 08:01:00")
