"""The lean of a back sensor is found from walking, without labels, and taken away."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpab import simulate
from selfpab.activities import HARTH
from selfpab.data.datasets import open_dataset
from selfpab.data.simulation import NO_FAULTS
from selfpab.features.uprightness import WALKING_BACK, Turns, upright_turns
from selfpab.recording import NON_WEAR, Mark, Recording


@pytest.fixture(scope="module")
def person():
    (found,) = simulate(1, 0.25, seed=4, scenario="protocol", faults=NO_FAULTS)
    return found


def leaned(recording, degrees, first=0):
    """The same with the back sensor leaning forward by so much, from the sample `first` on."""
    samples = recording.acceleration_g.copy()
    turn = Rotation.from_euler("y", degrees, degrees=True).as_matrix().astype(np.float32)
    samples[first:, :3] = samples[first:, :3] @ turn.T
    return dataclasses.replace(recording, samples=samples, counts_per_g=None)


def walking(recording, turns):
    """Direction of gravity at the back over labelled walking, turned."""
    first = np.flatnonzero(recording.labels == 1)
    frames = recording.acceleration_g[first[: len(first) // 50 * 50]].reshape(-1, 50, 6)
    back = turns.applied(frames, first[: len(frames) * 50 : 50])[..., :3].mean(axis=(0, 1))
    return back / np.linalg.norm(back)


def angle(a, b):
    return float(np.rad2deg(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


@pytest.mark.parametrize("degrees", [-20, 0, 25])
def test_whoever_leans_walks_upright_afterwards(person, degrees):
    there = leaned(person, degrees)
    # not nought: who runs and climbs stairs moves upright as well, and leans a little otherwise
    assert angle(walking(there, upright_turns(there)), WALKING_BACK) < 5
    if degrees:
        still = Turns(np.zeros(1, np.int64), np.eye(3, dtype=np.float32)[None])
        assert angle(walking(there, still), walking(person, still)) == pytest.approx(abs(degrees), abs=0.5)


def test_only_the_back_is_turned_and_no_length_changes(person):
    turns = upright_turns(leaned(person, 25))
    frames = person.acceleration_g[:5000].reshape(-1, 50, 6)
    turned = turns.applied(frames, np.arange(0, 5000, 50))
    assert (turned[..., 3:] == frames[..., 3:]).all()
    assert np.abs(turned[..., :3] - frames[..., :3]).max() > 0.1
    lengths = [np.linalg.norm(values[..., :3], axis=-1) for values in (turned, frames)]
    np.testing.assert_allclose(*lengths, atol=1e-5)


def test_a_sensor_put_on_anew_gets_a_turn_of_its_own(person):
    half = len(person) // 2
    again = leaned(person, 30, first=half).with_marks([Mark(half - 100, half, NON_WEAR)])
    turns = upright_turns(again)
    assert turns.firsts.tolist() == [0, half]
    assert angle(turns.matrices[0] @ [1, 0, 0], turns.matrices[1] @ [1, 0, 0]) == pytest.approx(30, abs=4)
    assert (turns.of(np.array([0, half - 1, half, len(person) - 1])) == turns.matrices[[0, 0, 1, 1]]).all()


def test_a_day_without_walking_takes_the_turn_of_the_others(person):
    day = 24 * 3600 * 50
    still = np.tile(np.float32([-1, 0, 0, 0, 0, -1]), (day - len(person) + 50_000, 1))
    whole = Recording("P", None, 50.0, np.concatenate([leaned(person, 20).samples, still]))
    turns = upright_turns(whole)
    assert turns.firsts.tolist() == [0, day]
    assert (turns.matrices[0] == turns.matrices[1]).all()


def test_without_walking_nothing_is_turned():
    chance = np.random.default_rng(1)
    lying = np.float32([0, 0, 1, 0, 0, -1]) + chance.normal(scale=0.3, size=(20_000, 6)).astype(np.float32)
    assert (upright_turns(Recording("P", None, 50.0, lying)).matrices == np.eye(3)).all()
    empty = Recording("P", None, 50.0, np.empty((0, 6), np.float32))
    assert upright_turns(empty).matrices.shape == (1, 3, 3)


@pytest.mark.shared
def test_of_real_people_the_direction_of_labelled_walking_is_found(shared):
    data = open_dataset(shared / "data" / "har70plus")
    for name in ("509", "514"):  # one leans backwards, one far forwards
        recording = data.load(name)
        codes = recording.labels == HARTH.codes[0]
        assert codes.sum() > 10_000
        assert angle(walking(recording, upright_turns(recording)), WALKING_BACK) < 2
