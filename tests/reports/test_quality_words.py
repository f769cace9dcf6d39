"""Every fact is told in words, with its rank; what is not known is not told."""

from dataclasses import replace

import numpy as np
import pytest

from selfpab.recording import Mark, Recording, Segment
from selfpab.reports.quality_words import findings, treatment


@pytest.fixture
def still():
    return Recording("P1", None, 50.0, np.zeros((50 * 3600, 6), np.float32))


def told(recording, facts):
    return [(finding.rank, finding.words) for finding in findings(recording, facts)]


GOOD = ("good", "No gaps: both sensors recorded from the first to the last sample.")


def test_nothing_known_nothing_told(still):
    assert told(still, {}) == [GOOD]


@pytest.mark.parametrize(
    ("facts", "rank", "words"),
    [
        ({"seconds_recorded": 42}, "look", "Only 42 s were recorded: too little to speak of a day."),
        ({"non_wear": "not looked for"}, "look", "Nobody looked whether the sensors were worn: all recorded time"),
        ({"non_wear": {"stretches": {"non-wear": 0}, "seconds": 0}}, "good", "Both sensors were worn all the time"),
        (
            {
                "seconds_per_activity": {"sitting": 300, "walking": 100},
                "seconds_uncertain": 100,
                "uncertain_below": 0.6,
            },
            "look",
            "25.0 % of the worn seconds are uncertain (what was named has a probability below 60 %).",
        ),
        (
            {"seconds_per_activity": {"sitting": 400}, "seconds_uncertain": 2},
            "note",
            "0.5 % of the worn seconds are uncertain.",
        ),
        ({"quality": {"placement": None}}, "note", "Nobody looked whether the sensors sat the right way round."),
        ({"quality": {"placement": "nothing found"}}, "good", "Neither sensor was found turned"),
        (
            {"quality": {"placement": "nothing found; thigh: too little evidence"}},
            "note",
            "could not be told for certain: thigh: too little evidence.",
        ),
        ({"quality": {"blocks_lost": 1200}}, "note", "1,200 blocks of the device files were damaged or missing"),
        ({"source": {"form": "csv"}}, "note", "The file has no raw device data"),
        ({"source": {"warnings": ["steps come slowly"]}}, "look", "Steps come slowly."),
        ({"source": {"missing_seconds": 75.0}}, "note", "The file has no raw device data"),
        (
            {"source": {"back": {"calibration": {"applied": True, "error_before_mg": 31.26, "error_after_mg": 2.04}}}},
            "note",
            "The back's sensor, lying still, measured gravity 31.3 mg off; calibrated by its own still moments, 2.0 mg.",
        ),
        (
            {"source": {"back": {"calibration": {"applied": True, "error_before_mg": 80, "error_after_mg": 12.0}}}},
            "look",
            "12.0 mg. Above 10 mg movement in mg (ENMO) is doubtful.",
        ),
        (
            {"source": {"thigh": {"calibration": {"applied": False, "why": "too little", "error_before_mg": None}}}},
            "look",
            "The thigh's sensor was not calibrated: too little.",
        ),
        (
            {"source": {"alignment": {"offset_s": -2.346, "drift_ppm": 12.04, "confidence": 0.91}}},
            "note",
            "The thigh's clock was 2.35 s behind the back's at the start and gained 12.0 millionths (7.3 s a week)",
        ),
        (
            {"source": {"alignment": {"offset_s": 1.0, "drift_ppm": -1.0, "confidence": 0.3}}},
            "look",
            "1.00 s ahead of the back's at the start and lost 1.0 millionths (0.6 s a week)",
        ),
        (
            {"source": {"alignment": {"offset_s": 0.0, "drift_ppm": 0.0, "confidence": 0.0}}},
            "look",
            "taken as they are",
        ),
    ],
)
def test_a_fact_in_words(still, facts, rank, words):
    found = [finding for finding in told(still, facts) if words in finding[1]]
    assert [finding[0] for finding in found] == [rank], told(still, facts)


def test_not_calibrated_is_told_once(still):
    calibration = {"applied": False, "why": "too little stillness", "error_before_mg": 20.0}
    source = {"back": {"calibration": calibration}, "warnings": ["back: not calibrated: too little stillness"]}
    found = [words for _, words in told(still, {"source": source}) if "calibrated" in words]
    assert found == ["The back's sensor was not calibrated: too little stillness. It is 20.0 mg off."]


def test_gaps_are_counted_and_measured(still):
    pieces = replace(
        still, segments=(Segment(0, 90_000, 0.0), Segment(90_000, 120_000, 1830.0), Segment(120_000, 180_000, 2450.0))
    )
    assert told(pieces, {}) == [
        ("note", "There are 2 gaps in the recording, 50.0 s together (1.4 % of the time), the longest of 30.0 s. "
         "No activity is given there.")
    ]  # fmt: skip
    longer = replace(still, segments=(Segment(0, 90_000, 0.0), Segment(90_000, 180_000, 3600.0)))
    ((rank, words),) = told(longer, {})
    assert rank == "look"
    assert words.startswith("There is a gap in the recording, 30 min (33.3 % of the time).")


def test_a_new_part_is_no_gap(still):
    parts = replace(still, segments=(Segment(0, 90_000, 0.0, 1), Segment(90_000, 180_000, 1800.0, 2)))
    assert told(parts, {}) == [GOOD]


def test_a_sensor_without_the_other_is_told_without_a_gap(still):
    assert told(still, {"source": {"missing_seconds": 5040.0, "form": "cwa", "back": {}, "warnings": []}}) == [
        ("note", "For 1 h 24 min one of the two sensors had no data; such time counts as not recorded."),
        ("good", "No gaps between the first and the last moment that both sensors recorded."),
    ]
    assert GOOD in told(still, {"source": {"missing_seconds": 0.04}})


