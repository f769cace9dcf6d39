"""The index that is read row by row: the same entries, in any order, from an unchanging file."""

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selfpab.data import corpus_index
from selfpab.data.corpus_index import Rows, columns_of
from selfpab.data.store import Corpus, add_recording, open_corpus, write_index
from selfpab.recording import Mark, Recording, Segment

NAMES = [f"r{number}" for number in range(7)]


@pytest.fixture
def corpus(tmp_path, monkeypatch) -> Corpus:
    """Seven rows in groups of three."""
    monkeypatch.setattr(corpus_index, "GROUP", 3)
    for number, name in enumerate(NAMES):
        segments = (Segment(0, 40, 0.0, 1), Segment(40, 60 + number, 1.5 + number, 2))
        recording = Recording(f"s{number % 3}", None, 50.0, np.zeros((60 + number, 6), np.float32), segments=segments)
        recording = replace(recording, marks=(Mark(0, number + 1, "clipping"),), source={"number": number})
        sums = (number, np.arange(156.0) + number, np.full(156, 0.1 * number))
        add_recording(recording, tmp_path, name, checksum=f"c{number}", moments=sums)
    return write_index(tmp_path)


def plain(entry) -> dict:
    return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in asdict(entry).items()}


def test_rows_lie_in_groups_and_every_way_to_them_gives_the_same(corpus):
    assert pq.ParquetFile(corpus.folder / "index.parquet").num_row_groups == 3
    entries = list(corpus.entries)
    assert [entry.file for entry in entries] == NAMES
    assert [entry.source["number"] for entry in entries] == list(range(7))
    for place in (6, 0, 3, 2, 5, -1):
        assert plain(corpus.entries[place]) == plain(entries[place])
    assert [entry.file for entry in corpus.entries[2:5]] == NAMES[2:5]
    with pytest.raises(IndexError):
        corpus.entries[7]


def test_columns_segments_and_sums_are_those_of_the_entries(corpus):
    changed = replace(corpus, entries=tuple(corpus.entries))  # no index behind it
    for whole in (corpus, changed):
        assert whole.columns.subjects == tuple(entry.subject for entry in corpus.entries)
        assert whole.columns.files == tuple(NAMES)
        assert whole.columns.samples.tolist() == [60, 61, 62, 63, 64, 65, 66]
        assert list(whole.segments()) == [entry.segments for entry in corpus.entries]
        assert whole.people == ("s0", "s1", "s2")
        assert [frames for frames, _, _ in whole.sums(["s0", "s2"])] == [0, 2, 3, 5, 6]
        for (_, total, squares), entry in zip(whole.sums(whole.people), corpus.entries, strict=True):
            np.testing.assert_array_equal(total, entry.spectrum_sum)
            np.testing.assert_array_equal(squares, entry.spectrum_squares)
    assert corpus.checksum == changed.checksum
    np.testing.assert_array_equal(columns_of(corpus.entries).counts_per_g, np.full(7, 4096))


def test_what_is_open_does_not_change_when_the_index_is_written_anew(corpus):
    before, rows = corpus.checksum, [plain(entry) for entry in corpus.entries]
    add_recording(
        Recording("new", None, 50.0, np.zeros((50, 6), np.float32)),
        corpus.folder,
        "a",
        checksum="new",
        moments=(1, np.ones(156), np.ones(156)),
    )
    longer = write_index(corpus.folder)
    assert len(longer) == 8
    assert longer.checksum != before
    assert corpus.checksum == before
    assert [plain(entry) for entry in corpus.entries] == rows
    assert corpus.entries[0].file == "r0"


def test_an_index_of_one_group_without_marks_opens(corpus):
    """As versions before wrote it."""
    path = corpus.folder / "index.parquet"
    table = pq.read_table(path).drop_columns(["marks"])
    table = table.set_column(table.schema.get_field_index("start"), "start", pa.nulls(7))
    pq.write_table(table, path.with_suffix(".old"))
    path.with_suffix(".old").replace(path)
    old = open_corpus(corpus.folder)
    assert [replace(entry, marks=()).file for entry in old.entries] == NAMES
    assert plain(old.entries[4]) == plain(replace(corpus.entries[4], marks=()))
    assert list(old.segments()) == list(corpus.segments())
    assert isinstance(old.entries, Rows)
