"""Encoder and head as fit / predict / probabilities on recordings (paper, Figure 1, right).

Legend: N samples, W windows, T frames of a window, F distinct frames of a recording, K classes. Every frame's
probabilities are averaged over the windows that hold it, every sample's over the one or two frames that cover it; argmax,
ties to the lower index (DESIGN 5a).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from selfpab.activities import Activities
from selfpab.downstream import release
from selfpab.downstream.finetuning import FinetuneConfig, frame_cross_entropy, fresh_head, train
from selfpab.downstream.head import Head, Network, RecurrentHead
from selfpab.downstream.material import Material
from selfpab.downstream.passes import AT_ONCE, Pass
from selfpab.downstream.pool import Pool
from selfpab.downstream.single_sensor import single_windows
from selfpab.downstream.spans import Spans
from selfpab.downstream.states import Extractor, States
from selfpab.downstream.waveform import HOP
from selfpab.downstream.waveform_training import train_waveform
from selfpab.evaluation.metrics import confusion, macro_f1
from selfpab.features.framing import samples_from_frames
from selfpab.features.normalisation import Moments, Normalisation, recording_moments
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.features.statistics import STATISTICS
from selfpab.recording import UNLABELLED, Recording
from selfpab.scratch import room_for
from selfpab.seeding import seed_of
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.encoder import Encoder, EncoderConfig
from selfpab.upstream.engine import Precision, seed_torch

Start = Literal["pretrained", "random", "none"]  # how the encoder begins


class FinetunedClassifier:
    """An encoder, pre-trained, untrained or none, and a head.

    Parameters
    ----------
    start : `pretrained` takes the weights of `upstream`, `random` its shape only, `none` leaves the head alone with the
        spectrogram.
    upstream : also gives every method its normalisation and windows; None: those of the training recordings, and the
        paper's shapes.
    pool : folder for outputs of the frozen encoder; None: they are computed in every step.
    """

    def __init__(
        self,
        start: Start,
        upstream: Upstream | None,
        activities: Activities,
        config: FinetuneConfig,
        seed: int,
        *,
        precision: Precision = "auto",
        device: torch.device | None = None,
        pool: Path | None = None,
    ) -> None:
        if start == "pretrained" and upstream is None:
            raise ValueError("a pre-trained encoder is wanted, and none was given")
        if start != "none" and config.head != "mlp":
            raise ValueError(
                f"head={config.head} takes the spectrogram itself, without an encoder; got a {start} encoder"
            )
        if start == "none" and config.read_beside:
            raise ValueError("context_members= and waveform.width= stand beside an encoder, and this method has none")
        self.start, self.upstream, self.config, self.seed = start, upstream, config, seed
        self.activities = activities
        self.outputs = activities.unmerged() if config.merge == "confusion" else activities
        self.precision: Precision = precision
        self.device, self.pool = device or torch.device("cpu"), pool
        self.shape = upstream.spectrogram if upstream else SpectrogramConfig()
        window_step(self.shape, config)  # before the training, not after it
        if config.waveform.width and self.shape.hop_samples != HOP:
            raise ValueError(f"waveform.width= needs frames {HOP} samples apart, got {self.shape.hop_samples}")
        self.extractor: Extractor | None = None
        self.reads_single = config.waveform.single  # where one sensor alone says something
        self.weights: np.ndarray | None = None  # of the classes, where `rare_power` asks for them
        self.losses: list[float] = []
        self.facts: dict[str, Any] = {}
        self._answer: tuple[Recording, np.ndarray] | None = None

    def fit(self, recordings: Sequence[Recording]) -> None:
        """Train on the last part of each recording (section 4.2), from the beginning."""
        self._answer = None
        config = self.config
        if config.framing == "release":
            recordings = [release.without_gaps(recording) for recording in recordings]
        numbers = self._normalisation(recordings)
        network = self._fresh_network(numbers).to(self.device)
        self.extractor = Extractor(network, self.shape, numbers, self.precision, config.framing == "release")
        material = Material(recordings, self.outputs, self.shape, config.validation_share)
        keeps = network.encoder is not None and self.pool is not None and config.cuts == "random"
        pool = None
        if keeps and not config.frozen_dropout:
            assert self.pool is not None
            pool = Pool(self.pool, self.extractor)
        self.losses = train(network, material, self.extractor, config, self.seed, pool=pool)
        if isinstance(network.head, Head) and network.head.waveform is not None:
            train_waveform(network.head.waveform, material, self.extractor, config.waveform, self.seed)
            for sensor in network.head.single:
                reader = network.head.reader_of(sensor)
                train_waveform(reader, material, self.extractor, config.waveform, self.seed, upright=False)
        self.weights = class_weights(material.shares(), config.rare_power) if config.rare_power else None
        self.facts = self._facts(material)

    def predict(self, recording: Recording) -> np.ndarray:
        """One class index per sample, int64 (N,); where classes are merged late, the merged index of the best output."""
        worth = self._probabilities(recording)
        worth = worth if self.weights is None else worth * self.weights
        return self.activities.places_of(self.outputs)[worth.argmax(axis=1)]

    def probabilities(self, recording: Recording) -> np.ndarray:
        """float64 (N, K), rows adding up to 1."""
        return self.activities.merged(self._probabilities(recording), self.outputs)

    def _probabilities(self, recording: Recording) -> np.ndarray:
        """Of the network's own outputs."""
        if self.extractor is None:
            raise RuntimeError("fit before predict")
        if self._answer is None or self._answer[0] is not recording:  # evaluation asks for classes, then for chances
            self._answer = recording, network_probabilities(self.extractor, recording, self.config)
        return self._answer[1]

    def _fresh_network(self, numbers: Normalisation) -> Network:
        config, upstream = self.config, self.upstream
        shape = upstream.encoder_config if upstream else EncoderConfig()
        features = 6 * self.shape.bins
        encoder = None
        if self.start == "pretrained":
            assert upstream is not None
            encoder = copy.deepcopy(upstream.encoder)
        elif self.start == "random":
            seed_torch(seed_of("random encoder", self.seed))
            encoder = Encoder(features, **asdict(shape))
        if encoder is not None and (config.statistics or config.upright_share):
            encoder = with_inputs(encoder, shape, statistics=config.statistics, upright_share=config.upright_share)
        layers, width = (shape.layers, shape.d_model) if encoder is not None else (1, features)
        seed_torch(seed_of("head", self.seed))
        return Network(encoder, fresh_head(config, layers, width, len(self.outputs), numbers))

    def _normalisation(self, recordings: Sequence[Recording]) -> Normalisation:
        if self.upstream is not None:
            return self.upstream.normalisation
        moments = Moments.joined(recording_moments(recording, self.shape) for recording in recordings)
        return moments.normalisation("training subjects")

    @torch.no_grad()
    def _facts(self, material: Material) -> dict[str, Any]:
        """Layer weights, and loss and F1 on the validation part, which select nothing."""
        assert self.extractor is not None
        facts: dict[str, Any] = {"loss": float(np.mean(self.losses[-20:]))}
        if self.weights is not None:
            facts["class_weights"] = self.weights.tolist()
        head = self.extractor.network.head
        if self.start != "none" and head.layer_weights is not None:
            facts["layer_weights"] = [float(w) for w in head.layer_weights.detach().cpu()]
        counts, total, frames = np.zeros((len(self.outputs),) * 2, np.int64), 0.0, 0
        for recording, cuts, truth in material.validation():
            for first in range(0, len(cuts), AT_ONCE):
                here = slice(first, first + AT_ONCE)
                spectra, valid = self.extractor.spectra(recording, cuts[here])
                logits = head(self.extractor.states(spectra, valid), valid, spectra).cpu()
                known = truth[here] != UNLABELLED
                total += float(frame_cross_entropy(logits, torch.from_numpy(truth[here]))) * int(known.sum())
                frames += int(known.sum())
                counts += confusion(truth[here][known], logits.argmax(-1).numpy()[known], len(self.outputs))
        if frames:
            facts["validation"] = {"loss": total / frames, "macro_f1": macro_f1(counts)}
        return facts


