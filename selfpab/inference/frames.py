"""What a model says of every frame, and from that of any sample (DESIGN 5a).

A week has 1.2 million frames and 30 million samples: what is kept is per frame, samples are made on demand.
Legend: N samples, F frames, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class FrameProbabilities:
    """Probabilities of distinct frames, in the order of their starts.

    values : float64 (F, K).
    starts, stops : int64 (F,); first sample of every frame, and where its segment ends.

    >>> frames = FrameProbabilities(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 25]), np.array([75, 75]), 50)
    >>> frames.at(np.array([0, 24, 25, 49, 50])).tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.5, 0.5], [0.0, 1.0]]
    """

    values: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    frame_samples: int

    def ends(self, frames: slice | np.ndarray) -> np.ndarray:
        """The sample behind the last one of each of these frames, int64; in order, as the starts are."""
        return np.minimum(self.starts[frames] + self.frame_samples, self.stops[frames])

    def at(self, samples: np.ndarray) -> np.ndarray:
        """Mean over the frames that cover each of these samples, float64 (len(samples), K); NaN where none does.

        The same numbers, bit for bit, as `features.framing.samples_from_frames` gives for all samples.
        """
        latest = np.searchsorted(self.starts, samples, side="right") - 1
        total = np.zeros((len(samples), self.values.shape[1]))
        count = np.zeros((len(samples), 1))
        for back in range(
            len(self.starts)
        ):  # left after two or three: where a frame ends too early, so do those before
            frame = np.maximum(latest - back, 0)
            covering = np.flatnonzero((latest >= back) & (self.ends(frame) > samples))
            if not len(covering):
                break
            total[covering] += self.values[frame[covering]]
            count[covering] += 1
        with np.errstate(invalid="ignore"):
            return total / count

    def changes(self, first: int, stop: int) -> np.ndarray:
        """Samples of first ... stop - 1 at which a frame begins or has ended: between them nothing changes."""
        begun = slice(*np.searchsorted(self.starts, (first, stop)))
        ends = self.ends(slice(np.searchsorted(self.starts, first - self.frame_samples), begun.stop))
        return np.concatenate([self.starts[begun], ends[(ends >= first) & (ends < stop)]])
