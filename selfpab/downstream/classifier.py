"""States + head as fit / predict / probabilities on recordings (paper, Figure 1, right).

Legend: N samples, F frames, K classes. Every frame's probabilities are averaged over the windows that hold it, every
sample's over the one or two frames that cover it; argmax, ties to the lower index (DESIGN 5a).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from selfpab.activities import Activities
from selfpab.downstream.finetuning import FinetuneConfig, fresh_head, train_head
from selfpab.downstream.head import Head
from selfpab.downstream.states import Extractor, Shelf, States
from selfpab.features.framing import frame_labels, samples_from_frames
from selfpab.recording import Recording


class HeadClassifier:
    """A head on frozen states.

    shelf : a shelf that folds share, or a function that makes one from the training recordings (for a normalisation that
        must not see the test subject).
    """

    def __init__(
        self,
        shelf: Shelf | Callable[[Sequence[Recording]], Shelf],
        activities: Activities,
        config: FinetuneConfig,
        seed: int,
    ) -> None:
        self._shelf, self.activities, self.config, self.seed = shelf, activities, config, seed
        self.head: Head | None = None
        self._answer: tuple[Recording, np.ndarray] | None = None
        self.losses: list[float] = []

    def fit(self, recordings: Sequence[Recording]) -> None:
        """Train on the last 80 % of each recording (section 4.2)."""
        self._answer = None
        self.shelf = self._shelf if isinstance(self._shelf, Shelf) else self._shelf(recordings)
        extractor, config = self.shelf.extractor, self.config
        pool = [
            self.shelf.of(r, step=config.pool_step, to_the_end=False, skip_share=config.skip_share) for r in recordings
        ]
        labels = [
            window_labels(r, states, self.activities, extractor.shape.frame_samples)
            for r, states in zip(recordings, pool, strict=True)
        ]
        self.head = fresh_head(extractor.layers, extractor.width, len(self.activities), config, self.seed)
        self.losses = train_head(pool, labels, self.head, config, self.seed)

    def predict(self, recording: Recording) -> np.ndarray:
        """One class index per sample, int64 (N,)."""
        return self.probabilities(recording).argmax(axis=1)

    def probabilities(self, recording: Recording) -> np.ndarray:
        """float64 (N, K), rows adding up to 1."""
        if self.head is None:
            raise RuntimeError("fit before predict")
        if self._answer is not None and self._answer[0] is recording:  # evaluation asks for classes, then for chances
            return self._answer[1]
        step = self.shelf.extractor.shape.window_frames - self.config.overlap
        if step < 1:
            raise ValueError(
                f"overlap must be below the {step + self.config.overlap} frames of a window, got {self.config.overlap}"
            )
        states = self.shelf.of(recording, step=step, to_the_end=True)
        self._answer = recording, sample_probabilities(self.head, states, len(recording), self.shelf.extractor)
        return self._answer[1]

    @property
    def layer_weights(self) -> list[float]:
        """As trained; what the head makes of each layer."""
        return [] if self.head is None else [float(w) for w in self.head.layer_weights.detach()]


@torch.no_grad()
def sample_probabilities(head: Head, states: States, samples: int, extractor: Extractor) -> np.ndarray:
    """From states to one row of class probabilities per sample, float64 (N, K)."""
    valid = states.starts >= 0
    flat_starts, flat_stops = states.starts[valid], states.stops[valid]
    unique, inverse = np.unique(flat_starts, return_inverse=True)
    stops = np.empty_like(unique)
    stops[inverse] = flat_stops
    total: np.ndarray | None = None
    filled = 0
    for window, real in zip(states.values, valid, strict=True):
        logits = head(torch.from_numpy(window[:, None, real]).float())[0]
        each = logits.double().softmax(-1).numpy()
        if total is None:
            total = np.zeros((len(unique), each.shape[1]))
        total[inverse[filled : filled + len(each)]] += each
        filled += len(each)
    if total is None:
        raise ValueError("the recording is empty: there is nothing to predict")
    mean = total / np.bincount(inverse, minlength=len(unique))[:, None]
    return samples_from_frames(mean, unique, stops, samples, frame_samples=extractor.shape.frame_samples)


def window_labels(recording: Recording, states: States, activities: Activities, frame_samples: int) -> np.ndarray:
    """Class index of every frame of every window, int64 (W, T), -1 unlabelled or behind the end."""
    if recording.labels is None:
        raise ValueError(f"{recording.subject} has no labels to train on")
    indices = activities.indices(recording.labels)
    result = np.full(states.starts.shape, -1, np.int64)
    valid = states.starts >= 0
    result[valid] = frame_labels(indices, states.starts[valid], classes=len(activities), frame_samples=frame_samples)
    return result
