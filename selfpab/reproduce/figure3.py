"""Figure 3 of the paper for the results at hand: F1 against the hours of recordings that the encoder was pre-trained on.

Each run folder holds `selfpab` with another encoder; `upstream.hours` of its results.json says where it stands. Folders
with as many hours (to three digits) are one point: their results are averaged as seeds. (Ours.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from selfpab.evaluation.comparison import Row, Runs, Seeds, row
from selfpab.paper import FIGURE_3
from selfpab.reproduce.collected_results import Collected, Found, in_order, merge, runs_beside_the_paper
from selfpab.reproduce.method_marks import INK, looks, save
from selfpab.reproduce.provenance_lines import data_line, made, method_lines, settings_of
from selfpab.writing import write_csv, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METHOD = "selfpab"
APART = 1.35  # ticks whose hours are nearer than this ratio would print over one another
CAPTION = (
    "Average F1 in per cent of leave-one-subject-out cross-validations against the hours of recordings that the encoder of "
    f"{METHOD} was pre-trained on (logarithmic): mean over people, whisker: standard error; a person's score is the mean "
    "over the seeds. Lines across: methods that need no such hours, their mean."
)


class Point(NamedTuple):
    """One amount of pre-training: `seeds` are all results with it, numbered on; `folders` says where each is from."""

    hours: float
    seeds: Seeds
    folders: tuple[Path, ...]

    @property
    def score(self) -> Row:
        return row(METHOD, self.seeds)


class Curve(NamedTuple):
    """Points by rising hours, and the other methods on the same data."""

    points: tuple[Point, ...]
    others: Collected


def write_figure(found: Mapping[str, Sequence[Found]], out: Path) -> list[Path]:
    """OUT/figure3.pdf, .png, .csv (F1 in shares of 1) and figure3.txt, the caption with where the numbers are from.

    Data sets with one amount of hours, or none, are left out and said to be; ValueError where no other is left.
    """
    curves: dict[str, Curve] = {}
    short: list[str] = []
    for dataset, folders in found.items():
        points = points_of(folders)
        if len(points) > 1:
            curves[dataset] = Curve(points, _others(folders))
        else:
            there = ", ".join(f"{point.hours:g} h in {_names(point.folders)}" for point in points) or "none"
            short.append(f"{dataset}: {METHOD} with fewer than two amounts of pre-training: {there}")
    if not curves:
        raise ValueError(
            f"figure 3 needs {METHOD} with encoders of at least two amounts of hours; there are {'; '.join(short)}. For "
            "each amount: selfpab pretrain CORPUS PRETRAINED hours=10; selfpab evaluate selfpab DATASET "
            "results/DATASET-10h upstream=PRETRAINED/model; then results= names the folders, or the one they lie in"
        )
    files = save(draw(curves), out, "figure3")
    head = ("dataset", "whose", "method", "hours", "mean", "sem", "seeds", "people", "encoder_steps", "encoders")
    table = write_csv(out / "figure3.csv", head, [line for curve in curves.values() for line in csv_rows(curve)])
    caption = out / "figure3.txt"
    lines = [CAPTION, *(f"{line}." for line in short)]
    lines += [f"{line}." for curve in curves.values() for line in remarks(curve)]
    sources = [line for curve in curves.values() for line in provenance(curve)]
    write_text(caption, "\n".join([*lines, "", *sources]) + "\n")
    return [*files, table, caption]


def points_of(found: Sequence[Found]) -> tuple[Point, ...]:
    """The results of `selfpab` by hours; ValueError where they differ in more than the encoder, or one is there twice."""
    by_hours: dict[float, list[tuple[Path, Mapping[str, Any]]]] = {}
    first: tuple[Path, Mapping[str, Any]] | None = None
    known: dict[tuple[Any, Any], Path] = {}
    for folder, runs, _ in found:
        for content in runs.get(METHOD, {}).values():
            upstream = content.get("upstream") or {}
            if not upstream.get("hours"):
                raise ValueError(
                    f"{folder}: {METHOD} does not say how many hours its encoder was pre-trained on (upstream.hours)"
                )
            if (key := (upstream["sha256"], content.get("seed"))) in known:
                raise ValueError(
                    f"{known[key]} and {folder} hold {METHOD} with the same encoder and seed; give one of them"
                )
            known[key] = folder
            first = first or (folder, content)
            _check_alike(first, (folder, content))
            by_hours.setdefault(float(f"{upstream['hours']:.3g}"), []).append((folder, content))
    return tuple(
        Point(hours, dict(enumerate(content for _, content in there)), tuple(dict.fromkeys(f for f, _ in there)))
        for hours, there in sorted(by_hours.items())
    )


def draw(curves: Mapping[str, Curve]) -> Figure:
    """A panel per data set: our points with their errors, the paper's where it says them, other methods as lines."""
    from matplotlib.figure import Figure

    style = looks(in_order(method for curve in curves.values() for method in (METHOD, *curve.others.runs)))
    figure = Figure(figsize=(4.3 * len(curves) + 0.4, 4.3), layout="constrained")
    grid = figure.subplots(1, len(curves), squeeze=False)[0]
    handles: dict[str, Any] = {}
    for axes, curve in zip(grid, curves.values(), strict=True):
        _panel(axes, curve, style)
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    named = [*(method for method in style if method in handles), *(name for name in handles if name not in style)]
    figure.legend(
        [handles[name] for name in named],
        named,
        loc="outside lower center",
        ncols=3 if len(curves) > 1 else 2,
        frameon=False,
        fontsize=8,
        handlelength=3.4,
    )
    return figure


