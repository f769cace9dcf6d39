"""A Recording to and from parquet."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpab.data.parquet import read_parquet, write_parquet
from selfpab.recording import CHANNELS, Recording, RecordingError, Segment

START = datetime(2021, 3, 24, 14, 42, 3, 839_000)
ZONES = (None, UTC, timezone(timedelta(hours=2)), timezone(-timedelta(hours=3, minutes=30)), ZoneInfo("Europe/Oslo"))


def columns(rows: int = 100, **more) -> dict:
    times = np.datetime64("2021-03-24T14:42:03.839000000") + np.arange(rows) * np.timedelta64(20, "ms")
    still = dict(zip(CHANNELS, np.tile(np.array([[-1], [0], [0.25], [-1], [0], [0]], np.float32), rows), strict=True))
    return {"timestamp": times, **still, **more}


def write(path: Path, table: dict) -> Path:
    pq.write_table(pa.table({name: column for name, column in table.items() if column is not None}), path)
    return path


@st.composite
def recordings(draw) -> dict:
    """Arguments of a Recording, cut where `segments_of` cuts: gaps of more than 0.1 s, or another part.

    No Recording yet: beartype draws random numbers, which a strategy may not.
    """
    segments, first, start_ms, part = [], 0, 0, draw(st.integers(0, 3))
    for _ in range(draw(st.integers(1, 5))):
        count = draw(st.integers(2 if not segments else 1, 60))  # one step at least tells the rate
        segments.append(Segment(first, first + count, start_ms / 1000, part))
        first += count
        gap_ms = draw(st.integers(0, 5000))
        new = draw(st.integers(-2, 3))
        start_ms += 20 * count + (gap_ms if new != part else 81 + gap_ms)
        part = new
    counts = draw(st.sampled_from([None, 4096, 1024]))
    mixed = (np.arange(6 * first).reshape(first, 6) * 7919 + draw(st.integers(0, 999))) % 4001 - 2000
    samples = mixed.astype(np.int16) if counts else (mixed / 777).astype(np.float32)
    labels = (mixed[:, 0] % 142 - 1).astype(np.int16) if draw(st.booleans()) else None
    zones = st.sampled_from(ZONES)
    times = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=zones, allow_imaginary=False)
    start = draw(st.none() | times)  # an hour that the clock leaves out in spring comes back as the next
    return {"start": start, "samples": samples, "labels": labels, "segments": tuple(segments), "counts_per_g": counts}


@given(recordings())
@settings(max_examples=60, deadline=None)
def test_round_trip(arguments):
    recording = Recording("S1", rate_hz=50.0, **arguments)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "S1.parquet"
        write_parquet(recording, file)
        back = read_parquet(file)
    assert (back.subject, back.rate_hz, back.segments) == ("S1", 50.0, recording.segments)
    assert back.samples.dtype == np.float32
    np.testing.assert_array_equal(back.samples, recording.acceleration_g)
    if recording.labels is None:
        assert back.labels is None
    else:
        np.testing.assert_array_equal(back.labels, recording.labels)
    assert back.start == recording.start
    if recording.start is not None:
        assert back.start is not None
        assert back.start.utcoffset() == recording.start.utcoffset()
        assert back.start.replace(tzinfo=None) == recording.start.replace(tzinfo=None)


def test_a_week_has_several_row_groups_and_first_time_s_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("selfpab.data.parquet.ROWS", 70)
    samples = np.random.default_rng(0).standard_normal((200, 6)).astype(np.float32)
    labels = np.arange(200).astype(np.int16)
    recording = Recording("S1", None, 50.0, samples, labels, source={"first_time_s": 12.5})
    write_parquet(recording, tmp_path / "a.parquet")
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3
    back = read_parquet(tmp_path / "a.parquet", subject="Kari")
    np.testing.assert_array_equal(back.samples, samples)
    np.testing.assert_array_equal(back.labels, labels)
    assert back.source["first_time_s"] == 12.5
    assert back.subject == "Kari"


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    samples = np.zeros((100, 6), np.float32)
    overlap = Recording("S1", START, 50.0, samples, segments=(Segment(0, 60, 0.0), Segment(60, 100, 1.0)))
    with pytest.raises(ValueError, match="segments overlap in time"):
        write_parquet(overlap, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="without samples"):
        write_parquet(Recording("S1", START, 50.0, samples[:0]), tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    recording = Recording("S1", START, 50.0, np.zeros((100, 6), np.float32))
    write_parquet(recording, tmp_path / "a.parquet")
    before = (tmp_path / "a.parquet").read_bytes()

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Recording, "piece", fails)
    with pytest.raises(OSError, match="disk full"):
        write_parquet(recording, tmp_path / "a.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]
    assert (tmp_path / "a.parquet").read_bytes() == before


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Oslo", "+02:00"])
def test_stamps_of_any_unit_and_zone(tmp_path, unit, zone):
    table = columns()
    table["timestamp"] = pa.array(table["timestamp"]).cast(pa.timestamp(unit)).cast(pa.timestamp(unit, zone))
    start = read_parquet(write(tmp_path / "a.parquet", table)).start
    assert start is not None
    if zone is None:
        assert start == START
    else:
        assert start == START.replace(tzinfo=UTC)  # arrow keeps the instant in UTC
        assert start.utcoffset() == timedelta(hours={"UTC": 0, "Europe/Oslo": 1, "+02:00": 2}[zone])


def test_stamps_as_text_and_other_kinds_of_numbers(tmp_path):
    table = columns()
    table["timestamp"] = [str(time).replace("T", " ") for time in table["timestamp"]]
    table |= {name: table[name].astype(np.float64) for name in CHANNELS[:3]}
    recording = read_parquet(write(tmp_path / "a.parquet", table))
    assert recording.start == START
    assert recording.samples[5].tolist() == [-1, 0, 0.25, -1, 0, 0]


def test_label_goes_before_activity_and_words_are_no_labels(tmp_path):
    codes, words = np.full(100, 6, np.int64), pa.array(["standing"] * 100).dictionary_encode()
    for more, labels, ignored in (
        ({"activity": words, "label": codes}, {6}, ["activity"]),
        ({"activity": codes + 1}, {7}, []),
        ({"activity": codes + 1, "label": codes.astype(np.float32)}, {6}, ["activity"]),
        ({"activity": words}, None, ["activity"]),
        ({"annotation": codes}, None, ["annotation"]),
    ):
        recording = read_parquet(write(tmp_path / "a.parquet", columns(**more)))
        assert (None if recording.labels is None else set(recording.labels)) == labels
        assert recording.source["ignored_columns"] == ignored


def test_a_null_label_is_unlabelled(tmp_path):
    recording = read_parquet(write(tmp_path / "a.parquet", columns(2, label=pa.array([None, 7], pa.int16()))))
    assert recording.labels is not None
    assert recording.labels.tolist() == [-1, 7]


def bad(row: int, value, name: str = "back_y") -> dict:
    column = columns()[name].tolist() if name != "timestamp" else [*columns()["timestamp"].astype("datetime64[us]")]
    return {name: pa.array([*column[:row], value, *column[row + 1 :]])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (bad(7, None), r"row 7 \(counted from 0\): back_y is missing"),
        (bad(7, float("nan")), "row 7 .*back_y is missing"),
        (bad(7, float("inf")), "row 7 .*back_y is infinite"),
        (bad(7, None, "timestamp"), "row 7 .*timestamp is missing"),
        (bad(7, np.datetime64("2021-03-24T14:42:03.839", "us"), "timestamp"), "row 7 .*the time is 0.12 s before"),
        ({"timestamp": np.arange(100)}, r"timestamp has the type int64; wanted timestamp.*time_s"),
        ({"timestamp": None, "time_s": [*range(99), None]}, "row 99 .*time_s is missing"),
        ({"timestamp": ["24.3.21"] * 100}, "row 0 .*timestamp is '24.3.21'"),
        ({"back_x": ["-1"] * 100}, "back_x has the type string; wanted numbers"),
        ({"back_x": None, "thigh_z": None}, "has no column back_x, thigh_z; its columns are 'timestamp', 'back_y'"),
        ({"label": [6.5] * 100}, "row 0 .*label is 6.5"),
        ({"label": ["sit"] * 100}, "label has the type string"),
        ({"segment": [None] + [1] * 99}, "row 0 .*segment is empty"),
        ({"back_x": np.full(100, -9.8)}, "back sensor's median .*m/s²"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path, change, message):
    with pytest.raises(RecordingError, match=r"bad\.parquet.*" + message):
        read_parquet(write(tmp_path / "bad.parquet", columns() | change))


def test_truncated_empty_and_foreign_files(tmp_path):
    whole = write(tmp_path / "a.parquet", columns()).read_bytes()
    for content in (whole[:-1], whole[: len(whole) // 2], b"", b"timestamp,back_x"):
        (tmp_path / "a.parquet").write_bytes(content)
        with pytest.raises(RecordingError, match=r"a\.parquet: is no whole parquet file .*copy or download it again"):
            read_parquet(tmp_path / "a.parquet")
    with pytest.raises(RecordingError, match=r"a\.parquet: has columns and no samples"):
        read_parquet(write(tmp_path / "a.parquet", columns(0)))
