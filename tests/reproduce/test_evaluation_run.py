"""`selfpab evaluate` from folds to tables and page."""

import csv
import json
from dataclasses import replace

import pytest

from selfpab import simulate
from selfpab.cross_validation import FoldsFailed
from selfpab.data.simulation import NO_FAULTS, write_dataset
from selfpab.downstream import FinetuneConfig
from selfpab.methods import EvaluateConfig
from selfpab.reproduce import evaluation_run as module
from selfpab.reproduce.evaluation_run import evaluate_and_report

CONFIG = EvaluateConfig(FinetuneConfig(steps=10, batch=4, hidden=8, rate=0.01), precision="fp32", seeds="0,1")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_dataset(folder, simulate(3, 0.1, seed=1, scenario="protocol", faults=NO_FAULTS))
    return str(folder)


def test_an_evaluation_ends_with_tables_and_a_page(people, tmp_path):
    lines = evaluate_and_report(["spectr-mlp"], people, tmp_path, CONFIG)
    results = [json.loads((tmp_path / "spectr-mlp" / f"seed-{n}" / "results.json").read_text()) for n in (0, 1)]
    mean = sum(r["macro_f1"]["mean"] for r in results) / 2
    assert f"{100 * mean:.1f} ±" in lines[1]
    assert lines[-1] == f"open {tmp_path / 'report.html'}"
    page = (tmp_path / "report.html").read_text()
    assert f"{100 * mean:.1f}" in page
    (row,) = csv.DictReader((tmp_path / "table.csv").read_text().splitlines())
    assert (row["method"], row["seeds"]) == ("spectr-mlp", "0 1")
    assert float(row["mean"]) == pytest.approx(mean)


def test_what_is_complete_is_reported_where_folds_failed(people, tmp_path, monkeypatch):
    evaluate_and_report(["spectr-mlp"], people, tmp_path, replace(CONFIG, seeds="0"))

    def fails(*_):
        raise FoldsFailed(["spectr-mlp, seed 1, P001: it broke"], ["spectr-mlp: done"])

    monkeypatch.setattr(module, "evaluate", fails)
    with pytest.raises(FoldsFailed, match="1 folds failed") as caught:
        evaluate_and_report(["spectr-mlp"], people, tmp_path, CONFIG)
    assert caught.value.lines[-1] == f"open {tmp_path / 'report.html'}"
