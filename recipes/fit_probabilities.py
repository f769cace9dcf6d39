"""How far a method's probabilities can be believed, and the calibration that a model of it should carry.

python recipes/fit_probabilities.py RUN OUT [RUN ...]

RUN is a folder of one evaluation (`results.json`, `seconds/`). OUT/<data set>-<method>.json: cross-fitted over people
(temperature and floor, decision, threshold of `uncertain`, 90 % intervals), before and after. With a single RUN also
OUT/calibration.json, fitted on all its people. About half a minute a run.
"""

import json
import sys
from pathlib import Path

from selfpab.evaluation.answers import read_answers
from selfpab.evaluation.results import read_results
from selfpab.inference.card_numbers import trust_report
from selfpab.inference.trust import fit_trust, write_trust
from selfpab.writing import write_text


def rounded(value: object) -> object:
    """The same with four digits after the point."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    first, out, *others = (Path(argument) for argument in sys.argv[1:])
    for run in (first, *others):
        results, people = read_results(run / "results.json"), read_answers(run)
        names = [entry["name"] for entry in results["classes"]]
        head = {key: results.get(key) for key in ("method", "dataset", "seed")}
        steps = (results.get("config") or {}).get("steps")
        name = "-".join(str(part) for part in (results["dataset"], results["method"], steps) if part)
        report = rounded({**head, "steps": steps, **trust_report(people, names)})
        assert isinstance(report, dict)
        write_text(out / f"{name}.json", json.dumps(report, indent=1) + "\n")
        before, after = report["reliability"]["before"], report["reliability"]["after"]
        print(name, report["macro_f1"], sep="\n  ")
        print("  ECE, NLL before", before["ece"], before["nll"], "after", after["ece"], after["nll"])
        print("  intervals", {key: v["inside"] for key, v in report["intervals"].items() if isinstance(v, dict)})
        print("  uncertain", {key: v for key, v in report["uncertain"].items() if key != "curve"}, flush=True)
    if not others:
        write_trust(out / "calibration.json", fit_trust(people))
