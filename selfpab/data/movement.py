"""From bouts of activity to the acceleration of two sensors (docs/simulator.md has the model in words).

Acceleration = gravity in the sensor's pose + harmonics of the stride + coloured noise, all turned by the sensor's
tilt. Poses are (back pitch, back roll, thigh pitch, thigh roll) in degrees: gravity of a sensor is
(-cos p cos r, sin r, sin p cos r). Everything is made for a chunk of bouts at once; the samples of one activity
form one tape, so that the work per bout is small. Legend: N samples, C channels, K harmonics, L points per stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selfpab.activities import NAMES
from selfpab.data.behaviour import Bout
from selfpab.data.motion_tables import HARMONICS_G, KNOTS_HZ, NOISE_G, PHASES_RAD

POINTS = 256  # per stride, of the waveform that is looked up
VARIANTS = 3  # waveforms whose shares wander from stride to stride
IRREGULARITY = 0.22  # size of each of them against the mean waveform


@dataclass(frozen=True)
class Profile:
    """What distinguishes an activity besides its tables."""

    pose_deg: tuple[float, float, float, float]  # mean over people
    pose_person_deg: tuple[float, float, float, float]  # spread between people
    pose_bout_deg: tuple[float, float, float, float]  # spread between one person's bouts
    sway_deg: float  # slow movement within a bout
    burst: float  # sigma of the logarithm of the noise's envelope
    stride_hz: tuple[float, float] = (0.0, 0.0)  # mean and spread between people; 0: no rhythm
    swing_deg: float = 0.0  # the thigh's swing, as far as it turns gravity
    jitter: float = 0.03  # of the stride frequency, from stride to stride
    centripetal_g: float = 0.0  # mean pull along the swinging thigh


FEET = ((3.0, 2.0, 2.5, 3.0), (3.0, 1.5, 1.5, 1.5))
PROFILES = {
    1: Profile((-12, -2, -6, -3), *FEET, 0.8, 0.25, (0.88, 0.07), 5.0, 0.03, 0.04),
    2: Profile((-15, -2, -5, -8), *FEET, 0.8, 0.15, (1.32, 0.05), 12.0, 0.015, 0.22),
    3: Profile((-12, -2, -6, 0), *FEET, 1.5, 0.75, (0.75, 0.08), 2.0, 0.25),
    4: Profile((-18, -3, -16, -2), *FEET, 1.5, 0.35, (0.80, 0.06), 8.0, 0.05),
    5: Profile((-10, -2, -16, -2), *FEET, 1.5, 0.35, (0.88, 0.07), 7.0, 0.05),
    6: Profile((-9, -2, -2, -2), (5, 2, 4, 3), (4, 1.5, 4.5, 2.5), 0.8, 0.85),
    7: Profile((18, -1, -92, 0), (10, 3, 6, 5), (8, 2, 4, 3), 0.6, 1.15),
    8: Profile((80, 0, -91, 0), (6, 3, 4, 5), (2, 2, 2, 3), 0.3, 1.0),
    13: Profile((-34, -3, -37, -6), (12, 2, 6, 3), (4, 2, 3, 2), 1.5, 0.45, (1.1, 0.14), 18.0, 0.06),
    14: Profile((-28, -5, -10, -6), (8, 2, 4, 3), (3, 2, 4, 2), 2.0, 0.35, (0.95, 0.10), 8.0, 0.06, 0.10),
    130: Profile((-34, -3, -22, -6), (12, 2, 8, 3), (2, 2, 14, 3), 1.2, 0.45),
    140: Profile((-32, -5, -16, -6), (8, 2, 6, 3), (4, 2, 10, 3), 1.5, 0.45),
}
LYING_DEG = {  # added to the supine pose of profile 8 but for the person's and the bout's part
    "supine": (80, 0, -91, 0),
    "prone": (-82, 0, 86, 0),
    "left side": (0, -80, -35, 75),
    "right side": (0, 80, -35, -75),
}


@dataclass(frozen=True)
class Person:
    """What stays the same in one person. Gains are factors, angles degrees."""

    size: float  # body height against the mean; long legs step more slowly
    stride_hz: dict[int, float]
    tilt_deg: np.ndarray  # (2 sensors, 3): yaw about x, pitch about y, roll about z, of how the sensor sits
    pose_deg: dict[int, np.ndarray]  # (4,) per code
    waveforms: dict[int, np.ndarray]  # (1 + VARIANTS, L, 6) per rhythmic code, g
    noise_gain: dict[int, np.ndarray]  # (6,) per code
    sensor_noise_g: np.ndarray  # (2 sensors,)


def person(rng: np.random.Generator) -> Person:
    """Draw somebody: build, cadences, postures, waveforms, how the sensors sit."""
    size = float(1 + 0.06 * rng.standard_normal())
    brisk = rng.standard_normal()
    tilt_deg = rng.standard_normal((2, 3)) * np.array([[4.0, 9.0, 3.5], [6.0, 5.0, 4.5]])
    gain = np.exp(0.24 * rng.standard_normal(6)) * np.exp(0.20 * brisk)
    stride_hz, pose_deg, waveforms, noise_gain = {}, {}, {}, {}
    for code, profile in PROFILES.items():
        mean, spread = profile.stride_hz
        own = 0.8 * brisk + 0.6 * rng.standard_normal()
        stride_hz[code] = float(
            np.clip(mean + spread * own, 0.75 * mean, 1.25 * mean) / np.sqrt(np.clip(size, 0.8, 1.2))
        )
        pose_deg[code] = np.array(profile.pose_deg) + np.array(profile.pose_person_deg) * rng.standard_normal(4)
        noise_gain[code] = np.exp(0.34 * rng.standard_normal() + 0.20 * rng.standard_normal(6))
        if mean:
            waveforms[code] = _waveforms(code, gain * size, rng)
            noise_gain[code] *= gain
    stride_hz = {code: value for code, value in stride_hz.items() if value}
    return Person(size, stride_hz, tilt_deg, pose_deg, waveforms, noise_gain, rng.uniform(0.0020, 0.0040, 2))


def acceleration(
    who: Person,
    bouts: Sequence[Bout],
    poses_deg: np.ndarray,
    before_deg: np.ndarray,
    rate_hz: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Acceleration in g during neighbouring bouts, without the sensors' own noise: float32 (N, 6).

    poses_deg : (bouts, 4), where each bout's posture comes to rest (`bout_pose`).
    before_deg : (4,), the pose before the first of them.
    """
    lengths = np.array([len(bout) for bout in bouts])
    codes = np.array([bout.code for bout in bouts])
    starts = np.cumsum(lengths) - lengths
    total = int(lengths.sum())
    pose, moving = _pose_track(poses_deg, np.vstack([before_deg[None], poses_deg[:-1]]), lengths, rate_hz)
    sway = np.repeat([PROFILES[int(code)].sway_deg for code in codes], lengths).astype(np.float32)
    pose += sway[:, None] * _wander(total, 4, 2.0 * rate_hz, rng)
    motion = np.zeros((total, 6), np.float32)
    for code in np.unique(codes):
        chosen = np.flatnonzero(codes == code)
        sizes = lengths[chosen]
        place = _positions(starts[chosen], sizes)
        tape, swing = _dynamics(int(code), who, sizes, rate_hz, rng)
        within = place - np.repeat(starts[chosen], sizes)
        left = np.repeat(sizes, sizes) - within
        edge = np.minimum(np.minimum(within + 1, left) / np.float32(0.25 * rate_hz), 1).astype(np.float32)
        motion[place] = tape * edge[:, None]
        pose[place, 2] += swing * edge
    # Getting up or sitting down shakes both sensors, the more the larger the turn.
    motion += moving[:, None] * _coloured(np.array(NOISE_G[3]), total, rate_hz, rng)
    for sensor in (0, 1):
        axes = slice(3 * sensor, 3 * sensor + 3)
        motion[:, axes] += gravity_g(pose[:, 2 * sensor], pose[:, 2 * sensor + 1])
        motion[:, axes] = motion[:, axes] @ rotation(who.tilt_deg[sensor]).T.astype(np.float32)
    return motion


