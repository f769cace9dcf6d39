"""Civil days against a loop over seconds; clocks that change; label sets without sitting."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from selfpab.activities import HARTH, Activities
from selfpab.inference import days as module
from selfpab.inference.bouts import bout_table
from selfpab.inference.days import LONG_BOUT_S, daily_table

FOUR = Activities("four", (7, 1, 8, 6), ("Sitting", "walking", "lying", "standing"))
OSLO = ZoneInfo("Europe/Oslo")
TOLD = ("both", "both", "back", "thigh")


def seconds_of(codes, start, worn=None, activities=FOUR):
    """A table of seconds: a code, None for a missing sensor, "gap" for a gap."""
    names = dict(zip(activities.codes, activities.names, strict=True))
    gap = [code == "gap" for code in codes]
    codes = [None if missing else code for code, missing in zip(codes, gap, strict=True)]
    worn = [True] * len(codes) if worn is None else worn
    if start is None:
        times = pl.Series(range(len(codes)), dtype=pl.Int64)
    else:
        begin = start.astimezone(UTC) if start.tzinfo else start
        times = pl.Series([begin + timedelta(seconds=i) for i in range(len(codes))], dtype=pl.Datetime("us", "UTC"))
        times = times.dt.convert_time_zone(getattr(start.tzinfo, "key", "UTC"))
        times = times if start.tzinfo else times.dt.replace_time_zone(None)
    rng = np.random.default_rng(0)
    enmo = [[None if c is None else float(v) for c, v in zip(codes, rng.random(len(codes)), strict=True)] for _ in "bt"]
    return pl.DataFrame(
        {
            "time": times,
            "activity": pl.Series(codes, dtype=pl.Int32),
            "activity_name": pl.Series([names.get(code) for code in codes], dtype=pl.String),
            "wear": [None if g else w for g, w in zip(gap, worn, strict=True)],
            "gap": gap,
            "enmo_back_mg": pl.Series(enmo[0], dtype=pl.Float32),
            "enmo_thigh_mg": pl.Series(enmo[1], dtype=pl.Float32),
            "sensors": pl.Series([None if code is None else str(rng.choice(TOLD)) for code in codes], dtype=pl.String),
        }
    )


def daily(seconds, start, activities=FOUR):
    return daily_table(seconds, bout_table(seconds), activities, start)


def slow_daily(seconds, day_of):
    """{day: counts} by one pass over the seconds."""
    days, rows = {}, seconds.rows(named=True)
    sat = 0
    for i, row in enumerate(rows):
        keys = ("wear", "recorded", 7, 1, 8, 6, "rises", "long", "single")
        day = days.setdefault(day_of(row["time"]), dict.fromkeys(keys, 0) | {"enmo": []})
        day["recorded"] += not row["gap"]
        sat = sat + 1 if row["activity"] == 7 and row["wear"] else 0
        if sat == 1800:
            days[day_of(rows[i - 1799]["time"])]["long"] += 1
        if not row["wear"]:
            continue
        day["wear"] += 1
        day["single"] += row["sensors"] in ("back", "thigh")
        if row["activity"] is None:
            continue
        day[row["activity"]] += 1
        day["enmo"].append(row["enmo_thigh_mg"])
        before = rows[i - 1] if i else {"wear": False}
        day["rises"] += bool(before["wear"]) and before["activity"] == 7 and row["activity"] in (1, 6)
    return days


def random_life(length, seed):
    rng = np.random.default_rng(seed)
    codes, worn = [], []
    while len(codes) < length:
        stay = int(rng.choice([1, 30, 600, 1799, 1800, 2500]))
        codes += [[7, 7, 7, 1, 8, 6, None, "gap"][rng.integers(8)]] * stay
        worn += [bool(rng.random() < 0.9)] * stay
    return codes[:length], worn[:length]


@pytest.mark.parametrize(
    ("start", "day_of"),
    [
        (datetime(2024, 5, 1, 22, 50), lambda time: time.date()),
        (datetime(2024, 3, 30, 20, 0, tzinfo=OSLO), lambda time: time.astimezone(OSLO).date()),
        (
            datetime(2024, 5, 1, 22, 50, tzinfo=timezone(timedelta(hours=-5))),
            lambda time: time.astimezone(timezone(timedelta(hours=-5))).date(),
        ),
        (None, lambda time: time // 86_400),
    ],
)
@pytest.mark.parametrize("at_once", [10_007, 86_400])
def test_days_are_those_of_a_slow_loop(start, day_of, at_once, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_AT_ONCE", at_once)
    codes, worn = random_life(130_000, seed=3)
    seconds = seconds_of(codes, start, worn)
    table, slow = daily(seconds, start), slow_daily(seconds, day_of)
    assert table.columns == [
        *("date", "day", "wear_minutes", "recorded_minutes", "minutes_sitting", "minutes_walking", "minutes_lying"),
        *("minutes_standing", "sit_to_stand", "sitting_bouts_30min", "enmo_back_mg", "enmo_thigh_mg"),
        "single_sensor_minutes",
    ]
    assert len(table) == len(slow) >= 2
    assert table["date"].to_list() == (list(slow) if start else [None] * len(slow))
    assert table["date"].dtype == pl.Date
    assert table["day"].to_list() == list(range(1, len(slow) + 1))
    for column, key in (
        ("wear_minutes", "wear"),
        ("recorded_minutes", "recorded"),
        ("minutes_sitting", 7),
        ("minutes_walking", 1),
        ("minutes_lying", 8),
        ("minutes_standing", 6),
        ("single_sensor_minutes", "single"),
    ):
        np.testing.assert_allclose(table[column] * 60, [day[key] for day in slow.values()], rtol=1e-12)
    assert table["sit_to_stand"].to_list() == [day["rises"] for day in slow.values()]
    assert table["sitting_bouts_30min"].to_list() == [day["long"] for day in slow.values()]
    assert table["sit_to_stand"].sum() > 3
    assert table["sitting_bouts_30min"].sum() > 3
    np.testing.assert_allclose(table["enmo_thigh_mg"], [np.mean(day["enmo"]) for day in slow.values()], rtol=1e-6)


@pytest.mark.parametrize(("night", "hours"), [((2024, 3, 31), 23), ((2024, 10, 27), 25), ((2024, 5, 1), 24)])
def test_a_day_is_as_long_as_its_clock_says(night, hours):
    start = datetime(*night, tzinfo=OSLO) - timedelta(hours=1)
    table = daily(seconds_of([8] * (30 * 3600), start), start)
    assert table["date"].to_list() == [date(*night) + timedelta(days=i) for i in (-1, 0, 1)]
    assert table["recorded_minutes"].to_list() == [60, hours * 60, (29 - hours) * 60]


def test_a_clock_that_is_put_back_over_midnight_has_one_row_for_the_day():
    """In Newfoundland until 2011: at 00:01 it became 23:01 of the day before."""
    start = datetime(2010, 11, 6, 23, 50, tzinfo=ZoneInfo("America/St_Johns"))
    table = daily(seconds_of([8] * 3 * 3600, start), start)
    assert table["date"].to_list() == [date(2010, 11, 6), date(2010, 11, 7)]
    assert table["recorded_minutes"].to_list() == [10 + 59, 1 + 110]


@pytest.mark.parametrize(
    ("codes", "rises"),
    [
        ([7, 6], 1),
        ([7, 1], 1),
        ([8, 6], 0),  # lying to standing is no sit-to-stand
        ([7, 8, 6], 0),
        ([7, "gap", 6], 0),
        ([7, None, 6], 0),
        ([6, 7, 7, 6, 1, 7, 1], 2),
    ],
)
def test_a_sit_to_stand_is_one_second_directly_after_the_other(codes, rises):
    assert daily(seconds_of(codes, None), None)["sit_to_stand"].to_list() == [rises]


def test_what_happens_around_midnight_counts_on_one_day():
    start = datetime(2024, 5, 1, 23, 45)
    codes = [7] * 1800 + [6] * 10
    table = daily(seconds_of(codes, start), start)
    assert table["sitting_bouts_30min"].to_list() == [1, 0]
    assert table["minutes_sitting"].to_list() == [15, 15]
    assert table["sit_to_stand"].to_list() == [0, 1]
    late = datetime(2024, 5, 1, 23, 59, 59)
    assert daily(seconds_of([7, 6], late), late)["sit_to_stand"].to_list() == [0, 1]
    assert daily(seconds_of([7] * (LONG_BOUT_S - 1), start), start)["sitting_bouts_30min"].to_list() == [0, 0]


def test_days_without_any_sample_are_rows():
    start = datetime(2024, 5, 1, 12)
    table = daily(seconds_of([7] * 10 + ["gap"] * (2 * 86_400) + [1] * 10, start), start)
    assert table["date"].to_list() == [date(2024, 5, 1), date(2024, 5, 2), date(2024, 5, 3)]
    assert table["recorded_minutes"].to_list()[1] == table["wear_minutes"].to_list()[1] == 0
    assert table["enmo_back_mg"].is_null().to_list() == [False, True, False]


def test_what_a_label_set_does_not_know_is_null():
    fit = Activities("fit", (7, 2), ("swimming", "jumping"))
    table = daily(seconds_of([7, 2, 2], None, activities=fit), None, fit)
    assert table["sit_to_stand"].to_list() == table["sitting_bouts_30min"].to_list() == [None]
    assert table["minutes_swimming"].to_list() == [1 / 60]
    seated = Activities("seated", (1, 2), ("sitting", "other"))
    table = daily(seconds_of([1] * 1800 + [2], None, activities=seated), None, seated)
    assert table["sit_to_stand"].to_list() == [None]
    assert table["sitting_bouts_30min"].to_list() == [1]
    kinds = [daily(seconds_of([code], None, activities=a), None, a).schema for a, code in ((fit, 2), (FOUR, 7))]
    shared = ("date", "day", "wear_minutes", "sit_to_stand", "sitting_bouts_30min", "enmo_back_mg")
    assert [kinds[0][name] for name in shared] == [kinds[1][name] for name in shared]


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6])
def test_every_upright_activity_of_harth_ends_sitting(code):
    seconds = seconds_of([7, code], None, activities=HARTH)
    assert daily(seconds, None, HARTH)["sit_to_stand"].to_list() == [1]


def test_cycling_is_not_standing_up():
    assert daily(seconds_of([7, 13], None, activities=HARTH), None, HARTH)["sit_to_stand"].to_list() == [0]
