r"""What it costs in accuracy when the windows of prediction share fewer frames.

    python recipes/compare_overlaps.py MODEL DATASET OUT [overlaps=60,40,24,12,0,auto] [sure=0.95]

"auto" is what `predict` does: windows share half of their frames where the first look leaves doubt; `sure` says from which
probability on there is none.

MODEL must not have learned from DATASET's people. OUT/results.json has, per overlap, macro F1 at 50 Hz (mean over people; the
paired difference to the first overlap), accuracy, negative log-likelihood and the share of samples that get the same class
as with the first. Classes are named by the model's decision without bouts, from its probabilities as they come.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from selfpab.allocator import keep_freed_memory
from selfpab.data.datasets import known, open_dataset
from selfpab.evaluation.metrics import confusion, macro_f1, mean_and_error
from selfpab.inference import frame_windows
from selfpab.inference.model import load
from selfpab.provenance import environment
from selfpab.recording import UNLABELLED
from selfpab.writing import write_text

SMALLEST = 1e-6  # a probability counts as no less


def main(model_name: str, dataset: str, out: Path, overlaps: list[int | None]) -> None:
    keep_freed_memory()
    model, data = load(model_name), open_dataset(dataset)
    assert model.activities is not None
    weights = np.asarray(model.decision.weights if model.decision else 1.0)
    recordings = [known(recording, model.activities) for recording in data.recordings()]
    found: dict[str, dict[str, object]] = {}
    first: dict[str, np.ndarray] = {}
    scores: dict[int | None, np.ndarray] = {}
    for overlap in overlaps:
        rows, began = [], time.perf_counter()
        for recording in recordings:
            assert recording.labels is not None
            truth = model.activities.indices(recording.labels)
            kept = np.flatnonzero(truth != UNLABELLED)
            frames = model.predict(replace(recording, labels=None), overlap=overlap).frames
            said = frames.at(kept)
            named = (said * weights).argmax(axis=1)
            same = (named == first.setdefault(recording.subject, named)).mean()
            of_truth = np.maximum(said[np.arange(len(kept)), truth[kept]], SMALLEST)
            matrix = confusion(truth[kept], named, len(model.activities))
            rows.append([macro_f1(matrix), (named == truth[kept]).mean(), -np.log(of_truth).mean(), same])
        table = np.array(rows)
        scores[overlap] = table[:, 0]
        found["auto" if overlap is None else str(overlap)] = {
            "macro_f1": mean_and_error(table[:, 0])._asdict(),
            "difference": mean_and_error(table[:, 0] - scores[overlaps[0]])._asdict(),
            **dict(zip(("accuracy", "nll", "same_class"), table[:, 1:].mean(axis=0).tolist(), strict=True)),
            "seconds": round(time.perf_counter() - began, 1),
        }
        print(overlap, list(found.values())[-1], flush=True)
    about = {"dataset": {"name": data.name, "version": data.version}, "people": len(recordings)}
    downstream = {key: model.config["downstream"][key] for key in ("datasets", "finetune")}
    content = {
        **about,
        "model": downstream,
        "sure": frame_windows.SURE,
        "overlaps": found,
        "environment": environment(),
    }
    write_text(out / "results.json", json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    settings = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    names = [word for word in sys.argv[1:] if "=" not in word]
    if len(names) != 3 or settings.keys() - {"overlaps", "sure"}:
        sys.exit(__doc__)
    frame_windows.SURE = float(settings.get("sure", frame_windows.SURE))
    asked = settings.get("overlaps", "60,40,24,12,0,auto").split(",")
    main(names[0], names[1], Path(names[2]), [None if overlap == "auto" else int(overlap) for overlap in asked])
