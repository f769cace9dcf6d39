"""The how-tos on models (share, onnx, embeddings, the authors' weights) are run as they stand."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from selfpab import simulate
from selfpab.activities import Activities
from selfpab.cli import main
from selfpab.data.parquet import write_parquet
from selfpab.data.reading import read
from selfpab.data.simulation import NO_FAULTS
from selfpab.downstream.head import Head
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.inference.model import load
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


def blocks(page, kind):
    """The code blocks of a page of this kind; "" is that of commands."""
    text = (ROOT / "docs" / "how-to" / page).read_text()
    return [body for name, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if name == kind]


def commands(page):
    return [line for block in blocks(page, "") for line in block.splitlines() if line.startswith("selfpab ")]


def call(line):
    with pytest.raises(SystemExit) as end:
        main(shlex.split(line)[1:])
    assert end.value.code == 0, line


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to stand in, with a model of three activities and two people."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    shape = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    numbers = Normalisation(np.full(156, 2, np.float32), np.full(156, 3, np.float32))
    upstream = Upstream.fresh(shape, SpectrogramConfig(window_frames=119), numbers)
    head = Head(2, 12, 9, 3)
    with torch.no_grad():
        head.output.weight.mul_(5)
    three = Activities("three", (7, 6, 1), ("sitting", "standing", "walking"))
    save_model(tmp_path / "model", upstream, card="# Three\n", head=head.state_dict(), activities=three)
    for one in simulate(2, 0.1, seed=1, faults=NO_FAULTS):
        (tmp_path / "people").mkdir(exist_ok=True)
        write_parquet(one, tmp_path / "people" / f"{one.subject}.parquet")
    return tmp_path


def test_a_model_is_shared(here, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "tests" / "sharing")
    from hub_server import as_the_hub

    with as_the_hub(monkeypatch, here / "cache") as hub:
        for line in commands("share.md"):
            call(line)
    ((commit, _),) = hub.repositories["someone/walks"]
    assert f"pushed hub:someone/walks@{commit}\n" in capsys.readouterr().out
    tables = []
    for folder in ("predicted", "again"):
        info = json.loads((here / folder / "P001" / "info.json").read_text())
        assert info["model"]["hub"] == f"someone/walks@{commit}"
        tables.append(pl.read_parquet(here / folder / "P001" / "seconds.parquet"))
    assert tables[0].equals(tables[1])


def test_a_model_in_onnx_predicts_the_same(here, capsys):
    (line,) = commands("onnx.md")
    call(line)
    assert re.search(r"wrote walks.onnx; onnxruntime and torch differ by at most \de-\d+ in a", capsys.readouterr().out)
    recording = read(here / "people" / "P001.parquet")
    columns = [f"column_{i}" for i in range(7)]
    rows = np.column_stack([np.arange(len(recording)), recording.acceleration_g])
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(here / "person.csv")
    (code,) = blocks("onnx.md", "python")
    names: dict = {}
    exec(code, names)
    expected = load("model", precision="fp32").predict(recording).seconds
    assert len(names["seconds"]) == len(expected) == 360
    probabilities = expected.select("p_sitting", "p_standing", "p_walking").to_numpy()
    np.testing.assert_allclose(names["seconds"], probabilities, rtol=0, atol=1e-4)
    assert np.ptp(probabilities, axis=0).max() > 0.1
    assert names["count"].max() == 2


def test_days_are_clustered_without_labels(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")
    for line in commands("embeddings.md"):
        call(line)
    capsys.readouterr()
    names: dict = {}
    for code in blocks("embeddings.md", "python"):
        exec(code, names)
    told = capsys.readouterr().out
    index, lot = map(float, re.search(r"adjusted Rand index: (\S+); by lot: (\S+)", told).groups())
    assert index > 0.4
    assert abs(lot) < 0.02
    assert len(re.findall(r"kind \d: \d+ % \w+", told)) == names["KINDS"]
    assert {"lying", "sitting", "walking"} <= set(re.findall(r"% (\w+)", told))


def test_the_authors_weights(here):
    """With the small genuine checkpoint of the goldens, and a classifier made of it."""
    shutil.copy(GOLDEN / "g2_small_upstream.ckpt", here / "upstream.ckpt")
    (here / "norm_params").mkdir()
    for name, value in (("mean", 2.0), ("std", 3.0)):
        np.savetxt(here / "norm_params" / f"{name}.csv", np.full(156, value))
    read_ = torch.load(here / "upstream.ckpt", weights_only=True)["state_dict"]
    prefixes = {"emb": "0", "transformer_encoder": "1"}
    state = {
        f"upstream_models.0.upstream_model.{prefixes[k.split('.')[0]]}.{k.split('.', 1)[1]}": v
        for k, v in read_.items()
        if k.split(".")[0] in prefixes
    }
    with np.load(GOLDEN / "g8_downstream_model.npz") as g8:
        heads = [name for name in g8.files if name.startswith("head.")]
        state |= {f"prediction_head.{n.removeprefix('head.')}": torch.from_numpy(g8[n]) for n in heads}
    torch.save({"state_dict": state, "hyper_parameters": {"args": {}}}, here / "classifier.ckpt")
    for line in commands("authors-weights.md"):
        call(line)
    assert load("encoder").head is None
    for folder, windows in (("predicted", "authors"), ("quickly", "ours")):
        info = json.loads((here / folder / "P002" / "info.json").read_text())
        assert info["windows"] == windows
        assert len(pl.read_parquet(here / folder / "P002" / "seconds.parquet")) == 360
