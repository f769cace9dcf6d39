"""HARTH and HAR70+ csv in all published quirks, and what is wrong with them."""

import hashlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from selfpab.data.harth import read_csv
from selfpab.data.reading import read
from selfpab.recording import CHANNELS, RecordingError, Segment

HEADER = f"timestamp,{','.join(CHANNELS)},label"
START = datetime(2021, 3, 24, 14, 42, 3, 840_000)


def stamp(i: int, form: str = "ms") -> str:
    time = START + timedelta(milliseconds=20 * i)
    return {"ms": f"{time:%Y-%m-%d %H:%M:%S.%f}"[:-3], "us": f"{time:%Y-%m-%d %H:%M:%S.%f}", "s": str(i * 0.02 + 7)}[
        form
    ]


def rows(times: list[str], label: str = "6") -> list[str]:
    return [f"{time},-1.0{i % 10},0.0,0.25,-0.98,0.01,-0.1,{label}" for i, time in enumerate(times)]


def write(path: Path, lines: list[str], header: str = HEADER, end: str = "\n") -> Path:
    path.write_bytes(end.join([header, *lines, ""]).encode())
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write(tmp_path / "501.csv", rows([stamp(i) for i in range(100)]))


def test_the_official_form(plain):
    recording = read_csv(plain)
    assert (recording.subject, recording.start, recording.rate_hz) == ("501", START, 50.0)
    assert recording.samples.dtype == np.float32
    np.testing.assert_array_equal(recording.samples[3], np.array([-1.03, 0, 0.25, -0.98, 0.01, -0.1], np.float32))
    assert recording.labels is not None
    assert set(recording.labels) == {6}
    assert recording.segments == (Segment(0, 100, 0.0),)
    assert recording.source == {
        "path": str(plain),
        "form": "csv",
        "rows": 100,
        "sha256": hashlib.sha256(plain.read_bytes()).hexdigest(),
        "repairs": [],
        "ignored_columns": [],
        "stamped_rate_hz": pytest.approx(50),
    }
    assert read_csv(plain, subject="Kari").subject == "Kari"


def test_decimals_line_ends_and_byte_order_mark_make_no_difference(tmp_path, plain):
    wanted = read_csv(plain)
    nano = [stamp(i, "us") + "000" for i in range(100)]
    assert len(nano[0]) == 29
    mixed = [text.rstrip("0").rstrip(".") for text in nano]  # 14:42:04 without decimals among others
    assert "2021-03-24 14:42:04" in mixed
    for name, times in (("ns", nano), ("us", [stamp(i, "us") for i in range(100)]), ("mixed", mixed)):
        recording = read_csv(write(tmp_path / f"{name}.csv", rows(times), "\ufeff" + HEADER, "\r\n"))
        assert recording.start == START
        assert recording.segments == wanted.segments
        np.testing.assert_array_equal(recording.samples, wanted.samples)
    write(tmp_path / "T.csv", [row.replace(" ", "T") for row in rows(mixed)] + ["", ""])
    assert len(read_csv(tmp_path / "T.csv")) == 100


@pytest.mark.parametrize("extra", ["index", "", "Unnamed: 0"])
def test_columns_are_found_by_name(tmp_path, plain, extra):
    lines = [f"{i},{row}" for i, row in enumerate(rows([stamp(i) for i in range(100)]))]
    recording = read_csv(write(tmp_path / "S015.csv", lines, f"{extra},{HEADER}"))
    np.testing.assert_array_equal(recording.samples, read_csv(plain).samples)
    assert recording.source["ignored_columns"] == [extra]


def test_any_order_of_columns(tmp_path, plain):
    order = [6, 7, 1, 0, 3, 2, 5, 4]
    texts = [HEADER, *rows([stamp(i) for i in range(100)])]
    turned = [",".join(text.split(",")[i] for i in order) for text in texts]
    recording = read_csv(write(tmp_path / "a.csv", turned[1:], turned[0]))
    np.testing.assert_array_equal(recording.samples, read_csv(plain).samples)


def test_float_and_empty_labels(tmp_path):
    lines = rows([stamp(0)], "6.0") + rows([stamp(1)], "") + rows([stamp(2)], "NaN") + rows([stamp(3)], "140")
    recording = read_csv(write(tmp_path / "a.csv", lines))
    assert recording.labels is not None
    assert recording.labels.tolist() == [6, -1, -1, 140]


def test_no_label_activity_as_codes_and_activity_in_words(tmp_path):
    lines = rows([stamp(i) for i in range(9)])
    unlabelled = [line.rsplit(",", 1)[0] for line in lines]
    assert read_csv(write(tmp_path / "a.csv", unlabelled, HEADER.removesuffix(",label"))).labels is None
    codes = read_csv(write(tmp_path / "b.csv", lines, HEADER.replace("label", "activity"))).labels
    assert codes is not None
    assert set(codes) == {6}
    words = read_csv(write(tmp_path / "c.csv", [f"{x},walk" for x in unlabelled], HEADER.replace("label", "activity")))
    assert words.labels is None
    assert words.source["ignored_columns"] == ["activity"]


