"""Scores, priors, and the most likely path against the obvious ways."""

from itertools import pairwise, product

import numpy as np
import pytest

from selfpab.data.placement_hypotheses import (
    CHANGE,
    GRID,
    HALF_TURN,
    MOST_AGAINST,
    ODD_TURN,
    SLIGHT_TURN,
    SWAP,
    most_likely_path,
    prior,
    scores,
    summed,
)
from selfpab.data.placement_postures import known_postures
from selfpab.data.placement_turns import BY_NAME, Turn, planted
from selfpab.data.placement_windows import windows_of

OK = Turn()


def test_worn_well_nothing_speaks_against_it(somebody):
    windows = windows_of(somebody())
    fit = scores(windows, known_postures(), (OK,), (OK,))[:, 0, 0, 0]
    assert (fit == 0).mean() > 0.95
    assert fit.max() == 0


@pytest.mark.parametrize(("turns", "swapped"), [({"back": "x"}, False), ({"thigh": "z"}, False), ({"back": "y"}, True)])
def test_the_planted_hypothesis_scores_as_if_nothing_had_been_planted(somebody, turns, swapped):
    recording = somebody(("walk", 1), ("sit", 1))
    before = scores(windows_of(recording), known_postures(), (OK,), (OK,))[:, 0, 0, 0]
    windows = windows_of(planted(recording, turns, swapped=swapped))
    options = tuple((BY_NAME[turns.get(name, "")],) for name in ("back", "thigh"))
    after = scores(windows, known_postures(), *options)[:, int(swapped), 0, 0]
    np.testing.assert_allclose(after, before, atol=1e-3)
    walking = windows.moves
    assert (scores(windows, known_postures(), (OK,), (OK,))[walking, 0] == -MOST_AGAINST).all()


def test_many_hypotheses_at_once_are_the_same_as_one_by_one(somebody):
    windows = windows_of(somebody(("walk", 1), ("lie", 1)))
    all_at_once = scores(windows, known_postures(), GRID, GRID)
    assert all_at_once.shape == (len(windows.first), 2, 24, 24)
    for i, j in ((0, 5), (11, 11), (17, 3)):
        one = scores(windows, known_postures(), (GRID[i],), (GRID[j],))[:, :, 0, 0]
        np.testing.assert_allclose(all_at_once[:, :, i, j], one, atol=1e-4)
    block = np.arange(len(windows.first)) // 7
    added = summed(windows, known_postures(), block, int(block[-1]) + 1)
    weighted = all_at_once * windows.weight[:, None, None, None]
    np.testing.assert_allclose(added[1], weighted[7:14].sum(0), atol=1e-4)
    np.testing.assert_allclose(added.sum(0), weighted.sum(0), rtol=1e-3, atol=1e-3)


def test_the_prior_is_against_faults():
    table = -prior()
    at = GRID.index
    assert table[0, at(OK), at(OK)] == 0
    assert table[1, at(OK), at(OK)] == SWAP
    assert table[0, at(Turn(True, 180.0)), at(OK)] == HALF_TURN
    assert table[0, at(OK), at(Turn(False, 30.0))] == SLIGHT_TURN
    assert table[0, at(OK), at(Turn(True, 30.0))] == HALF_TURN + SLIGHT_TURN
    assert table[0, at(OK), at(Turn(False, 60.0))] == ODD_TURN
    assert table[1, at(BY_NAME["x"]), at(BY_NAME["y"])] == SWAP + 2 * HALF_TURN
    assert (table.ravel() > 0).sum() == table.size - 1


def test_the_path_is_the_best_of_all_paths():
    rng = np.random.default_rng(3)
    start = np.array([0, -3.0, -9.0])
    seen = set()
    for _ in range(20):
        evidence = rng.normal(0, 12, (5, 3))

        def worth(path, evidence=evidence):
            changes = sum(start[b] - CHANGE for a, b in pairwise(path) if a != b)
            return start[path[0]] + sum(evidence[i, s] for i, s in enumerate(path)) + changes

        best = max(product(range(3), repeat=5), key=worth)
        assert tuple(most_likely_path(evidence, start)) == best
        seen.add(len(set(best)))
    assert seen >= {1, 2}
