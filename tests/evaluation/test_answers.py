"""Seconds of an evaluation, read back as class indices and probabilities."""

import json

import numpy as np
import polars as pl
import pytest

from selfpab.evaluation.answers import Answers, checked_people, read_answers


@pytest.fixture
def run(tmp_path):
    content = {"schema": 1, "classes": [{"code": 6, "name": "standing"}, {"code": 1, "name": "walking"}]}
    (tmp_path / "results.json").write_text(json.dumps(content))
    (tmp_path / "seconds").mkdir()
    table = pl.DataFrame(
        {
            "truth": pl.Series([1, None, 6, 6], dtype=pl.Int32),
            "p_standing": pl.Series([0.2, 0.5, None, 0.9], dtype=pl.Float32),
            "p_walking": pl.Series([0.8, 0.5, None, 0.1], dtype=pl.Float32),
            "recording": pl.Series([0, 0, 0, 1], dtype=pl.Int32),
        }
    )
    table.write_parquet(tmp_path / "seconds" / "a%2Fb.parquet")
    return tmp_path


def test_codes_become_indices_and_recordings_stay_apart(run):
    people = read_answers(run)
    assert list(people) == ["a/b"]
    answers = people["a/b"]
    assert answers.truth.tolist() == [1, -1, 0, -1, 0]  # the fourth row lies between the recordings
    np.testing.assert_allclose(answers.probabilities[[0, 1, 4], 1], [0.8, 0.5, 0.1], rtol=1e-6)
    assert np.isnan(answers.probabilities[[2, 3]]).all()
    np.testing.assert_allclose(answers.probabilities[[0, 4]].sum(axis=1), 1, rtol=0, atol=1e-15)
    assert answers.scored.tolist() == [True, False, False, False, True]


def test_tables_of_another_evaluation_are_refused(run):
    pl.DataFrame({"truth": [9], "p_a": [0.5], "p_b": [0.5], "recording": [0]}).write_parquet(
        run / "seconds" / "c.parquet"
    )
    with pytest.raises(ValueError, match=r"unknown codes \[9\]"):
        read_answers(run)


def test_seconds_that_are_not_there_are_named(run):
    (run / "seconds" / "a%2Fb.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="no tables of seconds"):
        read_answers(run)


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ({}, "nobody to learn from"),
        ({"a": Answers(np.zeros(3, int), np.ones((2, 2)) / 2)}, r"\(\(3,\), \(2, 2\)\)"),
        (
            {"a": Answers(np.zeros(2, int), np.ones((2, 2)) / 2), "b": Answers(np.zeros(1, int), np.ones((1, 3)) / 3)},
            "one K",
        ),
        ({"a": Answers(np.full(2, -1), np.ones((2, 2)) / 2)}, "no row of a has both"),
    ],
)
def test_people_who_cannot_be_learned_from(people, message):
    with pytest.raises(ValueError, match=message):
        checked_people(people)


def test_the_number_of_classes():
    assert checked_people({"a": Answers(np.zeros(2, int), np.ones((2, 4)) / 4)}) == 4
