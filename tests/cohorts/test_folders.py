"""Many recordings: a folder each, none in the way of another."""

import hashlib
import json
import shutil
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from selfpab.activities import Activities
from selfpab.cohorts import folders as module
from selfpab.cohorts.folders import embed_folder, predict_folder
from selfpab.cohorts.settings import EmbedConfig, PredictConfig
from selfpab.config import ConfigError
from selfpab.config import load as load_config
from selfpab.data import preparation
from selfpab.data.parquet import write_parquet
from selfpab.data.reading import read
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.inference.decisions import Decision
from selfpab.inference.doubt import Coverage
from selfpab.inference.minutes import Intervals
from selfpab.inference.model import Model, load
from selfpab.inference.model_names import CALIBRATION
from selfpab.inference.probability_maps import ProbabilityMap
from selfpab.inference.trust import Trust, write_trust
from selfpab.recording import Mark, Recording, Segment
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig

WRITTEN = ["bouts.csv", "daily.csv", "info.json", "report.html", "seconds.parquet"]
TWO = Activities("two", (7, 1), ("sitting", "walking"))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    torch.manual_seed(0)
    shape = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    numbers = Normalisation(np.full(156, 2, np.float32), np.full(156, 3, np.float32))
    upstream = Upstream.fresh(shape, SpectrogramConfig(), numbers)
    head = Head(2, 12, 9, 2).state_dict()
    about = {"finetune": asdict(FinetuneConfig(hidden=9))}
    folder = save_model(
        tmp_path_factory.mktemp("somewhere") / "mine", upstream, card="", head=head, activities=TWO, downstream=about
    )
    return PredictConfig(model=str(folder), precision="fp32")


def write(path, seed=0, segments=((0, 300, 0.0), (300, 500, 20.0))):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).normal(0, 1, (segments[-1][1], 6)).astype(np.float32)
    made = Recording(path.stem, datetime(2024, 5, 1), 50.0, values, segments=tuple(Segment(*s) for s in segments))
    write_parquet(made, path)
    return path


@pytest.fixture
def study(tmp_path):
    write(tmp_path / "study" / "a.parquet", 1)
    (tmp_path / "study" / "b.csv").write_text("this is no recording\n1,2\n")
    write(tmp_path / "study" / "c.parquet", 2)
    return tmp_path / "study"


