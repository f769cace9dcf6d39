"""Below which probability a second is uncertain."""

import numpy as np
import pytest

from selfpab.inference.doubt import THRESHOLDS, coverage_at, coverage_curve, fit_threshold

SURE = {
    "a": (np.array([0.9, 0.8, 0.5, 0.4]), np.array([True, True, False, True])),
    "b": (np.array([0.9, 0.3]), np.array([False, False])),
}


def test_people_count_the_same():
    assert coverage_at(SURE, 0.6) == (0.6, pytest.approx((0.5 + 0.5) / 2), pytest.approx((1.0 + 0.0) / 2))
    assert coverage_at(SURE, 0.85) == (0.85, pytest.approx((0.25 + 0.5) / 2), pytest.approx(0.5))


def test_who_has_no_certain_second_does_not_count_for_accuracy():
    found = coverage_at(SURE | {"c": (np.array([0.1]), np.array([False]))}, 0.6)
    assert (found.coverage, found.accuracy) == (pytest.approx(1 / 3), pytest.approx(0.5))
    assert np.isnan(coverage_at(SURE, 0.95).accuracy)


def test_the_lowest_threshold_that_reaches_the_accuracy():
    rng = np.random.default_rng(0)
    confidence = rng.random(20_000)
    people = {"a": (confidence, rng.random(20_000) < confidence)}  # mean accuracy above t is (1 + t) / 2
    assert fit_threshold(people, accuracy=0.9).threshold == pytest.approx(0.8, abs=0.02)
    assert fit_threshold(people, accuracy=0.9).accuracy >= 0.9
    below = coverage_at(people, fit_threshold(people, accuracy=0.9).threshold - 0.01)
    assert below.accuracy < 0.9


def test_where_none_reaches_it_the_best_is_given():
    people = {"a": (np.array([0.3, 0.7]), np.array([False, True])), "b": (np.array([0.9]), np.array([False]))}
    found = fit_threshold(people, accuracy=0.99)
    assert found == max(
        (point for point in coverage_curve(people) if point.accuracy == point.accuracy), key=lambda p: p.accuracy
    )
    assert found.accuracy == 0.5


def test_the_curve_has_every_threshold():
    assert [point.threshold for point in coverage_curve(SURE)] == list(THRESHOLDS)
    assert (np.diff([point.coverage for point in coverage_curve(SURE)]) <= 0).all()


def test_what_cannot_be_fitted():
    with pytest.raises(ValueError, match=r"0\.95 is 95 %"):
        fit_threshold(SURE, accuracy=95)
    with pytest.raises(ValueError, match="nobody to measure"):
        fit_threshold({})
    with pytest.raises(ValueError, match="nobody has a second"):
        fit_threshold({"a": (np.array([0.1]), np.array([True]))})
