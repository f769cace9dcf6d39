"""Recordings of a corpus by their paths."""

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from selfpab.data.corpus_entries import checksum_of, corpus_of, entry_file, entry_files, is_corpus, read_entry
from selfpab.data.store import add_recording, write_index
from selfpab.recording import Mark, Recording, RecordingError, Segment

START = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Oslo"), fold=1)
MARKS = (Mark(3, 60, "non-wear", "both still"), Mark(100, 101, "clipping"))
NOTHING = (0, np.zeros(156), np.zeros(156))
NAMES = ("har70plus-501", "harth-S006.v2", "harth-S008")


def person(subject: str, seed: int = 0) -> Recording:
    rng = np.random.default_rng(seed)
    values = rng.uniform(-2, 2, (1000, 6)).astype(np.float32)
    labels = rng.integers(1, 8, 1000).astype(np.int16)
    segments = (Segment(0, 700, 0.0, 3), Segment(700, 1000, 33.3, 4))
    source = {"path": "S1.csv", "repairs": ["turned"], "tz": "Europe/Oslo", "configured_at": "2024-03-01"}
    return Recording(subject, START, 50.0, values, labels, segments, MARKS, source=source)


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = tmp_path / "corpus"
    for seed, name in enumerate(NAMES):
        add_recording(person(name.replace("-", "/"), seed), folder, name, checksum=f"c{seed}", moments=NOTHING)
    write_index(folder)
    return folder


def test_everything_that_was_ingested_comes_back(corpus):
    for seed, name in enumerate(NAMES):
        file = corpus / "recordings" / f"{name}.npy"
        back, there = read_entry(file), person(name.replace("-", "/"), seed)
        assert (back.subject, back.start, back.segments, back.marks) == (
            there.subject, START, there.segments, MARKS,
        )  # fmt: skip
        assert back.start is not None
        assert (back.start.tzinfo, back.start.fold, back.counts_per_g) == (START.tzinfo, 1, 4096)
        assert back.source == {**there.source, "entry": str(file)}
        assert isinstance(back.samples, np.memmap)
        np.testing.assert_allclose(back.acceleration_g, there.samples, atol=0.501 / 4096)
        np.testing.assert_array_equal(back.labels, there.labels)
        assert read_entry(file, subject="Kari").subject == "Kari"


def test_a_name_and_the_file_of_its_samples_are_the_same_entry(corpus, monkeypatch):
    for name in NAMES:
        file = corpus / "recordings" / f"{name}.npy"
        assert entry_file(corpus / name) == file
        assert entry_file(file) == file
        assert (corpus_of(file), checksum_of(file)) == (corpus, f"c{NAMES.index(name)}")
    assert entry_files(corpus) == [corpus / "recordings" / f"{name}.npy" for name in NAMES]
    monkeypatch.chdir(corpus)
    assert entry_file(Path(NAMES[0])) == Path("recordings") / f"{NAMES[0]}.npy"


def test_other_paths_are_no_entries(corpus, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "recordings").mkdir()
    np.save(tmp_path / "recordings" / "a.npy", np.zeros(3))
    (tmp_path / "recordings" / "a.json").touch()
    (corpus / "notes.csv").touch()
    assert is_corpus(corpus)
    assert not is_corpus(tmp_path)
    others = (tmp_path / "a.npy", tmp_path / "recordings/a.npy", tmp_path / "S1.csv", corpus / "notes.csv", corpus)
    for path in others:
        assert entry_file(path) is None
        assert corpus_of(path) is None
        assert checksum_of(path) is None
    assert corpus_of(corpus / f"recordings/{NAMES[0]}.labels.npy") is None  # which is no recording


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("harth-S0O8", r"did you mean 'harth-S008'.*\?"),
        ("5011", r"did you mean 'har70plus-501'\?"),
        ("501", r"did you mean 'har70plus-501'\?"),
        ("harth-S006", r"did you mean 'harth-S006\.v2'\?"),
        ("recordings/har70plus-501.labels.npy", r"has no entry 'har70plus-501\.labels'; did you mean 'har70plus-501'"),
        ("recordings/harth-S00.npy", r"did you mean 'harth-S006\.v2' or 'harth-S008'\?"),
        ("zzzz", r"the corpus .*corpus has no entry 'zzzz'; wanted one of 3, such as .*corpus/har70plus-501"),
    ],
)
def test_a_name_that_is_not_there_gives_those_that_are_near(corpus, path, hint):
    with pytest.raises(RecordingError, match=hint):
        entry_file(corpus / path)


def test_what_was_settled_at_ingest_cannot_be_told_otherwise(corpus):
    file = corpus / "recordings" / f"{NAMES[0]}.npy"
    same = read_entry(file, rate_hz=50.0, tz="Europe/Oslo", configured_at="2024-03-01")
    assert same.start == START
    for settings, message in (
        ({"rate_hz": 100.0}, r"501\.npy: rate_hz=100\.0 was asked for; the entry was ingested with 50\.0"),
        (
            {"tz": "Europe/Paris"},
            r"tz=Europe/Paris .* ingested with Europe/Oslo, and is not changed again: leave tz out",
        ),
        ({"configured_at": "2024-07-01"}, "configured_at=2024-07-01 .* ingested with 2024-03-01"),
    ):
        with pytest.raises(RecordingError, match=message):
            read_entry(file, **settings)


def test_samples_that_do_not_fit_their_row_are_named(corpus):
    file = corpus / "recordings" / f"{NAMES[0]}.npy"
    whole = file.read_bytes()
    for content in (whole[:-1], b""):
        file.write_bytes(content)
        with pytest.raises(RecordingError, match=r"501\.npy: does not fit its row .*; ingest it again"):
            read_entry(file)
    np.save(file, np.zeros((999, 6), np.int16))
    with pytest.raises(
        RecordingError, match=r"does not fit its row .*shape \(999,\), got int16 of shape \(1000,\)\); ingest it again"
    ):
        read_entry(file)


def test_a_row_of_an_older_corpus_has_no_marks_and_reads(corpus):
    file = corpus / "recordings" / f"{NAMES[0]}.npy"
    row = json.loads(file.with_suffix(".json").read_text())
    del row["marks"]
    file.with_suffix(".json").write_text(json.dumps(row))
    assert read_entry(file).marks == ()