def test_one_that_fails_does_not_stop_the_others(study, tmp_path, config):
    outcome = predict_folder([study], tmp_path / "out", config)
    assert [(Path(name).name, problem is None) for name, problem in outcome] == [
        ("a", True),
        ("b.csv", False),
        ("c", True),
    ]
    assert "b.csv" in outcome[1][1]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *("a", "c", "dictionary.csv", "failures.csv", "people.csv", "quality.csv"),
    ]
    quality, failures = (pl.read_csv(tmp_path / "out" / f"{name}.csv") for name in ("quality", "failures"))
    assert quality["name"].to_list() == ["a", "c"]
    assert quality["gaps"].to_list() == [1, 1]
    assert failures.rows() == [(str(study / "b.csv"), outcome[1][1])]
    for name in ("a", "c"):
        assert sorted(p.name for p in (tmp_path / "out" / name).iterdir()) == WRITTEN
        expected = load(config.model, precision="fp32").predict(read(study / f"{name}.parquet"))
        assert pl.read_parquet(tmp_path / "out" / name / "seconds.parquet").equals(expected.seconds)
        expected.write(tmp_path / "again")
        for file in ("daily.csv", "bouts.csv"):
            assert (tmp_path / "out" / name / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_info_says_where_it_came_from_and_how_it_was_made(study, tmp_path, config):
    predict_folder([study / "a.parquet"], tmp_path / "out", config)
    info = json.loads((tmp_path / "out" / "a" / "info.json").read_text())
    assert info["subject"] == "a"
    assert info["start"] == "2024-05-01T00:00:00"
    assert (info["rate_hz"], info["samples"]) == (50, 500)
    assert info["gaps"] == [{"after_s": 6.0, "until_s": 20.0}]
    assert info["gaps_in_all"] == 1
    assert info["seconds"] == 24
    assert sum(info["seconds_per_activity"].values()) == 10
    assert set(info["seconds_per_activity"]) <= {"sitting", "walking"}
    assert info["seconds_recorded"] == 10
    assert info["non_wear"] == {"stretches": {"non-wear": 0, "non-wear back": 0, "non-wear thigh": 0}, "seconds": 0}
    table = pl.read_parquet(tmp_path / "out" / "a" / "seconds.parquet")
    assert info["uncertain_below"] == 0.6
    assert info["seconds_uncertain"] == table["uncertain"].sum()
    assert info["bouts"] == pl.read_csv(tmp_path / "out" / "a" / "bouts.csv").height
    assert info["days"] == 1
    weights = hashlib.sha256((Path(config.model) / "weights.safetensors").read_bytes()).hexdigest()
    encoder = load(config.model).upstream.sha256
    whole = hashlib.sha256()
    for file in sorted(path for path in Path(config.model).iterdir() if path.suffix in (".json", ".safetensors")):
        whole.update(file.read_bytes())
    assert info["model"] == {
        "folder": "mine", "encoder_sha256": encoder, "weights_sha256": weights, "model_sha256": whole.hexdigest(),
    }  # fmt: skip
    assert info["precision"] == "fp32"
    assert info["source"]["path"].endswith("a.parquet")
    assert "torch" in info["environment"]
    assert info["took_s"] >= 0


def test_info_and_page_say_how_activities_were_named(study, tmp_path, config):
    """Not the most probable one, where the model weighs or asks for bouts; null: the most probable."""
    predict_folder([study / "a.parquet"], tmp_path / "plain", config)
    assert json.loads((tmp_path / "plain" / "a" / "info.json").read_text())["decision"] is None
    assert "Nothing was smoothed afterwards." in (tmp_path / "plain" / "a" / "report.html").read_text("utf-8")
    shutil.copytree(config.model, tmp_path / "model")
    sure = Coverage(0.45, 0.8, 0.95)
    trust = Trust(ProbabilityMap(1.0), Decision((0.5, 1.0), (1, 3), 1), sure, Intervals((1.0, 2.0), 0.9, 18, 40.0))
    write_trust(tmp_path / "model" / CALIBRATION, trust)
    predict_folder([study / "a.parquet"], tmp_path / "out", replace(config, model=str(tmp_path / "model")))
    info = json.loads((tmp_path / "out" / "a" / "info.json").read_text())
    assert info["decision"] == {
        "sitting": {"weight": 0.5, "shortest_s": 1}, "walking": {"weight": 1.0, "shortest_s": 3},
    }  # fmt: skip
    assert info["decision_over_s"] == 3
    page = (tmp_path / "out" / "a" / "report.html").read_text("utf-8")
    assert "named for the mean of 3 seconds" in page
    assert "Bouts under 3 s of walking are given" in page
    assert "Nothing was smoothed" not in page


def test_non_wear_is_counted_where_it_is_marked(study, tmp_path, config, monkeypatch):
    def marked(path, **settings):
        return replace(
            read(path, **settings),
            marks=(Mark(0, 50, "non-wear"), Mark(50, 100, "non-wear back"), Mark(120, 130, "clipping")),
        )

    monkeypatch.setattr(preparation, "read", marked)
    predict_folder([study / "a.parquet"], tmp_path / "out", replace(config, uncertain_below=1.0))
    info = json.loads((tmp_path / "out" / "a" / "info.json").read_text())
    assert info["non_wear"] == {"stretches": {"non-wear": 1, "non-wear back": 1, "non-wear thigh": 0}, "seconds": 2}
    assert (sum(info["seconds_per_activity"].values()), info["seconds_uncertain"]) == (8, 8)
    (day,) = pl.read_csv(tmp_path / "out" / "a" / "daily.csv").rows(named=True)
    assert (day["wear_minutes"], day["recorded_minutes"]) == (0.1333, 0.1667)
    assert pl.read_parquet(tmp_path / "out" / "a" / "seconds.parquet")["flags"][2] == "clipping"


def test_settings_of_the_tables(study, tmp_path, config):
    asked = replace(config, csv=True, uncertain_below=0.99)
    predict_folder([study / "a.parquet"], tmp_path / "out", asked)
    assert sorted(p.name for p in (tmp_path / "out" / "a").iterdir()) == sorted([*WRITTEN, "seconds.csv.gz"])
    info = json.loads((tmp_path / "out" / "a" / "info.json").read_text())
    assert info["uncertain_below"] == 0.99
    assert info["seconds_uncertain"] == 10
    with pytest.raises(ConfigError, match=r"uncertain_below must be a probability between 0 and 1, got 60"):
        predict_folder([study], tmp_path / "out", replace(config, uncertain_below=60.0))


def test_the_page_is_of_the_tables_beside_it_or_not_there(study, tmp_path, config):
    out = tmp_path / "out"
    folder = out / "a"
    predict_folder([study / "a.parquet"], out, config)
    page = (folder / "report.html").read_text(encoding="utf-8")
    info = json.loads((folder / "info.json").read_text())
    for told in ("Activities of a", info["model"]["weights_sha256"][:12], "There is a gap in the recording, 14.0 s"):
        assert told in page, told
    assert "report.html" in info["files"]
    predict_folder([study / "a.parquet"], out, replace(config, report=False))
    assert not (folder / "report.html").exists()
    assert json.loads((folder / "info.json").read_text())["files"] == ["bouts.csv", "daily.csv", "seconds.parquet"]
    predict_folder([study / "a.parquet"], out, config)
    assert (folder / "report.html").read_text(encoding="utf-8") == page
    assert load_config(PredictConfig, section="predict", settings=["report=off"]).report is False


def test_equal_names_from_two_folders_do_not_collide(study, tmp_path, config):
    write(tmp_path / "other" / "a.parquet", 9)
    outcome = predict_folder([study, tmp_path / "other"], tmp_path / "out", config)
    written = sorted(Path(name).name for name, problem in outcome if problem is None)
    assert written == ["c", "other-a", "study-a"]
    infos = [json.loads((tmp_path / "out" / f"{n}-a" / "info.json").read_text()) for n in ("study", "other")]
    assert [Path(info["source"]["path"]).parent.name for info in infos] == ["study", "other"]
    people = pl.read_csv(tmp_path / "out" / "people.csv")
    assert people.select("subject", "recordings").rows() == [("c", 1), ("other/a", 1), ("study/a", 1)]


def test_files_of_one_person_by_a_dataset_json_are_one_row(study, tmp_path, config):
    (study / "dataset.json").write_text('{"subjects": {"a": "anna", "c": "anna"}}')
    predict_folder([study], tmp_path / "out", config)
    people = pl.read_csv(tmp_path / "out" / "people.csv")
    assert people.select("subject", "recordings").rows() == [("anna", 2)]


def test_names_that_cannot_be_told_apart_are_refused_before_any_work(study, tmp_path, config):
    write(tmp_path / "x" / "study" / "a.parquet", 9)
    with pytest.raises(ValueError, match="would both be written as study-a; rename a folder"):
        predict_folder([study, tmp_path / "x" / "study"], tmp_path / "out", config)
    write(study / "c2.parquet", 9).rename(study / "b.parquet")
    with pytest.raises(ValueError, match="would both be written as study-b"):
        predict_folder([study], tmp_path / "out", config)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["npy", "parquet"])
