"""The lean of a back sensor is found from quiet standing, without labels, and as much of it taken away as is asked for."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpab import simulate
from selfpab.data.datasets import open_dataset
from selfpab.data.simulation import NO_FAULTS
from selfpab.features.uprightness import STANDING_BACK, Turns, upright_turns
from selfpab.recording import NON_WEAR, NON_WEAR_OF, Mark, Recording


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


NOT_TURNED = Turns(np.zeros(1, np.int64), np.eye(3, dtype=np.float32)[None])


def standing(recording, turns):
    """Direction of gravity at the back over labelled standing, turned: the median over seconds."""
    first = np.flatnonzero(recording.labels == 6)
    frames = recording.acceleration_g[first[: len(first) // 50 * 50]].reshape(-1, 50, 6)
    back = np.median(turns.applied(frames, first[: len(frames) * 50 : 50])[..., :3].mean(axis=1), axis=0)
    return back / np.linalg.norm(back)


def angle(a, b):
    return float(np.rad2deg(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


@pytest.mark.parametrize("degrees", [-20, 0, 25])
def test_whoever_leans_stands_upright_afterwards(person, degrees):
    there = leaned(person, degrees)
    assert angle(standing(there, upright_turns(there, 1.0)), STANDING_BACK) < 2
    if degrees:
        assert angle(standing(there, NOT_TURNED), standing(person, NOT_TURNED)) == pytest.approx(abs(degrees), abs=0.5)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_as_much_of_the_lean_is_taken_away_as_is_asked_for(person, share):
    there = leaned(person, -20)
    before = angle(standing(there, NOT_TURNED), STANDING_BACK)
    after = standing(there, upright_turns(there, share))
    assert angle(after, STANDING_BACK) == pytest.approx((1 - share) * before, abs=2)
    assert angle(after, standing(there, NOT_TURNED)) == pytest.approx(share * before, abs=2)
    assert before > 15


def test_only_the_back_is_turned_and_no_length_changes(person):
    turns = upright_turns(leaned(person, 25), 0.5)
    frames = person.acceleration_g[:5000].reshape(-1, 50, 6)
    turned = turns.applied(frames, np.arange(0, 5000, 50))
    assert (turned[..., 3:] == frames[..., 3:]).all()
    assert np.abs(turned[..., :3] - frames[..., :3]).max() > 0.1
    lengths = [np.linalg.norm(values[..., :3], axis=-1) for values in (turned, frames)]
    np.testing.assert_allclose(*lengths, atol=1e-5)


def test_a_sensor_put_on_anew_gets_a_turn_of_its_own(person):
    half = len(person) // 2
    again = leaned(person, 30, first=half).with_marks([Mark(half - 100, half, NON_WEAR)])
    turns = upright_turns(again, 1.0)
    assert turns.firsts.tolist() == [0, half]
    assert angle(turns.matrices[0] @ [1, 0, 0], turns.matrices[1] @ [1, 0, 0]) == pytest.approx(
        30, abs=8
    )  # and stands otherwise in the second half
    assert (turns.of(np.array([0, half - 1, half, len(person) - 1])) == turns.matrices[[0, 0, 1, 1]]).all()


def test_a_day_without_standing_takes_the_turn_of_the_others(person):
    day = 24 * 3600 * 50
    still = np.tile(np.float32([-1, 0, 0, 0, 0, -1]), (day - len(person) + 50_000, 1))
    whole = Recording("P", None, 50.0, np.concatenate([leaned(person, 20).samples, still]))
    turns = upright_turns(whole, 1.0)
    assert turns.firsts.tolist() == [0, day]
    assert (turns.matrices[0] == turns.matrices[1]).all()


def test_without_standing_nothing_is_turned():
    chance = np.random.default_rng(1)
    lying = np.float32([0, 0, 1, 0, 0, -1]) + chance.normal(scale=0.003, size=(20_000, 6)).astype(np.float32)
    assert (upright_turns(Recording("P", None, 50.0, lying), 1.0).matrices == np.eye(3)).all()
    walking = np.float32([-0.9, 0, 0.4, -1, 0, 0]) + chance.normal(scale=0.3, size=(20_000, 6)).astype(np.float32)
    assert (upright_turns(Recording("P", None, 50.0, walking), 1.0).matrices == np.eye(3)).all()
    empty = Recording("P", None, 50.0, np.empty((0, 6), np.float32))
    assert upright_turns(empty, 1.0).matrices.shape == (1, 3, 3)


@pytest.mark.parametrize("kind", [NON_WEAR, *NON_WEAR_OF.values()])
def test_sensors_that_hang_on_a_hook_do_not_stand(kind):
    """Upright and quiet for hours, as nobody is."""
    hanging = np.tile(np.float32([-0.9, 0, 0.44, -1, 0, 0]), (50 * 3600, 1))
    worn = np.tile(np.float32([-0.99, 0, -0.15, -1, 0, 0]), (50 * 600, 1))
    both = Recording("P", None, 50.0, np.concatenate([worn, hanging]))
    lean = upright_turns(both, 1.0).matrices[0] @ [-1, 0, 0]
    marked = both.with_marks([Mark(len(worn), len(both), kind)])
    assert angle(upright_turns(marked, 1.0).matrices[0] @ [-1, 0, 0], [-1, 0, 0]) < 1
    assert angle(lean, [-1, 0, 0]) > 20


@pytest.mark.shared
def test_of_real_people_the_direction_of_labelled_standing_is_found(shared):
    data = open_dataset(shared / "data" / "har70plus")
    for name in ("506", "514"):  # one leans backwards, one far forwards
        recording = data.load(name)
        assert (recording.labels == 6).sum() > 5_000
        assert angle(standing(recording, upright_turns(recording, 1.0)), STANDING_BACK) < 2
        before = angle(standing(recording, NOT_TURNED), STANDING_BACK)
        half = angle(standing(recording, upright_turns(recording, 0.5)), STANDING_BACK)
        assert half == pytest.approx(before / 2, abs=1)
        assert before > 15
