"""The authors' hourly files."""

import hashlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from selfpab.data.hunt4 import HOUR, read_hour, read_hours
from selfpab.recording import RecordingError, Segment


def write(folder: Path, name: str, rows: int, fill: float = 0.5, columns: int = 6, key: str = "arr_0") -> Path:
    folder.mkdir(exist_ok=True)
    array = np.full((rows, columns), fill, np.float32)
    array[:, 0] = np.arange(rows) / max(rows, 1)
    np.savez(folder / name, **{key: array})
    return folder / name


def test_one_hour_all_rows_first_six_columns(tmp_path):
    file = write(tmp_path / "4711", "2018-03-05_14.npz", 16_000, columns=8)
    recording = read_hour(file)
    assert (recording.subject, recording.start, recording.rate_hz) == ("4711", datetime(2018, 3, 5, 14), 50.0)
    np.testing.assert_array_equal(recording.samples, np.load(file)["arr_0"][:, :6])  # the authors stop at 15,000
    assert recording.labels is None
    assert recording.segments == (Segment(0, 16_000, 0.0),)
    assert recording.source["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert recording.source["form"] == "hunt4"
    assert read_hour(file, subject="x", rate_hz=50.0).subject == "x"


def test_hours_abut_only_when_whole(tmp_path):
    folder = tmp_path / "4711"
    for name, rows, fill in (
        ("2018-03-05_23", HOUR, 0.5),
        ("2018-03-06_00", HOUR - 2, 0.55),
        ("2018-03-06_01", HOUR, 0.6),
        ("2018-03-06_03", 100, 0.65),
    ):
        write(folder, name + ".npz", rows, fill)
    (folder / "notes.txt").write_text("not an hour")
    recording = read_hours(folder)
    assert recording.start == datetime(2018, 3, 5, 23)
    assert recording.subject == "4711"
    assert recording.segments == (
        Segment(0, 2 * HOUR - 2, 0.0),
        Segment(2 * HOUR - 2, 3 * HOUR - 2, 7200.0),
        Segment(3 * HOUR - 2, 3 * HOUR + 98, 14400.0),
    )
    assert np.unique(recording.samples[:, 5]).tolist() == np.array([0.5, 0.55, 0.6, 0.65], np.float32).tolist()
    assert recording.source["files"] == 4
    sha256 = recording.source["sha256"]
    write(folder, "2018-03-06_03.npz", 101, 0.65)
    assert read_hours(folder).source["sha256"] != sha256


def test_files_of_other_names_are_left_out_and_told(tmp_path):
    folder = tmp_path / "4711"
    write(folder, "2018-03-05_23.npz", 100)
    assert "warnings" not in read_hours(folder).source
    for name in ("2018-03-06_00 (1).npz", "2018-03-06-01.npz", "2018-3-6_2.npz", "x.npz", "._2018-03-05_23.npz"):
        write(folder, name, 100)
    (folder / "2018-3-6_2.npz").rename(folder / "2018-3-6_2.NPZ")
    recording = read_hours(folder)
    assert len(recording) == 100
    assert recording.source["warnings"] == [
        "4 npz files left out (2018-03-06-01.npz, 2018-03-06_00 (1).npz, 2018-3-6_2.NPZ ...): wanted a name like "
        "2018-03-05_14.npz, for these files hold no times"
    ]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("2018-03-05_24.npz", {}, "its name is no date and hour; wanted a name like 2018-03-05_14.npz"),
        ("recording.npz", {}, "its name is no date and hour"),
        ("2018-03-05_14.npz", {"columns": 5}, r"`arr_0` has shape \(100, 5\).*wanted `arr_0` of shape \(samples, 6"),
        ("2018-03-05_14.npz", {"rows": 0}, r"shape \(0, 6\)"),
        ("2018-03-05_14.npz", {"key": "data"}, "has no array `arr_0`"),
        ("2018-03-05_14.npz", {"rows": HOUR + 1}, "has 180001 rows; an hour at 50 Hz has 180000"),
        (
            "2018-03-05_14.npz",
            {"fill": np.nan},
            r"the thigh sensor has no number in any row: export it again with both",
        ),
        ("2018-03-05_14.npz", {"fill": 9.8}, "back sensor's median.*m/s²"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, given, message):
    file = write(tmp_path / "4711", name, **{"rows": 100, **given})
    with pytest.raises(RecordingError, match=message):
        read_hour(file)


def test_damaged_files_other_rates_and_pickles(tmp_path):
    file = write(tmp_path / "4711", "2018-03-05_14.npz", 1000)
    with pytest.raises(RecordingError, match="rate_hz=100 was asked for; hourly files have 50 Hz"):
        read_hour(file, rate_hz=100.0)
    whole = bytearray(file.read_bytes())
    file.write_bytes(whole[:-50])
    with pytest.raises(RecordingError, match=r"is no whole npz file .*copy or download it again"):
        read_hour(file)
    whole[5000] ^= 255  # in the values: the archive's own checksum notices
    file.write_bytes(whole)
    with pytest.raises(RecordingError, match=r"is no whole npz file .*CRC"):
        read_hour(file)
    np.savez_compressed(file, arr_0=np.random.default_rng(0).integers(0, 9, (20_000, 6)) / 8)
    packed = file.read_bytes()
    for place in (300, 40_000):  # found with the header, and with the values
        file.write_bytes(packed[:place] + b"\xff" * 100 + packed[place + 100 :])
        with pytest.raises(RecordingError, match=r"is no whole npz file .*Error -3"):
            read_hour(file)
    np.savez(file, arr_0=np.full((10, 6), None))
    with pytest.raises(RecordingError, match="type object"):
        read_hour(file)
