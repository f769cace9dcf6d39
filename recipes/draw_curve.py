"""F1 against pre-training steps, frozen and fine-tuned, with the held-out reconstruction loss beside it.

python recipes/draw_curve.py OUT STEPS=LOSSES.json:FROZEN_RUN:TUNED_RUN ...

LOSSES.json is what measure_pretraining.py wrote ("-" for the encoder that was never trained); the two runs are folders
METHOD/seed-N of `selfpab evaluate`. Writes OUT/results.json and OUT/curve.png; one row an encoder.
"""

import json
import sys
from pathlib import Path
from typing import Any

from selfpab.evaluation.results import read_results
from selfpab.writing import write_text

SCORES = ("macro_f1", "macro_f1_present", "accuracy")


def row(words: str) -> dict[str, Any]:
    """One encoder: its steps, losses on the people held out and on HAR70+, and both evaluations."""
    steps, places = words.split("=")
    losses, *runs = places.split(":")
    entry: dict[str, Any] = {"steps": int(steps)}
    if losses != "-":
        content = json.loads(Path(losses).read_text())
        entry["held_out"] = {name: parts["all"] for name, parts in content["masked_l1"].items()}
        entry["windows_seen"] = content["trained"]["steps"] * content["trained"]["batch"]
    for kind, run in zip(("frozen", "fine-tuned"), runs, strict=True):
        results = read_results(Path(run) / "results.json")
        entry[kind] = {key: results[key] for key in SCORES} | {
            "method": results["method"],
            "per_class_f1": {name: score["mean"] for name, score in results["per_class_f1"].items()},
            "layer_weights": results.get("layer_weights"),
            "validation": results.get("validation"),
        }
    return entry


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """F1 above, reconstruction below, over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    places = range(len(rows))
    for kind, mark in (("frozen", "o--"), ("fine-tuned", "s-")):
        means = [100 * entry[kind]["macro_f1"]["mean"] for entry in rows]
        errors = [100 * entry[kind]["macro_f1"]["sem"] for entry in rows]
        above.errorbar(places, means, errors, fmt=mark, capsize=3, label=f"encoder {kind}")
    above.set_ylabel("macro F1, % (mean and SEM of 18 people)")
    above.legend(frameon=False)
    known = [(place, entry["held_out"]) for place, entry in zip(places, rows, strict=True) if "held_out" in entry]
    below.plot([p for p, _ in known], [losses["encoder"] for _, losses in known], "s-", label="encoder")
    rival = "linear interpolation"
    below.plot([p for p, _ in known], [losses[rival] for _, losses in known], ":", label=rival)
    below.set_ylabel("held-out masked L1")
    below.legend(frameon=False)
    below.set_xticks(list(places), [f"{entry['steps']:,}" for entry in rows])
    below.set_xlabel("pre-training steps")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rows = sorted((row(words) for words in sys.argv[2:]), key=lambda entry: entry["steps"])
    write_text(out / "results.json", json.dumps({"rows": rows}, indent=1) + "\n")
    draw(rows, out / "curve.png")
    for entry in rows:
        scores = [f"{100 * entry[kind]['macro_f1']['mean']:.1f}" for kind in ("frozen", "fine-tuned")]
        print(entry["steps"], *scores, entry.get("held_out", {}).get("encoder", "-"))
