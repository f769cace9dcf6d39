"""docs/how-to/raw-devices.md is run as it stands, with small files."""

import re
import shlex
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from selfpab.activities import Activities
from selfpab.cli import main
from selfpab.data.simulated_devices import DeviceFaults, PairFaults, write_pair
from selfpab.data.store import open_corpus
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "raw-devices.md"
TWO = Activities("two", (7, 1), ("sitting", "walking"))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with MODEL and the files P1_back.cwa and P1_thigh.cwa, whose clocks are 5 s apart."""
    folder = tmp_path_factory.mktemp("workplace")
    torch.manual_seed(0)
    shape = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    numbers = Normalisation(np.full(156, 2, np.float32), np.full(156, 3, np.float32))
    upstream = Upstream.fresh(shape, SpectrogramConfig(), numbers)
    head = Head(2, 12, 9, 2).state_dict()
    save_model(
        folder / "MODEL",
        upstream,
        card="",
        head=head,
        activities=TWO,
        downstream={"finetune": asdict(FinetuneConfig(hidden=9))},
    )
    faults = PairFaults(thigh=DeviceFaults(offset_s=5.0))
    pair = write_pair(folder, hours=0.4, scenario="free-living", faults=faults, rate_hz=50.0)
    pair.back.rename(folder / "P1_back.cwa")
    pair.thigh.rename(folder / "P1_thigh.cwa")
    return folder


def arranged(command: list[str], workplace: Path) -> None:
    """Make cohort/ look as the command's `pairs=` expects."""
    pairs = next((word.partition("=")[2] for word in command if word.startswith("pairs=")), "")
    cohort = Path("cohort")
    shutil.rmtree(cohort, ignore_errors=True)
    cohort.mkdir()
    names = (
        ("7_LB_50.cwa", "7_RT_51.cwa")
        if "{subject}" in pairs
        else ("x.cwa", "y.cwa")
        if pairs
        else ("7_B.cwa", "7_T.cwa")
    )
    for place, name in zip(("back", "thigh"), names, strict=True):
        shutil.copy(workplace / f"P1_{place}.cwa", cohort / name)
    if pairs.endswith(".csv"):
        (cohort / "people.csv").write_text(
            "subject,back,thigh,tz,configured_at\n7,x.cwa,y.cwa,Europe/Oslo,2023-12-01\n"
        )


def test_every_command_of_the_page(workplace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("P1_back.cwa", "P1_thigh.cwa"):
        shutil.copy(workplace / name, name)
    shutil.copytree(workplace / "MODEL", "MODEL")
    text = PAGE.read_text()
    blocks = re.findall(r"```\n(selfpab .*?)```", text, re.DOTALL)
    commands = [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]
    assert len(commands) == 5
    for number, command in enumerate(commands):
        arranged(command, workplace)
        fewer = [word.replace("workers=8", "workers=1").replace("out/", f"out{number}/") for word in command]
        with pytest.raises(SystemExit) as end:
            main(fewer)
        assert end.value.code == 0, command
    starts = {}
    for number, person in ((0, "P1"), (1, "7"), (3, "7"), (4, "7")):
        quality = pl.read_csv(f"out{number}/quality.csv")
        assert quality["subject"].cast(str).to_list() == [person]
        assert quality["clock_offset_s"][0] == pytest.approx(5.0, abs=0.15)
        assert Path(f"out{number}/{person}/seconds.parquet").is_file()
        starts[number] = quality["start"][0]
    assert starts[0].endswith("+01:00")
    assert pl.read_csv("corpus/quality.csv").height == 1
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], {})


def test_the_page_simulates(tmp_path):
    command = re.search(r"`selfpab (simulate raw/ devices=yes [^`]*)`", PAGE.read_text())
    assert command
    words = [word.replace("raw/", str(tmp_path / "raw")) for word in command[1].split()]
    with pytest.raises(SystemExit) as end:
        main([*words, "hours=0.02", "people=1"])
    assert end.value.code == 0
    files = sorted(path.name for path in (tmp_path / "raw").iterdir())
    assert files == ["P001_back.cwa", "P001_thigh.cwa", "truth.json"]


def test_a_cohort_loses_nobody(workplace, tmp_path):
    """One pair is broken, one file alone, one of two people; the others are there, and all of it is told."""
    for person in ("A", "B"):
        for place in ("back", "thigh"):
            shutil.copy(workplace / f"P1_{place}.cwa", tmp_path / f"{person}_{place}.cwa")
    (tmp_path / "B_thigh.cwa").write_bytes((tmp_path / "B_thigh.cwa").read_bytes()[:5000])
    shutil.copy(workplace / "P1_back.cwa", tmp_path / "C_back.cwa")
    other = write_pair(tmp_path / "other", 3, 0.4, scenario="free-living", rate_hz=50.0)
    shutil.copy(workplace / "P1_back.cwa", tmp_path / "D_back.cwa")
    other.thigh.rename(tmp_path / "D_thigh.cwa")
    shutil.rmtree(tmp_path / "other")
    with pytest.raises(SystemExit) as end:
        main(["ingest", str(tmp_path), str(tmp_path / "corpus"), "workers=2"])
    assert end.value.code == 1
    quality, failures = (pl.read_csv(tmp_path / "corpus" / f"{name}.csv") for name in ("quality", "failures"))
    assert [name.rsplit("-", 1)[1] for name in quality["name"]] == ["A"]
    reasons = {Path(path).name: reason for path, reason in failures.rows()}
    assert sorted(reasons) == ["B_back.cwa", "C_back.cwa", "D_back.cwa"]
    assert "not the same time" in reasons["B_back.cwa"]
    assert "C has 1 of the back and 0 of the thigh" in reasons["C_back.cwa"]
    assert "not the same person or not the same time" in reasons["D_back.cwa"]
    assert open_corpus(tmp_path / "corpus").people == (f"{tmp_path.name}/A",)
