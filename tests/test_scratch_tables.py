"""Tables that may be larger than memory."""

import errno
import io
import mmap
import os
import tempfile
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from selfpab import scratch_tables
from selfpab.scratch_tables import one_table


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(scratch_tables, "IN_MEMORY", 2000)
    return tmp_path


def pieces(count, rows=40):
    """Of the kinds of columns that there are, empty values among them, and strings short and long."""
    words = [None, "", "lying", "non-wear;sensor dropout;clipping", "ø" * 30]
    for place in range(count):
        numbers = np.arange(place * rows, (place + 1) * rows)
        yield pl.DataFrame(
            {
                "time": pl.Series(numbers * 1_000_000).cast(pl.Datetime("us", "Europe/Oslo")),
                "code": [None if n % 7 == 0 else int(n) for n in numbers],
                "word": [words[n % len(words)] for n in numbers],
                "share": pl.Series(numbers / 3, dtype=pl.Float32),
                "gap": [None if n % 5 == 0 else bool(n % 2) for n in numbers],
            },
            schema_overrides={"code": pl.Int32, "word": pl.String},
        )


def mapped_files():
    """Of the process, those without a name."""
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if "deleted" in line]


def test_a_small_one_lies_in_memory(temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    table = one_table(pieces(1))
    assert table.n_chunks() == 1
    assert_frame_equal(table, *pieces(1))


def test_a_larger_one_lies_in_a_file_without_a_name(temporary):
    before = mapped_files()
    table = one_table(pieces(9))
    assert len(mapped_files()) == len(before) + 1
    assert str(temporary) in next(line for line in mapped_files() if line not in before)
    assert table.n_chunks() == 9
    assert not list(temporary.iterdir())
    assert_frame_equal(table, pl.concat(pieces(9)))
    assert all(size % 8 == 0 for size in sizes(9))  # or columns would be copied when they are read
    assert table["time"][1] == datetime(1970, 1, 1, 1, 0, 1, tzinfo=ZoneInfo("Europe/Oslo"))
    assert table.filter(pl.col("gap"))["code"].sum() == pl.concat(pieces(9)).filter(pl.col("gap"))["code"].sum()


def sizes(count):
    with tempfile.TemporaryFile() as file:
        return [scratch_tables._laid(piece, file, 0) for piece in pieces(count)]


def test_it_needs_no_memory_of_its_own():
    """What polars would have copied would be anonymous."""

    def anonymous():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

    one_table(pieces(9))  # what is imported first
    wide = pl.DataFrame({str(i): np.random.default_rng(i).random(50_000) for i in range(10)})
    before = anonymous()
    table = one_table(wide.with_columns(pl.all() + i) for i in range(40))
    assert table.estimated_size() > 150e6
    assert anonymous() - before < 60e6


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_nowhere_to_write_means_memory(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert_frame_equal(one_table(pieces(9)), pl.concat(pieces(9)))


@pytest.mark.parametrize("room", [0, 1, 5])
def test_what_the_disk_has_no_room_for_stays_in_memory_and_in_its_place(room, monkeypatch):
    calls, real = [], os.posix_fallocate

    def soon_full(*given):
        calls.append(given)
        return real(*given) if len(calls) <= room or len(calls) == room + 2 else full()

    monkeypatch.setattr(os, "posix_fallocate", soon_full)
    assert_frame_equal(one_table(pieces(9)), pl.concat(pieces(9)))
    assert len(calls) == room + 1  # a smaller one might have had room, but would change places


def test_a_disk_that_is_full_after_all_means_memory_too(monkeypatch):
    """Some file systems promise room that is not there."""

    class Raw(io.FileIO):
        def write(self, content):
            if self.tell() > 9000:
                full()
            return super().write(content)

    def opened(prefix):
        descriptor, name = tempfile.mkstemp(prefix=prefix)
        os.unlink(name)
        return io.BufferedRandom(Raw(descriptor, "r+"))

    monkeypatch.setattr(tempfile, "TemporaryFile", opened)
    assert_frame_equal(one_table(pieces(9)), pl.concat(pieces(9)))


def test_a_file_that_cannot_be_mapped_is_read(monkeypatch):
    monkeypatch.setattr(mmap, "mmap", full)
    assert_frame_equal(one_table(pieces(9)), pl.concat(pieces(9)))


def test_so_does_a_system_that_cannot_lay_out_files(monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert_frame_equal(one_table(pieces(9)), pl.concat(pieces(9)))


def test_pieces_are_asked_for_one_by_one():
    """Or they would all be in memory at once."""
    asked = []

    def given():
        for place, piece in enumerate(pieces(30)):
            asked.append(place)
            yield piece

    laid = []
    real = scratch_tables._laid
    try:
        scratch_tables._laid = lambda *a: laid.append(len(asked)) or real(*a)
        one_table(given())
    finally:
        scratch_tables._laid = real
    assert laid[-1] == 30
    assert all(later - before <= 1 for before, later in pairwise(laid))


def test_no_rows():
    empty = next(pieces(1)).clear()
    assert_frame_equal(one_table([empty]), empty)
