"""Alter a batch of spectrograms and remember where (paper, section 3.1; BEHAVIOUR (b)); the masked L1 loss.

Legend: B windows, T frames, C channels, F bins, K starts. All draws are batched; a window's draws depend on its place in
the global batch alone, so that one process and eight alter the same frames.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpab.features.batch_rows import places_of_all, rows_at


@dataclass(frozen=True)
class MaskingConfig:
    time_fraction: float = 0.15  # P_T, section 4.1
    time_width: int = 3  # W_T, frames
    bin_fraction: float = 0.20  # P_F
    bin_width: int = 3  # W_F, bins
    zero_probability: float = 0.8  # section 3.1: the frames become zero ...
    swap_probability: float = 0.1  # ... or other frames ... or stay (the rest)
    bin_probability: float = 1.0  # section 3.1; the release masks bins with 0.9
    reach_last: bool = True  # section 3.1: all L frames; the release never alters the last frame and bin


@dataclass(frozen=True, eq=False)
class Draws:
    """Uniform noise that decides the alteration of a batch, one row per window."""

    kind: Float[Tensor, " B"]
    bins: Float[Tensor, " B"]
    time_starts: Float[Tensor, "B T"]
    swap_starts: Float[Tensor, "B T"]
    bin_starts: Float[Tensor, "B F"]

    def __getitem__(self, rows: slice) -> Draws:
        return Draws(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def draw(windows: int, frames: int, bins: int, generator: torch.Generator) -> Draws:
    """Noise for the global batch; a process takes its own rows of it."""
    kind, applied, *starts = (
        torch.rand(shape, generator=generator, device=generator.device)
        for shape in ((windows,), (windows,), (windows, frames), (windows, frames), (windows, bins))
    )
    return Draws(kind, applied, *starts)


def alter(
    clean: Float[Tensor, "B T C F"], valid: Bool[Tensor, "B T"], draws: Draws, config: MaskingConfig
) -> tuple[Float[Tensor, "B T C F"], Bool[Tensor, "B T C F"]]:
    """The altered spectrograms, and M: True where a value was zeroed or swapped, so where the loss counts.

    Parameters
    ----------
    clean : normalised magnitudes, so that zero means the corpus mean.
    valid : which frames are real; they come first in each window. Padding is never altered and never counted.

    A window shorter than T has proportionally fewer starts: floor(P_T * L / W_T) with its own L.
    Swapping copies frames onto others (as in TERA and the release): the sources stay.

    >>> generator = torch.Generator().manual_seed(0)
    >>> clean, valid = torch.ones(4, 599, 6, 26), torch.ones(4, 599, dtype=torch.bool)
    >>> altered, mask = alter(clean, valid, draw(4, 599, 26, generator), MaskingConfig())
    >>> bool((altered[~mask] == 1).all()), mask.shape
    (True, torch.Size([4, 599, 6, 26]))
    """
    length = valid.sum(1)
    frames, bins = clean.shape[1], clean.shape[3]
    time = (config.time_fraction, config.time_width, config.reach_last)
    starts, count = choose_starts(draws.time_starts, length, *time)
    sources, _ = choose_starts(draws.swap_starts, length, *time)
    band, bands = choose_starts(
        draws.bin_starts, torch.full_like(length, bins), config.bin_fraction, config.bin_width, config.reach_last
    )

    zero = draws.kind < config.zero_probability
    swap = ~zero & (draws.kind < config.zero_probability + config.swap_probability)
    winner, offset = cover(starts, count, config.time_width, frames)
    hit = winner >= 0
    source = sources.gather(1, winner.clamp(min=0)) + offset
    source = torch.where(swap[:, None] & hit, source, torch.arange(frames, device=clean.device))

    # of every window three rows of bins: nothing, its band, everything; frames take one of them, a copy and no comparison
    band_mask = (cover(band, bands, config.bin_width, bins)[0] >= 0) & (draws.bins < config.bin_probability)[:, None]
    three = torch.stack([torch.zeros_like(band_mask), band_mask, torch.ones_like(band_mask)], dim=1)
    mask = rows_at(three, torch.where(hit & (zero | swap)[:, None], 2, valid.long()))
    kept = rows_at(1 - three.to(clean.dtype), torch.where(hit & zero[:, None], 2, valid.long()))
    # a product, not masked_fill: that is six times as slow where a mask is repeated over channels
    altered = clean * kept[:, :, None, :]
    # others' rows only where one may have been put: as many in every window, so that a GPU need not be asked how many
    covered = _covered(starts, config.time_width, frames)
    others = rows_at(clean, source.gather(1, covered)) * rows_at(kept, covered)[:, :, None, :]
    altered.flatten(0, 1)[places_of_all(covered, frames).flatten()] = others.flatten(0, 1)
    return altered, mask[:, :, None, :].expand_as(clean)


def _covered(starts: Int[Tensor, "B K"], width: int, length: int) -> Int[Tensor, "B KW"]:
    """The places that stretches of this width from these starts hold, some perhaps twice."""
    return (starts[:, :, None] + torch.arange(width, device=starts.device)).flatten(1).clamp(max=length - 1)


def masked_l1(
    reconstruction: Float[Tensor, "B T CF"], clean: Float[Tensor, "B T CF"], mask: Bool[Tensor, "B T CF"]
) -> Float[Tensor, ""]:
    """Mean absolute error where M, per window, then over the batch; a window without M counts as 0 (BEHAVIOUR (b))."""
    error = (reconstruction.float() - clean).abs().masked_fill(~mask, 0.0).sum((1, 2))
    return (error / mask.sum((1, 2)).clamp(min=1)).mean()


def choose_starts(
    noise: Float[Tensor, "B L"], length: Int[Tensor, " B"], fraction: float, width: int, reach_last: bool
) -> tuple[Int[Tensor, "B K"], Int[Tensor, " B"]]:
    """floor(fraction * length / width) starts per window without replacement, and how many count.

    The places of the least noise are the draw (as in MAE). Starts reach length - width, or one less without `reach_last`.
    """
    places = torch.arange(noise.shape[1], device=noise.device)
    last = length - width - (0 if reach_last else 1)
    noise = noise.masked_fill(places > last[:, None], 2.0)
    # in double: floor(0.2 * 30 / 3) must be 2, as in Python
    count = (fraction * length.double() / width).floor().long().minimum((last + 1).clamp(min=0))
    most = max(1, int(fraction * noise.shape[1] / width))
    return noise.topk(most, 1, largest=False).indices, count


def cover(
    starts: Int[Tensor, "B K"], count: Int[Tensor, " B"], width: int, length: int
) -> tuple[Int[Tensor, "B L"], Int[Tensor, "B L"]]:
    """For every place, the last of the starts that covers it (-1: none), and how far from that start it is.

    Where windows overlap the later one wins, as in a loop of assignments, but in a fixed order on every device.
    """
    order = torch.arange(starts.shape[1], device=starts.device).expand_as(starts)
    order = torch.where(order < count[:, None], order, -1)
    none = torch.full((starts.shape[0], length), -1, device=starts.device, dtype=order.dtype)
    winner = none.scatter_reduce(1, _covered(starts, width, length), order.repeat_interleave(width, dim=1), "amax")
    begin = starts.gather(1, winner.clamp(min=0))
    offset = torch.arange(length, device=starts.device) - begin
    return winner, torch.where(winner >= 0, offset, 0)
