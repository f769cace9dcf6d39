"""Temperature, floor and bias: what is done to probabilities, and that fitting finds what was done to them."""

import json

import numpy as np
import pytest

from selfpab.evaluation.answers import Answers
from selfpab.inference.probability_maps import SMALLEST_FLOOR, ProbabilityMap, fit_map


def people_of(count=6, rows=1500, temperature=1.0, wrong=0.0, bias=(0.0, 0.0, 0.0), seed=0):
    """People whose probabilities are true once they are mapped by this temperature and bias; `wrong` rows are chance."""
    rng = np.random.default_rng(seed)
    people = {}
    for number in range(count):
        true = rng.dirichlet([0.5, 0.5, 0.5], rows)
        truth = (true.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, 2)
        chance = rng.random(rows) < wrong
        truth[chance] = rng.integers(0, 3, chance.sum())
        said = (true * np.exp(-np.array(bias))) ** temperature
        people[str(number)] = Answers(truth, said / said.sum(axis=1, keepdims=True))
    return people


def test_the_formula():
    p = np.array([[0.7, 0.2, 0.1]])
    raised = p**0.5 * np.exp([[1.0, 0.0, -1.0]])
    expected = 0.8 * raised / raised.sum() + 0.2 / 3
    np.testing.assert_allclose(ProbabilityMap(2.0, 0.2, (1.0, 0.0, -1.0))(p), expected)


def test_rows_add_up_to_one_and_nothing_stays_nothing():
    p = np.array([[1.0, 0.0], [np.nan, np.nan]], np.float32)
    mapped = ProbabilityMap(0.5, 0.1)(p)
    np.testing.assert_allclose(mapped[0], [0.95, 0.05])
    assert np.isnan(mapped[1]).all()


def test_without_a_bias_the_order_stays():
    p = np.random.default_rng(1).dirichlet([1, 1, 1, 1], 100)
    assert (ProbabilityMap(3.0, 0.3)(p).argsort(axis=1) == p.argsort(axis=1)).all()


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_fitting_finds_the_temperature(temperature):
    found = fit_map(people_of(temperature=temperature))
    assert found.temperature == pytest.approx(temperature, rel=0.07)
    assert found.floor < 0.03
    assert found.bias == ()


def test_fitting_finds_the_floor_and_the_temperature_beside_it():
    found = fit_map(people_of(temperature=2.0, wrong=0.1))
    assert found.floor == pytest.approx(0.1, abs=0.03)
    assert found.temperature == pytest.approx(2.0, rel=0.12)


def test_fitting_finds_biases_up_to_their_penalty():
    found = fit_map(people_of(bias=(1.0, 0.0, -1.0), rows=3000), biases=True)
    assert found.bias[0] - found.bias[2] == pytest.approx(2.0, abs=0.4)


def test_a_class_that_nobody_did_gets_a_finite_bias():
    people = {name: Answers(np.where(a.truth == 2, -1, a.truth), a.probabilities) for name, a in people_of().items()}
    assert all(-5 < b < 5 for b in fit_map(people, biases=True).bias)


def test_the_slopes_are_those_of_the_loss():
    # a wrong slope would stop the search elsewhere: no neighbour may be better
    people = people_of(temperature=1.7, wrong=0.05)
    best = fit_map(people)

    def loss(candidate):
        return np.mean(
            [-np.log(candidate(a.probabilities)[np.arange(len(a.truth)), a.truth]).mean() for a in people.values()]
        )

    for step in (-0.02, 0.02):
        assert loss(best) <= loss(ProbabilityMap(best.temperature + step, best.floor))
        assert loss(best) <= loss(ProbabilityMap(best.temperature, max(best.floor + step / 4, SMALLEST_FLOOR)))


def test_people_count_the_same_however_long():
    calm, loud = people_of(1, 4000, temperature=1.0)["0"], people_of(1, 400, temperature=4.0, seed=1)["0"]
    both = {"a": calm, "b": loud}
    assert fit_map(both).temperature > fit_map(both, people_equal=False).temperature + 0.2


def test_rows_without_truth_or_answer_do_not_count():
    people = people_of(2)
    more = {
        name: Answers(np.r_[a.truth, -1, 0], np.r_[a.probabilities, [[1, 0, 0]], np.full((1, 3), np.nan)])
        for name, a in people.items()
    }
    assert fit_map(more) == fit_map(people)


def test_json_and_back():
    found = ProbabilityMap(1.25, 0.01, (0.5, -0.5))
    assert ProbabilityMap.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_what_is_no_map():
    with pytest.raises(ValueError, match="temperature above 0"):
        ProbabilityMap(0.0)
    with pytest.raises(ValueError, match="for 2 classes, got probabilities of 3"):
        ProbabilityMap(bias=(0.0, 1.0))(np.ones((1, 3)) / 3)
