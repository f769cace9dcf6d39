"""The loop: it learns, it resumes to the same bits, and says what it cannot do."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from lightning_fabric import Fabric

from selfpab.config import ConfigError, load
from selfpab.upstream import PretrainConfig, TooLong, make_fabric, open_model, pretrain
from selfpab.upstream.checkpoint import weights_sha256
from selfpab.upstream.pretraining import Stopwatch, training_data, validation_loss
from selfpab.upstream.run import checkpoints, metrics

SETTINGS = [
    "encoder.d_model=24",
    "encoder.d_feedforward=32",
    "batch=4",
    "log_every=1",
    "save_every=4",
    "validate_every=6",
]


@pytest.fixture(scope="module")
def config() -> PretrainConfig:
    return load(
        PretrainConfig, preset="tiny", section="pretrain", settings=[*SETTINGS, "steps=12", "encoder.dropout=0.1"]
    )


@pytest.fixture(scope="module")
def uninterrupted(small_corpus, config, tmp_path_factory) -> str:
    run = tmp_path_factory.mktemp("run")
    return pretrain(small_corpus, config, run, make_fabric("auto"), quiet=True).sha256


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", [1, 4, 5, 11])
def test_a_run_stopped_at_any_step_ends_in_the_same_bits(
    small_corpus, config, uninterrupted, tmp_path, monkeypatch, at
):
    import selfpab.upstream.pretraining as module

    whole = module.learning_rate

    def stop(step, config):
        if step == at:
            raise Killed
        return whole(step, config)

    monkeypatch.setattr(module, "learning_rate", stop)
    with pytest.raises(Killed):
        pretrain(small_corpus, config, tmp_path, make_fabric("auto"), quiet=True)
    monkeypatch.setattr(module, "learning_rate", whole)
    assert pretrain(small_corpus, config, tmp_path, make_fabric("auto"), quiet=True).sha256 == uninterrupted
    steps = [row["step"] for row in metrics(tmp_path) if "loss" in row]
    assert steps == list(range(1, 13))


@pytest.mark.parametrize("setting", ["encoder.upright_share=0.5", "encoder.statistics=true"])
def test_what_belongs_to_fine_tuning_is_refused(small_corpus, tmp_path, setting):
    config = load(PretrainConfig, preset="tiny", section="pretrain", settings=[*SETTINGS, setting])
    key = setting.partition("=")[0]
    with pytest.raises(
        ConfigError, match=rf"{key}=.*: pre-training rebuilds bare spectra .* as they are; leave it out"
    ):
        pretrain(small_corpus, config, tmp_path / "run", make_fabric("auto"), quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_not_trained_again(small_corpus, config, uninterrupted, tmp_path, monkeypatch):
    pretrain(small_corpus, config, tmp_path, make_fabric("auto"), quiet=True)
    monkeypatch.setattr("selfpab.upstream.pretraining.learning_rate", lambda *_: pytest.fail("trained again"))
    assert pretrain(small_corpus, config, tmp_path, make_fabric("auto"), quiet=True).sha256 == uninterrupted


def test_the_run_folder_holds_what_it_should(small_corpus, config, tmp_path):
    trained = pretrain(small_corpus, config, tmp_path, make_fabric("auto"), quiet=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "model",
        "step-00000008.ckpt",
        "step-00000012.ckpt",
    }
    assert len(checkpoints(tmp_path)) == 2
    assert load(PretrainConfig, preset=tmp_path / "config.yaml", section="pretrain") == config
    opened = open_model(tmp_path / "model").upstream
    assert opened.sha256 == trained.sha256
    assert opened.trained["people"] + len(opened.trained["held_out"]) == 5
    held_out = [row["validation_loss"] for row in metrics(tmp_path) if "validation_loss" in row]
    _, validation, _ = training_data(small_corpus, config)
    assert validation is not None
    again = validation_loss(opened, validation, config, make_fabric("auto"))
    assert again == pytest.approx(held_out[-1], rel=1e-3)
    assert f"{held_out[-1]:.4f}" in (tmp_path / "model" / "README.md").read_text()


def test_it_learns(small_corpus, tmp_path):
    config = load(PretrainConfig, preset="tiny", section="pretrain", settings=["steps=100", "validate_every=4"])
    pretrain(small_corpus, config, tmp_path, make_fabric("auto"), quiet=True)
    losses = [row["validation_loss"] for row in metrics(tmp_path) if "validation_loss" in row]
    assert losses[-1] < 0.8 * losses[0]
    assert losses[-1] == min(losses) or losses[-1] < 1.05 * min(losses)


def test_normalisation_and_windows_leave_the_people_held_out_alone(small_corpus, config):
    training, validation, normalisation = training_data(small_corpus, config)
    assert validation is not None
    used, held_out = ({small_corpus.entries[i].subject for i, _ in w.runs} for w in (training, validation))
    assert used.isdisjoint(held_out)
    assert used | held_out == set(small_corpus.people)
    poisoned = replace(
        small_corpus,
        entries=tuple(
            replace(e, spectrum_sum=e.spectrum_sum + 1e9) if e.subject in held_out else e for e in small_corpus.entries
        ),
    )
    assert (training_data(poisoned, config)[2].mean == normalisation.mean).all()


def test_a_loss_that_is_not_finite_stops_the_run(small_corpus, config, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "selfpab.upstream.pretraining.masked_l1", lambda *_: torch.tensor(float("nan"), requires_grad=True)
    )
    with pytest.raises(FloatingPointError, match="the loss became nan by step 1"):
        pretrain(small_corpus, config, tmp_path, make_fabric("auto"), quiet=True)


def test_a_run_over_48_hours_must_be_asked_for(config):
    now = [0.0]
    watch = Stopwatch(replace(config, steps=1_000_000), 0, clock=lambda: now[0])
    for step in range(3):
        now[0] = step * 1.0
        assert watch.expected(step) is None
    now[0] = 3.0
    with pytest.raises(TooLong, match=r"11\.6 days.*preset=small.*long=yes"):
        watch.expected(3)
    watch = Stopwatch(replace(config, steps=1_000_000, long=True), 0, clock=lambda: now[0])
    now[0] = 0.0
    watch.expected(0)
    now[0] = 3.0
    assert watch.expected(3) == pytest.approx(1e6, rel=1e-3)


def test_a_batch_that_does_not_divide_among_processes_is_refused(small_corpus, config, tmp_path, monkeypatch):
    monkeypatch.setattr(Fabric, "world_size", property(lambda self: 2))
    with pytest.raises(ValueError, match="multiple of the 2 processes, got 5"):
        pretrain(small_corpus, replace(config, batch=5), tmp_path, make_fabric("auto"))


def command(corpus, run, *settings: str, processes: int = 0) -> list[str]:
    start = [sys.executable, "-W", "ignore", "-m"]
    if processes:
        start += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    return [*start, "selfpab", "pretrain", str(corpus.folder), str(run), "preset=tiny", *SETTINGS, *settings]


def weights_in(run) -> str:
    return weights_sha256(open_model(run / "model").upstream.encoder.state_dict())


@pytest.mark.slow
def test_twenty_kills_at_random_moments_end_in_the_same_bits(small_corpus, tmp_path):
    """At least three of them while a checkpoint is written: its `.part` is there when the signal comes."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    settings = ("steps=3000", "save_every=5", "encoder.d_model=96")
    subprocess.run(
        command(small_corpus, tmp_path / "whole", *settings), check=True, env=environment, capture_output=True
    )
    chance, run = random.Random(7), tmp_path / "killed"
    kills = writing = 0
    while kills < 20:
        process = subprocess.Popen(command(small_corpus, run, *settings), env=environment, stderr=subprocess.DEVNULL)
        began, wait = time.monotonic(), chance.uniform(3.5, 7.0)
        while process.poll() is None:
            part = any(run.glob(".step-*.part"))
            if (kills % 3 == 0 and part) or time.monotonic() - began > wait:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                writing += any(run.glob(".step-*.part"))
                break
            time.sleep(0.0002)
        else:
            assert process.returncode == 0
            break
    assert kills == 20, f"the run was over after {kills} kills; make it longer"
    assert writing >= 3
    subprocess.run(command(small_corpus, run, *settings), check=True, env=environment, capture_output=True)
    assert weights_in(run) == weights_in(tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_follow_one(small_corpus, tmp_path):
    """DESIGN 7: dropout 0, fp32, 1e-5 relative over 50 steps."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    settings = ("steps=50", "precision=fp32", "encoder.dropout=0.0", "save_every=50")
    one, two = tmp_path / "one", tmp_path / "two"
    subprocess.run(command(small_corpus, one, *settings), check=True, env=environment, capture_output=True)
    subprocess.run(command(small_corpus, two, *settings, processes=2), check=True, env=environment, capture_output=True)
    losses = [[row["loss"] for row in metrics(run) if "loss" in row] for run in (one, two)]
    assert len(losses[0]) == len(losses[1]) == 50
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert json.loads((two / "environment.json").read_text())["processes"] == 2
