"""Repairs give back the same bits, marks and source say why, labels stay, memory does not grow with the recording."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from selfpab.data.placement import check_placement
from selfpab.data.placement_turns import BY_NAME, planted
from selfpab.data.reading import read
from selfpab.recording import Mark, Recording


def test_a_repair_gives_back_the_recording_to_the_bit(somebody):
    before = somebody()
    faulty = planted(before, {"back": "z", "thigh": "x"}, swapped=True)
    after, found = check_placement(faulty)
    np.testing.assert_array_equal(after.samples, before.samples)
    assert after.samples.dtype == np.int16
    assert after.labels is faulty.labels
    assert not found.fine
    assert check_placement(after)[1].fine


def test_an_angle_is_turned_back(somebody):
    before = somebody()
    after, _ = check_placement(planted(before, {"thigh": 100.0}))
    sitting = before.labels == 7
    mean = after.acceleration_g[sitting, 3:].mean(0)
    assert np.rad2deg(np.abs(np.arctan2(mean[1], -mean[2]))) <= 10


def test_the_repair_begins_where_the_fault_does(somebody):
    before = somebody(*[("walk", 3), ("sit", 2)] * 4)
    after, found = check_placement(planted(before, {"thigh": "z"}, from_sample=30_000))
    wrong = (after.samples != before.samples).any(1)
    assert wrong.sum() <= 500
    assert len(found.stretches) == 2


def test_marks_and_source_say_what_and_why(somebody):
    faulty = planted(somebody(), {"back": "x"}, swapped=True)
    after, _ = check_placement(replace(faulty, source={"file": "a.csv"}))
    swap, back = after.marks
    assert (swap.kind, back.kind) == ("placement swap", "placement back")
    assert (back.first, back.stop) == (0, len(faulty))
    assert "turned: by 180 degrees about x; log odds" in back.evidence
    assert back.evidence.endswith("repaired")
    about = json.loads(json.dumps(after.source))
    assert about["file"] == "a.csv"
    assert about["placement"]["fine"] is False
    (stretch,) = about["placement"]["stretches"]
    assert stretch["back"]["turn"] == "x"
    assert stretch["back"]["log_odds"] > 10
    assert stretch["repaired"] is True


def test_warn_marks_and_off_does_not_look(somebody):
    faulty = planted(somebody(), {"thigh": "x"})
    warned, found = check_placement(faulty, repair="warn")
    assert warned.samples is faulty.samples
    assert [mark.kind for mark in warned.marks] == ["placement thigh"]
    assert warned.marks[0].evidence.endswith("not repaired")
    assert found.stretches[0].thigh.turn == BY_NAME["x"]
    left, nothing = check_placement(faulty, repair="off")
    assert left is faulty
    assert nothing.stretches == ()
    with pytest.raises(ValueError, match='repair must be "auto", "warn" or "off", got \'yes\''):
        check_placement(faulty, repair="yes")


def test_a_swap_more_likely_than_not_is_a_remark(somebody, monkeypatch):
    recording = replace(somebody(), source={"warnings": ["look at it"]})
    (sure,) = check_placement(recording)[1].stretches
    half = len(recording) // 2
    for first, odds, minutes in ((0, 3.9, len(recording) / 3000), (half, 3.9, half / 3000), (0, 0.0, None)):
        parts = [sure._replace(stop=first), sure._replace(first=first, swap_log_odds=odds)][first == 0 :]
        monkeypatch.setattr("selfpab.data.placement.stretches_of", lambda *_, parts=parts, **__: parts)
        after, found = check_placement(recording)
        assert after.marks == ()
        assert found.fine == (odds == 0)
        likely = (
            f"back and thigh are more likely swapped than not (log odds 3.9) in {minutes or 0:.0f} min, too little to repair: "
            "look up which sensor was worn where"
        )
        assert after.source["warnings"] == ["look at it", *([likely] if odds else [])]
        assert after.source["placement"]["fine"] is found.fine


def test_an_untouched_recording_keeps_its_samples_and_gets_no_mark(somebody):
    recording = somebody()
    after, found = check_placement(recording)
    assert after.samples is recording.samples
    assert after.marks == ()
    assert found.fine
    assert after.source["placement"]["stretches"][0]["back"]["told"] == "as it should be"
    empty = Recording("P", None, 50.0, np.zeros((0, 6), np.float32))
    assert check_placement(empty)[0] is empty


def test_marks_of_one_sensor_go_with_it(somebody):
    marks = (Mark(0, 500, "clipping"), Mark(1000, 4000, "non-wear back"))
    faulty = replace(planted(somebody(), swapped=True), marks=marks)
    after = check_placement(faulty)[0]
    kinds = {(mark.first, mark.stop): mark.kind for mark in after.marks}
    assert kinds[0, 500] == "clipping"
    assert kinds[1000, 4000] == "non-wear thigh"


def test_words_of_one_sensor_go_with_it(somebody):
    """Swapped in the second half only: what is said of the first stays, what lies over both is cut."""
    before = somebody(*[("walk", 3), ("sit", 2)] * 8)
    half, alone = len(before) // 2, "back alone still for 50 min without a turn; thigh moving for 9 min of it"
    marks = (
        Mark(0, 500, "clipping", "back: 3 raw samples"),
        Mark(600, 900, "placed", "back as found"),
        Mark(half - 9200, half + 4000, "clipping", "3 raw samples"),
        Mark(half - 9000, half + 5000, "clipping", "back: 5 raw samples"),
        Mark(half + 6000, half + 6500, "non-wear back", alone),
        Mark(half + 7000, half + 7500, "non-wear", f"{alone}; thigh alone still for 55 min"),
        Mark(half + 8000, half + 8500, "placed", "back as found"),
    )
    source = {"back": {"file": "b.cwa"}, "thigh": {"file": "t.cwa"}, "warnings": ["look at it"]}
    faulty = replace(planted(before, swapped=True, from_sample=half), marks=marks, source=source)
    after, found = check_placement(faulty)
    assert [stretch.swapped for stretch in found.stretches] == [False, True]
    cut = found.stretches[1].first
    other = "thigh alone still for 50 min without a turn; back moving for 9 min of it"
    assert [mark for mark in after.marks if mark.kind != "placement swap"] == [
        *marks[:3],
        Mark(half - 9000, cut, "clipping", "back: 5 raw samples"),
        Mark(cut, half + 5000, "clipping", "thigh: 5 raw samples"),
        Mark(half + 6000, half + 6500, "non-wear thigh", other),
        Mark(half + 7000, half + 7500, "non-wear", f"{other}; back alone still for 55 min"),
        marks[6],
    ]
    told = "back and thigh in source are the names of the files; their columns were exchanged"
    assert after.source["warnings"] == ["look at it", told]
    assert source["warnings"] == ["look at it"]
    # Nothing was exchanged, or nothing in the source goes by these names.
    assert check_placement(faulty, repair="warn")[0].marks[0].evidence == "back: 3 raw samples"
    assert check_placement(faulty, repair="warn")[0].source["warnings"] == ["look at it"]
    assert "warnings" not in check_placement(replace(faulty, source={}))[0].source


def test_in_place_no_memory_beyond_the_recording_is_needed(somebody):
    piece = planted(somebody(), {"back": "x"}).samples

    def peak(times: int) -> int:
        samples = np.tile(piece, (times, 1))
        recording = Recording("P", None, 50.0, samples, counts_per_g=4096)
        tracemalloc.start()
        after, _ = check_placement(recording, out=samples)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert after.samples is samples
        return most

    peak(1)
    assert peak(24) < peak(6) * 1.2 + 10e6  # eight hours against two


@pytest.mark.shared
@pytest.mark.parametrize("subject", ["har70plus/503", "har70plus/510", "harth/S023"])
def test_real_people(shared, subject):
    recording = read(shared / "data" / f"{subject}.parquet")
    assert check_placement(recording)[1].fine
    for turns, swapped in (({"back": "x"}, False), ({"thigh": "z"}, False), ({"back": "y"}, True)):
        after, _ = check_placement(planted(recording, turns, swapped=swapped))
        np.testing.assert_array_equal(after.samples, recording.samples)


@pytest.mark.shared
def test_the_back_sensor_of_s009_is_back_to_front(shared):
    """It leans backwards when walking and cycling, and goes round the other way than everybody else's."""
    (stretch,) = check_placement(read(shared / "data" / "harth" / "S009.parquet"))[1].stretches
    assert (stretch.back.turn.name, stretch.thigh.turn.name, stretch.swapped) == ("x", "", False)