def test_what_one_sensor_alone_told_is_to_be_looked_at(still):
    worn = still.with_marks([Mark(0, 100_000, "non-wear back")])
    facts = {
        "non_wear": {"stretches": {"non-wear": 0, "non-wear back": 1, "non-wear thigh": 0}, "seconds": 0},
        "seconds_recorded": 3600,
        "seconds_single": {"back": 0, "thigh": 2000},
        "seconds_uncertain": 300,
        "seconds_per_activity": {"sitting": 3600},
        "uncertain_below": 0.3,
        "uncertain_below_single": {"back": 0.9, "thigh": 0.66},
    }
    found = told(worn, facts)
    (rank, words), *_ = [finding for finding in found if "the thigh's sensor alone was there" in finding[1]]
    assert rank == "look"
    assert words.startswith(
        "For 33 min 20 s the thigh's sensor alone was there to tell activities from; the back's measured"
    )
    assert "lying cannot be told from sitting" in words
    ((rank, words),) = [finding for finding in found if "Not worn" in finding[1]]
    assert words.endswith(
        "0.0 s (0.0 % of what was recorded) count for no activity; the rest was told from the other sensor."
    )
    assert rank == "note"
    ((_, words),) = [finding for finding in found if "uncertain" in finding[1]]
    assert "below 30 %; told from the thigh's sensor alone, below 66 %)" in words


@pytest.mark.parametrize(("stop", "rank"), [(15_000, "note"), (100_000, "look")])
def test_non_wear_is_told_by_sensor_and_share(still, stop, rank):
    worn = still.with_marks([Mark(0, stop, "non-wear"), Mark(stop, stop + 500, "non-wear thigh")])
    stretches = {"non-wear": 1, "non-wear back": 0, "non-wear thigh": 1}
    facts = {"non_wear": {"stretches": stretches, "seconds": stop // 50 + 10}, "seconds_recorded": 3600}
    ((found, words),) = [finding for finding in told(worn, facts) if "Not worn" in finding[1]]
    assert found == rank
    assert "the thigh's sensor alone for 10.0 s" in words
    assert ("For most of the recording nothing can be said" in words) is (rank == "look")


def test_turned_and_swapped_sensors(still):
    end = "log odds 50, over 60 min of evidence; unlike any posture by 2.0 nats a minute as it is, 0.1 after;"
    marks = [
        Mark(0, 90_000, "placement swap", f"back and thigh swapped; {end} repaired"),
        Mark(90_000, 180_000, "placement thigh", f"turned: upside down; {end} not repaired"),
    ]
    (first, second, _) = told(still.with_marks(marks), {"quality": {"placement": "both"}})
    assert first[0] == "look"
    assert first[1].startswith("The thigh's sensor was turned (upside down) for 30 min; it was NOT put right")
    assert second[0] == "note"
    assert second[1].startswith("Back and thigh were swapped for 30 min; it was put right before anything else.")


def test_clipping(still):
    marks = [Mark(0, 100, "clipping"), Mark(500, 550, "clipping")]
    assert ("note", "Movement beyond a sensor's range in 2 places (3.0 s), flagged there.") in told(
        still.with_marks(marks), {}
    )


def test_what_to_look_at_comes_first(still):
    ranks = [rank for rank, _ in told(still, {"non_wear": "not looked for", "quality": {"placement": None}})]
    assert ranks == ["look", "note", "good"]


def test_treatment():
    assert treatment({}) == ["Read as it is: no sample was repaired, filtered or left out."]
    assert treatment({"source": {"repairs": "[]"}}) == treatment({})  # as an old parquet file tells it
    first, second = treatment({"source": {"repairs": ["back: filtered to 50 Hz"]}, "uncertain_below": 0.6})
    assert first == "Back: filtered to 50 Hz."
    assert second.endswith("Nothing was smoothed afterwards.")


def test_treatment_tells_how_activities_were_named():
    plain = {"walking": {"weight": 1.0, "shortest_s": 1}, "running": {"weight": 1.0, "shortest_s": 1}}
    (_, before) = treatment({"uncertain_below": 0.6})
    assert before.endswith("probabilities and the most probable activity. Nothing was smoothed afterwards.")
    assert treatment({"uncertain_below": 0.6, "decision": None})[1] == before
    assert treatment({"uncertain_below": 0.6, "decision": plain})[1] == before
    weighted = {"walking": {"weight": 0.108, "shortest_s": 1}, "running": {"weight": 1.0, "shortest_s": 3}}
    (_, told) = treatment({"uncertain_below": 0.6, "decision": weighted})
    assert "and the most probable activity" not in told
    assert (
        "multiplied by weights from 0.11 (walking) to 1 (running) first. Bouts under 3 s of running are given" in told
    )
    assert told.endswith("to the next best activity. Nothing else was smoothed.")
    (_, over) = treatment({"uncertain_below": 0.6, "decision": weighted, "decision_over_s": 3})
    assert "named for the mean of 3 seconds, itself in the middle, and not always the most probable one" in over
    (_, over) = treatment({"uncertain_below": 0.6, "decision": plain, "decision_over_s": 5})
    assert over.endswith(
        "the mean of 5 seconds, itself in the middle: the activity most probable in these. Nothing else was smoothed."
    )
    short = {"walking": {"weight": 1.0, "shortest_s": 2}, "running": {"weight": 1.0, "shortest_s": 2}}
    (_, told) = treatment({"uncertain_below": 0.6, "decision": short})
    assert (
        "probabilities, and the activity whose probability is highest. Bouts under 2 s of walking, running are" in told
    )
