"""A third reader beside the encoder: the samples themselves, by convolutions over time (ours; not in the paper).

Magnitudes of a spectrum do not say how a movement goes: which of thigh and back rises first, what follows what within a
stride. Convolutions see it; they find stairs that all who read spectra miss, and the mean is better than either (docs/log.md,
2026-12-01). Samples come as frames: the middle half of each, which side by side are the signal without holes. Three blocks
see places of a tenth of a second, three more places of half a second: five seconds on either side in all.
The same network on the three axes of one sensor answers where the other one says nothing (single_sensor.py).
Legend: B windows, T frames, C channels (6), W width, P places in time, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from selfpab.recording import CHANNELS
from selfpab.sensors import AXES
from selfpab.upstream.packed_products import added, rectified

TENTH, TENTHS = 5, 5  # samples of a place, and places of a frame: together the samples between two frames
HOP = TENTH * TENTHS
SEEN = 11  # samples that the first convolution takes together
GROUP = 16  # channels that share a norm; with 8 torch's takes eight times as long
REACHES = (1, 2, 4)  # places between those that a block's convolution takes together


@dataclass(frozen=True)
class WaveformConfig:
    width: int = 0  # channels; twice as many at two a second; 0: no such reader
    steps: int = 1500
    batch: int = 16  # pieces
    frames: int = 80  # of a piece, half a second each
    rate: float = 3e-3
    weight_decay: float = 0.05
    dropout: float = 0.2
    tilt_deg: float = 7.5  # as `augment` of the network, and the next; more than there helps here
    gain: float = 0.03
    stretch: float = 0.15  # largest logarithm of how much slower or faster a piece is made
    single: bool = False  # two more of them, each of one sensor, for where the other one says nothing

    def __post_init__(self) -> None:
        if self.width < 0 or self.width % GROUP or min(self.steps, self.batch, self.frames) < 1:
            raise ValueError(
                f"wanted a multiple of {GROUP} as waveform.width, or 0, and waveform.steps, batch and frames of at least 1, "
                f"got {self.width}, {self.steps}, {self.batch}, {self.frames}"
            )
        if self.single and not self.width:
            raise ValueError("waveform.single=true needs a waveform.width: what reads one sensor has it, too")
        if not 0 <= self.dropout < 1 or not 0 <= self.stretch <= 1:
            raise ValueError(
                "wanted waveform.dropout from 0 to below 1 and waveform.stretch from 0 to 1, "
                f"got {self.dropout:g}, {self.stretch:g}"
            )


class WaveformReader(nn.Module):
    """What frames are given (B, T, I), whose last 150 values are 25 samples of 6 channels -> logits (B, T, K).

    sensor : the one that is read; None: both.

    >>> import torch
    >>> WaveformReader(10, width=16).eval()(torch.zeros(3, 119, 351)).shape
    torch.Size([3, 119, 10])
    """

    def __init__(self, classes: int, *, width: int, dropout: float = 0.0, sensor: str | None = None) -> None:
        super().__init__()
        self.classes, self.axes = classes, slice(len(CHANNELS)) if sensor is None else AXES[sensor]
        self.stem = _along_time(len(CHANNELS[self.axes]), width // 2, SEEN)
        self.to_tenths = _along_time(width // 2, width, TENTH, step=TENTH)
        self.fine = nn.ModuleList(Block(width, 5, reach, dropout) for reach in REACHES)
        self.to_halves = _along_time(width, 2 * width, TENTHS, step=TENTHS)
        self.coarse = nn.ModuleList(Block(2 * width, 3, reach, dropout) for reach in REACHES)
        self.norm, self.dropout = nn.GroupNorm(2 * width // GROUP, 2 * width), nn.Dropout(dropout)
        self.output = nn.Linear(2 * width, classes)

    def forward(
        self, inputs: Float[Tensor, "B T I"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T K"]:
        """valid : which frames are real, the first ones of every window; the others' logits mean nothing. None: all."""
        samples = inputs[..., -HOP * len(CHANNELS) :]
        if valid is None or bool(valid.all()):
            return self._of_whole(samples)
        counts = valid.sum(1)
        logits = inputs.new_zeros(*valid.shape, self.classes)
        for count in counts[counts > 0].unique().tolist():  # what stands behind the end must not count in a norm
            rows = counts == count
            logits[rows, :count] = self._of_whole(samples[rows, :count]).to(logits.dtype)
        return logits

    def _of_whole(self, samples: Float[Tensor, "B T HC"]) -> Float[Tensor, "B T K"]:
        """Of windows without padding."""
        signals = samples.unflatten(2, (HOP, len(CHANNELS)))[..., self.axes]
        hidden = signals.flatten(1, 2).transpose(1, 2)[:, :, None]  # B C 1 P
        hidden = self.to_tenths(rectified(self.stem, hidden))
        for block in self.fine:
            hidden = block(hidden)
        hidden = self.to_halves(hidden)
        for block in self.coarse:
            hidden = block(hidden)
        return self.output(self.dropout(F.relu(self.norm(hidden), inplace=True)[:, :, 0].transpose(1, 2)))


class Block(nn.Module):
    """(B, W, 1, P) -> the same and what a convolution, and a product for each place, make of it.

    Norms are over a window's places and groups of channels: who moves more than others, or has a sensor turned, looks
    more like them (docs/log.md).
    """

    def __init__(self, width: int, taken: int, reach: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(width // GROUP, width)
        self.around = _along_time(width, width, taken, reach=reach)
        self.mixed = _along_time(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Float[Tensor, "B W 1 P"]) -> Float[Tensor, "B W 1 P"]:
        made = rectified(self.around, self.norm(hidden))
        if self.training:
            return self.dropout(self.mixed(made)).add_(hidden)
        return added(self.mixed, made, hidden)


def _along_time(given: int, made: int, taken: int, *, step: int = 1, reach: int = 1) -> nn.Conv2d:
    padding = reach * (taken - 1) // 2 if step == 1 else (taken - step) // 2
    return nn.Conv2d(given, made, (1, taken), stride=(1, step), padding=(0, padding), dilation=(1, reach))
