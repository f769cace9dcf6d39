"""The demonstration runs from nothing to pictures; here with fewer people and steps than `make demo` has."""

import json

import pytest

from selfpab.config import load
from selfpab.evaluation.results import read_results
from selfpab.reproduce import demonstration
from selfpab.reproduce.demonstration import DemoConfig, demonstrate


@pytest.fixture
def shortened(monkeypatch):
    def short(kind, **options):
        few = {"pretrain": ["steps=20", "validate_every=10"], "evaluate": ["finetune.steps=10"]}[options["section"]]
        return load(kind, **(options | {"settings": [*options.get("settings", []), *few]}))

    monkeypatch.setattr(demonstration, "load", short)


def test_from_nothing_to_pictures(tmp_path, shortened):
    lines = list(demonstrate(tmp_path / "demo", DemoConfig(people=3, hours=0.1, day_hours=0.1)))
    for name in (
        "loss.png",
        "reconstructions.png",
        "day.png",
        "day/seconds.parquet",
        "evaluation/report.html",
        "model/weights.safetensors",
    ):
        assert (tmp_path / "demo" / name).stat().st_size > 1000, name
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert 0 <= summary["day"]["accuracy"] <= 1
    shown = "\n".join(lines)
    for method in ("selfpab", "random-encoder", "spectr-mlp"):
        score = read_results(tmp_path / "demo" / "evaluation" / method / "seed-0" / "results.json")["macro_f1"]
        assert f"{100 * score['mean']:.1f} ± {100 * score['sem']:.1f}" in shown
    assert "Open:" in shown
