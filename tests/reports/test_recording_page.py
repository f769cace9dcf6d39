"""The page of a recording: its numbers are the tables', it needs nothing but itself, and says what it must."""

import base64
import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from selfpab.activities import Activities
from selfpab.reports.day_lines import lines_of, local_seconds
from selfpab.reports.recording_page import write_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory, prediction, facts):
    """The tables as files, and the page beside them."""
    folder = tmp_path_factory.mktemp("P1")
    prediction.write(folder)
    write_report(prediction, facts, folder / "report.html")
    return folder


@pytest.fixture(scope="module")
def page(folder, parsed):
    return parsed((folder / "report.html").read_text(encoding="utf-8"))


def data_of(page):
    (text,) = [text for attributes, text in page.scripts if attributes.get("id") == "recording"]
    return json.loads(text)


def seconds_of(words):
    """'1 h 2 min 3 s' -> 3723."""
    sizes = {"h": 3600, "min": 60, "s": 1}
    found = re.findall(r"([\d.,]+) (h|min|s)\b", words)
    assert found, words
    return sum(float(number.replace(",", "")) * sizes[unit] for number, unit in found)


def test_the_minutes_are_those_of_daily_csv(folder, page):
    daily = pl.read_csv(folder / "daily.csv")
    head, *rows = page.tables["minutes-1"]
    assert head == ["", "Sat 26 Oct", "Sun 27 Oct", "all days"]
    names = ["recorded_minutes", "wear_minutes", "minutes_lying", "minutes_sitting", "minutes_walking"]
    names += ["sit_to_stand", "sitting_bouts_30min", "enmo_back_mg", "enmo_thigh_mg"]
    assert len(rows) == len(names)
    for name, (_, *cells) in zip(names, rows, strict=True):
        values = daily[name].to_list()
        form = "{:,d}" if name in ("sit_to_stand", "sitting_bouts_30min") else "{:,.1f}"
        whole = "–" if name.startswith("enmo") else form.format(daily[name].sum())
        assert cells == [*(form.format(value) for value in values), whole], name
    assert [row[0] for row in rows][2:5] == ["lying, min", "sitting, min", "walking, min"]


def test_the_bouts_are_those_of_bouts_csv(folder, page):
    bouts = pl.read_csv(folder / "bouts.csv")
    rows = page.tables["bouts"][1:]
    assert [row[0] for row in rows] == ["lying", "sitting", "walking"]
    for name, count, together, median, longest, began in rows:
        own = bouts.filter(pl.col("activity_name") == name)
        assert int(count) == len(own)
        assert [seconds_of(words) for words in (together, longest)] == [own["seconds"].sum(), own["seconds"].max()]
        assert abs(seconds_of(median) - np.median(own["seconds"])) <= 0.5
        first = own.sort("seconds", descending=True)["start"][0]  # 2024-10-27 02:10:13+02:00
        assert began.split()[-1] == first[11:19]
        assert began.split()[1:4] == [str(int(first[8:10])), "Oct", "2024"]
    rows = page.tables["sitting"][1:]
    long = bouts.filter((pl.col("activity") == 7) & (pl.col("seconds") >= 1800)).sort("seconds", descending=True)
    assert len(long) == 2
    assert [seconds_of(row[2]) for row in rows] == long["seconds"].to_list()
    for (begin, end, _), bout in zip(rows, long.iter_rows(named=True), strict=True):
        assert (begin.split()[-1], end.split()[-1]) == (bout["start"][11:19], bout["end"][11:19])


def test_the_headline_is_of_the_tables(folder, page, prediction):
    lead = " ".join(page.words)
    daily = pl.read_csv(folder / "daily.csv")
    recorded, worn = re.search(r": ([^.]*) recorded, ([^.]*) of it worn", lead).groups()
    assert seconds_of(recorded) == round(60 * daily["recorded_minutes"].sum())
    assert seconds_of(worn) == round(60 * daily["wear_minutes"].sum())
    assert "From Sat 26 Oct 2024 23:10:00 to Sun 27 Oct 2024 02:35:14" in lead
    bouts = pl.read_csv(folder / "bouts.csv").group_by("activity_name").agg(pl.col("seconds").sum()).sort("seconds")
    most = re.search(r"Most of it was (\w+) \(([^)]*)\), then (\w+) \(([^)]*)\), then (\w+) \(([^)]*)\)", lead).groups()
    assert list(most[::2]) == bouts["activity_name"].to_list()[::-1]
    assert [seconds_of(words) for words in most[1::2]] == bouts["seconds"].to_list()[::-1]


