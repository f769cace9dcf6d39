"""What pre-training looks like: the loss curve, and altered spectrograms beside what was rebuilt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from selfpab.recording import CHANNELS
from selfpab.upstream.reconstruction import Example

SHOWN = ("back_x", "thigh_x")  # channels of a picture
FRAMES = 240  # frames of a picture: two minutes


def draw_losses(metrics: Sequence[Mapping[str, float]], rivals: Mapping[str, float], path: Path) -> Path:
    """Training and held-out loss by step, on the rivals' lines.

    metrics : rows of metrics.jsonl. rivals : masked L1 by name.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    training = [(row["step"], row["loss"]) for row in metrics if "loss" in row]
    held_out = [(row["step"], row["validation_loss"]) for row in metrics if "validation_loss" in row]
    axes.plot(*zip(*training, strict=True), color="#BBBBBB", linewidth=0.8, label="training, a batch each")
    if held_out:
        axes.plot(*zip(*held_out, strict=True), "o-", color="#0072B2", markersize=3, label="held-out people")
    for (name, loss), style in zip(rivals.items(), ("--", "-.", ":"), strict=False):
        axes.axhline(loss, linestyle=style, color="#444444", linewidth=1, label=f"{name} ({loss:.3f})")
    axes.set(xlabel="step", ylabel="masked L1, normalised magnitudes")
    axes.set_ylim(0, 1.35 * max([*rivals.values(), *(loss for _, loss in held_out), training[0][1]]))
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    figure.savefig(path, dpi=110)
    return path


def draw_reconstructions(examples: Sequence[Example], path: Path) -> Path:
    """For each example, two channels: clean, what the encoder was given, what it made of it, and where it counts."""
    from matplotlib.figure import Figure

    titles = ("clean", "altered (input)", "rebuilt (output)", "M: altered")
    rows = [(i, CHANNELS.index(name)) for i in range(len(examples)) for name in SHOWN]
    figure = Figure(figsize=(13, 1.7 * len(rows) + 0.6), layout="constrained")
    grid = figure.subplots(len(rows), 4, squeeze=False, sharex=True, sharey=True)
    for line, (number, channel) in zip(grid, rows, strict=True):
        example = examples[number]
        low, high = np.quantile(example.clean[:FRAMES, channel], [0.02, 0.98])
        pictures = (example.clean, example.altered, example.rebuilt, example.mask)
        for axes, values, title in zip(line, pictures, titles, strict=True):
            scale = {"vmin": 0, "vmax": 1, "cmap": "Greys"} if values is example.mask else {"vmin": low, "vmax": high}
            extent = (0, min(FRAMES, len(values)) / 2, -0.5, 25.5)
            axes.imshow(values[:FRAMES, channel].T, origin="lower", aspect="auto", extent=extent, **scale)
            if number == rows[0][0] and channel == rows[0][1]:
                axes.set_title(title, fontsize=10)
        line[0].set_ylabel(f"window {number + 1}\n{CHANNELS[channel]}\nHz", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("seconds", fontsize=8)
    figure.savefig(path, dpi=90)
    return path
