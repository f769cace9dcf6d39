"""A model folder with calibration.json: what is believed, named, doubted and counted changes with it, and only then."""

import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest
import torch

from selfpab.activities import Activities
from selfpab.downstream.head import Head, head_from
from selfpab.downstream.waveform import WaveformReader
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.inference.columns import column_dictionary
from selfpab.inference.decisions import Decision
from selfpab.inference.doubt import Coverage
from selfpab.inference.minutes import Intervals, interval
from selfpab.inference.model import load
from selfpab.inference.model_names import CALIBRATION, IN_THE_BOX, located
from selfpab.inference.probability_maps import ProbabilityMap
from selfpab.inference.seconds import SENSOR_MISSING
from selfpab.inference.trust import SingleTrust, Trust, write_trust
from selfpab.recording import NON_WEAR, Mark, Recording, Segment
from selfpab.sensors import without
from selfpab.upstream.checkpoint import Upstream, open_model, save_model
from selfpab.upstream.encoder import EncoderConfig

THREE = Activities("three", (30, 10, 20), ("lie down", "sitting", "walking"))
TRUST = Trust(
    ProbabilityMap(temperature=2.0, floor=0.05),
    Decision((0.5, 1.0, 1.0), (1, 1, 4)),
    Coverage(0.45, 0.8, 0.95),
    Intervals((1.0, 2.0, 3.0), 0.9, 18, 40.0),
)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(1)
    numbers = Normalisation(np.full(156, 2, np.float32), np.full(156, 3, np.float32))
    shape = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    upstream = Upstream.fresh(shape, SpectrogramConfig(window_frames=119), numbers)
    head = Head(2, 12, 9, 3)
    with torch.no_grad():
        head.output.weight.mul_(8)
    return save_model(tmp_path / "model", upstream, card="", head=head.state_dict(), activities=THREE)


@pytest.fixture
def recording():
    values = np.random.default_rng(4).normal(0, 1, (30_000, 6)).astype(np.float32)
    values *= (1 + np.arange(len(values)) // 350 % 3)[:, None]
    segments = (Segment(0, 20_000, 0.0), Segment(20_000, 30_000, 430.0))
    marks = (Mark(3000, 3100, SENSOR_MISSING), Mark(5000, 7000, NON_WEAR))
    return Recording("p", datetime(2024, 1, 1, 23, 56), 50.0, values, segments=segments, marks=marks)


def chances(table):
    return table.select(THREE.columns).to_numpy().astype(float)


def test_probabilities_are_mapped_and_what_is_named_is_decided(folder, recording):
    plain = load(folder, precision="fp32").predict(recording)
    write_trust(folder / CALIBRATION, TRUST)
    model = load(folder, precision="fp32")
    told = model.predict(recording)
    assert model.trust == TRUST
    known = ~np.isnan(chances(plain.seconds)[:, 0])
    assert known.sum() not in (0, len(known))
    np.testing.assert_allclose(chances(told.seconds)[known], TRUST.map(chances(plain.seconds)[known]), atol=1e-6)
    # weights halve lying; walking needs four seconds
    weighted = chances(told.seconds)[known] * TRUST.decision.weights
    place = {code: index for index, code in enumerate(THREE.codes)}
    named = np.array([place[code] for code in told.seconds["activity"].drop_nulls()])
    assert (named != chances(told.seconds)[known].argmax(1)).any()
    assert (named[named != 2] == weighted[:, :2].argmax(1)[named != 2]).all()
    walking = told.seconds["activity"].fill_null(0).rle().struct.unnest().filter(pl.col("value") == 20)
    assert walking["len"].min() >= 4
    # the probability is that of what is named
    np.testing.assert_allclose(
        told.seconds["probability"].drop_nulls(), chances(told.seconds)[known][np.arange(len(named)), named], rtol=1e-6
    )
    assert told.seconds["activity"].null_count() == plain.seconds["activity"].null_count()


def test_uncertain_is_below_the_threshold_of_the_calibration_unless_it_is_said(folder, recording):
    write_trust(folder / CALIBRATION, TRUST)
    model = load(folder, precision="fp32")
    for below, prediction in (
        (0.45, model.predict(recording)),
        (0.7, model.predict(recording, uncertain_below=0.7)),
    ):
        seconds = prediction.seconds.drop_nulls("activity")
        assert (seconds["uncertain"] == (seconds["probability"] < below)).all()
        assert seconds["uncertain"].n_unique() == 2
    assert replace(model, trust=None).uncertain_below == 0.6


def test_days_get_intervals_of_their_worn_seconds(folder, recording):
    write_trust(folder / CALIBRATION, TRUST)
    prediction = load(folder, precision="fp32").predict(recording)
    daily = prediction.daily()
    assert len(daily) == 2
    minutes = [f"minutes_{c[2:]}" for c in THREE.columns]
    assert daily.columns[-7:-1] == [f"{side}_{column}" for side in ("low", "high") for column in minutes]
    dated = prediction.seconds.filter(pl.col("wear")).with_columns(day=pl.col("time").dt.date())
    for row in daily.iter_rows(named=True):
        here = chances(dated.filter((pl.col("day") == row["date"]) & pl.col("activity").is_not_null()))
        doubt = (here * (1 - here)).sum(0) / 60
        low, high = interval(np.array([row[m] for m in minutes]), doubt, TRUST.intervals)
        np.testing.assert_allclose([row[f"low_{m}"] for m in minutes], low, atol=1e-5)
        np.testing.assert_allclose([row[f"high_{m}"] for m in minutes], high, atol=1e-5)
        assert (high - low).max() > 0.1
    listed = column_dictionary(THREE, intervals=True).filter(pl.col("file") == "daily.csv")["column"].to_list()
    assert listed == daily.columns


def test_without_calibration_nothing_of_it_is_there(folder, recording):
    model = load(folder, precision="fp32")
    daily = model.predict(recording).daily()
    assert model.trust is None
    assert model.decision is None
    assert not [c for c in daily.columns if c.startswith(("low_", "high_"))]
    assert column_dictionary(THREE).filter(pl.col("file") == "daily.csv")["column"].to_list() == daily.columns


def test_weights_of_the_training_decide_where_there_is_no_calibration(folder, recording):
    config = json.loads((folder / "config.json").read_text())
    config["downstream"] = {"class_weights": [1.0, 1.0, 50.0]}
    (folder / "config.json").write_text(json.dumps(config))
    seconds = load(folder, precision="fp32").predict(recording).seconds.drop_nulls("activity")
    best = (chances(seconds) * [1, 1, 50]).argmax(1)
    assert seconds["activity"].to_list() == [THREE.codes[i] for i in best]
    assert (best != chances(seconds).argmax(1)).any()


def test_a_new_model_in_the_folder_does_not_inherit_the_calibration(folder):
    write_trust(folder / CALIBRATION, TRUST)
    found = load(folder)
    assert found.head is not None
    save_model(folder, found.upstream, card="", head=found.head.state_dict(), activities=THREE)
    assert load(folder).trust is None


def test_a_damaged_calibration_is_an_error(folder):
    (folder / CALIBRATION).write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="calibration of schema 99"):
        load(folder)


