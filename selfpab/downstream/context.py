"""A second reader beside the encoder: what a frame and the seconds around it say, without attention (ours; not in the paper).

Its errors are others than those of the transformer, and the mean of both is better than either (docs/log.md, 2026-12-01). It
reads the frame's spectrum on a logarithmic scale and its statistics, those of one and two seconds before and after, and means
over up to ten seconds on either side. Perceptrons that begin differently say what they make of it.
Legend: B windows, T frames, CF spectral features (156), S statistics (45), I inputs of a frame, W values of a frame and what is
around it, M perceptrons, K classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from selfpab.features.batch_rows import rows_at
from selfpab.features.normalisation import Normalisation
from selfpab.features.statistics import CHANNELS, STATISTICS

SHIFTS = (-4, -2, 2, 4)  # frames: statistics of one and two seconds before and after
STATISTICS_AROUND = (5, 20)  # frames on either side of a mean
SPECTRUM_AROUND = 2
BINS = 16  # of each axis, up to 15 Hz
SMALLEST = 0.1  # added to a magnitude before its logarithm: about what a sensor at rest has
FURTHEST = 5.0  # standard deviations
INPUT_DROPOUT, DROPOUT = 0.1, 0.3


class ContextReader(nn.Module):
    """Normalised spectra and statistics, and what else there may be behind (B, T, I) -> logits of each perceptron (M, B, T, K).

    >>> reader = ContextReader(156, 10, members=2, hidden=8).eval()
    >>> reader(torch.zeros(3, 119, 201)).shape, reader.around(torch.zeros(3, 119, 201)).shape
    (torch.Size([2, 3, 119, 10]), torch.Size([3, 119, 507]))
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spectrum: int, classes: int, *, members: int, hidden: int) -> None:
        super().__init__()
        self.spectrum, self.bins = spectrum, min(BINS, spectrum // CHANNELS)
        self.register_buffer("mean", torch.zeros(spectrum))  # with these normalised spectra are magnitudes again
        self.register_buffer("std", torch.ones(spectrum))
        width = (1 + len(SHIFTS) + len(STATISTICS_AROUND)) * STATISTICS + 2 * CHANNELS * self.bins
        # mean and deviation of what it is given; slow, for a batch holds sixteen minutes of few people
        self.standard = nn.BatchNorm1d(width, affine=False, momentum=0.01)
        self.members = nn.ModuleList(Perceptron(width, hidden, classes) for _ in range(members))

    def told(self, normalisation: Normalisation) -> ContextReader:
        """Itself, knowing how the spectra it will be given were normalised."""
        self.mean.copy_(torch.from_numpy(normalisation.mean))
        self.std.copy_(torch.from_numpy(normalisation.std))  # 0 where a feature never changes: it is its mean
        return self

    def forward(
        self, inputs: Float[Tensor, "B T I"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "M B T K"]:
        """valid : which frames are real, the first ones of every window; the others' logits mean nothing. None: all."""
        around = self.around(inputs, valid)
        with torch.autocast(inputs.device.type, enabled=False):
            if not self.training:  # in place: new memory would cost more than the arithmetic
                mean, variance = self.standard.running_mean, self.standard.running_var
                assert mean is not None
                assert variance is not None
                seen = around.sub_(mean).mul_((variance + self.standard.eps).rsqrt()).clamp_(-FURTHEST, FURTHEST)
            else:  # padding must not count as something seen
                real = torch.ones_like(around[..., 0], dtype=torch.bool) if valid is None else valid
                seen = torch.zeros_like(around)
                seen[real] = self.standard(around[real]).clamp(-FURTHEST, FURTHEST)
        if torch.is_autocast_enabled(inputs.device.type):  # once, and not for each
            seen = seen.to(torch.get_autocast_dtype(inputs.device.type))
        return torch.stack([member(seen) for member in self.members])

    def around(
        self, inputs: Float[Tensor, "B T I"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T W"]:
        """What is read of every frame: of the window's real frames alone, beyond its ends the outermost."""
        with torch.autocast(inputs.device.type, enabled=False):  # sums over time: bf16 has 8 bits for them
            return self._around(inputs.float(), valid)

    def _around(self, inputs: Float[Tensor, "B T I"], valid: Bool[Tensor, "B T"] | None) -> Float[Tensor, "B T W"]:
        windows, frames = inputs.shape[:2]
        magnitudes = (inputs[..., : self.spectrum] * self.std + self.mean).unflatten(2, (CHANNELS, -1))
        spectrum = torch.log(magnitudes[..., : self.bins].clamp(min=0) + SMALLEST).flatten(2)
        statistics = inputs[..., self.spectrum : self.spectrum + STATISTICS]
        places = torch.arange(frames, device=inputs.device).expand(windows, frames)
        count = torch.full_like(places[:, :1], frames) if valid is None else valid.sum(1, keepdim=True)
        last = (count - 1).clamp(min=0)
        parts = [statistics, spectrum]
        parts += [rows_at(statistics, (places + shift).clamp(min=0).minimum(last)) for shift in SHIFTS]
        parts += [_mean_around(statistics, places, count, reach) for reach in STATISTICS_AROUND]
        parts.append(_mean_around(spectrum, places, count, SPECTRUM_AROUND))
        return torch.cat(parts, dim=2)


class Perceptron(nn.Sequential):
    """Two hidden layers, of every frame by itself."""

    def __init__(self, width: int, hidden: int, classes: int) -> None:
        super().__init__(
            nn.Dropout(INPUT_DROPOUT),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(hidden, classes),
        )


def _mean_around(values: Float[Tensor, "B T C"], places: Tensor, count: Tensor, reach: int) -> Float[Tensor, "B T C"]:
    """Mean over the real frames up to `reach` before and behind, by differences of running sums."""
    sums = F.pad(values.cumsum(1), (0, 0, 1, 0))
    stop = (places + reach + 1).minimum(count)
    first = (places - reach).clamp(min=0).minimum(stop)
    return (rows_at(sums, stop) - rows_at(sums, first)) / (stop - first).clamp(min=1)[..., None]
