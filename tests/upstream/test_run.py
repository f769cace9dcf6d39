"""A run folder: refused, resumed, cut, cleaned."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from selfpab.config import load
from selfpab.data.store import Corpus, Entry
from selfpab.features.normalisation import Normalisation
from selfpab.upstream import run as module
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.encoder import EncoderConfig
from selfpab.upstream.engine import make_fabric
from selfpab.upstream.masking import MaskingConfig
from selfpab.upstream.pretraining import PretrainConfig
from selfpab.upstream.run import Log, card, checkpoints, metrics, open_run, resume, save_checkpoint

TINY = PretrainConfig(steps=4, precision="fp32")


def corpus(checksum="a"):
    nothing = np.zeros(156)
    entry = Entry("p", None, 50.0, 1, "p", False, 4096, (), (), checksum, {}, 0, nothing, nothing)
    return Corpus(Path("corpus"), (entry,))


@pytest.fixture(scope="module")
def fabric():
    return make_fabric("fp32")


@pytest.fixture(autouse=True)
def no_board(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)


def state_of(fabric, step=0):
    torch.manual_seed(step)
    module = torch.nn.Linear(2, 2)
    model, optimizer = fabric.setup(module, torch.optim.AdamW(module.parameters(), lr=0.1))
    return {"model": model, "optimizer": optimizer, "step": step}


def test_a_new_run_writes_its_settings_and_where_it_runs(tmp_path, fabric):
    open_run(tmp_path / "run", TINY, corpus(), fabric)
    assert load(PretrainConfig, preset=tmp_path / "run" / "config.yaml", section="pretrain") == TINY
    here = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert (here["precision"], here["processes"], here["device"]) == ("32-true", 1, "cpu")
    assert here["corpus"] == corpus().checksum
    assert {"torch", "threads", "machine", "python"} <= set(here)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(TINY, peak_rate=0.5), r"run with other settings \(peak_rate: 0.0001 there, 0.5 now\)"),
        (replace(TINY, seed=3, batch=2), "batch: 64 there, 2 now, seed: 0 there, 3 now"),
        (replace(TINY, masking=MaskingConfig(time_width=5)), "masking: .*'time_width': 3.* there, .*'time_width': 5"),
        (replace(TINY, steps=5), "steps: 4 there, 5 now"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path, fabric, other, message):
    open_run(tmp_path, TINY, corpus(), fabric)
    before = (tmp_path / "config.yaml").read_text()
    with pytest.raises(ValueError, match=message):
        open_run(tmp_path, other, corpus(), fabric)
    assert (tmp_path / "config.yaml").read_text() == before


def test_another_corpus_is_refused(tmp_path, fabric):
    open_run(tmp_path, TINY, corpus(), fabric)
    with pytest.raises(ValueError, match="was begun on another corpus"):
        open_run(tmp_path, TINY, corpus("b"), fabric)


def test_what_does_not_touch_the_weights_may_change(tmp_path, fabric):
    open_run(tmp_path, TINY, corpus(), fabric)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_run(tmp_path, replace(TINY, log_every=3, validate_every=7, save_every=1, long=True), corpus(), fabric)
    assert load(PretrainConfig, preset=tmp_path / "config.yaml", section="pretrain").log_every == 3


@pytest.mark.parametrize(("key", "value"), [("threads", 99), ("precision", "bf16-mixed"), ("processes", 8)])
def test_another_machine_warns_that_it_cannot_be_bit_equal(tmp_path, fabric, key, value):
    open_run(tmp_path, TINY, corpus(), fabric)
    path = tmp_path / "environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.warns(UserWarning, match=rf"goes on with another {key} \({value} -> .*not be bit-equal"):
        open_run(tmp_path, TINY, corpus(), fabric)
    assert json.loads(path.read_text())[key] == value  # how it began stays on record


def test_a_checkpoint_brings_back_weights_optimiser_and_step(tmp_path, fabric):
    state = state_of(fabric, 3)
    state["model"](torch.ones(1, 2)).sum().backward()
    state["optimizer"].step()
    save_checkpoint(tmp_path, state, fabric)
    other = state_of(fabric)
    assert resume(tmp_path, other, fabric) == 3 == other["step"]
    torch.testing.assert_close(other["model"].weight, state["model"].weight, rtol=0, atol=0)
    moments = [s["optimizer"].state_dict()["state"][0]["exp_avg"] for s in (state, other)]
    torch.testing.assert_close(*moments, rtol=0, atol=0)
    torch.load(tmp_path / "step-00000003.ckpt", weights_only=True)


def test_without_a_checkpoint_it_begins_at_the_beginning(tmp_path, fabric):
    assert resume(tmp_path, state_of(fabric), fabric) == 0


def test_the_newest_two_are_kept(tmp_path, fabric):
    for step in (5, 10, 100_000, 99):
        save_checkpoint(tmp_path, state_of(fabric, step), fabric)
        assert not list(tmp_path.glob(".*"))
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000099.ckpt", "step-00100000.ckpt"]
    assert resume(tmp_path, state_of(fabric), fabric) == 100_000


def test_a_half_written_checkpoint_does_not_count_and_is_removed(tmp_path, fabric, monkeypatch):
    open_run(tmp_path, TINY, corpus(), fabric)
    save_checkpoint(tmp_path, state_of(fabric, 2), fabric)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(tmp_path, state_of(fabric, 3), fabric)
    assert list(tmp_path.glob(".step-*.part"))
    assert resume(tmp_path, state_of(fabric), fabric) == 2
    open_run(tmp_path, TINY, corpus(), fabric)
    assert not list(tmp_path.glob(".step-*.part"))


def test_metrics_are_cut_to_the_checkpoint(tmp_path, fabric):
    with Log(tmp_path, 0, fabric) as log:
        for step in (1, 2, 3, 4):
            log(step, loss=float(step))
            if step == 2:
                log(step, validation_loss=0.5)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 5, "lo')  # killed while writing
    with Log(tmp_path, 2, fabric) as log:
        assert log.last == {"step": 2, "loss": 2.0, "validation_loss": 0.5}
        log(3, loss=33.0)
    assert metrics(tmp_path) == [
        {"step": 1, "loss": 1.0},
        {"step": 2, "loss": 2.0},
        {"step": 2, "validation_loss": 0.5},
        {"step": 3, "loss": 33.0},
    ]


def test_only_the_first_process_writes(tmp_path):
    with Log(tmp_path, 0, create_autospec(Fabric, instance=True, is_global_zero=False)) as log:
        log(1, loss=1.0)
    assert not list(tmp_path.iterdir())
    assert log.last["loss"] == 1.0


def test_the_card_says_what_it_has_seen():
    shape = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    trained = {"corpora": [{"name": "harth"}, {"name": "more"}], "hours": 2.5, "people": 7, "held_out": ["harth/S6"]}
    numbers = Normalisation(np.zeros(156, np.float32), np.ones(156, np.float32))
    upstream = Upstream.fresh(shape, TINY.spectrogram, numbers, trained)
    parameters = sum(p.numel() for p in upstream.encoder.parameters())
    text = card(upstream, TINY, {"validation_loss": 0.12345})
    for part in ("harth, more", "2.5 h of 7 people", "held out: harth/S6", f"{parameters:,}", "0.123", "4 steps of 64"):
        assert part in text
    assert "| not measured " in card(upstream, TINY, {})
