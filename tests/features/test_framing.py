"""Frames, windows, and back to samples (DESIGN 5a)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfpab.features.framing import frame_labels, frame_samples_of, frame_starts, samples_from_frames, window_places
from selfpab.recording import Segment

SIZES = {"frame_samples": 50, "hop_samples": 25}


def segments(lengths: list[int]) -> list[Segment]:
    ends = np.cumsum(lengths).tolist()
    return [Segment(end - n, end, end + 40.0 * i) for i, (n, end) in enumerate(zip(lengths, ends, strict=True))]


@given(st.lists(st.integers(1, 260), min_size=1, max_size=5))
def test_for_prediction_every_sample_is_covered_and_no_frame_crosses_a_gap(lengths):
    run = segments(lengths)
    starts, stops = frame_starts(run, **SIZES, to_the_end=True)
    rows = frame_samples_of(starts, stops, frame_samples=50)
    assert set(rows.ravel().tolist()) == set(range(sum(lengths)))
    for segment in run:
        inside = (starts >= segment.first) & (starts < segment.stop)
        assert ((rows[inside] >= segment.first) & (rows[inside] < segment.stop)).all()


@given(st.lists(st.integers(1, 260), min_size=1, max_size=5))
def test_in_training_frames_lie_wholly_inside(lengths):
    starts, stops = frame_starts(segments(lengths), **SIZES)
    assert len(starts) == sum(max(0, (n - 50) // 25 + 1) for n in lengths)
    assert (starts + 50 <= stops).all()


def test_a_segment_shorter_than_a_second_repeats_its_last_sample():
    starts, stops = frame_starts([Segment(100, 130, 0.0)], **SIZES, to_the_end=True)
    rows = frame_samples_of(starts, stops, frame_samples=50)
    assert rows[0, :30].tolist() == list(range(100, 130))
    assert (rows[0, 30:] == 129).all()


@given(st.integers(0, 3000), st.integers(1, 599))
def test_windows_cover_all_frames_in_order(frames, step):
    places = window_places(frames, length=599, step=step)
    covered = np.zeros(frames, int)
    for first, stop in places:
        assert stop - first == min(599, frames)
        covered[first:stop] += 1
    assert (covered > 0).all()


def test_frame_labels_are_majorities_and_ties_go_to_the_lower_index():
    labels = np.array([2] * 24 + [0] * 26 + [1] * 25 + [0] * 25)
    assert frame_labels(labels, np.array([0, 50]), classes=3, frame_samples=50).tolist() == [0, 0]


@pytest.mark.parametrize(("unlabelled", "expected"), [(25, 1), (26, -1)])
def test_more_than_half_unlabelled_is_no_label(unlabelled, expected):
    labels = np.array([-1] * unlabelled + [1] * (50 - unlabelled))
    assert frame_labels(labels, np.array([0]), classes=2, frame_samples=50).tolist() == [expected]


def test_samples_are_the_mean_of_the_frames_that_cover_them():
    starts, stops = frame_starts([Segment(0, 110, 0.0)], **SIZES, to_the_end=True)
    values = np.array([[0.0], [1.0], [2.0], [7.0]])  # frames at 0, 25, 50 and 60
    samples = samples_from_frames(values, starts, stops, 110, frame_samples=50)[:, 0]
    slow = [np.mean([v for v, s in zip(values[:, 0], starts, strict=True) if s <= i < s + 50]) for i in range(110)]
    np.testing.assert_allclose(samples, slow)


def test_a_sample_without_a_frame_is_nan():
    samples = samples_from_frames(np.ones((1, 2)), np.array([0]), np.array([50]), 60, frame_samples=50)
    assert np.isnan(samples[50:]).all()
    assert (samples[:50] == 1).all()
