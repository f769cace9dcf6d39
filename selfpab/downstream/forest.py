"""Boosted trees as tensors: grown by XGBoost, kept in the model's weights, evaluated by torch alone (ours; not in the paper).

Whoever predicts needs no XGBoost, and the trees go wherever the network goes: into safetensors, into ONNX, onto a GPU. Every
tree is kept as if it were complete, with a leaf's values repeated where it ended early, and gives one value per class, so
that a forest of some sixty trees does the work of as many for each class.
Legend: N rows, W values of a row, R trees, D depth, K classes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

ALIKE = 1e-3  # largest difference of a logit to XGBoost's own; 1e-6 is usual


@dataclass(frozen=True)
class Growth:
    """How trees are grown; the values that a trial over five folds of people ended with (docs/log.md)."""

    depth: int = 6
    rate: float = 0.15
    rows: float = 0.7  # share of the rows that a tree sees
    columns: float = 0.3  # share of the values that it may ask for
    bins: int = 64  # of each value
    lightest: float = 20.0  # sum of the Hessian in a leaf
    ridge: float = 5.0  # penalty on the square of a leaf's values


class Forest(nn.Module):
    """Rows (N, W) -> logits (N, K); all zero until trees are put in.

    >>> Forest(trees=2, depth=3, classes=4)(torch.zeros(5, 9)).shape
    torch.Size([5, 4])
    """

    asked: Tensor  # (R, 2^D - 1): which value a node asks for; the nodes row by row from the top
    below: Tensor  # (R, 2^D - 1): to the left go values below this
    leaves: Tensor  # (R, 2^D, K)
    start: Tensor  # (K,)

    def __init__(self, trees: int, depth: int, classes: int) -> None:
        super().__init__()
        self.depth = depth
        self.register_buffer("asked", torch.zeros(trees, 2**depth - 1, dtype=torch.int32))
        self.register_buffer("below", torch.zeros(trees, 2**depth - 1))
        self.register_buffer("leaves", torch.zeros(trees, 2**depth, classes))
        self.register_buffer("start", torch.zeros(classes))

    def forward(self, rows: Float[Tensor, "N W"]) -> Float[Tensor, "N K"]:
        trees, nodes = self.asked.shape
        every = torch.arange(trees, device=rows.device)
        asked, below = self.asked.flatten().long(), self.below.flatten()
        place = torch.zeros(rows.shape[0], trees, dtype=torch.long, device=rows.device)  # within the tree
        for _ in range(self.depth):
            node = (place + every * nodes).flatten()
            values = rows.gather(1, asked.index_select(0, node).view_as(place))
            place = 2 * place + 1 + (values >= below.index_select(0, node).view_as(place))
        leaf = place - nodes + every * (nodes + 1)
        return self.leaves.flatten(0, 1).index_select(0, leaf.flatten()).unflatten(0, leaf.shape).sum(1) + self.start


def check_growable() -> None:
    """RuntimeError where trees cannot be grown, to be told before a training and not behind it."""
    try:
        import xgboost  # noqa: F401
    except ImportError as error:
        raise RuntimeError(
            f"context_trees= grows trees with XGBoost: pip install 'selfpab[baselines]' ({error})"
        ) from error


def grown(
    rows: np.ndarray, truth: np.ndarray, weights: np.ndarray, *, trees: int, classes: int, seed: int, growth: Growth
) -> Forest:
    """A forest that tells `classes` classes apart, by boosting with the softmax loss; equal arguments give equal trees.

    rows : float32 (N, W), without NaN.
    truth : class indices, (N,); classes that are missing are never named.
    weights : what a row counts, (N,).

    Raises RuntimeError without the extra `baselines`, and where XGBoost's own answers are not found again.
    """
    check_growable()
    import xgboost

    data = xgboost.QuantileDMatrix(rows, truth, weight=weights, max_bin=growth.bins, nthread=1)
    settings = {
        "objective": "multi:softprob",
        "num_class": classes,
        "tree_method": "hist",
        "multi_strategy": "multi_output_tree",  # every leaf holds a value for each class
        "max_bin": growth.bins,
        "max_depth": growth.depth,
        "learning_rate": growth.rate,
        "subsample": growth.rows,
        "colsample_bytree": growth.columns,
        "min_child_weight": growth.lightest,
        "reg_lambda": growth.ridge,
        "seed": seed,
        "nthread": 1,  # sums of several threads would depend on their number
    }
    booster = xgboost.train(settings, data, num_boost_round=trees)
    forest = from_xgboost(json.loads(booster.save_raw("json")), growth.depth, classes)
    some = rows[:: max(1, len(rows) // 1000)]
    wanted = booster.predict(xgboost.DMatrix(some, nthread=1), output_margin=True)
    furthest = float(np.abs(forest(torch.from_numpy(some)).numpy() - wanted).max())
    if not furthest <= ALIKE:
        raise RuntimeError(
            f"the trees give logits that differ by {furthest:.3g} from those of XGBoost {xgboost.__version__}: it keeps "
            "them in a way that this version of selfpab does not know; install the version of constraints.txt"
        )
    return forest


def from_xgboost(model: dict[str, Any], depth: int, classes: int) -> Forest:
    """The trees of XGBoost's JSON, none deeper than `depth`, each with leaves of a value per class."""
    learner = model["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    forest = Forest(len(trees), depth, classes)
    for row, tree in enumerate(trees):
        left, right = tree["left_children"], tree["right_children"]
        values = np.reshape(tree["leaf_weights"], (-1, classes))  # of a leaf, whose number stands in `right`
        at = {0: 0}  # place in the complete tree: node of XGBoost's
        for place in range(2**depth - 1):
            node = at.pop(place)
            if left[node] < 0:  # it ended early: both ways lead to the same
                at[2 * place + 1] = at[2 * place + 2] = node
            else:
                forest.asked[row, place] = tree["split_indices"][node]
                forest.below[row, place] = tree["split_conditions"][node]
                at[2 * place + 1], at[2 * place + 2] = left[node], right[node]
        for place, node in at.items():
            forest.leaves[row, place - 2**depth + 1] = torch.from_numpy(values[right[node]])
    start = json.loads(learner["learner_model_param"]["base_score"])
    forest.start.copy_(torch.tensor(start))
    return forest
