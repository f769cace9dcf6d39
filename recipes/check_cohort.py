"""A thousand simulated people, one in twenty of them broken, through `predict` on workers of which one is killed.

    python recipes/check_cohort.py OUT [people=1000] [minutes=10] [workers=2] [model=FOLDER] [seed=0]

OUT/study holds the recordings, OUT/predicted what `selfpab predict` makes of them, results.json whether anything was lost:
every good file has a folder that is whole, every broken one a row of failures.csv with its reason, and a second call makes
nothing again. Without model=, a tiny one with random weights is made: what is predicted does not matter here.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from selfpab.data.parquet import write_parquet
from selfpab.data.simulation import simulate
from selfpab.provenance import environment

DEFAULTS = {"people": 1000, "minutes": 10.0, "workers": 2, "model": "", "seed": 0}
EVERY = 20  # one of so many is broken
REASONS = {  # kind of fault to what `predict` must say
    "cut": "is no whole parquet file",
    "empty": "is no whole parquet file",
    "mg": "that looks like mg",
    "no_thigh": "has no column thigh_x",
    "thigh_zero": "thigh stands at 0 g",
}


def main(out: Path, settings: dict[str, Any]) -> None:
    study, predicted = out / "study", out / "predicted"
    broken = written(study, settings)
    model = settings["model"] or str(tiny_model(out / "model"))
    command = [sys.executable, "-m", "selfpab", "predict", str(study), str(predicted), f"model={model}"]
    command += ["report=off", f"workers={settings['workers']}"]
    first = called(command, kill_after=settings["people"] // 3, predicted=predicted)
    told = {Path(path).stem: reason for path, reason in pl.read_csv(predicted / "failures.csv").rows()}
    names = {path.stem for path in study.iterdir()}
    whole = {path.parent.name: path.stat().st_mtime_ns for path in predicted.glob("*/info.json")}
    infos = [json.loads((predicted / name / "info.json").read_text()) for name in whole]
    second = called(command)
    again = {path.parent.name: path.stat().st_mtime_ns for path in predicted.glob("*/info.json")}
    found = {
        "people": len(names),
        "broken": len(broken),
        "good_without_a_folder": sorted(names - set(broken) - set(whole)),
        "broken_without_their_reason": sorted(
            n for n, k in broken.items() if not re.search(REASONS[k], told.get(n, ""))
        ),
        "failed_and_not_broken": sorted(set(told) - set(broken)),
        "incomplete": sorted(i["quality"]["name"] for i in infos if not whole_folder(predicted, i)),
        "left_behind": sorted(str(path.relative_to(predicted)) for path in predicted.rglob(".*")),
        "rows_of_quality": pl.read_csv(predicted / "quality.csv").height,
        "made_again_by_the_second_call": sum(again[name] != when for name, when in whole.items()),
        "first_call": first,
        "second_call": second,
        "task_s": {"median": float(np.median([i["took_s"] for i in infos])), "sum": sum(i["took_s"] for i in infos)},
        "children_peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }
    found["beside_the_tasks_s_per_person"] = (first["s"] * settings["workers"] - found["task_s"]["sum"]) / len(names)
    results = {"settings": settings, "found": found, "environment": environment()}
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def written(study: Path, settings: dict[str, Any]) -> dict[str, str]:
    """The recordings; names of the broken ones and how."""
    study.mkdir(parents=True, exist_ok=True)
    broken = {}
    for first in range(0, settings["people"], 50):
        people = simulate(
            min(50, settings["people"] - first), settings["minutes"] / 60, seed=settings["seed"] + first, labelled=False
        )
        for place, person in enumerate(people, first):
            file = study / f"P{place:05}.parquet"
            write_parquet(person, file)
            if place % EVERY == EVERY // 2:
                broken[file.stem] = list(REASONS)[len(broken) % len(REASONS)]
                break_(file, broken[file.stem])
    return broken


def break_(file: Path, kind: str) -> None:
    raw, table = file.read_bytes(), pl.read_parquet(file)
    back, thigh = table.select("^back_.$").columns, table.select("^thigh_.$").columns
    if kind in ("cut", "empty"):
        file.write_bytes(raw[: len(raw) // 2] if kind == "cut" else b"")
    elif kind == "mg":
        table.with_columns(pl.col(back + thigh) * 1000).write_parquet(file)
    elif kind == "no_thigh":
        table.drop(thigh).write_parquet(file)
    else:
        table.with_columns(pl.lit(0.0, pl.Float32).alias(name) for name in thigh).write_parquet(file)


def called(command: list[str], *, kill_after: int | None = None, predicted: Path | None = None) -> dict[str, Any]:
    """Run it; once so many people are done, one of its worker processes is killed."""
    began = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    killed: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            if predicted and len(list(predicted.glob("*/info.json"))) >= (kill_after or 0):
                killed.append(a_worker_of(process.pid))
                os.kill(killed[0], signal.SIGKILL)
                return

    if kill_after is not None:
        watcher = threading.Thread(target=watch)
        watcher.start()
    said = process.communicate()[1]
    stop.set()
    return {
        "s": round(time.monotonic() - began, 2),
        "exit": process.returncode,
        "workers_killed": len(killed),
        "deaths_told": sum("a worker died" in line for line in said.splitlines()),
    }


def a_worker_of(parent: int) -> int:
    """A process below it that computes: the one that has used most time."""
    parents, used = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)], used[int(stat.parent.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    below = [pid for pid in parents if parents.get(pid) == parent]
    return max(below, key=used.__getitem__)


def whole_folder(predicted: Path, info: dict[str, Any]) -> bool:
    """Its files are all there, and the tables have the seconds that info.json tells of."""
    folder = predicted / info["quality"]["name"]
    there = all((folder / name).exists() for name in (*info["files"], "daily.csv", "bouts.csv"))
    return there and pl.read_parquet(folder / "seconds.parquet").height == info["seconds"]


def tiny_model(folder: Path) -> Path:
    import torch

    from selfpab.activities import Activities
    from selfpab.downstream.finetuning import FinetuneConfig
    from selfpab.downstream.head import Head
    from selfpab.features.normalisation import Normalisation
    from selfpab.features.spectrograms import SpectrogramConfig
    from selfpab.upstream.checkpoint import Upstream, save_model
    from selfpab.upstream.encoder import EncoderConfig

    torch.manual_seed(0)
    shape = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    numbers = Normalisation(np.full(156, 2, np.float32), np.full(156, 3, np.float32))
    return save_model(
        folder,
        Upstream.fresh(shape, SpectrogramConfig(), numbers),
        card="",
        head=Head(2, 12, 9, 2).state_dict(),
        activities=Activities("two", (7, 1), ("sitting", "walking")),
        downstream={"finetune": asdict(FinetuneConfig(hidden=9))},
    )


if __name__ == "__main__":
    words = dict(word.split("=", 1) for word in sys.argv[2:])
    main(Path(sys.argv[1]), {key: type(default)(words.get(key, default)) for key, default in DEFAULTS.items()})
