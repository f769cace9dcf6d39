"""A model folder, loaded: what meets new recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selfpab.activities import Activities
from selfpab.downstream.classifier import frame_probabilities
from selfpab.downstream.head import Head
from selfpab.downstream.states import Extractor
from selfpab.evaluation.clock import second_rows
from selfpab.inference.frames import FrameProbabilities
from selfpab.inference.prediction import Prediction
from selfpab.inference.seconds import UNCERTAIN_BELOW, second_table
from selfpab.recording import Recording
from selfpab.upstream.checkpoint import Upstream, load_strictly, open_model
from selfpab.upstream.engine import Precision

OVERLAP = 120  # frames that neighbouring windows share where nothing says otherwise; a quarter of shorter windows


@dataclass(frozen=True, eq=False)
class Model:
    """An encoder, with a head where it was fine-tuned."""

    upstream: Upstream
    head: Head | None
    activities: Activities | None
    config: dict[str, Any]
    precision: Precision = "auto"

    def predict(self, recording: Recording, *, uncertain_below: float = UNCERTAIN_BELOW) -> Prediction:
        """One activity per second, with the probability of each; a less probable one than `uncertain_below` is uncertain.

        Raises ValueError for an upstream model, which knows no activities, and for a recording that is not at 50 Hz.
        """
        if self.head is None or self.activities is None:
            raise ValueError(
                "this is a pre-trained encoder without activities; make a classifier of it: selfpab finetune DATASET MODEL"
            )
        extractor = Extractor.of_encoder(self.upstream, self.precision)
        starts, stops = extractor.windows(recording, step=self._step(extractor), to_the_end=True)
        states = extractor.lazy_states(recording, starts, stops)
        frames = FrameProbabilities(*frame_probabilities(self.head, states), extractor.shape.frame_samples)
        table = second_table(recording, frames, self.activities, uncertain_below=uncertain_below)
        return Prediction(recording, self.activities, frames, table)

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
        _, count_s, rows_of = second_rows(recording)
        total = np.zeros((count_s, extractor.width))
        count = np.zeros((len(total), 1))
        half, real = extractor.shape.frame_samples // 2, starts >= 0
        middles = np.minimum(starts + half, stops - 1)
        rim = np.ones(len(total), bool)
        rim[rows_of(middles[real])] = False
        states = extractor.lazy_states(recording, starts, stops)
        for window, start, stop, middle, here in zip(states.values, starts, stops, middles, real, strict=True):
            values = torch.from_numpy(window[:, here]).float()
            summed = values[-1] if self.head is None else self.head.features(values[:, None])[0]
            last = np.minimum(start + extractor.shape.frame_samples, stop) - 1
            for place, everywhere in ((middle, True), (start, False), (last, False)):
                second = rows_of(place[here])
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
        weighted = "layer_weights" in found.head
        head = Head(shape.layers, shape.d_model, hidden, len(found.activities), weighted)
        load_strictly(head, found.head, f"the head in {path}")
        head.eval()
    return Model(found.upstream, head, found.activities, found.config, precision)
