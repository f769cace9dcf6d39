"""Methods side by side: what may stand in one table, means over seeds and people, paired differences against scipy."""

import csv
import json
import math

import numpy as np
import pytest
from scipy import stats

from selfpab.activities import Activities
from selfpab.evaluation.calibration import nothing_counted
from selfpab.evaluation.comparison import (
    difference,
    differences,
    gather,
    p_text,
    per_class,
    row,
    scores_by_seed,
    sign_flip_p,
    subject_scores,
    table_lines,
    total_confusion,
    write_tables,
)
from selfpab.evaluation.folds import Fold
from selfpab.evaluation.metrics import macro_f1
from selfpab.evaluation.results import assemble, read_results, write_results

TWO = Activities("two", (1, 6), ("walking", "standing"))
PEOPLE = tuple("abcdef")
TRUTH = {person: (40 + place, 20 + 3 * place) for place, person in enumerate(PEOPLE)}


def matrix(person: str, right: float, generator: np.random.Generator) -> np.ndarray:
    counts = np.zeros((2, 2), np.int64)
    for place, total in enumerate(TRUTH[person]):
        hits = generator.binomial(total, right)
        counts[place, place], counts[place, 1 - place] = hits, total - hits
    return counts


def results_of(matrices: dict[str, np.ndarray], method: str = "svm", seed: int | None = 0, **changed) -> dict:
    folds = {
        person: Fold(person, counts, int(counts.sum()), 0, nothing_counted(), 1.0)
        for person, counts in matrices.items()
    }
    told = {"dataset": "two", "protocol": "paper", "data": {"version": "1", "sha256": "ab"}, "seed": seed}
    return assemble(folds, changed.pop("activities", TWO), method=method, **(told | changed))


@pytest.fixture
def write(tmp_path):
    """Write a results.json into the run folder: method, seed, how often it is right."""

    def _write(method: str, seed: int = 0, right: float = 0.8, **changed):
        generator = np.random.default_rng([seed, int(1000 * right)])
        content = results_of({person: matrix(person, right, generator) for person in PEOPLE}, method, seed, **changed)
        path = tmp_path / method / f"seed-{seed}" / "results.json"
        write_results(path, content)
        return path

    return _write


@pytest.fixture
def run(tmp_path, write):
    for seed in (0, 1, 2):
        write("selfpab", seed, 0.9)
        write("svm", seed, 0.7)
    write("own", 0, 0.8)
    return tmp_path


