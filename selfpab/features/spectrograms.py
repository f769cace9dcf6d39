"""STFT magnitude of six axes (paper, section 4.1; BEHAVIOUR (a)): Hann, 1 s frames, half a second apart, |X| only.

Legend: B windows, N samples, H hops, C channels (6), T frames, F bins (26 at 50 samples a frame). Nothing is padded,
detrended or scaled: an axis at rest at 1 g gives 25 in bin 0 and 12.5 in bin 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

HOPS_AT_ONCE = 2400  # four windows of five minutes: what is made on the way (10 MB) stays in the processor's caches


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
    return _spectra(acceleration, frame_samples, hop_samples).unflatten(2, (acceleration.shape[2], -1))


@torch.no_grad()
def _spectra(
    samples: Shaped[Tensor, "B N C"],
    frame_samples: int,
    hop_samples: int,
    scale: Float[Tensor, "B #CF"] | None = None,
    shift: Float[Tensor, " #CF"] | None = None,
) -> Float[Tensor, "B T CF"]:
    """Magnitudes * scale + shift; a few windows at a time, from the samples to the result without leaving the caches."""
    windows, count, channels = samples.shape
    parts, rest = divmod(frame_samples, hop_samples)
    if rest or count < frame_samples:
        raise ValueError(
            f"frame_samples must be a multiple of hop_samples and at most the {count} samples, "
            f"got {frame_samples} and {hop_samples}"
        )
    hops, bins = count // hop_samples, frame_samples // 2 + 1
    rows = (hops - parts + 1) * channels  # a row of a window is a frame of a channel
    device = samples.device
    size = max(1, min(windows, HOPS_AT_ONCE // hops if device.type == "cpu" else windows))
    basis = _basis(frame_samples, device).view(parts, 1, hop_samples, 2 * bins).expand(-1, size, -1, -1)
    pieces = torch.empty(size, hops, channels, hop_samples, device=device)
    whole = torch.empty(size, rows, 2 * bins, device=device)
    result = torch.empty(windows, hops - parts + 1, channels * bins, device=device)
    with torch.autocast(device.type, enabled=False):
        for first in range(0, windows, size):
            here = slice(first, min(first + size, windows))
            count = here.stop - first
            cut = samples[here, : hops * hop_samples].unflatten(1, (hops, hop_samples)).transpose(2, 3)
            hop, frame = pieces[:count].copy_(cut).flatten(1, 2), whole[:count]
            torch.bmm(hop[:, :rows], basis[0, :count], out=frame)
            for part in range(1, parts):  # a frame is made of `parts` hops, each under its own part of the window
                begin = part * channels
                frame.baddbmm_(hop[:, begin : begin + rows], basis[part, :count])
            frame.mul_(frame)
            magnitude = result[here]
            torch.add(frame[..., :bins], frame[..., bins:], out=magnitude.view(count, rows, bins)).sqrt_()
            if scale is not None and shift is not None:
                torch.addcmul(shift, magnitude, scale[here, None], out=magnitude)
            elif scale is not None:
                magnitude.mul_(scale[here, None])
    return result


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
    factor: Float[Tensor, " CF"] | None = None,
    shift: Float[Tensor, " CF"] | None = None,
    whole: bool | None = None,
) -> tuple[Float[Tensor, "B T CF"], Bool[Tensor, "B T"]]:
    """Spectra in g of the windows of a corpus (`data.windows.Batch`), and which frames are real.

    frames : for each frame its place among those of `counts`; -1 pads, and gives zeros.
    factor, shift : give spectra * factor + shift instead (`Normalisation.factor_and_shift`).
    whole : whether every frame is real, where that is known; else the device is asked, for which a GPU would stop.
    The feature order is channel-major: feature = 26 * channel + bin (BEHAVIOUR (a)).
    """
    scale = (1 if factor is None else factor) / counts_per_g[:, None].float()
    magnitude = _spectra(counts, config.frame_samples, config.hop_samples, scale, shift)
    valid = frames >= 0
    if frames.shape[1] == magnitude.shape[1] and (bool(valid.all()) if whole is None else whole):
        return magnitude, valid  # no gap and no padding: nothing to choose
    places = frames.clamp(min=0) + magnitude.shape[1] * torch.arange(len(frames), device=frames.device)[:, None]
    chosen = magnitude.flatten(0, 1).index_select(0, places.flatten()).view(*frames.shape, -1)
    return chosen.mul_(valid[..., None].to(chosen.dtype)), valid


@lru_cache(maxsize=8)
def _basis(size: int, device: torch.device) -> Float[Tensor, "S FF"]:
    """Hann-windowed cosines, then sines; the periodic Hann window of `torch.hann_window`."""
    place = torch.arange(size, dtype=torch.float64)
    angle = 2 * math.pi / size * place[:, None] * torch.arange(size // 2 + 1)
    hann = 0.5 - 0.5 * torch.cos(2 * math.pi / size * place)
    basis = torch.cat([hann[:, None] * angle.cos(), hann[:, None] * angle.sin()], dim=1)
    return basis.float().to(device)
