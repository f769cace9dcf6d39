"""One row per clock second, against a loop over samples."""

import math
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from selfpab import scratch_tables
from selfpab.activities import HARTH, Activities
from selfpab.data.simulation import simulate
from selfpab.evaluation.clock import per_second, second_rows
from selfpab.features.framing import frame_starts
from selfpab.inference import seconds as module
from selfpab.inference.decisions import Decision, decide
from selfpab.inference.frames import FrameProbabilities
from selfpab.inference.probability_maps import ProbabilityMap
from selfpab.inference.seconds import NON_WEAR, SENSOR_MISSING, Single, second_table
from selfpab.recording import Mark, Recording, Segment

TWO = Activities("two", (7, 1), ("sitting", "walking"))
START = datetime(2024, 1, 1, 8, 0, 0, 600_000)
SEGMENTS = (Segment(0, 310, 0.0), Segment(310, 330, 9.0), Segment(330, 800, 12.3))


def frames_of(recording, classes=2, seed=0):
    starts, stops = frame_starts(recording.segments, frame_samples=50, hop_samples=25, to_the_end=True)
    values = np.random.default_rng(seed).dirichlet(np.ones(classes), len(starts))
    return FrameProbabilities(values, starts, stops, 50)


def made(marks=(), start=START, segments=SEGMENTS):
    values = np.random.default_rng(1).normal(0, 0.8, (segments[-1].stop, 6)).astype(np.float32)
    return Recording("p", start, 50.0, values, segments=segments, marks=tuple(Mark(*m) for m in marks))


def says(recording, sample):
    """Which sensors say something of a sample, as the marks are meant."""
    kinds = {m.kind for m in recording.marks if m.first <= sample < m.stop}
    measures = [s for s in ("back", "thigh") if not kinds & {"sensor dropout", f"sensor dropout {s}"}]
    return [s for s in measures if f"non-wear {s}" not in kinds and "non-wear" not in kinds] or measures


def told(recording, here, single):
    """both, back, thigh or None for a second with these samples."""
    if not single:
        missing = any(
            m.kind.startswith("sensor dropout") for m in recording.marks for i in here if m.first <= i < m.stop
        )
        return None if missing else "both"
    alone = {tuple(says(recording, i)) for i in here} - {("back", "thigh")}
    if not alone:
        return "both"
    one = alone.pop()
    return one[0] if len(one) == 1 and not alone else None


def slow_rows(recording, frames, activities, below, single=()):
    """Second by second, sample by sample, frame by frame."""
    moments = [recording.start + timedelta(microseconds=round(s * 1e6)) for s in recording.sample_times_s()]
    second = moments[0].replace(microsecond=0)
    rows = []
    while second <= moments[-1]:
        here = [i for i, moment in enumerate(moments) if moment.replace(microsecond=0) == second]
        kinds = sorted({m.kind for m in recording.marks for i in here if m.first <= i < m.stop})
        row = dict.fromkeys(["activity", "activity_name", "probability", *activities.columns, "uncertain", "wear"])
        row |= {"time": second, "gap": not here, "flags": ";".join(kinds), "enmo_back_mg": None, "enmo_thigh_mg": None}
        row["sensors"] = source = told(recording, here, single) if here else None
        if here:
            off = {kind for kind in kinds if kind.startswith("non-wear")}
            row["wear"] = not off or (source in ("back", "thigh") and not off & {"non-wear", f"non-wear {source}"})
        for name, axes in (("back", slice(0, 3)), ("thigh", slice(3, 6))):
            others = {"back": "thigh", "thigh": "back"}[name]
            if here and not {"sensor dropout", f"sensor dropout {name}"} & set(kinds) and source != others:
                norms = [math.hypot(*recording.samples[i, axes].tolist()) for i in here]
                row[f"enmo_{name}_mg"] = float(np.mean([max(norm - 1, 0) for norm in norms])) * 1000
        if source:
            chances = []
            for i in here:
                covering = [
                    frames.values[f]
                    for f in range(len(frames.starts))
                    if frames.starts[f] <= i < min(frames.starts[f] + 50, frames.stops[f])
                ]
                chances.append(np.mean(covering, axis=0))
            mean, limit = np.mean(chances, axis=0), below
            if source in single:
                mean, limit = single[source].chances(mean[None])[0], single[source].uncertain_below
            best = int(np.argmax(mean))
            row |= {"activity": activities.codes[best], "activity_name": activities.names[best]}
            row |= {"probability": mean[best], "uncertain": bool(mean[best] < limit)}
            row |= dict(zip(activities.columns, mean, strict=True))
        rows.append(row)
        second += timedelta(seconds=1)
    return rows