def test_embeddings_in_both_forms(study, tmp_path, config, form):
    asked = EmbedConfig(model=config.model, precision="fp32", form=form)
    outcome = embed_folder([study / "a.parquet"], tmp_path / "out", asked)
    assert outcome == [(str(tmp_path / "out" / "a"), None)]
    expected = load(config.model, precision="fp32").embed(read(study / "a.parquet"))
    place = tmp_path / "out" / "a" / f"embedding.{form}"
    asked_seconds = predict_folder([study / "a.parquet"], tmp_path / "seconds", config)
    seconds = pl.read_parquet(Path(asked_seconds[0][0]) / "seconds.parquet")["time"]
    if form == "npy":
        found = np.load(place)
        times = pl.read_csv(tmp_path / "out" / "a" / "times.csv", try_parse_dates=True)["time"]
    else:
        table = pl.read_parquet(place)
        assert table.columns == ["time", *(f"e{i}" for i in range(12))]
        assert set(table.dtypes[1:]) == {pl.Float32}
        found, times = table.drop("time").to_numpy(), table["time"]
        assert table["e0"].null_count() == 14  # the gap
    np.testing.assert_array_equal(found, expected)
    assert times.to_list() == seconds.to_list()
    info = json.loads((tmp_path / "out" / "a" / "info.json").read_text())
    assert (info["seconds"], info["width"]) == (24, 12)
    other = "npy" if form == "parquet" else "parquet"
    embed_folder([study / "a.parquet"], tmp_path / "out", replace(asked, form=other))
    kept = {"parquet": ["embedding.parquet", "info.json"], "npy": ["embedding.npy", "info.json", "times.csv"]}
    assert sorted(p.name for p in (tmp_path / "out" / "a").iterdir()) == kept[other]


def test_the_windows_can_be_chosen(study, tmp_path, config):
    """What was made with other windows is made again."""
    for windows, kept in (("auto", "ours"), ("authors", "authors"), ("ours", "ours")):
        predict_folder([study / "a.parquet"], tmp_path / "out", replace(config, windows=windows))
        assert json.loads((tmp_path / "out" / "a" / "info.json").read_text())["windows"] == kept
        found = pl.read_parquet(tmp_path / "out" / "a" / "seconds.parquet")
        assert found.equals(
            load(config.model, precision="fp32").predict(read(study / "a.parquet"), windows=kept).seconds
        )


