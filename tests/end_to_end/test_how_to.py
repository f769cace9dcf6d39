"""What docs/how-to shows is run as it stands."""

import re
import shlex
from pathlib import Path

import pytest

from selfpab import simulate
from selfpab.cli import main
from selfpab.data.simulation import NO_FAULTS, write_dataset
from selfpab.evaluation.results import read_results

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "new-method.md"


def test_a_method_of_ones_own(tmp_path, monkeypatch, capsys):
    text = PAGE.read_text()
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    command = re.search(r"```\n(selfpab .*?)```", text, re.DOTALL)
    assert code
    assert command
    assert len([line for line in code[1].splitlines() if line.strip()]) < 40
    monkeypatch.chdir(tmp_path)
    Path("nearest.py").write_text(code[1])
    write_dataset(tmp_path / "people", simulate(3, 0.1, seed=1, scenario="protocol", faults=NO_FAULTS))
    words = shlex.split(command[1])[1:]
    on_workers = ["evaluate", "nearest:NearestMean", "people/", "runs/theirs", "workers=2"]
    for call in ([*words, "finetune.steps=5"], on_workers):
        with pytest.raises(SystemExit) as end:
            main(call)
        assert end.value.code == 0
    assert "spectr-mlp - NearestMean: " in capsys.readouterr().out
    here, there = (read_results(Path(f"runs/{run}/NearestMean/seed-0/results.json")) for run in ("mine", "theirs"))
    assert here["method"] == "NearestMean"
    assert here["macro_f1"]["mean"] > 0.25  # ten classes; chance would be below 0.1
    assert here["subjects"] == there["subjects"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:Class", "wanted file:Class, where `import file` works here"),
        ("json:Nothing", "module 'json' has no attribute 'Nothing'"),
        ("json:JSONDecoder", "has no fit, predict, probabilities; a method needs"),
    ],
)
def test_a_method_that_cannot_be_is_refused(name, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["evaluate", name, str(tmp_path), str(tmp_path / "run")])
    assert end.value.code == 2
    assert message in capsys.readouterr().err
