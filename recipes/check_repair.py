r"""What a turned or swapped sensor costs a method, and what the repair gives back.

    python recipes/check_repair.py DATASET METHOD[,METHOD] OUT [key=value ...]

Leave one subject out; a method is trained on the others as published and tested on the left-out person untouched and with
faults planted, each as it is and after `check_placement` (whose table of postures is learned from HARTH: there, it knew the
person). OUT/results.json has macro F1 per method, fault and person; it is written person by person, and the same command
goes on. Settings are those of `evaluate`, preset=small.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from selfpab.allocator import keep_freed_memory
from selfpab.config import load, words
from selfpab.data.datasets import open_dataset
from selfpab.data.placement import check_placement
from selfpab.data.placement_turns import planted
from selfpab.evaluation.metrics import confusion, macro_f1
from selfpab.methods import EvaluateConfig, method
from selfpab.provenance import environment
from selfpab.recording import UNLABELLED, Recording
from selfpab.writing import write_text

FAULTS: dict[str, dict[str, Any]] = {
    "untouched": {},
    "back turned about x": {"turns": {"back": "x"}},
    "back turned about y": {"turns": {"back": "y"}},
    "back turned about z": {"turns": {"back": "z"}},
    "thigh turned about x": {"turns": {"thigh": "x"}},
    "thigh turned about y": {"turns": {"thigh": "y"}},
    "thigh turned about z": {"turns": {"thigh": "z"}},
    "swapped": {"swapped": True},
    "thigh turned about x from the middle": {"turns": {"thigh": "x"}, "from_sample": 0.5},
}


def main(arguments: list[str]) -> None:
    dataset, names, out, *settings = arguments
    keep_freed_memory()
    data = open_dataset(dataset)
    recordings = list(data.recordings())
    config = load(EvaluateConfig, preset="small", section="evaluate", settings=settings)
    path = Path(out) / "results.json"
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    if path.is_file():
        found = json.loads(path.read_text())["macro_f1"]
    for name in words(names):
        for subject in dict.fromkeys(recording.subject for recording in recordings):
            own = found.setdefault(name, {fault: {} for fault in FAULTS})
            if subject in own["untouched"]:
                continue
            classifier = method(name, data.activities, config, 0, Path(out) / "pool").build()
            classifier.fit([recording for recording in recordings if recording.subject != subject])
            tested = [recording for recording in recordings if recording.subject == subject]
            for fault, how in FAULTS.items():
                own[fault][subject] = [
                    round(100 * scored(classifier, data.activities, some), 2) for some in ways(tested, how)
                ]
            print(name, subject, {fault: own[fault][subject] for fault in FAULTS}, flush=True)
            content = {
                "data": {"name": data.name, "version": data.version, "sha256": data.sha256},
                "settings": settings,
                "told": "per fault and person: macro F1 in per cent as it is, and after check_placement(repair='auto')",
                "summary": {method_: summary(faults) for method_, faults in found.items()},
                "macro_f1": found,
                "environment": environment(),
            }
            write_text(path, json.dumps(content, indent=1) + "\n")
    print(json.dumps({name: summary(faults) for name, faults in found.items()}, indent=1))


def ways(recordings: list[Recording], how: Mapping[str, Any]) -> tuple[list[Recording], list[Recording]]:
    """A person's recordings with the fault, and those repaired."""
    faulty = []
    for recording in recordings:
        own = dict(how)
        if "from_sample" in own:
            own["from_sample"] = int(own["from_sample"] * len(recording))
        faulty.append(planted(recording, **own) if own else recording)
    return faulty, [check_placement(recording)[0] for recording in faulty]


def scored(classifier: Any, activities: Any, recordings: list[Recording]) -> float:
    """Macro F1 over all of a person's labelled samples."""
    total = np.zeros((len(activities), len(activities)), np.int64)
    for recording in recordings:
        truth = activities.indices(recording.labels)
        predicted = classifier.predict(replace(recording, labels=None))
        known = truth != UNLABELLED
        total += confusion(truth[known], predicted[known], len(activities))
    return macro_f1(total)


def summary(faults: Mapping[str, Mapping[str, list[float]]]) -> dict[str, dict[str, float]]:
    """Mean over people, as it is and repaired."""
    means = {fault: np.mean(list(people.values()), axis=0) for fault, people in faults.items() if people}
    return {fault: {"as it is": round(a, 1), "repaired": round(b, 1)} for fault, (a, b) in means.items()}


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1:])
