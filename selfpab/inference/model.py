"""A model folder, loaded: what meets new recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from selfpab.activities import Activities
from selfpab.downstream.classifier import sample_probabilities
from selfpab.downstream.head import Head
from selfpab.downstream.states import Extractor
from selfpab.evaluation.clock import clock_seconds, per_second
from selfpab.recording import UNLABELLED, Recording
from selfpab.upstream.checkpoint import Upstream, load_strictly, open_model
from selfpab.upstream.engine import Precision

OVERLAP = 120  # frames that neighbouring windows share where nothing says otherwise; a quarter of shorter windows


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one recording.

    seconds : one row per clock second from the first to the last sample, gaps included: time, activity (code, null in
        gaps), activity_name, probability, p_<activity> ..., gap.
    probabilities : float64 (N, K), one row per sample.
    """

    recording: Recording
    activities: Activities
    probabilities: np.ndarray
    seconds: pl.DataFrame

    @property
    def classes(self) -> np.ndarray:
        """Class index per sample, int64 (N,)."""
        return self.probabilities.argmax(axis=1)


@dataclass(frozen=True, eq=False)
class Model:
    """An encoder, with a head where it was fine-tuned."""

    upstream: Upstream
    head: Head | None
    activities: Activities | None
    config: dict[str, Any]
    precision: Precision = "auto"

    def predict(self, recording: Recording) -> Prediction:
        """One activity per second, with the probability of each.

        Raises ValueError for an upstream model, which knows no activities, and for a recording that is not at 50 Hz.
        """
        if self.head is None or self.activities is None:
            raise ValueError(
                "this is a pre-trained encoder without activities; make a classifier of it: selfpab finetune DATASET MODEL"
            )
        extractor = Extractor.of_encoder(self.upstream, self.precision)
        starts, stops = extractor.windows(recording, step=self._step(extractor), to_the_end=True)
        states = extractor.lazy_states(recording, starts, stops)
        probabilities = sample_probabilities(self.head, states, len(recording), extractor)
        unknown = np.full(len(recording), UNLABELLED, np.int64)
        table = per_second(recording, unknown, probabilities, self.activities).drop("truth")
        return Prediction(
            recording, self.activities, probabilities, table.with_columns(gap=pl.col("activity").is_null())
        )

    def _step(self, extractor: Extractor) -> int:
        """Windows overlap as in the evaluation of a fine-tuned model; those of an encoder by `OVERLAP`."""
        frames = extractor.shape.window_frames
        settings = self.config.get("downstream", {}).get("finetune", {})
        return frames - settings.get("overlap", min(OVERLAP, frames // 4))

    @torch.no_grad()
    def embed(self, recording: Recording) -> np.ndarray:
        """One vector per clock second, float32 (seconds, width); NaN in gaps.

        A second's vector is the mean over the frames whose middle lies in it (at the rim of a segment, where there may
        be none, over those that touch it), once for every window that holds them: of the weighted layer sum where the
        model was fine-tuned, else of the last layer.
        """
        extractor = Extractor.of_encoder(self.upstream, self.precision)
        starts, stops = extractor.windows(recording, step=self._step(extractor), to_the_end=True)
        _, rows = clock_seconds(recording)
        total = np.zeros((int(rows[-1]) + 1 if len(rows) else 0, extractor.width))
        count = np.zeros((len(total), 1))
        half, real = extractor.shape.frame_samples // 2, starts >= 0
        middles = np.minimum(starts + half, stops - 1)
        rim = np.ones(len(total), bool)
        rim[rows[middles[real]]] = False
        states = extractor.lazy_states(recording, starts, stops)
        for window, start, stop, middle, here in zip(states.values, starts, stops, middles, real, strict=True):
            values = torch.from_numpy(window[:, here]).float()
            summed = values[-1] if self.head is None else torch.einsum("l,ltd->td", self.head.layer_weights, values)
            last = np.minimum(start + extractor.shape.frame_samples, stop) - 1
            for place, everywhere in ((middle, True), (start, False), (last, False)):
                second = rows[place[here]]
                kept = rim[second] | everywhere
                np.add.at(total, second[kept], summed.numpy()[kept])
                np.add.at(count, second[kept], 1)
        with np.errstate(invalid="ignore"):
            return (total / count).astype(np.float32)


def load(path: str | Path, *, precision: Precision = "auto") -> Model:
    """Open a model folder, upstream or fine-tuned.

    Raises FileNotFoundError or ValueError that name what is missing or does not fit.
    """
    found = open_model(path)
    head = None
    if found.head:
        if found.activities is None:
            raise ValueError(f"{path} has a head but no classes.json; a fine-tuned model needs both")
        shape = found.upstream.encoder_config
        hidden = found.head["hidden.bias"].shape[0] if "hidden.bias" in found.head else 1
        head = Head(shape.layers, shape.d_model, hidden, len(found.activities))
        load_strictly(head, found.head, f"the head in {path}")
        head.eval()
    return Model(found.upstream, head, found.activities, found.config, precision)
