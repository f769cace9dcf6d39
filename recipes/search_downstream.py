r"""Rate and steps of every method, from one small search on a data set that is not the test set.

    python recipes/search_downstream.py harth MODEL OUT selfpab,spectr-te,spectr-mlp rates=0.001,0.003 steps=400,1600 \
        [without=S009] [key=value ...]

Three subject-wise folds; every combination is one entry of OUT/results.json, written as soon as it is known, so that the same
command goes on after a stop. Score: mean over people of macro F1 (BEHAVIOUR (f)), and macro F1 of the summed matrices.
`without=` people are trained on and not scored. Other settings are those of preset=small.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np

from selfpab.activities import Activities
from selfpab.allocator import keep_freed_memory
from selfpab.config import load, words
from selfpab.data.datasets import open_dataset
from selfpab.evaluation.loso import held_out
from selfpab.evaluation.metrics import f1, macro_f1
from selfpab.methods import EvaluateConfig, method
from selfpab.provenance import environment
from selfpab.recording import Recording
from selfpab.search import people_by_fold
from selfpab.writing import write_text


def main(arguments: list[str]) -> None:
    dataset, model, out, names, *settings = arguments
    given = dict(setting.split("=", 1) for setting in settings)
    rates, steps = (words(given.pop(key)) for key in ("rates", "steps"))
    without = given.pop("without", "")
    keep_freed_memory()
    data = open_dataset(dataset)
    recordings = list(data.recordings())
    folds = people_by_fold(recordings, without)
    path = Path(out) / "results.json"
    content = json.loads(path.read_text()) if path.is_file() else {"data": {}, "entries": []}
    content["data"] = {
        "name": data.name,
        "version": data.version,
        "sha256": data.sha256,
        "folds": folds,
        "trained on only": words(without),
    }
    content["environment"] = environment()
    for name, rate, count in product(words(names), rates, steps):
        key = {"method": name, "rate": float(rate), "steps": int(count), **given}
        if any(all(entry.get(k) == v for k, v in key.items()) for entry in content["entries"]):
            continue
        where = "deepconvlstm_ts" if name == "deepconvlstm-ts" else "finetune"
        chosen = [f"upstream={model}", f"{where}.rate={rate}", f"{where}.steps={count}"]
        chosen += [f"{a}={b}" for a, b in given.items()]
        config = load(EvaluateConfig, preset="small", section="evaluate", settings=chosen)
        began = time.perf_counter()
        scores = score(name, config, recordings, folds, data.activities, Path(out) / "pool")
        entry = {**key, **scores, "seconds": round(time.perf_counter() - began, 1)}
        content["entries"].append(entry)
        write_text(path, json.dumps(content, indent=1) + "\n")
        print({**key, **{k: entry[k] for k in ("macro_f1", "pooled_macro_f1", "seconds")}}, flush=True)


def score(
    name: str,
    config: EvaluateConfig,
    recordings: list[Recording],
    folds: list[list[str]],
    activities: Activities,
    pool: Path,
) -> dict[str, object]:
    """Every person's macro F1, from the classifier that saw nobody of the fold."""
    counts: dict[str, np.ndarray] = {}
    validation = []
    for classifier, matrices in held_out(method(name, activities, config, 0, pool), recordings, folds, activities):
        counts |= matrices
        validation.append(classifier.facts.get("validation"))
    people = {subject: round(macro_f1(matrix), 4) for subject, matrix in counts.items()}
    total = np.sum(list(counts.values()), axis=0)
    return {
        "macro_f1": round(float(np.mean(list(people.values()))), 4),
        "pooled_macro_f1": round(macro_f1(total), 4),
        "pooled_f1": dict(zip(activities.names, np.round(f1(total), 3).tolist(), strict=True)),
        "people": people,
        "validation": validation,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
