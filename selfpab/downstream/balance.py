"""Rare classes seen more often than they happen, and what is learnt corrected for it (ours; not in the paper).

Half a minute of stairs in an hour is in hardly any window that is drawn at random. Some windows are drawn around a frame of
a class instead, each class as often as any other, and to the logits of training the logarithm of how much too often each
class was seen is added: what is learnt are the probabilities of the frames as they are. Legend: B windows, T frames, K classes.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpab.downstream.cuts import Cuts, Run, around, located, padded
from selfpab.recording import UNLABELLED

FURTHEST = 5.0  # of the logarithm: about 150 times too often, or too seldom


class Frames:
    """The training frames of all people, numbered: one person's runs after the other's.

    people : the runs of each. truths : of each run the classes of its frames, int (frames,), -1 for none.
    """

    def __init__(self, people: list[list[Run]], truths: list[list[np.ndarray]]) -> None:
        self._runs = [(which, run) for which, runs in enumerate(people) for run in runs]
        self._ends = np.cumsum([len(starts) for _, (starts, _) in self._runs])
        truth = np.concatenate([one for person in truths for one in person])
        self.of_class = [np.flatnonzero(truth == kind) for kind in np.unique(truth[truth != UNLABELLED])]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def drawn(self, chance: np.random.Generator, *, balanced: bool) -> int:
        """The number of a frame, every one as likely as any other; balanced: every class."""
        if not balanced or not self.of_class:
            return int(chance.integers(len(self)))
        numbers = self.of_class[int(chance.integers(len(self.of_class)))]
        return int(numbers[int(chance.integers(len(numbers)))])

    def window(
        self, number: int, chance: np.random.Generator, *, length: int, padded_to: int | None = None
    ) -> tuple[int, Cuts]:
        """(person, one window of so many frames that holds this one somewhere; of a shorter run everything)."""
        which, inside = located(self._ends, number)
        person, run = self._runs[which]
        held = around(run, inside, before=int(chance.integers(length)), length=length)
        return person, padded([held], padded_to or length)


class Seen:
    """How often training has seen each class so far; shares : how often they happen, (K,).

    >>> seen = Seen(np.array([0.9, 0.1, 0.0]))
    >>> seen.count(torch.tensor([[0, 1]]))
    >>> seen.corrected(torch.zeros(1, 2, 3)).exp().mul(10).round().tolist()
    [[[6.0, 50.0, 10.0], [6.0, 50.0, 10.0]]]
    """

    def __init__(self, shares: np.ndarray) -> None:
        self.shares, self.counts = shares, np.full(len(shares), 1e-9)

    def corrected(self, logits: Float[Tensor, "B T K"]) -> Float[Tensor, "B T K"]:
        """Logits as they would be if frames were what training has seen."""
        return logits + self.correction.to(logits.device)

    def count(self, truth: Int[Tensor, "B T"]) -> None:
        """Training sees these frames, too."""
        labels = truth[truth != UNLABELLED].cpu().numpy()
        self.counts += np.bincount(labels, minlength=len(self.counts))

    @property
    def correction(self) -> Float[Tensor, " K"]:
        """The logarithm of how many times too often each class was seen; 0 for one that nobody does."""
        happens = np.where(self.shares > 0, self.shares, 1.0)
        ratio = np.log(self.counts / self.counts.sum() / happens).clip(-FURTHEST, FURTHEST)
        return torch.from_numpy(np.where(self.shares > 0, ratio, 0.0).astype(np.float32))
