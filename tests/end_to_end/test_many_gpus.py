"""docs/how-to/many-gpus.md is run as it stands, on CPU processes, with fewer and smaller steps."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from selfpab.config import load
from selfpab.data.simulation import simulate, write_dataset
from selfpab.upstream import PretrainConfig, ingest, open_model
from selfpab.upstream.run import metrics

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "many-gpus.md").read_text(encoding="utf-8")
LINES = [line.removeprefix("$ ") for line in PAGE.splitlines() if line.startswith("$ ")]
(SCRIPT,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
FEW = ["steps=3", "batch=16", "encoder.d_model=24", "encoder.d_feedforward=32", "validation_windows=2"]
PORT = "29500"


def settings_in(line: str) -> list[str]:
    words = shlex.split(line)
    return [word for word in words[words.index("pretrain") + 3 :] if not word.startswith("preset=")]


@pytest.mark.parametrize("line", [*LINES, SCRIPT.replace("\\\n", "").splitlines()[-1]])
def test_every_command_has_settings_that_exist(line):
    preset = re.search(r"preset=(\w+)", line)
    assert preset
    load(PretrainConfig, preset=preset[1], section="pretrain", settings=settings_in(line))


def test_the_page_quotes_what_is_said():
    from selfpab.upstream import lost_processes, run

    quoted = re.search(r"```\nselfpab: (.*?)```", PAGE, re.DOTALL)
    assert quoted
    first, whole, how = " ".join(quoted[1].split()).split("; ")
    source = Path(lost_processes.__file__).read_text()
    assert first.replace("4", "{processes}") in source
    text = Path(run.__file__).read_text()
    assert f"{whole}; {how}".replace("runs/a", "{run}").replace("1000", "{step}") in text
    assert "five minutes" in PAGE
    assert lost_processes.LOST_S == 5 * 60


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with `corpus/`, and a `torchrun` that takes few small steps."""
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "people", simulate(3, 0.1, seed=5, scenario="protocol"))
    ingest([tmp_path / "people"], tmp_path / "corpus", quiet=True)
    tool(tmp_path, "torchrun", f'exec {shlex.quote(sys.executable)} -m torch.distributed.run "$@" {shlex.join(FEW)}')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def tool(folder: Path, name: str, body: str) -> None:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


def succeed(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        said = process.communicate(timeout=600)[1]
        assert process.returncode == 0, said


def start(*words: str) -> subprocess.Popen:
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_the_commands_train(line, place):
    line = line.replace(f"HOST:{PORT}", f"localhost:{free_port()}")
    nodes = re.search(r"--nnodes=(\d)", line)
    succeed([start("bash", "-c", line) for _ in range(int(nodes[1]) if nodes else 1)])
    (run,) = (place / "runs").iterdir()
    assert len([row for row in metrics(run) if "validation_loss" in row]) == 1
    assert open_model(run / "model").upstream.trained["steps"] == 3


@pytest.mark.slow
def test_the_slurm_script_trains(place, monkeypatch):
    tool(place, "scontrol", '[ "$*" = "show hostnames HOST[1-2]" ] && echo localhost && echo HOST2')
    tool(place, "srun", '"$@" & "$@" & wait -n && wait -n')  # the same command on two machines
    for name, value in (("JOB_NODELIST", "HOST[1-2]"), ("JOB_NUM_NODES", "2"), ("JOB_ID", "7"), ("GPUS_ON_NODE", "1")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    script = place / "job.sh"
    script.write_text(SCRIPT.replace(f":{PORT}", f":{free_port()}").replace("preset=paper", "preset=tiny"))
    (place / "activate").touch()
    script.write_text(script.read_text().replace("/project/venv/bin/activate", "./activate"))
    succeed([start("bash", "-e", str(script))])
    assert open_model(place / "runs" / "c" / "model").upstream.trained["steps"] == 3
