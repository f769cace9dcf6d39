"""What a head is given: the layer outputs of an encoder, or the bare spectrogram, window by window.

Legend: W windows, B of them at once, T frames of a window, L layers, D width, I inputs of a frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpab.downstream.cuts import Cuts, frame_pieces, frames_by_run
from selfpab.downstream.head import Head, Network, RecurrentHead
from selfpab.downstream.passes import Pass
from selfpab.downstream.spans import Spans, side_by_side, those_between
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.features.uprightness import Turns, upright_turns
from selfpab.recording import SENSORS, Recording, Segment
from selfpab.sensors import segments_told_by
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.engine import Precision, autocast


@dataclass(frozen=True, eq=False)
class States:
    """Outputs for the windows of one recording, for one pass.

    values : W arrays (L, T, D), made as they are asked for; what stands behind the end of a shorter window means nothing.
    single : by sensor, windows of which it alone says something, for the head's readers of one sensor.
    between : further windows, for who looks a second time where the first look leaves doubt (`Pass.looks`).
    sure : the probability from which on a frame is not doubtful.
    """

    values: Iterable[np.ndarray]
    spans: Spans
    single: Mapping[str, Spans] = field(default_factory=dict)
    between: Spans | None = None
    sure: float = 1.0


@dataclass(frozen=True, eq=False)
class Extractor:
    """From recordings to states, without gradients; whether dropout acts is up to the mode of the network.

    attend_padding : let frames attend to the zeros behind the end of a window, as the release does in tests.
    """

    network: Network
    shape: SpectrogramConfig
    normalisation: Normalisation
    precision: Precision = "auto"
    attend_padding: bool = False

    @staticmethod
    def of_encoder(upstream: Upstream, precision: Precision = "auto") -> Extractor:
        """The layer outputs of a pre-trained encoder, without dropout."""
        network = Network(upstream.encoder.eval(), Head(1, 1, 0, 1))
        return Extractor(network, upstream.spectrogram, upstream.normalisation, precision)

    @property
    def width(self) -> int:
        """D of what it gives."""
        encoder = self.network.encoder
        return len(self.normalisation.mean) if encoder is None else encoder.d_model

    @property
    def layers(self) -> int:
        """L of what it gives."""
        return 1 if self.network.encoder is None else len(self.network.encoder.layers)

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def lazily(self, recording: Recording, cuts: Cuts | Spans) -> Iterable[np.ndarray]:
        """float32 (L, T, D) window by window: the memory of a week is that of an hour."""
        return Pass(self, recording, cuts)

    def spans(self, recording: Recording, *, step: int, segments: Sequence[Segment] | None = None) -> Spans:
        """The windows over a recording, or over these parts of it, for prediction, `step` frames apart in every run, last
        samples and segments under a second taken in."""
        runs = frames_by_run(recording, self.shape, to_the_end=True, segments=segments)
        return side_by_side(runs, length=self.shape.window_frames, step=step)

    def single_spans(self, recording: Recording, *, step: int) -> dict[str, Spans]:
        """The same of what one sensor alone says something of, by sensor; without those of which there is nothing."""
        found = {s: self.spans(recording, step=step, segments=segments_told_by(recording, s)) for s in SENSORS}
        return {sensor: spans for sensor, spans in found.items() if len(spans)}

    def two_looks(
        self, recording: Recording, *, step: int, segments: Sequence[Segment] | None = None
    ) -> tuple[Spans, Spans]:
        """Every other one of such windows, and for each the one between it and the next (`spans.those_between`)."""
        runs = frames_by_run(recording, self.shape, to_the_end=True, segments=segments)
        tiles = side_by_side(runs, length=self.shape.window_frames, step=2 * step)
        return tiles, those_between(tiles, runs, step=step)

    def span_states(self, recording: Recording, spans: Spans) -> States:
        """States for one pass over the windows that `spans` gave."""
        return States(self.lazily(recording, spans), spans)

    def states_for(
        self, head: Head | RecurrentHead | None, recording: Recording, *, step: int, sure: float | None = None
    ) -> States:
        """States for one pass over all of a recording, and what is left to the head's readers of one sensor, if it has any.

        sure : look at every other window first, and at those between only where the head leaves a frame below this.
        """
        single = self.single_spans(recording, step=step) if isinstance(head, Head) and head.single else {}
        segments = segments_told_by(recording, None) if single else None
        if sure is None:
            return replace(
                self.span_states(recording, self.spans(recording, step=step, segments=segments)), single=single
            )
        spans, between = self.two_looks(recording, step=step, segments=segments)
        return replace(self.span_states(recording, spans), single=single, between=between, sure=sure)

    @torch.no_grad()
    def states(self, spectra: Float[Tensor, "B T I"], valid: Bool[Tensor, "B T"]) -> Float[Tensor, "L B T D"]:
        """Of a batch of what the network is given."""
        with autocast(self.precision, self.device):
            seen = None if self.attend_padding else valid
            return self.network.states(spectra, seen).float()

    def turns(self, recording: Recording) -> Turns | None:
        """How the recording's back sensor is made upright; None where the encoder does not want it so."""
        encoder = self.network.encoder
        share = encoder.upright_share if encoder is not None else 0
        return upright_turns(recording, share) if share else None

    def spectra(
        self, recording: Recording, cuts: Cuts, turns: Turns | None = None
    ) -> tuple[Float[Tensor, "B T I"], Bool[Tensor, "B T"]]:
        """What the network is given of windows, zero behind their ends, and which frames are real; on its device.

        turns : what `turns` said of the recording; found again where it is not given.
        """
        turns = self.turns(recording) if turns is None else turns
        pieces = torch.from_numpy(frame_pieces(recording, cuts, self.shape.frame_samples, turns))
        return self.inputs(pieces, cuts.starts >= 0)

    def inputs(
        self, pieces: Float[Tensor, "N S C"], real: np.ndarray
    ) -> tuple[Float[Tensor, "B T I"], Bool[Tensor, "B T"]]:
        """The same of the samples, in g, of the N real frames; real is bool (B, T)."""
        return self.network.given.in_windows(pieces.to(self.device), real, self.normalisation)