def test_gaps_and_parts_cut(tmp_path):
    places = [*range(10), *range(15, 20), *range(30, 40)]
    lines = [f"{row},{1 + (i > 17)}" for i, row in enumerate(rows([stamp(i) for i in places]))]
    recording = read_csv(write(tmp_path / "a.csv", lines, HEADER + ",segment"))
    assert recording.segments == (
        Segment(0, 10, 0.0, 1),
        Segment(10, 15, 0.3, 1),
        Segment(15, 18, 0.6, 1),
        Segment(18, 25, 0.66, 2),
    )


def test_seconds_instead_of_stamps(tmp_path):
    lines = rows([stamp(i, "s") for i in [*range(5), *range(50, 60)]])
    recording = read_csv(write(tmp_path / "a.csv", lines, HEADER.replace("timestamp", "time_s")))
    assert recording.start is None
    assert recording.source["first_time_s"] == 7
    assert recording.segments == (Segment(0, 5, 0.0), Segment(5, 15, 1.0))


@pytest.mark.parametrize(("zone", "hours"), [("+02:00", 2), ("Z", 0), ("-0330", -3.5)])
def test_a_time_zone_gives_an_aware_start(tmp_path, zone, hours):
    recording = read_csv(write(tmp_path / "a.csv", rows([stamp(i) + zone for i in range(9)])))
    assert recording.start == START.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert recording.start.utcoffset() == timedelta(hours=hours)


def test_stamps_every_10_ms_are_rebuilt_when_asked(tmp_path):
    times = [f"2019-01-12 00:00:{i // 100:02d}.{i % 100:02d}" for i in [*range(100), *range(400, 500)]]
    file = write(tmp_path / "S006.csv", rows(times))
    with pytest.raises(RecordingError, match=r"S006\.csv: is stamped every 10 ms \(100 Hz\); wanted 50 Hz.*rate_hz=50"):
        read_csv(file)
    recording = read_csv(file, rate_hz=50.0)
    assert recording.segments == (Segment(0, 100, 0.0), Segment(100, 200, 5.0))  # 100 samples last 2 s, the gap 3 s
    assert "stamped every 10 ms" in recording.source["repairs"][0]
    assert recording.source["stamped_rate_hz"] == pytest.approx(100)


