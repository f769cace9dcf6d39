"""Boosted trees as tensors, against XGBoost, which grew them."""

import json

import numpy as np
import pytest
import torch

from selfpab.downstream.forest import Forest, Growth, from_xgboost, grown

xgboost = pytest.importorskip("xgboost", reason="the extra `baselines` is not installed")
SMALL = Growth(depth=4, columns=1.0, lightest=1.0, ridge=1.0)


def rows_of(count=400, width=9, seed=0):
    chance = np.random.default_rng(seed)
    rows = chance.normal(size=(count, width)).astype(np.float32)
    rows[:, 4] = np.round(rows[:, 4])  # values that lie on a cut, and go to the right there
    truth = (rows[:, 0] > 0).astype(np.int64) + 2 * (rows[:, 4] >= 1)
    return rows, truth, chance.integers(1, 4, count).astype(np.float32)


@pytest.mark.parametrize("depth", [1, 4, 6])
def test_the_logits_are_those_of_xgboost(depth):
    rows, truth, weights = rows_of()
    settings = {"objective": "multi:softprob", "num_class": 5, "max_depth": depth, "tree_method": "hist"}
    settings |= {"multi_strategy": "multi_output_tree", "learning_rate": 0.4, "nthread": 1}
    booster = xgboost.train(settings, xgboost.DMatrix(rows, truth, weight=weights), num_boost_round=7)
    forest = from_xgboost(json.loads(booster.save_raw("json")), depth, 5)
    assert forest.leaves.shape == (7, 2**depth, 5)
    fresh = np.concatenate([rows_of(1000, seed=1)[0], rows])
    wanted = booster.predict(xgboost.DMatrix(fresh), output_margin=True)
    np.testing.assert_allclose(forest(torch.from_numpy(fresh)), wanted, atol=1e-5)
    nodes = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    assert depth < 6 or min(len(tree["left_children"]) for tree in nodes) < 2 ** (depth + 1) - 1  # some end early


def test_equal_arguments_give_equal_trees_that_have_learnt():
    rows, truth, weights = rows_of()
    first, again, other = (
        grown(rows, truth, weights, trees=20, classes=4, seed=seed, growth=SMALL) for seed in (3, 3, 4)
    )
    for name, values in first.state_dict().items():
        assert torch.equal(values, again.state_dict()[name])
    assert not torch.equal(first.leaves, other.leaves)
    fresh, answer, _ = rows_of(seed=2)
    assert (first(torch.from_numpy(fresh)).argmax(1).numpy() == answer).mean() > 0.97


def test_a_row_counts_as_often_as_its_weight_says():
    chance = np.random.default_rng(0)
    rows, truth = np.zeros((300, 2), np.float32), chance.integers(0, 2, 300)
    weights = np.where(truth == 1, 9.0, 1.0).astype(np.float32)
    forest = grown(rows, truth, weights, trees=40, classes=2, seed=0, growth=Growth(depth=1, rows=1.0))
    wanted = weights[truth == 1].sum() / weights.sum()
    assert abs(forest(torch.zeros(1, 2)).softmax(1)[0, 1].item() - wanted) < 0.01


def test_a_class_that_nobody_shows_is_hardly_ever_named():
    rows, truth, weights = rows_of()
    forest = grown(rows, truth, weights, trees=30, classes=6, seed=0, growth=SMALL)
    assert forest(torch.from_numpy(rows)).softmax(1)[:, 4:].max() < 0.05


def test_answers_that_are_not_xgboosts_are_an_error(monkeypatch):
    def wrong(self, rows):
        return torch.zeros(len(rows), 4)

    monkeypatch.setattr(Forest, "forward", wrong)
    with pytest.raises(RuntimeError, match=r"differ by .* from those of XGBoost .* constraints.txt"):
        grown(*rows_of(), trees=3, classes=4, seed=0, growth=SMALL)


def test_without_xgboost_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xgboost", None)
    with pytest.raises(RuntimeError, match=r"pip install 'selfpab\[baselines\]'"):
        grown(*rows_of(), trees=3, classes=4, seed=0, growth=SMALL)
