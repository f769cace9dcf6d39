"""read: one door for all forms."""

from pathlib import Path

import numpy as np
import pytest

from selfpab.data.parquet import write_parquet
from selfpab.data.reading import read
from selfpab.data.store import add_recording, write_index
from selfpab.recording import CHANNELS, RecordingError


def csv(path: Path, step_ms: int = 20) -> Path:
    times = [f"2021-03-24 14:42:{i * step_ms // 1000:02d}.{i * step_ms % 1000:03d}" for i in range(100)]
    path.write_text("\n".join([f"timestamp,{','.join(CHANNELS)},label", *(f"{t},-1,0,0,-1,0,0,6" for t in times)]))
    return path


def test_the_suffix_tells_the_form(tmp_path):
    table = read(csv(tmp_path / "S1.CSV"))
    write_parquet(table, tmp_path / "S1.parquet")
    hours = tmp_path / "4711"
    hours.mkdir()
    np.savez(hours / "2018-03-05_14.npz", arr_0=table.acceleration_g)
    forms = {
        read(path).source["form"]: read(path).subject
        for path in (tmp_path / "S1.CSV", str(tmp_path / "S1.parquet"), hours / "2018-03-05_14.npz")
    }
    assert forms == {"csv": "S1", "parquet": "S1", "hunt4": "4711"}
    assert read(hours).source["files"] == 1
    for path in (tmp_path / "S1.CSV", tmp_path / "S1.parquet", hours, hours / "2018-03-05_14.npz"):
        recording = read(path, subject="Kari")
        assert recording.subject == "Kari"
        np.testing.assert_array_equal(recording.samples, table.samples)


def test_rate_hz_is_handed_on(tmp_path):
    file = csv(tmp_path / "S1.csv", step_ms=10)
    with pytest.raises(RecordingError, match="rate_hz=50"):
        read(file)
    assert read(file, rate_hz=50.0).segments[0].stop == 100
    (tmp_path / "4711").mkdir()
    np.savez(tmp_path / "4711/2018-03-05_14.npz", arr_0=read(file, rate_hz=50.0).samples)
    with pytest.raises(RecordingError, match="rate_hz=100 was asked for"):
        read(tmp_path / "4711", rate_hz=100.0)


def test_paths_that_lead_nowhere(tmp_path):
    csv(tmp_path / "S006.csv")
    (tmp_path / "back.cwa").write_bytes(b"MD")
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    (tmp_path / "empty").mkdir()
    for path, message in (
        ("S06.csv", r"S06\.csv: there is no such file; did you mean 'S006\.csv'\?"),
        ("data/S06.csv", r"S06\.csv: there is no such file; no folder .*data"),
        ("back.cwa", r"back\.cwa: a device file is one sensor; wanted a pair: read\(\(back, thigh\)\)"),
        ("a.xlsx", r"a\.xlsx: files ending in \.xlsx cannot be read; wanted a \.csv or \.parquet"),
        ("empty", r"empty: is a folder without hourly files like 2018-03-05_14\.npz; wanted"),
        (".", "is a folder without hourly files .*; its 1 csv or parquet files can be read one by one"),
    ):
        with pytest.raises(RecordingError, match=message):
            read(tmp_path / path)


def test_a_pair_needs_two_device_files(tmp_path):
    (tmp_path / "back.cwa").write_bytes(b"MD")
    (tmp_path / "thigh.csv").touch()
    for thigh, settings, message in (
        ("thigh.cwa", {}, r"thigh\.cwa: there is no such file; did you mean 'thigh\.csv'\?"),
        ("thigh.csv", {}, r"thigh\.csv: is no \.cwa, \.gt3x, \.bin file; wanted a device file of each sensor"),
        ("back.cwa", {"rate_hz": 50.0}, r"rate_hz=50 was asked for; device files know their rate: leave it out"),
    ):
        with pytest.raises(RecordingError, match=message):
            read((tmp_path / "back.cwa", tmp_path / thigh), **settings)


