"""From windows as stored to normalised spectra on the device (paper, section 4.1), without making a GPU wait (ours).

What a GPU is given is raw int16, a fifth of the spectra's bytes, from pinned memory: the copy is under way while the next
windows are read. Questions about a batch are asked of numpy: their answer from a GPU would come when all before is done.
Legend: B windows, T frames, C channels, F bins.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpab.data.windows import Batch
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig, window_spectra


def spectra(
    batch: Batch, normalisation: Normalisation, shape: SpectrogramConfig, device: torch.device
) -> tuple[Float[Tensor, "B T C F"], Bool[Tensor, "B T"]]:
    """Normalised spectrograms of a batch, made on the device, and which frames are real; padding is zero."""
    counts, scale, frames = (on_device(array, device) for array in (batch.counts, batch.counts_per_g, batch.frames))
    factor, shift = _numbers(normalisation, device)
    clean, valid = window_spectra(counts, scale, frames, shape, factor, shift, whole=all_real(batch))
    return clean.unflatten(2, (-1, shape.bins)), valid


def all_real(batch: Batch) -> bool:
    """Whether no window is shorter than the others, so that no frame pads; such a batch needs no mask in attention."""
    return bool((batch.frames >= 0).all())


def on_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Copied without waiting; the values must not be changed afterwards."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@lru_cache(maxsize=4)
def _numbers(normalisation: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """What spectra are multiplied by and what is added, sent once: as an ordinary copy in every step they would make it wait."""
    return normalisation.factor_and_shift(device)
