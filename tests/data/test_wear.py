"""Sensors on a table are found, people in bed are not taken for tables, and the prediction's `wear` follows."""

import re
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import selfpab.sensors
from selfpab.activities import Activities
from selfpab.data.simulation import Faults, simulate_with_truth
from selfpab.data.wear import non_wear
from selfpab.inference.frames import FrameProbabilities
from selfpab.inference.seconds import second_table
from selfpab.recording import Mark, Recording, Segment

RATE = 50
MINUTE = 60 * RATE
BACK, THIGH = slice(0, 3), slice(3, 6)
UPRIGHT, FLAT = np.array([-1, 0, 0, -1, 0, 0.0]), np.array([0.3, 0, 0.954, 0, 0.6, -0.8])


def worn(minutes: float, seed: int = 0) -> np.ndarray:
    """A body that moves: (N, 6) in g."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.2, (round(minutes * MINUTE), 6)) + UPRIGHT


def table(minutes: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.003, (round(minutes * MINUTE), 6)) + FLAT


def recording_of(*pieces: np.ndarray, segments=()) -> Recording:
    counts = np.rint(np.concatenate(pieces) * 256)  # an AX3's steps
    return Recording("p", None, float(RATE), (counts / 256).astype(np.float32), segments=segments)


def in_minutes(marks: tuple[Mark, ...]) -> list[tuple[str, float, float]]:
    return [(mark.kind, round(mark.first / MINUTE, 1), round(mark.stop / MINUTE, 1)) for mark in marks]


def cooling(minutes: float, first: float, stop: float, worn_c: float = 34.0, room_c: float = 22.0):
    """Times and degrees of a sensor taken off at minute `first` and put on again at `stop`."""
    at = np.arange(0, minutes, 0.05)
    gone = np.clip(at - first, 0, stop - first)
    degrees = worn_c - (worn_c - room_c) * (1 - np.exp(-gone / 15))
    return at * 60, np.where(at > stop, worn_c, degrees)


def night(hours: float, seed: int, breath_g: float = 0.0015, turn_min: float = 4.0) -> np.ndarray:
    """Asleep: turns every half hour or so, tiny ones every few minutes, breath on the back, an AX3's noise."""
    rng = np.random.default_rng(seed)
    count = round(hours * 60 * MINUTE)
    angles = np.zeros((count, 4))
    for every_min, size_deg in ((30.0, 40.0), (turn_min, 1.5)):
        times = np.cumsum(rng.exponential(every_min, round(3 * hours * 60 / every_min)))
        for time in times[times < hours * 60]:
            angles[round(time * MINUTE) :] += rng.normal(0, size_deg, 4)
    angles = np.deg2rad(angles)
    sensors = []
    for i, breath in ((0, breath_g), (2, 0.0)):
        pitch, roll = angles[:, i], angles[:, i + 1]
        pitch = pitch + breath * np.sin(2 * np.pi * 0.25 * np.arange(count) / RATE)
        sensors += [np.sin(pitch), np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch)]
    return np.stack(sensors, axis=1) + rng.normal(0, 0.004, (count, 6))


@pytest.mark.parametrize("seed", range(3))
def test_simulated_non_wear_is_found_to_a_second(seed):
    ((recording, truth),) = simulate_with_truth(1, 2.0, seed=seed, faults=Faults(non_wear_s=3600, gaps_per_hour=2))
    bare = next(bout for bout in truth.bouts if bout.posture == "not worn")
    (mark,) = non_wear(recording)
    assert mark.kind == "non-wear"
    assert abs(mark.first - bare.first) <= RATE
    assert abs(mark.stop - bare.stop) <= RATE
    assert re.match(r"both sensors still for (59|60) min without a turn; no breath or heartbeat", mark.evidence)


def test_a_person_asleep_is_not_off():
    recording = recording_of(*(night(3, seed) for seed in range(2)))
    assert non_wear(recording) == ()


def test_breath_tells_the_quietest_sleeper_from_a_table():
    """Without any turn, on a table for an hour; with a milli-g of breath it takes more than three hours."""
    assert in_minutes(non_wear(recording_of(worn(2), table(60), worn(2)))) == [("non-wear", 2.0, 62.0)]
    asleep = table(200)
    asleep[:, 1] += 0.0015 * np.sin(2 * np.pi * 0.25 * np.arange(len(asleep)) / RATE)
    assert non_wear(recording_of(worn(2), asleep[: 170 * MINUTE], worn(2))) == ()
    (mark,) = non_wear(recording_of(worn(2), asleep, worn(2)))
    assert "without a turn; breath or heartbeat (" in mark.evidence


