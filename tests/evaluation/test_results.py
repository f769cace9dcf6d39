"""results.json: its form, what is absent, what is null."""

import json
from dataclasses import replace

import numpy as np
import pytest

from selfpab.activities import Activities
from selfpab.evaluation.calibration import calibration_sums
from selfpab.evaluation.folds import Fold
from selfpab.evaluation.results import assemble, read_results, write_results

THREE = Activities("three", (6, 1, 13), ("standing", "walking", "cycling (sit)"))


def fold(subject: str, confusion: list[list[int]]) -> Fold:
    counts = np.array(confusion)
    truth, predicted = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
    sums = calibration_sums(truth, predicted, np.eye(3)[predicted] * 0.55 + 0.15)
    return Fold(subject, counts, int(counts.sum()), 7, sums, 2.5)


@pytest.fixture
def folds():
    return {
        "S1": fold("S1", [[8, 2, 0], [0, 10, 0], [0, 0, 0]]),
        "S2": fold("S2", [[5, 0, 0], [0, 5, 0], [0, 0, 5]]),
        "S3": fold("S3", [[9, 0, 1], [0, 10, 0], [0, 0, 0]]),
    }


@pytest.fixture
def results(folds):
    told = {"method": "svm", "dataset": "three", "protocol": "paper", "data": {"version": "1", "sha256": "ab"}}
    return assemble(folds, THREE, **told, seed=3, upstream=None, config={"c": 10.0}, environment={"python": "3"})


def test_the_form_is_that_of_the_design(results):
    assert list(results) == [
        *("schema", "method", "dataset", "data", "protocol", "classes", "seed", "upstream", "subjects", "macro_f1"),
        *("macro_f1_present", "accuracy", "per_class_f1", "calibration", "config", "environment", "seconds"),
    ]
    assert results["data"] == {"version": "1", "sha256": "ab", "samples_scored": 55, "samples_unlabelled": 21}
    assert results["classes"][2] == {"code": 13, "name": "cycling (sit)"}
    assert list(results["subjects"]["S1"]) == ["confusion", "f1", "macro_f1", "macro_f1_present", "accuracy"]
    assert results["seconds"] == 7.5


def test_a_subject_has_its_matrix_and_scores(results):
    first, third = results["subjects"]["S1"], results["subjects"]["S3"]
    assert first["confusion"] == [[8, 2, 0], [0, 10, 0], [0, 0, 0]]
    assert first["f1"][2] is None
    assert third["f1"][2] == 0
    assert third["macro_f1"] == pytest.approx((18 / 19 + 1 + 0) / 3)
    assert third["macro_f1_present"] == pytest.approx((18 / 19 + 1) / 2)
    assert third["accuracy"] == 0.95


def test_means_and_errors_are_over_subjects_by_hand(results):
    values = np.array([(16 / 18 + 20 / 22) / 2, 1, (18 / 19 + 1 + 0) / 3])
    sem = np.sqrt(((values - values.mean()) ** 2).sum() / 2 / 3)
    assert results["macro_f1"] == pytest.approx({"mean": values.mean(), "sem": sem})
    assert results["macro_f1_present"]["mean"] == pytest.approx(np.mean([*values[:2], (18 / 19 + 1) / 2]))
    assert results["accuracy"]["mean"] == pytest.approx((0.9 + 1 + 0.95) / 3)
    assert results["per_class_f1"]["cycling (sit)"] == {"mean": 0.5, "sem": pytest.approx(0.5), "n": 2}
    assert results["per_class_f1"]["standing"]["n"] == 3


def test_calibration_is_over_all_samples(results):
    bins = results["calibration"]
    assert [n for n in bins["n"] if n] == [55]
    place = bins["n"].index(55)
    assert place == 10  # 0.7 * 15 = 10.5
    assert bins["confidence"][place] == pytest.approx(0.7)
    assert bins["correct"][place] == pytest.approx(52 / 55)
    assert bins["correct"][0] is None
    assert len(bins["n"]) == 15
    assert bins["nll"] == pytest.approx(-(52 * np.log(0.7) + 3 * np.log(0.15)) / 55)


def test_what_is_not_known_is_absent_and_what_is_none_is_null(results):
    assert results["upstream"] is None
    assert not {"precision", "train_with", "search", "layer_weights"} & set(results)


def test_layer_weights_and_validation_are_means_over_all_folds_or_absent(folds):
    told = {"method": "selfpab", "dataset": "three", "protocol": "paper", "data": {}}
    facts = {
        "S1": {"layer_weights": [0.1, 0.5], "validation": {"loss": 1.0, "macro_f1": 0.5}, "losses": [3.0]},
        "S2": {"layer_weights": [0.3, 0.9], "validation": {"loss": 2.0, "macro_f1": 0.25}},
        "S3": {"layer_weights": [0.2, 0.2], "validation": {"loss": 3.0, "macro_f1": 0.25}},
    }
    known = {subject: replace(fold, facts=facts[subject]) for subject, fold in folds.items()}
    results = assemble(known, THREE, **told, seed=1)
    assert results["layer_weights"] == [0.2, 0.5333]
    assert results["validation"] == {"loss": 2.0, "macro_f1": 0.3333}
    assert "losses" not in results
    keys = list(results)
    assert keys[keys.index("seed") :][:4] == ["seed", "layer_weights", "validation", "subjects"]
    for missing in ({}, {"layer_weights": [], "validation": None}):
        partly = known | {"S2": replace(known["S2"], facts=missing)}
        assert not {"layer_weights", "validation"} & set(assemble(partly, THREE, **told))
    unknown = known | {"S2": replace(known["S2"], facts={"validation": {"loss": None, "macro_f1": 0.25}})}
    assert assemble(unknown, THREE, **told)["validation"] == {"macro_f1": 0.3333}


def test_one_subject_has_no_standard_error(folds):
    told = {"method": "svm", "dataset": "three", "protocol": "paper", "data": {}}
    assert assemble({"S2": folds["S2"]}, THREE, **told)["macro_f1"] == {"mean": 1.0, "sem": None}
    with pytest.raises(ValueError, match="no results without folds"):
        assemble({}, THREE, **told)
    with pytest.raises(TypeError, match=r"results.json has no \['sead'\]"):
        assemble(folds, THREE, **told, sead=1)


def test_a_file_is_strict_json_and_comes_back(tmp_path, results):
    path = tmp_path / "run" / "results.json"
    write_results(path, results)
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert read_results(path) == results
    write_results(path, {"schema": 1, "x": np.float32("nan"), "y": [np.inf, np.int64(3)], "z": np.array([1.0, np.nan])})
    assert read_results(path) == {"schema": 1, "x": None, "y": [None, 3], "z": [1.0, None]}


def test_other_schemas_and_other_files_are_refused(tmp_path):
    path = tmp_path / "results.json"
    for text, message in (
        ('{"schema": 2}', "schema 2, this version of selfpab reads 1"),
        ("[]", "schema None"),
        ("{", "no results.json"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_results(path)
