"""The same run on one, two and four processes; with another number in the middle; and with one of them killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from selfpab.config import load
from selfpab.upstream import PretrainConfig, make_fabric, open_model, pretrain
from selfpab.upstream.checkpoint import weights_sha256
from selfpab.upstream.pretraining import own_parts
from selfpab.upstream.run import metrics

STEPS = 120
SETTINGS = ("preset=tiny", "encoder.d_model=24", "encoder.d_feedforward=32", "batch=8", "log_every=1", "save_every=10")
DROPOUT = (
    "precision=fp32",
    "encoder.dropout=0.1",
    "encoder.attention_dropout=0.1",
    "validate_every=60",
    "peak_rate=0.001",
)
SOON_S = 60.0  # torchrun itself waits up to 30 s before it kills


@pytest.fixture(scope="module")
def config() -> PretrainConfig:
    return load(PretrainConfig, preset="tiny", section="pretrain", settings=[*SETTINGS[1:], "precision=fp32"])


def assert_same(found, wanted) -> None:
    """By what they give: Adam makes steps of the noise in the bias of a key, which changes nothing."""
    spectra = torch.randn(2, 100, 156, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made, expected = (upstream.encoder.eval()(spectra) for upstream in (found, wanted))
    torch.testing.assert_close(made, expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("accumulate", [2, 4, 8])
def test_a_batch_in_parts_is_the_batch(small_corpus, config, tmp_path, accumulate):
    """Without dropout: the same gradients, so the same network, up to the order of sums."""
    config = replace(config, steps=8, log_every=1)
    whole, parts = (
        pretrain(small_corpus, replace(config, accumulate=n), tmp_path / str(n), make_fabric("fp32"), quiet=True)
        for n in (1, accumulate)
    )
    assert_same(parts, whole)
    curves = [[row["loss"] for row in metrics(tmp_path / str(n)) if "loss" in row] for n in (1, accumulate)]
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)
    assert len(set(curves[0])) == 8


def test_memory_follows_the_part(small_corpus, config, tmp_path, monkeypatch):
    import selfpab.upstream.pretraining as module

    seen = []
    real = module.masked_l1
    monkeypatch.setattr(module, "masked_l1", lambda *given: (seen.append(len(given[0])), real(*given))[1])
    config = replace(config, steps=1, accumulate=4, validation_share=0.0)
    pretrain(small_corpus, config, tmp_path, make_fabric("fp32"), quiet=True)
    assert seen == [2, 2, 2, 2]


def parts_of(config, processes, monkeypatch):
    monkeypatch.setattr(Fabric, "world_size", property(lambda self: processes))
    found = []
    for rank in range(processes):
        monkeypatch.setattr(Fabric, "global_rank", property(lambda self, rank=rank: rank))
        found += own_parts(config, make_fabric("fp32")).items()
    return found


def test_processes_and_parts_cut_the_batch_alike(config, monkeypatch):
    cut = [(part, slice(2 * part, 2 * part + 2)) for part in range(4)]
    for processes in (1, 2, 4):
        assert parts_of(replace(config, accumulate=4 // processes), processes, monkeypatch) == cut


@pytest.mark.parametrize(
    ("batch", "accumulate", "message"),
    [
        (6, 2, "batch must be a multiple of the 2 processes times accumulate=2, got 6"),
        (7, 1, "batch must be a multiple of the 2 processes, got 7"),
        (0, 1, "batch must be a multiple of the 2 processes, got 0"),
        (8, 0, "accumulate must be at least 1, got 0"),
    ],
)
def test_a_batch_that_cannot_be_cut_is_refused(config, monkeypatch, batch, accumulate, message):
    with pytest.raises(ValueError, match=message):
        parts_of(replace(config, batch=batch, accumulate=accumulate), 2, monkeypatch)


def test_parts_may_change_in_the_middle_with_a_warning(small_corpus, config, tmp_path):
    config = replace(config, steps=4, save_every=2)
    whole = pretrain(small_corpus, config, tmp_path / "whole", make_fabric("fp32"), quiet=True)
    stopped = backed_up(tmp_path / "whole", tmp_path / "stopped")
    with pytest.warns(UserWarning, match=r"another accumulate \(1 -> 4\): the weights will not be bit-equal"):
        again = pretrain(small_corpus, replace(config, accumulate=4), stopped, make_fabric("fp32"), quiet=True)
    assert_same(again, whole)


def backed_up(run: Path, to: Path) -> Path:
    """The run as it was before its last checkpoint."""
    shutil.copytree(run, to)
    sorted(to.glob("step-*.ckpt"))[-1].unlink()
    shutil.rmtree(to / "model")
    return to


def command(corpus, run, processes: int, *settings: str) -> list[str]:
    start = [sys.executable, "-m"]
    if processes > 1:
        start += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    return [
        *start,
        "selfpab",
        "pretrain",
        str(corpus.folder),
        str(run),
        *SETTINGS,
        *DROPOUT,
        f"steps={STEPS}",
        *settings,
    ]


def started(words: list[str], **more: str) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | more
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)


def ended(process: subprocess.Popen, code: int = 0) -> str:
    said = process.communicate(timeout=600)[1]
    assert process.returncode == code, said
    return said


def curve(run: Path) -> list[float]:
    return [value for row in metrics(run) for key, value in row.items() if key in ("loss", "validation_loss")]


def weights_in(run: Path) -> str:
    return weights_sha256(open_model(run / "model").upstream.encoder.state_dict())


@pytest.fixture(scope="module")
def runs(small_corpus, tmp_path_factory) -> dict[int, Path]:
    """A batch in four parts, by one, two and four processes."""
    folder = tmp_path_factory.mktemp("runs")
    for processes in (1, 2, 4):
        ended(started(command(small_corpus, folder / str(processes), processes, f"accumulate={4 // processes}")))
    return {processes: folder / str(processes) for processes in (1, 2, 4)}


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_many_processes_follow_one_also_with_dropout(runs, processes):
    assert json.loads((runs[processes] / "environment.json").read_text())["processes"] == processes
    assert len(curve(runs[1])) == STEPS + 2
    assert curve(runs[processes]) == pytest.approx(curve(runs[1]), rel=1e-4)
    assert_same(*(open_model(runs[n] / "model").upstream for n in (processes, 1)))


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 1)])
def test_a_run_goes_on_with_another_number_of_processes(small_corpus, runs, tmp_path, before, after):
    run = backed_up(runs[before], tmp_path / "run")
    said = ended(started(command(small_corpus, run, after, f"accumulate={4 // after}")))
    assert said.count(f"goes on with another processes ({before} -> {after}): the weights will not be bit-equal") == 1
    assert said.count(f"goes on with another accumulate ({4 // before} -> {4 // after})") == 1
    assert curve(run) == pytest.approx(curve(runs[before]), rel=1e-4)
    assert json.loads((run / "environment.json").read_text())["processes"] == before  # how it began


def process_of(rank: int, run: Path) -> int:
    """The id of one process of a run, by what torchrun put into its environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(run).encode() in words and f"RANK={rank}".encode() in environment:
            return int(folder.name)
    raise AssertionError(f"no process {rank} of {run}")


