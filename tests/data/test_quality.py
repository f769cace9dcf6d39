"""A row per recording: what a person who cleans a cohort needs."""

from datetime import datetime

import numpy as np
import polars as pl

from selfpab.data.quality import COLUMNS, quality_of, write_quality
from selfpab.data.sources import Problem
from selfpab.recording import Mark, Recording, Segment

HOUR = 180_000


def recording(source=None, marks=()):
    segments = (Segment(0, HOUR, 0.0), Segment(HOUR, 3 * HOUR, 7200.0))
    samples = np.zeros((3 * HOUR, 6), np.int16)
    return Recording(
        "P1", datetime(2024, 1, 2, 8), 50.0, samples, None, segments, tuple(marks), source or {}, counts_per_g=4096
    )


def test_a_table_of_values_has_what_its_samples_say():
    row = quality_of(recording(), "study-P1")
    assert list(row) == list(COLUMNS)
    known = {key: value for key, value in row.items() if value is not None}
    assert known == {
        "name": "study-P1", "subject": "P1", "start": "2024-01-02T08:00:00", "hours": 3.0, "gaps": 1, "gap_hours": 1.0,
        "non_wear_hours": 0.0, "back_off_hours": 0.0, "thigh_off_hours": 0.0,
        "dropout_hours": 0.0,
    }  # fmt: skip


def test_a_new_part_is_no_gap():
    parts = tuple(Segment(a, a + 3000, a / 50, part) for part, a in enumerate(range(0, 30_000, 3000)))
    row = quality_of(Recording("P1", None, 50.0, np.zeros((30_000, 6), np.float32), segments=parts), "P1")
    assert (row["gaps"], row["gap_hours"]) == (0, 0.0)


def test_a_pair_says_how_it_was_made():
    def device(applied, **faults):
        return {"calibration": {"applied": applied, "error_after_mg": 2.5 + applied}, "faults": faults}

    source = {
        "back": device(True, **{"bad checksum": 2, "restart": 1}),
        "thigh": device(False, **{"missing blocks": 5}),
        "alignment": {"offset_s": 1.5, "drift_ppm": -20.0, "confidence": 0.9},
        "warnings": ["thigh: not calibrated", "look at it"],
    }
    marks = [
        Mark(0, HOUR, "non-wear"), Mark(HOUR, HOUR + 90_000, "non-wear thigh"), Mark(0, 5, "clipping"),
        Mark(0, 9, "placement thigh", "turned: x; repaired"),
    ]  # fmt: skip
    row = quality_of(recording(source, marks), "P1")
    assert (row["non_wear_hours"], row["back_off_hours"], row["thigh_off_hours"]) == (1.0, 0.0, 0.5)
    assert row["placement"] == "placement thigh: turned: x; repaired"
    assert (row["back_error_mg"], row["thigh_error_mg"], row["calibrated"]) == (3.5, 2.5, "back")
    assert (row["clock_offset_s"], row["clock_drift_ppm"], row["clock_confidence"]) == (1.5, -20.0, 0.9)
    assert row["blocks_lost"] == 7
    assert row["remarks"] == "thigh: not calibrated; look at it"


def test_the_tables_of_a_cohort(tmp_path):
    write_quality(tmp_path, [quality_of(recording(), "a")], [Problem(tmp_path / "x.cwa", "x.cwa: is empty, sadly")])
    assert pl.read_csv(tmp_path / "quality.csv").columns == list(COLUMNS)
    assert pl.read_csv(tmp_path / "failures.csv").rows() == [(str(tmp_path / "x.cwa"), "x.cwa: is empty, sadly")]


def test_what_was_not_looked_for_is_empty():
    marks = [Mark(0, HOUR, "non-wear")]
    off = quality_of(recording({"looked_for": {"non_wear": False, "placement": False}}), "P1")
    assert (off["non_wear_hours"], off["thigh_off_hours"], off["placement"]) == (None, None, None)
    on = quality_of(recording({"looked_for": {"non_wear": True, "placement": True}}, marks), "P1")
    assert (on["non_wear_hours"], on["placement"]) == (1.0, "nothing found")


def test_dropouts_of_both_sensors_count_once():
    marks = [Mark(0, HOUR, "sensor dropout", "back"), Mark(HOUR // 2, HOUR + HOUR // 2, "sensor dropout", "thigh")]
    assert quality_of(recording(marks=marks), "P1")["dropout_hours"] == 1.5


def test_nothing_found_says_where_too_little_was_seen():
    def placement(*stretches):
        each = [{"back": {"told": b}, "thigh": {"told": t}, "swap_log_odds": odds} for b, t, odds in stretches]
        source = {"looked_for": {"placement": True}, "placement": {"stretches": each}}
        return quality_of(recording(source), "P1")["placement"]

    fine, little = "as it should be", "too little evidence"
    assert placement((fine, fine, -5.1), (fine, fine, -9.0)) == "nothing found"
    assert placement((fine, little, -9.0)) == "nothing found; thigh: too little evidence"
    assert placement((fine, fine, -4.9)) == "nothing found; too little evidence that they are not swapped"
    likely = "more likely swapped than not (log odds 3.9), too little to repair"
    assert placement((fine, fine, 3.9)) == f"nothing found; {likely}"
    assert placement((fine, little, -9.0), (fine, fine, 3.9)) == f"nothing found; thigh: too little evidence; {likely}"
    assert placement((fine, fine, 0.0)) == "nothing found; too little evidence that they are not swapped"
