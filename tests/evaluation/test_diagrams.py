"""Calibration errors, log-likelihood and Brier score, against plain loops and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from selfpab.evaluation.calibration import BINS, calibration_sums, nothing_counted
from selfpab.evaluation.diagrams import expected_calibration_error, reliability, reliability_diagram


@pytest.fixture
def case():
    rng = np.random.default_rng(5)
    probabilities = rng.dirichlet([0.5, 0.5, 0.5], 800)
    return rng.integers(0, 3, 800), probabilities


def loop(confidence, hit):
    error = 0.0
    for b in range(BINS):
        inside = [i for i, c in enumerate(confidence) if b / BINS <= c < (b + 1) / BINS or (b == BINS - 1 and c == 1)]
        if inside:
            error += len(inside) / len(hit) * abs(np.mean(confidence[inside]) - np.mean(hit[inside]))
    return error


def test_plain_loops_agree(case):
    truth, p = case
    found = reliability(truth, p)
    best = p.argmax(axis=1)
    assert found.ece == pytest.approx(loop(p.max(axis=1), best == truth))
    assert found.classwise_ece == pytest.approx(np.mean([loop(p[:, k], truth == k) for k in range(3)]))
    assert (found.rows, found.accuracy) == (800, pytest.approx((best == truth).mean()))


def test_scikit_learn_agrees(case):
    truth, p = case
    found = reliability(truth, p)
    assert found.nll == pytest.approx(log_loss(truth, p, labels=[0, 1, 2]))
    assert found.brier == pytest.approx(sum(brier_score_loss(truth == k, p[:, k]) for k in range(3)))


def test_confidence_is_that_of_what_was_named():
    p = np.array([[0.9, 0.1], [0.9, 0.1]])
    assert reliability(np.array([0, 0]), p).ece == pytest.approx(0.1)
    assert reliability(np.array([0, 0]), p, np.array([1, 1])).ece == pytest.approx(0.1)
    assert reliability(np.array([1, 1]), p, np.array([1, 1])).ece == pytest.approx(0.9)


def test_true_probabilities_are_reliable():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], 40_000)
    truth = (p.cumsum(axis=1) < rng.random((40_000, 1))).sum(axis=1)
    assert reliability(truth, p).ece < 0.01
    assert reliability(truth, p**3 / (p**3).sum(axis=1, keepdims=True)).ece > 0.1


def test_the_diagram_leaves_empty_bins_out():
    sums = calibration_sums(np.array([0, 1]), np.array([0, 0]), np.array([[0.9, 0.1], [0.92, 0.08]]))
    (row,) = reliability_diagram(sums)
    assert row == {"low": 13 / 15, "high": 14 / 15, "n": 2, "confidence": pytest.approx(0.91), "correct": 0.5}


def test_nothing_counted_has_no_error():
    assert np.isnan(expected_calibration_error(nothing_counted()))


@pytest.mark.parametrize("truth", [np.array([0, -1]), np.array([0]), np.zeros(0, int)])
def test_rows_without_a_truth_are_refused(truth):
    with pytest.raises(ValueError, match="pass labelled rows only"):
        reliability(truth, np.ones((len(truth) + (truth.shape == (1,)), 2)) / 2)