def beside_the_paper(curve: Curve) -> str:
    """Why the paper's points may not stand beside these, or nothing where they may."""
    seeds = dict(enumerate(content for point in curve.points for content in point.seeds.values()))
    return runs_beside_the_paper({**curve.others.runs, METHOD: seeds})


def printed(curve: Curve) -> dict[float, tuple[float, float | None]]:
    """Points that the paper states, in per cent; none where its data are not these."""
    if beside_the_paper(curve):
        return {}
    return {float(hours): score for hours, score in FIGURE_3[curve.others.dataset].items()}


def csv_rows(curve: Curve) -> list[tuple[object, ...]]:
    """Our points, the paper's, and the other methods without hours."""
    name, rows = curve.others.dataset, list[tuple[object, ...]]()
    for point in curve.points:
        score, used = point.score, [content["upstream"] for content in point.seeds.values()]
        steps = " ".join(dict.fromkeys(str(upstream.get("steps", "")) for upstream in used))
        encoders = " ".join(dict.fromkeys(upstream["sha256"] for upstream in used))
        rows.append(
            (name, "ours", METHOD, point.hours, score.mean, score.sem, len(point.seeds), score.n, steps, encoders)
        )
    for hours, (mean, sem) in printed(curve).items():
        error = None if sem is None else round(sem / 100, 5)
        rows.append((name, "the paper", METHOD, hours, round(mean / 100, 5), error, None, None, None, None))
    for method, seeds in _lines(curve.others.runs).items():
        score = row(method, seeds)
        rows.append((name, "ours", method, None, score.mean, score.sem, len(seeds), score.n, None, None))
    return rows


def remarks(curve: Curve) -> list[str]:
    """What must be known of this data set's points."""
    name, said = curve.others.dataset, list[str]()
    used = [content["upstream"] for point in curve.points for content in point.seeds.values()]
    steps = {int(upstream["steps"]) for upstream in used if upstream.get("steps") is not None}
    if len(steps) > 1:
        said.append(f"{name}: the encoders were NOT pre-trained for as many steps each: {sorted(steps)}")
    elif steps:
        said.append(f"{name}: every encoder was pre-trained for {steps.pop()} steps")
    if reason := beside_the_paper(curve):
        said.append(f"{name}: {reason}")
    else:
        said.append(f"{name}: of the paper's points those that its text or Table 1 states; its hours are of HUNT4")
    return said


