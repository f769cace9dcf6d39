"""How sensors worn as they should be look in five seconds: a table of postures and movements, learned from HARTH.

For every posture the table holds the mean and spread of both sensors' `down` and `sense`, of how much the back moves,
and of how much more the thigh does (placement_windows), over people as over time. All postures weigh the same, so that
how long somebody lies or walks is no evidence: only what bodies do not do is. Lying on the sides and on the belly is
constructed from lying on the back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from selfpab.data.placement_turns import Turn
from selfpab.data.placement_windows import WindowTable, windows_of
from selfpab.recording import Recording

TABLE = Path(__file__).with_name("placement_postures.json")
# Not stairs down: there the back goes round the other way, as if it were turned, and nobody walks down for minutes.
MOVEMENTS = {
    "walking": (1,),
    "running": (2,),
    "shuffling": (3,),
    "stairs up": (4,),
    "standing": (6,),
    "sitting": (7,),
    "cycling": (13,),
    "cycling, standing": (14,),
}
POSTURES = {"standing": (3, 6), "sitting": (7,), "cycling": (13, 130)}
SUPINE = 8
FEWEST = 4  # windows of a person, below which they do not count for a posture
# Smallest spread, for ten people are few: of directions (some 15 degrees of tilt forward), of sense, of level. Ours.
LEAST_SD = np.array([[0.15, 0.15, 0.25, 0.12, 0.15, 0.12, 0.6], [0.15, 0.15, 0.25, 0.12, 0.15, 0.12, 0.25]])
LYING_SD = np.array([[0.25] * 6 + [0.8], [0.45, 0.4, 0.4, 0.25, 0.25, 0.25, 0.8]])  # hips twist, knees are drawn up
LYING_ROLLS_DEG = range(-135, 181, 45)


class Postures(NamedTuple):
    """K postures seen while both sensors move, and M while they do not; sensors 0 back, 1 thigh.

    Columns: down x y z, sense x y z, and level: ln(rms in g) of the back, and of the thigh over the back. In `still` only
    the first three count.
    """

    moving: tuple[str, ...]
    moving_mean: np.ndarray  # float32 (K, 2, 7)
    moving_sd: np.ndarray
    still: tuple[str, ...]
    still_mean: np.ndarray  # float32 (M, 2, 7)
    still_sd: np.ndarray


def learned(recordings: Sequence[Recording]) -> dict[str, dict[str, list]]:
    """The table of postures, ready for JSON: {"moving" or "still": {posture: [mean (2, 7), sd (2, 7)]}}.

    Recordings need HARTH's labels and sensors worn as they should be. A spread is that between people's means and that
    within people together.
    """
    people = []
    for recording in recordings:
        assert recording.labels is not None, f"{recording.subject} has no labels to learn from"
        windows = windows_of(recording)
        size = int(np.diff(windows.first).min())
        codes = np.array([_one_code(recording.labels[first : first + size]) for first in windows.first])
        usable = windows.weight > 0
        people.append((features(windows).astype(np.float64), np.where(usable, codes, -2), windows.moves))

    def table(kinds: dict[str, tuple[int, ...]], moving: bool) -> dict[str, list]:
        rows = {}
        for name, wanted in kinds.items():
            each = [values[np.isin(codes, wanted) & (moves == moving)] for values, codes, moves in people]
            each = [values for values in each if len(values) >= FEWEST]
            if each:
                means = np.array([values.mean(0) for values in each])
                variance = np.mean([values.var(0) for values in each], 0) + means.var(0, ddof=min(1, len(each) - 1))
                sd = np.maximum(np.sqrt(variance), LEAST_SD)
                rows[name] = [means.mean(0).round(3).tolist(), sd.round(3).tolist()]
        return rows

    return {
        "moving": table(MOVEMENTS, True),
        "still": table(POSTURES | {"supine": (SUPINE,)}, False),
    }


def postures_of(table: dict[str, dict[str, list]]) -> Postures:
    """The learned table with the ways of lying that follow from lying on the back."""
    moving = {name: np.array(row) for name, row in table["moving"].items()}
    still = {name: np.array(row) for name, row in table["still"].items()}
    supine = still.pop("supine")
    moving |= _lying(supine)
    still |= _lying(supine)
    moving_rows, still_rows = (np.array(list(rows.values()), np.float32) for rows in (moving, still))
    return Postures(
        tuple(moving), moving_rows[:, 0], moving_rows[:, 1], tuple(still), still_rows[:, 0], still_rows[:, 1]
    )


@cache
def known_postures() -> Postures:
    """The table that comes with the package (recipes/check_placement.py learns it)."""
    return postures_of(json.loads(TABLE.read_text()))


def features(windows: WindowTable, swapped: bool = False) -> np.ndarray:
    """The seven columns of `Postures` for back and thigh, float32 (n, 2, 7), columns swapped or as they are."""
    order = [1, 0] if swapped else [0, 1]
    level = np.log(np.maximum(windows.rms_g[:, order], 1e-3))
    level[:, 1] -= level[:, 0]
    return np.concatenate([windows.down[:, order], windows.sense[:, order], level[:, :, None]], 2)


def distances(values: np.ndarray, mean: np.ndarray, sd: np.ndarray, turns: Sequence[Turn]) -> np.ndarray:
    """Of one sensor's features, turned back by each turn, from each posture: float32 (n, turns, postures).

    values : (n, D), D 3 (`down`) or 7; mean, sd : (postures, D). Squares, in spreads: D is what a worn sensor has.
    """
    turned = np.repeat(values[:, None], len(turns), axis=1)
    for place, turn in enumerate(turns):
        matrix = turn.matrix().astype(np.float32)  # rows times T: turned back
        for first in range(0, values.shape[1] - 2, 3):
            turned[:, place, first : first + 3] = values[:, first : first + 3] @ matrix
    weight = 1 / np.square(sd)
    constant = (weight * mean * mean).sum(1)
    return np.square(turned) @ weight.T - 2 * turned @ (weight * mean).T + constant


def _one_code(labels: np.ndarray) -> int:
    """The label of a window, or -2 where it has more than one."""
    return int(labels[0]) if (labels == labels[0]).all() else -2


def _lying(supine: np.ndarray) -> dict[str, np.ndarray]:
    """Trunk and thighs rolled together about the body's long axis: on the back, the sides, the belly."""
    rows = {}
    for roll in LYING_ROLLS_DEG:
        mean = np.zeros((2, 7))
        mean[0, :3] = Turn(False, roll).matrix() @ [supine[0, 0, 0], 0.0, 0.95]
        mean[1, :3] = Turn(False, roll).matrix() @ [0.0, 0.0, -1.0]
        mean[0, 6] = np.log(0.1)
        rows[f"lying, rolled by {roll}"] = np.array([mean, LYING_SD])
    return rows
