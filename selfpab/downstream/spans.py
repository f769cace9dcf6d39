"""The windows of prediction, known by the frames they begin at: of a week 20,000 numbers and not 5 million.

Legend: F frames of a recording, W windows, T frames of a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from selfpab.downstream.cuts import Cuts, Run
from selfpab.features.framing import FRAMES_IN_MEMORY, window_places
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.recording import Recording
from selfpab.scratch import room_for


@dataclass(frozen=True, eq=False)
class Spans:
    """Windows over frames that follow each other; they look like `Cuts` to who takes some of them.

    frame_starts, frame_stops : int64 (F,), in order; first sample of every frame and where its segment ends.
    firsts, counts : int64 (W,); the first frame of every window, and how many it has.
    length : T; behind the end of a shorter window stands nothing.
    """

    frame_starts: np.ndarray
    frame_stops: np.ndarray
    firsts: np.ndarray
    counts: np.ndarray
    length: int

    def __len__(self) -> int:
        return len(self.firsts)

    def __getitem__(self, rows: slice) -> Cuts:
        """int64 (W, T) of some windows, -1 behind the end of a shorter one."""
        steps = np.arange(self.length)
        real = steps < self.counts[rows, None]
        frames = np.where(real, self.firsts[rows, None] + steps, 0)
        if not len(self.frame_starts):
            return Cuts(frames, frames)
        return Cuts(np.where(real, self.frame_starts[frames], -1), np.where(real, self.frame_stops[frames], -1))


def side_by_side(runs: Sequence[Run], *, length: int, step: int) -> Spans:
    """Windows `step` frames apart in every run, the last one aligned to its end; a shorter run is one window.

    >>> run = np.arange(0, 125, 25), np.full(5, 150)
    >>> spans = side_by_side([run], length=3, step=2)
    >>> spans.firsts.tolist(), spans.counts.tolist(), spans[1:].starts.tolist()
    ([0, 2], [3, 3], [[50, 75, 100]])
    """
    ends = np.cumsum([0, *(len(starts) for starts, _ in runs)])
    places = [
        (int(before) + first, stop - first)
        for before, (starts, _) in zip(ends[:-1], runs, strict=True)
        for first, stop in window_places(len(starts), length=length, step=step)
    ]
    firsts, counts = np.array(places, np.int64).reshape(-1, 2).T
    if len(runs) == 1:
        return Spans(*runs[0], firsts, counts, length)
    starts, stops = (room_for(int(ends[-1]), np.int64, in_memory=FRAMES_IN_MEMORY) for _ in range(2))
    for side, together in enumerate((starts, stops)):
        np.concatenate([together[:0], *(run[side] for run in runs)], out=together)
    return Spans(starts, stops, firsts, counts, length)


def those_between(tiles: Spans, runs: Sequence[Run], *, step: int) -> Spans:
    """For each window of `side_by_side` the one `step` frames on, if that lies before the next of its run.

    Else there is one without frames. With tiles two steps apart these are all the others that windows one step apart would have.

    >>> run = np.arange(0, 250, 25), np.full(10, 275)
    >>> tiles = side_by_side([run], length=5, step=4)
    >>> between = those_between(tiles, [run], step=2)
    >>> tiles.firsts.tolist(), between.firsts.tolist(), between.counts.tolist()
    ([0, 4, 5], [2, 0, 0], [5, 0, 0])
    """
    which = np.searchsorted(np.cumsum([len(starts) for starts, _ in runs]), tiles.firsts, side="right")
    firsts, counts = np.zeros_like(tiles.firsts), np.zeros_like(tiles.counts)
    followed = np.flatnonzero((np.diff(which) == 0) & (np.diff(tiles.firsts) > step))
    firsts[followed] = tiles.firsts[followed] + step
    counts[followed] = tiles.length
    return replace(tiles, firsts=firsts, counts=counts)


def every_frame(recording: Recording, shape: SpectrogramConfig) -> Run:
    """The frames of a recording of one segment and at least one frame, as the release takes them."""
    frames = (len(recording) - shape.frame_samples) // shape.hop_samples + 1
    return np.arange(frames, dtype=np.int64) * shape.hop_samples, np.full(frames, len(recording), np.int64)


def to_the_last_frame(run: Run, *, length: int, step: int) -> Spans:
    """A window at every `step` frames, whatever is left of the run (BEHAVIOUR (e)); a shorter run is one, of its own length.

    >>> to_the_last_frame((np.arange(0, 125, 25), np.full(5, 150)), length=3, step=2).counts.tolist()
    [3, 3, 1]
    """
    frames = len(run[0])
    if frames < length:
        return Spans(*run, np.zeros(1, np.int64), np.array([frames]), frames)
    firsts = np.arange(0, frames, step)
    return Spans(*run, firsts, np.minimum(length, frames - firsts), length)
