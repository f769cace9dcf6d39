"""One fold as a job: whom it trains on, what its results say of that."""

import json
from dataclasses import replace

import numpy as np
import pytest

from selfpab import cross_validation, fold_jobs, simulate
from selfpab.activities import HAR70PLUS
from selfpab.config import ConfigError
from selfpab.cross_validation import evaluate
from selfpab.data.datasets import open_dataset
from selfpab.data.simulation import NO_FAULTS, write_dataset
from selfpab.evaluation.results import read_results
from selfpab.methods import EvaluateConfig, Method


class Spy:
    def __init__(self, activities, book):
        self.activities, self.book = activities, book

    def fit(self, recordings):
        codes = {int(code) for r in recordings for code in np.unique(r.labels)}
        self.book.append(([r.subject for r in recordings], codes))

    def predict(self, recording):
        return np.zeros(len(recording), np.int64)

    def probabilities(self, recording):
        return np.eye(len(self.activities))[self.predict(recording)]


@pytest.fixture
def places(tmp_path):
    """Two data sets whose people have the same names; `more` has a class that the first does not know."""
    people = simulate(3, 0.05, seed=2, scenario="protocol", faults=NO_FAULTS)
    few = simulate(2, 0.05, seed=3, scenario="protocol", faults=NO_FAULTS)
    few = [replace(r, labels=np.where(r.labels == 2, 1, r.labels).astype(np.int16)) for r in few]
    for r in few:
        r.labels[~np.isin(r.labels, HAR70PLUS.codes)] = -1
    write_dataset(tmp_path / "few", few)
    classes = [{"code": code, "name": name} for code, name in zip(HAR70PLUS.codes, HAR70PLUS.names, strict=True)]
    manifest = json.dumps({"name": "few", "version": "1", "classes": classes})
    (tmp_path / "few" / "dataset.json").write_text(manifest)
    write_dataset(tmp_path / "more", people)
    return tmp_path


def test_people_of_another_data_set_are_trained_on_in_every_fold(places):
    book = []

    def make(name, activities, config, seed, scratch):
        return Method(lambda: Spy(activities, book), None, "spy", {"method": name})

    config = EvaluateConfig(train_with=str(places / "more"), precision="fp32")
    evaluate(["spy"], str(places / "few"), places / "run", config, make=make)
    others = [f"simulated/P00{n}" for n in (1, 2, 3)]
    assert [subjects for subjects, _ in book] == [["P002", *others], ["P001", *others]]
    assert all(codes <= {-1, *HAR70PLUS.codes} for _, codes in book)
    results = read_results(places / "run" / "spy" / "seed-0" / "results.json")
    assert set(results["subjects"]) == {"P001", "P002"}
    (told,) = results["train_with"]
    assert told == {key: getattr(open_dataset(places / "more"), key) for key in ("name", "version", "sha256")}
    with pytest.raises(ValueError, match=r"was made with other settings.*train_with"):
        evaluate(["spy"], str(places / "few"), places / "run", EvaluateConfig(precision="fp32"), make=make)
    same = EvaluateConfig(train_with=str(places / "few"), precision="fp32")
    with pytest.raises(ConfigError, match="is the data set that is evaluated; name another"):
        evaluate(["spy"], str(places / "few"), places / "run2", same, make=make)


def test_nobody_who_is_tested_is_trained_on_under_another_name_or_beside_others(places):
    """A second copy of the files with one more has another checksum, and its people are renamed."""
    people = list(open_dataset(places / "few").recordings())
    stranger = next(open_dataset(places / "more").recordings())
    renamed = [replace(people[0], subject="Q7"), replace(stranger, subject="Q8")]
    write_dataset(places / "copy", renamed)
    config = EvaluateConfig(train_with=str(places / "copy"), precision="fp32")
    with pytest.raises(ConfigError, match=r"train_with=.*copy holds people who are tested: P001 \(there Q7\); leave"):
        evaluate(["spy"], str(places / "few"), places / "run", config, make=lambda *_: pytest.fail("built"))


def test_two_versions_of_one_data_set_share_people_by_their_names(places):
    config = EvaluateConfig(train_with=str(places / "more"), precision="fp32")
    manifest = places / "few" / "dataset.json"
    manifest.write_text(manifest.read_text().replace('"few"', '"simulated"'))
    with pytest.raises(ConfigError, match=r"train_with=.*more holds people who are tested: P001, P002; leave their"):
        evaluate(["spy"], str(places / "few"), places / "run", config, make=lambda *_: pytest.fail("built"))


def test_people_whose_codes_mean_something_else_are_not_trained_on(places):
    manifest = places / "more" / "dataset.json"
    content = json.loads(manifest.read_text())
    content["classes"] = [one | {"name": "rowing"} if one["code"] == 1 else one for one in content["classes"]]
    manifest.write_text(json.dumps(content))
    config = EvaluateConfig(train_with=str(places / "more"), precision="fp32")
    with pytest.raises(ConfigError, match=r"the code 1 is 'walking' in few and 'rowing' in simulated"):
        evaluate(["spy"], str(places / "few"), places / "run", config, make=lambda *_: pytest.fail("built"))


def test_another_data_set_is_not_opened_again_for_every_method_and_seed(places, monkeypatch):
    """To open one is to read all its files, for their checksum."""
    opened = []

    def noted(folder):
        opened.append(str(folder))
        return open_dataset(folder)

    for module in (cross_validation, fold_jobs):
        monkeypatch.setattr(module, "open_dataset", noted)

    def make(name, activities, config, seed, scratch):
        return Method(lambda: Spy(activities, []), None, "spy", {"method": name})

    config = EvaluateConfig(train_with=str(places / "more"), precision="fp32", seeds="0,1,2")
    evaluate(["spy", "other"], str(places / "few"), places / "run", config, make=make)
    assert opened.count(str(places / "more")) == 2  # for what results say of it, and for its recordings
