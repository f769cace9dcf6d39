"""How a sensor can be turned on its place, and turning it back: rotations, for a device in a wrong place keeps its hands.

x is the long axis, along the body (down). A turned sensor writes T v where it should write v:
T = Rx(angle) for a sensor the right way up, and Rx(angle) Ry(180) for one that is upside down. So 0 is as it should be,
180 is turned about x (back to front), upside down with 0 is turned about y, and upside down with 180 about z.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from selfpab.recording import SENSORS, Recording

COLUMNS = {"back": slice(0, 3), "thigh": slice(3, 6)}
PIECE = 1 << 18  # samples turned at a time
LARGEST = np.iinfo(np.int16).max


class Turn(NamedTuple):
    """One sensor against where it should be.

    >>> Turn(angle_deg=180.0).name, Turn(True).name, Turn(True, 180.0).name, Turn(angle_deg=-60.0).name
    ('x', 'y', 'z', 'x by -60')
    """

    upside_down: bool = False
    angle_deg: float = 0.0  # -180 < angle <= 180

    @property
    def name(self) -> str:
        """ "" as it should be; "x", "y", "z" turned by 180 degrees; else "x by -60" or "y, then x by 30"."""
        named = NAMES.get((self.upside_down, float(self.angle_deg)))
        return f"{'y, then ' * self.upside_down}x by {self.angle_deg:.0f}" if named is None else named

    @property
    def words(self) -> str:
        """How it is turned, for people: "by 180 degrees about x"."""
        if len(self.name) == 1:
            return f"by 180 degrees about {self.name}"
        by = f"by {self.angle_deg:.0f} degrees about x"
        return f"by 180 degrees about y, then {by}" if self.upside_down else by

    def matrix(self) -> np.ndarray:
        """T, float64 (3, 3): what a sensor so turned writes, from what it should write."""
        angle = np.deg2rad(self.angle_deg)
        c, s = np.cos(angle), np.sin(angle)
        about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        turned = about_x @ np.diag([-1.0, 1.0, -1.0]) if self.upside_down else about_x
        return np.where(np.abs(turned) < 1e-12, 0.0, turned)  # 180 degrees are signs, exactly


NAMES = {(False, 0.0): "", (False, 180.0): "x", (True, 0.0): "y", (True, 180.0): "z"}
AS_IT_SHOULD_BE = Turn()
BY_NAME = {name: Turn(*turn) for turn, name in NAMES.items()}


def angle_between(one: Turn, other: Turn) -> float:
    """How far two turns are apart about x, in degrees, 0 to 180; whether upside down is not looked at."""
    return abs((one.angle_deg - other.angle_deg + 180) % 360 - 180)


class Change(NamedTuple):
    """From sample `first` to `stop`: columns are swapped first, then each sensor is turned by a matrix (3, 3)."""

    first: int
    stop: int
    swapped: bool
    back: np.ndarray
    thigh: np.ndarray


def planted(
    recording: Recording,
    turns: Mapping[str, str | float] | None = None,
    *,
    swapped: bool = False,
    from_sample: int = 0,
) -> Recording:
    """As if sensors had been put on wrongly from a sample on, to test what finds it (ours). Labels are untouched.

    Parameters
    ----------
    turns : per sensor ("back", "thigh") "x", "y" or "z" for half a turn about that axis, or degrees about x.
    swapped : the back's columns hold the sensor that is on the thigh and the other way round. `turns` names the place
        on the body.

    >>> one = Recording("S1", None, 50.0, np.array([[-1, 0.25, 0.5, -1, 0.5, 0.5]], np.float32))
    >>> planted(one, {"back": "x"}).samples.tolist()
    [[-1.0, -0.25, -0.5, -1.0, 0.5, 0.5]]

    Raises ValueError for a sensor or an axis that does not exist.
    """
    turns = dict(turns or {})
    if strange := set(turns) - set(SENSORS):
        raise ValueError(f"turns names sensors, {' and '.join(SENSORS)}, got {sorted(strange)}")
    matrices = {name: np.eye(3) for name in SENSORS}
    for name, turn in turns.items():
        if isinstance(turn, str):
            if turn not in BY_NAME:
                raise ValueError(f"the {name} can be turned about x, y or z, or by degrees about x, got {turn!r}")
            matrices[name] = BY_NAME[turn].matrix()
        else:
            matrices[name] = Turn(False, float(turn)).matrix()
    if swapped:  # what was recorded on the back stands in the thigh's columns
        matrices = {"back": matrices["thigh"], "thigh": matrices["back"]}
    return changed(recording, [Change(from_sample, len(recording), swapped, matrices["back"], matrices["thigh"])])


def changed(recording: Recording, changes: list[Change], *, out: np.ndarray | None = None) -> Recording:
    """A copy of a recording with stretches swapped and turned, a piece at a time.

    Parameters
    ----------
    out : where to write, of the shape and type of `samples`; a memory-mapped file, or `recording.samples` itself to
        turn in place. None makes a new array.

    Returns
    -------
    Recording, int16 where it was int16. Turning by other angles than 180 degrees can make a value larger than int16
    holds; then all counts are halved, and so is `counts_per_g`. Half a turn of -32768 (a clipped sample) gives 32767.
    """
    samples, scale = recording.samples, recording.counts_per_g
    shape, kind = samples.shape, samples.dtype
    if out is not None and (out.shape != shape or out.dtype != kind):
        raise ValueError(f"out must be {kind} of shape {shape}, got {out.dtype} of shape {out.shape}")
    matrices = [_both(change) for change in changes]
    halve = 1
    if scale is not None:
        largest = max((_largest(samples, c, m) for c, m in zip(changes, matrices, strict=True)), default=0)
        while largest / halve > LARGEST + 1.5:
            halve *= 2
    result = np.empty(shape, kind) if out is None else out
    for first in range(0, len(samples), PIECE):
        stop = min(first + PIECE, len(samples))
        piece = samples[first:stop].astype(np.float32)
        for change, matrix in zip(changes, matrices, strict=True):
            a, b = max(change.first - first, 0), min(change.stop, stop) - first
            if a < b:
                piece[a:b] = piece[a:b] @ matrix
        if scale is not None:
            piece = np.clip(np.rint(piece / halve), -LARGEST - 1, LARGEST)
        result[first:stop] = piece
    about: dict[str, Any] = vars(recording) | {"samples": result}
    if scale is not None:
        about["counts_per_g"] = scale // halve
    return Recording(**about)


def _both(change: Change) -> np.ndarray:
    """What six columns are multiplied with from the right, float32 (6, 6)."""
    both = np.zeros((6, 6))
    sources = ("thigh", "back") if change.swapped else SENSORS
    for name, source in zip(SENSORS, sources, strict=True):
        both[COLUMNS[source], COLUMNS[name]] = getattr(change, name).T
    return both.astype(np.float32)


def _largest(samples: np.ndarray, change: Change, matrix: np.ndarray) -> float:
    """The largest size of a count after a change."""
    if np.isin(matrix, (-1, 0, 1)).all():
        return 0.0  # signs and places: what fitted fits
    starts = range(change.first, change.stop, PIECE)
    return max(float(np.abs(samples[a : min(a + PIECE, change.stop)] @ matrix).max()) for a in starts)