def bout_pose(who: Person, bout: Bout, rng: np.random.Generator) -> np.ndarray:
    """Where the posture of a bout comes to rest: (4,) degrees."""
    profile = PROFILES[bout.code]
    pose = who.pose_deg[bout.code] + np.array(profile.pose_bout_deg) * rng.standard_normal(4)
    if bout.code == 8:
        pose += np.array(LYING_DEG[bout.posture]) - np.array(profile.pose_deg)
    return pose


def turning_s(turn_deg: np.ndarray) -> np.ndarray:
    """How long a change of posture takes: half a second, and up to 2 s for a quarter turn and more."""
    return 0.5 + 1.5 * np.clip(turn_deg / 90, 0, 1)


def gravity_g(pitch_deg: np.ndarray, roll_deg: np.ndarray) -> np.ndarray:
    """What a resting sensor feels, (N, 3) in g, in HARTH's frame (x down).

    >>> gravity_g(np.array([0.0, -90.0]), np.array([0.0, 0.0])).round(2) + 0.0
    array([[-1.,  0.,  0.],
           [ 0.,  0., -1.]])
    """
    pitch, roll = np.deg2rad(pitch_deg), np.deg2rad(roll_deg)
    level = np.cos(roll)
    return np.stack([-np.cos(pitch) * level, np.sin(roll), np.sin(pitch) * level], axis=1)


