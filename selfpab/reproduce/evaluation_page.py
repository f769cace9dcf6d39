"""An evaluation as one page that a movement scientist can read: RUN/report.html, self-contained, without JavaScript.

Every number comes from the results.json files of the run (evaluation/comparison.py); the picture of one person's hour
from seconds/<subject>.parquet beside them. Ours; the paper's numbers stand beside ours only where it has them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from selfpab.activities import Activities
from selfpab.evaluation.comparison import (
    RESULTS,
    SAMPLES_PER_MINUTE,
    Runs,
    Seeds,
    any_results,
    gather,
    minutes_by_activity,
    row,
    subject_scores,
    total_confusion,
)
from selfpab.evaluation.folds import seconds_file
from selfpab.reports.page_parts import figure, page, section, table
from selfpab.reproduce.evaluation_figures import data_uri, draw_calibration
from selfpab.reproduce.evaluation_hour import (
    Recordings,
    draw_hour,
    median_subject,
    richest_hour,
    wrong_share,
)
from selfpab.reproduce.evaluation_scores import (
    activities_section,
    data_section,
    differences_section,
    failures_section,
    methods_section,
    people_section,
)
from selfpab.reproduce.table_forms import plus_minus
from selfpab.writing import write_text


def write_page(
    run: Path, recordings: Recordings | None = None, out: Path | None = None, methods: Sequence[str] | None = None
) -> Path:
    """Write the page of an evaluation run, whole or not at all, and return where it is.

    Parameters
    ----------
    run : folder with <method>/seed-<n>/results.json.
    recordings : all recordings of a subject in the data set's order, for the signals of one hour, e.g.
        ``lambda subject: [r for r in data.recordings() if r.subject == subject]``; None leaves the signals out.
    out : the file; RUN/report.html if None.
    methods : which and in which order, the first is compared with the others; None as `comparison.gather`.

    Raises ValueError where results cannot stand in one table (`comparison.gather`) and where `recordings` are not those
    that were evaluated.
    """
    runs = gather(run, methods)
    first = any_results(runs)
    codes, names = (tuple(item[key] for item in first["classes"]) for key in ("code", "name"))
    activities = Activities(first["dataset"], codes, names)
    minutes = minutes_by_activity(runs)
    body = [
        data_section(runs, minutes),
        methods_section(runs),
        differences_section(runs) if len(runs) > 1 else "",
        failures_section(runs, names),
        activities_section(runs, activities, list(minutes)),
        people_section(runs),
        _confusions(runs, names),
        _calibration(runs),
        _hour(run, runs, activities, recordings),
        _layers(runs),
        _validation(runs),
        _made(runs),
    ]
    title = f"Activities recognised: {first['dataset']} {first['data'].get('version') or ''}".strip()
    path = run / "report.html" if out is None else out
    write_text(path, page(title, _headline(runs), "\n".join(body)))
    return path


def _headline(runs: Runs) -> str:
    lines = [row(method, seeds) for method, seeds in runs.items()]
    scores = "; ".join(f"{line.method} {plus_minus(line.mean, line.sem)} %" for line in lines)
    return (
        f"{lines[0].n} people, each tested by a classifier that was trained on the others. Macro F1, mean ± standard error "
        f"over people: {scores}."
    )


def _confusions(runs: Runs, names: Sequence[str]) -> str:
    parts = []
    for method, seeds in runs.items():
        total = total_confusion(seeds) / SAMPLES_PER_MINUTE
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
        rows = "".join(
            _confusion_row(name, line, place) for place, (name, line) in enumerate(zip(names, total, strict=True))
        )
        parts.append(
            f'<h3>{escape(method)}</h3><div class="scroll"><table class="confusion"><caption>Rows: what was done. '
            f"Columns: what was predicted.</caption><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )
    note = (
        "<p>Per cent of the row, and minutes below; summed over people, averaged over seeds. Dark is much; the framed diagonal "
        "is right.</p>"
    )
    return section("What is taken for what", note + "".join(parts))


def _confusion_row(name: str, minutes: np.ndarray, place: int) -> str:
    whole = minutes.sum()
    cells = []
    for column, value in enumerate(minutes):
        share = value / whole if whole else 0.0
        ink = "#fff" if share > 0.5 else "#222"
        shown = f"{100 * share:.1f}<small>{value:.1f} min</small>" if value else "·"
        right = ' class="right"' if column == place else ""
        cells.append(f'<td{right} style="background:rgba(18,48,79,{share:.3f});color:{ink}">{shown}</td>')
    return f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>'


def _calibration(runs: Runs) -> str:
    bins = {method: _bins(seeds) for method, seeds in runs.items()}
    rows = []
    for method, sums in bins.items():
        filled = sums["n"] > 0
        apart = np.abs(sums["confidence"] - sums["correct"])[filled] @ sums["n"][filled] / sums["n"].sum()
        nll = np.mean([content["calibration"]["nll"] for content in runs[method].values()])
        rows.append((method, f"{100 * apart:.1f}", f"{nll:.3f}"))
    head = ("method", "mean gap (points)", "-ln p of the truth (nats)")
    words = ", ".join(f"{cells[0]} {cells[1]} points" for cells in rows)
    picture = figure(
        data_uri(draw_calibration(bins)),
        f"Reliability in {len(next(iter(bins.values()))['n'])} bins of confidence. Mean gap: {words}.",
        "On the dashed line a probability of 0.8 is right 8 times in 10; below it the method is too sure of itself.",
    )
    return section("Do the probabilities mean what they say?", picture + table("calibration", head, rows))


def _bins(seeds: Seeds) -> dict[str, np.ndarray]:
    """The seeds' bins together; null, the mean of an empty bin, becomes NaN."""
    parts = [content["calibration"] for content in seeds.values()]
    n = np.sum([part["n"] for part in parts], axis=0)
    means = {
        key: np.sum([np.array(part["n"]) * np.array(part[key], float) for part in _zeros(parts, key)], axis=0)
        / np.where(n > 0, n, np.nan)
        for key in ("confidence", "correct")
    }
    return {"n": n, **means}


