"""Which results stand side by side, and which must not."""

import json

import pytest

from selfpab.evaluation.comparison import row
from selfpab.evaluation.results import read_results, write_results
from selfpab.reproduce.collected_results import (
    ReproduceConfig,
    beside_the_paper,
    collect,
    find,
    run_folders,
)

PEOPLE = [f"S{number:03d}" for number in range(6, 12)]


@pytest.fixture(scope="module")
def results(put_results, tmp_path_factory):
    """As `results/` is: main runs called like their data set, side experiments, and files that are no evaluation."""
    folder = tmp_path_factory.mktemp("results")
    put_results(folder / "har70plus", {"mine": 0.7, "selfpab": 0.8, "svm": 0.6})
    put_results(folder / "harth", {"svm": 0.6}, "harth", people=PEOPLE, version="2.0")
    put_results(folder / "har70plus-frozen", {"selfpab": 0.5})
    put_results(folder / "har70plus-10h", {"selfpab": 0.6}, hours=10.0)
    put_results(folder / "har70plus-9people", {"xgb": 0.6}, people=["501", "502"])
    (folder / "curve").mkdir()
    (folder / "curve" / "results.json").write_text('{"rows": []}')
    (folder / "other" / "run").mkdir(parents=True)
    (folder / "other" / "run" / "results.json").write_text('{"schema": 1, "method": "selfpab"}')
    return folder


def test_of_a_folder_of_run_folders_those_called_like_their_data_set_are_taken(results):
    assert [path.name for path in run_folders(str(results))] == ["har70plus", "harth"]
    assert [path.name for path in run_folders(str(results), hours=True)] == ["har70plus", "har70plus-10h", "harth"]
    assert run_folders(f"{results}/har70plus-frozen, {results}/har70plus-frozen") == [results / "har70plus-frozen"]


def test_data_sets_come_in_the_order_of_the_paper_and_so_do_methods(results):
    harth, har70 = collect(ReproduceConfig(str(results)))
    assert (harth.dataset, har70.dataset) == ("harth", "har70plus")
    assert list(har70.runs) == ["svm", "selfpab", "mine"]
    assert har70.folders["mine"] == results / "har70plus"
    assert (harth.people, har70.people, harth.left_out) == (6, 18, ())


def test_a_run_folder_without_seed_folders_is_one_too(put_results, tmp_path):
    put_results(tmp_path / "a", {"svm": 0.6}, seeds=(0,))
    (tmp_path / "a" / "svm" / "seed-0" / "results.json").rename(tmp_path / "a" / "svm" / "results.json")
    assert run_folders(str(tmp_path / "a")) == [tmp_path / "a"]


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ("{}/nowhere", "there is no folder .*nowhere"),
        ("", "names no folder"),
        ("{}/curve", r"curve is no run folder .* there are none at all"),
        ("{}/har70plus/svm", "is no run folder"),
    ],
)
def test_folders_without_results(results, places, message):
    with pytest.raises(ValueError, match=message):
        run_folders(places.format(results))


def test_run_folders_of_other_names_are_named(put_results, tmp_path):
    put_results(tmp_path / "monday", {"svm": 0.6}, seeds=(0,))
    with pytest.raises(ValueError, match=r"there are monday: give the one you mean, as results=.*/monday, or"):
        run_folders(str(tmp_path))


def test_versions_are_never_mixed(put_results, results, tmp_path):
    put_results(tmp_path / "x", {"svm": 0.6}, "harth", people=PEOPLE, version="1.2")
    both = ReproduceConfig(f"{results}/harth,{tmp_path}/x")
    with pytest.raises(
        ValueError, match=r"harth and .*x are both of harth and differ in version: 2\.0 and 1\.2; data are"
    ):
        collect(both)
    put_results(tmp_path / "y", {"xgb": 0.6}, "harth", people=PEOPLE, version="2.0")
    assert list(collect(ReproduceConfig(f"{results}/harth,{tmp_path}/y"))[0].runs) == ["svm", "xgb"]
    for change, message in (
        ({"data": {"version": "2.0", "sha256": "f" * 64}}, "differ in sha256"),
        ({"people": PEOPLE[1:]}, "differ in people"),
    ):
        put_results(tmp_path / "z", {"xgb": 0.6}, "harth", **({"people": PEOPLE, "version": "2.0"} | change))
        with pytest.raises(ValueError, match=message):
            collect(ReproduceConfig(f"{results}/harth,{tmp_path}/z"))


