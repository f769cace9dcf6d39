"""The table is what people show, and distances from it are those of the slow way."""

import json

import numpy as np
import pytest

from selfpab.data.datasets import open_dataset
from selfpab.data.placement_postures import (
    LEAST_SD,
    TABLE,
    distances,
    features,
    known_postures,
    learned,
    postures_of,
)
from selfpab.data.placement_turns import Turn
from selfpab.data.placement_windows import windows_of


def test_the_features_swap_with_the_columns(somebody):
    windows = windows_of(somebody(("walk", 1)))
    as_is, swapped = features(windows), features(windows, swapped=True)
    np.testing.assert_array_equal(as_is[:, 0, :6], swapped[:, 1, :6])
    np.testing.assert_allclose(as_is[:, 0, 6], np.log(windows.rms_g[:, 0]), rtol=1e-6)
    np.testing.assert_allclose(as_is[:, 1, 6], np.log(windows.rms_g[:, 1] / windows.rms_g[:, 0]), rtol=1e-5)
    np.testing.assert_allclose(swapped[:, 1, 6], -as_is[:, 1, 6])


def test_a_table_holds_means_and_spreads_of_people_and_time(somebody):
    people = [somebody(seed=seed) for seed in (1, 2)]
    tilted = people[1].samples.copy()
    tilted[:, 2] += 4096  # leans by a lot
    people[1] = type(people[1])("P2", None, 50.0, tilted, people[1].labels, counts_per_g=4096)
    table = learned(people)
    assert set(table["moving"]) == {"walking"}
    assert set(table["still"]) == {"standing", "sitting", "supine"}
    walking = [values for p in people for values in [features(windows_of(p))[windows_of(p).moves]]]
    means = np.array([values[12:].mean(0) for values in walking])
    mean, sd = np.array(table["moving"]["walking"])
    np.testing.assert_allclose(mean[0, 2], means[:, 0, 2].mean(), atol=0.02)
    assert sd[0, 2] > 0.4  # two people far apart
    np.testing.assert_array_equal(sd[1], LEAST_SD[1])  # two alike
    json.dumps(table)


def test_unlabelled_recordings_teach_nothing(somebody):
    recording = somebody()
    bare = type(recording)("P", None, 50.0, recording.samples, counts_per_g=4096)
    with pytest.raises(AssertionError, match="P has no labels to learn from"):
        learned([bare])


def test_distances_are_those_of_the_slow_way():
    rng = np.random.default_rng(0)
    values, mean, sd = rng.normal(size=(5, 7)), rng.normal(size=(3, 7)), rng.uniform(0.5, 2, (3, 7))
    turns = (Turn(), Turn(True, 60.0))
    fast = distances(values.astype(np.float32), mean, sd, turns)
    for i, value in enumerate(values):
        for j, turn in enumerate(turns):
            back = turn.matrix().T
            true = np.concatenate([back @ value[:3], back @ value[3:6], value[6:]])
            np.testing.assert_allclose(fast[i, j], (((true - mean) / sd) ** 2).sum(1), rtol=1e-5)


def test_the_known_table_has_rolled_bodies_and_upright_ones():
    known = known_postures()
    assert known.moving_mean.shape == known.moving_sd.shape == (len(known.moving), 2, 7)
    assert "walking" in known.moving
    assert "supine" not in known.still
    rolled = dict(zip(known.still, known.still_mean[:, :, :3], strict=True))
    np.testing.assert_allclose(rolled["lying, rolled by 180"][:, 2], [-0.95, 1], atol=1e-6)  # on the belly
    side = rolled["lying, rolled by 90"]
    assert side[0, 1] * side[1, 1] < -0.9  # left of the back is right of the thigh


@pytest.mark.shared
def test_the_known_table_is_learned_from_harth(shared):
    """S009 is left out, for its back's sensor is turned."""
    people = [r for r in open_dataset(shared / "data" / "harth").recordings() if r.subject != "S009"]
    table = json.loads(TABLE.read_text())
    again = learned(people)
    assert {kind: list(rows) for kind, rows in again.items()} == {kind: list(rows) for kind, rows in table.items()}
    for kind, rows in again.items():
        for name, row in rows.items():
            np.testing.assert_allclose(row, table[kind][name], atol=0.002)
    np.testing.assert_allclose(postures_of(again).still_mean, known_postures().still_mean, atol=0.002)
