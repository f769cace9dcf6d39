"""A model folder, loaded: what meets new recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfpab.activities import Activities
from selfpab.downstream.classifier import frame_probabilities
from selfpab.downstream.head import Head, head_from
from selfpab.downstream.states import Extractor
from selfpab.evaluation.clock import second_rows
from selfpab.inference.decisions import Decision
from selfpab.inference.frame_windows import Windows, chosen_windows, window_states
from selfpab.inference.frames import FrameProbabilities
from selfpab.inference.model_names import CALIBRATION, located
from selfpab.inference.prediction import Prediction
from selfpab.inference.seconds import UNCERTAIN_BELOW, Single, second_table
from selfpab.inference.trust import Trust, read_trust
from selfpab.recording import SENSORS, Recording
from selfpab.sensors import check_both
from selfpab.upstream.checkpoint import Upstream, load_strictly, open_model
from selfpab.upstream.engine import Precision


@dataclass(frozen=True, eq=False)
class Model:
    """An encoder, with a head where it was fine-tuned."""

    upstream: Upstream
    head: Head | None
    activities: Activities | None
    config: dict[str, Any]
    precision: Precision = "auto"
    trust: Trust | None = None  # calibration.json: fitted on people it never saw

    def predict(
        self,
        recording: Recording,
        *,
        uncertain_below: float | None = None,
        windows: Windows = "auto",
        overlap: int | None = None,
        single_sensor: bool = True,
    ) -> Prediction:
        """One activity per second, with the probability of each; a less probable one than `uncertain_below` is uncertain.

        uncertain_below : None: what the model's calibration says, else 0.6; of what one sensor alone tells it has others.
        windows : `ours` in one pass, `authors` for their fifty-fold average; `auto` those of the model's evaluation
            (`inference.frame_windows`).
        overlap : frames that neighbouring windows share; fewer are faster. None: as in the model's evaluation, only that of
            windows that share half of their frames every other one is left out where nothing is in doubt
            (`inference.frame_windows.SURE`).
        single_sensor : where one sensor alone says something (`selfpab.sensors`) let it be read by itself, if the model can;
            the column `sensors` tells. False: nothing is said there, as of a model that needs both.

        Raises ValueError for an upstream model, which knows no activities, for a recording that is not at 50 Hz or has values
        that are not finite, for one of a single sensor where that is not read, and for an overlap of a whole window or more.
        """
        if self.head is None or self.activities is None:
            raise ValueError(
                "this is a pre-trained encoder without activities; make a classifier of it: selfpab finetune DATASET MODEL"
            )
        extractor = Extractor.of_encoder(self.upstream, self.precision)
        chosen = chosen_windows(windows, self.finetune)
        single = single_sensor and self.reads_single_in(windows)
        if not single:
            unless = "single_sensor=no" if not single_sensor else f"windows={chosen}"
            check_both(recording, unless if self.reads_single else "this model")
        head = self.head if single else None
        states = window_states(
            recording, extractor, self.finetune, chosen, overlap, head=head, doubting=overlap is None
        )
        values = frame_probabilities(self.head, states, self.chances)
        frames = FrameProbabilities(*values, extractor.shape.frame_samples)
        threshold = self.uncertain_below if uncertain_below is None else uncertain_below
        chances = self.trust.map if self.trust else None
        table = second_table(
            recording,
            frames,
            self.activities,
            uncertain_below=threshold,
            chances=chances,
            decision=self.decision,
            single=self.single(uncertain_below) if single else None,
        )
        intervals = self.trust.intervals if self.trust else None
        return Prediction(recording, self.activities, frames, table, intervals)

    @property
    def reads_single(self) -> bool:
        """Whether it names activities where one sensor alone says something."""
        return isinstance(self.head, Head) and len(self.head.single) > 0

    def reads_single_in(self, windows: Windows) -> bool:
        """The same, where it looks through these windows: the authors' know both sensors alone."""
        return self.reads_single and chosen_windows(windows, self.finetune) == "ours"

    def single(self, uncertain_below: float | None) -> dict[str, Single]:
        """By sensor, how its answers become probabilities, and below which they are uncertain."""
        own = self.trust.single if self.trust else {}
        found = {}
        for sensor in SENSORS:
            below = own[sensor].uncertain.threshold if sensor in own else UNCERTAIN_BELOW
            found[sensor] = Single(
                own[sensor].map if sensor in own else None, below if uncertain_below is None else uncertain_below
            )
        return found

    @property
    def uncertain_below(self) -> float:
        """The probability below which a second is uncertain, where the caller does not say."""
        return self.trust.uncertain.threshold if self.trust else UNCERTAIN_BELOW

    @property
    def decision(self) -> Decision | None:
        """Which class is named: of its calibration, else with the weights of its training; None: the most probable."""
        if self.trust:
            return self.trust.decision
        weights = self.config.get("downstream", {}).get("class_weights")
        return None if weights is None else Decision(tuple(weights), (1,) * len(weights))

    @property
    def finetune(self) -> dict[str, Any]:
        """The settings with which it was fine-tuned, as plain values; empty for an encoder."""
        return self.config.get("downstream", {}).get("finetune", {})

    def chances(self, logits: Tensor) -> Tensor:
        """Class probabilities (..., K) of the head's outputs (..., K): here, and in what `sharing.onnx_export` writes."""
        return logits.softmax(-1)

    @torch.no_grad()
    def embed(self, recording: Recording) -> np.ndarray:
        """One vector per clock second, float32 (seconds, width); NaN in gaps.

        A second's vector is the mean over the frames whose middle lies in it (at the rim of a segment, where there may
        be none, over those that touch it), once for every window that holds them: of the weighted layer sum where the
        model was fine-tuned, else of the last layer.
        """
        check_both(recording, "an encoder")
        extractor = Extractor.of_encoder(self.upstream, self.precision)
        states = window_states(recording, extractor, self.finetune, "ours")
        windows = states.spans[:]
        starts, stops = windows.starts, windows.stops
        _, count_s, rows_of = second_rows(recording)
        total = np.zeros((count_s, extractor.width))
        count = np.zeros((len(total), 1))
        half, real = extractor.shape.frame_samples // 2, starts >= 0
        middles = np.minimum(starts + half, stops - 1)
        rim = np.ones(len(total), bool)
        rim[rows_of(middles[real])] = False
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
    """Open a model folder, upstream or fine-tuned, or one on the Hugging Face hub: hub:owner/name or hub:owner/name@revision.

    Raises FileNotFoundError or ValueError that name what is missing or does not fit.
    """
    folder = located(path).folder
    found = open_model(folder)
    head = None
    if found.head:
        if found.activities is None:
            raise ValueError(f"{path} has a head but no classes.json; a fine-tuned model needs both")
        shape, spectrum = found.upstream.encoder_config, len(found.upstream.normalisation.mean)
        head = head_from(found.head, shape.layers, shape.d_model, spectrum, len(found.activities))
        load_strictly(head, found.head, f"the head in {path}")
        head.eval()
    trust = read_trust(folder / CALIBRATION) if (folder / CALIBRATION).is_file() else None
    return Model(found.upstream, head, found.activities, found.config, precision, trust)
