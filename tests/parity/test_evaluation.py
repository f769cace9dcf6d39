"""Scores against the authors' run (golden g7), scikit-learn and scipy."""

import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from selfpab.activities import HARTH, NAMES
from selfpab.evaluation.metrics import accuracy, confusion, f1, macro_f1, mean_and_error, merged

SUBJECTS = "ABCD"
LAST_BIT = {"rtol": 4e-16, "atol": 0}  # the authors divide in another order


@pytest.fixture(scope="module")
def theirs(golden):
    return json.loads((golden / "g7_eval.json").read_text())


@pytest.fixture(scope="module")
def matrices(golden):
    with np.load(golden / "g7_eval_io.npz") as data:
        return {s: confusion(data[f"{s}_true"], data[f"{s}_pred"], 12) for s in SUBJECTS}


@pytest.fixture(scope="module")
def harth_groups(theirs):
    """12 classes to 10, as HARTH itself says."""
    code_of = {name: code for code, name in NAMES.items()}
    codes = [code_of[name] for name in theirs["class_order_12"]]
    assert [HARTH.names[i] for i in range(len(HARTH))] == theirs["class_order_10"]
    return HARTH.indices(np.array(codes, np.int16)).tolist()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_scores_of_a_subject(subject, matrices, theirs):
    expected = [np.nan if value is None else value for value in theirs[subject]["f1_12"]]
    np.testing.assert_allclose(f1(matrices[subject]), expected, **LAST_BIT)
    np.testing.assert_allclose(macro_f1(matrices[subject]), theirs[subject]["average_f1score_12"], **LAST_BIT)
    assert accuracy(matrices[subject]) == theirs[subject]["accuracy"]


def test_the_golden_has_both_cases_of_an_absent_class(matrices):
    scores = np.array([f1(matrix) for matrix in matrices.values()])
    absent = np.array([matrix.sum(axis=1) == 0 for matrix in matrices.values()])
    assert np.isnan(scores[absent]).sum() == 4
    assert (scores[absent] == 0).sum() == 2


@pytest.mark.parametrize("classes", [12, 10])
def test_table_and_bars(classes, matrices, harth_groups, theirs):
    """Plain mean of subject scores with scipy's sem; per activity over the subjects that have an F1."""
    groups = harth_groups if classes == 10 else range(12)
    scored = [merged(matrix, tuple(groups)) for matrix in matrices.values()]
    table = theirs[f"summary_{classes}"]
    mean, sem, n = mean_and_error([macro_f1(matrix) for matrix in scored])
    np.testing.assert_allclose([mean, sem], [table["MeanF1"], table["SemF1"]], rtol=1e-14)
    assert n == 4
    np.testing.assert_allclose(mean_and_error([accuracy(m) for m in scored]).mean, table["MeanAccuracy"], rtol=1e-15)

    bars = theirs[f"activity_{classes}"]
    per_class = np.array([f1(matrix) for matrix in scored]).T
    for name, scores in zip(theirs[f"class_order_{classes}"], per_class, strict=True):
        bar = mean_and_error(scores)
        np.testing.assert_allclose([bar.mean, bar.sem], [bars["MeanF1"][name], bars["SemF1"][name]], rtol=1e-14)


labels = st.integers(2, 6).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(-1, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=80),
    )
)


@settings(max_examples=150, deadline=None)
@given(labels)
def test_scikit_learn_agrees(drawn):
    classes, pairs = drawn
    truth, predicted = np.array(pairs).T
    counts = confusion(truth, predicted, classes)
    known = truth >= 0
    if not known.any():
        assert counts.sum() == 0
        return
    order = list(range(classes))
    np.testing.assert_array_equal(
        counts, sklearn_metrics.confusion_matrix(truth[known], predicted[known], labels=order)
    )
    theirs = sklearn_metrics.f1_score(truth[known], predicted[known], labels=order, average=None, zero_division=np.nan)
    np.testing.assert_allclose(f1(counts), theirs, rtol=1e-15)
    assert accuracy(counts) == sklearn_metrics.accuracy_score(truth[known], predicted[known])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), min_size=1, max_size=30))
def test_scipy_agrees_on_the_standard_error(values):
    kept = [value for value in values if value == value]
    result = mean_and_error(values)
    assert result.n == len(kept)
    if len(kept) > 1:
        np.testing.assert_allclose(result.sem, scipy.stats.sem(kept), rtol=1e-12, atol=1e-300)
