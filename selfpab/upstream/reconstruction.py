"""How well is rebuilt what was altered: the encoder beside three simple rivals on the same masks.

The rivals are told where the alteration is, which the encoder is not: where frames are swapped they have it easier.
Legend: B windows, T frames, C channels, F bins. All values are normalised magnitudes; losses are masked L1 (BEHAVIOUR (b)).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpab.data.windows import Windows
from selfpab.seeding import seed_of
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.engine import Precision, autocast
from selfpab.upstream.masking import MaskingConfig, alter, draw, masked_l1
from selfpab.upstream.pretraining import spectra

AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Example:
    """One window: clean, altered, mask and what the encoder made of it, all (T, C, F)."""

    clean: np.ndarray
    altered: np.ndarray
    mask: np.ndarray
    rebuilt: np.ndarray


def feature_mean(
    altered: Float[Tensor, "B T C F"], mask: Bool[Tensor, "B T C F"], valid: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T C F"]:
    """Zero is the mean of every feature after normalisation."""
    return altered.masked_fill(mask, 0.0)


def last_unaltered_frame(
    altered: Float[Tensor, "B T C F"], mask: Bool[Tensor, "B T C F"], valid: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T C F"]:
    """The value of the nearest earlier frame without alteration; the mean where there is none, as in a masked band."""
    place = torch.arange(mask.shape[1], device=mask.device)[None, :, None, None].expand_as(mask)
    last = torch.where(mask, -1, place).cummax(1).values
    earlier = altered.gather(1, last.clamp(min=0))
    return torch.where(last >= 0, earlier, 0.0)


def interpolated(
    altered: Float[Tensor, "B T C F"], mask: Bool[Tensor, "B T C F"], valid: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T C F"]:
    """Linear between the nearest unaltered frames; what is still missing, a band, linear between its neighbouring bins.

    Beyond the last known value that value is kept; padding is never looked at.
    """
    result = altered.clone()
    values, hidden, real = result.numpy(), mask.numpy(), valid.numpy()
    for window in range(len(values)):
        length = int(real[window].sum())
        frames = hidden[window, :length].all(axis=(1, 2))  # altered in time: all features
        bins = hidden[window, :length].all(axis=(0, 1))  # a masked band: all frames
        known = np.flatnonzero(~frames)
        here = values[window, :length]
        if len(known):
            for frame in np.flatnonzero(frames):
                after = np.searchsorted(known, frame)
                low, high = known[max(after - 1, 0)], known[min(after, len(known) - 1)]
                share = 0.0 if high == low else (frame - low) / (high - low)
                here[frame] = (1 - share) * here[low] + share * here[high] if after else here[high]
        kept = np.flatnonzero(~bins)
        for place in np.flatnonzero(bins):
            after = np.searchsorted(kept, place)
            low, high = kept[max(after - 1, 0)], kept[min(after, len(kept) - 1)]
            share = 0.0 if high <= low else (place - low) / (high - low)
            here[..., place] = (1 - share) * here[..., low] + share * here[..., high]
    return result


RIVALS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "mean of the feature": feature_mean,
    "linear interpolation": interpolated,
    "last unaltered frame": last_unaltered_frame,
}


@torch.no_grad()
def reconstruction_losses(
    upstream: Upstream,
    windows: Windows,
    masking: MaskingConfig,
    *,
    count: int,
    seed: int = 0,
    precision: Precision = "auto",
    examples: int = 0,
    repeats: int = 1,
) -> tuple[dict[str, dict[str, float]], list[Example]]:
    """Masked L1 of the encoder and the rivals on the first `count` windows, and some examples to look at.

    Per method: `all` (the training loss), `frames` (what was altered in time, outside masked bands) and `bands`.

    repeats : draws of masks to average over; the first is that of the held-out loss during training (same `seed`). Which
        bands are drawn moves the loss of everybody by several per cent.
    """
    shape = upstream.spectrogram
    totals = {name: {"all": 0.0, "frames": 0.0, "bands": 0.0} for name in ("encoder", *RIVALS)}
    kept: list[Example] = []
    upstream.encoder.eval()
    addresses = [("validation masks", seed), *(("validation masks", seed, again) for again in range(1, repeats))]
    for address, first in itertools.product(addresses, range(0, count, AT_ONCE)):
        here = min(AT_ONCE, count - first)
        noise = torch.Generator().manual_seed(seed_of(*address))
        draws = draw(count, shape.window_frames, shape.bins, noise)
        clean, valid = spectra(windows.take(first, here), upstream.normalisation, shape, torch.device("cpu"))
        altered, mask = alter(clean, valid, draws[first : first + here], masking)
        with autocast(precision, torch.device("cpu")):
            rebuilt = upstream.encoder(altered.flatten(2), valid).float().unflatten(2, clean.shape[2:])
        band = (mask | ~valid[:, :, None, None]).all(1, keepdim=True).expand_as(mask) & mask
        parts = {"all": mask, "frames": mask & ~band, "bands": band}
        made = {"encoder": rebuilt} | {name: rival(altered, mask, valid) for name, rival in RIVALS.items()}
        for name, guess in made.items():
            for part, counted in parts.items():
                totals[name][part] += here * masked_l1(guess.flatten(2), clean.flatten(2), counted.flatten(2)).item()
        kept += [
            Example(*(values[i].numpy() for values in (clean, altered, mask, rebuilt)))
            for i in range(min(here, examples - len(kept)))
        ]
    return {
        name: {part: total / count / repeats for part, total in sums.items()} for name, sums in totals.items()
    }, kept
