"""What is said of a stretch, and where it begins."""

from dataclasses import replace

import numpy as np
import pytest

from selfpab.data import placement_stretches
from selfpab.data.placement_postures import known_postures
from selfpab.data.placement_stretches import OVERWHELMING, stretches_of
from selfpab.data.placement_turns import BY_NAME, angle_between, planted

AXES = ("x", "y", "z")


def told(recording, repair=True):
    return stretches_of(recording, known_postures(), repair=repair)


def only(recording):
    (stretch,) = told(recording)
    assert (stretch.first, stretch.stop) == (0, len(recording))
    return stretch


def test_nothing_is_found_where_nothing_is_wrong(somebody):
    for seed in range(5):
        stretch = only(somebody(seed=seed))
        assert stretch.fine
        assert not stretch.repaired
        assert (stretch.back.told, stretch.thigh.told) == ("as it should be", "as it should be")
        assert stretch.unusual < 0.1


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("back", "thigh"), [("x", ""), ("y", ""), ("z", ""), ("", "x"), ("", "y"), ("", "z"), ("x", "z")]
)
def test_half_turns_and_swaps_are_told(somebody, back, thigh, swapped):
    turns = {name: axis for name, axis in (("back", back), ("thigh", thigh)) if axis}
    stretch = only(planted(somebody(), turns, swapped=swapped))
    assert stretch.swapped is swapped
    assert (stretch.back.turn, stretch.thigh.turn) == (BY_NAME[back], BY_NAME[thigh])
    assert stretch.repaired
    assert stretch.unusual > 1
    assert stretch.unusual_after < 0.1
    assert not told(planted(somebody(), turns, swapped=swapped), repair=False)[0].repaired


@pytest.mark.parametrize("angle", [90, 105, -105])
def test_other_angles_are_told_to_within_some_degrees(somebody, angle):
    stretch = only(planted(somebody(), {"thigh": float(angle)}))
    assert stretch.back.told == "as it should be"
    assert stretch.thigh.told == "turned"
    assert not stretch.thigh.turn.upside_down
    assert angle_between(stretch.thigh.turn, stretch.thigh.turn._replace(angle_deg=float(angle))) <= 10


def test_slight_turns_are_people(somebody):
    for angle in (-30.0, 30.0):
        assert only(planted(somebody(), {"thigh": angle})).fine


def test_a_change_is_told_to_within_ten_seconds(somebody):
    recording = somebody(*[("walk", 3), ("stand", 1), ("sit", 3)] * 4)
    for minute in (9.0, 17.5):
        true = round(minute * 3000)
        before, after = told(planted(recording, {"back": "y"}, from_sample=true))
        assert before.fine
        assert after.back.turn == BY_NAME["y"]
        assert before.stop == after.first
        assert abs(after.first - true) <= 500
        assert after.begins[0] - 250 <= true <= after.begins[1] + 250


def test_a_turn_and_a_turn_back_are_three_stretches(somebody):
    recording = somebody(*[("walk", 3), ("stand", 1), ("sit", 3)] * 6)
    once = planted(recording, {"thigh": "x"}, from_sample=40_000)
    found = told(planted(once, {"thigh": "x"}, from_sample=80_000))
    assert [stretch.thigh.turn.name for stretch in found] == ["", "x", ""]
    np.testing.assert_allclose([stretch.first for stretch in found], [0, 40_000, 80_000], atol=500)


def test_of_one_minute_nothing_is_said_that_is_wrong(somebody):
    recording = somebody(("stand", 0.5), ("walk", 0.5))
    assert only(recording).back.told in ("as it should be", "too little evidence")
    turned = only(planted(recording, {"thigh": "x"}))
    assert turned.fine
    assert turned.thigh.told == "too little evidence"
    walking = only(planted(somebody(("walk", 3)), {"thigh": "x"}))
    assert walking.fine
    assert 0 < walking.thigh.log_odds < OVERWHELMING


def test_standing_tells_up_from_down_and_not_front_from_back(somebody):
    people = [somebody(*[("stand", 1), ("sit", 1)] * 10)]
    upright = people[0].samples.copy()
    upright[:, 3:] = 0
    upright[:, 3] = -4096 + np.random.default_rng(0).integers(-60, 60, len(upright))
    upright[:, 4:] = np.random.default_rng(1).integers(-60, 60, (len(upright), 2))
    stretch = only(planted(replace(people[0], samples=upright), {"thigh": "y"}))
    assert stretch.thigh.told == "turned, but not told how"
    assert {turn.name for turn in stretch.thigh.others} >= {"y", "z"}
    assert not stretch.fine
    assert not stretch.repaired


def test_what_no_body_does_is_not_repaired(somebody):
    """Both sensors turned by an angle about y, as none of the hypotheses has it."""
    recording = somebody()
    c, s = np.cos(1.0), np.sin(1.0)
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    samples = recording.samples.astype(float)
    for at in (0, 3):
        samples[:, at : at + 3] = samples[:, at : at + 3] @ about_y.T
    odd = np.rint(samples).astype(np.int16)
    found = told(replace(recording, samples=odd))
    assert all(not stretch.repaired for stretch in found)
    assert any(stretch.back.told == "unlike anything known" for stretch in found)


def test_movements_that_contradict_postures_are_not_repaired(somebody, monkeypatch):
    """Gait says that the thigh is turned, sitting that it is not."""
    recording = somebody(*[("walk", 3), ("sit", 1)] * 6)
    samples = recording.samples.copy()
    walking = recording.labels == 1
    samples[np.ix_(walking, [4, 5])] *= -1
    (stretch,) = told(replace(recording, samples=samples))[:1]
    assert all(not one.repaired for one in told(replace(recording, samples=samples)))
    assert stretch.thigh.told == "unlike anything known"
    monkeypatch.setattr(placement_stretches, "STRANGE", np.inf)  # not only because nothing fits
    assert told(replace(recording, samples=samples))[0].thigh.told == "unlike anything known"


def test_without_a_window_nothing_is_said(somebody):
    stretch = only(somebody(("walk", 0.05)))
    assert (stretch.back.told, stretch.evidence_min) == ("too little evidence", 0)
