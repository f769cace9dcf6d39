"""Folds on disk: whole, refused when made otherwise, found again."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from selfpab.evaluation.calibration import calibration_sums
from selfpab.evaluation.folds import Fold, finished_folds, plain, save_fold, saved_fold, write_whole

SETTINGS = {"method": "svm", "seed": 1, "rate": 1e-4}


FACTS = {"layer_weights": [0.25, 0.5], "validation": {"loss": 1.5, "macro_f1": None}}


def fold(subject: str = "S1") -> Fold:
    sums = calibration_sums(np.array([0, 1]), np.array([0, 0]), np.array([[0.7, 0.3], [0.6, 0.4]]))
    return Fold(subject, np.array([[1, 0], [1, 0]]), 2, 5, sums, 1.25, FACTS)


@pytest.mark.parametrize("subject", ["S1", "../a/b", "..", "Łukasz 2"])
def test_a_fold_comes_back_as_it_was(tmp_path, subject):
    table = pl.DataFrame({"time": [0, 1]})
    save_fold(tmp_path / "run", fold(subject), table, SETTINGS)
    found = saved_fold(tmp_path / "run", subject, SETTINGS)
    assert found is not None
    np.testing.assert_array_equal(found.confusion, [[1, 0], [1, 0]])
    assert found.confusion.dtype == np.int64
    assert (found.subject, found.samples_scored, found.samples_unlabelled, found.took_s) == (subject, 2, 5, 1.25)
    assert found.facts == FACTS
    for key in ("n", "confidence", "correct", "nll"):
        np.testing.assert_array_equal(getattr(found.calibration, key), getattr(fold().calibration, key))
    written = sorted(path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*") if path.is_file())
    assert written == [("run", "folds"), ("run", "seconds")]
    assert pl.read_parquet(next(tmp_path.rglob("*.parquet"))).equals(table)


def test_a_fold_that_is_not_there_is_none(tmp_path):
    assert saved_fold(tmp_path, "S1", SETTINGS) is None


def test_a_fold_of_before_there_were_facts_has_none(tmp_path):
    save_fold(tmp_path, fold(), pl.DataFrame(), SETTINGS)
    path = tmp_path / "folds" / "S1.json"
    content = json.loads(path.read_text())
    del content["facts"]
    path.write_text(json.dumps(content))
    assert saved_fold(tmp_path, "S1", SETTINGS).facts == {}


def test_finished_folds_are_those_that_are_there(tmp_path):
    for subject in ("S3", "S1"):
        save_fold(tmp_path, fold(subject), pl.DataFrame(), SETTINGS)
    found = finished_folds(tmp_path, ["S1", "S2", "S3"], SETTINGS)
    assert [(subject, one.subject) for subject, one in found.items()] == [("S1", "S1"), ("S3", "S3")]
    with pytest.raises(ValueError, match=r"S1\.json was made with other settings"):
        finished_folds(tmp_path, ["S1", "S2", "S3"], {})


def test_plain_values_are_what_json_gives_back():
    value = {"a": (np.int64(3), np.array([[1.0, np.inf]])), "b": Path("x"), 4: [True, None, "text", float("nan")]}
    found = plain(value)
    assert found == {"a": [3, [[1.0, None]]], "b": "x", "4": [True, None, "text", None]}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_other_settings_are_an_error_that_says_which(tmp_path):
    save_fold(tmp_path, fold(), pl.DataFrame(), SETTINGS)
    with pytest.raises(
        ValueError, match=r"S1\.json was made with other settings \(seed: 1 there, 2 now\); take another"
    ):
        saved_fold(tmp_path, "S1", SETTINGS | {"seed": 2})
    with pytest.raises(ValueError, match="new: null there, 0 now"):
        saved_fold(tmp_path, "S1", SETTINGS | {"new": 0})


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, lambda temporary: temporary.write_text("old"))

    def torn(temporary: Path) -> None:
        temporary.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, torn)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_record_is_written_after_the_table(tmp_path, monkeypatch):
    """A fold with a record is complete, so the record must come last."""

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save_fold(tmp_path, fold(), pl.DataFrame(), SETTINGS)
    assert saved_fold(tmp_path, "S1", SETTINGS) is None


def test_the_record_holds_no_nan(tmp_path):
    save_fold(tmp_path, fold(), pl.DataFrame(), SETTINGS)
    json.loads((tmp_path / "folds" / "S1.json").read_text(), parse_constant=lambda name: pytest.fail(name))
