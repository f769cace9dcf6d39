"""Sums per confidence bin and the negative log-likelihood."""

import numpy as np
import pytest

from selfpab.evaluation.calibration import BINS, calibration_sums, nothing_counted


@pytest.fixture
def case():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet([0.4, 0.4, 0.4], 500)
    return rng.integers(-1, 3, 500), probabilities.argmax(axis=1), probabilities


def test_a_plain_loop_agrees(case):
    truth, predicted, probabilities = case
    n, confidence, correct, nll = [0] * BINS, [0.0] * BINS, [0] * BINS, 0.0
    for t, p, row in zip(truth, predicted, probabilities, strict=True):
        if t == -1:
            continue
        place = next(b for b in range(BINS) if row[p] < (b + 1) / BINS or b == BINS - 1)
        n[place] += 1
        confidence[place] += row[p]
        correct[place] += int(t == p)
        nll -= np.log(row[t])
    sums = calibration_sums(*case)
    np.testing.assert_array_equal(sums.n, n)
    np.testing.assert_allclose(sums.confidence, confidence)
    np.testing.assert_array_equal(sums.correct, correct)
    assert sums.nll == pytest.approx(nll)


def test_halves_add_up_to_the_whole(case):
    whole = calibration_sums(*case)
    parts = nothing_counted()
    for half in (slice(0, 200), slice(200, None)):
        parts += calibration_sums(*(values[half] for values in case))
    for key in ("n", "confidence", "correct", "nll"):
        np.testing.assert_allclose(getattr(parts, key), getattr(whole, key))


def test_certainty_lies_in_the_last_bin_and_a_class_ruled_out_costs_a_finite_amount():
    certain = np.array([[1.0, 0.0], [1.0, 0.0]])
    sums = calibration_sums(np.array([0, 1]), np.array([0, 0]), certain)
    assert (sums.n[-1], sums.correct[-1], sums.n.sum()) == (2, 1, 2)
    assert sums.nll == pytest.approx(-np.log(1e-12))


def test_unlabelled_samples_do_not_count():
    assert calibration_sums(np.array([-1]), np.array([0]), np.array([[1.0, 0.0]])).n.sum() == 0
