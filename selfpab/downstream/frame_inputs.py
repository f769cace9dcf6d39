"""What a network is given of a frame: its normalised spectrum, and what stands beside it (section 3.1; the rest is ours).

Legend: N frames, S samples, C channels (6), B windows, T frames of a window, CF spectral features (156), I inputs in all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import frame_magnitudes
from selfpab.features.statistics import frame_statistics


class FrameInputs(NamedTuple):
    """In this order behind the spectrum: statistics of the frame, and the `samples` in its middle, in g (0: none)."""

    statistics: bool = False
    samples: int = 0

    def beside(self, pieces: Float[Tensor, "N S C"]) -> list[Float[Tensor, "N _"]]:
        """What stands behind the spectra of these frames, in g.

        >>> [part.shape[1] for part in FrameInputs(statistics=True, samples=25).beside(torch.zeros(3, 50, 6))]
        [45, 150]
        """
        parts = [frame_statistics(pieces)] if self.statistics else []
        if self.samples:
            first = (pieces.shape[1] - self.samples) // 2
            parts.append(pieces[:, first : first + self.samples].flatten(1))
        return parts

    def of(self, pieces: Float[Tensor, "N S C"], normalisation: Normalisation) -> Float[Tensor, "N I"]:
        """Everything of these frames."""
        values = normalisation(frame_magnitudes(pieces).flatten(1))
        more = self.beside(pieces)
        return torch.cat([values, *more], dim=1) if more else values

    def in_windows(
        self, pieces: Float[Tensor, "N S C"], real: np.ndarray, normalisation: Normalisation
    ) -> tuple[Float[Tensor, "B T I"], Bool[Tensor, "B T"]]:
        """The same in their places, zero behind the end of a window, and which frames are real, as bool (B, T) `real` says."""
        return in_places(self.of(pieces, normalisation), real)


def in_places(values: Float[Tensor, "N I"], real: np.ndarray) -> tuple[Float[Tensor, "B T I"], Bool[Tensor, "B T"]]:
    """What the real frames of windows have, one after the other, in their places, and 0 in the others; which are real.

    >>> in_places(torch.ones(2, 1), np.array([[True, False], [True, False]]))[0].flatten().tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    valid = torch.from_numpy(real).to(values.device)
    result = torch.zeros(*valid.shape, values.shape[1], device=values.device)
    result[valid] = values
    return result, valid
