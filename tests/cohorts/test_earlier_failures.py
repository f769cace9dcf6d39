"""A failure is forgotten when it was tried again, and not before."""

import json
import os
from pathlib import Path

import pytest

from selfpab.cohorts.earlier_failures import still_failed
from selfpab.cohorts.file_stamps import place_of
from selfpab.data.quality import write_quality
from selfpab.data.sources import Problem, Source


@pytest.fixture
def out(tmp_path):
    """failures.csv with a table, a device file two folders down, and a diary."""
    told = (("one/bad.csv", "is empty,\nor nearly"), ("one/x/P1_back.cwa", "no thigh"), ("diary.csv", "no P7"))
    (tmp_path / "out").mkdir()
    write_quality(tmp_path / "out", [], [Problem(tmp_path / name, reason) for name, reason in told])
    return tmp_path / "out"


def names(problems):
    return [problem.path.name for problem in problems]


def test_what_another_call_does_not_touch_stays(out, tmp_path):
    kept = still_failed(out, [tmp_path / "two"], [Source(tmp_path / "two", tmp_path / "two" / "bad.csv")])
    assert kept[0] == Problem(tmp_path / "one" / "bad.csv", "is empty,\nor nearly")
    assert names(kept) == ["bad.csv", "P1_back.cwa", "diary.csv"]
    assert still_failed(tmp_path / "nowhere", [tmp_path], []) == []


def test_what_is_tried_again_is_told_by_that_call_alone(out, tmp_path, monkeypatch):
    assert names(still_failed(out, [tmp_path / "one"], [])) == ["diary.csv"]
    assert names(still_failed(out, [tmp_path / "one" / "x"], [])) == ["bad.csv", "diary.csv"]
    monkeypatch.chdir(tmp_path)
    assert names(still_failed(out, [Path("one") / "bad.csv", Path("diary.csv")], [])) == ["P1_back.cwa"]
    pair = Source(tmp_path, tmp_path / "one" / "x" / "P1_thigh.cwa", tmp_path / "one" / "x" / "P1_back.cwa", "P1")
    assert names(still_failed(out, [], [pair])) == ["bad.csv", "diary.csv"]


def test_a_table_in_a_folder_below_was_not_looked_at(out, tmp_path):
    assert names(still_failed(out, [tmp_path], [])) == ["bad.csv"]


@pytest.mark.parametrize(("seconds", "kept"), [(1, []), (-1, ["bad.csv"])])
def test_what_was_finished_since_is_settled(out, tmp_path, seconds, kept):
    info = out / "bad" / "info.json"
    info.parent.mkdir()
    info.write_text(json.dumps({"files": [], "content": {"place": place_of(tmp_path / "one" / "bad.csv")}}))
    written = (out / "failures.csv").stat().st_mtime + seconds
    os.utime(info, (written, written))
    assert names(still_failed(out, [tmp_path / "one" / "x", tmp_path / "diary.csv"], [])) == kept
