"""The five-minute windows of a corpus as an endless random sequence with places.

A batch is a function of its place alone, so that resuming needs one integer and no process needs to know of another.
`hours=` keeps 12 windows of five minutes for each hour (more where windows are shorter); fewer hours are always a subset
of more, and the people held out for validation are the same whatever the hours.
Legend: B windows, N samples, T frames.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from selfpab.data.store import Corpus
from selfpab.recording import JOIN_GAP_S, Segment, runs_of
from selfpab.seeding import seed_of

AT_ONCE = 65_536  # windows whose owners are looked up together


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
        wanted = None if people is None else frozenset(people)
        columns = corpus.columns
        self.runs, lengths = Runs(), array("q")
        for place, segments in enumerate(corpus.segments()):
            if wanted is not None and columns.subjects[place] not in wanted:
                continue
            for run in runs_of(segments, float(columns.rate_hz[place]), join_gap_s):
                if frames := sum(map(self._frames_in, run)):
                    self.runs.append(place, run)
                    lengths.append(frames)
        if not lengths:
            raise ValueError(f"{corpus.folder} has no stretch of {frame_samples} samples for {people or 'anybody'}")
        self.lengths = np.array(lengths, np.int64)
        # side by side in samples: the frame that would straddle two windows belongs to neither
        over = np.maximum(self.lengths - window_frames, 0)
        self.ends = np.cumsum(1 + -(-over // (window_frames + 1)))
        available = int(self.ends[-1])
        self.count = available
        rate_hz = float(columns.rate_hz[self.runs[0][0]])
        self.per_hour = 3600 * rate_hz / ((window_frames - 1) * hop_samples + frame_samples)
        if hours is not None:
            self.count = round(hours * self.per_hour)
            if not 0 < self.count <= available:
                raise ValueError(
                    f"hours={hours:g} needs {self.count} windows of {60 / self.per_hour:g} minutes; {corpus.folder} has "
                    f"{available} ({available / self.per_hour:.1f} h) for training"
                )
        self.chosen = shuffled(available, "hours", seed)
        if self.count < available:
            self.chosen = self.chosen[: self.count].copy()  # so that the others are let go
        self._orders: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        """How many different windows there are; the sequence of places goes on for ever."""
        return self.count

    @property
    def hours(self) -> float:
        return self.count / self.per_hour

    def people(self) -> tuple[str, ...]:
        """Whose windows were chosen; with few hours not everybody's."""
        used = np.zeros(len(self.runs), bool)
        for first in range(0, self.count, AT_ONCE):
            used[np.searchsorted(self.ends, self.chosen[first : first + AT_ONCE], side="right")] = True
        subjects = self.corpus.columns.subjects
        return tuple(sorted({subjects[self.runs.place(run)] for run in np.flatnonzero(used).tolist()}))

    def take(self, first: int, count: int) -> Batch:
        """The windows at places `first` to `first + count`."""
        pieces = [self._window(self.number(place), place // self.count) for place in range(first, first + count)]
        samples = max(sum(stop - start for start, stop in cut) for _, cut in pieces)
        counts = np.empty((count, samples, 6), np.int16)
        frames = np.full((count, self.window_frames), -1, np.int32)
        scale = np.empty(count, np.int64)
        parts = self.frame_samples // self.hop_samples
        for row, (place, cut) in enumerate(pieces):
            self.corpus.read_into(counts[row], place, cut)
            scale[row] = self.corpus.columns.counts_per_g[place]
            filled = at = 0
            for start, stop in cut:
                here = (stop - start) // self.hop_samples - parts + 1
                frames[row, filled : filled + here] = at // self.hop_samples + np.arange(here)
                at, filled = at + stop - start, filled + here
            counts[row, at:] = 0
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


class Runs(Sequence[tuple[int, tuple[Segment, ...]]]):
    """(place in the index, segments) of every run, kept as numbers: as objects those of 35,000 people were 20 MB."""

    def __init__(self) -> None:
        self._places, self._ends, self._starts = array("q"), array("q", [0]), array("d")
        self._cuts = array("q")  # first, stop, part

    def append(self, place: int, run: Sequence[Segment]) -> None:
        self._places.append(place)
        for segment in run:
            self._cuts.extend((segment.first, segment.stop, segment.part))
            self._starts.append(segment.start_s)
        self._ends.append(len(self._starts))

    def place(self, run: int) -> int:
        """In the index."""
        return self._places[run]

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, run: int) -> tuple[int, tuple[Segment, ...]]: ...
    @overload
    def __getitem__(self, run: slice) -> list[tuple[int, tuple[Segment, ...]]]: ...
    def __getitem__(self, run: int | slice) -> Any:
        if isinstance(run, slice):
            return [self[i] for i in range(*run.indices(len(self)))]
        at = range(len(self))[run]
        own = range(self._ends[at], self._ends[at + 1])
        cuts = (self._cuts[3 * i : 3 * i + 3] for i in own)
        return self._places[at], tuple(
            Segment(first, stop, self._starts[i], part) for i, (first, stop, part) in zip(own, cuts, strict=True)
        )


def shuffled(count: int, *address: str | int) -> np.ndarray:
    """0 ... count - 1 in an addressed random order, int32; a million places are 4 MB.

    >>> sorted(shuffled(5, "example", 0).tolist())
    [0, 1, 2, 3, 4]
    """
    order = np.arange(count, dtype=np.int32)
    np.random.default_rng(seed_of(*address)).shuffle(order)
    return order
