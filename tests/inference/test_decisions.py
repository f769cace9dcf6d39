"""One activity per second: weights, shortest bouts, and when they are worth it."""

import json

import numpy as np
import pytest

from selfpab.evaluation.answers import Answers
from selfpab.inference.decisions import Decision, averaged, decide, fit_decision, last_cut, most_probable


def shares(*named, sure=0.6, classes=3):
    """Probabilities that name these classes; the second best is the next class."""
    p = np.full((len(named), classes), 0.1)
    for row, name in enumerate(named):
        p[row, name] = sure
        p[row, (name + 1) % classes] = 0.9 - sure
    return p / p.sum(axis=1, keepdims=True)


def test_without_weights_it_is_the_most_probable_class():
    p = np.random.default_rng(0).dirichlet([1, 1, 1], 50)
    assert (decide(p, most_probable(3)) == p.argmax(axis=1)).all()
    assert decide(np.full((1, 3), 1 / 3), most_probable(3)).tolist() == [0]


def test_what_is_cut_where_it_may_be_is_decided_as_the_whole():
    cuts = 0
    for seed in range(300):
        chance = np.random.default_rng(seed)
        classes = np.repeat(chance.integers(0, 3, 60), chance.integers(1, 9, 60))
        p = shares(*classes) * chance.dirichlet([4, 4, 4], len(classes))
        p[np.repeat(chance.random(60) < 0.05, 9)[: len(p)]] = np.nan
        decision = Decision(tuple(chance.uniform(0.5, 1, 3)), tuple(chance.integers(1, 6, 3).tolist()))
        cut = last_cut(p, decision)
        parts = np.concatenate([decide(p[:cut], decision), decide(p[cut:], decision)])
        np.testing.assert_array_equal(parts, decide(p, decision))
        cuts += cut > 0
    assert cuts > 200


def test_short_bouts_go_to_the_next_best_and_long_ones_stay():
    p = shares(0, 2, 2, 0, 2, 2, 2, 0)
    assert decide(p, Decision((1, 1, 1), (1, 1, 3))).tolist() == [0, 0, 0, 0, 2, 2, 2, 0]


def test_what_a_short_bout_becomes_may_itself_be_too_short():
    p = np.array([[0.9, 0.05, 0.05], [0.1, 0.3, 0.6], [0.9, 0.05, 0.05]])
    assert decide(p, Decision((1, 1, 1), (1, 1, 2))).tolist() == [0, 1, 0]
    assert decide(p, Decision((1, 1, 1), (1, 2, 2))).tolist() == [0, 0, 0]


def test_all_bouts_that_are_too_short_are_given_away_at_once():
    assert decide(
        np.array([[0.8, 0.2, 0.0], [0.1, 0.3, 0.6], [0.8, 0.2, 0.0]]), Decision((1, 1, 1), (3, 1, 2))
    ).tolist() == [1, 1, 1]


def test_gaps_have_no_class_and_end_a_bout():
    p = shares(2, 2, 2, 2)
    p[2] = np.nan
    assert decide(p, Decision((1, 1, 1), (1, 1, 2))).tolist() == [2, 2, -1, 0]


def test_where_every_class_is_too_short_it_still_ends():
    assert decide(shares(0, 1, 2), Decision((1, 1, 1), (9, 9, 9))).shape == (3,)
    assert decide(np.zeros((0, 3)), most_probable(3)).shape == (0,)


def test_rows_may_be_samples():
    p = np.repeat(shares(0, 2, 0, 2, 2, 0), 50, axis=0)
    named = decide(p, Decision((1, 1, 1), (1, 1, 2)), rows_per_s=50)
    assert named[::50].tolist() == [0, 0, 0, 2, 2, 0]


def test_a_loop_over_bouts_agrees():
    rng = np.random.default_rng(2)
    p = np.repeat(rng.dirichlet([0.3] * 4, 300), rng.integers(1, 6, 300), axis=0)
    decision = Decision((1.0, 0.5, 2.0, 1.0), (1, 3, 4, 2))
    worth = p * decision.weights
    while True:
        named, start, changed = worth.argmax(axis=1), 0, False
        for stop in range(1, len(p) + 1):
            if stop == len(p) or named[stop] != named[start]:
                if stop - start < decision.shortest_s[named[start]]:
                    worth[start:stop, named[start]], changed = -1, True
                start = stop
        if not changed:
            break
    np.testing.assert_array_equal(decide(p, decision), named)


def person(rng, rare):
    """400 seconds of class 0 and 1; twenty of class 2 in one bout where `rare`, said with less conviction than class 0."""
    truth = np.repeat([0, 1], 200)
    if rare:
        truth[50:70] = 2
    p = np.full((400, 3), 0.02)
    p[np.arange(400), truth] = 0.9
    p[truth == 2] = [0.55, 0.05, 0.4]
    alone = rng.choice(np.arange(100, 190), 3, replace=False)
    p[alone] = [0.5, 0.05, 0.45]  # single seconds that look like it
    return Answers(truth, p / p.sum(axis=1, keepdims=True))


