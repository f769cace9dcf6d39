"""Mean and deviation of every spectral feature over a corpus (paper, section 4.1), kept with the weights.

Ours are per-frame moments. The authors' shipped std is the spread of five-minute means and about four times too small
(BEHAVIOUR (a)); it enters only with their checkpoint. Features: 156, channel-major.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from selfpab.features.spectrograms import SpectrogramConfig, spectrogram
from selfpab.recording import Recording

ZERO_STD = 1e-10  # what the release puts in place of a zero deviation (BEHAVIOUR (a))


@dataclass(frozen=True, eq=False)
class Normalisation:
    """(x - mean) / std, feature by feature, both float32 (features,)."""

    mean: np.ndarray
    std: np.ndarray
    source: str = ""

    def __post_init__(self) -> None:
        if self.mean.shape != self.std.shape or self.mean.ndim != 1:
            raise ValueError(f"mean and std must be vectors of one length, got {self.mean.shape} and {self.std.shape}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all() and (self.std >= 0).all()):
            raise ValueError("mean and std must be finite and std not negative")

    def __call__(self, spectra: Tensor) -> Tensor:
        """Normalised spectra (..., features).

        >>> Normalisation(np.ones(2, np.float32), np.full(2, 2, np.float32))(torch.tensor([[3.0, 1.0]]))
        tensor([[1., 0.]])
        """
        mean = torch.from_numpy(self.mean).to(spectra)
        return (spectra - mean) / torch.from_numpy(self._divisor()).to(spectra)

    def factor_and_shift(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """The same as spectra * factor + shift, for those who write spectra and normalise them in one go.

        >>> factor, shift = Normalisation(np.ones(2, np.float32), np.full(2, 2, np.float32)).factor_and_shift(torch.device("cpu"))
        >>> torch.tensor([[3.0, 1.0]]) * factor + shift
        tensor([[1., 0.]])
        """
        std = self._divisor().astype(np.float64)
        return torch.from_numpy(1 / std).float().to(device), torch.from_numpy(-self.mean / std).float().to(device)

    def _divisor(self) -> np.ndarray:
        return np.where(self.std == 0, ZERO_STD, self.std).astype(np.float32)

    def save(self, path: Path) -> None:
        path.write_text(
            json.dumps({"source": self.source, "mean": _listed(self.mean), "std": _listed(self.std)}, indent=1) + "\n"
        )

    @staticmethod
    def load(path: Path) -> Normalisation:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: a model without its normalisation is not a model")
        read = json.loads(path.read_text())
        if missing := {"mean", "std"} - set(read):
            raise ValueError(f"{path} has no {sorted(missing)}; wanted {{source, mean, std}}")
        return Normalisation(
            np.asarray(read["mean"], np.float32), np.asarray(read["std"], np.float32), read.get("source", "")
        )


@dataclass(eq=False)
class Moments:
    """Streaming sums in float64; `Moments` of parts add up to those of the whole."""

    frames: int
    total: np.ndarray
    squares: np.ndarray

    @staticmethod
    def zero(features: int) -> Moments:
        return Moments(0, np.zeros(features), np.zeros(features))

    def add(self, spectra: Tensor) -> None:
        """Take in spectra (frames, features), raw."""
        values = spectra.double()
        self.frames += len(values)
        self.total += values.sum(0).numpy()
        self.squares += values.square().sum(0).numpy()

    @staticmethod
    def joined(parts: Iterable[Moments]) -> Moments:
        frames, total, squares = 0, 0, 0
        for part in parts:  # of 35,000 recordings they would be 90 MB
            frames, total, squares = frames + part.frames, total + part.total, squares + part.squares
        return Moments(frames, total, squares)  # type: ignore[arg-type]

    def normalisation(self, source: str = "") -> Normalisation:
        """Mean and population deviation per frame; a feature that never varies is an error, not a division by zero."""
        if not self.frames:
            raise ValueError("no frames to take a mean of: every piece is shorter than one second")
        mean = self.total / self.frames
        variance = np.maximum(self.squares / self.frames - mean**2, 0)
        flat = np.flatnonzero(variance <= 1e-12 * np.maximum(mean**2, 1e-12))
        if flat.size:
            raise ValueError(
                f"feature {flat[0]} (channel {flat[0] // 26}, bin {flat[0] % 26}) and {flat.size - 1} others never vary "
                "in these recordings: is a sensor missing or constant? Leave such recordings out"
            )
        return Normalisation(mean.astype(np.float32), np.sqrt(variance).astype(np.float32), source)


def recording_moments(recording: Recording, config: SpectrogramConfig, block_s: float = 300.0) -> Moments:
    """Sums over all frames of a recording, a block at a time: memory does not grow with its length."""
    moments = Moments.zero(recording.samples.shape[1] * config.bins)
    frame, hop = config.frame_samples, config.hop_samples
    size = max(1, round(block_s * recording.rate_hz) // hop) * hop
    for segment in recording.segments:
        for first in range(segment.first, segment.stop - frame + 1, size):
            piece = recording.piece(first, min(first + size + frame - hop, segment.stop))
            if len(piece) >= frame:
                values = torch.from_numpy(np.ascontiguousarray(piece))[None]
                moments.add(spectrogram(values, frame_samples=frame, hop_samples=hop)[0].flatten(1))
    return moments


def _listed(values: np.ndarray) -> list[float]:
    return [float(f"{v:.9g}") for v in values.tolist()]  # nine digits give a float32 back exactly
