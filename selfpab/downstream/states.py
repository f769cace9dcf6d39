"""What a head is trained on: the layer outputs of a frozen encoder, or the bare spectrogram, window by window.

A frozen encoder gives the same output for the same window whoever is left out, so outputs are computed once per recording
and shared by all folds. Legend: W windows, T frames of a window, L layers, D width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpab.features.framing import frame_samples_of, frame_starts, window_places
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig, frame_magnitudes
from selfpab.recording import Recording
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.engine import Precision, autocast

AT_ONCE = 16  # windows per forward pass

Extract = Callable[[Float[Tensor, "B T CF"], Bool[Tensor, "B T"]], Float[Tensor, "L B T D"]]


@dataclass(frozen=True, eq=False)
class States:
    """Outputs for the windows of one recording.

    values : W arrays float16 (L, T, D), zero behind the end of a shorter window; one array (W, L, T, D), or an iterable
        that makes them as it goes.
    starts, stops : int64 (W, T); first sample of every frame and where its segment ends, -1 behind the end.
    """

    values: Iterable[np.ndarray]
    starts: np.ndarray
    stops: np.ndarray


@dataclass(frozen=True, eq=False)
class Kept(States):
    """States that are all in memory: values is one float16 array (W, L, T, D)."""

    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Extractor:
    """From recordings to states; `extract` is frozen.

    layers, width : L and D of what it gives.
    """

    extract: Extract
    layers: int
    width: int
    shape: SpectrogramConfig
    normalisation: Normalisation

    @staticmethod
    def of_encoder(upstream: Upstream, precision: Precision = "auto") -> Extractor:
        """The layer outputs of a frozen encoder, without dropout."""
        encoder = upstream.encoder.eval()
        device = next(encoder.parameters()).device

        def extract(spectra: Tensor, valid: Tensor) -> Tensor:
            with torch.no_grad(), autocast(precision, device):
                return torch.stack(encoder.hidden_states(spectra.to(device), valid.to(device))).float().cpu()

        config = upstream.encoder_config
        return Extractor(extract, config.layers, config.d_model, upstream.spectrogram, upstream.normalisation)

    @staticmethod
    def of_spectrogram(normalisation: Normalisation, shape: SpectrogramConfig) -> Extractor:
        """The normalised spectrogram itself, as one layer (Spectrograms + MLP of Table 1)."""
        return Extractor(lambda spectra, valid: spectra[None], 1, len(normalisation.mean), shape, normalisation)

    def windows(
        self, recording: Recording, *, step: int, to_the_end: bool, skip_share: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """(starts, stops) of the windows over a recording, int64 (W, T): `step` frames apart in every run.

        to_the_end : take in the last samples and segments under a second, for prediction.
        skip_share : leave out this first share of the recording's frames (the validation part of section 4.2).
        """
        if recording.rate_hz != 50:
            raise ValueError(f"{recording.subject} has {recording.rate_hz:g} Hz; the spectrograms need 50 Hz")
        frame, length = self.shape.frame_samples, self.shape.window_frames
        sizes = {"frame_samples": frame, "hop_samples": self.shape.hop_samples, "to_the_end": to_the_end}
        runs = [frame_starts(run, **sizes) for run in recording.runs()]
        skip = int(skip_share * sum(len(starts) for starts, _ in runs))
        rows = []
        for starts, stops in runs:
            kept, skip = slice(min(skip, len(starts)), None), max(0, skip - len(starts))
            for first, stop in window_places(len(starts[kept]), length=length, step=step):
                pad = (0, length - (stop - first))
                rows.append([np.pad(a[kept][first:stop], pad, constant_values=-1) for a in (starts, stops)])
        if not rows:
            return np.empty((0, length), np.int64), np.empty((0, length), np.int64)
        both = np.array(rows)
        return both[:, 0], both[:, 1]

    def states(self, recording: Recording, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
        """float16 (W, L, T, D) of the windows that `windows` gave."""
        values = np.zeros((len(starts), self.layers, starts.shape[1], self.width), np.float16)
        for window, made in enumerate(self.lazily(recording, starts, stops)):
            values[window] = made
        return values

    def lazily(self, recording: Recording, starts: np.ndarray, stops: np.ndarray) -> Iterator[np.ndarray]:
        """The same window by window: the memory of a week is that of an hour."""
        for first in range(0, len(starts), AT_ONCE):
            here = slice(first, first + AT_ONCE)
            spectra, valid = self.spectra(recording, starts[here], stops[here])
            yield from self.extract(spectra, valid).transpose(0, 1).to(torch.float16).numpy()

    def lazy_states(self, recording: Recording, starts: np.ndarray, stops: np.ndarray) -> States:
        """States for one pass."""
        return States(self.lazily(recording, starts, stops), starts, stops)

    def spectra(self, recording: Recording, starts: np.ndarray, stops: np.ndarray) -> tuple[Tensor, Tensor]:
        """Normalised spectra (B, T, 156) of windows, zero behind their ends, and which frames are real."""
        valid = starts >= 0
        rows = frame_samples_of(starts[valid], stops[valid], frame_samples=self.shape.frame_samples)
        low, high = int(rows.min()), int(rows.max()) + 1
        pieces = torch.from_numpy(recording.piece(low, high)[rows - low])
        result = torch.zeros(*valid.shape, len(self.normalisation.mean))
        result[torch.from_numpy(valid)] = self.normalisation(frame_magnitudes(pieces).flatten(1))
        return result, torch.from_numpy(valid)


class Shelf:
    """States kept for all folds, by the content of the recording and the way it was cut."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self._kept: dict[tuple[str, int, bool, float], Kept] = {}

    def of(self, recording: Recording, *, step: int, to_the_end: bool, skip_share: float = 0.0) -> Kept:
        key = (fingerprint(recording), step, to_the_end, skip_share)
        if key not in self._kept:
            starts, stops = self.extractor.windows(recording, step=step, to_the_end=to_the_end, skip_share=skip_share)
            self._kept[key] = Kept(self.extractor.states(recording, starts, stops), starts, stops)
        return self._kept[key]


def fingerprint(recording: Recording) -> str:
    """A hash of samples and segments, whatever the labels and the name."""
    digest = hashlib.blake2b(repr((recording.rate_hz, recording.segments)).encode(), digest_size=16)
    for _, piece in recording.blocks(600):
        digest.update(np.ascontiguousarray(piece).tobytes())
    return digest.hexdigest()
