"""From paths to recordings that were looked at."""

from pathlib import Path

import numpy as np
import pytest

from selfpab.data import preparation as module
from selfpab.data.parquet import write_parquet
from selfpab.data.placement_turns import planted
from selfpab.data.preparation import ReadConfig, found_in, prepared, reason_of, settings_of
from selfpab.data.simulation import NO_FAULTS, Faults, simulate
from selfpab.data.sources import Source
from selfpab.recording import RecordingError


@pytest.fixture(scope="module")
def person():
    return simulate(1, 2.5, seed=3, faults=Faults(gaps_per_hour=0, non_wear_s=3600.0))[0]


def written(recording, folder: Path) -> Source:
    path = folder / f"{recording.subject}.parquet"
    write_parquet(recording, path)
    return Source(folder, path)


def test_a_recording_comes_marked_repaired_and_in_civil_time(person, tmp_path):
    source = written(planted(person, turns={"thigh": "x"}), tmp_path)
    recording = prepared(source, ReadConfig(tz="Europe/Oslo"))
    kinds = {mark.kind for mark in recording.marks}
    assert {"non-wear", "placement thigh"} <= kinds
    assert [mark.first for mark in recording.marks] == sorted(mark.first for mark in recording.marks)
    assert recording.start is not None
    assert str(recording.start.tzinfo) == "Europe/Oslo"
    off = np.asarray(person.labels) == -1
    marked = np.zeros(len(off), bool)
    for mark in recording.marks:
        if mark.kind == "non-wear":
            marked[mark.first : mark.stop] = True
    assert (marked & off).sum() / off.sum() > 0.9
    assert (marked & ~off).sum() / 50 < 60
    worn = ~off
    np.testing.assert_allclose(recording.acceleration_g[worn], person.acceleration_g[worn], atol=1e-3)


def test_nothing_is_looked_for_that_was_not_asked_for(person, tmp_path):
    turned = planted(person, turns={"thigh": "x"})
    recording = prepared(written(turned, tmp_path), ReadConfig(repair="off", non_wear=False))
    assert recording.marks == ()
    np.testing.assert_allclose(recording.acceleration_g, turned.acceleration_g, atol=1e-6)
    warned = prepared(written(turned, tmp_path), ReadConfig(repair="warn", non_wear=False))
    assert {mark.kind for mark in warned.marks} == {"placement thigh"}
    np.testing.assert_allclose(warned.acceleration_g, turned.acceleration_g, atol=1e-6)


def test_an_untouched_person_is_left_alone(tmp_path):
    (person,) = simulate(1, 1.0, seed=8, faults=NO_FAULTS)
    recording = prepared(written(person, tmp_path), ReadConfig())
    assert recording.marks == ()
    np.testing.assert_array_equal(recording.acceleration_g, person.acceleration_g)


def test_a_tables_clock_goes_before_the_settings(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        module, "read", lambda path, **settings: (seen.update(settings, path=path), simulate(1, 0.01)[0])[1]
    )
    config = ReadConfig(tz="Europe/Oslo", configured_at="2024-01-01", rate_hz=50.0)
    prepared(Source(tmp_path, tmp_path / "a.cwa", tmp_path / "b.cwa", "P1", "Asia/Tokyo", "2023-05-05"), config)
    assert seen == {
        "path": (tmp_path / "a.cwa", tmp_path / "b.cwa"), "rate_hz": 50.0, "subject": "P1", "tz": "Asia/Tokyo",
        "configured_at": "2023-05-05",
    }  # fmt: skip
    prepared(Source(tmp_path, tmp_path / "a.csv"), config)
    assert (seen["path"], seen["tz"], seen["configured_at"]) == (tmp_path / "a.csv", "Europe/Oslo", "2024-01-01")


def test_paths_and_one_named_pair(tmp_path):
    for name in ("P1_back.cwa", "P1_thigh.cwa", "P2_back.cwa", "x/b 1.cwa", "x/c.cwa"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, problems = found_in([tmp_path], ReadConfig())
    assert [source.subject for source in found] == ["P1"]
    assert sorted(problem.path.name for problem in problems) == ["P2_back.cwa", "b 1.cwa", "c.cwa"]
    named = ReadConfig(back=str(tmp_path / "x" / "b 1.cwa"), thigh=str(tmp_path / "x" / "c.cwa"))
    (source,), problems = found_in([], named)
    assert (source.subject, source.short_name, source.files, problems) == (
        "b 1", "b_1", (tmp_path / "x" / "b 1.cwa", tmp_path / "x" / "c.cwa"), [],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "error", "words"),
    [
        (ReadConfig(), ValueError, "wanted recordings: files or folders, or back=FILE thigh=FILE"),
        (ReadConfig(back="a.cwa"), ValueError, "back= was given without thigh=; wanted the device files of both"),
        (ReadConfig(thigh="a.cwa"), ValueError, "thigh= was given without back="),
        (ReadConfig(back="a.cwa", thigh="b.cwa"), FileNotFoundError, "no a.cwa"),
    ],
)
def test_a_pair_that_is_not_one(config, error, words):
    with pytest.raises(error, match=words):
        found_in([], config)


def test_what_changes_a_recording_and_what_does_not(tmp_path):
    same = settings_of(ReadConfig())
    assert settings_of(ReadConfig(pairs="a,b", back="x", thigh="y")) == same
    for other in (ReadConfig(tz="Asia/Tokyo"), ReadConfig(repair="off"), ReadConfig(non_wear=False)):
        assert settings_of(other) != same


def test_how_a_failure_is_told():
    assert reason_of(RecordingError("a.csv: is empty")) == "a.csv: is empty"
    assert reason_of(KeyError("x")) == "KeyError: 'x'"
