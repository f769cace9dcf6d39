"""Which ways of wearing two sensors explain what they show, over time.

A hypothesis is: columns swapped or not, a turn of the back's sensor and one of the thigh's. Each window of five seconds
says how far from anything that bodies do it would be under each; a hidden Markov model whose state hardly ever changes
puts these together (Viterbi). Everything here is ours.
Legend: T blocks of time, S hypotheses in a grid (swapped 2, back 24, thigh 24).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from selfpab.data.placement_postures import Postures, distances, features
from selfpab.data.placement_turns import Turn
from selfpab.data.placement_windows import WindowTable

STEP_DEG = 30
NATURAL_DEG = 45.0  # a sensor less turned about x than that is as it should be: people's thighs are round
GRID = tuple(Turn(up, float(a)) for up in (False, True) for a in range(-180 + STEP_DEG, 181, STEP_DEG))
MOST_AGAINST = 6.0  # nats in which a minute can speak against a hypothesis
# Before anything is seen: what speaks against a fault, in nats (e^-8 is one in 3,000).
HALF_TURN, ODD_TURN, SLIGHT_TURN, SWAP = 8.0, 10.0, 2.0, 8.0
CHANGE = 8.0  # against a change between two blocks, besides what speaks against what it changes to
AT_ONCE = 512  # windows


def scores(windows: WindowTable, postures: Postures, backs: tuple[Turn, ...], thighs: tuple[Turn, ...]) -> np.ndarray:
    """How ill each hypothesis explains each window, float32 (n, 2, len(backs), len(thighs)), from -`MOST_AGAINST` to 0.

    0 where some posture fits as well as those of people who wear sensors as they should.
    """
    moves = windows.moves
    result = np.empty((len(moves), 2, len(backs), len(thighs)), np.float32)
    for first in range(0, len(moves), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        for moving, columns, mean, sd in (
            (True, 7, postures.moving_mean, postures.moving_sd),
            (False, 3, postures.still_mean, postures.still_sd),
        ):
            rows = np.flatnonzero(moves[part] == moving) + first
            for swapped in (0, 1):
                values = features(windows.rows(rows), bool(swapped))
                back, thigh = (
                    distances(values[:, at, :columns], mean[:, at, :columns], sd[:, at, :columns], turns)
                    for at, turns in ((0, backs), (1, thighs))
                )
                nearest = np.full((len(rows), len(backs), len(thighs)), np.inf, np.float32)
                for posture in range(len(mean)):
                    np.minimum(nearest, back[:, :, None, posture] + thigh[:, None, :, posture], out=nearest)
                result[rows, swapped] = -np.clip((nearest - 2 * columns) / 2, 0, MOST_AGAINST)
    return result


@cache
def prior() -> np.ndarray:
    """Log prior of every hypothesis of the grid against wearing as it should be, float32 (2, 24, 24)."""
    turns = np.array([_against(turn) for turn in GRID], np.float32)
    return -(np.array([0, SWAP], np.float32)[:, None, None] + turns[:, None] + turns)


def _against(turn: Turn) -> float:
    from_half = min(abs(turn.angle_deg), 180 - abs(turn.angle_deg))
    if not turn.upside_down and turn.angle_deg == 0:
        return 0.0
    if not turn.upside_down and abs(turn.angle_deg) < NATURAL_DEG:
        return SLIGHT_TURN
    return HALF_TURN + min(from_half / STEP_DEG, 1) * SLIGHT_TURN if from_half < NATURAL_DEG else ODD_TURN


def summed(windows: WindowTable, postures: Postures, block: np.ndarray, blocks: int) -> np.ndarray:
    """Weighted scores under the grid's hypotheses, added up per block: float32 (blocks, 2, 24, 24).

    block : the block of each window, rising.
    """
    result = np.zeros((blocks, 2, len(GRID), len(GRID)), np.float32)
    for first in range(0, len(block), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        score = scores(windows.rows(part), postures, GRID, GRID) * windows.weight[part, None, None, None]
        for place in np.unique(block[part]):
            result[place] += score[block[part] == place].sum(0)
    return result


def most_likely_path(evidence: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Place of the hypothesis in every block, int64 (T,): that of the most likely sequence of rare changes.

    evidence : (T, S); start : log prior (S,), also paid by what a change leads to, with `CHANGE` on top.
    """
    total = start + evidence[0]
    came_from = np.zeros(len(evidence), np.int64)
    changed = np.zeros(evidence.shape, bool)
    for place in range(1, len(evidence)):
        best = int(total.argmax())
        fresh = total[best] - CHANGE + start
        changed[place] = fresh > total
        came_from[place] = best
        total = np.maximum(total, fresh) + evidence[place]
    path = np.empty(len(evidence), np.int64)
    path[-1] = total.argmax()
    for place in range(len(evidence) - 1, 0, -1):
        path[place - 1] = came_from[place] if changed[place, path[place]] else path[place]
    return path
