"""What `predict` leaves over all recordings: every table, every column in the dictionary; diaries through the command."""

import csv
import gzip
import json
from dataclasses import asdict, replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest
import torch

from selfpab.activities import Activities
from selfpab.cohorts.cohort_tables import write_cohort_tables
from selfpab.cohorts.folders import predict_folder
from selfpab.cohorts.settings import PredictConfig
from selfpab.config import ConfigError
from selfpab.data.parquet import write_parquet
from selfpab.data.simulation import simulate
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.inference.model import Model
from selfpab.recording import Recording
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig
from tests.predicted_lives import write_life

TWO = Activities("two", (7, 1), ("sitting", "walking (fast)"))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    torch.manual_seed(0)
    numbers = Normalisation(np.full(156, 2, np.float32), np.full(156, 3, np.float32))
    upstream = Upstream.fresh(
        EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16), SpectrogramConfig(), numbers
    )
    head = Head(2, 12, 9, 2).state_dict()
    about = {"finetune": asdict(FinetuneConfig(hidden=9))}
    folder = tmp_path_factory.mktemp("somewhere") / "mine"
    return PredictConfig(
        model=str(save_model(folder, upstream, card="", head=head, activities=TWO, downstream=about)), precision="fp32"
    )


@pytest.fixture
def study(tmp_path):
    for made in simulate(2, 0.05, seed=4, labelled=False):
        own = Recording(made.subject, datetime(2024, 5, 1, 23, 58), 50.0, made.samples, segments=made.segments)
        (tmp_path / "study").mkdir(exist_ok=True)
        write_parquet(own, tmp_path / "study" / f"{made.subject}.parquet")
    return tmp_path / "study"


def header(path):
    if path.suffix == ".parquet":
        return list(pl.read_parquet_schema(path))
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return next(csv.reader(text.splitlines()))


def diary(tmp_path, *rows):
    path = tmp_path / "diary.csv"
    path.write_text("\n".join(["subject,start,end,kind", *rows]))
    return str(path)


def test_the_dictionary_has_every_column_of_every_table_and_no_other(study, tmp_path, config):
    (study / "broken.csv").write_text("this is no recording\n1,2\n")
    out = tmp_path / "out"
    asked = replace(config, csv=True, diary=diary(tmp_path, "P001,2024-05-01 23:58,2024-05-02 00:00,work"))
    predict_folder([study], out, asked)
    listed = pl.read_csv(out / "dictionary.csv")
    written = {path.name: header(path) for path in sorted(out.rglob("*")) if path.suffix in (".csv", ".gz", ".parquet")}
    assert written.pop("seconds.csv.gz") == written["seconds.parquet"]
    assert set(written) == {
        *("seconds.parquet", "daily.csv", "bouts.csv", "diary.csv", "people.csv", "people_diary.csv", "quality.csv"),
        *("failures.csv", "dictionary.csv"),
    }
    for name, columns in written.items():
        assert listed.filter(pl.col("file") == name)["column"].to_list() == columns, name
    assert set(listed["file"]) == set(written)
    assert not listed["definition"].null_count()


def test_tables_that_are_not_written_are_not_in_the_dictionary(study, tmp_path, config):
    predict_folder([study], tmp_path / "out", config)
    assert not {"diary.csv", "people_diary.csv"} & set(pl.read_csv(tmp_path / "out" / "dictionary.csv")["file"])