def class_weights(shares: np.ndarray, power: float) -> np.ndarray:
    """What a probability is multiplied by before the largest is taken: more for rare classes, 1 for the mean; ours.

    A class that was never trained on has the weight 1.

    >>> class_weights(np.array([0.81, 0.09, 0.0]), 0.5).round(2).tolist()
    [0.58, 1.73, 1.0]
    """
    seen = shares > 0
    weights = np.ones(len(shares))
    weights[seen] = shares[seen] ** -power
    weights[seen] /= np.exp(np.log(weights[seen]).mean())
    return weights


def with_inputs(encoder: Encoder, shape: EncoderConfig, *, statistics: bool, upright_share: float) -> Encoder:
    """The same encoder, of this shape, given more: statistics that mean nothing to it yet (zero weights), upright backs."""
    more = statistics and not encoder.statistics
    share = upright_share or encoder.upright_share
    shape = replace(shape, statistics=statistics or encoder.statistics, upright_share=share)
    widened = Encoder(encoder.reconstruction.out_features, **asdict(shape))
    weights = encoder.state_dict()
    if more:
        weights["projection.weight"] = torch.nn.functional.pad(weights["projection.weight"], (0, STATISTICS))
    widened.load_state_dict(weights)
    return widened


def network_probabilities(extractor: Extractor, recording: Recording, config: FinetuneConfig) -> np.ndarray:
    """One row of class probabilities per sample, float64 (N, K)."""
    samples, shape = len(recording), extractor.shape
    step = window_step(shape, config)
    if config.framing == "release":
        recording = release.padded(recording, shape)
        spans = release.prediction_windows(recording, shape, step=step)
        states = extractor.span_states(recording, spans)
    else:
        states = extractor.states_for(extractor.network.head, recording, step=step)
    return sample_probabilities(extractor.network.head, states, len(recording), extractor)[:samples]