def _zeros(parts: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    return [{"n": part["n"], key: [value or 0.0 for value in part[key]]} for part in parts]


def _hour(run: Path, runs: Runs, activities: Activities, recordings: Recordings | None) -> str:
    method, seeds = next(iter(runs.items()))
    seed = min(seeds)
    subject = median_subject(subject_scores(seeds))
    nested = run / method / f"seed-{seed}"
    folder = nested if (nested / RESULTS).is_file() else run / method
    rule = (
        f"Chosen by a rule, not by its looks: person {subject} is the median one by the macro F1 of {method}, the first "
        "method (the lower of the two in the middle); of that person the 60 minutes with most different activities, or all "
        "there is if it is shorter."
    )
    if not seconds_file(folder, subject).is_file():
        return section(
            "One person's hour",
            f"<p>Left out: {escape(str(seconds_file(folder, subject).relative_to(run)))} is not in the run folder, and only "
            f"results.json was found. {escape(rule)}</p>",
        )
    hour = richest_hour(folder, subject)
    wrong = wrong_share(hour.rows)
    signals = "" if recordings is None else ", back and thigh in g (rare peaks are cut off)"
    missing = "" if recordings else " The signals are left out, because the recordings were not at hand."
    alt = (
        f"Acceleration, truth, prediction and probabilities of {len(hour.rows) / 60:.0f} minutes of person {subject}; "
        f"{100 * wrong:.1f} % of the labelled seconds are wrong."
    )
    caption = (
        f"{method}, seed {seed}, from {hour.rows['time'][0]}{signals}: black is "
        f"what was done, colour what was predicted. Wrong in {100 * wrong:.1f} % of the labelled seconds."
    )
    picture = data_uri(draw_hour(hour, activities, recordings), "png", 120)
    return section(
        "One person's hour",
        f"<p>{escape(rule + missing)}</p>" + figure(picture, alt, caption),
    )


def _layers(runs: Runs) -> str:
    weights = {
        method: np.mean([content["layer_weights"] for content in seeds.values()], axis=0)
        for method, seeds in runs.items()
        if all(content.get("layer_weights") for content in seeds.values())
    }
    if not weights:
        return ""
    deepest = max(map(len, weights.values()))
    rows = [
        (method, *(f"{w:.3f}" for w in values), *[""] * (deepest - len(values))) for method, values in weights.items()
    ]
    head = ("weight of layer", *map(str, range(1, deepest + 1)))
    note = "<p>How much the classifier draws on each layer of the encoder; mean over people and seeds, as learnt.</p>"
    return section("Layers", note + table("layers", head, rows))


def _validation(runs: Runs) -> str:
    rows = []
    for method, seeds in runs.items():
        found = [content.get("validation") or {} for content in seeds.values()]
        score, loss = (_mean_or_nan([item.get(key) for item in found]) for key in ("macro_f1", "loss"))
        if not (math.isnan(score) and math.isnan(loss)):
            shown = (f"{100 * score:.1f}", f"{loss:.3f}")
            rows.append((method, *("-" if text == "nan" else text for text in shown)))
    if not rows:
        return ""
    note = (
        "<p>On the part of the training people's recordings that was held out from training; mean over folds and seeds. It "
        "says nothing of new people.</p>"
    )
    return section("Validation", note + table("validation", ("method", "macro F1 (%)", "loss"), rows))


def _mean_or_nan(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else math.nan


def _made(runs: Runs) -> str:
    parts = []
    for method, seeds in runs.items():
        for seed, content in seeds.items():
            kept = {
                key: content[key]
                for key in ("validation", "search", "upstream", "config", "environment")
                if content.get(key)
            }
            text = escape(json.dumps(kept, indent=1, ensure_ascii=False))
            took = f"{content['seconds'] / 60:.1f} minutes" if "seconds" in content else "an unknown time"
            parts.append(
                f"<details><summary>{escape(method)}, seed {seed}, took {took}</summary><pre>{text}</pre></details>"
            )
    return section("How it was made", "".join(parts))
