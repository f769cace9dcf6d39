"""Simulated recordings: what the truth says is in the data."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from selfpab.activities import HARTH
from selfpab.data.behaviour import POSTURES
from selfpab.data.datasets import open_dataset
from selfpab.data.simulation import (
    NO_FAULTS,
    START,
    Faults,
    simulate,
    simulate_with_truth,
    write_dataset,
)


def test_the_same_seed_gives_the_same_people_and_another_seed_others():
    first, again, other = (simulate(1, 0.05, seed=seed)[0].samples for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_person_does_not_depend_on_how_many_there_are():
    few, many = simulate(1, 0.05), simulate(3, 0.05)
    np.testing.assert_array_equal(few[0].samples, many[0].samples)
    assert [recording.subject for recording in many] == ["P001", "P002", "P003"]
    assert not np.array_equal(many[0].samples[:5], many[1].samples[:5])


def test_form_of_a_recording():
    recording = simulate(1, 0.1, faults=NO_FAULTS)[0]
    assert (recording.start, recording.rate_hz, recording.samples.shape) == (START, 50.0, (18_000, 6))
    assert recording.start is not None
    assert recording.start.tzinfo is None
    assert recording.labels is not None
    assert simulate(1, 0.1, labelled=False)[0].labels is None
    np.testing.assert_array_equal(recording.samples * 256, np.rint(recording.samples * 256))


def test_a_few_people_hours_hold_all_ten_classes():
    labels = np.concatenate([r.labels for r in simulate(6, 1.0) if r.labels is not None])
    assert set(HARTH.indices(labels)) == set(range(10))


def test_five_minutes_of_protocol_hold_all_classes_in_everybody():
    for recording in simulate(3, 0.1, scenario="protocol"):
        assert recording.labels is not None
        assert set(HARTH.indices(recording.labels)) == set(range(10))


@pytest.mark.parametrize(
    ("posture", "channel", "sign"),
    [
        ("upright", 0, -1), ("upright", 3, -1), ("seated", 0, -1), ("seated", 5, -1), ("supine", 2, 1), ("supine", 5, -1),
    ],
)  # fmt: skip
def test_gravity_lies_on_the_axis_of_the_posture(day: list, posture: str, channel: int, sign: int):
    pieces = [
        r.samples[b.first + 150 : b.stop - 25].mean(0)
        for r, truth in day
        for b in truth.bouts
        if b.posture == posture and b.code in (6, 7, 8) and len(b) > 400
    ]
    mean = np.mean(pieces, axis=0)
    sensor = mean[:3] if channel < 3 else mean[3:]
    assert np.argmax(np.abs(sensor)) == channel % 3
    assert sign * mean[channel] > 0.65


def test_cadence_is_the_peak_of_the_spectrum(day: list):
    for recording, truth in day:
        for code, channel, per_stride in ((1, 0, 2), (2, 0, 2), (13, 3, 1)):
            firsts = [b.first + 50 for b in truth.bouts if b.code == code and len(b) > 600]
            pieces = [recording.samples[first : first + 500, channel] for first in firsts]
            if not pieces:
                continue
            power = sum(np.abs(np.fft.rfft((piece - piece.mean()) * np.hanning(500), 5000)) ** 2 for piece in pieces)
            hz = np.fft.rfftfreq(5000, 0.02)
            band = (hz > 0.6 * per_stride) & (hz < 1.7 * per_stride)
            found = hz[band][np.argmax(power[band])] / per_stride
            assert found == pytest.approx(truth.stride_hz[code], rel=0.10), (truth.subject, code)


def test_gaps_are_where_the_truth_says():
    recording, truth = simulate_with_truth(1, 0.5, faults=Faults(gaps_per_hour=20, gap_s=(2.0, 9.0)))[0]
    whole = simulate(1, 0.5, faults=NO_FAULTS)[0]
    assert len(truth.gaps) >= 5
    assert len(recording.segments) == len(truth.gaps) + 1
    lost = 0.0
    for (first, seconds), before, after in zip(truth.gaps, recording.segments, recording.segments[1:], strict=False):
        assert after.first == first
        assert after.start_s - (before.start_s + len(before) / 50) == pytest.approx(seconds)
        lost += seconds
    assert recording.seconds + lost == pytest.approx(1800)
    places = np.rint(recording.sample_times_s() * 50).astype(int)
    np.testing.assert_array_equal(recording.samples, whole.samples[places])  # the rest stays as it is
    assert whole.labels is not None
    assert recording.labels is not None
    np.testing.assert_array_equal(recording.labels, whole.labels[places])


def test_flip_and_swap():
    plain, flipped, swapped, both = (
        simulate(1, 0.02, faults=Faults(0.0, **faults))[0].samples
        for faults in ({}, {"flipped": ("thigh",)}, {"swapped": True}, {"flipped": ("back",), "swapped": True})
    )
    np.testing.assert_array_equal(flipped, plain * np.array([1, 1, 1, 1, -1, -1], np.float32))
    np.testing.assert_array_equal(swapped, plain[:, [3, 4, 5, 0, 1, 2]])
    np.testing.assert_array_equal(both, (plain * np.array([1, -1, -1, 1, 1, 1], np.float32))[:, [3, 4, 5, 0, 1, 2]])


def test_drift_is_in_the_thigh_alone():
    beyond = int((0.3 + 400e-6 * 3600) * 50) + 4  # the thigh's clock runs past the back's end: as much movement is made
    plain = simulate(1, 1.0 + beyond / 180_000, seed=5, scenario="protocol", faults=NO_FAULTS)[0].samples
    drifting = simulate(1, 1.0, seed=5, scenario="protocol", faults=Faults(0.0, drift_ppm=400.0, offset_s=0.3))[
        0
    ].samples
    np.testing.assert_array_equal(drifting[:, :3][:1000], plain[:, :3][:1000])
    thigh = CubicSpline(np.arange(len(plain)) / 50, plain[:, 3:])
    for at in (30_000, 90_000, 150_000):
        times_s = np.arange(at, at + 2048) / 50

        def apart(wrong_s: float, at: int = at, times_s: np.ndarray = times_s) -> float:
            expected = thigh(times_s * (1 + 400e-6) + 0.3 + wrong_s)
            return float(np.sqrt(np.mean((drifting[at : at + 2048, 3:] - expected) ** 2)))

        assert apart(0.0) < 0.04  # noise, steps of 1/256 g, two ways to interpolate
        assert min(apart(-0.006), apart(0.006)) > 2 * apart(0.0)


def test_non_wear_is_still_and_unlabelled():
    recording, truth = simulate_with_truth(1, 0.5, faults=Faults(0.0, non_wear_s=600))[0]
    bout = next(b for b in truth.bouts if b.posture == "not worn")
    assert len(bout) == 30_000
    assert recording.samples[bout.first : bout.stop].std(0).max() < 0.006
    assert recording.labels is not None
    np.testing.assert_array_equal(np.flatnonzero(recording.labels == -1), np.arange(bout.first, bout.stop))


def test_bouts_labels_and_postures_agree(day: list):
    for recording, truth in day:
        assert [b.first for b in truth.bouts[1:]] == [b.stop for b in truth.bouts[:-1]]
        np.testing.assert_array_equal(
            recording.labels, np.repeat([b.code for b in truth.bouts], list(map(len, truth.bouts)))
        )
        lying = np.isin(truth.postures(), [POSTURES.index(p) for p in ("supine", "prone", "left side", "right side")])
        np.testing.assert_array_equal(lying, recording.labels == 8)
        assert recording.source["truth"] == truth.as_dict()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate(0, 1.0), "people, hours and rate_hz must be positive, got 0"),
        (
            lambda: simulate(1, 0.1, scenario="asleep"),
            "scenario must be one of free-living, protocol, days, got 'asleep'",
        ),
        (lambda: Faults(flipped=("wrist",)), r"back and thigh, got \['wrist'\]"),
        (lambda: Faults(gap_s=(0.05, 1.0)), "longer than 0.1 s"),
    ],
)
def test_wrong_calls_say_what_was_wanted(call: Callable[[], object], message: str):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_written_dataset_opens_and_gives_back_the_same(tmp_path):
    pairs = simulate_with_truth(2, 0.1, scenario="protocol", faults=Faults(gaps_per_hour=30))
    folder = write_dataset(tmp_path / "people", [recording for recording, _ in pairs])
    dataset = open_dataset(folder)
    assert (dataset.activities.codes, dict(dataset.activities.merge)) == (HARTH.codes, {130: 13, 140: 14})
    truths = json.loads((folder / "truth.json").read_text())
    for read, (recording, truth) in zip(dataset.recordings(), pairs, strict=True):
        assert read.subject == recording.subject
        np.testing.assert_array_equal(read.acceleration_g, recording.samples)
        np.testing.assert_array_equal(read.labels, recording.labels)
        np.testing.assert_allclose(read.sample_times_s(), recording.sample_times_s(), atol=1e-6)
        assert truths[read.subject] == truth.as_dict()


@pytest.fixture(scope="module")
def day() -> list:
    return simulate_with_truth(6, 1.5, seed=1)
