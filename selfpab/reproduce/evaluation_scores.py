"""The part of the evaluation page that says what was evaluated, and what came out: methods, activities, people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from selfpab.activities import Activities
from selfpab.evaluation.comparison import (
    SAMPLES_PER_MINUTE,
    Runs,
    any_results,
    differences,
    p_text,
    per_class,
    row,
    subject_scores,
    total_confusion,
)
from selfpab.paper import SUBJECTS, TABLE_1, VERSIONS
from selfpab.reports.page_parts import figure, section, table
from selfpab.reproduce.collected_results import runs_beside_the_paper
from selfpab.reproduce.evaluation_figures import data_uri, draw_activities, draw_differences, draw_subjects
from selfpab.reproduce.provenance_lines import other_people
from selfpab.reproduce.table_forms import plus_minus

WORST = 3  # confusions named per method


def data_section(runs: Runs, minutes: Mapping[str, float]) -> str:
    first = any_results(runs)
    data, subjects = first["data"], first["subjects"]
    unlabelled = data["samples_unlabelled"] / SAMPLES_PER_MINUTE
    facts = [
        ("data set", f"{first['dataset']}, version {data.get('version') or 'unknown'}"),
        ("checksum of its files (SHA-256)", data.get("sha256") or "unknown"),
        ("people", str(len(subjects))),
        ("scored", f"{sum(minutes.values()):.1f} minutes, every labelled sample; {unlabelled:.1f} had no label"),
    ]
    firsts = {method: next(iter(seeds.values())) for method, seeds in runs.items()}
    one = len({content["protocol"] for content in firsts.values()}) == 1  # said once where it is the same for all
    facts += [("protocol", first["protocol"])] if one else []
    for method, content in firsts.items():
        own = [] if one else [content["protocol"]]
        seeds = f"seed{'s' if len(runs[method]) > 1 else ''} {', '.join(map(str, runs[method]))}"
        facts.append((method, "; ".join([*own, seeds, *_details(content)])))
    did = np.sum([np.sum(item["confusion"], axis=1) > 0 for item in subjects.values()], axis=0)
    people = dict(zip([item["name"] for item in first["classes"]], did, strict=True))
    whole = sum(minutes.values())
    rows = [
        (name, f"{value:.1f}", f"{100 * value / whole:.1f}", f"{people[name]} of {len(subjects)}")
        for name, value in minutes.items()
    ]
    amounts = table("minutes", ("activity", "minutes", "% of time", "people who did it"), rows)
    pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    return section("What was evaluated", f"<dl>{pairs}</dl>{amounts}")


def _details(content: Mapping[str, Any]) -> list[str]:
    parts = [f"precision {content['precision']}"] if content.get("precision") else []
    if upstream := content.get("upstream"):
        told = [f"{upstream[key]:g} {key}" for key in ("people", "hours", "steps") if key in upstream]
        if corpora := upstream.get("corpora"):
            told.append(f"corpora {', '.join(corpus['name'] for corpus in corpora)}")
        parts.append(f"encoder {upstream['sha256'][:12]}{' pre-trained with ' if told else ''}{', '.join(told)}")
    parts += other_people(content)
    return parts


def methods_section(runs: Runs) -> str:
    dataset = any_results(runs)["dataset"]
    apart = runs_beside_the_paper(runs)
    reported = {} if apart else TABLE_1
    rows, beside = [], False
    for line in (row(method, seeds) for method, seeds in runs.items()):
        paper = "not in it"
        if line.method in reported:
            mean, sem = reported[line.method][list(SUBJECTS).index(dataset)]
            paper, beside = f"{mean} ± {sem}", True
        spread = "one seed" if math.isnan(line.seed_sd) else f"{100 * line.seed_sd:.2f}"
        rows.append((line.method, plus_minus(line.mean, line.sem), spread, str(len(line.seeds)), str(line.n), paper))
    head = ("method", "macro F1 (%)", "SD over seeds", "seeds", "people", "the paper reports (%)")
    if not beside:
        head, rows = head[:-1], [cells[:-1] for cells in rows]
    note = (
        "<p>Macro F1 is a person's F1 averaged over activities, each weighing the same however short; an activity that the "
        "person neither did nor was said to do is left out, one never done but predicted counts 0. A person's score is "
        "averaged over seeds, then people are averaged; ± is the standard error over people. The SD over seeds tells how "
        "much chance in training moves the mean.</p>"
    )
    if beside:
        note += (
            f"<p>The last column is what the paper's Table 1 prints for {escape(dataset)} {VERSIONS[dataset]} "
            f"({SUBJECTS[dataset]} people), not a result of this run: its SelfPAB encoder was pre-trained on 100,000 hours of "
            "other recordings.</p>"
        )
    elif dataset in SUBJECTS and set(runs) & set(TABLE_1):
        note += f"<p>{escape(apart[0].upper() + apart[1:])}.</p>"
    return section("The methods", table("methods", head, rows) + note)


def differences_section(runs: Runs) -> str:
    pairs = differences(runs)
    rows = [
        (
            f"{pair.first} minus {pair.second}",
            f"{100 * pair.mean:+.1f}",
            "one person" if math.isnan(pair.low) else f"{100 * pair.low:+.1f} to {100 * pair.high:+.1f}",
            f"{pair.better} of {pair.n}",
            p_text(pair.p),
        )
        for pair in pairs
    ]
    head = ("methods", "difference (points)", "95 % interval", "first is better for", "p")
    note = (
        "<p>Both methods were tested on the same people, so they are compared person by person. An interval that contains 0 "
        "means that these people do not tell which of the two is better. The interval is Student's t; p is a two-sided "
        f"sign-flip test; neither is corrected for there being {len(pairs)} comparison{'s' if len(pairs) > 1 else ''}. The "
        "models of two people share most of their training data, so intervals are rather too narrow.</p>"
    )
    alt = "; ".join(f"{cells[0]}: {cells[1]} points, 95 % interval {cells[2]}" for cells in rows[: len(runs) - 1])
    picture = figure(
        data_uri(draw_differences(runs)), f"Differences of macro F1 by person. {alt}.", "Grey: one person each."
    )
    return section("Differences, person by person", picture + table("differences", head, rows) + note)


def failures_section(runs: Runs, names: Sequence[str]) -> str:
    items = []
    for method, seeds in runs.items():
        scores = subject_scores(seeds)
        worst = min(scores, key=lambda subject: scores[subject])
        classes = {name: score.mean for name, score in per_class(seeds).items() if score.n}
        lowest = min(classes.values())
        weak = ", ".join(name for name, mean in classes.items() if mean == lowest)
        total = total_confusion(seeds) / SAMPLES_PER_MINUTE
        missed = [
            (total[i, j], i, j) for i in range(len(names)) for j in range(len(names)) if i != j and total[i, j] > 0
        ]
        named = [
            f"{minutes:.1f} of {total[i].sum():.1f} minutes of {names[i]} were called {names[j]}"
            for minutes, i, j in sorted(missed, reverse=True)[:WORST]
        ]
        text = (
            f"lowest person {worst} (macro F1 {100 * scores[worst]:.1f} %); lowest activity {weak} (F1 {100 * lowest:.1f} %); "
            f"most time lost: {'; '.join(named) or 'none'}."
        )
        items.append(f"<li><strong>{escape(method)}</strong>: {escape(text)}</li>")
    return section("Where it fails", f"<ul>{''.join(items)}</ul>")


def activities_section(runs: Runs, activities: Activities, order: Sequence[str]) -> str:
    scores = {method: per_class(seeds) for method, seeds in runs.items()}
    rows = [(name, *(_score(scores[method][name]) for method in runs)) for name in order]
    alt = "F1 of every activity by method, as in the table below; activities with most minutes are on top."
    # hatches make a scalable picture of some MB
    picture = figure(
        data_uri(draw_activities(runs, activities, order), "png", 150), alt, "Activities with most minutes on top."
    )
    numbers = table("activities", ("F1 (%), people with a score", *runs), rows)
    return section("Each activity", picture + numbers)


def people_section(runs: Runs) -> str:
    scores = {method: subject_scores(seeds) for method, seeds in runs.items()}
    order = sorted(next(iter(scores.values())), key=lambda subject: -next(iter(scores.values()))[subject])
    rows = [(subject, *(f"{100 * scores[method][subject]:.1f}" for method in runs)) for subject in order]
    alt = f"Macro F1 of every person by method, from {order[0]} (highest with {next(iter(runs))}) to {order[-1]} (lowest)."
    numbers = table("people", ("macro F1 (%)", *runs), rows)
    folded = f"<details><summary>The numbers</summary>{numbers}</details>"
    return section("Each person", figure(data_uri(draw_subjects(runs)), alt, "A mark per method.") + folded)


def _score(score: Any) -> str:
    return f"{plus_minus(score.mean, score.sem)} ({score.n})" if score.n else "nobody"
