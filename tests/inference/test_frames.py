"""Frames to samples: the same numbers as the slow way over all samples."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpab.features.framing import frame_starts, samples_from_frames
from selfpab.inference.frames import FrameProbabilities
from selfpab.recording import Segment


def frames_over(lengths, classes=3, seed=0):
    """Random probabilities for the frames that prediction takes of segments so long."""
    edges = np.cumsum([0, *lengths])
    segments = [Segment(int(a), int(b), float(a)) for a, b in itertools.pairwise(edges)]
    starts, stops = frame_starts(segments, frame_samples=50, hop_samples=25, to_the_end=True)
    values = np.random.default_rng(seed).dirichlet(np.ones(classes), len(starts))
    return FrameProbabilities(values, starts, stops, 50), int(edges[-1])


@settings(max_examples=60)
@given(st.lists(st.integers(1, 180), min_size=1, max_size=8), st.integers(0, 99))
def test_any_samples_have_the_mean_of_the_frames_that_cover_them(lengths, seed):
    frames, samples = frames_over(lengths, seed=seed)
    whole = samples_from_frames(frames.values, frames.starts, frames.stops, samples, frame_samples=50)
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(frames.at(np.arange(samples)), whole)
    some = np.random.default_rng(seed).integers(0, samples, 20)
    np.testing.assert_array_equal(frames.at(some), whole[some])


@settings(max_examples=60)
@given(st.lists(st.integers(1, 180), min_size=1, max_size=8), st.data())
def test_nothing_changes_between_the_changes(lengths, data):
    frames, samples = frames_over(lengths)
    first = data.draw(st.integers(0, samples - 1))
    stop = data.draw(st.integers(first + 1, samples))
    changes = frames.changes(first, stop)
    assert all(first <= change < stop for change in changes)
    values = frames.at(np.arange(first, stop))
    for sample in range(first + 1, stop):
        if (values[sample - first] != values[sample - first - 1]).any():
            assert sample in changes


def test_three_frames_cover_the_end_of_a_segment():
    frames, samples = frames_over([110])
    np.testing.assert_array_equal(frames.starts, [0, 25, 50, 60])
    last = frames.at(np.array([74, 75, samples - 1]))
    np.testing.assert_allclose(last[0], frames.values[1:].mean(0))
    np.testing.assert_allclose(last[1], frames.values[2:].mean(0))


def test_a_sample_that_no_frame_covers_is_not_a_number():
    lonely = FrameProbabilities(np.array([[1.0]]), np.array([10]), np.array([200]), 50)
    assert np.isnan(lonely.at(np.array([9, 60]))).all()
    assert lonely.at(np.array([10, 59])).tolist() == [[1.0], [1.0]]


def test_ends_stay_in_their_segments():
    frames, _ = frames_over([30, 60])
    assert frames.ends(slice(None)).tolist() == [30, 80, 90]
    with pytest.raises(AttributeError):
        frames.values = None