def at_first_checkpoint(run: Path, process: subprocess.Popen) -> None:
    end = time.monotonic() + 300
    while not list(run.glob("step-*.ckpt")):
        assert time.monotonic() < end, "no checkpoint in five minutes"
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_killed_process_ends_the_run_with_a_message_and_the_same_command_goes_on(small_corpus, runs, tmp_path):
    run = tmp_path / "run"
    words = command(small_corpus, run, 4, "accumulate=1")
    process = started(words)
    at_first_checkpoint(run, process)
    victim = process_of(2, run)
    os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    said = ended(process, 1)
    assert time.monotonic() - began < SOON_S
    assert said.count("selfpab: ") == 1
    assert "one of the 4 processes was lost (killed? out of memory?)" in said
    newest = max(int(path.stem[5:]) for path in run.glob("step-*.ckpt"))
    assert newest < STEPS
    assert f"{run} is whole up to step {newest}; the same command goes on from there" in said
    root = said[said.index("Root Cause") :]
    assert "rank      : 2" in root
    assert f"Signal 9 (SIGKILL) received by PID {victim}" in root
    ended(started(words))
    assert weights_in(run) == weights_in(runs[4])
    assert [row["step"] for row in metrics(run) if "loss" in row] == list(range(1, STEPS + 1))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_machine_that_is_lost_ends_the_run_on_the_others(small_corpus, tmp_path):
    """Two machines are two torchruns here; one goes away with all it has, and nobody tells the other."""
    run = tmp_path / "run"
    words = command(small_corpus, run, 2, "accumulate=2")
    several = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{free_port()}"]
    at = words.index("--standalone")
    words[at : at + 2] = several
    machines = [started(words) for _ in range(2)]
    at_first_checkpoint(run, machines[0])
    own = {
        int((Path("/proc") / str(process_of(rank, run)) / "stat").read_text().split(") ")[1].split()[1]): rank
        for rank in (0, 1)
    }
    lost, left = (next(m for m in machines if own[m.pid] == rank) for rank in (1, 0))
    worker = process_of(1, run)
    began = time.monotonic()
    for victim in (lost.pid, worker):
        os.kill(victim, signal.SIGKILL)
    said = ended(left, 1)
    lost.communicate()
    assert time.monotonic() - began < SOON_S
    assert said.count("selfpab: ") == 1
    assert re.search(r"selfpab: (one of|another of) the 2 processes was lost", said)  # by its torchrun, or by itself
    assert f"{run} is whole up to step " in said


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]
