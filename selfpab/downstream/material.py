"""What a fold is trained on and validated with: the frames of its training subjects and their labels (section 4.2).

Legend: B windows, T frames, L layers, D width, I inputs of a frame. The first share of every recording is for validation, which
selects nothing; the rest is for training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpab.activities import Activities
from selfpab.downstream.augmentation import AugmentConfig, altered
from selfpab.downstream.balance import Frames
from selfpab.downstream.cuts import (
    Cuts,
    Run,
    drawn,
    frame_pieces,
    frames_by_run,
    located,
    on_a_grid,
    scattered,
    scattered_weights,
    side_by_side,
    split,
    weights,
)
from selfpab.downstream.states import Extractor
from selfpab.features.framing import frame_labels
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.features.uprightness import Turns
from selfpab.recording import UNLABELLED, Recording
from selfpab.seeding import seed_of
from selfpab.sensors import check_both

if TYPE_CHECKING:
    from selfpab.downstream.finetuning import FinetuneConfig
    from selfpab.downstream.pool import Pool


@dataclass(frozen=True, eq=False)
class Labelled:
    """One recording's frames. label_at : class index of the frame that begins at a sample, int16 (N,); -1 for no loss."""

    recording: Recording
    validation: list[Run]
    training: list[Run]
    label_at: np.ndarray

    def truth(self, cuts: Cuts) -> np.ndarray:
        """Class index of every frame, int64 (W, T), -1 for no loss and behind the end."""
        return np.where(cuts.starts >= 0, self.label_at[cuts.starts], -1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Kept:
    """Frozen outputs of a pool of cuts, memory-mapped, with their labels; `shares` makes every frame equally likely."""

    maps: list[np.ndarray]  # per recording float16 (W, L, T, D)
    truths: list[np.ndarray]  # per recording int64 (W, T)
    places: np.ndarray  # (windows, 2): recording, window
    shares: np.ndarray  # (windows,): how likely each is to be taken

    def batch(self, size: int, seed: int, device: torch.device) -> tuple[Float[Tensor, "L B T D"], Int[Tensor, "B T"]]:
        """A random batch: states and class indices."""
        chosen = self.places[np.random.default_rng(seed).choice(len(self.places), size=size, p=self.shares)]
        states = torch.from_numpy(np.stack([self.maps[r][w] for r, w in chosen], axis=1))
        truth = torch.from_numpy(np.stack([self.truths[r][w] for r, w in chosen]))
        return states.to(device).float(), truth.to(device)


class Material:
    """The labelled frames of the training subjects.

    Raises ValueError where a recording has no labels, and where nothing is left to train on.
    """

    def __init__(
        self, recordings: Sequence[Recording], activities: Activities, shape: SpectrogramConfig, validation_share: float
    ) -> None:
        self.activities, self.shape = activities, shape
        self.people = [labelled(recording, activities, shape, validation_share) for recording in recordings]
        self._ends = np.cumsum([weights(one.training, length=shape.window_frames).sum() for one in self.people])
        if not len(self._ends) or not self._ends[-1]:
            raise ValueError(
                "no frames to train on: every recording is shorter than a second after its validation part"
            )
        self._grid: list[tuple[int, Cuts]] = []
        self._turns: dict[int, Turns | None] = {}

    @cached_property
    def frames(self) -> Frames:
        """All training frames, for who draws rare classes as often as others."""
        truths = [[one.label_at[starts] for starts, _ in one.training] for one in self.people]
        return Frames([one.training for one in self.people], truths)

    def steps(self, config: FinetuneConfig) -> int:
        """How many updates the settings ask for."""
        if config.epochs is None:
            return config.steps
        return config.epochs * -(-len(self.grid(config.grid_step)) // config.batch)

    def grid(self, step: int) -> list[tuple[int, Cuts]]:
        """All windows of the grid: (recording, one window)."""
        if not self._grid:
            for place, one in enumerate(self.people):
                cuts = on_a_grid(one.training, length=self.shape.window_frames, step=step)
                self._grid += [(place, cuts[row : row + 1]) for row in range(len(cuts))]
        return self._grid

    def windows(self, config: FinetuneConfig, seed: int, step: int) -> list[tuple[int, Cuts]]:
        """The windows of a training step, (recording, one window) each: a function of the step."""
        if config.cuts == "grid":
            grid = self.grid(config.grid_step)
            per_epoch = -(-len(grid) // config.batch)
            epoch, place = divmod(step, per_epoch)
            order = np.random.default_rng(seed_of("grid", seed, epoch)).permutation(len(grid))
            return [grid[i] for i in order[place * config.batch : (place + 1) * config.batch]]
        chance = np.random.default_rng(seed_of("cuts", seed, step))
        chosen = []
        for frame, where in zip(
            chance.integers(int(self._ends[-1]), size=config.batch), chance.random(config.batch), strict=True
        ):
            which, inside = located(self._ends, int(frame))
            runs = self.people[which].training
            chosen.append((which, drawn(runs, [(inside, float(where))], length=self.shape.window_frames)))
        for place in range(round(config.balanced_share * config.batch)):
            number = self.frames.drawn(chance, balanced=True)
            chosen[place] = self.frames.window(number, chance, length=self.shape.window_frames)
        return chosen

    def spectra(
        self,
        windows: Sequence[tuple[int, Cuts]],
        extractor: Extractor,
        augment: AugmentConfig | None = None,
        seed: int = 0,
    ) -> tuple[Float[Tensor, "B T I"], Bool[Tensor, "B T"], Int[Tensor, "B T"]]:
        """What the network is given, which frames are real, and class indices (-1 for no loss). seed : of the augmentation."""
        samples, real, truth = self.samples(windows, extractor, augment, seed)
        return *extractor.inputs(samples, real), torch.from_numpy(truth).to(extractor.device)

    def samples(
        self,
        windows: Sequence[tuple[int, Cuts]],
        extractor: Extractor,
        augment: AugmentConfig | None,
        seed: int,
        *,
        upright: bool = True,
    ) -> tuple[Float[Tensor, "N S C"], np.ndarray, np.ndarray]:
        """The real frames of all windows in g, which those are, bool (B, T), and class indices, int64 (B, T).

        upright : with backs turned as the extractor wants them.
        """
        frame = self.shape.frame_samples
        pieces = np.concatenate(
            [
                frame_pieces(
                    self.people[which].recording, cuts, frame, self._turns_of(which, extractor) if upright else None
                )
                for which, cuts in windows
            ]
        )
        real = np.concatenate([cuts.starts >= 0 for _, cuts in windows])
        truth = np.concatenate([self.people[which].truth(cuts) for which, cuts in windows])
        samples = torch.from_numpy(pieces)
        if augment is not None:
            samples = altered(samples, real.sum(axis=1), augment, seed)
        return samples, real, truth

    def _turns_of(self, which: int, extractor: Extractor) -> Turns | None:
        """Of a recording, found once."""
        if which not in self._turns:
            self._turns[which] = extractor.turns(self.people[which].recording)
        return self._turns[which]

    def pooled(self, pool: Pool, step: int, seed: int) -> Kept:
        """Frozen outputs of one random cut in every `step` frames; of a recording the same in every fold."""
        maps, truths, places, shares = [], [], [], []
        for place, one in enumerate(self.people):
            address = seed_of("pool", seed, one.recording.subject, len(one.recording))
            cuts = scattered(one.training, length=self.shape.window_frames, step=step, seed=address)
            maps.append(pool.of(one.recording, cuts))
            truths.append(one.truth(cuts))
            places += [(place, window) for window in range(len(cuts))]
            shares.append(scattered_weights(one.training, length=self.shape.window_frames, step=step))
        every = np.concatenate(shares)
        return Kept(maps, truths, np.array(places), every / every.sum())

    def shares(self) -> np.ndarray:
        """Which part of the labelled training frames is of each class, float64 (K,), adding up to 1."""
        counts = np.zeros(len(self.activities), np.int64)
        for one in self.people:
            for starts, _ in one.training:
                truth = one.label_at[starts]
                counts += np.bincount(truth[truth >= 0], minlength=len(counts))
        return counts / max(1, counts.sum())

    def validation(self) -> list[tuple[Recording, Cuts, np.ndarray]]:
        """Recording, windows side by side over its validation part, class indices (W, T); every frame counts once."""
        parts = []
        for one in self.people:
            cuts, truth = _once(one, one.validation, self.shape.window_frames)
            if len(cuts):
                parts.append((one.recording, cuts, truth))
        return parts


def _once(one: Labelled, part: Sequence[Run], length: int) -> tuple[Cuts, np.ndarray]:
    """Windows side by side over a part of a recording, and class indices (W, T), of every frame once."""
    cuts = side_by_side(part, length=length, step=length)
    truth = one.truth(cuts)
    again = np.ones(truth.size, bool)  # in a run's last window, which is aligned to its end
    again[np.unique(cuts.starts, return_index=True)[1]] = False
    truth[again.reshape(truth.shape)] = UNLABELLED
    return cuts, truth


def labelled(
    recording: Recording, activities: Activities, shape: SpectrogramConfig, validation_share: float
) -> Labelled:
    """The frames of a recording, its validation part, and every frame's label."""
    if recording.labels is None:
        raise ValueError(f"{recording.subject} has no labels to train on")
    check_both(recording, "training")
    runs = frames_by_run(recording, shape)
    validation, training = split(runs, validation_share)
    label_at = np.full(max(1, len(recording)), -1, np.int16)
    indices = activities.indices(recording.labels)
    for starts, _ in runs:
        label_at[starts] = frame_labels(indices, starts, classes=len(activities), frame_samples=shape.frame_samples)
    return Labelled(recording, validation, training, label_at)
