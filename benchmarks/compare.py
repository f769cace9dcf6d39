"""Two commits side by side: each benchmark by turns in both, medians and the ratio.

    python benchmarks/compare.py OLD NEW BENCH[,BENCH ...] [runs=5]
    python benchmarks/compare.py HEAD~3 . features,spectrogram      # "." is the tree as it stands

OLD and NEW are names that git knows. Each is checked out beside, with its own benchmarks and its own package, and runs in
this interpreter with its packages. A BENCH is the middle of a script's name (features: bench_features.py), with its arguments
after colons: pretrain:small. Who goes first changes from round to round, so that a machine that drifts favours nobody. Only
figures that both commits report under the same name are shown.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(old: str, new: str, benches: list[str], runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trees = {name: checkout(name, Path(folder) / str(place)) for place, name in enumerate((old, new))}
        for bench in benches:
            script, *arguments = bench.split(":")
            found: dict[str, list[dict[str, dict]]] = {old: [], new: []}
            for round_ in range(runs):
                for name in (old, new) if round_ % 2 == 0 else (new, old):
                    found[name].append(figures(trees[name], script, arguments))
            print(f"\n**{bench}**, medians of {runs}\n")
            print(f"| what | {old} | {new} | new / old, median of pairs (smallest to largest) |\n|---|---|---|---|")
            print(*side_by_side(found[old], found[new]), sep="\n", flush=True)


def checkout(name: str, folder: Path) -> Path:
    """The tree of a commit; `.` is where this script lies."""
    if name == ".":
        return ROOT
    folder.mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", name], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder


def figures(tree: Path, script: str, arguments: list[str]) -> dict[str, dict]:
    """What one run reports: {what: {"value", "unit"}}."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", f"bench_{script}.py", *arguments],
        cwd=tree / "benchmarks",
        env=os.environ | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"bench_{script}.py of {tree.name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])["values"]


def side_by_side(old: list[dict[str, dict]], new: list[dict[str, dict]]) -> list[str]:
    """A row of a Markdown table for each figure that all runs have.

    >>> runs = [{"a step": {"value": value, "unit": "s"}} for value in (1.0, 2.0, 3.0)]
    >>> side_by_side(runs, [{"a step": {"value": 1.0, "unit": "s"}}] * 3)
    ['| a step | 2 s | 1 s | 0.5 (0.3333 to 1) |']
    """
    rows = []
    for what, first in old[0].items():
        if not all(what in run for run in old + new):
            continue
        before, after = ([run[what]["value"] for run in runs] for runs in (old, new))
        ratios = [b / a if a else float("nan") for a, b in zip(before, after, strict=True)]
        rows.append(
            f"| {what} | {statistics.median(before):.4g} {first['unit']} | {statistics.median(after):.4g} {first['unit']} "
            f"| {statistics.median(ratios):.4g} ({min(ratios):.4g} to {max(ratios):.4g}) |"
        )
    return rows


if __name__ == "__main__":
    settings = [word for word in sys.argv[1:] if word.startswith("runs=")]
    names = [word for word in sys.argv[1:] if word not in settings]
    if len(names) != 3:
        sys.exit(__doc__)
    main(names[0], names[1], names[2].split(","), int(settings[-1].removeprefix("runs=")) if settings else 5)