class TestGather:
    def test_methods_stand_in_the_order_of_the_paper_from_below_or_as_asked(self, run):
        runs = gather(run)
        assert list(runs) == ["selfpab", "svm", "own"]
        assert list(runs["selfpab"]) == [0, 1, 2]
        assert list(gather(run, ["own", "svm"])) == ["own", "svm"]

    def test_one_seed_may_lie_without_a_folder(self, tmp_path):
        write_results(tmp_path / "svm" / "results.json", results_of({"a": np.eye(2, dtype=np.int64)}, seed=None))
        assert list(gather(tmp_path)["svm"]) == [0]

    def test_seeds_are_in_the_order_of_numbers(self, write, tmp_path):
        for seed in (10, 2):
            write("svm", seed)
        assert list(gather(tmp_path)["svm"]) == [2, 10]

    @pytest.mark.parametrize(
        ("changed", "what"),
        [
            ({"dataset": "three"}, "data set: two there, three here"),
            ({"data": {"version": "2", "sha256": "ab"}}, "version: 1 there, 2 here"),
            ({"data": {"version": "1", "sha256": "cd"}}, "sha256: ab there, cd here"),
            ({"activities": Activities("two", (1, 7), ("walking", "sitting"))}, "classes: .* there, .* here"),
        ],
    )
    def test_other_data_are_refused(self, write, tmp_path, changed, what):
        write("selfpab")
        write("svm", **changed)
        with pytest.raises(ValueError, match=rf"selfpab/seed-0.*svm/seed-0.*differ in {what}.*run folders"):
            gather(tmp_path)
        assert list(gather(tmp_path, ["svm"])) == ["svm"]

    def test_other_people_and_another_truth_are_refused(self, write, tmp_path):
        path = write("selfpab")
        matrices = {person: np.array(item["confusion"]) for person, item in read_results(path)["subjects"].items()}
        other = tmp_path / "svm" / "seed-0" / "results.json"
        write_results(other, results_of({person: matrices[person] for person in PEOPLE[1:]}))
        with pytest.raises(ValueError, match="differ in subjects"):
            gather(tmp_path)
        write_results(other, results_of({**matrices, "a": matrices["a"] + 1}))
        with pytest.raises(ValueError, match="differ in the truth"):
            gather(tmp_path)

    @pytest.mark.parametrize(
        ("what", "there"),
        [
            ("protocol", "authors"),
            ("train_with", ["harth"]),
            ("config", {"hidden": 16, "seed": 0}),
            ("precision", "bf16"),
            ("encoder", {"d_model": 12}),
            ("search", {"nested": {"a": {"svm.C": 1.0}}}),
            ("upstream", {"sha256": "cd", "hours": 3.0}),
        ],
    )
    def test_seeds_of_one_method_are_made_alike_and_methods_may_differ(self, write, tmp_path, what, there):
        changed = {what: there}
        write("svm", 0)
        write("selfpab", 0, **changed)
        gather(tmp_path)
        write("svm", 1, **changed)
        with pytest.raises(ValueError, match=rf"svm/seed-0.*svm/seed-1.*differ in {what}: "):
            gather(tmp_path)

    def test_a_seed_may_be_made_with_the_settings_that_a_search_found_for_another(self, write, tmp_path):
        """config.yaml of a searched evaluation holds them, and no search."""
        write("svm", 0, config={"C": 1.0}, search={"best": {"svm.C": 1.0}})
        write("svm", 1, config={"C": 1.0})
        assert list(gather(tmp_path)["svm"]) == [0, 1]

    def test_seeds_may_differ_in_what_chance_decides(self, write, tmp_path):
        """The seed that a user's own method tells, and what every fold's own search found."""
        for seed in (0, 1):
            search = {"nested": {"a": {"svm.C": 10.0**seed}}}
            upstream = {"sha256": "cd", "hours": 3.0}
            write("svm", seed, config={"method": "mine", "seed": seed}, search=search, upstream=upstream)
        assert list(gather(tmp_path)["svm"]) == [0, 1]

    def test_a_file_that_was_moved_is_refused(self, write, tmp_path):
        write("svm", 3).parent.rename(tmp_path / "svm" / "seed-4")
        with pytest.raises(ValueError, match="holds svm with seed 3; was it moved"):
            gather(tmp_path)
        (tmp_path / "svm").rename(tmp_path / "xgb")
        (tmp_path / "xgb" / "seed-4").rename(tmp_path / "xgb" / "seed-3")
        with pytest.raises(ValueError, match="holds svm with seed 3; was it moved"):
            gather(tmp_path)

    def test_a_seed_that_is_there_twice_is_refused(self, write, tmp_path):
        content = read_results(write("svm", 3))
        write_results(tmp_path / "svm" / "results.json", content)
        with pytest.raises(ValueError, match="svm has seed 3 twice"):
            gather(tmp_path)

    def test_a_score_that_does_not_follow_from_its_matrix_is_refused(self, write, tmp_path):
        path = write("svm")
        content = json.loads(path.read_text())
        content["subjects"]["c"]["macro_f1"] += 0.001
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=r"macro F1 of c is said to be .*altered"):
            gather(tmp_path)

    def test_nothing_to_gather_says_what_was_wanted(self, run):
        with pytest.raises(ValueError, match=r"no results.json of any method; wanted .*<method>/seed-<n>"):
            gather(run / "svm" / "seed-0")
        with pytest.raises(ValueError, match=r"no results.json of xgb"):
            gather(run, ["svm", "xgb"])


class TestScores:
    def test_a_subject_is_averaged_over_seeds_before_people_are(self, run):
        runs = gather(run)
        by_hand = np.array(
            [
                [macro_f1(np.array(content["subjects"][person]["confusion"])) for person in PEOPLE]
                for content in runs["svm"].values()
            ]
        )
        assert list(subject_scores(runs["svm"]).values()) == pytest.approx(list(by_hand.mean(axis=0)))
        assert scores_by_seed(runs["svm"])["b"] == pytest.approx(list(by_hand[:, 1]))
        line = row("svm", runs["svm"])
        assert (line.method, line.seeds, line.n) == ("svm", (0, 1, 2), 6)
        assert line.mean == pytest.approx(by_hand.mean())
        assert line.sem == pytest.approx(stats.sem(by_hand.mean(axis=0)))
        assert line.seed_sd == pytest.approx(by_hand.mean(axis=1).std(ddof=1))
        assert math.isnan(row("own", runs["own"]).seed_sd)

    def test_one_seed_gives_what_results_json_says(self, run):
        runs = gather(run)
        said = runs["own"][0]
        assert row("own", runs["own"])[2:4] == pytest.approx((said["macro_f1"]["mean"], said["macro_f1"]["sem"]))
        for name, score in per_class(runs["own"]).items():
            assert score._asdict() == pytest.approx(said["per_class_f1"][name])

    def test_a_class_never_done_counts_where_it_was_predicted(self):
        """BEHAVIOUR (f), then over seeds: nothing in no seed is left out, predicted in one of two seeds is 0."""
        never, predicted = np.array([[5, 0], [0, 0]]), np.array([[4, 1], [0, 0]])
        done = np.array([[5, 0], [0, 5]])
        first = results_of({"a": never, "b": never, "c": done})
        second = results_of({"a": never, "b": predicted, "c": done}, seed=1)
        assert per_class({0: first, 1: second})["standing"] == pytest.approx((0.5, 0.5, 2))
        assert per_class({0: first})["standing"][2] == 1
        assert subject_scores({0: first, 1: second})["b"] == pytest.approx((1 + (8 / 9 + 0) / 2) / 2)

    def test_the_summed_confusion_is_as_large_as_the_data(self, run):
        seeds = gather(run)["svm"]
        total = total_confusion(seeds)
        assert total.sum(axis=1) == pytest.approx(np.sum(list(TRUTH.values()), axis=0))
        assert 3 * total[0, 1] == sum(
            item["confusion"][0][1] for c in seeds.values() for item in c["subjects"].values()
        )