def test_windows_may_share_fewer_frames(study, tmp_path, config):
    """What was made with another overlap is made again; what it changes: tests/inference/test_frame_windows.py."""
    for overlap in (None, 0, 8):
        predict_folder([study / "a.parquet"], tmp_path / "out", replace(config, overlap=overlap))
        assert json.loads((tmp_path / "out" / "a" / "info.json").read_text())["overlap"] == overlap


def test_what_cannot_be_done_is_said_first(study, tmp_path, config):
    with pytest.raises(ConfigError, match="wanted model=MODEL, a folder that `selfpab finetune`"):
        predict_folder([study], tmp_path / "out", PredictConfig(model=""))
    with pytest.raises(ConfigError, match="form must be parquet or npy, got 'csv'"):
        embed_folder([study], tmp_path / "out", EmbedConfig(model=config.model, form="csv"))
    with pytest.raises(FileNotFoundError, match=r"no .*nobody"):
        predict_folder([tmp_path / "nobody"], tmp_path / "out", config)
    with pytest.raises(ConfigError, match=r"pairs=\S+ matches no device file here"):
        predict_folder(
            [study / "a.parquet"], tmp_path / "out", replace(config, pairs="{subject}_b.cwa,{subject}_t.cwa")
        )
    assert not (tmp_path / "out").exists()


def test_settings_for_device_files_are_told_to_have_done_nothing(study, tmp_path, config, capsys):
    predict_folder([study / "a.parquet"], tmp_path / "out", replace(config, align=False, report=False))
    assert "align= had nothing to do: it is for device files, and none is here" in capsys.readouterr().err


def test_a_table_is_whole_or_not_there(study, tmp_path, config, monkeypatch):
    """A kill while writing leaves the old file, and no info.json of a new one."""
    predict_folder([study / "a.parquet"], tmp_path / "out", config)
    before = (tmp_path / "out" / "a" / "seconds.parquet").read_bytes()

    def half(self, path, *_, **__):
        path.write_bytes(b"PAR1")
        raise KeyboardInterrupt

    monkeypatch.setattr(pl.DataFrame, "write_parquet", half)
    with pytest.raises(KeyboardInterrupt):
        predict_folder([study / "a.parquet"], tmp_path / "out", replace(config, uncertain_below=0.5))
    left = sorted(p.name for p in (tmp_path / "out" / "a").iterdir())
    assert left == ["bouts.csv", "daily.csv", "seconds.parquet"]
    assert (tmp_path / "out" / "a" / "seconds.parquet").read_bytes() == before


def test_a_failure_in_prediction_is_reported_like_one_in_reading(study, tmp_path, config, monkeypatch):
    def fail(self, recording, **_):
        raise ValueError("no such luck")

    monkeypatch.setattr(Model, "predict", fail)
    outcome = predict_folder([study / "a.parquet"], tmp_path / "out", config)
    assert outcome == [(str(study / "a.parquet"), "no such luck")]
    assert not list((tmp_path / "out" / "a").iterdir())


def test_few_of_many_gaps_are_listed_and_all_are_counted(study, tmp_path, config, monkeypatch):
    monkeypatch.setattr(module, "GAPS_LISTED", 2)
    many = (*((i * 60, i * 60 + 60, i * 5.0) for i in range(5)), (300, 360, 21.2, 1))  # the last only of another part
    write(study / "d.parquet", 3, many)
    predict_folder([study / "d.parquet"], tmp_path / "out", config)
    info = json.loads((tmp_path / "out" / "d" / "info.json").read_text())
    assert (len(info["gaps"]), info["gaps_in_all"]) == (2, 4)


def test_what_is_finished_is_not_made_again_and_what_changed_is(study, tmp_path, config, monkeypatch):
    made = []
    real = Model.predict
    monkeypatch.setattr(
        Model,
        "predict",
        lambda self, recording, **how: (made.append(recording.subject), real(self, recording, **how))[1],
    )
    out = tmp_path / "out"
    predict_folder([study], out, config)
    assert made == ["a", "c"]
    again = predict_folder([study], out, config)
    assert made == ["a", "c"]
    assert [problem is None for _, problem in again] == [True, False, True]
    (out / "a" / "bouts.csv").unlink()
    predict_folder([study], out, replace(config, workers=1, longest_offset_s=93_600.0))
    assert made == ["a", "c", "a"]
    write(study / "c.parquet", 7)
    predict_folder([study], out, config)
    assert made == ["a", "c", "a", "c"]
    predict_folder([study], out, replace(config, non_wear=False))
    assert made == ["a", "c", "a", "c", "a", "c"]
    info = json.loads((out / "a" / "info.json").read_text())
    assert info["non_wear"] == "not looked for"
    assert info["files"] == sorted(set(WRITTEN) - {"info.json"})


