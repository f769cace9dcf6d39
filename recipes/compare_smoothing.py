"""Does smoothing by a transition model help? Forward-backward over seconds, fitted on the other people. (No.)

python recipes/compare_smoothing.py OUT.json RUN [RUN ...]

Transitions and class shares are counted in the labels of the other people; a second's evidence is (p / share^divided) to the
power `trust`, p after the cross-fitted probability map. Scores are per second, means over people.
"""

import json
import sys
from pathlib import Path

import numpy as np

from selfpab.evaluation.answers import Answers, read_answers
from selfpab.evaluation.metrics import confusion, f1
from selfpab.evaluation.results import read_results
from selfpab.inference.probability_maps import fit_map
from selfpab.writing import write_text

TRIED = [(trust, divided) for divided in (1.0, 0.5) for trust in (0.15, 0.3, 0.5, 0.8, 1.0)]


def smoothed(evidence: np.ndarray, transitions: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Posterior (R, K) of a hidden Markov chain; evidence (R, K), transitions (K, K) from row to column."""
    forward = np.empty_like(evidence)
    forward[0] = share * evidence[0]
    for row in range(1, len(evidence)):
        forward[row] = (forward[row - 1] @ transitions) * evidence[row]
        forward[row] /= forward[row].sum()
    backward = np.ones_like(share)
    for row in range(len(evidence) - 2, -1, -1):
        backward = transitions @ (backward * evidence[row + 1])
        backward /= backward.sum()
        forward[row] *= backward
    return forward / forward.sum(axis=1, keepdims=True)


def counted(answers: Answers) -> np.ndarray:
    """How often a second of one class was followed by one of another (K, K)."""
    before, after = answers.truth[:-1], answers.truth[1:]
    both = (before >= 0) & (after >= 0)
    classes = answers.probabilities.shape[1]
    return np.bincount(before[both] * classes + after[both], minlength=classes**2).reshape(classes, classes)


def compare(people: dict[str, Answers], names: list[str]) -> dict[str, object]:
    scores: dict[str, list[np.ndarray]] = {}
    losses: dict[str, list[float]] = {}
    for name, answers in people.items():
        others = {other: a for other, a in people.items() if other != name}
        counts = np.sum([counted(a) for a in others.values()], axis=0)
        share = (counts.sum(axis=1) + 1) / (counts.sum() + len(names))
        transitions = counts + share + 0.01
        transitions /= transitions.sum(axis=1, keepdims=True)
        p = fit_map(others)(answers.probabilities)
        p[~np.isfinite(p[:, 0])] = share
        ways = {"as it is": p}
        for trust, divided in TRIED:
            evidence = (p / share**divided) ** trust
            ways[f"trust {trust} divided {divided}"] = smoothed(evidence, transitions, share)
        kept = answers.scored
        truth = answers.truth[kept]
        for way, values in ways.items():
            row = values[kept]
            scores.setdefault(way, []).append(f1(confusion(truth, row.argmax(axis=1), len(names))))
            believed = np.maximum(row[np.arange(len(truth)), truth], 1e-12)
            losses.setdefault(way, []).append(float(-np.log(believed).mean()))
    return {
        way: {
            "macro_f1": round(float(np.mean([np.nanmean(row) for row in rows])), 4),
            "nll": round(float(np.mean(losses[way])), 4),
            "per_class_f1": dict(zip(names, np.nanmean(rows, axis=0).round(3).tolist(), strict=True)),
        }
        for way, rows in scores.items()
    }


if __name__ == "__main__":
    found = {}
    for run in map(Path, sys.argv[2:]):
        results = read_results(run / "results.json")
        steps = (results.get("config") or {}).get("steps")
        key = "-".join(str(part) for part in (results["dataset"], results["method"], steps) if part)
        found[key] = compare(read_answers(run), [entry["name"] for entry in results["classes"]])
        print(
            key,
            *(f"  {way:24s} {row['macro_f1']} {row['nll']}" for way, row in found[key].items()),
            sep="\n",
            flush=True,
        )  # type: ignore[index]
    write_text(Path(sys.argv[1]), json.dumps(found, indent=1) + "\n")
