"""One person's hour: signals, truth, prediction and probabilities, chosen by a rule and not by its looks (ours).

The person is the median one by the first method's macro F1 (the lower of the two in the middle). The hour is the
stretch of 60 minutes with most different activities in the truth; among equals the one with most labelled seconds,
then the earliest. A shorter recording is shown whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selfpab.activities import Activities
from selfpab.evaluation.clock import clock_seconds
from selfpab.evaluation.folds import seconds_file
from selfpab.recording import Recording
from selfpab.reproduce.evaluation_figures import WIDTH
from selfpab.reproduce.method_marks import INK

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HOUR_S = 3600
STEP_S = 60  # where an hour may begin
POINTS = 3000  # columns of a signal; each shows the range of its samples
USUAL = (0.001, 0.999)  # rarer peaks are cut off, or one knock would flatten everything else
AXES = ("x", "y", "z")
AXIS_COLOURS = ("#000000", "#0072B2", "#E69F00")  # dark, middle, light
Recordings = Callable[[str], Sequence[Recording]]


class Hour(NamedTuple):
    """`rows` are the seconds `first` ... of the subject's recording number `recording`."""

    subject: str
    recording: int
    first: int
    rows: "pl.DataFrame"


def median_subject(scores: Mapping[str, float]) -> str:
    """The subject in the middle, the lower of the two where the number is even; ties by name.

    >>> median_subject({"a": 0.9, "b": 0.2, "c": 0.5, "d": 0.6})
    'c'
    """
    order = sorted(scores, key=lambda subject: (scores[subject], subject))
    return order[(len(order) - 1) // 2]


def richest_hour(folder: Path, subject: str) -> Hour:
    """The hour of `folder/seconds/<subject>.parquet` with most different activities; FileNotFoundError without it."""
    import polars as pl

    table = pl.read_parquet(seconds_file(folder, subject))
    best: tuple[tuple[int, int, int, int], Hour] | None = None
    for number in table["recording"].unique().sort():
        rows = table.filter(pl.col("recording") == number)
        first, rank = _richest(rows["truth"].fill_null(-1).to_numpy())
        found = ((*rank, -number, -first), Hour(subject, number, first, rows.slice(first, HOUR_S)))
        if best is None or found[0] > best[0]:
            best = found
    if best is None:
        raise ValueError(f"{seconds_file(folder, subject)} has no rows; evaluate {subject} again")
    return best[1]


def draw_hour(hour: Hour, activities: Activities, recordings: Recordings | None = None) -> Figure:
    """The picture; without `recordings` (all of a subject, in the data set's order) the signals are left out.

    Every activity has a lane of its own, so that colour is not needed to read it.
    """
    from matplotlib.figure import Figure

    lanes = len(activities)
    signals = [] if recordings is None else _signals(hour, recordings)
    tall = [1.5] * len(signals) + [0.36 * lanes, 0.36 * lanes]
    figure = Figure(figsize=(1.4 * WIDTH, sum(tall) + 1.2), layout="constrained")
    rows = figure.subplots(len(tall), 1, sharex=True, height_ratios=tall, squeeze=False)[:, 0]
    for axes, (name, minutes, values) in zip(rows, signals, strict=False):
        for axis, colour, column in zip(AXES, AXIS_COLOURS, values.T, strict=True):
            axes.plot(minutes, column, color=colour, linewidth=0.5, label=axis)
        low, high = np.nanquantile(values, USUAL)
        axes.set(ylabel=f"{name}\n(g)", ylim=(low - 0.3, high + 0.3))
    if signals:
        legend = rows[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, frameon=False)
        for line in legend.get_lines():
            line.set_linewidth(2)
    minutes = (np.arange(len(hour.rows)) + 0.5) / 60
    truth, predicted = (hour.rows[name].fill_null(-1).to_numpy() for name in ("truth", "activity"))
    states, chances = rows[-2:]
    for lane, (code, colour, column) in enumerate(
        zip(activities.codes, activities.colours, activities.columns, strict=True)
    ):
        _bars(states, truth == code, lane - 0.4, INK)
        _bars(states, predicted == code, lane + 0.05, colour)
        share = hour.rows[column].fill_null(0.0).to_numpy()
        chances.fill_between(
            minutes, lane + 0.45, lane + 0.45 - 0.9 * share, color=colour, edgecolor=INK, linewidth=0.3
        )
        chances.axhline(lane + 0.45, color="#BBBBBB", linewidth=0.4)
    for axes, what in ((states, "truth (black)\nprediction (colour)"), (chances, "probability\n(lane height is 1)")):
        axes.set_yticks(range(lanes), activities.names, fontsize=9)
        axes.set_ylim(lanes - 0.5, -0.55)
        axes.set_ylabel(what)
    states.hlines(np.arange(lanes - 1) + 0.5, 0, len(hour.rows) / 60, color="#DDDDDD", linewidth=0.5)
    rows[-1].set(xlim=(0, len(hour.rows) / 60), xlabel="minutes")
    for axes in rows:
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def wrong_share(rows: pl.DataFrame) -> float:
    """Share of the seconds with truth and prediction on which the two differ; NaN where there are none."""
    both = rows.select("truth", "activity").drop_nulls()
    return float((both["truth"] != both["activity"]).mean() or 0.0) if len(both) else float("nan")  # pyright: ignore


def _richest(truth: np.ndarray) -> tuple[int, tuple[int, int]]:
    """First second of the best hour, and its (different activities, labelled seconds)."""
    ranks = {}
    for first in range(0, max(1, len(truth) - HOUR_S + 1), STEP_S):
        piece = truth[first : first + HOUR_S]
        labelled = piece[piece != -1]
        ranks[first] = (len(np.unique(labelled)), len(labelled))
    best = max(ranks, key=lambda first: (ranks[first], -first))
    return best, ranks[best]


def _signals(hour: Hour, recordings: Recordings) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(sensor, minutes, values in g) of back and thigh: lowest and highest value of each column, gaps as NaN."""
    own = recordings(hour.subject)
    if not hour.recording < len(own):
        raise ValueError(
            f"{hour.subject} has {len(own)} recordings here, its seconds come from number {hour.recording + 1}; "
            "give the data set that was evaluated"
        )
    recording = own[hour.recording]
    _, rows = clock_seconds(recording)
    fraction_s = recording.start.microsecond / 1e6 if recording.start else 0.0
    begin, stop = np.searchsorted(rows, (hour.first, hour.first + len(hour.rows)))
    if begin == stop:
        raise ValueError(
            f"the recording of {hour.subject} has no sample in the hour shown; give the data set that was evaluated"
        )
    times = recording.sample_times_s() + fraction_s
    times_s = times[begin:stop] - np.floor(np.round(times[0], 6)) - hour.first
    column = np.clip((times_s / len(hour.rows) * POINTS).astype(np.int64), 0, POINTS - 1)
    values = recording.piece(int(begin), int(stop))
    firsts = np.flatnonzero(np.diff(column, prepend=-1))
    ends = np.full((2, POINTS, values.shape[1]), np.nan)
    ends[0, column[firsts]] = np.minimum.reduceat(values, firsts)
    ends[1, column[firsts]] = np.maximum.reduceat(values, firsts)
    zigzag = ends.transpose(1, 0, 2).reshape(2 * POINTS, -1)
    minutes = (np.repeat(np.arange(POINTS), 2) + 0.5) / POINTS * len(hour.rows) / 60
    return [("lower back", minutes, zigzag[:, :3]), ("thigh", minutes, zigzag[:, 3:])]


def _bars(axes: Axes, here: np.ndarray, low: float, colour: str) -> None:
    """A bar of 0.35 lanes wherever `here`, seconds (R,), is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], here, [False])).astype(np.int8)))
    spans = [(a / 60, (b - a) / 60) for a, b in edges.reshape(-1, 2).tolist()]
    axes.broken_barh(spans, (low, 0.35), facecolor=colour, edgecolor=INK, linewidth=0.3)