BAD = {
    "missing channel": (
        None,
        "thigh_",
        "hip_",
        r"has no column thigh_x, thigh_y, thigh_z; its columns are 'timestamp'",
    ),
    "missing time": (None, "timestamp", "time", r"has no column timestamp \(or time_s\)"),
    "semicolons": (None, ",", ";", "divided by semicolons: save it with commas, and with points in the numbers"),
    "tabs": (None, ",", "\t", "divided by tabs: save it with commas"),
    "other case": (None, "back_x", "Back X", r"has no column back_x; .*: rename Back X to back_x$"),
    "no thigh": (
        None,
        "thigh_",
        "hip_",
        r"if hip_x, hip_y, hip_z are the thigh's, rename them; else leave them out, and",
    ),
    "workbook": (0, "timestamp", "PK\x03\x04", "is an Excel workbook; wanted csv in UTF-8"),
    "utf-16": (0, "timestamp", "t\0i\0", "is text in UTF-16, or no text; wanted csv in UTF-8"),
    "twice": (None, "label", "back_x", "has the column back_x twice"),
    "nan": (5, "0.25", "nan", r"line 6 \('2021.*back_z is missing or no number"),
    "null": (5, "0.25", "", r"line 6 .*back_z is missing"),
    "word": (5, "0.25", "0.2x5", r"line 6 \(.*0\.2x5.*back_z is missing or no number"),
    "inf": (5, "0.25", "inf", r"line 6 .*back_z is infinite"),
    "label fraction": (5, ",6", ",6.5", r"line 6 .*label is 6\.5; wanted a whole number"),
    "label word": (5, ",6", ",walking", r"line 6 .*label is 'walking'; wanted a whole number"),
    "stamp": (5, "2021-03-24", "24.03.2021", r"line 6 .*timestamp is '24\.03\.2021 14.*wanted a date and time like"),
    "first stamp": (1, "2021-03-24", "24.03.2021", r"line 2 .*timestamp is '24\.03\.2021.*must be called time_s"),
    "no stamp": (5, "2021-03-24 14:42:03.920", "", r"line 6 .*timestamp is None"),
    "duplicate": (5, "03.920", "03.900", r"line 6 .*the same as in the row before"),
    "backwards": (5, "03.920", "02.900", r"line 6 .*the time is 1 s before"),
    "few fields": (5, ",6", "", r"line 6 .*has 7 fields, the header 8; wanted as many"),
    "many fields": (5, ",6", ",6,6", r"line 6 .*has 9 fields, the header 8; wanted as many"),
    "blank line": (5, "\n", "\n\n", r"line 7 \(''\): has 1 fields"),
    "units": (None, "-0.98", "-9.8", r"the thigh sensor's median acceleration is 9\.8.*m/s²"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named_with_its_line(plain, case):
    line, old, new, message = BAD[case]
    lines = plain.read_text().splitlines(keepends=True)
    for i in range(len(lines)) if line is None else [line]:
        lines[i] = lines[i].replace(old, new)
    assert "".join(lines) != plain.read_text()
    plain.write_text("".join(lines))
    with pytest.raises(RecordingError, match=r"501\.csv.*" + message):
        read_csv(plain)


@pytest.mark.parametrize("text", [b"", b"\n\n"])
def test_an_empty_file(plain, text):
    plain.write_bytes(text)
    with pytest.raises(RecordingError, match=r"501\.csv: is empty.*wanted a header such as timestamp,back_x"):
        read_csv(plain)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_only_a_header(plain, end):
    plain.write_bytes((HEADER + end).encode())
    with pytest.raises(RecordingError, match=r"501\.csv: has a header and no samples"):
        read_csv(plain)


def test_a_file_cut_off(plain):
    whole = plain.read_bytes()
    plain.write_bytes(whole[:-1])  # a last line without its end is complete
    assert len(read_csv(plain)) == 100
    for cut in (4, 10, 30, 45):
        plain.write_bytes(whole[:-cut])
        with pytest.raises(RecordingError, match=r"line 101 .*fields, the header 8; the file seems to be cut off"):
            read_csv(plain)


@pytest.mark.parametrize("end", ["\n", "\n\n", "\n \n\n", "\r\n\r\n", ""])
@pytest.mark.parametrize("quote", ['"', ""])
def test_blank_lines_at_the_end_do_no_harm_to_quoted_text_either(plain, quote, end):
    wanted = read_csv(plain)
    header, rest = plain.read_text().rstrip("\n").split("\n", 1)
    plain.write_text(",".join(f"{quote}{name}{quote}" for name in header.split(",")) + "\n" + rest + end)
    recording = read_csv(plain)
    assert len(recording) == 100
    np.testing.assert_array_equal(recording.samples, wanted.samples)


@pytest.mark.parametrize(("quote", "header_end"), [("", "\r"), ('"', "\r"), ("", "\n")])
def test_lines_that_end_in_cr_alone(plain, quote, header_end):
    header, rest = plain.read_text().split("\n", 1)
    header = header.replace("timestamp", f"{quote}timestamp{quote}") + header_end
    plain.write_bytes((header + rest.replace("\n", "\r")).encode())
    with pytest.raises(RecordingError, match=r"501\.csv: lines end in CR alone; wanted LF or CR LF: save it with"):
        read_csv(plain)


def test_spaces_after_commas_make_no_difference(tmp_path, plain):
    wanted = read_csv(plain)
    text = plain.read_text().replace(",", ", ")
    (tmp_path / "a.csv").write_text(text)
    recording = read_csv(tmp_path / "a.csv")
    np.testing.assert_array_equal(recording.samples, wanted.samples)
    np.testing.assert_array_equal(recording.labels, wanted.labels)


def test_a_decimal_comma_in_quotes_is_named(plain):
    lines = plain.read_text().splitlines()
    for i in range(5, len(lines)):
        lines[i] = lines[i].replace(",-1.0", ',"-1,0', 1).replace(",0.0,", '",0.0,', 1)
    plain.write_text("\n".join(lines))
    with pytest.raises(RecordingError, match=r"501\.csv, line 6 .*back_x is '-1,04', a decimal comma; wanted points"):
        read_csv(plain)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_offset_that_changes_asks_for_a_time_zone(tmp_path, form):
    times = [f"2024-10-27 02:59:59.{20 * i:03d}+02:00" for i in range(50)]
    times += [f"2024-10-27 02:00:00.{20 * i:03d}+01:00" for i in range(50)]
    file = write(tmp_path / "a.csv", rows(times))
    if form == "parquet":
        pl.read_csv(file).write_parquet(file := tmp_path / "a.parquet")
    recording = read(file)
    assert recording.segments == (Segment(0, 100, 0.0),)
    (told,) = recording.source["warnings"]
    assert told.endswith(
        "changes from +02:00 to +01:00; all times are told at +02:00: give tz=, such as tz=Europe/Oslo"
    )
    civil = read(file, tz="Europe/Oslo")
    assert civil.source["warnings"] == []
    assert civil.start is not None
    assert recording.start is not None
    assert civil.start.timestamp() == recording.start.timestamp()
    assert "warnings" not in read(write(tmp_path / "b.csv", rows(times[:50]))).source


def test_an_empty_segment(tmp_path):
    lines = [f"{row},{1 if i else ''}" for i, row in enumerate(rows([stamp(i) for i in range(9)]))]
    with pytest.raises(RecordingError, match=r"line 2 .*segment is empty"):
        read_csv(write(tmp_path / "a.csv", lines, HEADER + ",segment"))
