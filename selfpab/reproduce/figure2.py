"""Figure 2 of the paper for the results at hand: F1 of every activity by method, activities with most minutes first.

The paper draws bars of three methods; seven and more are told apart better as marks, each with its standard error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from selfpab.evaluation.comparison import minutes_by_activity, per_class
from selfpab.reproduce.collected_results import Collected, in_order
from selfpab.reproduce.method_marks import INK, looks, save
from selfpab.reproduce.provenance_lines import data_line, method_lines
from selfpab.writing import write_csv, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 4.4  # inches across
STEP = 0.1  # inches from one mark to the next
BETWEEN = 0.18  # inches between activities
LOWEST = 0.45  # inches of an activity: its name and minutes take three lines
CAPTION = (
    "F1 in per cent of every activity: mean over the people who have one, whisker: standard error. A person's F1 is the "
    "mean over the seeds. Activities are ordered by their labelled minutes in the data set, most on top. An activity that "
    "a person neither did nor was said to do has no F1; one never done but predicted counts 0. A whisker shorter than its "
    "mark does not show; figure2.csv has all numbers."
)


def write_figure(collected: Sequence[Collected], out: Path) -> list[Path]:
    """OUT/figure2.pdf, .png, .csv (F1 in shares of 1) and figure2.txt, the caption with where the numbers are from."""
    rows = [
        (one.dataset, name, minutes, method, *scores[name])
        for one in collected
        for method, scores in ((method, per_class(seeds)) for method, seeds in one.runs.items())
        for name, minutes in minutes_by_activity(one.runs).items()
    ]
    files = save(draw(collected), out, "figure2")
    head = ("dataset", "activity", "minutes", "method", "mean", "sem", "people_with_one")
    table, caption = write_csv(out / "figure2.csv", head, rows), out / "figure2.txt"
    sources = [line for one in collected for line in (data_line(one), *method_lines(one))]
    write_text(caption, "\n".join([CAPTION, "", *sources]) + "\n")
    return [*files, table, caption]


def draw(collected: Sequence[Collected]) -> Figure:
    """A panel per data set; in each a band per activity, in it a mark per method from the top in the table's order."""
    from matplotlib.figure import Figure

    methods = in_order(method for one in collected for method in one.runs)
    style = looks(methods)
    bands = max(len(one.first["classes"]) for one in collected)
    tall = bands * max(_band(one) for one in collected)
    figure = Figure(figsize=(PANEL * len(collected), tall + 1.1), layout="constrained")
    grid = figure.subplots(1, len(collected), squeeze=False)[0]
    for axes, one in zip(grid, collected, strict=True):
        _panel(axes, one, style, bands)
    handles = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    columns = 4 if len(collected) > 1 else 3
    figure.legend(
        [handles[method] for method in methods],
        methods,
        loc="outside upper center",
        ncols=columns,
        frameon=False,
        fontsize=8,
    )
    return figure


def _panel(axes: Axes, one: Collected, style: dict, bands: int) -> None:
    minutes = minutes_by_activity(one.runs)
    for number, (method, seeds) in enumerate(one.runs.items()):
        scores, apart = per_class(seeds), (number - (len(one.runs) - 1) / 2) * STEP / _band(one)
        known = [(place, scores[name]) for place, name in enumerate(minutes) if scores[name].n]
        axes.errorbar(
            [100 * score.mean for _, score in known],
            [place + apart for place, _ in known],
            xerr=[0 if math.isnan(score.sem) else 100 * score.sem for _, score in known],
            label=method,
            **(style[method] | {"linestyle": "none"}),
            markersize=4.6,
            markeredgewidth=0.9,
            elinewidth=0.8,
            capsize=1.6,
            clip_on=False,
            zorder=3,
        )
    for place in range(0, len(minutes), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#F1F1F1", linewidth=0, zorder=0)
    labels = [f"{name.replace(' (', chr(10) + '(')}\n{_minutes(value)}" for name, value in minutes.items()]
    axes.set_yticks(range(len(minutes)), labels, fontsize=8, linespacing=1.1)
    axes.tick_params(axis="y", length=0, pad=7)  # a mark at 0 reaches beyond the line
    axes.set_ylim(bands - 0.5, -0.5)
    axes.set_xlim(0, 100)
    version = one.first["data"].get("version") or ""
    axes.set_title(f"{one.dataset} {version}".strip() + f", {one.people} people", fontsize=9, color=INK)
    axes.set_xlabel("F1 (%)", fontsize=8)
    axes.vlines(range(0, 101, 20), -0.5, len(minutes) - 0.5, color="#D5D5D5", linewidth=0.6, zorder=1)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_position(("data", len(minutes) - 0.5))  # fewer activities than the panel beside it


def _band(one: Collected) -> float:
    """Inches of an activity."""
    return max(LOWEST, BETWEEN + STEP * len(one.runs))


def _minutes(value: float) -> str:
    return f"{value:,.0f} min" if value >= 10 else f"{value:.1f} min"
