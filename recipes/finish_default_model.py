"""Calibrate the model in the box by people it never saw, and write its card and the committed numbers.

python recipes/finish_default_model.py MODEL RUN_HAR70PLUS RUN_HARTH     # see recipes/default-model.sh

The runs hold selfpab-plus/ and xgb/ of the same folds and the same training people, ten classes. Where they hold no xgb/, what
results/default-model has of it is told again: XGB depends on nothing of this model. MODEL/calibration.json is fitted on the
left-out people of both; what is reported of it is cross-fitted, each person by a calibration of the others.
"""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from selfpab.activities import HARTH
from selfpab.data.datasets import known, open_dataset
from selfpab.evaluation.answers import Answers, read_answers
from selfpab.evaluation.clock import clock_seconds
from selfpab.evaluation.metrics import confusion, macro_f1, mean_and_error
from selfpab.evaluation.results import SINGLE, read_results
from selfpab.inference.card_numbers import report_of, single_report
from selfpab.inference.decisions import decide, most_probable
from selfpab.inference.model_names import CALIBRATION
from selfpab.inference.trust import Judged, cross_fitted, cross_fitted_single, fit_single, fit_trust, write_trust
from selfpab.recording import SENSORS
from selfpab.writing import write_text

METHODS = ("selfpab-plus", "xgb")
CYCLIST = "S009"  # of HARTH, who cycles nearly all the time; reported with and without

CARD = """---
license: mit
library_name: selfpab
tags: [human-activity-recognition, accelerometer, axivity]
---
# The model in the box

Names the activity of every second of two accelerometers, lower back and thigh, at 50 Hz:
{classes}.
`selfpab predict recording.csv OUT` uses it. {parameters:.1f} million parameters, {megabytes:.1f} MB, CPU, no network. Not
a medical device.

**Made from** public recordings: an encoder pre-trained on HARTH and DSADS (21 hours of 17 people, masked reconstruction of
spectrograms: SelfPAB), fine-tuned with labels of {people} people of HARTH v2.0 (11) and HAR70+ (18): `recipes/default-model.sh`.
Beside the spectrum it is given the back sensor with half of its lean taken away and 45 statistics of every frame. Two
perceptrons read the seconds around a frame, convolutions the samples themselves, and their probabilities and the network's are
averaged.

**Scores on people it never saw** come from others of the same making: each person left out of the training of its fold, and of
HAR70+ nobody in the pre-training of the encoder that is scored on HAR70+, of HARTH nobody in that of the other. Ten classes for
everybody. Macro F1 at 50 Hz, mean ± standard error over people (median); XGB: 161 features, same folds, same training people.
{tuned}

{scores}

That is what the folds say by themselves (`evaluate`; this model's classes weighted by their share in training). What `predict`
names is decided by the calibration, which {neighbours}favours rare classes and asks for bouts; with it, cross-fitted over
the people of both data sets, each sample getting the name of its second, and XGB given the same help:

{decided}

F1 per activity of the folds (people with a score):

{activities}

**Probabilities** are calibrated (`calibration.json`: temperature {temperature:.2f}, floor {floor:.3f}). Over the
seconds of left-out people, each judged by a calibration of the others: expected calibration error {ece_before:.3f} before,
{ece_after:.3f} after; NLL {nll_before:.3f} and {nll_after:.3f}. Seconds below {threshold:.2f} are `uncertain`:
{covered:.0f} % are not, and of these {right:.1f} % are right (mean over people). 90 % intervals of minutes hold the truth in
{inside:.0f} % of pairs of person and activity, for whole recordings of 29 to 82 minutes; a whole day was never tested.

| confidence | seconds | right |
|---|---|---|
{diagram}

**One sensor alone.** Where the other one measured nothing or was not worn, the convolutions of that sensor answer. The same
left-out people with one sensor alone, decided as above, macro F1 at 50 Hz (median); probabilities of seconds, calibrated for each
sensor and cross-fitted:

{single}

F1 per activity of the folds, both data sets (people with a score): {single_activities}

**Limits.** Adults in Norway (those of HAR70+ are 70 to 95 years old), filmed for 29 to 82 minutes; shuffling and stairs are
confused with walking; sitting far back with lying. Lying is not sleep. Whoever wears the sensors in other places gets answers
that mean nothing.
"""
SINGLE_HEAD = ["told from", "HAR70+", "HARTH", "NLL", "calibration error", "not uncertain", "of these right"]


KEPT = Path(__file__).parents[1] / "results" / "default-model"


def scores_of(run: Path, method: str) -> dict[str, Any]:
    own = run / method / "seed-0" / "results.json"
    return read_results(own if own.is_file() else KEPT / run.name / method / "results.json")


