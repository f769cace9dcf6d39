"""Half a folder is none."""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import polars as pl

from selfpab.cohorts.finished_folders import classes_of, clock_of, facts_of, predictions_in
from tests.predicted_lives import THREE, write_life


def test_only_whole_predictions_count(tmp_path):
    for name in ("b", "a", "c", "d"):
        write_life(tmp_path, name, [7, 1], datetime(2024, 5, 1))
    (tmp_path / "b" / "daily.csv").unlink()
    (tmp_path / "c" / "info.json").write_text('{"subject": "c", "fi')
    (tmp_path / "d" / "info.json").write_text('{"subject": "d", "files": [], "width": 12}')  # an embedding
    (found,) = predictions_in(tmp_path)
    assert found == (tmp_path / "a", facts_of(tmp_path / "a"))
    assert facts_of(tmp_path / "b") == facts_of(tmp_path / "c") == facts_of(tmp_path / "nobody") == {}
    assert facts_of(tmp_path / "d")["width"] == 12


def test_the_classes_are_those_of_the_prediction(tmp_path):
    activities = classes_of(facts_of(write_life(tmp_path, "a", [7], datetime(2024, 5, 1))))
    assert (activities.codes, activities.names) == (THREE.codes, THREE.names)


def test_the_clock_is_that_of_the_recording():
    naive = pl.Series([datetime(2024, 5, 1)])
    utc, oslo = (naive.dt.replace_time_zone(zone) for zone in ("UTC", "Europe/Oslo"))
    assert clock_of(pl.Series([0]), {"start": None}) is clock_of(naive, {"start": "2024-05-01T00:00:00"}) is None
    assert clock_of(utc, {"start": "2024-05-01T05:30:00+05:30"}) == timezone(timedelta(hours=5.5))
    assert clock_of(oslo, {"start": "2024-05-01T00:00:00+02:00"}) == ZoneInfo("Europe/Oslo")