def test_twenty_minutes_need_the_temperature():
    recording = recording_of(worn(2), table(20), worn(2))
    assert non_wear(recording) == ()
    cold, warm = cooling(24, 2, 22), cooling(24, 2, 22, room_c=33)
    (mark,) = non_wear(recording, temperature={"back": cold, "thigh": cold})
    assert mark.kind == "non-wear"
    assert "; cooler by 7.9 degrees at the end, 25 degrees" in mark.evidence
    assert non_wear(recording, temperature={"back": cold, "thigh": warm}) == ()


def test_what_stays_as_warm_as_skin_is_worn():
    recording = recording_of(worn(2), table(60), worn(2))
    warm = cooling(64, 2, 62, room_c=31)
    assert len(non_wear(recording)) == 1
    assert non_wear(recording, temperature={"thigh": warm}) == ()


def test_one_sensor_off_is_marked_by_its_name():
    values = worn(70)
    values[10 * MINUTE : 65 * MINUTE, THIGH] = table(55)[:, THIGH]
    (mark,) = non_wear(recording_of(values))
    assert in_minutes((mark,)) == [("non-wear thigh", 10.0, 65.0)]
    assert mark.evidence.startswith(
        "thigh alone still for 55 min without a turn; back moving for 55 min of it; no breath"
    )
    assert in_minutes(non_wear(recording_of(values[:, [3, 4, 5, 0, 1, 2]]))) == [("non-wear back", 10.0, 65.0)]


def test_one_off_before_the_other():
    values = worn(90)
    values[10 * MINUTE : 80 * MINUTE, THIGH] = table(70)[:, THIGH]
    values[25 * MINUTE : 85 * MINUTE, BACK] = table(60)[:, BACK]
    marks = in_minutes(non_wear(recording_of(values)))
    assert marks == [("non-wear thigh", 10.0, 25.0), ("non-wear", 25.0, 80.0), ("non-wear back", 80.0, 85.0)]


def test_the_seconds_between_putting_down_one_and_the_other_are_no_mark():
    values = np.concatenate([worn(5), table(60), worn(5)])
    values[5 * MINUTE : 5 * MINUTE + 6 * RATE, BACK] = worn(0.1)[:, BACK]
    assert in_minutes(non_wear(recording_of(values))) == [("non-wear", 5.1, 65.0)]


def test_one_sensor_still_beside_a_still_body_takes_three_hours():
    asleep = night(4, 5, turn_min=2.0)
    asleep[:, THIGH] = table(240)[:, THIGH]
    marks = non_wear(recording_of(asleep))
    assert in_minutes(marks) == [("non-wear thigh", 0.0, 240.0)]
    assert non_wear(recording_of(asleep[: 170 * MINUTE])) == ()


def test_a_turn_makes_two_stretches_and_five_minutes_of_wear_none():
    """Moved on the table after half an hour: neither half is long enough. Two that are: joined, unless worn in between."""
    turned = table(30) + np.array([0.02, 0, -0.0065, 0, 0, 0])
    assert non_wear(recording_of(table(30), turned)) == ()
    assert in_minutes(non_wear(recording_of(table(50), worn(4), table(50, 1)))) == [("non-wear", 0.0, 104.0)]
    assert len(non_wear(recording_of(table(50), worn(6), table(50, 1)))) == 2


def test_a_slow_turn_is_seen_within_a_minute():
    """0.1 mg a second is 1 mg in 10 s, which no neighbouring epochs show; a cooling device drifts half as fast."""
    slow = table(60)
    slow[:, 0] += 0.0001 * (np.arange(len(slow)) / RATE)
    assert non_wear(recording_of(slow)) == ()
    slow[:, 0] -= 0.00005 * (np.arange(len(slow)) / RATE)
    assert len(non_wear(recording_of(slow))) == 1


def test_gaps_neither_count_nor_interrupt():
    edges = [0, 20 * MINUTE, 40 * MINUTE + 30, 60 * MINUTE]
    starts_s = [0.0, 2000.0, 9000.0]
    segments = tuple(Segment(a, b, s) for a, b, s in zip(edges[:-1], edges[1:], starts_s, strict=True))
    (mark,) = non_wear(recording_of(table(60), segments=segments))
    assert (mark.first, mark.stop) == (0, 60 * MINUTE)
    short = tuple(replace(s, stop=min(s.stop, 40 * MINUTE)) for s in segments[:2])
    assert non_wear(recording_of(table(40), segments=short)) == ()


