"""The recipes run: a corpus is packed and unpacked to the same bits; the GPU recipe goes on after kills."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from selfpab.data.simulation import simulate, write_dataset
from selfpab.data.store import open_corpus
from selfpab.features.normalisation import recording_moments
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.upstream import ingest, open_model
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_dataset(folder, simulate(3, 0.1, seed=6))
    return ingest([folder], tmp_path_factory.mktemp("corpus"), quiet=True)[0]


def pack(*words: object) -> None:
    subprocess.run([sys.executable, ROOT / "recipes" / "pack.py", *map(str, words)], check=True, cwd=ROOT)


def test_a_packed_corpus_comes_back_to_the_bit(corpus, tmp_path):
    pack("pack", corpus.folder, tmp_path / "packed.parquet")
    pack("unpack", tmp_path / "packed.parquet", tmp_path / "again")
    again = open_corpus(tmp_path / "again")
    assert [e.subject for e in again.entries] == [e.subject for e in corpus.entries]
    assert again.checksum == corpus.checksum
    for place in range(len(corpus)):
        np.testing.assert_array_equal(again.counts(place), corpus.counts(place))
        assert again.entries[place].segments == corpus.entries[place].segments


@pytest.mark.slow
def test_the_gpu_recipe_goes_on_on_a_fresh_machine(corpus, tmp_path):
    """Calls of a few seconds, each with an empty work folder, until it says that it is finished."""
    pack("pack", corpus.folder, tmp_path / "packed.parquet")
    said = []
    for call in range(12):
        environment = os.environ | {
            "PYTHON": sys.executable,
            "PRESET": "tiny",
            "STEPS": "900",
            "BATCH": "16",
            "SAVE_EVERY": "20",
            "PIECE_S": "12",
            "WORK": str(tmp_path / f"machine-{call}"),
            "OMP_NUM_THREADS": "1",
        }
        command = ["bash", ROOT / "recipes" / "pretrain-gpu.sh", tmp_path / "packed.parquet", tmp_path / "out"]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        said.append(done.stdout.splitlines()[-1])
        if said[-1].startswith("finished"):
            break
    assert said[-1].startswith("finished"), said
    assert any("call again" in line for line in said)
    assert open_model(tmp_path / "out" / "model").upstream.trained["steps"] == 900


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with `people`, four of them, and `model`, a small untrained encoder."""
    folder = tmp_path_factory.mktemp("recipes")
    people = simulate(4, 0.05, seed=6, scenario="protocol")
    write_dataset(folder / "people", people)
    torch.manual_seed(0)
    shape = SpectrogramConfig(window_frames=119)
    small = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    numbers = recording_moments(people[0], shape).normalisation("one")
    save_model(folder / "model", Upstream.fresh(small, shape, numbers), card="")
    return folder


def recipe(name: str, folder: Path, *words: object) -> list[str]:
    command = [sys.executable, "-W", "ignore", str(ROOT / "recipes" / name), *map(str, words)]
    return subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True).stdout.splitlines()


def test_what_a_line_reads_from_each_layer(model):
    lines = recipe("probe_layers.py", model, "people", "model", "probed", "without=P004", "frames=200")
    found = json.loads((model / "probed" / "results.json").read_text())
    kinds = [f"{kind}, layer {layer}" for kind in ("pre-trained", "untrained") for layer in (1, 2)]
    assert set(found["macro_f1"]) == {"spectrum", "spectrum, neighbours", *kinds}
    assert len(lines) == len(kinds) + 2
    assert sorted(name for fold in found["data"]["folds"] for name in fold) == ["P001", "P002", "P003"]
    assert found["macro_f1"]["spectrum"]["macro_f1"] > 0.3  # the simulated activities differ in their spectra


def test_the_search_goes_on_where_it_stopped(model, tmp_path):
    def search(rates: str) -> list[str]:
        words = ("people", "model", tmp_path, "spectr-mlp,selfpab", f"rates={rates}", "steps=3", "without=P004")
        return recipe("search_downstream.py", model, *words, "finetune.batch=2")

    assert len(search("0.01")) == 2
    assert len(search("0.01,0.1")) == 2  # the others are there
    found = json.loads((tmp_path / "results.json").read_text())
    assert [(e["method"], e["rate"]) for e in found["entries"]] == [
        ("spectr-mlp", 0.01),
        ("selfpab", 0.01),
        ("spectr-mlp", 0.1),
        ("selfpab", 0.1),
    ]
    assert sorted(found["entries"][0]["people"]) == ["P001", "P002", "P003"]
    assert sorted(name for fold in found["data"]["folds"] for name in fold) == ["P001", "P002", "P003"]


@pytest.mark.slow
def test_the_gpu_evaluation_goes_on_on_a_fresh_machine(tmp_path):
    """Killed after some seconds, each time with an empty work folder, until it says that it is finished."""
    people = simulate(4, 0.1, seed=6, scenario="protocol")
    write_dataset(tmp_path / "people", people)
    shape = SpectrogramConfig(window_frames=119)
    small = EncoderConfig(d_model=12, layers=1, heads=2, d_feedforward=16, dropout=0.0)
    numbers = recording_moments(people[0], shape).normalisation("one")
    save_model(tmp_path / "model", Upstream.fresh(small, shape, numbers), card="")
    said = []
    for call in range(12):
        environment = os.environ | {
            "PYTHON": sys.executable,
            "PRESET": "tiny",
            "METHODS": "selfpab,spectr-mlp",
            "SEEDS": "0",
            "PIECE_S": "25",
            "WORK": str(tmp_path / f"machine-{call}"),
            "OMP_NUM_THREADS": "1",
        }
        command = [
            "bash",
            ROOT / "recipes" / "evaluate-gpu.sh",
            tmp_path / "people",
            tmp_path / "model",
            tmp_path / "out",
        ]
        done = subprocess.run(
            [*command, "finetune.steps=1500"], env=environment, check=True, capture_output=True, text=True
        )
        said.append(done.stdout.splitlines()[-1])
        if said[-1].startswith("finished"):
            break
    assert said[-1].startswith("finished"), said
    assert any("call again" in line for line in said)
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "results.tar.gz").is_file()