def told(values: np.ndarray) -> str:
    score = mean_and_error(100 * values)
    return f"{score.mean:.1f} ± {score.sem:.1f} ({np.median(100 * values):.1f})"


def decided_rows(found: dict[str, dict[str, dict[str, Any]]]) -> list[list[str]]:
    rows = []
    for data, ours in found[METHODS[0]].items():
        theirs = found[METHODS[1]][data]
        everyone = np.ones(len(ours["people"]), bool)
        groups = {data: everyone}
        if CYCLIST in ours["people"]:
            groups[f"{data} without {CYCLIST}"] = np.array(ours["people"]) != CYCLIST
        for label, kept in groups.items():
            for how in ("most_probable", "decided"):
                both = [np.array(scores[how])[kept] for scores in (ours, theirs)]
                difference = mean_and_error(100 * (both[0] - both[1]))
                rows.append(
                    [label, how.replace("_", " "), *map(told, both), f"{difference.mean:+.1f} ± {difference.sem:.1f}"]
                )
    return rows


def score_rows(runs: dict[str, Path]) -> list[list[str]]:
    rows = []
    for data, run in runs.items():
        found = {method: scores_of(run, method)["subjects"] for method in METHODS}
        groups = {data: list(found["xgb"])}
        if CYCLIST in found["xgb"]:
            groups[f"{data} without {CYCLIST}"] = [name for name in found["xgb"] if name != CYCLIST]
        for label, names in groups.items():
            both = [np.array([found[method][name]["macro_f1"] for name in names]) for method in METHODS]
            difference = mean_and_error(100 * (both[0] - both[1]))
            rows.append([label, str(len(names)), *map(told, both), f"{difference.mean:+.1f} ± {difference.sem:.1f}"])
    return rows


