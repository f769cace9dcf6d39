"""Turns are rotations, and turning back gives the same bits."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpab.data.placement_turns import BY_NAME, Change, Turn, angle_between, changed, planted
from selfpab.recording import Recording


def few(kind=np.int16, rows: int = 7) -> Recording:
    values = np.random.default_rng(1).integers(-4000, 4000, (rows, 6))
    if kind == np.int16:
        return Recording("P", None, 50.0, values.astype(np.int16), np.arange(rows).astype(np.int16), counts_per_g=4096)
    return Recording("P", None, 50.0, (values / 4096).astype(np.float32))


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_a_named_turn_is_half_a_turn_about_that_axis(axis):
    expected = Rotation.from_euler(axis, 180, degrees=True).as_matrix()
    np.testing.assert_allclose(BY_NAME[axis].matrix(), expected, atol=1e-15)
    assert BY_NAME[axis].name == axis
    assert set(np.unique(np.abs(BY_NAME[axis].matrix()))) == {0.0, 1.0}


def test_an_angle_turns_about_x():
    expected = Rotation.from_euler("x", -60, degrees=True).as_matrix()
    np.testing.assert_allclose(Turn(False, -60.0).matrix(), expected, atol=1e-15)
    both = Rotation.from_euler("x", 30, degrees=True) * Rotation.from_euler("y", 180, degrees=True)
    np.testing.assert_allclose(Turn(True, 30.0).matrix(), both.as_matrix(), atol=1e-15)


def test_turns_in_words():
    assert Turn(False, 180.0).words == "by 180 degrees about x"
    assert Turn(False, -60.0).words == "by -60 degrees about x"
    assert Turn(True, 30.0).words == "by 180 degrees about y, then by 30 degrees about x"
    assert angle_between(Turn(False, -150.0), Turn(True, 180.0)) == 30


def test_half_turns_change_two_signs():
    before = few()
    after = planted(before, {"thigh": "z"}, from_sample=3)
    np.testing.assert_array_equal(after.samples[:3], before.samples[:3])
    np.testing.assert_array_equal(after.samples[3:], before.samples[3:] * np.array([1, 1, 1, -1, -1, 1], np.int16))
    assert after.samples.dtype == np.int16
    assert after.labels is before.labels


def test_turns_name_the_place_on_the_body_when_swapped():
    before = few()
    after = planted(before, {"back": "y"}, swapped=True)
    np.testing.assert_array_equal(after.samples[:, :3], before.samples[:, 3:])
    np.testing.assert_array_equal(after.samples[:, 3:], before.samples[:, :3] * np.array([-1, 1, -1], np.int16))


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_what_was_planted_is_undone_to_the_bit(kind):
    before = few(kind)
    faulty = planted(before, {"back": "y", "thigh": "x"}, swapped=True)
    back, thigh = BY_NAME["y"].matrix().T, BY_NAME["x"].matrix().T
    again = changed(faulty, [Change(0, len(before), True, back, thigh)])
    np.testing.assert_array_equal(again.samples, before.samples)


def test_turning_in_place_writes_into_the_array():
    recording = few()
    expected = planted(recording, {"back": "x"}).samples
    turned = changed(recording, [Change(0, 7, False, BY_NAME["x"].matrix(), np.eye(3))], out=recording.samples)
    assert turned.samples is recording.samples
    np.testing.assert_array_equal(recording.samples, expected)


def test_the_largest_negative_count_does_not_wrap():
    samples = np.full((4, 6), -32768, np.int16)
    turned = planted(Recording("P", None, 50.0, samples, counts_per_g=4096), {"back": "x"})
    assert turned.samples[0].tolist() == [-32768, 32767, 32767, -32768, -32768, -32768]
    assert turned.counts_per_g == 4096


def test_what_does_not_fit_after_turning_is_halved():
    samples = np.zeros((4, 6), np.int16)
    samples[2, 1:3] = 30000, -30000
    recording = Recording("P", None, 50.0, samples, counts_per_g=4096)
    turned = planted(recording, {"back": 45.0})
    assert turned.counts_per_g == 2048
    assert turned.samples.dtype == np.int16
    expected = Turn(False, 45.0).matrix() @ recording.piece(2, 3)[0, :3]
    np.testing.assert_allclose(turned.piece(2, 3)[0, :3], expected, atol=1 / 2048)
    untouched = planted(replace(recording, samples=samples // 2), {"back": 45.0})
    assert untouched.counts_per_g == 4096


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match=r"turns names sensors, back and thigh, got \['hip'\]"):
        planted(few(), {"hip": "x"})
    with pytest.raises(ValueError, match="about x, y or z, or by degrees about x, got 'w'"):
        planted(few(), {"back": "w"})
    with pytest.raises(ValueError, match=r"out must be int16 of shape \(7, 6\), got float32 of shape \(7, 6\)"):
        changed(few(), [], out=np.zeros((7, 6), np.float32))
