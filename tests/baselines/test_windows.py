"""Windows of raw samples: equal to the release's where gaps are ignored, never across a gap otherwise; nothing lost."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpab.baselines.windows import (
    prediction_windows,
    sample_values,
    training_windows,
    window_labels,
    window_pieces,
    window_samples,
)
from selfpab.recording import Recording, Segment

LENGTHS = (620, 40, 250, 251)  # left over: 120; too short; whole; one


def recording(lengths, *, counts=None, seed=0):
    edges = np.cumsum([0, *lengths]).tolist()
    segments = tuple(Segment(a, b, a / 50 + 9 * i) for i, (a, b) in enumerate(itertools.pairwise(edges)))
    samples = np.random.default_rng(seed).normal(0, 1, (edges[-1], 6)).astype(np.float32)
    if counts:
        samples = np.round(samples * counts).astype(np.int16)
    return Recording("p", None, 50.0, samples, segments=segments, counts_per_g=counts)


@pytest.fixture(scope="module")
def released(golden):
    return np.load(golden / "g4_windowing.npz")


@pytest.fixture(scope="module")
def gapped(released):
    """The golden signal with gaps, which the release does not see."""
    size = len(released["signal"])
    segments = (Segment(0, 333, 0.0), Segment(333, 340, 50.0), Segment(340, size, 99.0))
    return Recording("p", None, 50.0, released["signal"], segments=segments)


def test_the_release_on_a_signal(released, gapped):
    starts = training_windows(gapped, framing="release")
    assert starts.tolist() == [0, 250, 500, 750, 1000, 1250]
    values, indices = np.unique(released["labels"], return_inverse=True)  # lower value = lower index
    found = window_labels(indices, starts, classes=len(values))
    np.testing.assert_array_equal(values[found], released["window_labels"])
    assert found.dtype == np.int64


def test_the_release_has_one_more_window_at_the_end_for_prediction(released, gapped):
    starts = prediction_windows(gapped, framing="release")
    size = int(released["n_ground_truth"])
    assert starts.tolist() == [0, 250, 500, 750, 1000, 1250, size - 250]
    np.testing.assert_array_equal(window_samples(gapped, starts, framing="release")[-1], released["signal"][-250:])
    owners = sample_values(np.arange(7), starts, gapped, framing="release")
    np.testing.assert_array_equal(owners, np.append(np.repeat(np.arange(6), 250), [6] * (size - 1500)))


def test_windows_never_cross_a_gap():
    one = recording(LENGTHS)
    assert training_windows(one).tolist() == [0, 250, 660, 910]
    assert training_windows(one, step=100).tolist() == [0, 100, 200, 300, 660, 910]
    assert prediction_windows(one).tolist() == [0, 250, 370, 620, 660, 910, 911]


def test_each_sample_has_its_window():
    one = recording(LENGTHS)
    starts = prediction_windows(one)
    values = np.stack([np.arange(7), np.arange(7) / 8], axis=1)
    found = sample_values(values, starts, one)
    owners = [0] * 250 + [1] * 250 + [2] * 120 + [3] * 40 + [4] * 250 + [5] * 250 + [6]
    np.testing.assert_array_equal(found, values[owners])
    assert sample_values(np.arange(7), starts, one).dtype == np.int64


def test_samples_are_those_of_the_recording_and_the_last_is_repeated_in_a_short_segment():
    one = recording(LENGTHS, counts=2048)
    found = window_samples(one, prediction_windows(one))
    assert (found.shape, found.dtype) == ((7, 250, 6), np.float32)
    whole = one.acceleration_g
    np.testing.assert_array_equal(found[2], whole[370:620])
    np.testing.assert_array_equal(found[3, :40], whole[620:660])
    np.testing.assert_array_equal(found[3, 40:], np.repeat(whole[659:660], 210, axis=0))
    crossing = np.array([600])
    np.testing.assert_array_equal(window_samples(one, crossing, framing="release")[0], whole[600:850])
    np.testing.assert_array_equal(window_samples(one, crossing)[0, 20:], np.repeat(whole[619:620], 230, axis=0))


def test_pieces_read_no_more_than_their_windows(monkeypatch):
    one, read, real = recording((5000,)), [], Recording.piece
    monkeypatch.setattr(Recording, "piece", lambda self, a, b: (read.append(b - a), real(self, a, b))[1])
    starts = training_windows(one, step=70)
    pieces = list(window_pieces(one, starts, at_once=16))
    assert [len(piece) for piece in pieces] == [16, 16, 16, 16, 4]
    assert max(read) == 250
    np.testing.assert_array_equal(np.concatenate(pieces), window_samples(one, starts))


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    length=st.integers(1, 25),
    data=st.data(),
    framing=st.sampled_from(["runs", "release"]),
)
def test_every_sample_is_covered_by_a_window_that_holds_it(lengths, length, data, framing):
    one = recording(lengths)
    step = data.draw(st.integers(1, length))
    starts = prediction_windows(one, length=length, step=step, framing=framing)
    owner = sample_values(starts, starts, one, length=length, framing=framing)
    places = np.arange(len(one))
    assert len(owner) == len(one)
    assert ((owner <= places) & (places < owner + length)).all()
    segment = np.repeat(np.arange(len(lengths)), lengths)
    if framing == "runs":
        np.testing.assert_array_equal(segment[owner], segment)
    training = training_windows(one, length=length, step=step, framing=framing)
    assert set(training.tolist()) <= set(starts.tolist())
    assert all(start + length <= len(one) for start in training)
    if framing == "runs":
        assert (segment[training] == segment[training + length - 1]).all()


def test_labels_of_windows():
    indices = np.array([2] * 5 + [1] * 4 + [-1] * 6 + [0] * 5)
    starts = np.array([0, 1, 5, 6, 10])
    # 5:4, 4:4 with two unlabelled, 4 of 10 labelled, 3 and one, then 0 alone with half of the window
    assert window_labels(indices, starts, classes=3, length=10).tolist() == [2, 1, -1, -1, 0]


def test_of_an_empty_recording_there_are_no_windows():
    empty = replace(recording((1,)), samples=np.zeros((0, 6), np.float32), segments=())
    for framing in ("runs", "release"):
        starts = prediction_windows(empty, framing=framing)
        assert (starts.shape, starts.dtype) == ((0,), np.int64)
        assert training_windows(empty, framing=framing).shape == (0,)
        assert window_samples(empty, starts, framing=framing).shape == (0, 250, 6)
        assert sample_values(np.zeros((0, 3)), starts, empty, framing=framing).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: training_windows(one, step=0), "length and step of at least 1, got 250 and 0"),
        (lambda one: prediction_windows(one, length=5, step=6), "would lie between two windows, got 6, 5"),
        (lambda one: sample_values(np.zeros(4), training_windows(one), one), "4 windows hold 1000 of the 1161 samples"),
        (lambda one: window_samples(one, np.array([1161])), "there are 1161"),
        (lambda one: window_labels(np.zeros(300, np.int64), np.array([51]), classes=2), "ends at sample 301"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(recording(LENGTHS))
