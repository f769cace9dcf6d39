"""A second reader beside the encoder: what a frame and the seconds around it say, without attention (ours; not in the paper).

Its errors are others than those of the transformer, and the mean of both is better than either (docs/log.md, 2026-12-01). It
reads the frame's spectrum on a logarithmic scale and its statistics, those of one and two seconds before and after, and means
over up to ten seconds on either side. Perceptrons that begin differently say what they make of it, and their probabilities
and the encoder's are averaged; where these leave doubt, boosted trees are asked, too, and count as much as either.
Legend: B windows, T frames, N frames of all windows, CF spectral features (156), S statistics (45), W values of a frame and
what is around it, M perceptrons, K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from selfpab.downstream.augmentation import AugmentConfig
from selfpab.downstream.forest import Forest, Growth, grown
from selfpab.features.batch_rows import rows_at
from selfpab.features.normalisation import Normalisation
from selfpab.features.statistics import CHANNELS, STATISTICS
from selfpab.seeding import seed_of

if TYPE_CHECKING:
    from selfpab.downstream.material import Material
    from selfpab.downstream.states import Extractor

SHIFTS = (-4, -2, 2, 4)  # frames: statistics of one and two seconds before and after
STATISTICS_AROUND = (5, 20)  # frames on either side of a mean
SPECTRUM_AROUND = 2
BINS = 16  # of each axis, up to 15 Hz
SMALLEST = 0.1  # added to a magnitude before its logarithm: about what a sensor at rest has
FURTHEST = 5.0  # standard deviations
INPUT_DROPOUT, DROPOUT = 0.1, 0.3
SURE = 0.9  # the probability from which on trees are not asked (docs/log.md)
FRAMES_OF_A_CLASS = 8000  # so many and up to twice as many are told to trees, each counting for those left out
WINDOWS_AT_ONCE = 32


class ContextReader(nn.Module):
    """Normalised spectra and statistics (B, T, CF + S) -> logits of each perceptron (M, B, T, K).

    trees : how many of `depth` questions stand beside the perceptrons; they name no class before they are `taught`.

    >>> reader = ContextReader(156, 10, members=2, hidden=8, trees=3).eval()
    >>> around = reader.around(torch.zeros(3, 119, 201))
    >>> around.shape, reader.perceived(torch.full((119, 10), 0.1), around[0]).shape
    (torch.Size([3, 119, 507]), torch.Size([119, 10]))
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, spectrum: int, classes: int, *, members: int, hidden: int = 1, trees: int = 0, depth: int = Growth.depth
    ) -> None:
        super().__init__()
        self.spectrum, self.bins = spectrum, min(BINS, spectrum // CHANNELS)
        self.register_buffer("mean", torch.zeros(spectrum))  # with these normalised spectra are magnitudes again
        self.register_buffer("std", torch.ones(spectrum))
        width = (1 + len(SHIFTS) + len(STATISTICS_AROUND)) * STATISTICS + 2 * CHANNELS * self.bins
        # mean and deviation of what it is given; slow, for a batch holds sixteen minutes of few people
        self.standard = nn.BatchNorm1d(width, affine=False, momentum=0.01) if members else None
        self.members = nn.ModuleList(Perceptron(width, hidden, classes) for _ in range(members))
        self.forest = Forest(trees, depth, classes) if trees else None

    def told(self, normalisation: Normalisation) -> ContextReader:
        """Itself, knowing how the spectra it will be given were normalised."""
        self.mean.copy_(torch.from_numpy(normalisation.mean))
        self.std.copy_(torch.from_numpy(normalisation.std))  # 0 where a feature never changes: it is its mean
        return self

    def forward(
        self, inputs: Float[Tensor, "B T CFS"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "M B T K"]:
        """Of the perceptrons, which learn by gradients.

        valid : which frames are real, the first ones of every window; the others' logits mean nothing. None: all.
        """
        around = self.around(inputs, valid)
        real = torch.ones(around.shape[:2], dtype=torch.bool, device=around.device) if valid is None else valid
        with torch.autocast(inputs.device.type, enabled=False):
            seen = torch.zeros_like(around)
            seen[real] = self._seen(around[real])  # padding must not count as something seen
        return torch.stack([member(seen) for member in self.members])

    def perceived(self, own: Float[Tensor, "N K"], around: Float[Tensor, "N W"]) -> Float[Tensor, "N K"]:
        """The mean of the encoder's probabilities and the perceptrons'. around : as `around` gives it."""
        if not self.members:
            return own
        with torch.autocast(around.device.type, enabled=False):
            seen = self._seen(around).to(_precision_of(self.members[0]))
            each = [member(seen).float().softmax(-1) for member in self.members]
        return (own + torch.stack(each).mean(0)) / 2

    def judged(self, perceived: Float[Tensor, "N K"], around: Float[Tensor, "N W"]) -> Float[Tensor, "N K"]:
        """The mean with the trees' probabilities as one more; for frames `in_doubt`."""
        if self.forest is None:
            return perceived
        kinds = 2 if self.members else 1
        return (kinds * perceived + self.forest(around).softmax(-1)) / (kinds + 1)

    def _seen(self, around: Float[Tensor, "N W"]) -> Float[Tensor, "N W"]:
        """What the perceptrons are given."""
        assert self.standard is not None
        return self.standard(around).clamp(-FURTHEST, FURTHEST)

    @torch.no_grad()
    def taught(self, material: Material, extractor: Extractor, augment: AugmentConfig, seed: int) -> None:
        """Let its trees grow on the training frames, altered once, of frequent classes on every so manieth."""
        if self.forest is None:
            return
        counts = material.counts()
        every = np.maximum(1, counts // FRAMES_OF_A_CLASS)
        rows, truths = [], []
        for place, (windows, truth) in enumerate(material.thinned(every, at_once=WINDOWS_AT_ONCE)):
            spectra, valid, _ = material.spectra(windows, extractor, augment, seed_of("augment trees", seed, place))
            rows.append(self.around(spectra, valid).cpu().numpy()[truth >= 0])
            truths.append(truth[truth >= 0])
        truth = np.concatenate(truths)
        forest = grown(
            np.concatenate(rows),
            truth,
            every[truth].astype(np.float32),
            trees=len(self.forest.asked),
            classes=len(counts),
            seed=seed,
            growth=Growth(depth=self.forest.depth),
        )
        self.forest.load_state_dict(forest.state_dict())

    def around(
        self, inputs: Float[Tensor, "B T CFS"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T W"]:
        """What is read of every frame: of the window's real frames alone, beyond its ends the outermost."""
        with torch.autocast(inputs.device.type, enabled=False):  # sums over time: bf16 has 8 bits for them
            return self._around(inputs.float(), valid)

    def _around(self, inputs: Float[Tensor, "B T CFS"], valid: Bool[Tensor, "B T"] | None) -> Float[Tensor, "B T W"]:
        windows, frames = inputs.shape[:2]
        magnitudes = (inputs[..., : self.spectrum] * self.std + self.mean).unflatten(2, (CHANNELS, -1))
        spectrum = torch.log(magnitudes[..., : self.bins].clamp(min=0) + SMALLEST).flatten(2)
        statistics = inputs[..., self.spectrum :]
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


def in_doubt(perceived: Float[Tensor, "N K"]) -> Bool[Tensor, " N"]:
    """Which frames nobody is sure of yet."""
    return perceived.amax(-1) < SURE


def log_of(chances: Float[Tensor, "... K"]) -> Float[Tensor, "... K"]:
    """The logarithm, whose softmax are these probabilities again: whatever takes logits takes it.

    >>> log_of(torch.tensor([0.25, 0.75, 0.0])).softmax(-1).numpy().round(6).tolist()
    [0.25, 0.75, 0.0]
    """
    return chances.clamp(min=1e-30).log()


def _precision_of(perceptron: nn.Module) -> torch.dtype:
    """Of its weights, which prediction may have in bf16."""
    return next(values.dtype for part in perceptron.children() if (values := getattr(part, "weight", None)) is not None)


def _mean_around(values: Float[Tensor, "B T C"], places: Tensor, count: Tensor, reach: int) -> Float[Tensor, "B T C"]:
    """Mean over the real frames up to `reach` before and behind, by differences of running sums."""
    sums = F.pad(values.cumsum(1), (0, 0, 1, 0))
    stop = (places + reach + 1).minimum(count)
    first = (places - reach).clamp(min=0).minimum(stop)
    return (rows_at(sums, stop) - rows_at(sums, first)) / (stop - first).clamp(min=1)[..., None]