def test_fitting_finds_weights_and_bouts_that_help():
    rng = np.random.default_rng(1)
    people = {str(n): person(rng, n % 2 == 0) for n in range(8)}
    found = fit_decision(people)
    assert found.weights[2] == 1.0
    assert found.weights[0] < 0.8
    assert found.shortest_s[0] == found.shortest_s[1] == 1
    assert found.shortest_s[2] > 1
    for answers in people.values():
        assert (decide(answers.probabilities, found) == answers.truth).all()


def test_a_class_that_everybody_does_needs_no_bout():
    rng = np.random.default_rng(1)
    assert fit_decision({str(n): person(rng, True) for n in range(8)}).shortest_s == (1, 1, 1)


def test_a_gain_that_may_be_chance_is_left():
    rng = np.random.default_rng(1)
    people = {"0": person(rng, True)} | {
        str(n): person(rng, False) for n in range(1, 9)
    }  # one gains, the others cannot
    assert fit_decision(people) == most_probable(3)
    assert fit_decision({"0": person(rng, True)}) == most_probable(3)


@pytest.mark.parametrize("around", [0, 1, 2, 5, 400])
def test_a_loop_over_neighbours_agrees(around):
    chance = np.random.default_rng(around)
    p = chance.dirichlet([1, 1, 1], 300)
    p[chance.random(300) < 0.1] = np.nan
    p[:3], p[-1] = np.nan, np.nan
    found = averaged(p, around)
    for row in range(300):
        near = [row] if np.isfinite(p[row]).all() else []
        for step in (1, -1):
            at = row + step
            while near and 0 <= at < 300 and abs(at - row) <= around and np.isfinite(p[at]).all():
                near.append(at)
                at += step
        np.testing.assert_allclose(found[row], p[near].mean(0) if near else [np.nan] * 3, atol=1e-12)
    one = averaged(p.astype(np.float32), around)
    assert one.dtype == np.float32
    np.testing.assert_allclose(one, found, atol=1e-6)
    assert averaged(p[:0], around).shape == (0, 3)


def test_neighbours_have_a_say_in_the_name_and_in_no_probability():
    p = shares(0, 0, 2, 0, 0)
    assert decide(p, Decision((1, 1, 1), (1, 1, 1))).tolist() == [0, 0, 2, 0, 0]
    assert decide(p, Decision((1, 1, 1), (1, 1, 1), around_s=1)).tolist() == [0] * 5
    rows = np.repeat(p, 50, axis=0)
    assert set(decide(rows, Decision((1, 1, 1), (1, 1, 1), around_s=1), rows_per_s=50)) == {0}
    with pytest.raises(ValueError, match="wanted around_s of at least 0, got -1"):
        Decision((1.0,), (1,), -1)


def test_fitting_averages_where_that_helps():
    """Single seconds of everybody look like another class, and no class is occasional."""
    chance = np.random.default_rng(5)
    people = {}
    for name in "abcdef":
        truth = np.repeat([0, 1, 2], 100)
        said = truth.copy()
        said[chance.choice(300, 60, replace=False)] = chance.integers(0, 3, 60)
        people[name] = Answers(truth, shares(*said.tolist()))
    found = fit_decision(people)
    assert found.around_s > 0
    assert found.shortest_s == (1, 1, 1)


def test_json_and_back_and_what_is_none():
    found = Decision((0.5, 1.0), (1, 3), 2)
    assert Decision.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert Decision.from_json({"weights": [0.5, 1.0], "shortest_s": [1, 3]}).around_s == 0  # as older models say it
    with pytest.raises(ValueError, match="one weight above 0"):
        Decision((0.0, 1.0), (1, 1))
    with pytest.raises(ValueError, match="for 2 classes"):
        decide(np.ones((1, 3)), found)


def slow_decision(p, decision):
    """All at once, on the products themselves."""
    worth = p * np.array(decision.weights)
    named = np.where(np.isfinite(worth).all(1), worth.argmax(1), -1)
    while True:
        edges = [i for i in range(len(named)) if i == 0 or named[i] != named[i - 1]]
        rows = []
        for first, stop in zip(edges, [*edges[1:], len(named)], strict=True):
            if named[first] >= 0 and stop - first < decision.shortest_s[named[first]]:
                rows += [row for row in range(first, stop) if (worth[row] >= 0).any()]
        if not rows:
            return named
        for row in rows:
            worth[row, named[row]] = -1
        for row in rows:
            named[row] = worth[row].argmax()
        if (worth[rows] < 0).all():
            return named


def test_block_by_block_it_is_the_same(monkeypatch):
    chance = np.random.default_rng(4)
    p = chance.dirichlet([0.5, 0.4, 0.3], 400).repeat(chance.integers(1, 4, 400), axis=0)
    p[chance.random(len(p)) < 0.02] = np.nan
    decision = Decision((0.8, 1.0, 0.9), (1, 3, 2))
    whole = decide(p, decision)
    assert (whole == slow_decision(p, decision)).all()
    assert (whole != decide(p, Decision((0.8, 1.0, 0.9), (1, 1, 1)))).sum() > 50
    monkeypatch.setattr("selfpab.inference.decisions.BLOCK_ROWS", 7)
    assert (decide(p, decision) == whole).all()
    kept = p.copy()
    decide(p, decision)
    np.testing.assert_array_equal(p, kept)  # what is given stays as it is
