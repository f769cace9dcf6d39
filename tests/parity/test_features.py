"""Features, windows and their labels against the authors' run (goldens g4)."""

import numpy as np
import pytest

from selfpab.baselines.windows import prediction_windows, training_windows, window_labels, window_samples
from selfpab.features.handcrafted import AXES, FEATURES, window_features
from selfpab.recording import Recording


@pytest.fixture(scope="module")
def theirs(golden):
    with np.load(golden / "g4_features.npz") as data:
        return dict(data)


def relative(ours, theirs):
    """To the value, or to 1 where it is smaller: their filter is exact to 1e-11 of the signal, however small a value is."""
    return np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1.0)


def test_names(theirs):
    assert theirs["names"].tolist() == list(FEATURES)


def test_ordinary_windows(theirs):
    real = int(theirs["n_real_windows"])
    assert real == 12
    assert relative(window_features(theirs["windows"]), theirs["features"])[:real].max() < 1e-9


def test_edge_cases(theirs):
    """All zeros; constant axes; one axis that moves. Where nothing moves, theirs is rounding, and ours 0 (or -3)."""
    zeros, constant, one_axis = window_features(theirs["windows"])[12:]
    np.testing.assert_array_equal(zeros, theirs["features"][12])
    assert relative(one_axis, theirs["features"][14]).max() < 1e-9
    shape = [
        FEATURES.index(f"{name}_{axis}") for name in ("skew", "kurtosis", "freq_cent", "freq_dom") for axis in AXES
    ]
    others = np.setdiff1d(np.arange(161), shape)
    assert relative(constant, theirs["features"][13])[others].max() < 1e-8
    assert relative(constant, theirs["features"][13])[shape].max() > 0.1
    np.testing.assert_array_equal(constant[shape], [0.0] * 8 + [-3.0] * 8 + [0.0] * 16)


def test_windows_and_tail_of_a_recording(golden):
    with np.load(golden / "g4_windowing.npz") as data:
        theirs = dict(data)
    recording = Recording("A", None, 50.0, theirs["signal"])
    starts = training_windows(recording, framing="release")
    features = window_features(window_samples(recording, starts, framing="release"))
    assert relative(features, theirs["features"]).max() < 2e-7  # they compute the norms of float32 samples in float32
    double = window_features(np.array([theirs["signal"][s : s + 250] for s in starts]).astype(np.float64))
    np.testing.assert_array_equal(double, features)
    codes = np.unique(theirs["labels"])  # in the order of their values, as the release decides ties
    labels = window_labels(np.searchsorted(codes, theirs["labels"]), starts, classes=len(codes))
    np.testing.assert_array_equal(codes[labels], theirs["window_labels"])
    last = prediction_windows(recording, framing="release")[-1:]
    tail = window_features(window_samples(recording, last, framing="release"))
    assert relative(tail, theirs["last_features"]).max() < 2e-7
