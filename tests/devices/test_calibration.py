"""Gains, offsets and temperature slopes that were planted are found again, or nothing is applied and the reason told."""

import functools
import re

import numpy as np
import pytest

import selfpab
from selfpab.data.simulation import Faults, simulate
from selfpab.devices import calibration
from selfpab.devices.calibration import NO_CALIBRATION, Calibration, calibrate
from selfpab.devices.surveys import STILLNESS, survey
from selfpab.recording import Recording

GAIN, OFFSET_G, SLOPE_G = np.array([1.05, 0.96, 1.02]), np.array([0.05, -0.04, 0.03]), np.array([0.001, -0.001, 0.0005])
PLANTED_C = 28.0
COUNTS_PER_G = 256  # of a packed AX3


def epochs(means_g: np.ndarray, temperature_c: np.ndarray | float = np.nan, sd_g: float = 0.004) -> np.ndarray:
    rows = np.zeros(len(means_g), STILLNESS)
    rows["mean_g"], rows["sd_g"], rows["temperature_c"] = means_g, sd_g, temperature_c
    return rows


def raw(true_g: np.ndarray, temperature_c: np.ndarray | float = PLANTED_C) -> np.ndarray:
    """What the badly calibrated device would give."""
    warmer = np.broadcast_to(np.asarray(temperature_c) - PLANTED_C, true_g.shape[:1])
    return (true_g - OFFSET_G - SLOPE_G * warmer[:, None]) / GAIN


