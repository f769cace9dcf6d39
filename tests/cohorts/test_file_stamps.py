"""Files that did not change are not read again."""

import os
from pathlib import Path

import pytest

from selfpab.cohorts import file_stamps as module
from selfpab.cohorts.file_stamps import check_whose, content_of, place_of, with_doubles
from selfpab.data.sources import Source


@pytest.fixture
def pair(tmp_path):
    files = [tmp_path / name for name in ("a_back.cwa", "a_thigh.cwa")]
    for place, file in enumerate(files):
        file.write_bytes(bytes([place] * 100))
        os.utime(file, (1e9, 1e9))
    return Source(tmp_path, files[0], files[1], "a")


def test_what_has_the_same_stamps_is_not_read(pair, monkeypatch):
    first = content_of(pair, {})
    assert first["stamps"] == [[100, 10**18], [100, 10**18]]
    monkeypatch.setattr(module, "file_checksum", lambda files: pytest.fail("read"))
    assert content_of(pair, {"content": first}) == first


@pytest.mark.parametrize("changed", ["size", "time"])
def test_what_changed_is_read(pair, changed):
    first = content_of(pair, {})
    pair.thigh.write_bytes(b"x" * (99 if changed == "size" else 100))
    os.utime(pair.thigh, (1e9, 1e9 + (changed == "time")))
    now = content_of(pair, {"content": first})
    assert now["sha256"] != first["sha256"]
    assert now["stamps"] != first["stamps"]


def test_what_was_written_just_now_is_read_again(pair, monkeypatch):
    os.utime(pair.path)
    first = content_of(pair, {})
    assert first["stamps"] is None
    read = []
    monkeypatch.setattr(module, "file_checksum", lambda files: (read.append(list(files)), first["sha256"])[1])
    assert content_of(pair, {"content": first})["stamps"] is None
    assert read == [[pair.path, pair.thigh]]


def test_what_lies_elsewhere_is_read_even_with_the_same_stamps(pair, tmp_path):
    """Archives give back times to the second, and device files of one study may all have one size."""
    first = content_of(pair, {})
    (tmp_path / "other").mkdir()
    for file in pair.files:
        (tmp_path / "other" / file.name).write_bytes(b"x" * 100)
        os.utime(tmp_path / "other" / file.name, (1e9, 1e9))
    other = Source(tmp_path / "other", *(tmp_path / "other" / file.name for file in pair.files), "a")
    now = content_of(other, {"content": first})
    assert now["stamps"] == first["stamps"]
    assert now["sha256"] != first["sha256"]
    older = {key: value for key, value in first.items() if key != "place"}  # before places were kept
    assert content_of(pair, {"content": older}) == first
    assert str(tmp_path) not in str(first)


def test_a_folder_of_another_recording_is_not_written_over(tmp_path):
    source, out = Source(tmp_path / "b", tmp_path / "b" / "p1.csv"), tmp_path / "out" / "p1"
    here = {"sha256": "2", "place": place_of(source.path)}
    for known in ({}, {"sha256": "1"}, here, {"sha256": "1", "place": here["place"]}, {"sha256": "2", "place": "else"}):
        check_whose(out, {"content": known, "source": {"path": "a/p1.csv"}}, source, here)
    info = {"content": {"sha256": "1", "place": "else"}, "source": {"path": "a/p1.csv"}}
    with pytest.raises(ValueError, match=r"b/p1.csv: p1 in .*out is of a/p1.csv, and is not replaced; use another OUT"):
        check_whose(out, info, source, here)


def test_doubles_are_named_after_the_first():
    infos = [
        {"content": {"sha256": sha256}, "quality": {"name": name, "remarks": remarks}}
        for name, sha256, remarks in (("a", "1", None), ("b", "2", "short"), ("c", "2", "odd"), ("d", "1", None))
    ]
    rows = list(with_doubles([*infos, {"seconds": 3}, {"quality": {"name": "e", "remarks": None}}]))
    assert [row["remarks"] for row in rows] == [None, "short", "odd; the same files as b", "the same files as a", None]
    assert infos[2]["quality"]["remarks"] == "odd"


def test_a_folder_of_hours_has_a_stamp_each(tmp_path):
    for hour in ("00", "01"):
        (tmp_path / f"2018-03-05_{hour}.npz").write_bytes(b"1")
        os.utime(tmp_path / f"2018-03-05_{hour}.npz", (1e9, 1e9))
    assert content_of(Source(Path(tmp_path.parent), tmp_path), {})["stamps"] == [[1, 10**18]] * 2