def test_default_is_the_model_in_the_box_unless_a_folder_has_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert located("default").folder == IN_THE_BOX
    (tmp_path / "default").mkdir()
    assert located("default").folder.resolve() == tmp_path / "default"


@pytest.fixture
def single(folder):
    """The same model with readers of one sensor, and a calibration of theirs."""
    torch.manual_seed(2)
    found = open_model(folder)
    head = head_from(found.head, 2, 12, 156, 3)
    head.load_state_dict(found.head)
    head.single = torch.nn.ModuleDict({s: WaveformReader(3, width=16, sensor=s) for s in ("back", "thigh")})
    save_model(folder, found.upstream, card="", head=head.state_dict(), activities=THREE)
    own = SingleTrust(ProbabilityMap(temperature=3.0, floor=0.1), Coverage(0.5, 0.7, 0.95))
    write_trust(folder / CALIBRATION, replace(TRUST, single={"thigh": own}))
    return folder


def test_what_one_sensor_alone_tells_has_a_map_and_a_threshold_of_its_own(single, recording):
    model = load(single, precision="fp32")
    assert model.reads_single
    whole = without(replace(recording, marks=()), "back")
    told = model.predict(whole)
    plain = replace(model, trust=None).predict(whole)
    assert plain.frames.values.shape == told.frames.values.shape
    rows = ~told.seconds["gap"].to_numpy()
    assert told.seconds["sensors"].drop_nulls().unique().to_list() == ["thigh"]
    mapped = ProbabilityMap(temperature=3.0, floor=0.1)(chances(plain.seconds)[rows])
    np.testing.assert_allclose(chances(told.seconds)[rows], mapped, atol=1e-6)
    assert (told.seconds["uncertain"].drop_nulls() == (told.seconds["probability"].drop_nulls() < 0.5)).all()
    assert (plain.seconds["uncertain"].drop_nulls() == (plain.seconds["probability"].drop_nulls() < 0.6)).all()
    asked = model.predict(whole, uncertain_below=0.9).seconds
    assert (asked["uncertain"].drop_nulls() == (asked["probability"].drop_nulls() < 0.9)).all()
    # of a sensor that was not calibrated the network's own
    other = model.predict(without(replace(recording, marks=()), "thigh"))
    np.testing.assert_allclose(other.seconds.select(THREE.columns).drop_nulls().to_numpy().sum(1), 1, rtol=1e-5)
    daily = told.daily()
    assert daily["low_minutes_walking"].null_count() == len(daily)
    assert daily["single_sensor_minutes"].to_list() == daily["wear_minutes"].to_list()


def test_both_sensors_are_told_as_without_readers_of_one(single, folder, recording):
    with_them, frames = load(single, precision="fp32").predict(recording), load(single, precision="fp32")
    head = frames.head
    assert isinstance(head, Head)
    head.single = torch.nn.ModuleDict()
    without_them = frames.predict(recording)
    assert with_them.seconds.equals(without_them.seconds)


@pytest.mark.parametrize(
    ("how", "what"), [({"single_sensor": False}, "single_sensor=no"), ({"windows": "authors"}, "windows=authors")]
)
def test_who_asks_for_both_is_told_what_is_missing(single, recording, how, what):
    with pytest.raises(ValueError, match=f"the back sensor measured nothing; {what} needs both sensors"):
        load(single, precision="fp32").predict(without(recording, "back"), **how)
    with pytest.raises(ValueError, match="an encoder needs both sensors"):
        load(single, precision="fp32").embed(without(recording, "back"))