MARKS = [
    (0, 10, "clipping"),
    (90, 120, "repair"),  # sample 120 begins a second
    (100, 100, "an empty one"),
    (200, 320, "non-wear"),  # over the first gap
    (260, 300, "clipping"),
    (270, 275, "repair"),
    (271, 272, "bump"),
    (500, 501, "sensor dropout"),
    (700, 800, "repair"),
]


SINGLE_MARKS = [
    (60, 260, "non-wear back"),
    (230, 330, "sensor dropout thigh"),  # and so nobody from 230 to 260
    (333, 340, "sensor dropout back"),  # of this second the back says one part, the thigh another
    (500, 540, "non-wear back"),
    (530, 560, "non-wear thigh"),  # of 530 to 540 both, as if nobody knew
    (600, 640, "sensor dropout"),
    (620, 700, "sensor dropout thigh"),
    (680, 730, "non-wear back"),  # who measures is asked, worn or not
    (740, 790, "sensor dropout back"),
    (770, 800, "non-wear"),
]
SINGLE = {"back": Single(ProbabilityMap(2.0, 0.1), 0.8), "thigh": Single(ProbabilityMap(0.5), 0.55)}


@pytest.mark.parametrize("block", [1, 7, 333, 500_000])
@pytest.mark.parametrize(("marks", "single"), [((), {}), (MARKS, {}), (SINGLE_MARKS, {}), (SINGLE_MARKS, SINGLE)])
def test_the_table_is_that_of_a_slow_loop(marks, single, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_SAMPLES", block)
    recording = made(marks)
    frames = frames_of(recording)
    table = second_table(recording, frames, TWO, uncertain_below=0.7, single=single or None)
    slow = slow_rows(recording, frames, TWO, 0.7, single)
    assert table.columns == [
        *("time", "activity", "activity_name", "probability", "p_sitting", "p_walking", "uncertain", "wear", "gap"),
        *("enmo_back_mg", "enmo_thigh_mg", "flags", "sensors"),
    ]
    assert len(table) == len(slow) == 23
    for name in ("time", "activity", "activity_name", "uncertain", "wear", "gap", "flags", "sensors"):
        assert table[name].to_list() == [row[name] for row in slow], name
    for name in ("probability", "p_sitting", "p_walking", "enmo_back_mg", "enmo_thigh_mg"):
        for found, wanted in zip(table[name], (row[name] for row in slow), strict=True):
            assert found == (None if wanted is None else pytest.approx(wanted, rel=1e-6)), name
    assert {True, False} <= set(table["uncertain"])
    assert {True, False} <= set(table["gap"])
    if single:
        assert {"both", "back", "thigh", None} == set(table["sensors"])
    if marks is MARKS:
        assert {"", "non-wear", "bump;clipping;non-wear;repair", "sensor dropout"} <= set(table["flags"])
        assert (table["gap"] & (table["flags"] != "")).sum() == 0


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_table_in_pieces_is_the_same(rows, monkeypatch):
    """Gaps longer than a piece are cut; what is large lies in a file."""
    segments = (Segment(0, 310, 0.0), Segment(310, 330, 9.0), Segment(330, 800, 60.3))
    recording = made(MARKS, segments=segments)
    frames = frames_of(recording)
    whole = second_table(recording, frames, TWO, uncertain_below=0.7)
    assert whole.n_chunks() == 1
    monkeypatch.setattr(module, "BLOCK_SAMPLES", 70)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", rows)
    monkeypatch.setattr(scratch_tables, "IN_MEMORY", 100)
    pieces = second_table(recording, frames, TWO, uncertain_below=0.7)
    assert pieces.n_chunks() > 71 / (2 * rows)  # a block of this size has one or two seconds
    assert_frame_equal(pieces, whole)
    assert pieces["gap"].sum() > 50


@pytest.mark.parametrize("rows", [1, 3, 10, 40])
@pytest.mark.parametrize("around", [0, 1, 2])
def test_a_bout_that_lies_across_two_pieces_is_decided_as_one(rows, around, monkeypatch):
    """A class that needs some seconds would be given away in two stumps; and neighbours count from piece to piece."""
    chance = np.random.default_rng(0)
    segments = (Segment(0, 5500, 0.0), Segment(5500, 5580, 112.0), Segment(5580, 50 * 400, 115.0))
    long = Recording("p", START, 50.0, np.zeros((50 * 400, 6), np.float32), segments=segments)
    starts, stops = frame_starts(long.segments, frame_samples=50, hop_samples=25, to_the_end=True)
    codes = np.repeat(chance.integers(0, 2, 400), chance.integers(1, 12, 400))[: len(starts)]
    sure = np.where(codes, 0.2, 0.8) + chance.normal(0, 0.1, len(starts))
    frames = FrameProbabilities(np.stack([sure, 1 - sure], axis=1), starts, stops, 50)
    decision = Decision((1.0, 0.9), (3, 4), around)
    whole = second_table(long, frames, TWO, decision=decision)
    p = whole.select("p_sitting", "p_walking").to_numpy().astype(np.float64)
    named = decide(p, decision)
    assert whole["activity"].to_list() == [None if name < 0 else TWO.codes[name] for name in named]
    plain = second_table(long, frames, TWO)
    assert (whole["activity"] != plain["activity"]).sum() > (15, 10, 5)[around]
    monkeypatch.setattr(module, "BLOCK_SAMPLES", 70)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", rows)
    monkeypatch.setattr(scratch_tables, "IN_MEMORY", 100)
    pieces = second_table(long, frames, TWO, decision=decision)
    assert pieces.n_chunks() > 4
    assert_frame_equal(pieces, whole)


@pytest.mark.parametrize("block", [20, 49, 50, 51, 100_000])
def test_a_second_with_more_samples_than_the_rate_says_is_in_one_block(block, monkeypatch):
    """A sensor that is a little fast: one segment ends, by its count, after the next has begun."""
    segments = (Segment(0, 340, 0.0), Segment(340, 800, 6.3))
    recording = made(start=datetime(2024, 1, 1), segments=segments)
    frames = frames_of(recording)
    whole = second_table(recording, frames, TWO)
    monkeypatch.setattr(module, "BLOCK_SAMPLES", block)
    assert_frame_equal(second_table(recording, frames, TWO), whole)
    assert len(whole) == 16


def test_no_block_grows_with_the_gaps_in_it():
    """Ten seconds every two hours, for two months."""
    segments = tuple(Segment(500 * i, 500 * (i + 1), 7200.0 * i) for i in range(720))
    recording = made(segments=segments)
    _, count, rows_of = second_rows(recording)
    blocks = list(module._blocks(recording, rows_of, count))
    assert max(rows.stop - rows.start for _, rows in blocks) <= module.ROWS_AT_ONCE + 7200
    assert [0, *(rows.stop for _, rows in blocks)] == [*(rows.start for _, rows in blocks), count]
    assert [0, *(samples.stop for samples, _ in blocks)] == [*(samples.start for samples, _ in blocks), len(recording)]


def test_a_simulated_person_has_the_numbers_of_the_evaluation():
    (recording,) = simulate(1, 0.3, seed=2)
    frames = frames_of(recording, len(HARTH))
    table = second_table(recording, frames, HARTH)
    samples = frames.at(np.arange(len(recording)))
    scored = per_second(recording, np.full(len(recording), -1), samples, HARTH).drop("truth")
    found = table.select(scored.columns)
    assert found.drop("probability", *HARTH.columns).equals(scored.drop("probability", *HARTH.columns))
    chances = ["probability", *HARTH.columns]
    np.testing.assert_allclose(found.select(chances).to_numpy(), scored.select(chances).to_numpy(), rtol=1e-6)
    assert table["wear"].drop_nulls().all()


def test_ties_go_to_the_lower_class_index_and_are_uncertain():
    recording = made(segments=(Segment(0, 100, 0.0),), start=None)
    even = FrameProbabilities(np.full((3, 2), 0.5), np.array([0, 25, 50]), np.array([100] * 3), 50)
    table = second_table(recording, even, TWO)
    assert table["time"].to_list() == [0, 1]
    assert table["activity"].to_list() == [7, 7]
    assert table["uncertain"].to_list() == [True, True]
    assert second_table(recording, even, TWO, uncertain_below=0.5)["uncertain"].to_list() == [False, False]


def test_what_the_kinds_are_called():
    """Readers that look for non-wear and dropouts must use these words."""
    assert (NON_WEAR, SENSOR_MISSING) == ("non-wear", "sensor dropout")
    table = second_table(made(), frames_of(made()), TWO)
    assert dict(table.schema) == {
        "time": pl.Datetime("us"),
        "activity": pl.Int32,
        "activity_name": pl.String,
        **dict.fromkeys(("probability", "p_sitting", "p_walking"), pl.Float32),
        **dict.fromkeys(("uncertain", "wear", "gap"), pl.Boolean),
        **dict.fromkeys(("enmo_back_mg", "enmo_thigh_mg"), pl.Float32),
        **dict.fromkeys(("flags", "sensors"), pl.String),
    }
