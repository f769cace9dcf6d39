"""Entries of a corpus as what is predicted from."""

import json
from dataclasses import asdict
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
from selfpab.data.parquet import write_parquet
from selfpab.data.reading import read
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.recording import Recording, Segment
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.corpus import IngestConfig, ingest
from selfpab.upstream.encoder import EncoderConfig

NAMES = ("a", "b")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    torch.manual_seed(0)
    shape = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    numbers = Normalisation(np.full(156, 2, np.float32), np.full(156, 3, np.float32))
    upstream = Upstream.fresh(shape, SpectrogramConfig(), numbers)
    head, about = Head(2, 12, 9, 2).state_dict(), {"finetune": asdict(FinetuneConfig(hidden=9))}
    two = Activities("two", (7, 1), ("sitting", "walking"))
    folder = tmp_path_factory.mktemp("somewhere") / "mine"
    save_model(folder, upstream, card="", head=head, activities=two, downstream=about)
    return PredictConfig(model=str(folder), precision="fp32")


def write(path: Path, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 1, (3000, 6)).astype(np.float32)
    values[1000:1400, 3:] = 0  # the thigh's sensor measured nothing, which becomes a mark
    segments = (Segment(0, 1800, 0.0), Segment(1800, 3000, 50.0))
    write_parquet(Recording(path.stem, datetime(2024, 5, 1), 50.0, values, segments=segments), path)


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study").mkdir()
    for seed, name in enumerate(NAMES):
        write(tmp_path / "study" / f"{name}.parquet", seed)
    ingest([tmp_path / "study"], tmp_path / "corpus", quiet=True)
    return tmp_path


def tables(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "seconds.parquet")


def test_an_entry_gives_what_its_source_gives_to_rounding(study, config):
    predict_folder([study / "study"], study / "direct", config)
    outcome = predict_folder([study / "corpus"], study / "entries", config)
    assert outcome == [(str(study / "entries" / f"study-{name}"), None) for name in NAMES]
    for name in NAMES:
        found, wanted = tables(study / "entries" / f"study-{name}"), tables(study / "direct" / name)
        assert found["time"].equals(wanted["time"])
        assert found["gap"].equals(wanted["gap"])
        assert found["wear"].equals(wanted["wear"])
        assert np.mean(found["activity"].eq_missing(wanted["activity"]).to_numpy()) > 0.95
        assert (found["probability"] - wanted["probability"]).abs().max() < 0.005
        info, direct = (
            json.loads((folder / "info.json").read_text())
            for folder in (study / "entries" / f"study-{name}", study / "direct" / name)
        )
        assert info["subject"] == f"study/{name}"
        assert info["source"]["path"] == direct["source"]["path"]
        assert info["source"]["entry"] == str(study / "corpus" / "recordings" / f"study-{name}.npy")
        assert info["quality"]["dropout_hours"] == direct["quality"]["dropout_hours"] > 0
        # Of what was rounded as the corpus rounds it, to the last bit.
        file = study / "rounded" / f"{name}.parquet"
        file.parent.mkdir(exist_ok=True)
        plain, entry = read(study / "study" / f"{name}.parquet"), read(study / "corpus" / f"study-{name}")
        assert np.abs(plain.acceleration_g - entry.acceleration_g).max() <= 0.501 / 4096
        write_parquet(entry, file)
    predict_folder([study / "rounded"], study / "exact", config)
    for name in NAMES:
        assert tables(study / "exact" / name).equals(tables(study / "entries" / f"study-{name}"))


def test_one_entry_by_its_name_and_its_vectors(study, config):
    outcome = embed_folder(
        [study / "corpus" / "study-b"], study / "out", EmbedConfig(model=config.model, precision="fp32")
    )
    assert outcome == [(str(study / "out" / "study-b"), None)]
    vectors = pl.read_parquet(study / "out" / "study-b" / "embedding.parquet")
    assert len(vectors) == 74  # 36 s, a gap of 14, 24 s
    with pytest.raises(ValueError, match=r"no entry 'study-c'; did you mean 'study-b' or 'study-a'"):
        embed_folder([study / "corpus" / "study-c"], study / "out", EmbedConfig(model=config.model, precision="fp32"))


def test_equal_names_of_two_corpora_do_not_collide(study, config):
    ingest([study / "study"], study / "other", quiet=True)
    outcome = embed_folder(
        [study / "corpus" / "study-a", study / "other"],
        study / "out",
        EmbedConfig(model=config.model, precision="fp32"),
    )
    assert sorted(Path(name).name for name, _ in outcome) == ["corpus-study-a", "other-study-a", "study-b"]
    subjects = [json.loads((Path(name) / "info.json").read_text())["subject"] for name, _ in outcome]
    assert subjects == ["corpus/study/a", "other/study/a", "study/b"]


def test_an_entry_that_did_not_change_is_not_made_again_and_one_that_did_is(study, config, monkeypatch):
    predict_folder([study / "corpus"], study / "out", config)
    made = []
    whole = module._predicted
    monkeypatch.setattr(module, "_predicted", lambda *a: (made.append(a[2].name), whole(*a))[1])
    monkeypatch.setattr(module._predicted, "__name__", "_predicted")
    predict_folder([study / "corpus"], study / "out", config)
    assert made == []
    # The same samples, but marked and dated otherwise.
    ingest([study / "study"], study / "corpus", IngestConfig(tz="Europe/Oslo"), quiet=True)
    predict_folder([study / "corpus"], study / "out", config)
    assert made == ["study-a", "study-b"]
    assert json.loads((study / "out" / "study-a" / "info.json").read_text())["start"] == "2024-05-01T00:00:00+02:00"