def test_a_clock_is_put_into_civil_time_on_request(tmp_path):
    file = csv(tmp_path / "S1.csv")
    assert read(file).start.isoformat() == "2021-03-24T14:42:00"
    placed = read(file, tz="Europe/Oslo", configured_at="2021-07-01")
    assert placed.start.isoformat() == "2021-03-24T13:42:00+01:00"
    assert (placed.source["tz"], placed.source["configured_at"]) == ("Europe/Oslo", "2021-07-01")
    with pytest.raises(RecordingError, match=r"S1\.csv: does not know the time zone 'Oslo'"):
        read(file, tz="Oslo")


def test_an_entry_of_a_corpus(tmp_path):
    table = read(csv(tmp_path / "S1.csv"), tz="Europe/Oslo")
    add_recording(table, tmp_path / "corpus", "harth-S1", checksum="c", moments=(0, np.zeros(156), np.zeros(156)))
    write_index(tmp_path / "corpus")
    for path in ("corpus/harth-S1", "corpus/recordings/harth-S1.npy"):
        entry = read(tmp_path / path, subject="Kari", tz="Europe/Oslo")
        assert (entry.subject, entry.start, entry.samples.dtype) == ("Kari", table.start, np.int16)
        np.testing.assert_array_equal(entry.acceleration_g, table.samples)
    for path, settings, message in (
        ("corpus", {}, r"corpus: is a corpus of 1 recordings; wanted one of them, such as .*corpus/harth-S1 "),
        ("corpus/harth-S2", {}, r"has no entry 'harth-S2'; did you mean 'harth-S1'\?"),
        (
            "corpus/harth-S1",
            {"tz": "Europe/Paris"},
            "tz=Europe/Paris was asked for; the entry was ingested with Europe/Os",
        ),
        ("corpus/harth-S1", {"rate_hz": 100.0}, r"rate_hz=100\.0 was asked for"),
    ):
        with pytest.raises(RecordingError, match=message):
            read(tmp_path / path, **settings)


@pytest.mark.shared
def test_the_official_csv_equals_the_parquet_of_the_same_person(shared):
    csv_file = read(shared / "data/har70plus/sample_501_first60s.csv")
    parquet = read(shared / "data/har70plus/501.parquet")
    assert len(csv_file) == 3000
    assert csv_file.start == parquet.start
    np.testing.assert_allclose(csv_file.acceleration_g, parquet.piece(0, 3000), rtol=0, atol=1e-6)
    # The labels of the parquet are one per second (the shared folder's README), so that some near a change differ.
    assert csv_file.labels is not None
    assert parquet.labels is not None
    assert np.mean(csv_file.labels == parquet.labels[:3000]) > 0.9


@pytest.mark.shared
def test_every_real_recording_reads(shared):
    recordings = {}
    for file in sorted((shared / "data").glob("*/*.parquet")):
        recording = read(file)
        recordings.setdefault(file.parent.name, []).append(recording)
        assert recording.source["stamped_rate_hz"] == pytest.approx(50, abs=0.001)
        assert sum(map(len, recording.segments)) == len(recording)
    assert {name: len(some) for name, some in recordings.items()} == {
        "har70plus": 18,
        "harth": 11,
        "dsads": 8,
        "selfback": 34,
        "daphnet": 6,
    }
    assert sum(map(len, recordings["har70plus"])) == 2_259_597
    assert all(len(r.segments) == 19 and r.start is None for r in recordings["dsads"])  # 19 activities, no time gap
    assert len({s.part for s in recordings["dsads"][0].segments}) == 19
    assert all(len(r.segments) > 1 for r in recordings["har70plus"])
    ends = [
        b.start_s - a.start_s - len(a) / r.rate_hz
        for r in recordings["har70plus"]
        for a, b in zip(r.segments[:-1], r.segments[1:], strict=True)
    ]
    assert max(ends) == pytest.approx(112.2, abs=0.05)  # "up to 113 s"
