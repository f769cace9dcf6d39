"""From paths to recordings that were looked at."""

from pathlib import Path

import numpy as np
import pytest

from selfpab.config import ConfigError
from selfpab.data import device_pairs
from selfpab.data.parquet import write_parquet
from selfpab.data.placement_turns import planted
from selfpab.data.preparation import ReadConfig, content_key, found_in, idle_words, prepared, reason_of, settings_of
from selfpab.data.simulated_devices import DeviceFaults, PairFaults, write_pair
from selfpab.data.simulation import NO_FAULTS, START, Faults, simulate, values_at
from selfpab.data.sources import Source
from selfpab.data.store import add_recording, write_index
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


def test_a_pair_is_read_as_the_settings_say_and_a_tables_clock_goes_before_them(tmp_path, monkeypatch):
    seen = {}

    def stand_in(back, thigh, **how):
        seen.update(how, files=(back.name, thigh.name))
        return simulate(1, 0.01)[0]

    monkeypatch.setattr(device_pairs, "read_pair", stand_in)
    config = ReadConfig(
        tz="Europe/Oslo",
        configured_at="2024-01-01",
        calibrate=False,
        align=False,
        longest_offset_s=60.0,
        non_wear=False,
    )
    source = Source(tmp_path, tmp_path / "a.cwa", tmp_path / "b.cwa", "P1", "Asia/Tokyo", "2023-05-05")
    recording = prepared(source, config)
    assert (recording.source["tz"], recording.source["configured_at"]) == ("Asia/Tokyo", "2023-05-05")
    assert seen == {
        "files": ("a.cwa", "b.cwa"), "subject": "P1", "calibrate": False, "align": False, "look_for_non_wear": False,
        "longest_offset_s": 60.0, "single_sensor": False,
    }  # fmt: skip
    recording = prepared(Source(tmp_path, tmp_path / "a.cwa", tmp_path / "b.cwa", "P1"), config)
    assert (recording.source["tz"], recording.source["configured_at"]) == ("Europe/Oslo", "2024-01-01")


def test_a_simulated_pair_end_to_end(tmp_path):
    faults = PairFaults(
        back=DeviceFaults(turned="z"), thigh=DeviceFaults(offset_s=7.0, gain=(1.02, 1.0, 1.0)), swapped=True
    )
    pair = write_pair(tmp_path, hours=1.0, scenario="free-living", faults=faults, rate_hz=50.0)
    (source,), _ = found_in([tmp_path], ReadConfig())
    recording = prepared(source, ReadConfig())
    assert recording.subject == "P001"
    assert abs(recording.source["alignment"]["offset_s"] + 7.0) < 0.15  # the file called back is the thigh's
    assert {"placement swap"} <= {mark.kind for mark in recording.marks}
    # the grid is that of the file called back, which is the thigh's clock
    shown = (recording.start - START).total_seconds() + recording.sample_times_s()
    true_s = faults.thigh.true_s(shown, pair.recording.seconds / 2)
    expected = values_at(pair.recording.samples, true_s * 50.0)
    still = np.abs(np.diff(expected, axis=0, prepend=expected[:1])).max(axis=1) < 0.01
    assert np.abs(recording.acceleration_g - expected)[still].mean() < 0.03


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
        (ReadConfig(back="a.cwa"), FileNotFoundError, "no a.cwa"),
        (ReadConfig(thigh="a.cwa"), FileNotFoundError, "no a.cwa"),
        (ReadConfig(back="a.cwa", thigh="b.cwa"), FileNotFoundError, "no a.cwa"),
    ],
)
def test_a_pair_that_is_not_one(config, error, words):
    with pytest.raises(error, match=words):
        found_in([], config)


