"""Whole or not at all; `write_whole` itself is tried with torn writes in evaluation/test_folds.py."""

import csv
import io
import math

import pytest

from selfpab.writing import write_csv, write_text, write_whole


def test_a_text_is_written_with_its_folder_and_leaves_nothing_beside(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "é\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é\n".encode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    write_text(tmp_path / "a.txt", "old")

    def torn(temporary):
        temporary.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a.txt", torn)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_csv_leaves_empty_what_has_no_value(tmp_path):
    head = ("method", "F1 (%)")
    path = write_csv(tmp_path / "a.csv", head, [("a,b", math.nan), (None, 0.0), ("", 0)])
    assert path == tmp_path / "a.csv"
    content = path.read_text()
    assert list(csv.reader(io.StringIO(content))) == [list(head), ["a,b", ""], ["", "0.0"], ["", "0"]]
