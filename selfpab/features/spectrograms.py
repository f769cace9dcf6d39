"""STFT magnitude of six axes (paper, section 4.1; BEHAVIOUR (a)): Hann, 1 s frames, half a second apart, |X| only.

Legend: B windows, N samples, H hops, C channels (6), T frames, F bins (26 at 50 samples a frame). Nothing is padded,
detrended or scaled: an axis at rest at 1 g gives 25 in bin 0 and 12.5 in bin 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class SpectrogramConfig:
    frame_samples: int = 50  # section 4.1: 1 s
    hop_samples: int = 25  # section 4.1: an overlap of half a second
    window_frames: int = 599  # section 4.1: five minutes, 15,000 samples

    @property
    def bins(self) -> int:
        return self.frame_samples // 2 + 1

    @property
    def window_samples(self) -> int:
        return (self.window_frames - 1) * self.hop_samples + self.frame_samples


def spectrogram(
    acceleration: Float[Tensor, "B N C"], *, frame_samples: int, hop_samples: int
) -> Float[Tensor, "B T C F"]:
    """Magnitude of the short-time Fourier transform, as a matrix product of hops with a windowed Fourier basis.

    Parameters
    ----------
    acceleration : in g (or in counts: the result has the unit of the input); N at least `frame_samples`.
    frame_samples : samples per frame, a multiple of `hop_samples`; F = frame_samples // 2 + 1.
    hop_samples : samples between frames; T = (N - frame_samples) // hop_samples + 1.

    >>> five_minutes = torch.ones(1, 15_000, 6)
    >>> result = spectrogram(five_minutes, frame_samples=50, hop_samples=25)
    >>> result.shape, round(result[0, 0, 0, 0].item(), 3), round(result[0, 0, 0, 1].item(), 3)
    (torch.Size([1, 599, 6, 26]), 25.0, 12.5)
    """
    windows, samples, channels = acceleration.shape
    parts, rest = divmod(frame_samples, hop_samples)
    if rest or samples < frame_samples:
        raise ValueError(
            f"frame_samples must be a multiple of hop_samples and at most the {samples} samples, "
            f"got {frame_samples} and {hop_samples}"
        )
    hops = samples // hop_samples
    bins = frame_samples // 2 + 1
    # every hop belongs to `parts` frames, each time under another part of the window: one product gives them all
    basis = _basis(frame_samples, acceleration.device).view(parts, hop_samples, 2 * bins)
    basis = basis.transpose(0, 1).reshape(hop_samples, parts * 2 * bins)
    pieces = acceleration[:, : hops * hop_samples].reshape(windows, hops, hop_samples, channels).transpose(2, 3)
    with torch.autocast(acceleration.device.type, enabled=False):
        partial = pieces @ basis
    frames = hops - parts + 1
    whole = partial[:, :frames, :, : 2 * bins]
    for part in range(1, parts):
        whole = whole + partial[:, part : part + frames, :, part * 2 * bins : (part + 1) * 2 * bins]
    return (whole[..., :bins].square() + whole[..., bins:].square()).sqrt_()


def frame_magnitudes(frames: Float[Tensor, "T S C"]) -> Float[Tensor, "T C F"]:
    """The same for frames of S samples that were cut out before, in any order and with any overlap.

    >>> frame_magnitudes(torch.ones(3, 50, 6)).shape
    torch.Size([3, 6, 26])
    """
    size = frames.shape[1]
    with torch.autocast(frames.device.type, enabled=False):
        whole = frames.transpose(1, 2) @ _basis(size, frames.device)
    bins = size // 2 + 1
    return (whole[..., :bins].square() + whole[..., bins:].square()).sqrt_()


def window_spectra(
    counts: Int[Tensor, "B N C"],
    counts_per_g: Int[Tensor, " B"],
    frames: Int[Tensor, "B T"],
    config: SpectrogramConfig,
) -> tuple[Float[Tensor, "B T CF"], Bool[Tensor, "B T"]]:
    """Spectra in g of the windows of a corpus (`data.windows.Batch`), and which frames are real.

    frames : for each frame its place among those of `counts`; -1 pads, and gives zeros.
    The feature order is channel-major: feature = 26 * channel + bin (BEHAVIOUR (a)).
    """
    sizes = {"frame_samples": config.frame_samples, "hop_samples": config.hop_samples}
    magnitude = spectrogram(counts.float(), **sizes).flatten(2) / counts_per_g[:, None, None]
    valid = frames >= 0
    if frames.shape[1] == magnitude.shape[1] and bool(valid.all()):
        return magnitude, valid  # no gap and no padding: nothing to choose
    places = frames.clamp(min=0)[..., None].expand(-1, -1, magnitude.shape[2]).long()
    return magnitude.gather(1, places) * valid[..., None], valid


@lru_cache(maxsize=8)
def _basis(size: int, device: torch.device) -> Float[Tensor, "S FF"]:
    """Hann-windowed cosines, then sines; the periodic Hann window of `torch.hann_window`."""
    place = torch.arange(size, dtype=torch.float64)
    angle = 2 * math.pi / size * place[:, None] * torch.arange(size // 2 + 1)
    hann = 0.5 - 0.5 * torch.cos(2 * math.pi / size * place)
    basis = torch.cat([hann[:, None] * angle.cos(), hann[:, None] * angle.sin()], dim=1)
    return basis.float().to(device)
