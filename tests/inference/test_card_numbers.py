"""The numbers of a model's card, from simulated people whose calibration is known."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from selfpab.evaluation.answers import Answers
from selfpab.inference.card_numbers import pieces, trust_report
from selfpab.inference.trust import fit_trust, judge, read_trust

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("walking", "standing", "stairs")


def person(rng, seconds=900):
    true = np.repeat(rng.dirichlet([0.6, 0.6, 0.1], seconds // 10), 10, axis=0)
    truth = (true.cumsum(axis=1) < rng.random((seconds, 1))).sum(axis=1).clip(0, 2)
    return Answers(truth, true**2 / (true**2).sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(4)
    return {str(n): person(rng) for n in range(5)}


@pytest.fixture(scope="module")
def report(people):
    return trust_report(people, NAMES, accuracy=0.8)


def test_calibration_gets_better(report):
    before, after = report["reliability"]["before"], report["reliability"]["after"]
    assert before["rows"] == after["rows"] == 5 * 900
    assert after["nll"] < before["nll"]
    assert after["ece"] < 0.5 * before["ece"]
    assert sum(row["n"] for row in report["diagram"]["after"]) == 5 * 900


def test_uncertain_seconds_leave_the_wanted_accuracy(report):
    assert report["uncertain"]["accuracy"] == pytest.approx(0.8, abs=0.03)
    assert 0.2 < report["uncertain"]["coverage"] < 0.95
    coverage = [point["coverage"] for point in report["uncertain"]["curve"]]
    assert coverage == sorted(coverage, reverse=True)


def test_the_gain_is_the_difference(report):
    macro = report["macro_f1"]
    assert macro["gain"]["mean"] == pytest.approx(macro["decided"]["mean"] - macro["most_probable"]["mean"])
    assert set(report["per_class_f1"]) == set(NAMES)


def test_intervals_are_counted_for_every_length(report):
    shares = [row["inside"] for key, row in report["intervals"].items() if key != "level"]
    assert len(shares) == 7
    assert all(0.6 < share <= 1 for share in shares)
    assert set(report["intervals"]["recording"]["by_class"]) == set(NAMES)


def test_it_is_plain(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_pieces_are_the_whole(people):
    judged = judge(people["0"], fit_trust(people, accuracy=0.8))
    parts = pieces(judged, 300)
    assert len(parts) == 3
    np.testing.assert_allclose(sum(part.named for part in parts), judged.minutes.named)
    np.testing.assert_allclose(sum(part.doubt for part in parts), judged.minutes.doubt)
    assert len(pieces(judged, None)) == len(pieces(judged, 10_000)) == 1


@pytest.fixture
def run(people, tmp_path):
    run = tmp_path / "runs" / "mine" / "selfpab" / "seed-0"
    (run / "seconds").mkdir(parents=True)
    classes = [{"code": code, "name": name} for code, name in enumerate(NAMES)]
    (run / "results.json").write_text(json.dumps({"schema": 1, "method": "m", "dataset": "d", "classes": classes}))
    for name, answers in people.items():
        columns = {f"p_{c}": answers.probabilities[:, k] for k, c in enumerate(NAMES)}
        table = pl.DataFrame({"truth": answers.truth, **columns, "recording": np.zeros(len(answers.truth), int)})
        table.write_parquet(run / "seconds" / f"{name}.parquet")
    return run


def test_the_recipe_runs(run, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["fit_probabilities.py", str(run), str(tmp_path / "out")])
    runpy.run_path(str(ROOT / "recipes" / "fit_probabilities.py"), run_name="__main__")
    assert json.loads((tmp_path / "out" / "d-m.json").read_text())["people"] == 5
    assert read_trust(tmp_path / "out" / "calibration.json").map.temperature == pytest.approx(2, rel=0.2)


def test_the_how_to_runs(run, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "how-to" / "probabilities.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code[1], names)
    low, high, judged = names["low"], names["high"], names["judged"]
    assert ((low <= judged.minutes.named) & (judged.minutes.named <= high)).all()
