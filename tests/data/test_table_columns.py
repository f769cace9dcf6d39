"""Which columns of a table are read, and files of one sensor."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from selfpab.data import long_tables
from selfpab.data.plausibility import check_plausible
from selfpab.data.reading import read
from selfpab.data.table_columns import wanted_columns
from selfpab.recording import CHANNELS, RecordingError

FILE = Path("P1.csv")


@pytest.fixture
def table():
    chance = np.random.default_rng(0)
    values = {name: chance.normal(0, 0.3, 500).astype(np.float32) - (name[-1] == "x") for name in CHANNELS}
    return pl.DataFrame({"time_s": np.arange(500) / 50, **values, "label": np.arange(500) // 100 + 1})


def written(table, folder, form):
    file = folder / f"P1.{form}"
    (table.write_csv if form == "csv" else table.write_parquet)(file)
    return file


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("sensor", ["back", "thigh"])
def test_a_file_of_one_sensor_is_read_and_says_so(table, tmp_path, monkeypatch, form, sensor, long):
    if long:
        for module in ("harth", "parquet"):
            monkeypatch.setattr(f"selfpab.data.{module}.LONG_ROWS", 100)
        monkeypatch.setattr(long_tables, "PIECE_ROWS", 128)
    absent = [name for name in CHANNELS if name.startswith(sensor)]
    whole = read(written(table, tmp_path, form))
    alone = read(written(table.drop(absent), tmp_path, form))
    places = [CHANNELS.index(name) for name in absent]
    assert (alone.samples[:, places] == 0).all()
    others = [place for place in range(6) if place not in places]
    np.testing.assert_array_equal(alone.samples[:, others], whole.samples[:, others])
    np.testing.assert_array_equal(alone.labels, whole.labels)
    assert [(m.first, m.stop, m.kind) for m in alone.marks] == [(0, 500, f"sensor dropout {sensor}")]
    (told,) = alone.source["warnings"]
    assert told.startswith(
        f"the file has no columns of the {sensor} sensor: activities are told from the other one alone;"
    )
    assert told.endswith(f"if it was worn, name them {sensor}_x, {sensor}_y, {sensor}_z")
    again = check_plausible(alone, FILE).source["warnings"]
    assert [line for line in again if sensor in line] == [told]  # once
    assert whole.marks == ()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["time_s", *CHANNELS[:3], "hip_x", "hip_y", "hip_z"], "if hip_x, hip_y, hip_z are the thigh's, rename them"),
        (["time_s", *CHANNELS[:3], "Thigh X", "Thigh Y", "Thigh Z"], "rename Thigh X to thigh_x, Thigh Y to thigh_y"),
        (["time_s", *CHANNELS[:5], "z"], "has no column thigh_z"),
        (["time_s", "label"], "has no column back_x, back_y, back_z, thigh_x, thigh_y, thigh_z"),
        ([*CHANNELS[3:]], r"has no column timestamp \(or time_s\)"),
    ],
)
def test_other_columns_are_not_taken_for_a_sensor_that_is_not_there(names, message):
    with pytest.raises(RecordingError, match=message):
        wanted_columns(names, FILE)


def test_what_is_no_axis_does_no_harm():
    assert wanted_columns(["index", "time_s", *CHANNELS[3:], "temperature"], FILE) == ["time_s", *CHANNELS[3:]]