def test_counts_are_read_as_g():
    values = np.concatenate([worn(2), table(60), worn(2)])
    counts = Recording("p", None, 50.0, np.rint(values * 4096).astype(np.int16), counts_per_g=4096)
    assert in_minutes(non_wear(counts)) == [("non-wear", 2.0, 62.0)]


@pytest.mark.parametrize("samples", [0, 1, 49, 501, 3007])
def test_short_recordings_have_no_marks(samples):
    assert non_wear(recording_of(table(2)[:samples])) == ()


def test_memory_does_not_grow_with_the_recording():
    values = np.tile(np.rint(table(60) * 4096).astype(np.int16), (48, 1))
    recording = Recording("p", None, 50.0, values, counts_per_g=4096)
    tracemalloc.start()
    (mark,) = non_wear(recording)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mark.stop == len(recording)
    assert peak < 6e6  # 2.9 measured; two days are 207 MB in float32


def test_temperature_of_something_else_is_refused():
    with pytest.raises(ValueError, match=r"back and thigh, got \['wrist'\]"):
        non_wear(recording_of(worn(1)), temperature={"wrist": (np.zeros(1), np.zeros(1))})


@pytest.mark.parametrize("kind", ["non-wear", "non-wear back", "non-wear thigh"])
def test_the_prediction_has_no_wear_there(kind):
    values = worn(70)
    for name, axes in (("back", BACK), ("thigh", THIGH)):
        if kind in ("non-wear", f"non-wear {name}"):
            values[5 * MINUTE : 65 * MINUTE, axes] = table(60)[:, axes]
    recording = recording_of(values)
    recording = replace(recording, marks=non_wear(recording))
    frames = FrameProbabilities(np.ones((1, 1)), np.array([0]), np.array([len(recording)]), len(recording))
    seconds = second_table(recording, frames, Activities("one", (1,), ("walking",)))
    assert seconds["wear"].to_list() == [True] * 300 + [False] * 3600 + [True] * 300
    assert set(seconds["flags"]) == {"", kind}


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["har70plus", "harth"])
def test_no_false_alarm_on_real_wearers(shared, folder):
    files = sorted((shared / "data" / folder).glob("*.parquet"))
    assert len(files) == {"har70plus": 18, "harth": 11}[folder]
    assert {file.stem: marks for file in files if (marks := non_wear(selfpab.read(file)))} == {}


@pytest.mark.parametrize("sensor", ["back", "thigh"])
def test_the_only_sensor_is_judged_as_two_together(sensor):
    """Without the mark nothing that lies beside a sensor of zeros for an hour is off, and with it that sensor alone."""
    pieces = worn(40), table(60), worn(40, seed=1)
    alone = selfpab.sensors.without(recording_of(*pieces), {"back": "thigh", "thigh": "back"}[sensor])
    assert in_minutes(non_wear(alone)) == [(f"non-wear {sensor}", 40.0, 100.0)]
    assert f"the {sensor} sensor still for 60 min" in non_wear(alone)[0].evidence
    short = selfpab.sensors.without(
        recording_of(worn(40), table(30), worn(40)), {"back": "thigh", "thigh": "back"}[sensor]
    )
    assert non_wear(short) == ()
    times_s, degrees = cooling(110, 40, 70)
    assert in_minutes(non_wear(short, temperature={sensor: (times_s, degrees)})) == [(f"non-wear {sensor}", 40.0, 70.0)]


def test_of_a_sensor_that_did_not_record_nothing_is_said():
    """Zeros are still, and the other one moves beside them or lies on a table with nobody."""
    pieces = worn(70), worn(70, seed=1), table(60), worn(30, seed=2)
    whole = recording_of(*pieces)
    samples = whole.samples.copy()
    samples[70 * MINUTE :, THIGH] = 0
    gone = replace(whole, samples=samples)
    mark = Mark(70 * MINUTE, len(whole), "sensor dropout thigh")
    assert ("non-wear thigh", 70.0, 140.0) in in_minutes(non_wear(gone))
    assert in_minutes(non_wear(gone.with_marks([mark]))) == [("non-wear back", 140.0, 200.0)]