def directions(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@functools.cache
def simulated(hours: float, seed: int) -> Recording:
    return simulate(1, hours, seed=seed, faults=Faults(gaps_per_hour=0))[0]


def worn(sensor: int, hours: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Epochs of a simulated wearer through a badly calibrated AX3, their true means (N, 3), their temperatures."""
    recording = simulated(hours, seed)
    count = len(recording) // 500
    true_g = recording.samples[: count * 500, 3 * sensor : 3 * sensor + 3].astype(np.float64)
    temperature_c = 29 + 4 * np.sin(np.arange(count) / 150)
    counts = np.rint(raw(true_g, np.repeat(temperature_c, 500)) * COUNTS_PER_G).reshape(count, 500, 3)
    rows = epochs(counts.mean(axis=1) / COUNTS_PER_G, temperature_c)
    rows["sd_g"] = counts.std(axis=1) / COUNTS_PER_G
    return rows, true_g.reshape(count, 500, 3).mean(axis=1), temperature_c


def test_planted_parameters_are_found():
    rng = np.random.default_rng(1)
    true_g, temperature_c = directions(2000), rng.uniform(20, 34, 2000)
    found = calibrate(epochs(raw(true_g, temperature_c) + rng.normal(0, 0.001, true_g.shape), temperature_c))
    assert (found.applied, found.still) == (True, 2000)
    assert found.why.startswith("applied with temperature")
    np.testing.assert_allclose(found.gain, GAIN, atol=3e-4)
    np.testing.assert_allclose(found.temperature_slope_g, SLOPE_G, atol=5e-5)
    np.testing.assert_allclose(found.offset_g, OFFSET_G + SLOPE_G * (found.reference_c - PLANTED_C), atol=3e-4)
    assert found.error_after_mg < 1.0 < 10 < found.error_before_mg


def test_errors_are_ggirs():
    """Mean distance of |a| from 1 g; of an identity, over the still epochs alone."""
    means_g = np.array([[0, 0, 1.02]] * 30 + [[0, 0.96, 0]] * 30 + [[3.0, 0, 0], [0, 0, 1.0]])
    rows = epochs(means_g)
    rows["sd_g"][-1, 2] = 0.014
    found = calibrate(rows)
    assert found.still == 60
    assert found.error_before_mg == pytest.approx(30.0)
    assert found.error_after_mg == found.error_before_mg  # nothing was applied


@pytest.mark.parametrize("sensor", [0, 1])
def test_half_a_day_on_a_body_is_enough(sensor):
    """The long axis never points up (GGIR's sphere criterion would refuse the back), and yet: 5 mg (issue 5).

    How far values are from the truth, which only the simulator knows, is about what `why` says.
    """
    rows, true_g, temperature_c = worn(sensor, 12, 100)
    still = (rows["sd_g"] < 0.013).all(axis=1)
    found = calibrate(rows)
    assert found.applied, found.why
    assert rows["mean_g"][still, 0].max() < (0.3, 1.0)[sensor]
    assert found.error_after_mg < 5.0 < 10 < found.error_before_mg
    values, told_mg = found.calibrated_g(rows["mean_g"], temperature_c), re.search(r"about (\d+) mg", found.why)
    wrong_mg = np.linalg.norm(values - true_g, axis=1)[still].mean() * 1e3
    assert told_mg is not None
    assert wrong_mg < 2 * float(told_mg[1]) < 20
    assert wrong_mg < 0.2 * np.linalg.norm(rows["mean_g"] - true_g, axis=1)[still].mean() * 1e3


@pytest.mark.parametrize("sensor", [0, 1])
def test_somebody_who_never_lies_is_no_worse_off(sensor):
    """Upright and seated with little tilt: either nothing is applied, or it brings values closer to the truth."""
    angle = np.deg2rad(np.random.default_rng(3).normal([-10, 15] if sensor == 0 else [-2, -90], 3, (200, 2)).ravel())
    true_g = np.column_stack([-np.cos(angle), np.full(len(angle), 0.05), np.sin(angle)])
    true_g /= np.linalg.norm(true_g, axis=1, keepdims=True)
    found = calibrate(epochs(raw(true_g)))
    assert not found.applied
    assert found.why.startswith("too few orientations (x from -")
    np.testing.assert_array_equal(found.calibrated_g(raw(true_g)), raw(true_g))


def test_a_night_on_a_table_does_not_outvote_the_rest():
    """5,000 epochs in one place that are 6 mg wrong there, against 500 elsewhere; each epoch alone would drag gains along."""
    true_g = directions(500)
    table = np.tile([[0.6, 0.0, 0.8]], (5000, 1)) * 1.006
    found = calibrate(np.concatenate([epochs(raw(true_g)), epochs(raw(table))]))
    np.testing.assert_allclose(found.gain, GAIN, atol=5e-4)


def test_moving_clipped_and_weightless_epochs_do_not_count():
    good = epochs(raw(directions(200)))
    moving, clipped, dead = epochs(directions(90) * 0.9), epochs(directions(90) * 0.9), epochs(np.zeros((90, 3)))
    moving["sd_g"][:, 1] = 0.02
    clipped["clipped"] = 1
    mixed, alone = calibrate(np.concatenate([moving, good, clipped, dead])), calibrate(good)
    assert mixed.still == alone.still == 200
    np.testing.assert_allclose(mixed.gain, alone.gain)


def test_a_noisy_device_has_its_own_threshold():
    rows = epochs(raw(directions(200)), sd_g=0.018)
    assert not calibrate(rows).applied
    assert calibrate(rows, still_g=0.022).applied


def test_files_of_one_device_are_calibrated_together():
    """Each of the two saw half the sphere of a body's postures; together they determine what neither does alone."""
    rng = np.random.default_rng(4)
    upright = np.column_stack([-np.ones(80), rng.normal(0, 0.02, 80), rng.normal(0, 0.05, 80)])
    lying = np.column_stack([rng.normal(0, 0.02, 80), np.sin(np.arange(80)), np.cos(np.arange(80))])
    slanted = np.column_stack([-np.ones(80), np.sin(np.arange(80.0)), np.cos(np.arange(80.0))])
    a, b = (
        epochs(raw(v / np.linalg.norm(v, axis=1, keepdims=True))) for v in (np.concatenate([upright, lying]), slanted)
    )
    together = calibrate(np.concatenate([a, b]))
    assert not calibrate(b[:80]).applied or not calibrate(a).applied
    assert (together.applied, together.still) == (True, 240)
    np.testing.assert_allclose(together.gain, GAIN, atol=0.003)
    np.testing.assert_allclose(together.gain, calibrate(np.concatenate([b, a])).gain)


def test_temperature_is_used_only_where_it_helps():
    rng = np.random.default_rng(5)
    true_g, wide, narrow = directions(400), rng.uniform(20, 34, 400), rng.uniform(30, 31, 400)
    flat = raw(true_g) + rng.normal(0, 0.002, true_g.shape)  # the device does not mind the temperature
    for temperature_c, told in (
        (wide, "would hardly fall"),
        (narrow, "varied by 0.9 degrees only"),
        (np.nan, "is known"),
    ):
        found = calibrate(epochs(flat, temperature_c))
        assert found.applied
        assert told in found.why
        np.testing.assert_array_equal(found.temperature_slope_g, 0.0)


def test_an_unknown_temperature_has_no_effect():
    found = Calibration(np.ones(3), np.zeros(3), np.full(3, 0.01), 25.0, 1.0, 1.0, 60, True, "")
    values = found.calibrated_g(np.zeros((2, 3)), np.array([np.nan, 27.0]))
    np.testing.assert_allclose(values, [[0.0] * 3, [0.02] * 3])


def test_too_little_stillness_is_told():
    found = calibrate(epochs(raw(directions(59))))
    assert found.why.startswith("too little stillness: 59 epochs of 10 s in which every axis stayed below 13 mg")
    assert not found.applied
    assert found.error_after_mg == found.error_before_mg > 1
    nothing = calibrate(epochs(np.zeros((0, 3))))
    assert nothing.still == 0
    assert np.isnan(nothing.error_before_mg)


def test_a_search_without_end_is_told(monkeypatch):
    monkeypatch.setattr(calibration, "STEPS", 2)
    found = calibrate(epochs(raw(directions(200))))
    assert not found.applied
    assert found.why == "the search for gains and offsets did not end in 2 steps"


def test_what_does_not_help_is_not_applied():
    """A perfect device: whatever is found is no better than nothing, by more than rounding."""
    rows = epochs(directions(200))
    found = calibrate(rows)
    assert "would not become smaller" in found.why
    np.testing.assert_array_equal(found.gain, NO_CALIBRATION.gain)


def test_a_threshold_must_be_positive():
    with pytest.raises(ValueError, match="still_g must be positive, got 0"):
        calibrate(epochs(directions(60)), still_g=0.0)


@pytest.mark.shared
def test_real_sensors_share_one_calibration(shared):
    """The thigh sensors of HAR70+ 501 to 509 err alike (some 80 mg), so they are one; none has enough by itself."""
    alone = []
    for subject in range(501, 510):
        recording = selfpab.read(shared / "data" / "har70plus" / f"{subject}.parquet")
        blocks = [piece[: len(piece) // 500 * 500, 3:].reshape(-1, 500, 3) for _, piece in recording.blocks(3600)]
        values = np.concatenate(blocks).astype(np.float64)
        alone.append(epochs(values.mean(axis=1)))
        alone[-1]["sd_g"] = values.std(axis=1)
    found = calibrate(np.concatenate(alone))
    assert not any(calibrate(own).applied for own in alone)
    assert found.applied, found.why
    assert found.error_before_mg > 80
    assert found.error_after_mg < 5


@pytest.mark.shared
def test_minutes_of_walking_calibrate_nothing(shared):
    for file in sorted((shared / "data" / "cwa").glob("*.cwa")):
        found = calibrate(survey(file).stillness)
        assert found.why.startswith("too little stillness"), file
        assert not found.applied
