"""Windows see where down is and in which sense a body goes round, and leave out what tells nothing."""

from dataclasses import replace

import numpy as np
import pytest

from selfpab.data.placement_turns import Turn, planted
from selfpab.data.placement_windows import windows_of
from selfpab.recording import Mark, Recording, Segment

RATE = 50


def circling(seconds: float, phase: float, amplitude: float = 0.5) -> Recording:
    """Both sensors' x leads z by a phase, in radians."""
    t = np.arange(round(seconds * RATE)) / RATE
    g = np.random.default_rng(0).normal(0, 1e-3, (len(t), 6))
    g[:, [0, 3]] += -1 + amplitude * np.cos(2 * np.pi * t)[:, None]
    g[:, [2, 5]] += amplitude * np.cos(2 * np.pi * t - phase)[:, None]
    return Recording("P", None, float(RATE), g.astype(np.float32))


def test_down_and_rms_and_sense_of_a_circle():
    windows = windows_of(circling(10, np.pi / 2))
    assert windows.first.tolist() == [0, 250]
    np.testing.assert_allclose(windows.down[0, 0], [-1, 0, 0], atol=0.01)
    np.testing.assert_allclose(windows.rms_g, 0.5, rtol=0.01)  # a circle keeps its distance
    np.testing.assert_allclose(windows.sense[:, 0], [[0, 1, 0]] * 2, atol=0.02)
    np.testing.assert_allclose(windows_of(circling(10, -np.pi / 2)).sense[:, 1], [[0, -1, 0]] * 2, atol=0.02)
    np.testing.assert_allclose(windows_of(circling(10, 0)).sense, 0, atol=0.02)  # to and fro


@pytest.mark.parametrize("turn", [Turn(False, 180.0), Turn(True, 0.0), Turn(True, 180.0), Turn(False, 70.0)])
def test_down_and_sense_turn_with_the_sensor(somebody, turn):
    recording = somebody(("walk", 1))
    matrix = turn.matrix()
    half = {(False, 180.0): "x", (True, 0.0): "y", (True, 180.0): "z"}
    before, after = windows_of(recording), windows_of(planted(recording, {"thigh": half.get(turn, turn.angle_deg)}))
    np.testing.assert_allclose(after.down[:, 1], before.down[:, 1] @ matrix.T, atol=2e-3)
    np.testing.assert_allclose(after.sense[:, 1], before.sense[:, 1] @ matrix.T, atol=2e-3)
    np.testing.assert_array_equal(after.down[:, 0], before.down[:, 0])


def test_windows_lie_in_segments_and_survive_short_ones(somebody):
    recording = somebody(("walk", 1))
    segments = (Segment(0, 600, 0.0), Segment(600, 700, 20.0), Segment(700, 3000, 40.0))
    assert windows_of(replace(recording, segments=segments)).first.tolist()[:4] == [0, 250, 700, 950]
    assert len(windows_of(somebody(("sit", 0.05))).first) == 0


def test_long_bouts_count_as_one_plus_the_logarithm_of_their_minutes(somebody):
    assert windows_of(somebody(("sit", 1))).weight.sum() == pytest.approx(1, rel=1e-5)
    assert windows_of(somebody(("sit", 20))).weight.sum() == pytest.approx(1 + np.log(20), rel=0.02)
    many = somebody(*[("sit", 1), ("stand", 1)] * 10)
    assert windows_of(many).weight.sum() == pytest.approx(20, rel=0.01)


def test_a_table_a_mark_and_a_broken_channel_tell_nothing(somebody):
    recording = somebody(("walk", 3))
    marked = replace(recording, marks=(Mark(3000, 6000, "non-wear thigh"), Mark(0, 100, "clipping")))
    gone = windows_of(marked)
    np.testing.assert_array_equal(gone.weight == 0, (gone.first >= 3000) & (gone.first < 6000))
    broken = recording.samples.copy()
    broken[:4000, 4] = 17
    assert (windows_of(replace(recording, samples=broken)).weight == 0).sum() == 16
    table = np.random.default_rng(0).normal([0, 0, 1, 0, 0.6, -0.8], 0.003, (25 * 60 * RATE, 6))
    both = np.concatenate([recording.acceleration_g, table.astype(np.float32)])
    windows = windows_of(Recording("P", None, float(RATE), both))
    np.testing.assert_array_equal(windows.weight > 0, windows.first < len(recording))
    short = np.concatenate([recording.acceleration_g, table[: 10 * 60 * RATE].astype(np.float32)])
    assert (windows_of(Recording("P", None, float(RATE), short)).weight > 0).all()