def test_one_table_for_two_folders_gives_every_pair_once(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    for name in ("1.cwa", "2.cwa"):
        (tmp_path / name).touch()
    (tmp_path / "who.csv").write_text("subject,back,thigh\nP1,1.cwa,2.cwa\n")
    found, problems = found_in([tmp_path / "a", tmp_path / "b"], ReadConfig(pairs=str(tmp_path / "who.csv")))
    assert [(source.name, source.subject) for source in found] == [("a-P1", "P1")]
    assert problems == []


def test_a_wrong_zone_is_told_before_anything_is_read(tmp_path):
    (tmp_path / "1.cwa").touch()
    (tmp_path / "2.cwa").touch()
    (tmp_path / "who.csv").write_text("subject,back,thigh,tz\nP1,1.cwa,2.cwa,Europe/Olso\n")
    with pytest.raises(RecordingError, match="did you mean Europe/Oslo"):
        found_in([tmp_path], ReadConfig(tz="Europe/Olso"))
    with pytest.raises(RecordingError, match="'soon' is no date"):
        found_in([tmp_path], ReadConfig(tz="Europe/Oslo", configured_at="soon"))
    found, problems = found_in([tmp_path], ReadConfig(pairs=str(tmp_path / "who.csv")))
    assert found == []
    assert "did you mean Europe/Oslo" in problems[0].reason


def test_what_changes_a_recording_and_what_does_not(tmp_path):
    same = settings_of(ReadConfig())
    assert settings_of(ReadConfig(pairs="a,b", back="x", thigh="y")) == same
    for other in (
        ReadConfig(tz="Asia/Tokyo"),
        ReadConfig(repair="off"),
        ReadConfig(non_wear=False),
        ReadConfig(align=False),
    ):
        assert settings_of(other) != same


def test_how_a_failure_is_told():
    assert reason_of(RecordingError("a.csv: is empty")) == "a.csv: is empty"
    assert reason_of(KeyError("x")) == "KeyError: 'x'"


def test_an_entry_of_a_corpus_is_not_repaired_again(person, tmp_path):
    turned = planted(person, turns={"thigh": "x"})
    first = prepared(written(turned, tmp_path), ReadConfig(tz="Europe/Oslo"))
    nothing = (0, np.zeros(156), np.zeros(156))
    add_recording(first, tmp_path / "corpus", "a", checksum="1", moments=nothing)
    # As one whose placement was left alone: that must stay.
    add_recording(turned, tmp_path / "corpus", "b", checksum="1", moments=nothing)
    write_index(tmp_path / "corpus")
    (a, b), problems = found_in([tmp_path / "corpus"], ReadConfig())
    assert problems == []
    entry = prepared(a, ReadConfig(tz="Europe/Oslo"))
    assert (entry.marks, entry.start, entry.subject) == (first.marks, first.start, first.subject)
    assert {"non-wear", "placement thigh"} <= {mark.kind for mark in entry.marks}
    assert dict(entry.source) == {**first.source, "entry": str(a.path)}
    np.testing.assert_allclose(entry.acceleration_g, first.acceleration_g, atol=0.501 / 2048)
    left = prepared(b, ReadConfig())
    assert left.marks == ()
    np.testing.assert_allclose(left.acceleration_g, turned.acceleration_g, atol=0.501 / 2048)


def test_the_key_of_an_entry_follows_how_it_was_ingested(tmp_path):
    (person,) = simulate(1, 0.01, seed=8)
    keys = []
    for checksum in ("1", "2", "1"):
        add_recording(person, tmp_path, "a", checksum=checksum, moments=(0, np.zeros(156), np.zeros(156)))
        write_index(tmp_path)
        (source,), _ = found_in([tmp_path / "a"], ReadConfig())
        keys.append(content_key(source, ReadConfig(), sha256="the same samples"))
    assert keys[0] == keys[2] != keys[1]


PATTERNS = "{subject}_b.cwa,{subject}_t.cwa"
FILE, PAIR = Source(Path("s"), Path("s/P1.csv")), Source(Path("s"), Path("s/P1_b.cwa"), Path("s/P1_t.cwa"), "P1")


def test_pairs_that_match_nothing_are_an_error(person, tmp_path):
    written(person, tmp_path)
    asked = ReadConfig(pairs=PATTERNS)
    with pytest.raises(ConfigError, match=r"pairs=\{subject\}_b.cwa,\S+ matches no device file here; leave it out, or"):
        found_in([tmp_path], asked)
    found_in([tmp_path], ReadConfig())
    (folder := tmp_path / "devices").mkdir()
    for name in ("P1_b.cwa", "P1_t.cwa"):
        (folder / name).touch()
    assert [source.thigh is None for source in found_in([tmp_path, folder], asked)[0]] == [True, False]
    with pytest.raises(ConfigError, match="matches no device file"):  # the only pair was named
        found_in([], ReadConfig(pairs=PATTERNS, back=str(folder / "P1_b.cwa"), thigh=str(folder / "P1_t.cwa")))
    (folder / "P1_b.cwa").unlink()
    assert found_in([folder], asked)[1]  # a file without a partner says more


def test_settings_for_device_files_alone_are_told_where_there_is_none():
    asked = ReadConfig(calibrate=False, longest_offset_s=9)
    told = "calibrate=, longest_offset_s= had nothing to do: it is for device files, and none is here"
    assert idle_words(asked, [FILE]) == told
    assert idle_words(asked, [FILE, PAIR]) is None
    assert idle_words(ReadConfig(), [FILE]) is None
