"""Bad input of every kind through `predict`: a message that says what to do, or a result that is flagged."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from selfpab import simulate
from selfpab.cohorts.folders import predict_folder
from selfpab.cohorts.settings import PredictConfig
from selfpab.data.simulated_devices import write_pair
from selfpab.data.simulation import NO_FAULTS
from selfpab.recording import CHANNELS

BACK, THIGH = list(CHANNELS[:3]), list(CHANNELS[3:])
HALF = 9_000  # the middle of six minutes
NOISE_G = 0.003


def person(hours: float, scenario: str = "protocol") -> pl.DataFrame:
    """One simulated person, as a table with time stamps of 20 ms."""
    (recording,) = simulate(1, hours, seed=7, scenario=scenario, faults=NO_FAULTS, labelled=False)
    return stamped(pl.DataFrame(recording.acceleration_g, schema=list(CHANNELS)))


def stamped(table: pl.DataFrame, step_ms: int = 20) -> pl.DataFrame:
    start = np.datetime64("2024-05-01T08:00:00.000")
    times = pl.Series("timestamp", start + np.arange(len(table)) * np.timedelta64(step_ms, "ms"))
    return table.select(times.dt.to_string("%Y-%m-%d %H:%M:%S%.3f"), *CHANNELS)


def timed(table: pl.DataFrame, step_s: float) -> pl.DataFrame:
    return table.select(pl.Series("time_s", np.arange(len(table)) * step_s), *CHANNELS)


def at_rate(table: pl.DataFrame, factor: float) -> pl.DataFrame:
    """The same movement with so many times as many samples."""
    places = np.arange(0, len(table) - 1, 1 / factor)
    return pl.DataFrame({name: np.interp(places, np.arange(len(table)), table[name]) for name in CHANNELS})


def scaled(table: pl.DataFrame, names: list[str], factor: float) -> pl.DataFrame:
    return table.with_columns(pl.col(names) * factor)


def filled(table: pl.DataFrame, names: list[str], values: list[float | None], first: int = 0) -> pl.DataFrame:
    """These columns at these values, from a row on."""
    there = pl.int_range(pl.len()) >= first
    return table.with_columns(
        pl.when(there).then(pl.lit(value, pl.Float32)).otherwise(pl.col(name)).alias(name)
        for name, value in zip(names, values, strict=True)
    )


def on_a_table(minutes: int) -> pl.DataFrame:
    posture = np.array([0.02, -0.03, -1, 0.01, 0.02, 1])
    noise = np.random.default_rng(0).normal(0, NOISE_G, (minutes * 3000, 6))
    return stamped(pl.DataFrame((posture + noise).astype(np.float32), schema=list(CHANNELS)))


def tables(good: pl.DataFrame, long: pl.DataFrame, walked: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """File name to what is in it."""
    six, nothing = list(CHANNELS), [None, None, None]
    turned = {name: -1.0 for name in ("thigh_x", "thigh_y")}
    return {
        "good.csv": good,
        "order.csv": good.select(*CHANNELS[::-1], "timestamp"),
        "copy.csv": good,
        "ms2.csv": scaled(good, six, 9.80665),
        "ms2_back.parquet": scaled(good, BACK, 9.80665),
        "mg.csv": scaled(good, six, 1000),
        "mg.d.parquet": scaled(good, six, 1000),
        "counts.parquet": scaled(good, six, 256),
        "twice.parquet": scaled(good, THIGH, 2),
        "half.parquet": scaled(good, BACK, 0.5),
        "ninth.parquet": scaled(good, six, 1 / 9.80665),
        "linear.parquet": good.with_columns(pl.col(six) - pl.col(six).rolling_mean(250, min_samples=1, center=True)),
        "hz100.csv": stamped(at_rate(good, 2), step_ms=10),
        "hz100_seconds.parquet": timed(at_rate(good, 2), 0.01),
        "hz25.parquet": timed(at_rate(good, 0.5), 0.04),
        "hz51.parquet": timed(good, 1 / 51.2),
        "hz100_as_50.parquet": timed(at_rate(walked, 2), 0.02),
        "hz25_as_50.parquet": timed(at_rate(walked, 0.5), 0.02),
        "milliseconds.parquet": timed(good, 20),
        "no_thigh.csv": good.drop(THIGH),
        "thigh_zero.csv": filled(good, THIGH, [0, 0, 0]),
        "both_zero.csv": filled(good, six, [0.0] * 6),
        "thigh_frozen.parquet": filled(good, THIGH, [-0.98, 0.1, 0.1]),
        "thigh_x_zero.parquet": filled(good, ["thigh_x"], [0]),
        "thigh_nan.csv": filled(good, THIGH, [float("nan")] * 3),
        "thigh_null.parquet": filled(good, THIGH, nothing),
        "thigh_zero_later.parquet": filled(good, THIGH, [0, 0, 0], HALF),
        "thigh_frozen_later.csv": filled(good, THIGH, [-0.98, 0.1, 0.1], HALF),
        "thigh_nan_later.csv": filled(good, THIGH, [float("nan")] * 3, HALF),
        "one_sensor_twice.parquet": good.with_columns(pl.col(a).alias(b) for a, b in zip(BACK, THIGH, strict=True)),
        "half_nan.csv": filled(good, six, [float("nan")] * 6, HALF),
        "ten_seconds.csv": good.head(500),
        "half_a_second.csv": good.head(25),
        "header.csv": good.head(0),
        "header.d.parquet": good.head(0),
        "table.parquet": on_a_table(60),
        "swapped.parquet": long.rename(dict(zip(BACK + THIGH, THIGH + BACK, strict=True))),
        "upside_down.parquet": long.with_columns(pl.col(name) * sign for name, sign in turned.items()),
        "case.csv": good.rename({name: name.title() for name in six}),
        "other_names.csv": good.rename({name: f"s{i}" for i, name in enumerate(six)}),
        "same_time.csv": good.with_columns(
            timestamp=pl.col("timestamp").gather(np.maximum(np.arange(len(good)), 5) - 1)
        ),
        "backward.csv": pl.concat([good[HALF:], good[:HALF]]),
    }


REFUSED = {  # file to what is said of it
    "ms2.csv": r"back sensor's median acceleration is 9\.\d+; that looks like m/s²; wanted g .*divide by 9\.80665",
    "ms2_back.parquet": r"back sensor's median .*m/s²",
    "mg.csv": r"that looks like mg; wanted g .*divide by 1000",
    "mg.d.parquet": r"that looks like mg",
    "counts.parquet": r"wanted g .*divide by the counts per g",
    "twice.parquet": r"at rest, the thigh sensor measures (1\.9|2)\d*.*wanted g, which is 1 at rest",
    "half.parquet": r"at rest, the back sensor measures 0\.(4|5)\d*.*wanted g, which is 1 at rest",
    "ninth.parquet": r"looks like g divided by 9\.80665: multiply by it",
    "linear.parquet": r"gravity .*taken out: export raw acceleration",
    "hz100.csv": r"is stamped every 10 ms \(100 Hz\); wanted 50 Hz.*resample it to 50 Hz first",
    "hz100_seconds.parquet": r"is stamped every 10 ms \(100 Hz\); wanted 50 Hz",
    "hz25.parquet": r"has 25 samples per second .*wanted 50.*resample it to 50 Hz first",
    "hz51.parquet": r"has 51\.2 samples per second",
    "milliseconds.parquet": r"median 20 s\); wanted 50 samples per second, and a column time_s in seconds",
    "no_thigh.csv": r"the thigh sensor measured nothing; this model needs both sensors: take a model that reads one alone",
    "thigh_zero.csv": r"the thigh sensor measured nothing; this model needs both sensors",
    "thigh_frozen.parquet": r"the thigh sensor measured nothing; this model needs both sensors",
    "thigh_x_zero.parquet": r"the thigh sensor measured nothing; this model needs both sensors",
    "both_zero.csv": r"back stands at 0 g; thigh stands at 0 g; nothing is left in which a sensor measured: export the",
    "thigh_nan.csv": r"the thigh sensor has no number in any row: export it again with both sensors, or leave its three columns",
    "thigh_null.parquet": r"the thigh sensor has no number in any row",
    "thigh_nan_later.csv": r"line 9002 .*thigh_x is missing .*\(9000 such rows .*leave such rows out",
    "one_sensor_twice.parquet": r"columns of back and thigh are the same in every row; wanted two sensors",
    "half_nan.csv": r"line 9002 .*back_x is missing .*\(9000 such rows .*leave such rows out",
    "half_a_second.csv": r"lasts 0\.5 s; wanted a second at least",
    "header.csv": r"has a header and no samples; wanted a line per sample",
    "header.d.parquet": r"has columns and no samples; wanted a row per sample",
    "case.csv": r"has no column back_x.*rename Back_X to back_x, .*Thigh_Z to thigh_z",
    "other_names.csv": r"its columns are 'timestamp', 's0'.*wanted timestamp,back_x.*rename the columns",
    "same_time.csv": r"line 3 .*the same as in the row before .*leave out what is there twice",
    "backward.csv": r"line 9002 .*the time is 359\.98 s before.*separate recordings into separate files",
    "empty.csv": r"is empty, .*wanted a header such as",
    "empty.d.parquet": r"is no whole parquet file",
    "cut.csv": r"has \d fields, the header 7; the file seems to be cut off: copy or download it again",
    "cut.d.parquet": r"is no whole parquet file .*cut off: copy or download it again",
    "semicolons.csv": r"divided by semicolons: save it with commas, and with points in the numbers",
    "decimal_comma.csv": r"divided by semicolons: save it with commas, and with points in the numbers",
    "tabs.csv": r"divided by tabs: save it with commas",
    "workbook.csv": r"is an Excel workbook; wanted csv in UTF-8",
    "utf16.csv": r"is text in UTF-16, or no text; wanted csv in UTF-8",
    "P1_back.cwa": r"are the same; give the files of two sensors",
    "P2_back.cwa": r"P2_thigh\.cwa: has 0 bytes and is no \.cwa file.*copy it from the device again",
    "P3_back.cwa": r"P3 has 1 of the back and 0 of the thigh; wanted one each",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory, tiny_model):
    """All of it in one folder, as a cohort has it; what `predict` wrote, and what it said of the others by file name."""
    study, out = tmp_path_factory.mktemp("bad") / "study", tmp_path_factory.mktemp("out")
    study.mkdir()
    good, long, walked = person(0.1), person(0.5), person(0.6, "free-living")
    for name, table in tables(good, long, walked).items():
        table.write_csv(study / name) if name.endswith("csv") else table.write_parquet(study / name)
    text = (study / "good.csv").read_text()
    raw = (study / "mg.d.parquet").read_bytes()
    for name, content in {
        "empty.csv": b"",
        "empty.d.parquet": b"",
        "cut.csv": text[: len(text) // 2].rpartition(",")[0].encode(),
        "cut.d.parquet": raw[: len(raw) // 2],
        "semicolons.csv": text.replace(",", ";").encode(),
        "decimal_comma.csv": text.replace(",", ";").replace(".", ",").encode(),
        "tabs.csv": text.replace(",", "\t").encode(),
        "workbook.csv": b"PK\x03\x04\x14\0" + bytes(100),
        "utf16.csv": text[:1000].encode("utf-16"),
    }.items():
        (study / name).write_bytes(content)
    pair = write_pair(tmp_path_factory.mktemp("pair"), 1, 0.05, rate_hz=50)
    for name in ("P1_back", "P1_thigh", "P2_back", "P3_back"):
        shutil.copy(pair.back, study / f"{name}.cwa")
    (study / "P2_thigh.cwa").write_bytes(b"")
    outcome = predict_folder([study], out, PredictConfig(model=str(tiny_model), precision="fp32", report=False))
    failed = {Path(name.partition(" and ")[0]).name: problem for name, problem in outcome if problem is not None}
    return out, failed


def test_every_file_is_refused_or_has_a_folder(told):
    out, failed = told
    written = {path.parent.name for path in out.glob("*/info.json")}
    assert set(failed) == set(REFUSED)
    assert written == {
        "good", "order", "copy", "hz100_as_50", "hz25_as_50", "thigh_zero_later", "thigh_frozen_later", "ten_seconds",
        "table", "swapped", "upside_down",
    }  # fmt: skip
    listed = pl.read_csv(out / "failures.csv")
    assert {Path(path).name: reason for path, reason in listed.rows()} == failed


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_with_what_to_do(told, name):
    _, failed = told
    assert re.search(REFUSED[name], failed[name]), failed[name]


def of(out: Path, name: str) -> tuple[pl.DataFrame, dict, dict]:
    rows = {row["name"]: row for row in pl.read_csv(out / "quality.csv").rows(named=True)}
    info = json.loads((out / name / "info.json").read_text())
    return pl.read_parquet(out / name / "seconds.parquet"), rows[name], info


def test_another_order_of_columns_changes_nothing(told):
    (good, quality, info), (other, *_) = of(told[0], "good"), of(told[0], "order")
    assert good.equals(other)
    assert quality["remarks"] == "the same files as copy"  # the one whose name comes first
    assert "warnings" not in info["source"]


@pytest.mark.parametrize("name", ["thigh_zero_later", "thigh_frozen_later"])
def test_where_a_sensor_is_missing_no_activity_is_told(told, name):
    seconds, quality, info = of(told[0], name)
    there, missing = seconds[:180], seconds[180:]
    assert (len(there), len(missing)) == (180, 180)
    assert there["activity"].null_count() == 0
    assert missing["activity"].null_count() == 180
    assert missing["p_sitting"].null_count() == 180
    assert missing["flags"].unique().to_list() == ["sensor dropout thigh"]
    assert missing["sensors"].null_count() == 180
    assert missing["enmo_back_mg"].null_count() == 0  # that one measured
    assert quality["dropout_hours"] == 0.05
    assert quality["remarks"].startswith(
        "the thigh sensor measured nothing for 3.0 min: activities are told from the other"
    )
    assert sum(info["seconds_per_activity"].values()) == 180


@pytest.mark.parametrize(("name", "word"), [("hz100_as_50", "slower"), ("hz25_as_50", "quicker")])
def test_a_rate_that_the_times_hide_is_told_by_the_steps(told, name, word):
    remarks = of(told[0], name)[1]["remarks"]
    assert re.search(rf"steps come .* times a second, {word} than people walk .*sampled at 50 Hz", remarks)


def test_ten_seconds_are_said_to_be_little(told):
    seconds, quality, _ = of(told[0], "ten_seconds")
    assert len(seconds) == 10
    assert quality["remarks"] == "only 10 s long: little to tell an activity from"


def test_sensors_on_a_table_are_not_worn(told):
    seconds, quality, _ = of(told[0], "table")
    assert not seconds["wear"].any()
    assert quality["non_wear_hours"] == 1
    assert pl.read_csv(told[0] / "table" / "bouts.csv").is_empty()
    assert pl.read_csv(told[0] / "table" / "daily.csv")["minutes_sitting"].to_list() == [0]


@pytest.mark.parametrize(
    ("name", "found"),
    [("swapped", "placement swap: back and thigh swapped"), ("upside_down", "placement thigh: turned")],
)
def test_sensors_that_are_swapped_or_turned_are_flagged(told, name, found):
    seconds, quality, _ = of(told[0], name)
    assert quality["placement"].startswith(found)
    assert "; repaired" in quality["placement"]
    assert seconds["flags"].str.contains("placement").all()