def window_step(shape: SpectrogramConfig, config: FinetuneConfig) -> int:
    """Frames between the windows of prediction; ValueError where they would not move on."""
    step = shape.window_frames - config.overlap
    if step < 1:
        raise ValueError(f"overlap must be below the {shape.window_frames} frames of a window, got {config.overlap}")
    return step


def sample_probabilities(head: Head | RecurrentHead, states: States, samples: int, extractor: Extractor) -> np.ndarray:
    """From states to one row of class probabilities per sample, float64 (N, K)."""
    values, starts, stops = frame_probabilities(head, states)
    return samples_from_frames(values, starts, stops, samples, frame_samples=extractor.shape.frame_samples)


@torch.no_grad()
def frame_probabilities(
    head: Head | RecurrentHead, states: States, chances: Callable[[Tensor], Tensor] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(probabilities float64 (F, K), first samples, stops of the segments) of the distinct frames, in order.

    chances : from logits (frames, K) to probabilities; none: softmax.
    """
    spans, within, single = states.spans, states.values, states.single

    def worth(logits: Tensor) -> np.ndarray:
        values = logits.double()
        return (values.softmax(-1) if chances is None else chances(values)).cpu().numpy()

    parts = []
    if isinstance(within, Pass) and isinstance(head, Head):
        for sensor, alone in single.items():
            answers = single_windows(head.reader_of(sensor), within.extractor, within.recording, alone, worth)
            parts.append((mean_over_windows(answers, len(alone.frame_starts)), alone.frame_starts, alone.frame_stops))
        found = within.looks(head, worth, states.between, states.sure)
    else:
        found = zip(spans.firsts.tolist(), map(worth, _window_logits(head, within, spans)), strict=True)
    if len(spans) or not parts:
        parts.append((mean_over_windows(found, len(spans.frame_starts)), spans.frame_starts, spans.frame_stops))
    if len(parts) == 1:
        return parts[0]
    values, starts, stops = (np.concatenate(same) for same in zip(*parts, strict=True))
    order = np.argsort(starts)
    return values[order], starts[order], stops[order]


def _window_logits(head: Head | RecurrentHead, values: Iterable[np.ndarray], spans: Spans) -> Iterator[Tensor]:
    """(frames, K) window by window, without what stands behind the end."""
    device = next(head.parameters()).device
    for window, count in zip(values, spans.counts, strict=True):
        yield head(torch.from_numpy(window[:, None, :count]).to(device).float())[0]


def mean_over_windows(windows: Iterable[tuple[int, np.ndarray]], frames: int) -> np.ndarray:
    """Mean over all windows that hold a frame, float64 (F, K).

    windows : the first frame of each, and the values of its frames, (frames of it, K), in any order.
    frames : F; every one is in a window.

    >>> mean_over_windows([(0, np.array([[1.0], [2.0]])), (1, np.array([[4.0], [5.0]]))], 3).ravel().tolist()
    [1.0, 3.0, 5.0]
    """
    total: np.ndarray | None = None
    held = np.zeros((frames, 1), np.uint16)  # the release's windows hold a frame fifty times
    for first, values in windows:
        if total is None:
            total = room_for((frames, values.shape[1]), np.float64)
            total.fill(0.0)
        total[first : first + len(values)] += values
        held[first : first + len(values)] += 1
    if total is None:
        raise ValueError("the recording is empty: there is nothing to predict")
    total /= held
    return total
