"""Table 1: rows, numbers against an independent computation, the paper's beside ours only where they may stand there."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from selfpab.evaluation.comparison import Row
from selfpab.paper import TABLE_1
from selfpab.reproduce.collected_results import ReproduceConfig, collect
from selfpab.reproduce.table1 import (
    _against,
    difference_cells,
    notes,
    paired,
    provenance,
    reported,
    table_cells,
    write_table,
)

COMMITTED = Path(__file__).resolve().parents[2] / "results"
PEOPLE = [f"S{number:03d}" for number in range(6, 13)]


def scores_by_hand(folder: Path, method: str) -> np.ndarray:
    """Macro F1 of every person, by scikit-learn from samples, averaged over the seeds."""
    of_seeds = []
    for path in sorted(folder.glob(f"{method}/seed-*/results.json")):
        of_people = []
        for own in json.loads(path.read_text())["subjects"].values():
            counts = np.array(own["confusion"])
            truth, said = (part.repeat(counts.ravel()) for part in np.indices(counts.shape).reshape(2, -1))
            of_people.append(f1_score(truth, said, average="macro"))
        of_seeds.append(of_people)
    return np.mean(of_seeds, axis=0)


@pytest.fixture(scope="module")
def results(put_results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    put_results(folder / "har70plus", {"svm": 0.9, "xgb": 0.65, "mine_&_only": 0.7}, seeds=(0, 2))
    put_results(folder / "har70plus", {"selfpab": 0.85}, seeds=(0, 1), hours=12.5)
    put_results(folder / "harth", {"svm": 0.8, "selfpab": 0.9}, "harth", (0,), PEOPLE, "2.0")
    return folder


@pytest.fixture(scope="module")
def collected(results):
    return collect(ReproduceConfig(str(results)))


@pytest.fixture(scope="module")
def written(collected, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert {path.name for path in write_table(collected, out)} == {path.name for path in out.iterdir()}
    return out


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_and_columns(collected):
    head, rows = table_cells(collected)
    assert head == ["method", "harth 2.0", "har70plus 1.0", "the paper", "ours - paper"]
    assert [cells[0] for cells in rows] == [*TABLE_1, "mine_&_only"]
    cells = {row[0]: row[1:] for row in rows}
    assert cells["spectr-te"] == ["not run", "not run", "64.5 ± 2.5", ""]
    assert cells["mine_&_only"][0] == "not run"
    assert cells["mine_&_only"][2:] == ["not in it", ""]


@pytest.mark.parametrize("dataset", ["harth", "har70plus"])
@pytest.mark.parametrize("method", ["svm", "selfpab"])
def test_numbers_are_those_of_scikit_learn(results, collected, written, dataset, method):
    scores = scores_by_hand(results / dataset, method)
    mean, sem = 100 * scores.mean(), 100 * stats.sem(scores)
    head, rows = table_cells(collected)
    (cells,) = (row for row in rows if row[0] == method)
    column = next(place for place, name in enumerate(head) if name.startswith(dataset))
    assert cells[column] == f"{mean:.1f} ± {sem:.1f}"
    (line,) = (row for row in read_csv(written / "table1.csv") if (row["dataset"], row["method"]) == (dataset, method))
    assert (float(line["mean"]), float(line["sem"])) == pytest.approx((mean / 100, sem / 100))
    assert f"{mean:.1f} ± {sem:.1f}" in (written / "table1.txt").read_text()
    assert f"{mean:.1f} $\\pm$ {sem:.1f}" in (written / "table1.tex").read_text()
    if dataset == "har70plus":
        printed, error = TABLE_1[method][1]
        far = " *" if abs(mean - printed) > 2 * error else ""
        assert cells[column + 1 :] == [f"{printed} ± {error}", f"{mean - printed:+.1f}{far}"]


@pytest.mark.parametrize(
    ("mean", "said"), [(0.5, "-14.3 *"), (0.584, "-5.9 *"), (0.586, "-5.7"), (0.7, "+5.7"), (0.702, "+5.9 *")]
)
def test_the_star_says_beyond_two_errors_of_the_paper(mean, said):
    assert _against(Row("svm", (0,), mean, 0.01, math.nan, 18), (64.3, 2.9)) == said


def test_differences_are_those_of_scipy(results, collected, written):
    ours, theirs = (scores_by_hand(results / "har70plus", method) for method in ("selfpab", "svm"))
    interval = stats.ttest_rel(ours, theirs).confidence_interval()
    (line,) = (
        row
        for row in read_csv(written / "table1-differences.csv")
        if (row["dataset"], row["second"]) == ("har70plus", "svm")
    )
    assert line["first"] == "selfpab"
    assert [float(line[key]) for key in ("mean", "low", "high")] == pytest.approx([(ours - theirs).mean(), *interval])
    head, rows = difference_cells({one.dataset: paired(one) for one in collected})
    assert head[1] == "minus"
    assert [(row[0], row[1]) for row in rows] == [
        ("harth", "svm"),
        *(("har70plus", name) for name in ("svm", "xgb", "mine_&_only")),
    ]
    assert rows[1][2:5] == [
        f"{100 * (ours - theirs).mean():+.1f}",
        f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}",
        f"{np.sum(ours > theirs)} of 18",
    ]


def test_the_papers_harth_column_is_not_shown_beside_other_people(collected, written):
    said = (written / "table1.txt").read_text()
    assert "the paper's numbers are of harth 1.2 with 22 people, these of version 2.0 with 7" in said
    lines = {(row["dataset"], row["method"]): row for row in read_csv(written / "table1.csv")}
    assert lines["har70plus", "selfpab"]["paper_mean"] == "0.785"
    for method, ((mean, error), _) in TABLE_1.items():
        assert lines["harth", method]["paper_mean"] == ""
        assert reported(collected[0], method) is None
        for name in ("table1.txt", "table1.md", "table1.tex"):
            text = (written / name).read_text()
            assert f"{mean} ± {error}" not in text
            assert f"{mean} $\\pm$ {error}" not in text


def test_rows_that_were_not_run_are_empty_and_named(collected, written):
    lines = {(row["dataset"], row["method"]): row for row in read_csv(written / "table1.csv")}
    assert [lines["harth", "xgb"][key] for key in ("mean", "sem", "seeds", "commit")] == [""] * 4
    assert "harth: not run: xgb, deepconvlstm-ts, deepconvlstm-spectr, spectr-mlp, spectr-te." in notes(collected)


def test_without_ours_there_are_no_differences(results, tmp_path, put_results):
    put_results(tmp_path / "run", {"svm": 0.6}, seeds=(0,))
    collected = collect(ReproduceConfig(str(tmp_path / "run")))
    assert paired(collected[0]) == []
    assert "har70plus: no differences, for selfpab was not run." in notes(collected)
    write_table(collected, tmp_path / "out")
    assert (tmp_path / "out" / "table1.tex").read_text().count("begin{table}") == 1
    assert "data set  " not in (tmp_path / "out" / "table1.txt").read_text()


def test_every_number_says_where_it_is_from(collected, written):
    lines = provenance(collected)
    (ours,) = (line for line in lines if line.startswith("har70plus, selfpab: seed 0;"))
    for part in ("settings steps=7 rate=0.01;", "encoder 0000", "12.5 hours", "commit 0abcdef01234;", "har70plus"):
        assert part in ours
    (again,) = (line for line in lines if line.startswith("har70plus, selfpab: seed 1;"))
    assert "commit 1abcdef01234 with uncommitted changes" in again
    assert any(line.startswith("har70plus, svm: seed 2; ") for line in lines)
    assert "har70plus: version 1.0, SHA-256 of the files 1.0-har70plu, 18 people, " in "\n".join(lines)
    for name in ("table1.txt", "table1.md", "table1.tex"):
        text = (written / name).read_text()
        assert all(line in text for line in lines)
    (line,) = (row for row in read_csv(written / "table1.csv") if row["method"] == "xgb" and row["mean"])
    assert (line["seeds"], line["settings"], line["people"]) == ("0 2", "steps=7 rate=0.01", "18")
    assert line["commit"] == "commit 0abcdef01234 | commit 2abcdef01234 with uncommitted changes"


def test_latex_is_escaped_and_ruled(written):
    text = (written / "table1.tex").read_text()
    table = text[: text.index(r"\end{table}")]
    assert r"mine\_\&\_only & not run & " in table
    assert [table.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]
    body = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in body} == {4}
    assert len(body) == 1 + len(TABLE_1) + 1
    assert "±" not in table


def test_people_left_out_are_named_in_the_caption(results, tmp_path):
    collected = collect(ReproduceConfig(str(results), without="S009"))
    write_table(collected, tmp_path)
    for name in ("table1.txt", "table1.md", "table1.tex"):
        shown = [line for line in (tmp_path / name).read_text().splitlines() if not line.startswith("% ")]
        assert "6 people, without S009, " in "".join(
            shown[: -len(provenance(collected))] if name != "table1.tex" else shown
        )
    assert {row["left_out"] for row in read_csv(tmp_path / "table1.csv") if row["dataset"] == "harth"} == {"S009"}


def test_one_person_has_no_error(put_results, tmp_path):
    put_results(tmp_path / "har70plus", {"svm": 0.6, "selfpab": 0.7}, seeds=(0,), people=["501"])
    collected = collect(ReproduceConfig(str(tmp_path)))
    write_table(collected, tmp_path / "out")
    assert "one person" in (tmp_path / "out" / "table1.txt").read_text()
    assert "nan" not in "".join(path.read_text() for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["har70plus", "har70plus-1600"])
def test_the_committed_results_give_their_own_table(name, tmp_path):
    write_table(collect(ReproduceConfig(str(COMMITTED / name))), tmp_path)
    ours = {row["method"]: row for row in read_csv(tmp_path / "table1.csv") if row["mean"]}
    there = read_csv(COMMITTED / name / "table.csv")
    assert {row["method"] for row in there} == set(ours)
    for row in there:
        assert float(ours[row["method"]]["mean"]) == pytest.approx(float(row["mean"]), abs=1e-12)
        assert float(ours[row["method"]]["sem"]) == pytest.approx(float(row["sem"]), abs=1e-12)
    pairs = {row["second"]: row for row in read_csv(tmp_path / "table1-differences.csv")}
    known = [row for row in read_csv(COMMITTED / name / "differences.csv") if row["first"] == "selfpab"]
    assert known
    for row in known:
        for key in ("mean", "low", "high", "p"):
            assert math.isclose(float(pairs[row["second"]][key]), float(row[key]), abs_tol=1e-12)