class TestDifferences:
    def test_they_are_those_of_a_paired_t_test(self, run):
        runs = gather(run)
        ours, theirs = (np.array(list(subject_scores(runs[name]).values())) for name in ("selfpab", "svm"))
        found, expected = difference("selfpab", "svm", runs), stats.ttest_rel(ours, theirs)
        interval = expected.confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
        assert found.mean == pytest.approx((ours - theirs).mean())
        assert found.mean / found.sem == pytest.approx(expected.statistic)
        assert (found.n, found.better) == (6, int((ours > theirs).sum()))
        other_way = difference("svm", "selfpab", runs)
        assert (other_way.mean, other_way.low) == pytest.approx((-found.mean, -found.high))

    def test_every_pair_once(self, run):
        assert [pair[:2] for pair in differences(gather(run))] == [
            ("selfpab", "svm"),
            ("selfpab", "own"),
            ("svm", "own"),
        ]

    def test_equal_methods_do_not_differ(self, run):
        seeds = gather(run)["own"]
        same = difference("a", "b", {"a": seeds, "b": seeds})
        assert (same.mean, same.low, same.high, same.better, same.p) == (0, 0, 0, 0, 1)

    def test_one_person_has_no_interval(self):
        one, two = (results_of({"a": np.array(counts)}) for counts in ([[4, 1], [0, 5]], [[5, 0], [0, 5]]))
        found = difference("x", "y", {"x": {0: one}, "y": {0: two}})
        assert found.mean < 0
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        assert found.p == 1

    def test_different_people_are_no_pair(self):
        one, two = (results_of({person: np.eye(2, dtype=np.int64)}) for person in "ab")
        with pytest.raises(ValueError, match=r"x and y were tested on different subjects: \['a', 'b'\]"):
            difference("x", "y", {"x": {0: one}, "y": {0: two}})

    @pytest.mark.parametrize("people", [3, 8, 14])
    def test_p_is_that_of_scipy(self, people):
        apart = np.random.default_rng(people).normal(0.4, 1, people).round(2)
        expected = stats.permutation_test(
            (apart,), np.mean, permutation_type="samples", n_resamples=2**people, vectorized=True
        )
        assert sign_flip_p(apart) == pytest.approx(expected.pvalue)

    def test_random_flips_agree_with_all_flips_and_repeat(self, monkeypatch):
        apart = np.random.default_rng(5).normal(0.4, 1, 12)
        exact = sign_flip_p(apart)
        monkeypatch.setattr("selfpab.evaluation.comparison.EXACT_PEOPLE", 0)
        assert sign_flip_p(apart) == pytest.approx(exact, abs=0.006)
        assert sign_flip_p(apart) == sign_flip_p(apart) != exact
        assert sign_flip_p(np.full(40, 1.0)) == 1e-5  # never 0

    def test_no_difference_known_has_no_p(self):
        assert math.isnan(sign_flip_p(np.zeros(0)))
        assert [p_text(p) for p in (0.0004, 0.0421, math.nan)] == ["< 0.001", "0.042", "-"]


class TestShown:
    def test_lines_for_the_terminal(self, run):
        runs = gather(run)
        lines = table_lines(runs)
        line = row("svm", runs["svm"])
        (told,) = (text for text in lines if text.startswith("svm  "))
        assert told.split() == [
            *("svm", f"{100 * line.mean:.1f}", "±", f"{100 * line.sem:.1f}", f"{100 * line.seed_sd:.1f}", "3", "6")
        ]
        pair = difference("selfpab", "svm", runs)
        assert any(
            text.startswith(f"selfpab - svm: {100 * pair.mean:+.1f} ({100 * pair.low:+.1f} to") for text in lines
        )
        (told,) = (text for text in lines if text.startswith("own  "))
        assert told.split()[-3:] == ["-", "1", "6"]
        assert len(table_lines({"svm": runs["svm"]})) == 2

    def test_tables_hold_the_whole_numbers(self, run, tmp_path):
        runs = gather(run)
        table, apart = write_tables(runs, tmp_path / "out")
        assert (table.name, apart.name) == ("table.csv", "differences.csv")
        lines = {line["method"]: line for line in csv.DictReader(table.read_text().splitlines())}
        assert list(lines["svm"]) == ["method", "seeds", "mean", "sem", "seed_sd", "n"]
        assert float(lines["svm"]["mean"]) == row("svm", runs["svm"]).mean
        assert (lines["svm"]["seeds"], lines["own"]["seeds"], lines["own"]["seed_sd"]) == ("0 1 2", "0", "")
        pairs = list(csv.DictReader(apart.read_text().splitlines()))
        assert float(pairs[0]["low"]) == difference("selfpab", "svm", runs).low
        assert len(pairs) == 3
