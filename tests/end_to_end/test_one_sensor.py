"""One sensor alone, with the model in the box: what docs/how-to/one-sensor.md promises."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

from selfpab.cli import main
from selfpab.data.simulated_devices import write_pair
from selfpab.data.simulation import NO_FAULTS, simulate
from selfpab.recording import CHANNELS

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "one-sensor.md").read_text()


def ran(*words):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Six minutes of a simulated person, as csv."""
    (someone,) = simulate(1, 0.1, seed=3, scenario="protocol", faults=NO_FAULTS)
    times = {"time_s": [round(place / 50, 2) for place in range(len(someone))]}
    values = {name: someone.acceleration_g[:, place] for place, name in enumerate(CHANNELS)}
    file = tmp_path_factory.mktemp("one") / "P1.csv"
    pl.DataFrame(times | values).write_csv(file)
    return file


def seconds_of(folder):
    return pl.read_parquet(folder / "seconds.parquet"), json.loads((folder / "info.json").read_text())


@pytest.mark.parametrize("sensor", ["back", "thigh"])
def test_a_table_of_one_sensor_is_told_from_it(table, tmp_path, sensor):
    other = {"back": "thigh", "thigh": "back"}[sensor]
    file = tmp_path / "P1.csv"
    pl.read_csv(table).drop([name for name in CHANNELS if name.startswith(other)]).write_csv(file)
    assert ran("predict", file, tmp_path / "out") == 0
    seconds, info = seconds_of(tmp_path / "out" / "P1")
    assert seconds["sensors"].unique().to_list() == [sensor]
    assert seconds["wear"].all()
    assert seconds["activity"].null_count() == 0
    assert seconds[f"enmo_{other}_mg"].null_count() == len(seconds) > 300
    assert seconds[f"enmo_{sensor}_mg"].null_count() == 0
    assert info["seconds_single"] == {sensor: len(seconds), other: 0}
    assert set(info["uncertain_below_single"]) == {"back", "thigh"}
    below = info["uncertain_below_single"][sensor]
    assert seconds["uncertain"].to_list() == (seconds["probability"].cast(pl.Float64) < below).to_list()
    daily = pl.read_csv(tmp_path / "out" / "P1" / "daily.csv")
    assert daily["single_sensor_minutes"].to_list() == daily["wear_minutes"].to_list()
    assert daily["low_minutes_sitting"].null_count() == 1
    page = (tmp_path / "out" / "P1" / "report.html").read_text()
    assert f"the {sensor}&#x27;s sensor alone was there to tell activities from" in page
    assert ran("predict", file, tmp_path / "both", "single_sensor=no") == 1
    assert "needs both sensors" in (tmp_path / "both" / "failures.csv").read_text()


def test_where_a_sensor_stops_the_other_goes_on(table, tmp_path):
    half = pl.int_range(pl.len()) >= 9000
    stopped = pl.read_csv(table).with_columns(
        pl.when(half).then(0.0).otherwise(pl.col(name)).alias(name) for name in CHANNELS[3:]
    )
    stopped.write_parquet(tmp_path / "P1.parquet")
    assert ran("predict", tmp_path / "P1.parquet", tmp_path / "out") == 0
    seconds, info = seconds_of(tmp_path / "out" / "P1")
    assert seconds["sensors"].rle().struct.field("value").to_list() == ["both", "back"]
    assert abs((seconds["sensors"] == "both").sum() - 180) <= 1
    assert seconds["activity"].null_count() == 0
    assert info["seconds_single"]["back"] == (seconds["sensors"] == "back").sum()
    assert ran("predict", table, tmp_path / "whole") == 0
    whole, _ = seconds_of(tmp_path / "whole" / "P1")
    assert whole["sensors"].unique().to_list() == ["both"]
    same = (whole["activity"] == seconds["activity"])[:150]  # as far as windows do not reach what is different
    assert same.mean() > 0.95


def test_one_device_file_is_a_person(tmp_path):
    pair = write_pair(tmp_path / "raw", 1, 0.1, rate_hz=50)
    assert ran("predict", tmp_path / "out", f"thigh={pair.thigh}", "tz=Europe/Oslo", "report=no") == 0
    (folder,) = {path.parent for path in (tmp_path / "out").glob("*/info.json")}
    seconds, info = seconds_of(folder)
    assert seconds["sensors"].drop_nulls().unique().to_list() == ["thigh"]
    assert info["source"]["thigh"]["calibration"]


def test_what_needs_both_says_so(table, tmp_path):
    (tmp_path / "study").mkdir()
    pl.read_csv(table).drop(CHANNELS[:3]).write_csv(tmp_path / "study" / "P1.csv")
    assert ran("ingest", tmp_path / "study", tmp_path / "corpus") == 1
    assert ran("embed", tmp_path / "study", tmp_path / "vectors") == 1
    for out in ("corpus", "vectors"):
        assert "the back sensor measured nothing" in (tmp_path / out / "failures.csv").read_text()


def test_the_python_of_the_page(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("recording.csv").write_bytes(table.read_bytes())
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(code, names)
    assert 0 < names["agreement"] <= 1
    assert names["alone"]["sensors"].unique().to_list() == ["thigh"]
