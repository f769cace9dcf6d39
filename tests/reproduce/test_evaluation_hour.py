"""The hour shown: chosen by the rule on the page, drawn where it happened."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from selfpab.activities import Activities
from selfpab.evaluation.clock import per_second
from selfpab.recording import Recording, Segment
from selfpab.reproduce.evaluation_hour import (
    Hour,
    draw_hour,
    median_subject,
    richest_hour,
    seconds_file,
    wrong_share,
)

TWO = Activities("two", (6, 1), ("standing", "walking"))


def rows(truth: list[int | None], recording: int = 0) -> pl.DataFrame:
    kinds = {"truth": pl.Int32, "activity": pl.Int32, "recording": pl.Int32}
    return pl.DataFrame({"truth": truth, "activity": [6] * len(truth), "recording": [recording] * len(truth)}, kinds)


def stored(folder, table: pl.DataFrame, subject: str = "S1"):
    path = seconds_file(folder, subject)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(path)
    return folder


@pytest.mark.parametrize(
    ("scores", "who"),
    [
        ({"a": 0.5}, "a"),
        ({"a": 0.9, "b": 0.1, "c": 0.5}, "c"),
        ({"a": 0.9, "b": 0.1}, "b"),
        ({"b": 0.5, "a": 0.5, "c": 0.5}, "b"),
    ],
)
def test_the_median_person_is_the_lower_of_two(scores, who):
    assert median_subject(scores) == who


class TestRichestHour:
    def test_a_short_recording_is_whole(self, tmp_path):
        hour = richest_hour(stored(tmp_path, rows([1, None, 6])), "S1")
        assert (hour.first, hour.recording, len(hour.rows)) == (0, 0, 3)

    def test_most_different_activities_win(self, tmp_path):
        truth = [1] * 4000 + [6] * 3000 + [7] * 30 + [6] * 2000
        hour = richest_hour(stored(tmp_path, rows(truth)), "S1")
        assert hour.first == 3420  # the first full minute whose hour reaches the sitting
        assert set(hour.rows["truth"]) == {1, 6, 7}
        assert len(hour.rows) == 3600

    def test_then_most_labelled_seconds_then_the_earliest(self, tmp_path):
        gap = [None] * 3000
        assert richest_hour(stored(tmp_path, rows([1, *gap, *[1] * 6000])), "S1").first == 3060
        assert richest_hour(stored(tmp_path, rows([1] * 9000)), "S1").first == 0

    def test_unlabelled_is_no_activity(self, tmp_path):
        truth = [1, 6] * 1800 + [1, None] * 1800
        assert richest_hour(stored(tmp_path, rows(truth)), "S1").first == 0

    def test_it_lies_within_one_recording(self, tmp_path):
        table = pl.concat([rows([1] * 100), rows([1, 6] * 100, 1), rows([7, 8] * 100, 2)])
        hour = richest_hour(stored(tmp_path, table), "S1")
        assert (hour.recording, len(hour.rows)) == (1, 200)

    def test_a_name_may_hold_any_sign(self, tmp_path):
        assert richest_hour(stored(tmp_path, rows([1]), "a/b"), "a/b").subject == "a/b"
        assert (tmp_path / "seconds" / "a%2Fb.parquet").is_file()

    def test_an_empty_table_is_an_error(self, tmp_path):
        with pytest.raises(ValueError, match=r"S1.parquet has no rows; evaluate S1 again"):
            richest_hour(stored(tmp_path, rows([])), "S1")


def test_the_share_of_wrong_seconds_leaves_out_what_has_no_label():
    assert wrong_share(rows([6, 1, None, 6])) == pytest.approx(1 / 3)
    assert np.isnan(wrong_share(rows([None])))


@pytest.fixture
def scene():
    """Two minutes from .5 s past a full second, a gap of a minute after the first; one sample of 9 g at 2:30."""
    labels = np.repeat(np.array([6, 1], np.int16), 3000)
    samples = np.zeros((6000, 6), np.float32)
    samples[3000:, 3] = 0.5
    samples[4500, 5] = 9.0
    segments = (Segment(0, 3000, 0.0), Segment(3000, 6000, 120.0))
    recording = Recording("S1", datetime(2021, 1, 1, 8, 0, 0, 500_000), 50.0, samples, labels, segments)
    truth = TWO.indices(labels)
    chances = np.eye(2)[truth] * 0.5 + 0.25
    table = per_second(recording, truth, chances, TWO)
    return recording, Hour("S1", 0, 0, table)


class TestDrawing:
    def test_signals_stand_where_they_happened(self, scene):
        recording, hour = scene
        back, thigh, states, chances = draw_hour(hour, TWO, lambda subject: [recording]).axes
        assert len(hour.rows) == 181
        assert (back.get_ylabel(), thigh.get_ylabel()) == ("lower back\n(g)", "thigh\n(g)")
        minutes, values = thigh.lines[2].get_data()
        assert minutes[np.nanargmax(values)] == pytest.approx((120 + 30 + 0.5) / 60, abs=0.002)
        assert np.nanmax(values) == 9
        minutes, values = thigh.lines[0].get_data()
        gap = (minutes > 1.05) & (minutes < 1.95)
        assert np.isnan(values[gap]).all()
        assert np.nanmax(values[minutes < 1]) == 0
        assert np.nanmin(values[minutes > 2.02]) == 0.5
        assert states.get_xlim() == chances.get_xlim() == (0, pytest.approx(181 / 60))

    def test_a_later_hour_begins_at_its_first_second(self, scene):
        recording, hour = scene
        later = hour._replace(first=120, rows=hour.rows.slice(120))
        thigh = draw_hour(later, TWO, lambda subject: [recording]).axes[1]
        minutes, values = thigh.lines[2].get_data()
        assert minutes[np.nanargmax(values)] == pytest.approx(30.5 / 60, abs=0.002)

    def test_every_activity_has_a_lane_for_truth_and_prediction(self, scene):
        _, hour = scene
        wrong = hour.rows.with_columns(activity=pl.lit(6, pl.Int32))
        states, chances = draw_hour(hour._replace(rows=wrong), TWO).axes
        assert [label.get_text() for label in states.get_yticklabels()] == ["standing", "walking"]
        bars = [[path.get_extents() for path in bar.get_paths()] for bar in states.collections[:4]]
        standing, said_standing, walking, said_walking = bars
        assert [(bar.x0 * 60, bar.x1 * 60) for bar in standing] == [pytest.approx((0, 61))]
        assert [(bar.x0 * 60, bar.x1 * 60) for bar in walking] == [pytest.approx((120, 181), abs=1)]
        assert [(bar.x0 * 60, bar.x1 * 60) for bar in said_standing] == [pytest.approx((0, 181))]
        assert said_walking == []
        shares = chances.collections[0].get_paths()[0].vertices
        assert shares[:, 1].min() == pytest.approx(0.45 - 0.9 * 0.75)

    def test_other_recordings_are_refused(self, scene):
        recording, hour = scene
        with pytest.raises(ValueError, match="S1 has 1 recordings here, its seconds come from number 2; give the data"):
            draw_hour(hour._replace(recording=1), TWO, lambda subject: [recording])
        with pytest.raises(ValueError, match="S1 has no sample in the hour shown"):
            draw_hour(hour._replace(first=5000), TWO, lambda subject: [recording])