def activity_rows(runs: dict[str, Path]) -> list[list[str]]:
    found = {(data, method): scores_of(run, method)["per_class_f1"] for data, run in runs.items() for method in METHODS}
    names = next(iter(found.values()))
    cells = {
        key: {n: f"{100 * v['mean']:.0f} ({v['n']})" if v["n"] else "-" for n, v in each.items()}
        for key, each in found.items()
    }
    return [[name, *(cells[data, method].get(name, "-") for data in runs for method in METHODS)] for name in names]


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def decided(method: str, runs: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Macro F1 at 50 Hz per data set and person: of the most probable class, and as the calibration of the others decides.

    Every sample gets what its clock second is named; decided on all people of both data sets but the one that is scored.
    """
    people = everybody(method, runs)
    found = {name: judged for name, (judged, _) in cross_fitted(people).items()}
    return at_50_hz(found, runs)


def at_50_hz(found: dict[str, Judged], runs: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Macro F1 of every person, each sample named as its second."""
    scores: dict[str, dict[str, Any]] = {}
    for data in runs:
        recordings = [known(r, HARTH) for r in open_dataset(data.replace("HAR70+", "har70plus").lower()).recordings()]
        scores[data] = {"people": [r.subject for r in recordings], "most_probable": [], "decided": []}
        for recording in recordings:
            name = f"{data}/{recording.subject}"
            plain = decide(found[name].probabilities, most_probable(len(HARTH)))
            truth, (_, second) = HARTH.indices(recording.labels), clock_seconds(recording)
            known_ = truth >= 0
            for how, named in (("most_probable", plain), ("decided", found[name].named)):
                matrix = confusion(truth[known_], named[second][known_], len(HARTH))
                scores[data][how].append(float(macro_f1(matrix)))
    return scores


def ran(method: str, runs: dict[str, Path]) -> bool:
    return all((run / method / "seed-0" / "results.json").is_file() for run in runs.values())


def told_before(method: str) -> dict[str, dict[str, Any]]:
    """What `decided` gave the last time."""
    return json.loads((KEPT / "probabilities.json").read_text())["at_50_hz"][method]


def everybody(method: str, runs: dict[str, Path], sensor: str | None = None) -> dict[str, Answers]:
    """Of both sensors, or of one alone."""
    part = "" if sensor is None else f"{SINGLE}{sensor}"
    return {
        f"{data}/{name}": answers
        for data, run in runs.items()
        for name, answers in read_answers(run / method / "seed-0" / part).items()
    }


def single_row(sensor: str, report: dict[str, Any]) -> list[str]:
    scores, doubt, after = report["at_50_hz"], report["uncertain"], report["reliability"]["after"]
    return [
        f"the {sensor}'s sensor",
        *(told(np.array(scores[data]["decided"])) for data in scores),
        f"{after['nll']:.3f}",
        f"{after['ece']:.3f}",
        f"{100 * doubt['coverage']:.0f} %",
        f"{100 * doubt['accuracy']:.1f} %",
    ]


def single_activities(runs: dict[str, Path]) -> str:
    """F1 of each activity, mean over the people of both data sets who have one."""
    told_of = []
    for sensor in SENSORS:
        results = [
            read_results(run / METHODS[0] / "seed-0" / f"{SINGLE}{sensor}" / "results.json") for run in runs.values()
        ]
        parts = []
        for name in results[0]["per_class_f1"]:
            found = [r["per_class_f1"][name] for r in results if r["per_class_f1"].get(name, {}).get("n")]
            people = sum(one["n"] for one in found)
            if people:
                mean = sum(one["mean"] * one["n"] for one in found) / people
                parts.append(f"{name} {100 * mean:.0f} ({people})")
        told_of.append(f"{sensor}: {', '.join(parts)}")
    return "; ".join(told_of) + "."


if __name__ == "__main__":
    model = Path(sys.argv[1])
    runs = {"HAR70+": Path(sys.argv[2]), "HARTH": Path(sys.argv[3])}
    people = everybody(METHODS[0], runs)
    names = [entry["name"] for entry in scores_of(runs["HARTH"], METHODS[0])["classes"]]
    trust, both = fit_trust(people), cross_fitted(people)
    report: dict[str, Any] = report_of(people, both, names)
    report["single"] = {}
    for sensor in SENSORS:
        alone = everybody(METHODS[0], runs, sensor)
        trust = replace(trust, single={**trust.single, sensor: fit_single(alone, trust.decision)})
        judged = cross_fitted_single(alone, both)
        report["single"][sensor] = single_report(alone, judged, names)
        report["single"][sensor]["at_50_hz"] = at_50_hz({name: one for name, (one, _) in judged.items()}, runs)
    write_trust(model / CALIBRATION, trust)
    with_decision = {method: decided(method, runs) if ran(method, runs) else told_before(method) for method in METHODS}
    report["at_50_hz"] = with_decision
    write_text(KEPT / "probabilities.json", json.dumps(report, indent=1) + "\n")
    for run in runs.values():
        for method in METHODS:
            if not ran(method, runs):
                continue
            kept = KEPT / run.name / method
            kept.mkdir(parents=True, exist_ok=True)
            for file in ("results.json", "config.yaml"):
                shutil.copy(run / method / "seed-0" / file, kept / file)
            for alone in (run / method / "seed-0").glob(f"{SINGLE}*"):
                (kept / alone.name).mkdir(exist_ok=True)
                shutil.copy(alone / "results.json", kept / alone.name / "results.json")
    config = json.loads((model / "config.json").read_text())
    weights = (model / "weights.safetensors").stat().st_size
    columns = [f"{data} {method}" for data in runs for method in METHODS]
    before, after = report["reliability"]["before"], report["reliability"]["after"]
    write_text(
        model / "README.md",
        CARD.format(
            classes=", ".join(names),
            parameters=weights / 4e6,
            megabytes=weights / 1e6,
            people=config["downstream"]["people"],
            tuned=(Path(__file__).parent / "default-model-tuning.md").read_text().strip(),
            scores=table(["people", "n", "this model", "XGB", "difference"], score_rows(runs)),
            decided=table(["people", "named", "this model", "XGB", "difference"], decided_rows(with_decision)),
            activities=table(["", *columns], activity_rows(runs)),
            neighbours=f"averages {1 + 2 * around} seconds, " if (around := trust.decision.around_s) else "",
            temperature=trust.map.temperature,
            floor=trust.map.floor,
            ece_before=before["ece"],
            ece_after=after["ece"],
            nll_before=before["nll"],
            nll_after=after["nll"],
            single=table(SINGLE_HEAD, [single_row(sensor, report["single"][sensor]) for sensor in SENSORS]),
            single_activities=single_activities(runs),
            threshold=trust.uncertain.threshold,
            covered=100 * report["uncertain"]["coverage"],
            right=100 * report["uncertain"]["accuracy"],
            inside=100 * report["intervals"]["recording"]["inside"],
            diagram="\n".join(
                f"| {bar['low']:.2f} to {bar['high']:.2f} | {bar['n']} | {100 * bar['correct']:.0f} % |"
                for bar in report["diagram"]["after"]
                if bar["n"]
            ),
        ),
    )
    print(
        table(["people", "n", *METHODS, "difference"], score_rows(runs)),
        table(["people", "named", *METHODS, "difference"], decided_rows(with_decision)),
        sep="\n",
    )
