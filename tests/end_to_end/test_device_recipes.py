"""The recipes for raw devices and placement run on little, and write what they promise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from selfpab.data.datasets import open_dataset
from selfpab.data.simulation import simulate, write_dataset

ROOT = Path(__file__).parents[2]
PEOPLE = ["P001", "P002", "P003"]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Twelve minutes each of three people, every activity over and over."""
    folder = tmp_path_factory.mktemp("devices") / "people"
    write_dataset(folder, simulate(3, 0.2, seed=5, scenario="protocol"))
    return folder


def recipe(name: str, *words: object) -> list[str]:
    command = [sys.executable, "-W", "ignore", str(ROOT / "recipes" / name), *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def test_pairs_of_files_are_checked_once(tmp_path):
    words = ("pairs=1", "hours=0.3", "rate_hz=50")
    assert recipe("check_devices.py", tmp_path, *words)[0].startswith("1/1: offset ")
    lines, found = (tmp_path / "pairs.jsonl").read_text(), json.loads((tmp_path / "results.json").read_text())
    assert (found["settings"]["hours"], found["settings"]["rate_hz"]) == (0.3, 50.0)
    (pair,) = found["pairs"]
    assert pair["offset_error_s"] < 0.5
    assert pair["samples"] == pytest.approx(0.3 * 3600 * 50, rel=0.01)
    assert found["summary"]["failed"] == 0
    assert found["summary"]["blocks_as_planted"] == 1.0
    assert not list(tmp_path.rglob("*.cwa"))

    assert recipe("check_devices.py", tmp_path, *words)[0] == "{"  # the summary, and no line of a pair
    assert (tmp_path / "pairs.jsonl").read_text() == lines
    assert json.loads((tmp_path / "results.json").read_text())["pairs"] == found["pairs"]


def test_damaged_files_break_no_rule(tmp_path):
    recipe("fuzz_devices.py", tmp_path, "files=30")
    found = json.loads((tmp_path / "results.json").read_text())
    assert (found["files"], found["broke_a_rule"]) == (30, 0)
    refused = sum(count for kind, count in found["met"].items() if kind.startswith("refused: "))
    assert 0 < refused < 30
    assert 30 <= found["met"]["read"] + refused <= 32  # of halves of a pair, two, both may be said
    assert found["met"]["half of a pair"] in (1, 2)
    assert {"truncated tail", "no data block", "bad checksum"} <= set(found["met"])
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_what_a_repair_gives_back(people, tmp_path):
    words = (people, "xgb", tmp_path, "xgb.n_estimators=4", "xgb.max_depth=2")
    lines = recipe("check_repair.py", *words)
    assert [line.split()[1] for line in lines if line.startswith("xgb P")] == PEOPLE
    text = (tmp_path / "results.json").read_text()
    found = json.loads(text)
    scores = found["macro_f1"]["xgb"]
    assert len(scores) == 9
    assert all(sorted(fault) == PEOPLE for fault in scores.values())
    upside_down = found["summary"]["xgb"]["back turned about y"]
    assert upside_down["repaired"] > upside_down["as it is"] + 20
    assert found["summary"]["xgb"]["untouched"]["repaired"] == found["summary"]["xgb"]["untouched"]["as it is"]

    assert recipe("check_repair.py", *words)[0] == "{"
    assert (tmp_path / "results.json").read_text() == text


def test_planted_clocks_are_found(people, tmp_path):
    recipe("check_synchronisation.py", tmp_path / "found.json", people)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["recordings"] == 3
    assert list(found["lag of the body, s"]["by recording"]) == PEOPLE
    assert abs(found["lag of the body, s"]["mean"]) < 0.05
    assert found["planted"]["found"] == 3
    assert found["planted"]["error_s"]["median"] < 0.1
    assert (found["strangers"]["pairs"], found["strangers"]["accepted"]) == (6, 0)
    assert (found["other half"]["pairs"], found["other half"]["accepted"]) == (3, 0)


def test_planted_faults_of_wearing_are_counted(people, tmp_path):
    worn = list(open_dataset(people).recordings())
    for name, subjects in (("harth", PEOPLE[:2]), ("har70plus", PEOPLE[2:])):
        write_dataset(tmp_path / name, [one for one in worn if one.subject in subjects])
    recipe("check_placement.py", tmp_path, tmp_path / "out", "simulated=1")
    found = json.loads((tmp_path / "out" / "results.json").read_text())["counts"]
    assert found["untouched"] == {"HAR70+": {"right": 1}, "HARTH": {"right": 2}, "simulated": {"right": 1}}
    assert found["swapped"]["simulated"] == {"right": 1}
    assert sum(found["both turned about one axis each"]["HARTH"].values()) == 2 * 9
    assert "pieces of 3 minutes, untouched" in found
