"""Codes, class indices, merging, column names."""

import numpy as np
import pytest

from selfpab.activities import HAR70PLUS, HARTH, KNOWN, NAMES, Activities


def test_harth_has_ten_classes_and_merges_inactive_cycling():
    assert HARTH.codes == (1, 2, 3, 4, 5, 6, 7, 8, 13, 14)
    np.testing.assert_array_equal(HARTH.indices(np.array([13, 130, 14, 140], np.int16)), [8, 8, 9, 9])


def test_har70plus_has_the_authors_order_which_decides_ties():
    assert HAR70PLUS.codes == (6, 3, 1, 7, 8, 5, 4)
    assert HAR70PLUS.names[0] == "standing"


@pytest.mark.parametrize("activities", KNOWN.values(), ids=KNOWN)
def test_index_and_code_are_inverse(activities):
    codes = np.array([*activities.codes, -1], np.int16)
    np.testing.assert_array_equal(activities.indices(codes), [*range(len(activities)), -1])
    assert activities.names == tuple(NAMES[code] for code in activities.codes)
    assert len(set(activities.colours)) == len(set(activities.columns)) == len(activities)


def test_a_strange_code_is_an_error_that_says_what_there_is():
    with pytest.raises(ValueError, match=r"label 2 is no activity of har70plus.*6: 'standing'.*dataset.json"):
        HAR70PLUS.indices(np.array([6, 2], np.int16))
    np.testing.assert_array_equal(HAR70PLUS.indices(np.array([6, 2], np.int16), unknown="unlabelled"), [0, -1])


def test_shapes_are_kept():
    assert HARTH.indices(np.array([[1, 2], [3, -1]], np.int16)).tolist() == [[0, 1], [2, -1]]
    assert HARTH.indices(np.array([], np.int16)).shape == (0,)


def test_column_names():
    assert HARTH.columns[:4] == ("p_walking", "p_running", "p_shuffling", "p_stairs_ascending")


def test_colours_of_own_codes_are_spare_ones():
    colours = Activities("own", (1, 77, 78), ("walking", "a", "b")).colours
    assert colours[0] == HARTH.colours[0]
    assert len(set(colours)) == 3


@pytest.mark.parametrize(
    ("codes", "names", "merge", "message"),
    [
        ((1, 2), ("a",), {}, "one code and one name"),
        ((1, 1), ("a", "b"), {}, "one code and one name"),
        ((1, 2), ("a", "b"), {5: 9}, r"codes that are no class: \[9\]"),
    ],
)
def test_sets_that_contradict_themselves_are_refused(codes, names, merge, message):
    with pytest.raises(ValueError, match=message):
        Activities("own", codes, names, merge)


def test_unmerged_has_an_own_class_for_every_code():
    """The release trains 12 outputs and merges afterwards (BEHAVIOUR (i) 7)."""
    twelve = HARTH.unmerged()
    assert twelve.codes == (*HARTH.codes, 130, 140)
    assert twelve.names[-2:] == ("cycling (sit, inactive)", "cycling (stand, inactive)")
    codes = np.array([13, 130, 14, 140, -1], np.int16)
    assert twelve.indices(codes).tolist() == [8, 10, 9, 11, -1]
    back = HARTH.indices(np.array(twelve.codes, np.int16))
    np.testing.assert_array_equal(back[twelve.indices(codes[:4])], HARTH.indices(codes[:4]))
    assert HAR70PLUS.unmerged() == HAR70PLUS
    assert Activities("own", (1, 2), ("a", "b"), {77: 2}).unmerged().names == ("a", "b", "code 77")


def test_merged_adds_up_what_is_one_class():
    finer = HARTH.unmerged()
    values = np.random.default_rng(0).dirichlet(np.ones(len(finer)), 5)
    merged = HARTH.merged(values, finer)
    np.testing.assert_allclose(merged.sum(axis=1), 1)
    np.testing.assert_array_equal(merged[:, :8], values[:, :8])
    np.testing.assert_array_equal(merged[:, 8:], values[:, 8:10] + values[:, 10:])
    own = values[:, :10]
    assert HARTH.merged(own, HARTH) is own  # nothing to merge