def provenance(curve: Curve) -> list[str]:
    """Where each point and line comes from."""
    lines = [data_line(curve.others)]
    for point in curve.points:
        for told in made(point.seeds, point.folders[0]):
            lines.append(f"{curve.others.dataset}, {METHOD} {point.hours:g} h: {told}")
        if len(point.folders) > 1:
            lines.append(f"{curve.others.dataset}, {METHOD} {point.hours:g} h is from {_names(point.folders)}")
    return lines + method_lines(curve.others._replace(runs=_lines(curve.others.runs)))


def _panel(axes: Axes, curve: Curve, style: Mapping[str, Mapping[str, Any]]) -> None:
    from matplotlib.ticker import NullLocator

    ours, paper = {point.hours: point.score for point in curve.points}, printed(curve)
    levels = {method: 100 * row(method, seeds).mean for method, seeds in _lines(curve.others.runs).items()}
    for rank, (method, level) in enumerate(sorted(levels.items(), key=lambda pair: pair[1])):
        axes.plot(
            [0, 1.03 + 0.04 * (rank % 3)],  # marks of neighbouring lines stand side by side, beyond the frame
            [level, level],
            transform=axes.get_yaxis_transform(),
            label=method,
            **style[method],
            linewidth=1.1,
            markersize=5,
            markevery=[1],
            clip_on=False,
        )
    axes.errorbar(
        list(ours),
        [100 * score.mean for score in ours.values()],
        yerr=[0 if math.isnan(score.sem) else 100 * score.sem for score in ours.values()],
        label=METHOD,
        **style[METHOD],
        markersize=6,
        linewidth=1.6,
        elinewidth=1.2,
        capsize=3,
        zorder=4,
    )
    if paper:
        axes.errorbar(
            list(paper),
            [mean for mean, _ in paper.values()],
            yerr=[sem or 0 for _, sem in paper.values()],
            label=f"{METHOD} in the paper",
            marker="*",
            color="#777777",
            markerfacecolor="white",
            markersize=10,
            linestyle="none",
            elinewidth=1.2,
            capsize=3,
            zorder=3,
        )
    axes.set_xscale("log")
    ticks = _apart(sorted({*ours, *paper}))
    axes.set_xticks(ticks, [f"{hours:,.6g}" for hours in ticks], fontsize=8)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.08)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("hours of pre-training", fontsize=9)
    axes.set_ylabel("F1 (%)", fontsize=9)
    version = curve.others.first["data"].get("version") or ""
    axes.set_title(f"{curve.others.dataset} {version}, {curve.others.people} people", fontsize=9, color=INK)
    axes.grid(True, color="#E3E3E3", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _others(found: Sequence[Found]) -> Collected:
    """The lines across; where there are none the first folder, for what it says of the data."""
    rest = [Found(folder, _lines(runs), left_out) for folder, runs, left_out in found]
    return merge([one for one in rest if one.runs] or found[:1])


def _lines(runs: Runs) -> dict[str, Seeds]:
    """Methods whose score does not depend on hours of pre-training; others with an encoder are not in the figure."""
    return {
        method: seeds
        for method, seeds in runs.items()
        if not any((content.get("upstream") or {}).get("hours") for content in seeds.values())
    }


def _check_alike(one: tuple[Path, Mapping[str, Any]], other: tuple[Path, Mapping[str, Any]]) -> None:
    (first, here), (second, there) = one, other
    a, b = ({"protocol": content["protocol"], **settings_of(content)} for content in (here, there))
    unlike = [key for key in {**a, **b} if a.get(key) != b.get(key)]
    if unlike:
        raise ValueError(
            f"{first} and {second}: {METHOD} was not trained alike: "
            f"{', '.join(f'{key} {a.get(key)} and {b.get(key)}' for key in unlike)}; a curve may differ in the encoder only: "
            "give the folders that belong together, as results=FOLDER,FOLDER"
        )


def _apart(hours: Sequence[float]) -> list[float]:
    """Those that can be printed side by side on a logarithmic axis."""
    kept: list[float] = []
    for value in hours:
        if not kept or value >= APART * kept[-1]:
            kept.append(value)
    return kept


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(folder.as_posix() for folder in folders)
