"""A predicted stretch of life as one picture: signals, activities, probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from selfpab.inference.prediction import Prediction
from selfpab.recording import UNLABELLED

POINTS = 4000  # at most so many columns are drawn


def draw_day(prediction: Prediction, path: Path, *, title: str = "") -> Path:
    """Acceleration norms, truth (where the recording has labels), predicted activity, and every activity's probability.

    Time runs in hours from the first sample; gaps stay empty.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    recording, activities, seconds = prediction.recording, prediction.activities, prediction.seconds
    colours = ListedColormap([*activities.colours])
    hours = np.arange(len(seconds)) / 3600
    place = {code: i for i, code in enumerate(activities.codes)}
    predicted = np.array([np.nan if code is None else place[code] for code in seconds["activity"]])
    shares = seconds.select(activities.columns).to_numpy().astype(float)

    figure = Figure(figsize=(12, 6.2), layout="constrained")
    tall = [1.6, 1.6, 0.35, 0.35, 2.2] if recording.labels is not None else [1.6, 1.6, 0.35, 2.2]
    rows = figure.subplots(len(tall), 1, sharex=True, height_ratios=tall)
    times = recording.sample_times_s() / 3600
    step = max(1, len(times) // POINTS)
    for axes, name, columns in zip(rows[:2], ("back", "thigh"), (slice(0, 3), slice(3, 6)), strict=True):
        values = recording.acceleration_g[::step, columns]
        axes.plot(times[::step], values, linewidth=0.4)
        axes.set_ylabel(f"{name}\ng")
        axes.set_ylim(-2.5, 2.5)
        axes.legend(["x", "y", "z"], loc="upper right", fontsize=7, ncols=3, frameon=False)
    strips = [("predicted", hours, predicted)]
    if recording.labels is not None:
        truth = activities.indices(recording.labels, unknown="unlabelled").astype(float)
        truth[truth == UNLABELLED] = np.nan
        strips.insert(0, ("true", times[::step], truth[::step]))
    for axes, (name, when, values) in zip(rows[2:-1], strips, strict=True):
        axes.imshow(
            values[None],
            aspect="auto",
            extent=(0, float(when[-1]), 0, 1),
            cmap=colours,
            vmin=-0.5,
            vmax=len(activities) - 0.5,
            interpolation="nearest",
        )
        axes.set_yticks([])
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
    coarse = max(1, len(hours) // POINTS)
    rows[-1].stackplot(hours[::coarse], np.nan_to_num(shares[::coarse]).T, colors=activities.colours, linewidth=0)
    rows[-1].set(ylim=(0, 1), ylabel="probability", xlabel="hours since the first sample")
    patches = [Patch(color=c, label=n) for c, n in zip(activities.colours, activities.names, strict=True)]
    figure.legend(handles=patches, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    rows[0].set_title(title or recording.subject)
    figure.savefig(path, dpi=100)
    return path
