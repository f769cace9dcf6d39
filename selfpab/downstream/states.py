"""What a head is given: the layer outputs of an encoder, or the bare spectrogram, window by window.

Legend: W windows, B of them at once, T frames of a window, L layers, D width, I inputs of a frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpab.downstream.cuts import Cuts, frame_pieces, frames_by_run
from selfpab.downstream.head import Head, Network
from selfpab.downstream.passes import Pass
from selfpab.downstream.spans import Spans, side_by_side, those_between
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.features.uprightness import Turns, upright_turns
from selfpab.recording import Recording
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.engine import Precision, autocast


@dataclass(frozen=True, eq=False)
class States:
    """Outputs for the windows of one recording, for one pass.

    values : W arrays (L, T, D), made as they are asked for; what stands behind the end of a shorter window means nothing.
    between : further windows, for who looks a second time where the first look leaves doubt (`Pass.looks`).
    sure : the probability from which on a frame is not doubtful.
    """

    values: Iterable[np.ndarray]
    spans: Spans
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

    def spans(self, recording: Recording, *, step: int) -> Spans:
        """The windows over a recording for prediction, `step` frames apart in every run, last samples and segments under a
        second taken in."""
        runs = frames_by_run(recording, self.shape, to_the_end=True)
        return side_by_side(runs, length=self.shape.window_frames, step=step)

    def two_looks(self, recording: Recording, *, step: int) -> tuple[Spans, Spans]:
        """Every other one of such windows, and for each the one between it and the next (`spans.those_between`)."""
        runs = frames_by_run(recording, self.shape, to_the_end=True)
        tiles = side_by_side(runs, length=self.shape.window_frames, step=2 * step)
        return tiles, those_between(tiles, runs, step=step)

    def span_states(self, recording: Recording, spans: Spans) -> States:
        """States for one pass over the windows that `spans` gave."""
        return States(self.lazily(recording, spans), spans)

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
