"""How the back sensor leans when its wearer stands, and the turn that makes wearers more alike (ours; not in the paper).

A sensor on the lower back leans by as much as the back and the belt do: from 32 degrees forwards to 18 backwards in 29 people
who stand. Sitting and lying differ by the angle of the trunk, so what is sitting of one person is lying of another. Whoever
stands quietly is upright: the gravity seen then tells the lean, without labels. Part of it is where the sensor sits, which a
rotation may take away; part is how somebody holds the trunk, which also shows in sitting and lying. With half of it taken
away sitting and lying of these people are further apart than with none, with all, or with the lean while walking (docs/log.md,
2026-12-01).

On these people (HARTH and HAR70+) the direction found differs from that of their labelled standing by 0.1 degrees in the
median and by at most 2.1. The thigh of a cyclist leans by more than thighs are worn differently: it is left alone.
Legend: N samples, B stretches of time, F frames.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from selfpab.core_threads import one_core_each
from selfpab.recording import NON_WEAR, NON_WEAR_OF, Recording

STANDING_BACK = np.array([-0.9893, 0.0, -0.1451])  # unit vector; mean over the 29 people (with y taken to be 0)
QUIET_G = 0.05  # deviation of the length of the acceleration in a second, of back and thigh; less is standing
LARGEST_LEAN_DEG = {
    "back": 45.0,
    "thigh": 30.0,
}  # from the axis along the body; who sits has a thigh that leans further
LEAST_SECONDS = 60
STRETCH_S = 24 * 3600.0  # a new direction each day: sensors are put on again
LOOKED_AT = 100_000  # seconds at most: of a week every sixth
BLOCK_S = 600.0


class Turns(NamedTuple):
    """firsts : int64 (B,), first sample of every stretch, in order. matrices : float32 (B, 3, 3)."""

    firsts: np.ndarray
    matrices: np.ndarray

    def of(self, samples: np.ndarray) -> np.ndarray:
        """The matrix for each of these samples, float32 (len(samples), 3, 3)."""
        return self.matrices[np.maximum(np.searchsorted(self.firsts, samples, side="right") - 1, 0)]

    def applied(self, pieces: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Frames (F, S, 6) in g with the back turned, float32; starts are their first samples, (F,)."""
        turned = np.array(pieces, np.float32)
        turned[..., :3] = turned[..., :3] @ self.of(starts).transpose(0, 2, 1)
        return turned


def upright_turns(recording: Recording, share: float) -> Turns:
    """How to turn the back sensor in each stretch of a recording.

    A stretch is at most a day, and ends where the sensor was taken off. One with fewer than `LEAST_SECONDS` of quiet
    standing takes the direction of the whole recording; without any nothing is turned.

    share : of the lean that is taken away: 0 nothing, 1 all of it.

    >>> leaning = np.tile(np.float32([-1, 0, 0, -1, 0, 0]), (50 * 100, 1))
    >>> turns = upright_turns(Recording("P1", None, 50.0, leaning), 1.0)
    >>> (turns.matrices[0].astype(float) @ [-1, 0, 0]).round(3).tolist()
    [-0.989, 0.0, -0.145]
    """
    places, directions = _standing_seconds(recording)
    firsts = _stretches(recording)
    everywhere = _turn(directions, share)
    which = np.searchsorted(firsts, places, side="right") - 1
    found = [directions[which == place] for place in range(len(firsts))]
    step = _step(recording)
    matrices = [_turn(here, share) if len(here) * step >= LEAST_SECONDS else everywhere for here in found]
    return Turns(firsts, np.stack(matrices).astype(np.float32))


def _step(recording: Recording) -> int:
    return max(1, int(recording.seconds / LOOKED_AT))


def _standing_seconds(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """(first samples (F,), directions of gravity at the back (F, 3)) of seconds in which somebody stands quietly."""
    size, step = round(recording.rate_hz), _step(recording)
    taken_off = [mark for mark in recording.marks if mark.kind in (NON_WEAR, *NON_WEAR_OF.values())]

    def of_block(block: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        first, stop = block
        count = (stop - first) // size
        seconds = recording.piece(first, first + count * size).reshape(count, size, 6)[::step]
        begins = first + size * step * np.arange(len(seconds))
        stands = np.ones(len(seconds), bool)
        for mark in taken_off:
            stands &= (begins + size <= mark.first) | (begins >= mark.stop)
        for sensor, axes in (("back", slice(0, 3)), ("thigh", slice(3, 6))):
            values = seconds[..., axes]
            mean = values.mean(axis=1)
            moved = np.sqrt(np.square(values).sum(axis=2)).std(axis=1)
            lean = -mean[:, 0] / np.maximum(np.linalg.norm(mean, axis=1), 1e-6)
            stands &= (moved < QUIET_G) & (lean > np.cos(np.deg2rad(LARGEST_LEAN_DEG[sensor])))
        back = seconds[stands, :, :3].mean(axis=1)
        return begins[stands], back / np.linalg.norm(back, axis=1, keepdims=True)

    found = list(one_core_each(of_block, recording.block_places(BLOCK_S)))
    places = np.concatenate([np.empty(0, np.int64), *(some for some, _ in found)])
    return places, np.concatenate([np.empty((0, 3)), *(some for _, some in found)])


def _stretches(recording: Recording) -> np.ndarray:
    off = (NON_WEAR, NON_WEAR_OF["back"])
    edges = {0, *(mark.stop for mark in recording.marks if mark.kind in off)}
    edges |= set(range(0, len(recording), round(STRETCH_S * recording.rate_hz)))
    return np.array(sorted(edge for edge in edges if edge < max(1, len(recording))), np.int64)


def _turn(directions: np.ndarray, share: float) -> np.ndarray:
    """`share` of the smallest rotation that takes the median direction to `STANDING_BACK`; none without directions."""
    if not len(directions):
        return np.eye(3)
    middle = np.median(directions, axis=0)
    middle /= np.linalg.norm(middle)
    axis = np.cross(middle, STANDING_BACK)
    sine = np.linalg.norm(axis)
    if sine < 1e-9:
        return np.eye(3)
    angle = np.arctan2(sine, middle @ STANDING_BACK)
    return Rotation.from_rotvec(axis / sine * angle * share).as_matrix()
