"""Windows known by where they begin: the same as those known by all of their samples."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpab.downstream import cuts, release, spans
from selfpab.features.framing import frame_starts
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.recording import Recording, Segment


def runs_of(lengths):
    """Runs of one segment of so many samples each, with the frames that prediction takes."""
    edges = np.cumsum([0, *lengths])
    segments = [[Segment(int(a), int(b), float(a))] for a, b in itertools.pairwise(edges)]
    return [frame_starts(run, frame_samples=50, hop_samples=25, to_the_end=True) for run in segments]


def check_same(found, wanted):
    assert len(found) == len(wanted.starts)
    np.testing.assert_array_equal(found[:].starts, wanted.starts)
    np.testing.assert_array_equal(found[:].stops, wanted.stops)
    np.testing.assert_array_equal(found[1:3].starts, wanted.starts[1:3])
    real = wanted.starts >= 0
    np.testing.assert_array_equal(found.counts, real.sum(1))
    if len(wanted.starts):
        np.testing.assert_array_equal(found.frame_starts[found.firsts], wanted.starts[:, 0])
        np.testing.assert_array_equal(found.frame_starts, np.unique(wanted.starts[real]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 700), max_size=5), st.integers(1, 9), st.data())
def test_side_by_side(lengths, length, data):
    runs, step = runs_of(lengths), data.draw(st.integers(1, length))
    wanted = cuts.side_by_side(runs, length=length, step=step)
    check_same(spans.side_by_side(runs, length=length, step=step), wanted)


def one_by_one(padded, shape, step):
    """BEHAVIOUR (e): a window at every `step` frames to the last; a shorter recording is one, of its own length."""
    frames, length = (len(padded) - 50) // 25 + 1, shape.window_frames
    places = np.arange(0, frames, step)[:, None] + np.arange(length) if frames >= length else np.arange(frames)[None]
    starts = np.where(places < frames, places * 25, -1)
    return cuts.Cuts(starts, np.where(starts >= 0, len(padded), -1))


@pytest.mark.parametrize(("samples", "length", "step"), [(1310, 21, 3), (525, 21, 2), (400, 21, 3), (1000, 5, 5)])
def test_to_the_last_frame_they_are_those_of_the_release(samples, length, step):
    shape = SpectrogramConfig(window_frames=length)
    padded = release.padded(Recording("p", None, 50.0, np.zeros((samples, 6), np.float32)), shape)
    found = spans.to_the_last_frame(spans.every_frame(padded, shape), length=length, step=step)
    wanted = one_by_one(padded, shape, step)
    check_same(release.prediction_windows(padded, shape, step=step), wanted)
    check_same(found, wanted)
