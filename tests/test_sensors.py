"""Which sensor says something, by the marks of a recording."""

from itertools import pairwise

import numpy as np
import pytest

from selfpab.recording import Mark, Recording, Segment
from selfpab.sensors import check_both, segments_told_by, told_by, without

KINDS = ("sensor dropout", "sensor dropout back", "sensor dropout thigh", "non-wear", "non-wear back", "non-wear thigh")


def recording(*marks, samples=200, segments=()):
    values = np.random.default_rng(0).normal(size=(samples, 6)).astype(np.float32)
    return Recording("P1", None, 50.0, values, segments=segments, marks=tuple(Mark(*mark) for mark in marks))


def slow(given, sample):
    """The rule for one sample, in words of the module."""
    kinds = {mark.kind for mark in given.marks if mark.first <= sample < mark.stop}
    measures = [s for s in ("back", "thigh") if "sensor dropout" not in kinds and f"sensor dropout {s}" not in kinds]
    worn = [s for s in measures if f"non-wear {s}" not in kinds and "non-wear" not in kinds]
    return tuple(worn or measures)


@pytest.mark.parametrize("seed", range(30))
def test_every_sample_is_told_by_what_its_marks_say(seed):
    chance = np.random.default_rng(seed)
    marks = [(*sorted(chance.integers(0, 201, 2).tolist()), str(chance.choice(KINDS))) for _ in range(seed % 7)]
    given = recording(*marks)
    found = told_by(given)
    assert [told.first for told in found] == [0, *(told.stop for told in found[:-1])]
    assert found[-1].stop == 200
    for told in found:
        assert {slow(given, sample) for sample in range(told.first, told.stop)} == {told.sensors}
    for one, other in pairwise(found):
        assert one.sensors != other.sensors


@pytest.mark.parametrize("seed", range(30))
def test_the_parts_of_segments_hold_every_sample_once_and_keep_their_times(seed):
    chance = np.random.default_rng(seed)
    marks = [(*sorted(chance.integers(0, 201, 2).tolist()), str(chance.choice(KINDS))) for _ in range(5)]
    segments = (Segment(0, 33, 0.0), Segment(33, 150, 9.0), Segment(150, 151, 40.0, 1), Segment(151, 200, 41.0, 1))
    given = recording(*marks, segments=segments)
    times = given.sample_times_s()
    held = np.zeros(200, int)
    for sensor in (None, "back", "thigh"):
        for part in segments_told_by(given, sensor):
            assert part.start_s == pytest.approx(times[part.first])
            assert part.part == (part.first >= 150)
            assert any(one.first <= part.first and part.stop <= one.stop for one in segments)
            for sample in range(part.first, part.stop):
                said = slow(given, sample)
                assert said == (sensor,) if sensor else len(said) != 1
            held[part.first : part.stop] += 1
    assert (held == 1).all()


def test_of_an_empty_recording_nothing_is_told():
    empty = recording(samples=0)
    assert told_by(empty) == []
    assert segments_told_by(empty, None) == ()


def test_a_recording_without_a_sensor_keeps_what_else_is_known():
    given = recording((3, 9, "clipping"))
    alone = without(given, "thigh")
    assert (alone.samples[:, 3:] == 0).all()
    assert np.array_equal(alone.samples[:, :3], given.samples[:, :3])
    assert given.samples[:, 3:].any()
    assert sorted(mark.kind for mark in alone.marks) == ["clipping", "sensor dropout thigh"]
    assert [tuple(told) for told in told_by(alone)] == [(0, 200, ("back",))]
    with pytest.raises(ValueError, match="wanted one of the sensors back and thigh, got 'wrist'"):
        without(given, "wrist")


def test_who_needs_both_says_so():
    check_both(recording((0, 200, "non-wear thigh")), "this model")  # flagged, as ever
    check_both(recording((0, 199, "sensor dropout thigh")), "this model")
    check_both(recording(samples=0), "this model")  # of which others say that it is empty
    with pytest.raises(
        ValueError, match="P1: the thigh sensor measured nothing; this model needs both sensors: take a"
    ):
        check_both(without(recording(), "thigh"), "this model")