def test_what_is_drawn_is_what_the_tables_count(page, prediction, unpacked):
    data, seconds = data_of(page), prediction.seconds

    def expanded(track):
        return np.repeat(unpacked(track["values"], "<u2"), unpacked(track["lengths"], "<u4"))

    states, K = expanded(data["states"]), len(data["classes"])
    assert len(states) == data["rows"] == len(seconds)
    daily = prediction.daily()
    for place, column in enumerate(("minutes_sitting", "minutes_walking", "minutes_lying")):
        assert np.count_nonzero(states == place) / 60 == pytest.approx(daily[column].sum())
    assert np.count_nonzero(states == K) == (~seconds["wear"]).sum() > 0
    assert np.count_nonzero(states == K + 1) == seconds.filter("wear", ~pl.col("gap"))["activity"].null_count() > 0
    assert np.count_nonzero(states == K + 2) == seconds["gap"].sum() > 0
    np.testing.assert_array_equal(expanded(data["uncertain"]), seconds["uncertain"].fill_null(False))
    assert [data["flag_words"][i] for i in expanded(data["flags"])] == seconds["flags"].to_list()
    shares = data["probabilities"]
    assert (shares["seconds"], shares["bins"]) == (1, len(seconds))
    bytes_ = unpacked(shares["data"], np.uint8).reshape(K, -1)
    values = np.cumsum(bytes_, axis=1, dtype=np.uint8)
    for place, column in enumerate(prediction.activities.columns):
        expected = (100 * seconds[column].to_numpy().astype(float)).round()
        np.testing.assert_array_equal(values[place], np.where(np.isnan(expected), 255, expected))


def test_rows_have_the_recordings_own_time(page, prediction):
    data = data_of(page)
    local = local_seconds(prediction.seconds["time"], prediction.recording.start)
    made = np.empty(data["rows"], np.int64)
    for row, shift in data["shifts"]:
        made[row:] = np.arange(row, len(made)) + shift
    np.testing.assert_array_equal(made, local)
    assert len(data["shifts"]) == 2
    assert "After Sun 27 Oct 2024 02:59:59 the clock was put back" in " ".join(page.words)
    lines = data["picture"]["lines"]
    assert [line["midnight"] // 86_400 for line in lines] == [line.day for line in lines_of(local)]


def test_it_needs_nothing_but_itself(folder, page):
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert {*page.references} == {"seconds.parquet", "daily.csv", "bouts.csv", "info.json"}
    assert (folder / "daily.csv").is_file()
    (data,) = [content for attributes, content in page.scripts if attributes.get("id") == "recording"]
    shown = text.replace(data, "")
    assert len(shown) < len(text)
    assert not re.search(r"https?://|//\w|@import|url\((?!#)|fetch\(|XMLHttpRequest|eval\(", shown)
    policy = next(found["content"] for tag, found in page.tags if found.get("http-equiv") == "Content-Security-Policy")
    (script,) = [text for attributes, text in page.scripts if "type" not in attributes]
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{checksum}'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]
    assert "default-src 'none'" in policy


def test_it_says_what_it_must(page, facts):
    words = " ".join(page.words)
    for needed in (
        "never called sleep", "no medical device", "about 80 in 100 were right", "Rows in the wrong order were sorted.",
        "mine", "selfpab 1.2.3", "Not worn: both sensors for 30 min", "0123456789ab",
        "There is a gap in the recording, 10 min 13 s (3.9 % of the time)",
    ):  # fmt: skip
        assert needed in words, needed


def test_another_day_without_a_date_and_with_an_odd_name(undated, tmp_path, parsed):
    page = parsed(write_report(undated, {}, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Activities of <b>&\"x\"/$y$ 'é'</script>" in " ".join(page.words)
    assert page.tables["minutes-1"][0] == ["", "day 1"]
    assert page.tables["bouts"][1][-1].startswith("day 1 ")
    assert data_of(page)["dated"] is False
    assert len(page.scripts) == 2


def test_a_class_may_be_called_anything(prediction, tmp_path, parsed):
    odd = Activities("odd", (7, 1, 8), ("</script><b>", "walking", "lying"))
    seconds = prediction.seconds.rename({"p_sitting": odd.columns[0]})
    page = parsed(
        write_report(replace(prediction, activities=odd, seconds=seconds), {}, tmp_path / "r.html").read_text()
    )
    assert data_of(page)["classes"][0]["name"] == "</script><b>"
    assert [tag for tag, _ in page.tags].count("script") == 2


def test_what_is_empty_is_told(prediction, tmp_path):
    nothing = replace(prediction, seconds=prediction.seconds[:0])
    with pytest.raises(ValueError, match="P1 has no samples, so there is nothing to report"):
        write_report(nothing, {}, tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_a_recording_without_any_activity(prediction, tmp_path, parsed):
    seconds = prediction.seconds.with_columns(wear=False)
    page = parsed(
        write_report(replace(prediction, seconds=seconds), {}, tmp_path / "r.html").read_text(encoding="utf-8")
    )
    assert "No activity can be given." in " ".join(page.words)
    assert page.tables["bouts"][1:] == []


def test_the_same_is_the_same_file(prediction, facts, tmp_path, folder):
    again = write_report(prediction, facts, tmp_path / "again.html")
    assert again.read_bytes() == (folder / "report.html").read_bytes()