def test_a_diary_that_changes_makes_no_prediction_anew(study, tmp_path, config, monkeypatch):
    made = []
    real = Model.predict
    monkeypatch.setattr(Model, "predict", lambda self, *args, **how: (made.append(1), real(self, *args, **how))[1])
    out = tmp_path / "out"
    whole = "2024-05-01 23:58,2024-05-02 00:10"
    for kind in ("work", "home"):
        asked = replace(config, diary=diary(tmp_path, f"P001,{whole},{kind}", f"p002,{whole},{kind}"))
        assert [problem for _, problem in predict_folder([study], out, asked)] == [None, None]
        assert set(pl.read_csv(out / "people_diary.csv")["kind"]) == {kind}
    assert len(made) == 2
    (day_one, day_two), interval = (
        pl.read_csv(out / "P001" / "daily.csv").rows(named=True),
        pl.read_csv(out / "P001" / "diary.csv").row(0, named=True),
    )
    for column in ("wear_minutes", "minutes_sitting", "minutes_walking_fast"):
        assert interval[column] == pytest.approx(day_one[column] + day_two[column], abs=2e-4)
    predict_folder([study], out, config)
    assert not (out / "people_diary.csv").exists()
    assert not (out / "P001" / "diary.csv").exists()
    assert len(made) == 2


def test_rows_of_nobody_and_rows_that_do_not_fit_are_failures(study, tmp_path, config):
    path = diary(
        tmp_path, "P001,2024-05-01 23:58,2024-05-02 00:00,work", "P9,2024-05-01 23:58,2024-05-02 00:00,work",
        "P002,2024-05-01 23:58+02:00,2024-05-02 00:00+02:00,work",
    )  # fmt: skip
    outcome = predict_folder([study], tmp_path / "out", replace(config, diary=path))
    assert outcome[0][1] is None
    assert "diary.csv: row 4: 2024-05-01 23:58:00+02:00 has an offset" in outcome[1][1]
    assert outcome[2] == (path, "no recording is of P9 (row 3); wanted subjects or names of recordings")
    failures = pl.read_csv(tmp_path / "out" / "failures.csv")
    assert failures["reason"].to_list() == [outcome[1][1], outcome[2][1]]
    assert pl.read_csv(tmp_path / "out" / "people.csv")["subject"].to_list() == ["P001", "P002"]


def test_wrong_settings_are_said_before_any_work(study, tmp_path, config):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="row 2: end 2024-05-01 10:00 is not after"):
        predict_folder([study], out, replace(config, diary=diary(tmp_path, "P001,2024-05-01 10:00,2024-05-01 10:00,x")))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        predict_folder([study], out, replace(config, diary=str(tmp_path / "nowhere.csv")))
    with pytest.raises(ConfigError, match=r"valid_day_minutes must not be negative, got -1\.0"):
        predict_folder([study], out, replace(config, valid_day_minutes=-1.0))
    assert not out.exists()


def test_people_of_earlier_calls_are_kept_and_another_rule_makes_nothing_anew(study, tmp_path, config):
    out = tmp_path / "out"
    predict_folder([study / "P001.parquet"], out, config)
    first = (out / "P001" / "info.json").read_bytes()
    predict_folder([study], out, replace(config, valid_day_minutes=0.5))
    people = pl.read_csv(out / "people.csv")
    assert people["subject"].to_list() == ["P001", "P002"]
    assert people["valid_days"].to_list() == people["days"].to_list() == [2, 2]
    assert (out / "P001" / "info.json").read_bytes() == first
    assert json.loads(first)["classes"] == [{"code": 7, "name": "sitting"}, {"code": 1, "name": "walking (fast)"}]


def test_several_label_sets_have_the_columns_of_all(tmp_path):
    write_life(tmp_path, "a", [7], datetime(2024, 5, 1))
    write_life(tmp_path, "b", [2], datetime(2024, 5, 1), activities=Activities("b", (2, 7), ("running", "sitting")))
    write_cohort_tables(tmp_path, 0.0)
    listed = pl.read_csv(tmp_path / "dictionary.csv")
    assert listed.filter(pl.col("file") == "people.csv")["column"].to_list() == header(tmp_path / "people.csv")
    wanted = {"minutes_sitting", "minutes_walking", "minutes_lying", "minutes_running"}
    assert wanted <= set(listed.filter(pl.col("file") == "daily.csv")["column"])
    assert len(listed) == len(listed.unique(["file", "column"]))


def test_a_folder_without_predictions_has_no_tables(tmp_path):
    write_cohort_tables(tmp_path, 600.0)
    assert list(tmp_path.iterdir()) == []
