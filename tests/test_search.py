"""The search for settings: what is proposed, what a trial is worth, that it goes on, that test people are out of it."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from selfpab import simulate
from selfpab.activities import HARTH
from selfpab.config import ConfigError, changed, load
from selfpab.cross_validation import evaluate
from selfpab.data.simulation import NO_FAULTS, write_dataset
from selfpab.downstream import FinetuneConfig
from selfpab.evaluation.results import read_results
from selfpab.methods import EvaluateConfig, Method, OwnSettings, own_settings
from selfpab.search import Nested, find_settings, people_by_fold, proposal, space_of

SPACE = {"spectr_mlp.rate": (0.1, 0.2, 0.3), "spectr_mlp.steps": (1, 2, 3, 4)}
CONFIG = EvaluateConfig(FinetuneConfig(steps=12, batch=4, hidden=16, rate=0.01), precision="fp32", search_trials=9)


class Fake:
    """Right about as many samples as its rate says; notes whom it was trained on and whom it was asked about."""

    def __init__(self, activities, share, book):
        self.activities, self.share, self.book = activities, share, book
        self.truth = {}

    def fit(self, recordings):
        self.book.append(("fit", sorted({r.subject for r in recordings})))

    def predict(self, recording):
        assert recording.labels is None
        self.book.append(("predict", recording.subject))
        right = self.activities.indices(self.labels[recording.subject])
        wrong = (right + 1) % len(self.activities)
        return np.where(np.arange(len(recording)) % 100 < 100 * self.share, right, wrong)

    def probabilities(self, recording):
        return np.eye(len(self.activities))[self.predict(recording)]


@pytest.fixture(scope="module")
def people():
    return simulate(5, 0.05, seed=1, scenario="protocol", faults=NO_FAULTS)


@pytest.fixture
def fake(people):
    """`make` of a method whose best rate is 0.2 and best steps 3, and the book of what was asked of it."""
    book, made = [], []

    def make(name, activities, config, seed, scratch):
        made.append((config.spectr_mlp.rate, config.spectr_mlp.steps, seed))
        share = 0.9 - abs((config.spectr_mlp.rate or 0.1) - 0.2) - 0.1 * abs((config.spectr_mlp.steps or 1) - 3)

        def build():
            classifier = Fake(activities, share, book)
            classifier.labels = {r.subject: r.labels for r in people}
            return classifier

        return Method(build, None, "fake", {"method": name, "rate": config.spectr_mlp.rate})

    return SimpleNamespace(make=make, book=book, made=made)


def studied(people, fake, tmp_path, config=CONFIG, **more):
    return find_settings("spectr-mlp", people, HARTH, config, tmp_path, space=SPACE, make=fake.make, **more)


def test_the_best_trial_is_the_one_with_the_best_score(people, fake, tmp_path):
    lines = []
    study = studied(people, fake, tmp_path, replace(CONFIG, search_trials=20), say=lines.append)
    scores = [trial["macro_f1"] for trial in study["trials"]]
    assert len(scores) == len(lines) == 20
    assert study["best"] == study["trials"][int(np.argmax(scores))]["settings"]
    assert study["best"] == {"spectr_mlp.rate": 0.2, "spectr_mlp.steps": 3}  # 20 trials of 12 combinations
    assert lines[-1].startswith(f"search spectr-mlp, trial 20 of 20: {100 * scores[-1]:.1f} with ")
    for trial in study["trials"]:
        assert trial["macro_f1"] == pytest.approx(np.mean(list(trial["people"].values())))


def test_the_same_settings_are_not_tried_twice(people, fake, tmp_path):
    study = studied(people, fake, tmp_path, replace(CONFIG, search_trials=20))
    different = {json.dumps(trial["settings"]) for trial in study["trials"]}
    assert len(fake.made) == len(different) < 20


def test_nobody_is_scored_by_a_classifier_that_saw_them_and_everybody_is_scored(people, fake, tmp_path):
    studied(people, fake, tmp_path, replace(CONFIG, search_trials=1, search_without="P002"))
    everybody = {r.subject for r in people}
    seen, asked = set(), []
    for what, who in fake.book:
        if what == "fit":
            seen = set(who)
            assert "P002" in seen  # trained on in every fold, scored in none
        else:
            assert who not in seen
            asked.append(who)
    assert sorted(asked) == sorted(everybody - {"P002"})


def test_a_search_that_was_stopped_ends_as_one_that_was_not(people, fake, tmp_path):
    whole = studied(people, fake, tmp_path)
    file = tmp_path / "study.json"
    studied(people, fake, tmp_path, replace(CONFIG, search_trials=4), file=file)
    before = len(fake.made)
    again = studied(people, fake, tmp_path, file=file)
    assert [t["settings"] for t in again["trials"]] == [t["settings"] for t in whole["trials"]]
    assert len(fake.made) - before <= 6  # five trials, and once to ask for the settings
    assert json.loads(file.read_text())["best"] == again["best"] == whole["best"]
    count = len(fake.book)
    assert studied(people, fake, tmp_path, file=file) == again
    assert len(fake.book) == count
    with pytest.raises(ConfigError, match=r"study.json is a search of other folds, trained on only"):
        studied(people, fake, tmp_path, replace(CONFIG, search_without="P001"), file=file)


def test_a_search_does_not_go_on_with_trials_of_other_settings(people, fake, tmp_path):
    """Batch, hidden units, precision: the space does not say them."""
    file = tmp_path / "study.json"
    few = replace(CONFIG, search_trials=2)
    study = studied(people, fake, tmp_path, few, file=file)
    told = json.loads(file.read_text())["settings"]
    assert told == study["settings"] == {"method": "spectr-mlp", "rate": None, "classes": list(HARTH.codes)}
    other = replace(few, spectr_mlp=OwnSettings(rate=0.3))
    with pytest.raises(ConfigError, match=r"study.json is a search of other settings; remove it to search anew"):
        studied(people, fake, tmp_path, other, file=file)


def test_a_study_of_a_time_before_it_told_its_settings_goes_on(people, fake, tmp_path):
    file = tmp_path / "study.json"
    study = studied(people, fake, tmp_path, replace(CONFIG, search_trials=3), file=file)
    file.write_text(json.dumps({key: value for key, value in study.items() if key != "settings"}))
    again = studied(people, fake, tmp_path, replace(CONFIG, search_trials=4), file=file)
    assert again["trials"][:3] == study["trials"]
    assert "settings" in json.loads(file.read_text())


def test_who_has_no_label_is_not_scored_and_the_search_ends(people, fake, tmp_path):
    """As somebody of HARTH who only cycles, under the seven classes of HAR70+."""
    unlabelled = replace(people[2], labels=np.full(len(people[2]), -1, np.int16))
    study = studied([*people[:2], unlabelled, *people[3:]], fake, tmp_path, replace(CONFIG, search_trials=2))
    assert sorted(who for fold in study["folds"] for who in fold) == ["P001", "P002", "P004", "P005"]
    assert study["trained on only"] == ["P003"]
    assert all(set(trial["people"]) == {"P001", "P002", "P004", "P005"} for trial in study["trials"])
    assert all(np.isfinite(trial["macro_f1"]) for trial in study["trials"])


def test_what_is_proposed_follows_what_was_found():
    """Sixty trials that like one value: the estimator proposes it far more often than chance would."""
    values = [(0.1, 1, 0.1), (0.2, 3, 0.9), (0.3, 4, 0.2), (0.1, 2, 0.1)] * 15
    trials = [{"settings": {"spectr_mlp.rate": r, "spectr_mlp.steps": s}, "macro_f1": f} for r, s, f in values]
    found = [proposal(SPACE, trials, seed) for seed in range(20)]
    assert sum(one["spectr_mlp.rate"] == 0.2 for one in found) >= 15
    assert proposal(SPACE, trials, 7) == proposal(SPACE, trials, 7)
    assert len({json.dumps(proposal(SPACE, [], seed)) for seed in range(20)}) > 5


def test_spaces():
    assert space_of("spectr-te", EvaluateConfig(FinetuneConfig(steps=400, rate=0.001))) == {
        "spectr_te.rate": (0.0003, 0.001, 0.003),
        "spectr_te.steps": (400, 800, 1600),
    }
    own = EvaluateConfig(FinetuneConfig(steps=400), spectr_mlp=OwnSettings(rate=0.003))
    assert space_of("spectr-mlp", own)["spectr_mlp.rate"] == (0.0009, 0.003, 0.009)
    epochs = EvaluateConfig(FinetuneConfig(epochs=15, cuts="grid"))  # they say how long: steps= would contradict them
    assert list(space_of("selfpab", epochs)) == ["selfpab.rate"]
    assert own_settings("selfpab", changed(epochs, {"selfpab.rate": space_of("selfpab", epochs)["selfpab.rate"][0]}))
    assert {key: len(choices) for key, choices in space_of("xgb", own).items()} == {
        "xgb.eta": 3,
        "xgb.max_depth": 5,
        "xgb.n_estimators": 6,
    }
    with pytest.raises(ConfigError, match="my:Own has no settings to search; those that have: svm, xgb, "):
        space_of("my:Own", own)


def test_too_few_people_and_strangers_are_refused(people):
    with pytest.raises(ConfigError, match="needs 3 labelled people or more to score, got P00"):
        people_by_fold(people[:3], "P001")
    with pytest.raises(ConfigError, match="search_without names S009, there are P001, P002, P003, P004, P005"):
        people_by_fold(people, "S009")
    folds = people_by_fold(people, "")
    assert sorted(s for fold in folds for s in fold) == [f"P00{n}" for n in range(1, 6)]
    assert people_by_fold(people[::-1], "") == folds


def test_nested_searches_among_the_training_people_and_trains_on_all_of_them(people, fake, tmp_path):
    given = replace(CONFIG, search="nested", search_trials=3, search_without="P001")  # P001 is the test person here
    classifier = Nested("spectr-mlp", HARTH, given, 7, tmp_path, fake.make)
    with pytest.raises(RuntimeError, match="fit before predict"):
        classifier.predict(people[0])
    classifier.fit(people[1:])
    assert not any("P001" in who for _, who in fake.book)
    assert fake.book[-1] == ("fit", ["P002", "P003", "P004", "P005"])
    rate, steps, seed = fake.made[-1]
    assert classifier.facts["search"] == {"spectr_mlp.rate": rate, "spectr_mlp.steps": steps}
    assert seed == 7


def folder_of(people, path):
    write_dataset(path, people)
    return str(path)


def test_evaluate_searches_on_another_data_set_and_says_so(people, tmp_path):
    """With a real method: the settings of every fold are those of the study, and results.json names it."""
    here = folder_of(people[:2], tmp_path / "here")
    elsewhere = folder_of([replace(r, subject=f"Q{r.subject}") for r in people[2:]], tmp_path / "elsewhere")
    config = replace(CONFIG, search=elsewhere, search_trials=2)
    run = tmp_path / "run"
    evaluate(["spectr-mlp"], here, run, config)
    study = json.loads((run / "spectr-mlp" / "search-simulated.json").read_text())
    results = read_results(run / "spectr-mlp" / "seed-0" / "results.json")
    assert results["search"]["best"] == study["best"]
    assert (results["search"]["file"], results["search"]["trials"]) == ("search-simulated.json", 2)
    assert results["search"]["data"] == study["data"]
    assert {subject for fold in study["folds"] for subject in fold} == {f"QP00{n}" for n in (3, 4, 5)}
    assert results["config"]["rate"] == study["best"]["spectr_mlp.rate"]
    assert results["config"]["steps"] == study["best"]["spectr_mlp.steps"]
    kept = run / "spectr-mlp" / "seed-0" / "config.yaml"
    again = load(EvaluateConfig, preset=kept, section="evaluate")
    assert (again.search, again.search_without) == (None, "")  # it is done; to repeat this is not to search around it
    for idle in ({"search_trials": 3}, {"search_without": "P001"}):
        with pytest.raises(
            ConfigError, match="say how settings are searched for, and none are: say search=DATASET too"
        ):
            evaluate(["spectr-mlp"], here, tmp_path / "idle", replace(again, **idle))
    assert again.spectr_mlp.rate == study["best"]["spectr_mlp.rate"]
    folds = {path: path.stat().st_mtime_ns for path in run.rglob("folds/*.json")}
    evaluate(["spectr-mlp"], here, run, again)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("folds/*.json")} == folds
    with pytest.raises(ConfigError, match="would choose settings on the test people; name another data set"):
        evaluate(["spectr-mlp"], here, tmp_path / "other", replace(config, search=here))


def test_settings_are_not_searched_on_people_who_are_tested(people, tmp_path):
    """Not even where a file more gives the folder another checksum, and the people other names."""
    here = folder_of(people[:2], tmp_path / "here")
    elsewhere = folder_of([replace(r, subject=f"Q{r.subject}") for r in people[1:]], tmp_path / "elsewhere")
    config = replace(CONFIG, search=elsewhere, search_trials=2)
    with pytest.raises(ConfigError, match=r"search=.*elsewhere holds people who are tested: P002 \(there QP002\)"):
        evaluate(["spectr-mlp"], here, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_evaluate_searches_in_every_fold(people, tmp_path):
    here = folder_of(people[:4], tmp_path / "here")
    config = replace(CONFIG, finetune=replace(CONFIG.finetune, steps=2), search="nested", search_trials=2)
    evaluate(["spectr-mlp"], here, tmp_path / "run", config)
    results = read_results(tmp_path / "run" / "spectr-mlp" / "seed-0" / "results.json")
    assert set(results["search"]["nested"]) == {f"P00{n}" for n in (1, 2, 3, 4)}
    for chosen in results["search"]["nested"].values():
        assert set(chosen) == {"spectr_mlp.rate", "spectr_mlp.steps"}
    with pytest.raises(ValueError, match="was made with other settings"):
        evaluate(["spectr-mlp"], here, tmp_path / "run", replace(config, search_trials=3))
