"""DeepConvLSTM on raw signals as fit / predict / probabilities: the paper's DeepConvLSTM (TS), Table 1.

Windows of five seconds of all six axes, standardised, named by the majority of their samples; in prediction side by side,
each replicated to its samples, as for SVM and XGB (section 4.2). How long the windows are and how it was trained is
unpublished; ours is trained like the other networks.
Legend: B windows, N samples, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfpab.activities import Activities
from selfpab.baselines.deepconvlstm import DeepConvLSTM
from selfpab.baselines.windows import (
    LENGTH,
    Framing,
    prediction_windows,
    sample_values,
    training_windows,
    window_labels,
    window_pieces,
    window_samples,
)
from selfpab.downstream.cuts import located
from selfpab.downstream.finetuning import finite, frame_cross_entropy
from selfpab.downstream.release import without_gaps
from selfpab.evaluation.metrics import confusion, macro_f1
from selfpab.features.normalisation import Normalisation
from selfpab.recording import CHANNELS, UNLABELLED, Recording
from selfpab.seeding import seed_of
from selfpab.upstream.engine import Precision, autocast, seed_torch, tiniest_as_zero
from selfpab.upstream.schedule import exponential

AT_ONCE = 256  # windows per forward pass of prediction


@dataclass(frozen=True)
class SignalConfig:
    steps: int = 2000  # section 4.2, of the other networks; as the next but one, the rest up to validation_share
    batch: int = 32
    rate: float = 1e-3  # Ordonez and Roggen, 2016
    decay: float = 0.1
    beta1: float = 0.9  # the release has these two for all its networks
    beta2: float = 0.98
    validation_share: float = 0.2
    length: int = LENGTH  # samples; unpublished, that of SVM and XGB
    framing: Framing = "runs"  # the release ignores gaps (BEHAVIOUR (e), (g))
    filters: int = 64  # this and the next four: Ordonez and Roggen, 2016
    kernel: int = 5
    convolutions: int = 4
    lstm: int = 128
    lstm_layers: int = 2
    dropout: float = 0.5  # theirs too; the release has none published

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or not 0 <= self.validation_share < 1 or not 0 <= self.dropout < 1:
            raise ValueError(
                "wanted steps and batch of at least 1, validation_share and dropout from 0 to below 1, "
                f"got {self.steps}, {self.batch}, {self.validation_share:g}, {self.dropout:g}"
            )
        sizes = (self.filters, self.kernel, self.convolutions, self.lstm, self.lstm_layers)
        if min(sizes) < 1:
            raise ValueError(f"wanted filters, kernel, convolutions, lstm and lstm_layers of at least 1, got {sizes}")
        if self.length <= (shrinks := self.convolutions * (self.kernel - 1)):
            raise ValueError(f"the convolutions take {shrinks} samples off a window: length={self.length} is too short")


class SignalClassifier:
    """A DeepConvLSTM trained on random windows of the training subjects; the last weights are tested."""

    def __init__(
        self,
        activities: Activities,
        config: SignalConfig,
        seed: int,
        *,
        precision: Precision = "auto",
        device: torch.device | None = None,
    ) -> None:
        self.activities, self.config, self.seed = activities, config, seed
        self.precision: Precision = precision
        self.device = device or torch.device("cpu")
        self.network: DeepConvLSTM | None = None
        self.normalisation: Normalisation | None = None
        self.losses: list[float] = []
        self.facts: dict[str, Any] = {}
        self._answer: tuple[Recording, np.ndarray] | None = None

    def fit(self, recordings: Sequence[Recording]) -> None:
        """Train on the last part of each recording, from the beginning."""
        self._answer, config = None, self.config
        material = SignalMaterial(recordings, self.activities, config)
        self.normalisation = channel_normalisation(recordings)
        seed_torch(seed_of("signal network", self.seed))
        sizes = {"filters": config.filters, "kernel": config.kernel, "convolutions": config.convolutions}
        recurrent = {"lstm": config.lstm, "lstm_layers": config.lstm_layers, "dropout": config.dropout}
        network = DeepConvLSTM(len(CHANNELS), len(self.activities), per_frame=False, **sizes, **recurrent)
        self.network = network.to(self.device)
        with tiniest_as_zero():
            self.losses = self._train(self.network, material)
        self.facts = {"loss": float(np.mean(self.losses[-20:]))} | self._validation(material)

    def predict(self, recording: Recording) -> np.ndarray:
        """One class index per sample, int64 (N,); ties to the lower index."""
        return self.probabilities(recording).argmax(axis=1)

    def probabilities(self, recording: Recording) -> np.ndarray:
        """float64 (N, K), rows adding up to 1: every sample has those of its window."""
        if self._answer is None or self._answer[0] is not recording:  # evaluation asks for classes, then for chances
            check_rate(recording)
            where: dict[str, Any] = {"length": self.config.length, "framing": self.config.framing}
            starts = prediction_windows(recording, step=self.config.length, **where)
            values = self._logits(recording, starts).double().softmax(-1).numpy()
            self._answer = recording, sample_values(values, starts, recording, **where)
        return self._answer[1]

    def _train(self, network: DeepConvLSTM, material: SignalMaterial) -> list[float]:
        """The loss of every step."""
        config, losses = self.config, []
        optimizer = torch.optim.Adam(
            network.parameters(), lr=config.rate, betas=(config.beta1, config.beta2), fused=True
        )
        network.train()
        for step in range(config.steps):
            for group in optimizer.param_groups:
                group["lr"] = exponential(step, start=config.rate, factor=config.decay, over=config.steps)
            samples, truth = material.batch(seed_of("signal windows", self.seed, step))
            seed_torch(seed_of("signal dropout", self.seed, step))
            with autocast(self.precision, self.device):
                logits = network(self._standardised(samples))
            loss = frame_cross_entropy(logits.float(), torch.from_numpy(truth).to(self.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        network.eval()
        return finite(losses)

    def _validation(self, material: SignalMaterial) -> dict[str, Any]:
        """Loss and F1 over the windows of the validation part, which select nothing."""
        counts, total, windows = np.zeros((len(self.activities),) * 2, np.int64), 0.0, 0
        for recording, starts, truth in material.validation():
            logits = self._logits(recording, starts)
            total += float(frame_cross_entropy(logits, torch.from_numpy(truth))) * len(truth)
            windows += len(truth)
            counts += confusion(truth, logits.argmax(-1).numpy(), len(self.activities))
        return {"validation": {"loss": total / windows, "macro_f1": macro_f1(counts)}} if windows else {}

    @torch.no_grad()
    def _logits(self, recording: Recording, starts: np.ndarray) -> Tensor:
        """(windows, K), in fp32, a piece of the recording at a time."""
        if self.network is None:
            raise RuntimeError("fit before predict")
        where: dict[str, Any] = {"length": self.config.length, "framing": self.config.framing}
        pieces = window_pieces(recording, starts, at_once=AT_ONCE, **where)
        rows = [self.network(self._standardised(piece)).cpu() for piece in pieces]
        return torch.cat([*rows, torch.empty(0, len(self.activities))])

    def _standardised(self, samples: np.ndarray) -> Tensor:
        assert self.normalisation is not None
        return self.normalisation(torch.from_numpy(samples).to(self.device))


class SignalMaterial:
    """The samples of the training subjects: the first share of every recording for validation, the rest for training.

    Raises ValueError where a recording has no labels, and where nothing is left to train on.
    """

    def __init__(self, recordings: Sequence[Recording], activities: Activities, config: SignalConfig) -> None:
        self.config, self.classes = config, len(activities)
        self.recordings, self.indices = list(recordings), []
        self.stretches: list[tuple[int, int, int]] = []  # (recording, first sample, stop) that windows are drawn from
        for place, recording in enumerate(recordings):
            check_rate(recording)
            if recording.labels is None:
                raise ValueError(f"{recording.subject} has no labels to train on")
            self.indices.append(activities.indices(recording.labels).astype(np.int16))
            held = self._held(recording)
            segments = (without_gaps(recording) if config.framing == "release" else recording).segments
            here = [(place, max(one.first, held), one.stop) for one in segments]
            self.stretches += [(at, first, stop) for at, first, stop in here if stop - first >= config.length]
        self._ends = np.cumsum([stop - first for _, first, stop in self.stretches])
        if not self.stretches:
            raise ValueError(
                f"no windows to train on: no recording has {config.length} samples without a gap after its validation part"
            )

    def batch(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Random windows in g, float32 (B, length, 6), and their labels int64 (B,), -1 for no loss; by `seed` alone.

        Each holds a sample drawn from all, somewhere: short stretches are as often trained on as long ones.
        """
        size, length, chance = self.config.batch, self.config.length, np.random.default_rng(seed)
        samples, truth = [], []
        for sample, back in zip(
            chance.integers(int(self._ends[-1]), size=size), chance.integers(length, size=size), strict=True
        ):
            which, inside = located(self._ends, int(sample))
            place, first, stop = self.stretches[which]
            start = first + min(max(0, inside - int(back)), stop - first - length)
            where: dict[str, Any] = {"length": length, "framing": self.config.framing}
            samples.append(window_samples(self.recordings[place], np.array([start]), **where))
            truth.append(self.indices[place][start : start + length])
        labels = window_labels(
            np.concatenate(truth), np.arange(size, dtype=np.int64) * length, classes=self.classes, length=length
        )
        return np.concatenate(samples), labels

    def validation(self) -> list[tuple[Recording, np.ndarray, np.ndarray]]:
        """Recording, first samples of the labelled windows of its validation part, side by side, their labels."""
        parts, length = [], self.config.length
        for recording, indices in zip(self.recordings, self.indices, strict=True):
            starts = training_windows(recording, length=length, step=length, framing=self.config.framing)
            starts = starts[starts + length <= self._held(recording)]
            truth = window_labels(indices, starts, classes=self.classes, length=length)
            parts.append((recording, starts[truth != UNLABELLED], truth[truth != UNLABELLED]))
        return [part for part in parts if len(part[1])]

    def _held(self, recording: Recording) -> int:
        return int(self.config.validation_share * len(recording))


def channel_normalisation(recordings: Sequence[Recording]) -> Normalisation:
    """Mean and deviation of the six axes over all samples; a block at a time."""
    total, squares = np.zeros(len(CHANNELS)), np.zeros(len(CHANNELS))
    count = sum(map(len, recordings))
    for recording in recordings:
        for _, piece in recording.blocks(600):
            values = piece.astype(np.float64)
            total += values.sum(0)
            squares += (values**2).sum(0)
    mean = total / count
    variance = squares / count - mean**2
    if still := [name for name, value in zip(CHANNELS, variance, strict=True) if value <= 1e-10]:
        raise ValueError(f"{', '.join(still)} never vary in these recordings: is a sensor missing? Leave them out")
    return Normalisation(mean.astype(np.float32), np.sqrt(variance).astype(np.float32), "training subjects")


def check_rate(recording: Recording) -> None:
    if recording.rate_hz != 50:
        raise ValueError(f"{recording.subject} has {recording.rate_hz:g} Hz; the windows need 50 Hz")