def rotation(angles_deg: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) about x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.deg2rad(angles_deg)), np.sin(np.deg2rad(angles_deg))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _waveforms(code: int, gain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One stride of the six channels, and the ways in which it varies: (1 + VARIANTS, L, 6) in g."""
    amplitude = np.array(HARMONICS_G[code]).T * gain  # (K, 6)
    count = len(amplitude)
    amplitude = amplitude * np.exp(0.36 * rng.standard_normal((count, 6)) + 0.12 * rng.standard_normal((count, 1)))
    order = np.arange(1, count + 1)[:, None]
    # Everybody moves in the same manner, so phases belong to the activity; the higher harmonics meet at one moment
    # of the stride, which makes them an impact and not a hum, and reaches both sensors: so does what people differ by.
    phase = np.array(PHASES_RAD[code]).T
    phase = phase + 0.45 * rng.standard_normal((count, 1)) + 0.15 * rng.standard_normal((count, 6))
    stride = np.arange(POINTS) / POINTS * 2 * np.pi
    complex_amplitude = amplitude * np.exp(1j * phase)
    # The swinging thigh turns gravity; the tables hold the whole, so its share is taken out.
    profile = PROFILES[code]
    swung = gravity_g(
        profile.pose_deg[2] + profile.swing_deg * np.cos(stride), np.full(POINTS, float(profile.pose_deg[3]))
    )
    share = 2 * np.abs(np.fft.rfft(swung, axis=0))[1 : count + 1] / POINTS
    whole = np.abs(complex_amplitude[:, 3:])
    complex_amplitude[:, 3:] *= np.sqrt(np.clip(1 - (share / np.maximum(whole, 1e-9)) ** 2, 0, 1))
    basis = np.exp(1j * order.T * stride[:, None])  # (L, K)
    kinds = [complex_amplitude]
    for _ in range(VARIANTS):
        random = rng.standard_normal((count, 6)) + 1j * rng.standard_normal((count, 6))
        kinds.append(IRREGULARITY * amplitude * random)
    return np.stack([np.real(basis @ kind) for kind in kinds]).astype(np.float32)


def _dynamics(
    code: int, who: Person, sizes: np.ndarray, rate_hz: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Movement of all bouts of one activity, one after the other: (N, 6) in g, and the thigh's swing (N,) in degrees."""
    profile, total = PROFILES[code], int(sizes.sum())
    vigour = np.repeat(np.exp((0.12 + 0.4 * profile.burst) * rng.standard_normal(len(sizes))), sizes).astype(np.float32)
    envelope = np.exp(profile.burst * _wander(total, 1, 1.0 * rate_hz, rng) - profile.burst**2 / 2)
    tape = _coloured(np.array(NOISE_G[code]) * who.noise_gain[code][:, None], total, rate_hz, rng) * envelope
    tape[:, 3] -= profile.centripetal_g
    if code not in who.waveforms:
        return tape, np.zeros(total, np.float32)
    pace = np.repeat(1 + 0.03 * rng.standard_normal(len(sizes)), sizes)
    pace += profile.jitter * _wander(total, 1, 0.5 * rate_hz / who.stride_hz[code], rng)[:, 0]
    phase = np.cumsum(who.stride_hz[code] * pace) / rate_hz
    where = (phase % 1.0 * POINTS).astype(np.int64) % POINTS
    shares = _wander(total, VARIANTS, rate_hz / who.stride_hz[code], rng)
    mean, *variants = who.waveforms[code]
    rhythm = mean[where]
    for kind, waveform in enumerate(variants):
        rhythm += shares[:, kind : kind + 1] * waveform[where]
    if profile.burst > 0.5:  # a few steps and a stop, not a gait
        rhythm *= envelope
    swing = profile.swing_deg * np.cos(2 * np.pi * phase)
    return (tape + rhythm) * vigour[:, None], (swing * vigour).astype(np.float32)


def _pose_track(
    poses_deg: np.ndarray, before_deg: np.ndarray, lengths: np.ndarray, rate_hz: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pose of every sample, (N, 4) degrees, and how strongly the body is changing it, (N,) as a factor."""
    turn = np.abs(poses_deg - before_deg).max(1)
    duration = np.minimum(turning_s(turn) * rate_hz, lengths)
    within = _positions(np.zeros_like(lengths), lengths)
    part = np.clip(within / np.repeat(duration, lengths), 0, 1).astype(np.float32)
    smooth = part * part * (3 - 2 * part)
    change = (poses_deg - before_deg).astype(np.float32)
    pose = np.repeat(before_deg.astype(np.float32), lengths, axis=0) + smooth[:, None] * np.repeat(change, lengths, 0)
    moving = 4 * part * (1 - part) * np.repeat(np.where(turn > 25, 1 + turn / 60, 0), lengths).astype(np.float32)
    return pose, moving.astype(np.float32)


def _positions(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """starts[0], starts[0] + 1, ... for all bouts: int64 (sum of sizes,)."""
    ends = np.cumsum(sizes)
    return np.arange(int(ends[-1])) + np.repeat(starts - (ends - sizes), sizes)


def _wander(samples: int, columns: int, step_samples: float, rng: np.random.Generator) -> np.ndarray:
    """Slow random curves of about unit spread, one new value per step: float32 (samples, columns)."""
    count = int(samples / step_samples) + 3
    knots = rng.standard_normal((count, columns)).astype(np.float32) * np.float32(1.22)  # interpolation narrows them
    place = np.arange(samples, dtype=np.float64) / step_samples
    first = place.astype(np.int64)
    part = (place - first).astype(np.float32)[:, None]
    return knots[first] * (1 - part) + knots[first + 1] * part


def _coloured(level_g: np.ndarray, samples: int, rate_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise: float32 (samples, 6).

    level_g : (6, knots), the spread that white noise of that density would have at 50 Hz.
    """
    size = 1024 * (samples // 1024 + 1)
    hz = np.fft.rfftfreq(size, 1 / rate_hz)
    random = rng.standard_normal((6, len(hz), 2), dtype=np.float32).view(np.complex64)[..., 0]
    level = np.exp(np.stack([np.interp(hz, KNOTS_HZ, np.log(row)) for row in level_g]))
    scale = level * np.sqrt(size / 2 * rate_hz / 50.0) * (hz > 0.3)
    return np.fft.irfft(random * scale.astype(np.float32), size, axis=1)[:, :samples].T.astype(np.float32)


assert set(PROFILES) == set(NAMES)
