"""Confusion matrices, F1 with absent classes, mean and standard error (BEHAVIOUR (f))."""

import numpy as np
import pytest

from selfpab.evaluation.metrics import accuracy, confusion, f1, macro_f1, macro_f1_present, mean_and_error, merged


def test_rows_are_the_truth():
    np.testing.assert_array_equal(confusion(np.array([0, 0, 0, 1]), np.array([1, 1, 0, 1]), 2), [[1, 2], [0, 1]])


def test_unlabelled_samples_do_not_count_whatever_was_predicted():
    counts = confusion(np.array([-1, 1, -1]), np.array([-1, 1, 0]), 2)
    np.testing.assert_array_equal(counts, [[0, 0], [0, 1]])
    assert counts.dtype == np.int64


def test_small_integers_do_not_wrap():
    truth = np.full(300, 15, np.int8)  # 15 * 16 + 15 does not fit an int8
    assert confusion(truth, truth, 16)[15, 15] == 300


def test_no_samples_give_an_empty_matrix():
    np.testing.assert_array_equal(confusion(np.array([], int), np.array([], int), 3), np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([0, 1], [0], "every labelled sample is scored, or the evaluation fails"),
        ([0, 1], [0, -1], "1 of 2 labelled samples have no prediction"),
        ([0, 1], [0, 2], r"predicted must lie in 0 \.\.\. 1.*are these codes"),
        ([0, 2], [0, 0], r"truth must lie in 0 \.\.\. 1"),
        ([0, -2], [0, 0], r"truth must lie in"),
        ([0, 1], [0.0, 1.0], "predicted must hold integer class indices, got float64"),
    ],
)
def test_what_cannot_be_scored_is_refused(truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        confusion(np.array(truth), np.array(predicted), 2)


def test_a_class_neither_done_nor_predicted_is_skipped_and_one_only_predicted_counts_zero():
    absent = np.array([[4, 0, 0], [0, 4, 0], [0, 0, 0]])
    predicted_once = np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]])
    np.testing.assert_array_equal(f1(absent), [1, 1, np.nan])
    assert macro_f1(absent) == 1
    np.testing.assert_allclose(f1(predicted_once), [6 / 7, 1, 0])
    assert macro_f1(predicted_once) == pytest.approx((6 / 7 + 1 + 0) / 3)
    assert macro_f1_present(predicted_once) == pytest.approx((6 / 7 + 1) / 2)


def test_a_class_never_recognised_counts_zero_in_both_means():
    counts = np.array([[4, 0], [4, 0]])
    np.testing.assert_allclose(f1(counts), [2 / 3, 0])
    assert macro_f1(counts) == macro_f1_present(counts) == pytest.approx(1 / 3)


def test_perfect_is_one_and_nothing_is_nan():
    perfect, nothing = np.diag([3, 9, 1]), np.zeros((3, 3), np.int64)
    assert macro_f1(perfect) == macro_f1_present(perfect) == accuracy(perfect) == 1
    for score in (macro_f1, macro_f1_present, accuracy):
        assert np.isnan(score(nothing))


def test_accuracy_is_the_share_on_the_diagonal():
    assert accuracy(np.array([[3, 1], [2, 4]])) == 0.7


def test_merging_sums_rows_and_columns():
    counts = np.arange(16).reshape(4, 4)
    np.testing.assert_array_equal(
        merged(counts, (0, 1, 0, 1)),
        [[0 + 2 + 8 + 10, 1 + 3 + 9 + 11], [4 + 6 + 12 + 14, 5 + 7 + 13 + 15]],
    )


@pytest.mark.parametrize("groups", [(0, 1), (0, 1, 3), (1, 1, 2), (0, 1, -1)])
def test_groups_that_lose_a_class_are_refused(groups):
    with pytest.raises(ValueError, match="without holes, for each of the 3 classes"):
        merged(np.eye(3, dtype=int), groups)


@pytest.mark.parametrize("score", [f1, accuracy, lambda m: merged(m, (0, 0))])
def test_a_matrix_must_be_square(score):
    with pytest.raises(ValueError, match=r"shape \(classes, classes\), got \(2, 3\)"):
        score(np.zeros((2, 3), int))


def test_mean_and_error_skip_nan_and_say_how_many_there_were():
    mean, sem, n = mean_and_error([1.0, float("nan"), 2.0, 6.0])
    assert (mean, n) == (3.0, 3)
    assert sem == pytest.approx(np.sqrt(7 / 3))  # variance with ddof 1: (4 + 1 + 9) / 2 = 7


@pytest.mark.parametrize(("values", "mean"), [([0.5], 0.5), ([float("nan"), 0.5], 0.5), ([], float("nan"))])
def test_one_value_has_no_error(values, mean):
    result = mean_and_error(values)
    np.testing.assert_array_equal([result.mean, result.sem], [mean, float("nan")])
    assert result.n == sum(value == value for value in values)
