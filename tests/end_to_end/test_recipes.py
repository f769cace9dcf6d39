"""The recipes run: a corpus is packed and unpacked to the same bits; the GPU recipe goes on after kills."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from selfpab.data.simulation import simulate, write_dataset
from selfpab.data.store import open_corpus
from selfpab.upstream import ingest, open_model

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
