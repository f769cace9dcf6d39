"""A prediction in its forms: arrays, tables, pandas, files."""

import builtins
import csv
import gzip
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from selfpab.activities import HARTH
from selfpab.data.simulation import simulate
from selfpab.features.framing import frame_starts, samples_from_frames
from selfpab.inference import prediction as module
from selfpab.inference.bouts import bout_table
from selfpab.inference.columns import column_dictionary
from selfpab.inference.days import daily_table
from selfpab.inference.frames import FrameProbabilities
from selfpab.inference.prediction import Prediction
from selfpab.inference.seconds import second_table
from selfpab.recording import Mark, Recording


def predicted(start=datetime(2024, 5, 1, 23, 58), marks=()):
    (made,) = simulate(1, 0.1, seed=4, labelled=False)
    recording = Recording("p", start, 50.0, made.samples, segments=made.segments, marks=marks)
    starts, stops = frame_starts(recording.segments, frame_samples=50, hop_samples=25, to_the_end=True)
    values = np.random.default_rng(0).dirichlet(np.ones(10), 1 + len(starts) // 20).repeat(20, axis=0)[: len(starts)]
    frames = FrameProbabilities(values, starts, stops, 50)
    return Prediction(recording, HARTH, frames, second_table(recording, frames, HARTH))


@pytest.mark.parametrize("block", [77, 10**6])
def test_samples_on_demand_are_those_of_the_frames(block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_SAMPLES", block)
    prediction = predicted()
    frames = prediction.frames
    whole = samples_from_frames(frames.values, frames.starts, frames.stops, len(prediction.recording), frame_samples=50)
    np.testing.assert_array_equal(prediction.probabilities, whole)
    np.testing.assert_array_equal(prediction.classes, whole.argmax(1))


def test_tables_are_made_of_the_seconds():
    prediction = predicted()
    assert prediction.bouts().equals(bout_table(prediction.seconds))
    assert prediction.bouts()["seconds"].sum() == 360
    daily = daily_table(prediction.seconds, prediction.bouts(), HARTH, prediction.recording.start)
    assert prediction.daily().equals(daily)
    assert prediction.daily().height == 2


def test_pandas_keeps_what_is_missing():
    prediction = predicted(marks=(Mark(100, 150, "sensor dropout"),))
    frame = prediction.to_pandas()
    assert list(frame.columns) == prediction.seconds.columns
    assert {str(frame[name].dtype) for name in ("uncertain", "wear")} == {"boolean"}
    assert str(frame["activity"].dtype) == "Int32"
    assert frame["activity"].isna().tolist() == prediction.seconds["activity"].is_null().to_list()
    assert frame["activity"].isna().sum() == 1
    assert frame["activity"].dropna().tolist() == prediction.seconds["activity"].drop_nulls().to_list()
    assert frame["time"].iloc[0] == datetime(2024, 5, 1, 23, 58)


def test_without_pandas_it_says_what_to_do(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "pandas":
            raise ImportError("no module named pandas")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="to_pandas needs pandas, which is not installed: pip install pandas"):
        predicted().to_pandas()


def test_what_is_written_is_what_was_predicted(tmp_path):
    prediction = predicted(marks=(Mark(100, 150, "sensor dropout"), Mark(100, 900, "clipping")))
    prediction.write(tmp_path, csv=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bouts.csv", "daily.csv", "seconds.csv.gz", "seconds.parquet"]
    assert pl.read_parquet(tmp_path / "seconds.parquet").equals(prediction.seconds)
    for name, table in (("bouts.csv", prediction.bouts()), ("daily.csv", prediction.daily())):
        assert pl.read_csv(tmp_path / name, schema=table.schema).equals(_rounded(table)), name
    rows = list(csv.DictReader(gzip.decompress((tmp_path / "seconds.csv.gz").read_bytes()).decode().splitlines()))
    assert list(rows[0]) == prediction.seconds.columns
    assert len(rows) == prediction.seconds.height
    assert [row["time"] for row in rows[:3]] == [f"2024-05-01 23:58:0{i}" for i in range(3)]
    assert (rows[2]["activity"], rows[2]["p_walking"], rows[2]["flags"]) == ("", "", "clipping;sensor dropout")
    assert float(rows[0]["probability"]) == pytest.approx(prediction.seconds["probability"][0], abs=5e-5)
    assert rows[0]["wear"] == "true"


def _rounded(table):
    return table.with_columns(pl.col(pl.Float64).round(4))


def test_a_table_that_is_not_asked_for_any_more_goes(tmp_path):
    predicted().write(tmp_path, csv=True)
    predicted().write(tmp_path)
    assert not (tmp_path / "seconds.csv.gz").exists()


def test_the_same_prediction_is_the_same_file(tmp_path):
    for name in ("a", "b"):
        predicted().write(tmp_path / name, csv=True)
    for file in ("bouts.csv", "daily.csv", "seconds.csv.gz", "seconds.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_time_with_a_zone_has_its_offset(tmp_path):
    predicted(datetime(2024, 10, 27, 2, 59, 58, tzinfo=ZoneInfo("Europe/Oslo"))).write(tmp_path)
    first, *_, last = rows_of(tmp_path / "bouts.csv")
    assert first["start"] == "2024-10-27 02:59:58+02:00"
    assert last["end"].endswith("+01:00")
    predicted(None).write(tmp_path)
    assert rows_of(tmp_path / "bouts.csv")[0]["start"] == "0"
    assert rows_of(tmp_path / "daily.csv")[0]["date"] == ""


def test_every_column_stands_in_the_dictionary(tmp_path):
    prediction = predicted()
    listed = column_dictionary(HARTH)
    for name, table in (
        ("seconds.parquet", prediction.seconds),
        ("daily.csv", prediction.daily()),
        ("bouts.csv", prediction.bouts()),
    ):
        assert listed.filter(pl.col("file") == name)["column"].to_list() == table.columns
    assert all(listed["definition"])
