"""What a head is given: the layer outputs of an encoder, or the bare spectrogram, window by window.

Legend: W windows, B of them at once, T frames of a window, L layers, D width, CF features (156).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpab.downstream.cuts import Cuts, frame_pieces, frames_by_run, side_by_side
from selfpab.downstream.head import Head, Network
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig, frame_magnitudes
from selfpab.features.statistics import frame_statistics
from selfpab.features.uprightness import Turns, upright_turns
from selfpab.recording import Recording
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.engine import Precision, autocast

AT_ONCE = 16  # windows per forward pass


@dataclass(frozen=True, eq=False)
class States:
    """Outputs for the windows of one recording, for one pass.

    values : W arrays (L, T, D), made as they are asked for; what stands behind the end of a shorter window means nothing.
    starts, stops : int64 (W, T); first sample of every frame and where its segment ends, -1 behind the end.
    """

    values: Iterable[np.ndarray]
    starts: np.ndarray
    stops: np.ndarray


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

    def windows(self, recording: Recording, *, step: int, to_the_end: bool) -> tuple[np.ndarray, np.ndarray]:
        """(starts, stops) of the windows over a recording, int64 (W, T): `step` frames apart in every run.

        to_the_end : take in the last samples and segments under a second, for prediction.
        """
        runs = frames_by_run(recording, self.shape, to_the_end=to_the_end)
        cuts = side_by_side(runs, length=self.shape.window_frames, step=step)
        return cuts.starts, cuts.stops

    def lazily(self, recording: Recording, cuts: Cuts) -> Iterator[np.ndarray]:
        """float32 (L, T, D) window by window: the memory of a week is that of an hour."""
        turns = self.turns(recording)
        for first in range(0, len(cuts), AT_ONCE):
            spectra, valid = self.spectra(recording, cuts[first : first + AT_ONCE], turns)
            yield from self.states(spectra, valid).transpose(0, 1).cpu().numpy()

    def lazy_states(self, recording: Recording, starts: np.ndarray, stops: np.ndarray) -> States:
        """States for one pass over the windows that `windows` gave."""
        return States(self.lazily(recording, Cuts(starts, stops)), starts, stops)

    @torch.no_grad()
    def states(self, spectra: Float[Tensor, "B T CF"], valid: Bool[Tensor, "B T"]) -> Float[Tensor, "L B T D"]:
        """Of a batch of normalised spectra."""
        with autocast(self.precision, self.device):
            seen = None if self.attend_padding else valid
            return self.network.states(spectra, seen).float()

    def turns(self, recording: Recording) -> Turns | None:
        """How the recording's back sensor is made upright; None where the encoder does not want it so."""
        encoder = self.network.encoder
        return upright_turns(recording) if encoder is not None and encoder.upright else None

    def spectra(
        self, recording: Recording, cuts: Cuts, turns: Turns | None = None
    ) -> tuple[Float[Tensor, "B T CF"], Bool[Tensor, "B T"]]:
        """Normalised spectra of windows, zero behind their ends, and which frames are real; on the network's device.

        turns : what `turns` said of the recording; found again where it is not given.
        """
        turns = self.turns(recording) if turns is None else turns
        pieces = torch.from_numpy(frame_pieces(recording, cuts, self.shape.frame_samples, turns))
        return self.inputs(pieces, cuts.starts >= 0)

    def inputs(
        self, pieces: Float[Tensor, "N S C"], real: np.ndarray
    ) -> tuple[Float[Tensor, "B T CF"], Bool[Tensor, "B T"]]:
        """The same of the samples, in g, of the N real frames; real is bool (B, T)."""
        encoder = self.network.encoder
        statistics = encoder is not None and encoder.statistics
        return normalised(pieces.to(self.device), real, self.normalisation, statistics=statistics)


def normalised(
    pieces: Float[Tensor, "N S C"], real: np.ndarray, normalisation: Normalisation, *, statistics: bool = False
) -> tuple[Float[Tensor, "B T CF"], Bool[Tensor, "B T"]]:
    """Spectra of the N real frames of windows, in their places: real is bool (B, T). statistics : and those behind."""
    valid = torch.from_numpy(real).to(pieces.device)
    values = normalisation(frame_magnitudes(pieces).flatten(1))
    if statistics:
        values = torch.cat([values, frame_statistics(pieces)], dim=1)
    result = torch.zeros(*valid.shape, values.shape[1], device=pieces.device)
    result[valid] = values
    return result, valid
