"""Simulated pairs of device files: the truth said of them is in them."""

import json
from pathlib import Path

import numpy as np
import pytest

from selfpab.data.simulated_devices import (
    MOTION_HZ,
    REFERENCE_C,
    TURNS,
    DeviceFaults,
    DevicePair,
    PairFaults,
    drawn_faults,
    write_cohort,
    write_pair,
)
from selfpab.data.simulation import SENSORS, START, generator_of, values_at
from selfpab.devices.cwa import CwaRecording, read_cwa

HOURS = 0.2
FAULTY = DeviceFaults(
    offset_s=12.5, drift_ppm=-3000.0, kink_ppm=2000.0, rate_ppm=-8000.0, gain=(1.03, 0.98, 1.0),
    offset_g=(0.05, -0.04, 0.0), slope_g=(0.001, 0.0, -0.001), turned="x", turned_from=0.5,
)  # fmt: skip


def true_seconds(read: CwaRecording, pair: DevicePair, sensor: str) -> np.ndarray:
    start_ns = int(np.datetime64(START, "ns").astype(np.int64))
    own: DeviceFaults = getattr(pair.faults, sensor)
    return own.true_s((read.times_ns() - start_ns) / 1e9, pair.recording.seconds / 2)


def ideal(pair: DevicePair, sensor: str, true_s: np.ndarray) -> np.ndarray:
    at = 3 * SENSORS.index(sensor)
    return values_at(pair.recording.samples[:, at : at + 3], true_s * MOTION_HZ)


def test_clock_there_and_back():
    true_s = np.linspace(0, 1000, 101)
    shown_s = FAULTY.shown_s(true_s, 500.0)
    assert shown_s[[0, 50, 100]] == pytest.approx([12.5, 511.0, 1010.5])
    np.testing.assert_allclose(FAULTY.true_s(shown_s, 500.0), true_s, atol=1e-9)


def test_samples_are_the_movement_at_the_times_and_with_the_errors_that_are_said(tmp_path: Path):
    pair = write_pair(tmp_path, hours=HOURS, faults=PairFaults(thigh=FAULTY))
    for sensor in SENSORS:
        read, own = read_cwa(getattr(pair, sensor)), getattr(pair.faults, sensor)
        true_s = true_seconds(read, pair, sensor)
        expected = ideal(pair, sensor, true_s)
        expected[true_s >= own.turned_from * pair.recording.seconds] *= TURNS[own.turned]
        celsius = read.blocks["temperature_c"].repeat(read.blocks["samples"])
        warmth = (celsius - REFERENCE_C)[:, None] * np.array(own.slope_g)
        calibrated = read.acceleration_g() * np.array(own.gain) + np.array(own.offset_g) + warmth
        difference = (calibrated - expected)[np.abs(expected).max(axis=1) < 1.9]  # above, the exponent costs bits
        assert np.sqrt((difference**2).mean()) < 0.004  # noise 0.002, counts of 1/256 g, stamps of some ms
        assert np.abs(difference.mean(axis=0)).max() < 0.001
    assert pair.offset_s(np.array([0.0, 720.0])) == pytest.approx([12.5, 12.5 - 720 * 0.003 + 360 * 0.002])


def test_files_are_exchanged_when_swapped(tmp_path: Path):
    straight, swapped = (
        write_pair(tmp_path / str(way), hours=0.02, faults=PairFaults(swapped=way)) for way in (False, True)
    )
    for one, other in (("back", "thigh"), ("thigh", "back")):
        assert getattr(straight, one).read_bytes() == getattr(swapped, other).read_bytes()
        assert getattr(swapped, one).name == f"P001_{one}.cwa"


def test_planted_blocks_are_what_the_reader_reports(tmp_path: Path):
    faults = PairFaults(back=DeviceFaults(restarts=2, missing=3, bad=170, restart_gap_s=20.0))  # up to the end
    pair = write_pair(tmp_path, hours=HOURS, faults=faults)
    counts = read_cwa(pair.back).report.counts
    assert (counts["restart"], counts["missing blocks"], counts["bad checksum"]) == (2, 3, 170)
    read = read_cwa(pair.back)
    true_s = true_seconds(read, pair, "back")
    assert (np.diff(true_s) > 19.9).sum() == 2
    assert np.sqrt(((read.acceleration_g() - ideal(pair, "back", true_s)) ** 2).mean()) < 0.03  # after gaps too
    assert "restart" not in read_cwa(pair.thigh).report.counts


def test_off_the_body_both_are_still_and_cool(tmp_path: Path):
    pair = write_pair(tmp_path, hours=1.0, scenario="free-living", faults=PairFaults(non_wear_s=1800.0))
    off = np.flatnonzero(pair.recording.labels == -1)
    assert len(off) == 1800 * MOTION_HZ
    first, stop = off[[0, -1]] / MOTION_HZ
    for sensor in SENSORS:
        read = read_cwa(getattr(pair, sensor))
        true_s = true_seconds(read, pair, sensor)
        celsius = np.interp([first, stop - 30], true_s[::120], read.blocks["temperature_c"])
        assert celsius[0] > 29
        assert celsius[1] < 25
        still = read.acceleration_g()[(true_s > first + 1) & (true_s < stop - 1)]
        assert still.std(axis=0).max() < 0.005


def test_the_same_seed_gives_the_same_files_and_people_differ(tmp_path: Path):
    first, again, other = (write_pair(tmp_path / name, who, 0.02) for name, who in (("a", 0), ("b", 0), ("c", 1)))
    assert first.back.read_bytes() == again.back.read_bytes()
    assert first.back.read_bytes() != other.back.read_bytes()
    assert (other.subject, read_cwa(other.thigh).header.device_id) == ("P002", 10_004)


def test_truth_of_a_cohort_lies_beside_the_files(tmp_path: Path):
    truth = json.loads((write_cohort(tmp_path, 2, 0.1, seed=5, rate_hz=50.0) / "truth.json").read_text())
    assert sorted(truth["people"]) == ["P001", "P002"]
    assert sorted(path.name for path in tmp_path.glob("*.cwa")) == [
        "P001_back.cwa", "P001_thigh.cwa", "P002_back.cwa", "P002_thigh.cwa",
    ]  # fmt: skip
    faults = drawn_faults(generator_of(5, 1, "faults"), 0.1)
    pair = write_pair(tmp_path / "again", 1, 0.1, seed=5, faults=faults, rate_hz=50.0)
    assert pair.thigh.read_bytes() == (tmp_path / "P002_thigh.cwa").read_bytes()
    about = truth["people"]["P002"]
    assert about["faults"]["thigh"]["offset_s"] == faults.thigh.offset_s
    labels = np.concatenate([np.full(stop - first, code) for first, stop, code in about["bouts"]])
    np.testing.assert_array_equal(labels, pair.recording.labels)


def test_wrong_turn_and_too_many_faults_say_so(tmp_path: Path):
    with pytest.raises(ValueError, match="turned must be one of x, y, z or nothing, got 'w'"):
        DeviceFaults(turned="w")
    with pytest.raises(ValueError, match="90 faults do not fit into 60 blocks"):
        write_pair(tmp_path, hours=0.02, faults=PairFaults(back=DeviceFaults(bad=90)))