def test_what_the_people_did_must_be_the_same(put_results, results, tmp_path):
    put_results(tmp_path, {"xgb": 0.6}, "harth", seeds=(0,), people=PEOPLE, version="2.0")
    path = tmp_path / "xgb" / "seed-0" / "results.json"
    content = read_results(path)
    person = content["subjects"][PEOPLE[2]]
    person["confusion"] = [[2 * count for count in line] for line in person["confusion"]]  # the same F1
    write_results(path, content)
    with pytest.raises(ValueError, match="differ in what the people did"):
        collect(ReproduceConfig(f"{results}/harth,{tmp_path}"))


def test_a_method_that_is_in_two_folders_must_be_the_same(put_results, results, tmp_path):
    put_results(tmp_path / "copy", {"svm": 0.6})
    assert "svm" in collect(ReproduceConfig(f"{results}/har70plus,{tmp_path}/copy"))[0].runs
    put_results(tmp_path / "other", {"svm": 0.65})
    with pytest.raises(ValueError, match=r"har70plus and .*other hold different results of svm; give one of them"):
        collect(ReproduceConfig(f"{results}/har70plus,{tmp_path}/other"))


def test_people_can_be_left_out(results):
    everybody = collect(ReproduceConfig(str(results)))
    fewer = collect(ReproduceConfig(str(results), without="S009, S007"))
    assert (fewer[0].people, fewer[0].left_out) == (4, ("S009", "S007"))
    assert (fewer[1].people, fewer[1].left_out) == (18, ())  # nobody of that name there
    content = json.loads((results / "harth" / "svm" / "seed-1" / "results.json").read_text())
    by_hand = [own["macro_f1"] for who, own in content["subjects"].items() if who not in ("S009", "S007")]
    assert row("svm", {1: fewer[0].runs["svm"][1]}).mean == pytest.approx(sum(by_hand) / 4)
    assert row("svm", fewer[1].runs["svm"]) == row("svm", everybody[1].runs["svm"])
    assert len(everybody[0].first["subjects"]) == 6


def test_leaving_out_nobody_or_everybody_is_an_error(results):
    with pytest.raises(ValueError, match=r"without=S099: nobody is called S099; there are \['501'"):
        collect(ReproduceConfig(str(results), without="S099"))
    with pytest.raises(ValueError, match=r"leaves nobody of .*harth"):
        collect(ReproduceConfig(str(results), without=",".join(PEOPLE)))


def test_only_the_same_people_and_version_may_stand_beside_the_paper(put_results, results, tmp_path):
    harth, har70 = collect(ReproduceConfig(str(results)))
    assert beside_the_paper(har70) == ""
    assert beside_the_paper(harth) == (
        "the paper's numbers are of harth 1.2 with 22 people, these of version 2.0 with 6: they are not shown beside "
        "each other"
    )
    (fewer,) = collect(ReproduceConfig(f"{results}/har70plus", without="507"))
    assert "with 18 people, these of version 1.0 with 17" in beside_the_paper(fewer)
    put_results(tmp_path, {"svm": 0.6}, "har70plus", seeds=(0,), version="1.1")
    assert "these of version 1.1 with 18" in beside_the_paper(collect(ReproduceConfig(str(tmp_path)))[0])
    other = har70._replace(runs={"svm": {0: {**har70.first, "dataset": "mine"}}})
    assert beside_the_paper(other) == "the paper reports nothing of mine"


def test_other_classes_or_other_training_people_may_not_stand_beside_the_paper(put_results, tmp_path):
    """As HAR70+ with the ten classes of HARTH, whose people were trained on in every fold."""
    put_results(tmp_path / "a", {"xgb": 0.6, "mine": 0.7}, seeds=(0,), train_with=[{"name": "harth"}])
    (both,) = collect(ReproduceConfig(str(tmp_path / "a")))
    assert beside_the_paper(both) == (
        "the paper trained on har70plus alone, these were trained with harth too: they are not shown beside each other"
    )
    own = both._replace(runs={"mine": both.runs["mine"]})  # the paper has no number of it that could mislead
    assert beside_the_paper(own) == ""
    ten = [*both.first["classes"], *({"code": code, "name": ""} for code in (2, 13, 14))]
    more = both._replace(runs={"mine": {0: {**both.first, "classes": ten}}})
    assert beside_the_paper(more) == (
        "the paper tells 7 activities of har70plus apart, these 10 (with 2, 13, 14): they are not shown beside each other"
    )
    fewer = both._replace(runs={"mine": {0: {**both.first, "classes": both.first["classes"][1:]}}})
    assert "these 6 (without the codes 6): they" in beside_the_paper(fewer)


def test_figure_3_takes_folders_of_hours(results):
    found = find(ReproduceConfig(str(results)), hours=True)
    assert [one.folder.name for one in found["har70plus"]] == ["har70plus", "har70plus-10h"]
