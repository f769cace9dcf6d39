"""The int16 corpus: rounding, scale, restart, index."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from selfpab.data.store import add_recording, open_corpus, stored_checksum, write_index
from selfpab.recording import Mark, Recording, Segment

START = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Oslo"), fold=1)
MARKS = (Mark(3, 60, "non-wear", "both still"), Mark(100, 101, "clipping"))
NOTHING = (0, np.zeros(156), np.zeros(156))


def person(scale_g: float = 2.0, samples: int = 2000, labelled: bool = True) -> Recording:
    rng = np.random.default_rng(1)
    values = rng.uniform(-scale_g, scale_g, (samples, 6)).astype(np.float32)
    labels = rng.integers(1, 8, samples).astype(np.int16) if labelled else None
    segments = (Segment(0, 700, 0.0, 3), Segment(700, samples, 33.3, 4))
    return Recording("S1", START, 50.0, values, labels, segments, MARKS, source={"path": "S1.csv"})


@pytest.mark.parametrize(("scale_g", "counts"), [(2.0, 4096), (7.999, 4096), (8.41, 2048), (15.9, 2048), (31.9, 1024)])
def test_the_scale_follows_the_data_and_rounding_is_at_most_half_a_count(tmp_path, scale_g, counts):
    recording = person(scale_g)
    recording.samples[0, 0] = scale_g
    entry = add_recording(recording, tmp_path, "a", checksum="c", moments=NOTHING)
    assert entry.counts_per_g == counts
    back = write_index(tmp_path).recording(0)
    assert np.abs(back.acceleration_g - recording.samples).max() <= 0.5 / counts * 1.001


def test_everything_comes_back(tmp_path):
    recording = person()
    add_recording(recording, tmp_path, "a", checksum="c", moments=(9, np.arange(156.0), np.arange(156.0) ** 2))
    corpus = write_index(tmp_path)
    back = corpus.recording(0)
    assert (back.subject, back.start, back.rate_hz, back.segments) == ("S1", START, 50.0, recording.segments)
    assert (back.marks, back.start.tzinfo, back.start.fold) == (MARKS, START.tzinfo, 1)
    assert back.source == {"path": "S1.csv"}
    assert recording.labels is not None
    np.testing.assert_array_equal(back.labels, recording.labels)
    np.testing.assert_array_equal(corpus.entries[0].spectrum_squares, np.arange(156.0) ** 2)
    assert isinstance(back.samples, np.memmap)
    assert corpus.people == ("S1",)
    assert corpus.hours == pytest.approx(2000 / 50 / 3600)


@pytest.mark.parametrize(("value", "message"), [(40.0, "does not fit"), (np.nan, "sample 5 is not a finite number")])
def test_nothing_wraps_or_clips_silently(tmp_path, value, message):
    recording = person()
    recording.samples[5, 2] = value
    with pytest.raises(ValueError, match=message):
        add_recording(recording, tmp_path, "a", checksum="c", moments=NOTHING)
    assert stored_checksum(tmp_path, "a") is None


def test_a_kill_before_the_row_leaves_nothing_that_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("selfpab.data.store.write_text", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        add_recording(person(), tmp_path, "a", checksum="c", moments=NOTHING)
    assert stored_checksum(tmp_path, "a") is None
    with pytest.raises(ValueError, match="nothing was stored"):
        write_index(tmp_path)


def test_a_kill_while_samples_are_replaced_leaves_no_index_of_the_old_ones(tmp_path, monkeypatch):
    for name in ("a", "b"):
        add_recording(person(), tmp_path, name, checksum="c", moments=NOTHING)
    write_index(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("selfpab.data.store.write_text", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            add_recording(person(10.0), tmp_path, "a", checksum="d", moments=NOTHING)  # half the counts to the g
    with pytest.raises(
        FileNotFoundError, match=r"an ingest into it was stopped; run the same command again, it goes on"
    ):
        open_corpus(tmp_path)
    add_recording(person(10.0), tmp_path, "a", checksum="d", moments=NOTHING)
    back = write_index(tmp_path).recording(0)
    np.testing.assert_allclose(back.acceleration_g, person(10.0).samples, atol=0.5 / 2048 + 1e-6)


def test_another_recording_leaves_the_index_as_it_is(tmp_path):
    add_recording(person(), tmp_path, "a", checksum="c", moments=NOTHING)
    write_index(tmp_path)
    add_recording(person(), tmp_path, "b", checksum="c", moments=NOTHING)
    assert [entry.file for entry in open_corpus(tmp_path).entries] == ["a"]


def test_a_folder_that_is_no_corpus_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="selfpab ingest SOURCE"):
        open_corpus(tmp_path)


def test_the_index_is_in_the_order_of_names_and_plain_parquet(tmp_path):
    for name in ("b", "a"):
        add_recording(person(labelled=name == "a"), tmp_path, name, checksum=name, moments=NOTHING)
    assert [(e.file, e.labelled) for e in write_index(tmp_path).entries] == [("a", True), ("b", False)]
    assert json.loads((tmp_path / "recordings" / "a.json").read_text())["samples"] == 2000


def test_a_row_of_an_older_corpus_has_no_marks_and_joins(tmp_path):
    for name in ("a", "b"):
        add_recording(person(), tmp_path, name, checksum="c", moments=NOTHING)
    old = tmp_path / "recordings" / "a.json"
    row = json.loads(old.read_text())
    del row["marks"]
    old.write_text(json.dumps(row))
    corpus = write_index(tmp_path)
    assert [corpus.recording(place).marks for place in (0, 1)] == [(), MARKS]


def test_pieces_are_read_without_mapping(tmp_path):
    add_recording(person(), tmp_path, "a", checksum="c", moments=NOTHING)
    corpus = write_index(tmp_path)
    whole, out = np.asarray(corpus.counts(0)), np.zeros((50, 6), np.int16)
    assert corpus.read_into(out, 0, [(3, 13), (1980, 2000)]) == 30
    np.testing.assert_array_equal(out[:30], np.concatenate([whole[3:13], whole[1980:]]))
    assert not out[30:].any()


def test_samples_that_do_not_fit_the_index_are_named(tmp_path):
    add_recording(person(), tmp_path, "a", checksum="c", moments=NOTHING)
    corpus, path, out = write_index(tmp_path), tmp_path / "recordings" / "a.npy", np.zeros((2000, 6), np.int16)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert corpus.read_into(out, 0, [(0, 1999)]) == 1999
    with pytest.raises(ValueError, match=r"a\.npy ends before sample 2000 of 2000; ingest it again"):
        corpus.read_into(out, 0, [(0, 2000)])
    np.save(path, np.zeros((1999, 6), np.int16))
    with pytest.raises(ValueError, match=r"a\.npy does not hold int16 \(2000, 6\), as the index says; ingest it again"):
        corpus.read_into(out, 0, [(0, 10)])
    np.save(path, np.zeros((2000, 6), np.float32))
    with pytest.raises(ValueError, match="does not hold int16"):
        corpus.read_into(out, 0, [(0, 10)])
