"""Figures of the evaluation page: activities in their colours, methods told apart by hatch and mark.

So a grey print says the same as the screen. Scalable pictures are self-contained: letters are drawn as paths.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from selfpab.activities import Activities
from selfpab.evaluation.comparison import Runs, difference, per_class, scores_by_seed, subject_scores
from selfpab.reproduce.method_marks import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HATCHES = ("", "////", "....", "xxxx", "----", "\\\\\\\\", "++++", "oooo", "||||", "**")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
SHADES = ("#12304F", "#FFFFFF", "#7FA3C7")  # of the marks, in turn: dark, empty, middle
BARELY = 0.02  # a shorter bar cannot be seen, and is written out
WIDTH = 8.0  # inches; the page scales it


def data_uri(figure: Figure, kind: str = "svg", dpi: int = 110) -> str:
    """The figure as `data:image/...;base64,...`; the same figure gives the same bytes."""
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "selfpab", "svg.fonttype": "path", "hatch.linewidth": 0.6}):
        figure.savefig(file, format=kind, dpi=dpi, metadata={"Date": None} if kind == "svg" else {"Software": None})
    mime = "image/svg+xml" if kind == "svg" else f"image/{kind}"
    return f"data:{mime};base64,{base64.b64encode(file.getvalue()).decode()}"


def draw_activities(runs: Runs, activities: Activities, order: Sequence[str]) -> Figure:
    """F1 of every activity, mean and SEM over subjects, one bar per method; `order`: names from the top."""
    from matplotlib.patches import Patch

    tall = 0.8 / len(runs)
    figure, axes = _figure(0.9 + len(order) * max(0.45, 0.17 * len(runs)))
    colours = dict(zip(activities.names, activities.colours, strict=True))
    for number, (method, seeds) in enumerate(runs.items()):
        scores = per_class(seeds)
        for place, name in enumerate(order):
            mean, sem, n = scores[name]
            if not n:
                continue
            middle = place + (number + 0.5) * tall - 0.4
            if mean < BARELY:
                axes.text(BARELY, middle, f"{mean:.3f}", va="center", fontsize=6)
            axes.barh(
                middle,
                mean,
                tall * 0.9,
                xerr=None if math.isnan(sem) else sem,
                color=colours[name],
                edgecolor=INK,
                linewidth=0.6,
                hatch=_turn(HATCHES, number),
                error_kw={"elinewidth": 0.9, "capsize": 2, "ecolor": INK},
                label=method,
            )
    axes.set_yticks(range(len(order)), order)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.04), xlabel="F1 (1 is best); mean over people, whisker: standard error")
    patches = [
        Patch(facecolor="#DDDDDD", edgecolor=INK, linewidth=0.6, hatch=_turn(HATCHES, number), label=method)
        for number, method in enumerate(runs)
    ]
    figure.legend(handles=patches, loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    return figure


def draw_subjects(runs: Runs) -> Figure:
    """Macro F1 of every subject, a mark per method (mean over seeds), a line from the lowest to the highest seed.

    Subjects are ordered by the first method, best on top.
    """
    scores = [subject_scores(seeds) for seeds in runs.values()]
    order = sorted(scores[0], key=lambda subject: -scores[0][subject])
    figure, axes = _figure(1.0 + 0.26 * len(order))
    apart = 0.7 / max(len(runs), 2)
    for number, (method, seeds) in enumerate(runs.items()):
        places = np.arange(len(order)) + (number - (len(runs) - 1) / 2) * apart
        spread = scores_by_seed(seeds)
        if len(seeds) > 1:
            low, high = ([end(spread[subject]) for subject in order] for end in (min, max))
            axes.hlines(places, low, high, color=INK, linewidth=0.8)
        values = [scores[number][subject] for subject in order]
        axes.plot(values, places, linestyle="none", label=method, **_mark(number, 4.5))
    axes.set_yticks(range(len(order)), [_plain(subject) for subject in order])
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlim(right=1.0)
    axes.set(xlabel="macro F1 (1 is best)", ylabel="person")
    axes.yaxis.grid(True, color="#EEEEEE", linewidth=0.6)
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    return figure


def draw_differences(runs: Runs) -> Figure:
    """The first method minus each other one: every person a dot, the mean with its 95 % interval."""
    first, *others = runs
    figure, axes = _figure(0.8 + 0.55 * len(others))
    ours = subject_scores(runs[first])
    for place, other in enumerate(others):
        theirs = subject_scores(runs[other])
        points = [100 * (ours[subject] - theirs[subject]) for subject in ours]
        axes.plot(points, [place + 0.22] * len(points), "o", color="#AAAAAA", markersize=3.5, alpha=0.8)
        pair = difference(first, other, runs)
        axes.plot([100 * pair.low, 100 * pair.high], [place] * 2, color=INK, linewidth=2)
        axes.plot(100 * pair.mean, place, **_mark(0, 7))
    axes.axvline(0, color=INK, linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(others)), [f"{first} minus\n{other}" for other in others])
    axes.set_ylim(len(others) - 0.5, -0.5)
    axes.set_xlabel("percentage points of macro F1; to the right of 0 the first is better")
    return figure


def draw_calibration(bins: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Per method how often the prediction was right at each confidence, and below how many samples had it.

    bins : {method: {n, confidence, correct}}, each of one length; NaN where a bin is empty.
    """
    from matplotlib.figure import Figure

    across = min(3, len(bins))
    lines = math.ceil(len(bins) / across)
    figure = Figure(figsize=(max(3.0 * across, 3.6), 3.7 * lines), layout="constrained")
    grid = figure.subplots(2 * lines, across, squeeze=False, sharex=True, height_ratios=[3, 1] * lines)
    for number, (method, sums) in enumerate(bins.items()):
        above, below = grid[2 * (number // across), number % across], grid[2 * (number // across) + 1, number % across]
        count = np.asarray(sums["n"], float)
        above.plot([0, 1], [0, 1], color="#888888", linewidth=0.8, linestyle="--")
        above.plot(sums["confidence"], sums["correct"], linewidth=1, **_mark(number, 4))
        above.set(xlim=(0, 1), ylim=(0, 1), title=method, ylabel="share right")
        below.bar((np.arange(len(count)) + 0.5) / len(count), count / count.sum(), 0.9 / len(count), color="#888888")
        below.set(ylim=(0, 1), xlabel="probability given to the prediction", ylabel="share of\nsamples")
        for axes in (above, below):
            _tidy(axes)
    for empty in range(len(bins), across * lines):
        grid[2 * (empty // across), empty % across].set_visible(False)
        grid[2 * (empty // across) + 1, empty % across].set_visible(False)
    return figure


def _figure(tall: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, tall), layout="constrained")
    axes = figure.add_subplot()
    _tidy(axes)
    return figure, axes


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.grid(True, color="#E3E3E3", linewidth=0.6)
    axes.set_axisbelow(True)


def _mark(number: int, size: float) -> dict[str, Any]:
    face = _turn(SHADES, number)
    return {
        "marker": _turn(MARKS, number),
        "markersize": size,
        "markerfacecolor": face,
        "markeredgecolor": SHADES[0],
        "color": INK,
    }


def _turn(choices: Sequence[str], number: int) -> str:
    return choices[number % len(choices)]


def _plain(text: str) -> str:
    return text.replace("$", r"\$")  # matplotlib would read mathematics between two
