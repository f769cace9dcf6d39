"""From bouts to acceleration."""

import numpy as np
import pytest

from selfpab.activities import NAMES
from selfpab.data import motion_tables, movement
from selfpab.data.behaviour import Bout


def _made(code: int, posture: str = "upright", seconds: float = 60.0, rate_hz: float = 50.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    who = movement.person(rng)
    bout = Bout(0, round(seconds * rate_hz), code, posture)
    pose = movement.bout_pose(who, bout, rng)
    return movement.acceleration(who, [bout], pose[None], pose, rate_hz, rng), who


def test_tables_and_profiles_know_all_codes():
    assert set(movement.PROFILES) == set(motion_tables.NOISE_G) == set(NAMES)
    assert set(motion_tables.HARMONICS_G) == {c for c, p in movement.PROFILES.items() if p.stride_hz[0]}


def test_gravity_is_one_g_and_rotations_keep_it():
    angles = np.linspace(-180, 180, 50)
    gravity = movement.gravity_g(angles, angles / 3)
    np.testing.assert_allclose(np.linalg.norm(gravity, axis=1), 1.0)
    turn = movement.rotation(np.array([10.0, -20.0, 30.0]))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(movement.rotation(np.array([90.0, 0, 0])) @ [0, 1, 0], [0, 0, 1], atol=1e-12)


def test_vigour_rises_from_lying_to_running():
    strength = [np.mean([_made(c, p, seed=s)[0].std(0).mean() for s in range(4)]) for c, p in
                ((8, "supine"), (6, "upright"), (3, "upright"), (1, "upright"), (2, "upright"))]  # fmt: skip
    assert strength == sorted(strength)
    assert strength[-1] > 1.8 * strength[-2]


def test_coloured_noise_has_the_level_asked_for():
    level = np.full((6, len(motion_tables.KNOTS_HZ)), 0.05)
    noise = movement._coloured(level, 200_000, 50.0, np.random.default_rng(0))
    np.testing.assert_allclose(noise.std(0), 0.05 * np.sqrt(24.7 / 25), rtol=0.02)
    faster = movement._coloured(level, 400_000, 100.0, np.random.default_rng(0))
    np.testing.assert_allclose(faster.std(0), 0.05 * np.sqrt(49.7 / 25), rtol=0.02)  # the same density


@pytest.mark.parametrize("rate_hz", [25.0, 100.0])
def test_rhythm_does_not_depend_on_the_sampling_rate(rate_hz: float):
    samples, who = _made(2, seconds=80, rate_hz=rate_hz)
    power = np.abs(np.fft.rfft((samples[:, 0] - samples[:, 0].mean()) * np.hanning(len(samples))))
    peak_hz = np.fft.rfftfreq(len(samples), 1 / rate_hz)[np.argmax(power)]
    assert peak_hz == pytest.approx(2 * who.stride_hz[2], rel=0.12)


def test_getting_up_takes_a_second_or_two_and_shakes():
    rng = np.random.default_rng(1)
    who = movement.person(rng)
    bouts = [Bout(0, 1000, 7, "seated"), Bout(1000, 2000, 6, "upright")]
    poses = np.array([movement.bout_pose(who, bout, rng) for bout in bouts])
    samples = movement.acceleration(who, bouts, poses, poses[0], 50.0, rng)
    assert samples[900:1000, 5].mean() < -0.75
    assert samples[1120:1300, 3].mean() < -0.85
    assert samples[1000:1100].std(0).sum() > 4 * samples[1200:1300].std(0).sum()
    assert -0.9 < samples[1040:1060, 5].mean() < -0.1  # on the way


def test_no_two_strides_are_equal():
    samples, who = _made(1)
    stride = round(50 / who.stride_hz[1])
    a, b = samples[500 : 500 + stride, 3], samples[500 + 4 * stride : 500 + 5 * stride, 3]
    assert np.abs(a - b).mean() > 0.02


@pytest.mark.parametrize(
    ("posture", "channel", "sign"),
    [
        ("supine", 2, 1), ("supine", 5, -1), ("prone", 2, -1), ("prone", 5, 1),
        ("left side", 1, -1), ("left side", 4, 1), ("right side", 1, 1), ("right side", 4, -1),
    ],
)  # fmt: skip
def test_lying_turns_gravity_to_the_right_axis(posture: str, channel: int, sign: int):
    mean = np.mean([_made(8, posture, seed=seed)[0].mean(0) for seed in range(6)], axis=0)
    sensor = mean[:3] if channel < 3 else mean[3:]
    assert np.argmax(np.abs(sensor)) == channel % 3
    assert sign * mean[channel] > 0.7
