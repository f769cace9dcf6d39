"""Sections of the page that the page's own test does not reach: rare shapes of data."""

import copy

import pytest

from selfpab.evaluation.comparison import gather
from selfpab.paper import SUBJECTS
from selfpab.reproduce import evaluation_scores as scores


@pytest.fixture
def runs(run):
    return copy.deepcopy(gather(run))


def text_of(html: str) -> str:
    return html.replace("<dt>", "\n").replace("</dt><dd>", ": ").replace("</dd>", "")


def test_protocols_that_differ_are_told_method_by_method(runs):
    assert (
        text_of(scores.data_section(runs, {"standing": 1.0, "walking & <running>": 1.0, "sitting": 1.0})).count(
            "paper &amp; &lt;all&gt;"
        )
        == 1
    )
    for content in runs["svm"].values():
        content["protocol"] = "five seconds"
        content["train_with"] = [{"name": "harth", "version": "2.0", "sha256": "a"}]
    told = text_of(scores.data_section(runs, {"standing": 1.0}))
    encoder = "encoder cccccccccccc pre-trained with 21.5 hours, 3000 steps, corpora a corpus"
    assert f"\nsvm: five seconds; seeds 0, 1; {encoder}; trained also on all of harth 2.0" in told
    assert "\nselfpab: paper &amp; &lt;all&gt;; seeds 0, 1" in told


def test_a_method_without_encoder_names_none(runs):
    for content in runs["svm"].values():
        content["upstream"] = None
    told = text_of(scores.data_section({"svm": runs["svm"]}, {"standing": 1.0}))
    assert "\nsvm: seeds 0, 1\n" in told + "\n" or "\nsvm: seeds 0, 1<" in told


def test_a_perfect_method_lost_no_time(runs):
    for content in runs["svm"].values():
        for found in content["subjects"].values():
            for place, line in enumerate(found["confusion"]):
                line[place], total = 0, sum(line)
                line[:] = [total if column == place else 0 for column in range(3)]
    told = scores.failures_section({"svm": runs["svm"]}, ["standing", "walking", "sitting"])
    assert "most time lost: none." in told
    assert "(F1 100.0 %)" in told


def test_an_activity_that_nobody_did_has_no_score(runs, activities):
    for content in runs["svm"].values():
        for found in content["subjects"].values():
            matrix = found["confusion"]
            matrix[0] = [0, 0, 0]
            for line in matrix:
                line[0] = 0
    told = scores.activities_section({"svm": runs["svm"]}, activities, activities.names)
    assert '<th scope="row">sitting</th><td>nobody</td>' in told


def test_the_papers_numbers_stand_beside_no_other_classes(runs):
    """The people of these made-up runs have three classes of the seven."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SUBJECTS, "har70plus", 4)
        told = scores.methods_section(runs)
    assert "64.3 ± 2.9" not in told
    assert (
        "<p>The paper tells 7 activities of har70plus apart, these 3 (without the codes 3, 4, 5, 8): they are" in told
    )


def test_one_person_has_no_error(runs):
    for content in runs["svm"].values():
        content["subjects"] = {"502": content["subjects"]["502"]}
    assert "±" not in scores.methods_section({"svm": runs["svm"]}).split("<p>")[0].replace("64.3 ± 2.9", "")
    both = {"svm": runs["svm"], "again": runs["svm"]}
    assert "<td>one person</td>" in scores.differences_section(both)
    assert "1 comparison." in scores.differences_section(both)
