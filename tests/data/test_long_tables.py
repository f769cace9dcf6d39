"""Long files in pieces: what short ones give, rounded once, and the same words for what is wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selfpab.data import checks, harth, long_tables, parquet
from selfpab.data.checks import check_gravity, gravity_rows, unit_rows
from selfpab.data.harth import read_csv
from selfpab.data.long_tables import Gathered, Piece, gathered, seconds_since
from selfpab.data.parquet import read_parquet
from selfpab.recording import CHANNELS, Recording, RecordingError

ROWS = 1000
START = datetime(2021, 3, 24, 14, 42, 3, 839_000)


def table(scale_g: float = 1.0, **more) -> dict:
    """Columns of a file; None leaves one out."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.2, (ROWS, 6)).astype(np.float32) + np.array([-1, 0, 0, -1, 0, 0], np.float32)
    values[700] = scale_g
    steps = np.full(ROWS, 20)
    steps[[0, 400]] = 0, 5000
    times = [START + timedelta(milliseconds=int(ms)) for ms in np.cumsum(steps)]
    columns = {"timestamp": times, **{name: values[:, i].tolist() for i, name in enumerate(CHANNELS)}}
    columns |= {"label": rng.integers(1, 9, ROWS).tolist(), **more}
    return {name: column for name, column in columns.items() if column is not None}


def changed(name: str, row: int, value) -> dict:
    column = list(table()[name])
    column[row] = value
    return {name: column}


def write(folder: Path, form: str, columns: dict, **how) -> Path:
    file = folder / f"S1.{form}"
    if form == "parquet":
        pq.write_table(pa.table(columns), file, row_group_size=330)
    else:
        pl.DataFrame(columns, strict=False).write_csv(file, datetime_format="%Y-%m-%d %H:%M:%S%.3f", **how)
    return file


def read(file: Path, **settings) -> Recording:
    return (read_csv if file.suffix == ".csv" else read_parquet)(file, **settings)


@pytest.fixture
def in_pieces(monkeypatch):
    """A function that makes every file a long one, and its pieces small."""

    def set_up() -> list[int]:
        for module in (harth, parquet):
            monkeypatch.setattr(module, "LONG_ROWS", 0)
            monkeypatch.setattr(module, "gathered", lambda *a: (seen.append(1), gathered(*a))[1])
        monkeypatch.setattr(harth, "BLOCK_BYTES", 5000)
        monkeypatch.setattr(checks, "STEPS_AT_ONCE", 64)
        for module in (long_tables, parquet):
            monkeypatch.setattr(module, "PIECE_ROWS", 70)
        return seen

    seen: list[int] = []
    return set_up


WHOLE = {
    "plain": {},
    "seconds": {"timestamp": None, "time_s": [7 + 0.02 * i for i in range(ROWS)]},
    "parts": {"segment": [2] * 300 + [5] * 700},
    "no label": {"label": None},
    "empty labels": {"label": [None] * 500 + [3] * 500},
    "codes": {"label": None, "activity": [6] * ROWS},
    "words late": {"label": None, "activity": ["6"] * 900 + ["sitting"] * 100},
    "words": {"activity": ["sitting"] * ROWS},
    "zone": {"timestamp": [time.replace(tzinfo=UTC).isoformat() for time in table()["timestamp"]]},
    "text": {"timestamp": [str(time) for time in table()["timestamp"]]},
    "10 g": {"scale_g": 10.0},
    "31 g": {"scale_g": 31.0},
}


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("case", list(WHOLE))
def test_pieces_give_what_the_whole_gives(tmp_path, form, case, in_pieces):
    file = write(tmp_path, form, table(**WHOLE[case]))
    whole = read(file)
    seen = in_pieces()
    found = read(file)
    assert seen
    assert whole.samples.dtype == np.float32
    counts = {"10 g": 2048, "31 g": 1024}.get(case, 4096)
    assert (found.samples.dtype, found.counts_per_g) == (np.int16, counts)
    np.testing.assert_array_equal(found.samples, np.rint(whole.samples * np.float32(counts)))  # rounded once
    assert (found.start, found.segments, found.source) == (whole.start, whole.segments, whole.source)
    assert len(found.segments) == (1 if case == "seconds" else 3 if case == "parts" else 2)
    if whole.labels is None or found.labels is None:
        assert found.labels is whole.labels
        assert case in ("no label", "words", "words late")
    else:
        np.testing.assert_array_equal(found.labels, whole.labels)


