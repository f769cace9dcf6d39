"""From the people that an evaluation left out to the calibration of a model of the same making (`selfpab calibrate`). Ours.

The model itself has learned from everybody: only people whom models of the same settings did not learn from say how far its
probabilities can be believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfpab.evaluation.answers import Answers, read_answers
from selfpab.evaluation.results import SINGLE, read_results
from selfpab.inference.card_numbers import report_of, single_report
from selfpab.inference.model_names import CALIBRATION
from selfpab.inference.trust import Trust, cross_fitted, cross_fitted_single, fit_single, fit_trust, write_trust
from selfpab.recording import SENSORS
from selfpab.writing import write_text

CARD = "README.md"
HEADING = "## How far its probabilities can be believed"
UNCALIBRATED = "Probabilities are not calibrated. "  # what `final_models` says of a model


@dataclass(frozen=True)
class CalibrateConfig:
    accuracy: float = 0.95  # wanted of the seconds that are not `uncertain`

    def __post_init__(self) -> None:
        if not 0 < self.accuracy < 1:
            raise ValueError(f"accuracy must lie between 0 and 1, got {self.accuracy:g}")


def calibrate(model: Path, runs: Sequence[Path], config: CalibrateConfig | None = None) -> list[str]:
    """Write `calibration.json` of a fine-tuned model folder, and into its card what it is worth; the latter as lines.

    runs : evaluations of the method with the model's settings: folders with `results.json` and `seconds/`, or such that
        hold exactly one. Several are put together (one for each data set that the model learned from).

    Raises FileNotFoundError for what is no model or evaluation, ValueError where classes or settings are not the model's
    and for fewer than three people; nothing is written then.
    """
    config = config or CalibrateConfig()
    classes, settings = _of_model(model)
    people: dict[str, Answers] = {}
    single: dict[str, dict[str, Answers]] = {sensor: {} for sensor in SENSORS}
    for run in map(_one_evaluation, runs):
        results = read_results(run / "results.json")
        _check_fits(run, results, classes, settings)
        name = results.get("dataset") or run.name
        if twice := people.keys() & {f"{name}/{person}" for person in results.get("subjects", {})}:
            raise ValueError(f"{', '.join(sorted(twice))} would count twice; name one evaluation of each data set")
        people |= {f"{name}/{person}": answers for person, answers in read_answers(run).items()}
        for sensor, found in single.items():
            if (alone := run / f"{SINGLE}{sensor}").is_dir():
                found |= {f"{name}/{person}": answers for person, answers in read_answers(alone).items()}
    if partly := [sensor for sensor, found in single.items() if 0 < len(found) < len(people)]:
        raise ValueError(
            f"{' and '.join(partly)} alone was evaluated for some of the people only; evaluate all runs anew, or take the "
            f"folders {SINGLE}... away"
        )
    single = {sensor: found for sensor, found in single.items() if found}
    names, both = [entry["name"] for entry in classes], cross_fitted(people, accuracy=config.accuracy)
    trust = fit_trust(people, accuracy=config.accuracy)
    own = {s: fit_single(found, trust.decision, accuracy=config.accuracy) for s, found in single.items()}
    trust = replace(trust, single=own)
    lines = what_it_is_worth(trust, report_of(people, both, names, accuracy=config.accuracy))
    for sensor, found in single.items():
        judged = cross_fitted_single(found, both, accuracy=config.accuracy)
        lines.append(of_one_sensor(sensor, single_report(found, judged, names, accuracy=config.accuracy)))
    write_trust(model / CALIBRATION, trust)
    _write_card(model / CARD, lines)
    return lines


def what_it_is_worth(trust: Trust, report: Mapping[str, Any]) -> list[str]:
    """Sentences of a `card_numbers.trust_report`."""
    before, after = report["reliability"]["before"], report["reliability"]["after"]
    doubt, f1 = report["uncertain"], report["macro_f1"]
    right = "-" if doubt["accuracy"] is None else f"{100 * doubt['accuracy']:.1f} %"
    return [
        f"Fitted on {report['people']} people whom models of these settings had not learned from; what follows is "
        "cross-fitted, everyone judged by a calibration of the others.",
        f"Expected calibration error {before['ece']:.3f} before, {after['ece']:.3f} after; negative log-likelihood "
        f"{before['nll']:.3f} and {after['nll']:.3f}; temperature {trust.map.temperature:.2f}, floor {trust.map.floor:.3f}.",
        f"Macro F1 of seconds: most probable class {100 * f1['most_probable']['mean']:.1f}, as `predict` decides "
        f"{100 * f1['decided']['mean']:.1f} (difference {100 * f1['gain']['mean']:+.1f} ± {100 * f1['gain']['sem']:.1f}).",
        f"Seconds below {trust.uncertain.threshold:.2f} are uncertain: {100 * doubt['coverage']:.0f} % are not, and of "
        f"these {right} are right.",
        f"90 % intervals of minutes hold the truth in {100 * report['intervals']['recording']['inside']:.0f} % of the pairs "
        "of person and activity, for whole recordings.",
    ]


def of_one_sensor(sensor: str, report: Mapping[str, Any]) -> str:
    """A sentence of a `card_numbers.single_report`."""
    f1, doubt, after = report["macro_f1"], report["uncertain"], report["reliability"]["after"]
    right = "-" if doubt["accuracy"] is None else f"{100 * doubt['accuracy']:.1f} %"
    return (
        f"Where the {sensor}'s sensor alone is read: macro F1 of seconds as `predict` decides "
        f"{100 * f1['decided']['mean']:.1f}, calibration error {after['ece']:.3f}, negative log-likelihood "
        f"{after['nll']:.3f}; uncertain below {doubt['threshold']:.2f}: {100 * doubt['coverage']:.0f} % are not, and of "
        f"these {right} are right."
    )


def _of_model(model: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    try:
        classes = json.loads((model / "classes.json").read_text(encoding="utf-8"))["classes"]
        settings = json.loads((model / "config.json").read_text(encoding="utf-8"))["downstream"]["finetune"]
    except (FileNotFoundError, NotADirectoryError, KeyError) as error:
        raise FileNotFoundError(
            f"{model} is no fine-tuned model folder ({error!r}); make one: selfpab finetune DATASET MODEL"
        ) from error
    return classes, settings


def _one_evaluation(run: Path) -> Path:
    """The folder of one evaluation in or below `run`."""
    if (run / "results.json").is_file():
        return run
    found = sorted(path.parent for depth in ("*", "*/*") for path in run.glob(f"{depth}/results.json"))
    found = [folder for folder in found if not folder.name.startswith(SINGLE)]
    if len(found) != 1:
        which = "it holds none" if not found else "choose one of " + ", ".join(str(path) for path in found)
        raise FileNotFoundError(f"{run} is not one evaluation (a folder with results.json and seconds/): {which}")
    return found[0]


def _check_fits(
    run: Path, results: Mapping[str, Any], classes: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> None:
    def told(entries: Sequence[Mapping[str, Any]]) -> list[tuple[int, str]]:
        return [(entry["code"], entry["name"]) for entry in entries]

    if told(results["classes"]) != told(classes):
        raise ValueError(
            f"{run} has the classes {told(results['classes'])}, the model {told(classes)}; evaluate with the model's: "
            "selfpab evaluate ... classes=DATASET"
        )
    others = results.get("config") or {}
    if differing := {key: (others[key], value) for key, value in settings.items() if others.get(key, value) != value}:
        listed = ", ".join(f"{key}={a} (the model: {b})" for key, (a, b) in differing.items())
        raise ValueError(
            f"{run} was evaluated with {listed}: that tells nothing of this model; evaluate with its settings"
        )


def _write_card(path: Path, lines: Sequence[str]) -> None:
    """The card with this section in the place of an older one."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    kept = text.replace(UNCALIBRATED, "").partition(HEADING)[0].rstrip()
    write_text(path, f"{kept}\n\n{HEADING}\n\n" + "\n".join(f"- {line}" for line in lines) + "\n")
