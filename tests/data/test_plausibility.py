"""Sensors that measured nothing, and rates that cannot be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from selfpab.data.plausibility import check_plausible, dropouts, strange_rhythm
from selfpab.data.reading import read
from selfpab.recording import Mark, Recording, RecordingError, Segment

FILE = Path("P1.csv")
BACK, THIGH, THIGH_X = slice(0, 3), slice(3, 6), slice(3, 4)


def frozen(recording: Recording, axes: slice, value: list[float], first: int = 0, stop: int | None = None) -> Recording:
    samples = recording.acceleration_g.copy()
    samples[first:stop, axes] = value
    return replace(recording, samples=samples, counts_per_g=None)


def test_nothing_is_found_where_all_is_well(somebody):
    whole = somebody()
    assert check_plausible(whole, FILE) is whole
    assert dropouts(somebody(("sit", 20))) == ()


@pytest.mark.parametrize(
    ("axes", "value", "evidence"),
    [
        (THIGH, [0, 0, 0], "thigh stands at 0 g"),
        (BACK, [8, -8, 8], "back stands at (8, -8, 8) g"),
        (THIGH, [-1, 0.01, 0], "thigh stands at (-1, 0.01, 0) g while the other sensor moves"),
        (THIGH_X, [-1], "thigh_x stands at -1 g while its other axes move"),
        (THIGH_X, [0], "thigh_x stands at 0 g while its other axes move"),
    ],
)
def test_a_sensor_that_stands_still_while_its_owner_walks_is_marked_to_the_sample(somebody, axes, value, evidence):
    bad = frozen(somebody(("walk", 4)), axes, value, 3021, 6789)
    sensor = "back" if axes is BACK else "thigh"
    assert dropouts(bad) == (Mark(3021, 6789, f"sensor dropout {sensor}", evidence),)
    found = check_plausible(bad, FILE)
    assert [mark.kind for mark in found.marks] == [f"sensor dropout {sensor}"]
    (warning,) = found.source["warnings"]
    assert warning.startswith(
        f"the {sensor} sensor measured nothing for 1.3 min: activities are told from the other one"
    )
    np.testing.assert_array_equal(found.samples, bad.samples)


def test_a_second_at_0_g_counts_and_still_seconds_at_1_g_do_not(somebody):
    walk = somebody(("walk", 2))
    assert [(m.first, m.stop) for m in dropouts(frozen(walk, THIGH, [0, 0, 0], 1000, 1100))] == [(1000, 1100)]
    assert dropouts(frozen(walk, THIGH, [-1, 0, 0], 1000, 1450)) == ()  # nine seconds
    assert len(dropouts(frozen(walk, THIGH, [-1, 0, 0], 1000, 1600))) == 1


def test_what_does_not_change_beside_a_sleeper_is_left_to_non_wear(somebody):
    assert dropouts(frozen(somebody(("lie", 5)), THIGH, [0, 0, -1])) == ()
    assert dropouts(frozen(somebody(("lie", 5)), THIGH_X, [0])) == ()


def test_a_sensor_stays_frozen_over_gaps(somebody):
    bad = frozen(somebody(("sit", 1), ("walk", 1), ("sit", 1)), THIGH, [0, 0, -1], 500, 8500)
    cuts = [(0, 3025), (3025, 6010), (6010, 9000)]
    cut = replace(bad, segments=tuple(Segment(a, b, a / 50 + i) for i, (a, b) in enumerate(cuts)))
    assert [(mark.first, mark.stop) for mark in dropouts(cut)] == [(500, 8500)]


def test_both_sensors_may_fail_at_their_own_times(somebody):
    bad = frozen(frozen(somebody(("walk", 3)), BACK, [0, 0, 0], 2000, 4000), THIGH, [0, 0, 0], 3000, 5000)
    told = [(m.first, m.stop, m.evidence) for m in dropouts(bad)]
    assert told == [(2000, 4000, "back stands at 0 g"), (3000, 5000, "thigh stands at 0 g")]
    warnings = check_plausible(bad, FILE).source["warnings"]
    assert [line[:40] for line in warnings] == [
        f"the {s} sensor measured nothing for 0.7"[:40] for s in ("back", "thigh")
    ]


def test_a_sensor_that_never_measured_is_marked_and_two_are_refused(somebody):
    alone = frozen(somebody(("walk", 2)), THIGH, [0, 0, 0])
    assert [(m.first, m.stop, m.kind) for m in check_plausible(alone, FILE).marks] == [
        (0, 6000, "sensor dropout thigh")
    ]
    known = alone.with_marks([Mark(0, 6000, "sensor dropout thigh", "not in this file")])
    assert check_plausible(known, FILE).marks == known.marks
    with pytest.raises(RecordingError, match=r"P1\.csv: back stands at 0 g; thigh stands at 0 g; nothing is left"):
        check_plausible(frozen(alone, BACK, [0, 0, 0]), FILE)


def test_columns_that_are_the_same_are_refused(somebody):
    whole = somebody(("walk", 2), ("sit", 1))
    samples = np.tile(whole.samples[:, :3], 2)
    with pytest.raises(RecordingError, match="columns of back and thigh are the same in every row; wanted two sensors"):
        check_plausible(replace(whole, samples=samples), FILE)
    samples[-1, 0] += 1
    assert check_plausible(replace(whole, samples=samples), FILE).samples is samples


def test_short_ones_are_told_and_less_than_a_second_is_refused(somebody):
    whole = somebody(("walk", 2))
    ten = replace(whole, samples=whole.samples[:500], labels=None, segments=())
    warnings = check_plausible(replace(ten, source={"warnings": ["look at it"]}), FILE).source["warnings"]
    assert warnings == ["look at it", "only 10 s long: little to tell an activity from"]
    with pytest.raises(RecordingError, match=r"P1\.csv: lasts 0\.98 s; wanted a second at least"):
        check_plausible(replace(ten, samples=whole.samples[:49], segments=()), FILE)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (1, None),
        (0.5, r"steps come 0\.9 times a second, slower than people walk .*at 50 Hz, and not at more\?"),
        (2, r"steps come 3\.6 times a second, quicker than people walk .*at 50 Hz, and not at less\?"),
    ],
)
def test_a_walk_at_another_rate_is_told_by_its_steps(somebody, keep, message):
    walk = somebody(("walk", 10)).acceleration_g
    places = np.arange(0, len(walk) - 1, keep)
    taken = np.stack([np.interp(places, np.arange(len(walk)), axis) for axis in walk.T], axis=1).astype(np.float32)
    found = strange_rhythm(Recording("P1", None, 50.0, taken))
    if message is None:
        assert found is None
    else:
        with pytest.raises(ValueError, match=message):
            raise ValueError(found)
        assert check_plausible(Recording("P1", None, 50.0, taken), FILE).source["warnings"] == [found]


def test_few_steps_say_nothing(somebody):
    walk = somebody(("walk", 3)).acceleration_g
    assert strange_rhythm(Recording("P1", None, 50.0, np.repeat(walk, 2, axis=0)[:9500])) is None  # 19 stretches


@pytest.mark.shared
def test_real_recordings_are_plausible(shared):
    for name in ("har70plus/506", "har70plus/507", "harth/S009", "harth/S027", "harth/S033", "dsads/p1"):
        recording = read(shared / "data" / f"{name}.parquet")
        assert check_plausible(recording, FILE) is recording