WRONG = {
    "missing value": changed("back_y", 700, None),
    "infinite value": changed("thigh_z", 5, float("inf")) | changed("back_x", 700, None),
    "no thigh": dict.fromkeys(CHANNELS[3:], [None] * 999 + [None]),
    "m/s²": {name: [9.8 * value for value in table()[name]] for name in CHANNELS},
    "mg": {name: [1000 * value for value in table()[name]] for name in CHANNELS},
    "not 1 g at rest": {name: [2.0 * (name[-1] == "x") + 1e-3 * (i % 7) for i in range(ROWS)] for name in CHANNELS},
    "label of no whole number": {"label": [6.0] * 700 + [6.5] * 300},
    "label too large": {"label": [6] * 700 + [70_000] * 300},
    "no segment": {"segment": [1] * 700 + [None] * 300},
    "time turned back": changed("timestamp", 700, START),
    "the last step of a block": {"timestamp": [*table()["timestamp"][:704], *table()["timestamp"][703:999]]},
    "no time": changed("timestamp", 700, None),
    "no seconds": {"timestamp": None, "time_s": [0.02 * i for i in range(999)] + [None]},
    "odd text": {"timestamp": [str(time) for time in table()["timestamp"][:999]] + ["soon"]},
    "100 Hz": {"timestamp": None, "time_s": [0.01 * i for i in range(ROWS)]},
    "1 Hz": {"timestamp": None, "time_s": list(map(float, range(ROWS)))},
    "25 Hz": {"timestamp": None, "time_s": [0.04 * i for i in range(ROWS)]},
    "words": {"label": ["6"] * 999 + ["sit"]},
}


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("case", list(WRONG))
def test_what_is_wrong_is_said_in_the_same_words(tmp_path, form, case, in_pieces):
    columns = table(**WRONG[case])
    file = write(tmp_path, form, columns)
    told = []
    for set_up in (list, in_pieces):
        set_up()
        with pytest.raises(RecordingError) as error:
            read(file)
        told.append(str(error.value))
    assert told[0] == told[1]
    assert str(file) in told[0]


def test_a_file_stamped_twice_as_fast_is_repaired_all_the_same(tmp_path, in_pieces):
    file = write(tmp_path, "parquet", table(timestamp=None, time_s=[0.01 * i + (i > 600) for i in range(ROWS)]))
    whole = read(file, rate_hz=50.0)
    in_pieces()
    found = read(file, rate_hz=50.0)
    assert found.segments == whole.segments
    assert len(found.segments) == 2
    assert found.source == whole.source


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_no_counts_hold_is_read_as_floats(tmp_path, form, in_pieces):
    in_pieces()
    found = read(write(tmp_path, form, table(scale_g=33.0)))
    assert found.counts_per_g is None
    assert found.samples.max() == 33.0


def test_line_ends_blank_lines_and_quotes(tmp_path, in_pieces):
    whole = read(write(tmp_path, "csv", table()))
    text = (tmp_path / "S1.csv").read_text()
    seen = in_pieces()
    for count, variant in enumerate((text.rstrip("\n"), text + "\n\n", text.replace("\n", "\r\n"), "\ufeff" + text), 1):
        (tmp_path / "S1.csv").write_bytes(variant.encode())
        found = read(tmp_path / "S1.csv")
        assert len(seen) == count
        assert found.samples.dtype == np.int16
        np.testing.assert_allclose(found.acceleration_g, whole.samples, atol=0.501 / 4096)
        np.testing.assert_array_equal(found.labels, whole.labels)
    quoted = write(tmp_path, "csv", table(), quote_style="non_numeric")
    assert '"' in quoted.read_text()
    assert read(quoted).samples.dtype == np.float32  # whole: lines may end within quotes
    assert len(seen) == count


def test_six_hours_are_the_longest_that_stay_as_they_are():
    assert long_tables.LONG_ROWS == 6 * 3600 * 50


def test_fewer_rows_than_said_are_no_result():
    piece = Piece(np.arange(5), np.zeros((5, 6), np.float32), {})
    assert gathered(lambda: iter([piece]), 6, Path("a.csv")) is None
    found = gathered(lambda: iter([piece, piece]), 8, Path("a.csv"))
    assert isinstance(found, Gathered)
    assert found.times_ns.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]


@pytest.mark.parametrize("count", [100, 1000, 1_300_000, 30_240_000])
def test_the_rows_that_are_looked_at_are_all_that_is_looked_at(count, monkeypatch):
    rows = gravity_rows(count)
    np.testing.assert_array_equal(gravity_rows(len(rows)), np.arange(len(rows)))
    assert len(rows) <= 500_000
    assert len(unit_rows(count)) <= 110_000
    samples = np.zeros((len(rows), 6), np.float32)
    samples[:, [0, 3]] = 2.0
    samples[::2, 1] = 1e-3
    if count >= 1000:
        with pytest.raises(RecordingError, match="at rest, the back sensor measures 2;"):
            check_gravity(samples, Path("a.csv"))


def test_times_become_seconds_in_their_own_memory():
    times = np.arange(1_000_000) * 20_000_000 + 7
    wanted = (times - 7) / 1e9
    np.testing.assert_array_equal(seconds_since(7, times, spent=False), wanted)
    assert times[1] == 20_000_007
    found = seconds_since(7, times, spent=True)
    np.testing.assert_array_equal(found, wanted)
    assert np.shares_memory(found, times)