def test_workers_write_what_one_process_writes(study, tmp_path, config):
    outcomes = [predict_folder([study], tmp_path / f"w{n}", replace(config, workers=n)) for n in (1, 2)]
    assert [Path(name).name for name, _ in outcomes[0]] == [Path(name).name for name, _ in outcomes[1]]
    for name in ("a", "c"):
        one, two = (pl.read_parquet(tmp_path / f"w{n}" / name / "seconds.parquet") for n in (1, 2))
        assert one.equals(two)


def test_a_recording_that_changed_and_now_fails_leaves_nothing_that_looks_finished(study, tmp_path, config):
    out = tmp_path / "out"
    predict_folder([study], out, config)
    (study / "a.parquet").write_bytes(b"no longer")
    outcome = predict_folder([study], out, config)
    assert [problem is None for _, problem in outcome] == [False, False, True]
    assert not (out / "a" / "info.json").exists()
    assert pl.read_csv(out / "quality.csv")["name"].to_list() == ["c"]


def test_another_normalisation_of_the_model_makes_all_anew(study, tmp_path, config):
    model, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(config.model, model)
    asked = replace(config, model=str(model))
    predict_folder([study / "a.parquet"], out, asked)
    before = json.loads((out / "a" / "info.json").read_text())["key"]
    numbers = json.loads((model / "normalisation.json").read_text())
    numbers["mean"][0] += 1
    (model / "normalisation.json").write_text(json.dumps(numbers))
    predict_folder([study / "a.parquet"], out, asked)
    assert json.loads((out / "a" / "info.json").read_text())["key"] != before


def test_a_second_call_into_the_same_folder_keeps_the_rows_of_the_first(study, tmp_path, config):
    for name in ("a", "c"):
        predict_folder([study / f"{name}.parquet"], tmp_path / "out", config)
    assert pl.read_csv(tmp_path / "out" / "quality.csv")["name"].to_list() == ["a", "c"]


def test_a_person_of_the_same_name_does_not_replace_one_of_an_earlier_call(study, tmp_path, config):
    out, other = tmp_path / "out", write(tmp_path / "other" / "a.parquet", 9)
    predict_folder([study / "a.parquet"], out, config)
    before = (out / "a" / "info.json").read_bytes()
    ((path, reason),) = predict_folder([other], out, config)
    assert path == str(other)
    assert f"a in {out} is of {study / 'a.parquet'}, and is not replaced; use another OUT" in reason
    assert (out / "a" / "info.json").read_bytes() == before
    assert pl.read_csv(out / "failures.csv").rows() == [(str(other), reason)]
    # both at once: what is there from before is told apart, and counts once
    predict_folder([study / "a.parquet", other], out, config)
    people = pl.read_csv(out / "people.csv")
    assert people.select("subject", "recordings", "remarks").rows() == [
        ("a", 1, "study-a has the same files as a: they count once"),
        ("other/a", 1, None),
    ]


def test_a_recording_that_was_moved_is_known_and_may_change_there(study, tmp_path, config):
    out, moved = tmp_path / "out", tmp_path / "moved" / "a.parquet"
    predict_folder([study / "a.parquet"], out, config)
    made = (out / "a" / "seconds.parquet").stat().st_mtime_ns
    moved.parent.mkdir()
    (study / "a.parquet").rename(moved)
    for change in (False, True):
        if change:
            write(moved, 5)
        ((_, reason),) = predict_folder([moved], out, config)
        assert reason is None
        assert ((out / "a" / "seconds.parquet").stat().st_mtime_ns != made) is change


def test_a_second_call_keeps_the_failures_of_the_first(study, tmp_path, config):
    out = tmp_path / "out"
    predict_folder([study], out, config)
    write(tmp_path / "other" / "d.parquet", 9)
    (tmp_path / "other" / "e.csv").write_text("nothing\n")
    predict_folder([tmp_path / "other"], out, config)
    assert [Path(path).name for path in pl.read_csv(out / "failures.csv")["path"]] == ["b.csv", "e.csv"]
    (study / "b.csv").unlink()
    predict_folder([study], out, config)
    assert [Path(path).name for path in pl.read_csv(out / "failures.csv")["path"]] == ["e.csv"]
