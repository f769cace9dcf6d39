"""Files to a corpus: each once, none lost unseen, moments of what was kept."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest
import torch

from selfpab.config import ConfigError
from selfpab.data import preparation
from selfpab.data.parquet import write_parquet
from selfpab.data.sources import Source
from selfpab.data.store import open_corpus
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.recording import Recording, Segment
from selfpab.upstream import corpus as module
from selfpab.upstream.corpus import IngestConfig, ingest, sample_windows

WINDOW = 15_000


def person(name, samples=3000, seed=0, segments=(), labels=False):
    chance = np.random.default_rng(seed)
    values = chance.normal(0, 0.5, (samples, 6)).astype(np.float32)
    codes = np.full(samples, 7, np.int16) if labels else None
    return Recording(name, datetime(2020, 1, 1), 50.0, values, codes, tuple(Segment(*s) for s in segments))


def write_csv(recording, path):
    stamps = np.datetime64("2020-01-01T00:00:00.000") + np.arange(len(recording)) * np.timedelta64(20, "ms")
    rows = (f"{t},{','.join(f'{v:.6f}' for v in row)}" for t, row in zip(stamps, recording.samples, strict=True))
    path.write_text("\n".join(["timestamp,back_x,back_y,back_z,thigh_x,thigh_y,thigh_z", *rows]) + "\n")


def write_hour(folder, hour, samples, seed):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"2018-03-05_{hour:02d}.npz", person("x", samples, seed).samples)


@pytest.fixture
def mixed(tmp_path):
    """A csv, a parquet, a HUNT4 person and a broken file."""
    folder = tmp_path / "study"
    folder.mkdir()
    write_csv(person("a", seed=1), folder / "a.csv")
    write_parquet(person("b", 2500, seed=2, labels=True), folder / "b.parquet")
    write_hour(folder / "hunt", 10, 2000, 3)
    write_hour(folder / "hunt", 12, 1000, 4)
    (folder / "c.csv").write_text("timestamp,back_x\nnonsense\n")
    return folder


@pytest.fixture
def reads(monkeypatch):
    seen = []
    real = preparation.read
    monkeypatch.setattr(
        preparation, "read", lambda path, **settings: (seen.append(path.name), real(path, **settings))[1]
    )
    return seen


def slow_moments(pieces):
    """torch.stft frame by frame, every piece without its neighbours."""
    frames = []
    for piece in pieces:
        made = torch.stft(
            torch.from_numpy(np.ascontiguousarray(piece.T)).double(),
            50,
            25,
            window=torch.hann_window(50, dtype=torch.float64),
            center=False,
            return_complex=True,
        )
        frames.append(made.abs().permute(2, 0, 1).flatten(1).numpy())
    every = np.concatenate(frames)
    return every.mean(0), every.std(0)


def test_every_form_is_stored_and_a_broken_file_stops_nothing(mixed, tmp_path):
    corpus, failed = ingest([mixed], tmp_path / "corpus", quiet=True)
    assert [path.name for path, _ in failed] == ["c.csv"]
    assert "c.csv" in failed[0][1]
    assert corpus.people == ("study/a", "study/b", "study/hunt")
    assert [entry.file for entry in corpus.entries] == ["study-a", "study-b", "study-hunt"]
    assert [entry.samples for entry in corpus.entries] == [3000, 2500, 3000]
    assert [entry.labelled for entry in corpus.entries] == [False, True, False]
    assert len(corpus.entries[2].segments) == 2
    for place, seed in ((0, 1), (1, 2)):
        back = corpus.recording(place).acceleration_g
        np.testing.assert_allclose(back, person("x", len(back), seed).samples, atol=0.5 / 4096 + 1e-6)
    assert len(open_corpus(tmp_path / "corpus")) == 3
    quality, failures = (pl.read_csv(tmp_path / "corpus" / f"{name}.csv") for name in ("quality", "failures"))
    assert quality.select("name", "subject").rows() == [(f"study-{n}", f"study/{n}") for n in ("a", "b", "hunt")]
    assert failures.rows() == [(str(mixed / "c.csv"), failed[0][1])]


def test_two_workers_store_what_one_process_stores(mixed, tmp_path):
    one, two = (ingest([mixed], tmp_path / f"w{n}", IngestConfig(workers=n), quiet=True) for n in (1, 2))
    assert one[0].checksum == two[0].checksum
    assert [path.name for path, _ in two[1]] == ["c.csv"]
    for place in range(3):
        np.testing.assert_array_equal(one[0].counts(place), two[0].counts(place))


def test_a_device_file_without_a_partner_is_told_and_stops_nothing(mixed, tmp_path):
    (mixed / "P1_back.cwa").write_bytes(b"MD")
    corpus, failed = ingest([mixed], tmp_path / "corpus", quiet=True)
    assert len(corpus) == 3
    assert sorted(path.name for path, _ in failed) == ["P1_back.cwa", "c.csv"]
    assert "P1 has 1 of the back and 0 of the thigh" in dict((path.name, why) for path, why in failed)["P1_back.cwa"]


def test_normalisation_is_the_moments_of_all_frames(mixed, tmp_path):
    ingest([mixed], tmp_path / "corpus", quiet=True)
    found = Normalisation.load(tmp_path / "corpus" / "normalisation.json")
    pieces = [person("x", n, seed).samples for n, seed in ((3000, 1), (2500, 2), (2000, 3), (1000, 4))]
    mean, std = slow_moments(pieces)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-4)
    np.testing.assert_allclose(found.std, std, rtol=1e-4)


def test_what_is_stored_is_not_read_again(mixed, tmp_path, reads):
    first, _ = ingest([mixed], tmp_path / "corpus", quiet=True)
    assert sorted(reads) == ["a.csv", "b.parquet", "c.csv", "hunt"]
    reads.clear()
    again, failed = ingest([mixed], tmp_path / "corpus", quiet=True)
    assert reads == ["c.csv"]
    assert len(failed) == 1
    assert again.checksum == first.checksum


def test_a_changed_file_or_setting_is_read_again(mixed, tmp_path, reads):
    first, _ = ingest([mixed], tmp_path / "corpus", quiet=True)
    reads.clear()
    write_csv(person("a", 3100, seed=9), mixed / "a.csv")
    (mixed / "c.csv").unlink()
    changed, _ = ingest([mixed], tmp_path / "corpus", quiet=True)
    assert reads == ["a.csv"]
    assert changed.entries[0].samples == 3100
    assert changed.checksum != first.checksum
    reads.clear()
    ingest([mixed], tmp_path / "corpus", IngestConfig(rate_hz=50.0), quiet=True)
    assert sorted(reads) == ["a.csv", "b.parquet", "hunt"]
    reads.clear()
    write_hour(mixed / "hunt", 12, 900, 5)
    ingest([mixed], tmp_path / "corpus", IngestConfig(rate_hz=50.0), quiet=True)
    assert reads == ["hunt"]


def test_a_kill_between_recordings_goes_on(mixed, tmp_path, reads, monkeypatch):
    real = module.add_recording
    stored = []

    def killed_at_the_second(*arguments, **settings):
        if stored:
            raise KeyboardInterrupt
        stored.append(real(*arguments, **settings))

    with monkeypatch.context() as patch:
        patch.setattr(module, "add_recording", killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            ingest([mixed], tmp_path / "corpus", quiet=True)
    first = reads[0]
    reads.clear()
    corpus, _ = ingest([mixed], tmp_path / "corpus", quiet=True)
    assert first not in reads
    assert len(corpus) == 3


def test_where_everything_fails_now_what_was_there_is_gone_and_others_stay(mixed, tmp_path):
    corpus = tmp_path / "corpus"
    ingest([mixed / "a.csv", mixed / "b.parquet"], corpus, quiet=True)
    (mixed / "b.parquet").write_bytes(b"no longer")
    with pytest.raises(ValueError, match="none of 1 recordings could be read"):
        ingest([mixed / "b.parquet"], corpus, quiet=True)
    assert open_corpus(corpus).people == ("study/a",)
    assert pl.read_csv(corpus / "quality.csv")["subject"].to_list() == ["study/a"]
    found = Normalisation.load(corpus / "normalisation.json")
    np.testing.assert_allclose(found.mean, slow_moments([person("a", seed=1).samples])[0], rtol=1e-4)
    (mixed / "a.csv").write_text("no longer")
    with pytest.raises(ValueError, match="none of 1 recordings could be read"):
        ingest([mixed / "a.csv"], corpus, quiet=True)
    assert not (corpus / "index.parquet").exists()
    assert not (corpus / "normalisation.json").exists()
    assert pl.read_csv(corpus / "quality.csv").is_empty()


@pytest.mark.parametrize("suffix", [".npy", ".labels.npy"])
@pytest.mark.parametrize("cut", [True, False])
def test_an_entry_that_was_cut_short_or_lost_is_made_again(mixed, tmp_path, reads, suffix, cut):
    first, _ = ingest([mixed / "b.parquet"], tmp_path / "corpus", quiet=True)
    file = tmp_path / "corpus" / "recordings" / f"study-b{suffix}"
    whole = file.read_bytes()
    file.unlink()
    if cut:
        file.write_bytes(whole[:-1])
    reads.clear()
    again, _ = ingest([mixed / "b.parquet"], tmp_path / "corpus", quiet=True)
    assert reads == ["b.parquet"]
    assert file.read_bytes() == whole
    assert again.checksum == first.checksum


def test_a_kill_after_a_changed_recording_leaves_no_index_of_what_it_was(mixed, tmp_path, monkeypatch):
    ingest([mixed], tmp_path / "corpus", quiet=True)
    write_csv(person("a", seed=9), mixed / "a.csv")
    with monkeypatch.context() as patch:
        patch.setattr(module, "recording_moments", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest([mixed], tmp_path / "corpus", quiet=True)
    with pytest.raises(FileNotFoundError, match="an ingest into it was stopped"):
        open_corpus(tmp_path / "corpus")
    assert len(ingest([mixed], tmp_path / "corpus", quiet=True)[0]) == 3


def test_a_recording_that_changed_and_now_fails_is_no_longer_in_the_corpus(mixed, tmp_path):
    ingest([mixed], tmp_path / "corpus", quiet=True)
    (mixed / "b.parquet").write_bytes(b"no longer")
    corpus, failed = ingest([mixed], tmp_path / "corpus", quiet=True)
    assert corpus.people == ("study/a", "study/hunt")
    assert sorted(path.name for path, _ in failed) == ["b.parquet", "c.csv"]


def test_an_hour_that_was_renamed_is_another_hour(mixed, tmp_path, reads):
    ingest([mixed], tmp_path / "corpus", quiet=True)
    reads.clear()
    (mixed / "hunt" / "2018-03-05_12.npz").rename(mixed / "hunt" / "2018-03-06_02.npz")
    ingest([mixed], tmp_path / "corpus", quiet=True)
    assert reads == ["hunt", "c.csv"]


def test_whose_clock_it_was_makes_another_recording(mixed):
    there = Source(mixed, mixed / "a.csv", subject="a", tz="Europe/Oslo", configured_at="2024-01-01")
    others = (replace(there, subject="b"), replace(there, tz="Asia/Tokyo"), replace(there, configured_at=None))
    sums = {module._checksum(source, IngestConfig()) for source in (there, *others)}
    assert len(sums) == 4
    assert module._checksum(there, IngestConfig(workers=3)) == module._checksum(there, IngestConfig())


def test_where_everything_fails_the_reasons_are_written_down(mixed, tmp_path):
    with pytest.raises(ValueError, match="none of 1 recordings could be read"):
        ingest([mixed / "c.csv"], tmp_path / "corpus", quiet=True)
    assert pl.read_csv(tmp_path / "corpus" / "failures.csv")["path"].to_list() == [str(mixed / "c.csv")]


def test_quality_is_of_the_whole_recording_where_windows_are_kept(long, tmp_path):
    corpus, _ = ingest([tmp_path / "long"], tmp_path / "corpus", IngestConfig(windows=2), quiet=True)
    assert corpus.entries[0].samples == 2 * WINDOW
    (row,) = pl.read_csv(tmp_path / "corpus" / "quality.csv").rows(named=True)
    assert row["hours"] == pytest.approx((7 * WINDOW + 900) / 180_000, abs=1e-3)
    assert row["gaps"] == 1


def test_a_second_source_joins_and_a_name_used_twice_stays_two_people(mixed, tmp_path):
    ingest([mixed], tmp_path / "corpus", quiet=True)
    (tmp_path / "other").mkdir()
    write_parquet(person("a", 2200, seed=7), tmp_path / "other" / "a.parquet")
    corpus, failed = ingest([tmp_path / "other"], tmp_path / "corpus", quiet=True)
    assert failed == []
    assert corpus.people == ("other/a", "study/a", "study/b", "study/hunt")
    assert corpus.entries[0].samples == 2200
    found = Normalisation.load(tmp_path / "corpus" / "normalisation.json")
    pieces = [person("x", n, s).samples for n, s in ((3000, 1), (2500, 2), (2000, 3), (1000, 4), (2200, 7))]
    np.testing.assert_allclose(found.mean, slow_moments(pieces)[0], rtol=1e-4)


def test_two_files_that_would_have_one_name_are_refused(mixed, tmp_path):
    other = tmp_path / "elsewhere" / "study"
    other.mkdir(parents=True)
    write_parquet(person("a", seed=7), other / "a.parquet")
    with pytest.raises(ValueError, match=r"a.csv and .*a.parquet would both be written as study-a; rename a folder"):
        ingest([mixed, other], tmp_path / "corpus", quiet=True)


def test_one_file_and_one_persons_folder_can_be_named(mixed, tmp_path):
    corpus, _ = ingest([mixed / "b.parquet", mixed / "hunt"], tmp_path / "corpus", quiet=True)
    assert corpus.people == ("study/b", "study/hunt")


def test_settings_that_do_nothing_are_told(mixed, tmp_path, capsys):
    files = [mixed / "a.csv"]
    ingest(files, tmp_path / "corpus", IngestConfig(align=False))
    assert "align= had nothing to do: it is for device files, and none is here" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="matches no device file here"):
        ingest(files, tmp_path / "corpus", IngestConfig(pairs="{subject}_b.cwa,{subject}_t.cwa"))


def test_nothing_to_read_is_an_error(mixed, tmp_path):
    with pytest.raises(ValueError, match=r"none of 1 recordings could be read; the first: .*c.csv"):
        ingest([mixed / "c.csv"], tmp_path / "corpus", quiet=True)
    with pytest.raises(FileNotFoundError, match=r"no .*nowhere"):
        ingest([tmp_path / "nowhere"], tmp_path / "corpus", quiet=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds no recordings: wanted .csv, .parquet, .npz"):
        ingest([tmp_path / "empty"], tmp_path / "corpus", quiet=True)


@pytest.fixture
def long(tmp_path):
    (tmp_path / "long").mkdir()
    recording = person(
        "p", 7 * WINDOW + 900, 5, ((0, 4 * WINDOW + 500, 0.0), (4 * WINDOW + 500, 7 * WINDOW + 900, 1300.0))
    )
    write_parquet(recording, tmp_path / "long" / "p.parquet")
    return recording


def test_windows_keeps_a_seeded_sample_of_five_minutes(long, tmp_path):
    found = [
        ingest([tmp_path / "long"], tmp_path / f"c{number}", IngestConfig(windows=3, seed=seed), quiet=True)[0]
        for number, seed in enumerate((0, 0, 1, 2))
    ]
    kept = [corpus.entries[0].source["windows"] for corpus in found]
    assert kept[0] == kept[1]
    assert len({tuple(places) for places in kept}) > 1
    entry = found[0].entries[0]
    assert entry.samples == 3 * WINDOW
    assert [s.part for s in entry.segments] == [0, 1, 2]
    assert [len(s) for s in entry.segments] == [WINDOW] * 3
    possible = [*range(0, 4 * WINDOW, WINDOW), *range(4 * WINDOW + 500, 7 * WINDOW + 500, WINDOW)]
    assert kept[0] == sorted(kept[0])
    assert set(kept[0]) <= set(possible)
    back = found[0].recording(0)
    assert len(back.runs()) == 3
    for segment, first in zip(entry.segments, kept[0], strict=True):
        piece = back.piece(segment.first, segment.stop)
        np.testing.assert_allclose(piece, long.samples[first : first + WINDOW], atol=0.5 / 4096 + 1e-6)
        assert segment.start_s == pytest.approx(long.sample_times_s()[first])


def test_the_normalisation_is_that_of_what_was_kept(long, tmp_path):
    corpus, _ = ingest([tmp_path / "long"], tmp_path / "c", IngestConfig(windows=2), quiet=True)
    places = corpus.entries[0].source["windows"]
    mean, std = slow_moments([long.samples[first : first + WINDOW] for first in places])
    found = Normalisation.load(tmp_path / "c" / "normalisation.json")
    np.testing.assert_allclose(found.mean, mean, rtol=1e-4)
    np.testing.assert_allclose(found.std, std, rtol=1e-4)


def test_fewer_windows_than_asked_for_are_all_kept_and_none_is_an_error(long):
    shape = SpectrogramConfig()
    assert len(sample_windows(long, 100, shape, 0)) == 7 * WINDOW
    with pytest.raises(ValueError, match="p has no stretch of five minutes without a gap; leave windows= out"):
        sample_windows(person("p"), 3, shape, 0)


def test_a_corpus_into_another_corpus_and_never_into_itself(mixed, tmp_path):
    first, _ = ingest([mixed], tmp_path / "first", IngestConfig(tz="Europe/Oslo"), quiet=True)
    second, failed = ingest([tmp_path / "first", tmp_path / "first" / "study-b"], tmp_path / "second", quiet=True)
    assert [path for path, _ in failed] == []
    assert [entry.file for entry in second.entries] == ["first-study-a", "first-study-b", "first-study-hunt"]
    assert second.people == ("first/study/a", "first/study/b", "first/study/hunt")
    for place, entry in enumerate(first.entries):
        there, back = first.recording(place), second.recording(place)
        np.testing.assert_array_equal(back.samples, there.samples)
        assert (back.start, back.segments, back.marks) == (there.start, there.segments, there.marks)
        assert back.source["path"] == entry.source["path"]
    before = (tmp_path / "first" / "index.parquet").read_bytes()
    with pytest.raises(ValueError, match=r"first cannot be ingested into itself; wanted other recordings"):
        ingest([tmp_path / "first"], tmp_path / "first", quiet=True)
    assert (tmp_path / "first" / "index.parquet").read_bytes() == before
