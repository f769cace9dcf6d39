"""Intervals of minutes: what they are, that they hold what they promise, and that they grow with time."""

import json

import numpy as np
import pytest

from selfpab.inference.minutes import Intervals, Minutes, errors_in_doubt, fit_intervals, interval, minutes_of


def made(rng, scale=1.0, spread=1.0, length=1.0):
    """A person whose error is normal, in proportion to doubt; the third activity is never done nor named."""
    doubt = rng.uniform(0.5, 3, 3) * length
    named = np.array([30.0, 20.0, 0.0]) * length
    doubt[2] = 0.0
    error = rng.normal(0, spread, 3) * [1, scale, 0] * (doubt + 0.05)
    return Minutes(named, doubt, named + error)


def test_minutes_are_of_named_seconds():
    p = np.array([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.3, 0.7]])
    found = minutes_of(np.array([0, 0, 1, -1]), p, np.array([1, 0, 1, 1]))
    np.testing.assert_allclose(found.named, [2 / 60, 1 / 60])
    np.testing.assert_allclose(found.doubt, [(0.16 + 0.25 + 0.09) / 60] * 2)
    np.testing.assert_allclose(found.true, [1 / 60, 2 / 60])


def test_seconds_without_truth_count_only_where_no_truth_is_wanted():
    p, named = np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 0])
    assert minutes_of(named, p, np.array([0, -1])).named[0] == pytest.approx(1 / 60)
    assert minutes_of(named, p).named[0] == pytest.approx(2 / 60)
    assert minutes_of(named, p).true is None


def test_intervals_hold_the_share_of_new_people_that_they_promise():
    rng = np.random.default_rng(0)
    found = fit_intervals({str(n): made(rng) for n in range(200)})
    held = []
    for _ in range(2000):
        person = made(rng)
        low, high = interval(person.named, person.doubt, found)
        held.append((low <= person.true) & (person.true <= high))
    assert np.mean(held, axis=0)[:2] == pytest.approx(0.9, abs=0.03)


def test_activities_that_nobody_did_are_no_evidence():
    rng = np.random.default_rng(0)
    people = {str(n): made(rng) for n in range(100)}
    found = fit_intervals(people)
    ratios = np.array([errors_in_doubt(m) for m in people.values()])[:, :2]
    assert found.factor[2] == pytest.approx(np.quantile(ratios, 0.9), rel=0.02)  # that of the others


def test_an_activity_is_pooled_with_all():
    rng = np.random.default_rng(0)
    people = {str(n): made(rng, scale=0.2) for n in range(200)}
    ratios = np.array([errors_in_doubt(m) for m in people.values()])
    found = fit_intervals(people).factor
    assert np.quantile(ratios[:, 1], 0.9) < found[1] < np.quantile(ratios[:, :2], 0.9) < found[0]


def test_width_is_in_proportion_to_time():
    model = Intervals((2.0, 2.0), 0.9, 18, 40.0)
    hour = interval(np.array([50.0, 10.0]), np.array([1.0, 1.0]), model)
    day = interval(np.array([1200.0, 240.0]), np.array([24.0, 24.0]), model)
    width = [high - low for low, high in (hour, day)]
    np.testing.assert_allclose(width[1], 24 * width[0] - 23 * 0.2)


def test_tables_at_once_and_within_what_there_is():
    model = Intervals((10.0, 10.0), 0.9, 18, 40.0)
    low, high = interval(np.array([[3.0, 0.0], [30.0, 30.0]]), np.array([[1.0, 1.0], [0.0, 0.0]]), model)
    np.testing.assert_allclose(low, [[0, 0], [29.5, 29.5]])
    np.testing.assert_allclose(high, [[3, 3], [30.5, 30.5]])


def test_json_and_back():
    found = Intervals((1.0, 2.5), 0.9, 18, 41.5)
    assert Intervals.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_what_cannot_be():
    person = made(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"0\.9 is 90 %"):
        fit_intervals({"a": person, "b": person}, level=90)
    with pytest.raises(ValueError, match="two people"):
        fit_intervals({"a": person})
    with pytest.raises(ValueError, match="two people with their true minutes"):
        fit_intervals({"a": person, "b": person._replace(true=None)})
    with pytest.raises(ValueError, match=r"shape \(..., 2\)"):
        interval(np.zeros(3), np.zeros(3), Intervals((1.0, 1.0), 0.9, 2, 1.0))
