"""The five-minute windows of a corpus as an endless random sequence with places.

A batch is a function of its place alone, so that resuming needs one integer and no process needs to know of another.
`hours=` keeps 12 windows of five minutes for each hour (more where windows are shorter); fewer hours are always a subset
of more, and the people held out for validation are the same whatever the hours.
Legend: B windows, N samples, T frames.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from selfpab.data.store import Corpus
from selfpab.recording import JOIN_GAP_S, Segment, runs_of
from selfpab.seeding import seed_of

MAPPED = 256  # memory maps kept open; a corpus of 100,000 hours has some six hundred files


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows as stored.

    counts : int16 (B, N, 6); the pieces of a window one after the other, zeros behind them.
    counts_per_g : int64 (B,).
    frames : int32 (B, T); place of each frame among those of `counts` (hop by hop), -1 where the window is shorter.
    """

    counts: np.ndarray
    counts_per_g: np.ndarray
    frames: np.ndarray


def validation_people(people: Collection[str], share: float, seed: int) -> tuple[str, ...]:
    """The people held out: at least one if there are two, in an order drawn from their names alone.

    The order of the files does not matter, and a new person changes the choice by one place at most.

    >>> validation_people(["a", "b", "c"], 0.1, seed=0) == validation_people(["c", "b", "a"], 0.1, seed=0)
    True
    """
    if not 0 <= share < 1:
        raise ValueError(f"validation_share must be at least 0 and below 1, got {share}")
    if share == 0 or len(people) < 2:
        return ()
    order = sorted(people, key=lambda person: seed_of("validation", seed, person))
    return tuple(sorted(order[: max(1, round(share * len(people)))]))


class Windows:
    """Endless windows of a corpus.

    Parameters
    ----------
    people : whose recordings; all of the corpus's by default.
    hours : how many hours of them, as nested subsets; all by default. More than there are raises ValueError.
    window_frames, frame_samples, hop_samples : see `features.spectrograms.SpectrogramConfig`.
    shift : cut every run elsewhere in every epoch, by up to half a window (ours); else always at the same places. With
        few `hours` the windows then reach into their neighbours.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        window_frames: int,
        frame_samples: int,
        hop_samples: int,
        people: Collection[str] | None = None,
        hours: float | None = None,
        seed: int = 0,
        shift: bool = False,
        join_gap_s: float = JOIN_GAP_S,
    ) -> None:
        self.corpus, self.seed, self.shift = corpus, seed, shift
        self.window_frames, self.frame_samples, self.hop_samples = window_frames, frame_samples, hop_samples
        self.runs: list[tuple[int, tuple[Segment, ...]]] = []
        lengths = []
        for place, entry in enumerate(corpus.entries):
            if people is not None and entry.subject not in people:
                continue
            for run in runs_of(entry.segments, entry.rate_hz, join_gap_s):
                if frames := sum(map(self._frames_in, run)):
                    self.runs.append((place, run))
                    lengths.append(frames)
        if not lengths:
            raise ValueError(f"{corpus.folder} has no stretch of {frame_samples} samples for {people or 'anybody'}")
        self.lengths = np.array(lengths, np.int64)
        # side by side in samples: the frame that would straddle two windows belongs to neither
        over = np.maximum(self.lengths - window_frames, 0)
        self.ends = np.cumsum(1 + -(-over // (window_frames + 1)))
        available = int(self.ends[-1])
        self.count = available
        rate_hz = corpus.entries[self.runs[0][0]].rate_hz
        self.per_hour = 3600 * rate_hz / ((window_frames - 1) * hop_samples + frame_samples)
        if hours is not None:
            self.count = round(hours * self.per_hour)
            if not 0 < self.count <= available:
                raise ValueError(
                    f"hours={hours:g} needs {self.count} windows of {60 / self.per_hour:g} minutes; {corpus.folder} has "
                    f"{available} ({available / self.per_hour:.1f} h) for training"
                )
        self.chosen = shuffled(available, "hours", seed)[: self.count].copy()
        self._orders: dict[int, np.ndarray] = {}
        self._maps: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        """How many different windows there are; the sequence of places goes on for ever."""
        return self.count

    @property
    def hours(self) -> float:
        return self.count / self.per_hour

    def people(self) -> tuple[str, ...]:
        """Whose windows were chosen; with few hours not everybody's."""
        runs = np.unique(np.searchsorted(self.ends, self.chosen, side="right"))
        return tuple(sorted({self.corpus.entries[self.runs[run][0]].subject for run in runs}))

    def take(self, first: int, count: int) -> Batch:
        """The windows at places `first` to `first + count`."""
        pieces = [self._window(self.number(place), place // self.count) for place in range(first, first + count)]
        samples = max(sum(stop - start for start, stop in cut) for _, cut in pieces)
        counts = np.zeros((count, samples, 6), np.int16)
        frames = np.full((count, self.window_frames), -1, np.int32)
        scale = np.empty(count, np.int64)
        parts = self.frame_samples // self.hop_samples
        for row, (place, cut) in enumerate(pieces):
            mapped, filled, at = self._mapped(place), 0, 0
            scale[row] = self.corpus.entries[place].counts_per_g
            for start, stop in cut:
                counts[row, at : at + stop - start] = mapped[start:stop]
                here = (stop - start) // self.hop_samples - parts + 1
                frames[row, filled : filled + here] = at // self.hop_samples + np.arange(here)
                at, filled = at + stop - start, filled + here
        return Batch(counts, scale, frames)

    def number(self, place: int) -> int:
        """Which window of the corpus stands at this place: every epoch has its own order."""
        epoch, rest = divmod(place, self.count)
        if epoch not in self._orders:
            order = shuffled(self.count, "order", self.seed, epoch)
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1} | {epoch: order}
        return int(self.chosen[self._orders[epoch][rest]])

    def _window(self, number: int, epoch: int) -> tuple[int, list[tuple[int, int]]]:
        """(place in the index, pieces (start, stop) in samples) of one window of the corpus."""
        run = int(np.searchsorted(self.ends, number, side="right"))
        inside = number - (int(self.ends[run - 1]) if run else 0)
        length = int(self.lengths[run])
        first = inside * (self.window_frames + 1)
        if self.shift:
            half = self.window_frames // 2
            first += int(np.random.default_rng(seed_of("shift", self.seed, epoch, run)).integers(-half, half + 1))
        first = min(max(0, first), max(0, length - self.window_frames))
        stop = min(length, first + self.window_frames)
        place, segments = self.runs[run]
        cut, passed = [], 0
        for segment in segments:
            here = self._frames_in(segment)
            a, b = max(first - passed, 0), min(stop - passed, here)
            if a < b:
                start = segment.first + a * self.hop_samples
                cut.append((start, start + (b - a - 1) * self.hop_samples + self.frame_samples))
            passed += here
        return place, cut

    def _frames_in(self, segment: Segment) -> int:
        return max(0, (len(segment) - self.frame_samples) // self.hop_samples + 1)

    def _mapped(self, place: int) -> np.ndarray:
        if place not in self._maps:
            if len(self._maps) >= MAPPED:
                self._maps.pop(next(iter(self._maps)))
            self._maps[place] = self.corpus.counts(place)
        return self._maps[place]


def shuffled(count: int, *address: str | int) -> np.ndarray:
    """0 ... count - 1 in an addressed random order, int32; a million places are 4 MB.

    >>> sorted(shuffled(5, "example", 0).tolist())
    [0, 1, 2, 3, 4]
    """
    order = np.arange(count, dtype=np.int32)
    np.random.default_rng(seed_of(*address)).shuffle(order)
    return order
