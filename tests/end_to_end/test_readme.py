"""What the README shows is run: every command of its "Use" section, in order, and its Python."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from selfpab.cli import main

README = Path(__file__).parents[2] / "README.md"
RECIPES = {path.name for path in (README.parent / "recipes").glob("*.py")}
FEWER = {  # the same commands, with less work
    "simulate": ["people=3", "hours=0.1", "scenario=protocol"],
    "pretrain": ["steps=10", "validate_every=5"],
    "evaluate": ["finetune.steps=5"],
    "finetune": ["finetune.steps=5"],
}


def block(kind: str) -> list[str]:
    """Lines of the first fenced block of this kind behind the heading "Use"."""
    text = README.read_text().split("## Use")[1]
    found = re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1].splitlines()


def test_the_commands_of_the_readme(tmp_path, monkeypatch, golden):
    monkeypatch.chdir(tmp_path)
    shutil.copy(golden / "g2_small_upstream.ckpt", "upstream.ckpt")
    Path("norm_params").mkdir()
    np.savetxt("norm_params/mean.csv", np.zeros(156))
    np.savetxt("norm_params/std.csv", np.ones(156))
    commands = [shlex.split(line, comments=True)[1:] for line in block("") if line.startswith("selfpab ")]
    assert len(commands) == 14
    for words in commands:
        with pytest.raises(SystemExit) as end:
            main([*words, *FEWER.get(words[0], [])])
        assert end.value.code == 0, words
    for made in (
        "predicted/P001/seconds.parquet",
        "predicted/P001/report.html",
        "predicted/people.csv",
        "predicted/own/P001/seconds.parquet",
        "tables/part5_daysummary_MM_selfpab.csv",
        "model.onnx",
        "model/calibration.json",
        "predicted/P001/daily.csv",
        "predicted/P001/bouts.csv",
        "predicted/raw/P001/seconds.parquet",
        "predicted/raw/quality.csv",
        "runs/b/report.html",
        "runs/b/selfpab/seed-1/results.json",
        "vectors/P001/embedding.parquet",
        "authors/weights.safetensors",
    ):
        assert Path(made).is_file(), made
    shutil.copy("people/P001.parquet", "501.parquet")
    code = "\n".join(block("python")).replace("501.csv", "501.parquet")
    names: dict[str, object] = {}
    exec(code, names)
    vectors = names["vectors"]
    assert isinstance(vectors, np.ndarray)
    assert vectors.ndim == 2


def test_the_tree_of_the_readme_is_the_tree():
    """Every file of the package stands in it, and nothing that is not there."""
    tree = README.read_text().split("## The tree")[1].split("```")[1]
    named = set(re.findall(r"\b(\w+\.py)\b", tree))
    package = README.parent / "selfpab"
    there = {path.name for path in package.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")}
    assert named - {"__init__.py", *RECIPES} == there
