"""Recording: one person, two three-axis accelerometers, one clock.

Everything in selfpab takes or gives a Recording. Acceleration is in g; the columns are `CHANNELS`, in that order.
Legend: N samples, 6 channels. Time inside a recording is kept by its segments: sample i of a segment was taken at
`start_s + i / rate_hz` seconds after `start`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

CHANNELS = ("back_x", "back_y", "back_z", "thigh_x", "thigh_y", "thigh_z")
SENSORS = ("back", "thigh")  # in the order of CHANNELS
UNLABELLED = -1
SEGMENT_STEP_S = 0.1  # a longer step between two samples ends a segment (DESIGN 2)
ROUNDING_S = 1e-6  # 1.1 - 1.0 is more than 0.1 in floating point
NON_WEAR = "non-wear"  # kind of a mark: neither sensor was worn
NON_WEAR_OF = {"back": "non-wear back", "thigh": "non-wear thigh"}  # this one was not
CLIPPING = "clipping"  # kind of a mark: values at the end of a device's range
SENSOR_MISSING = "sensor dropout"  # kind of a mark: neither sensor measured, or nobody knows which one did not
SENSOR_MISSING_OF = {"back": "sensor dropout back", "thigh": "sensor dropout thigh"}  # this one did not
JOIN_GAP_S = 30.0  # neighbouring segments at most so far apart form one run (ours, DESIGN 5a)


class RecordingError(ValueError):
    """A file cannot be read as a recording; the message names the file, the place, and what to do."""


@dataclass(frozen=True)
class Segment:
    """Samples `first` to `stop` (exclusive), without a gap; `part` is the value of the file's `segment` column."""

    first: int
    stop: int
    start_s: float  # seconds from the recording's start to the first sample
    part: int = 0

    def __len__(self) -> int:
        return self.stop - self.first


class Gap(NamedTuple):
    """Nothing was recorded between these times, in seconds from the recording's start."""

    after_s: float
    until_s: float

    @property
    def seconds(self) -> float:
        return self.until_s - self.after_s


@dataclass(frozen=True)
class Mark:
    """Something known of the samples `first` to `stop`: non-wear, clipping, a repair, a sensor dropout."""

    first: int
    stop: int
    kind: str
    evidence: str = ""


@dataclass(frozen=True, eq=False)
class Recording:
    """Two sensors on one clock.

    Parameters
    ----------
    subject : the person's name in the data set.
    start : time of the first sample; naive stays naive; None where the file has only seconds.
    rate_hz : samples per second; there is no default.
    samples : (N, 6), either float32 in g or int16 counts (then `counts_per_g` is given); may be memory-mapped.
    labels : int16 (N,), activity codes, -1 unlabelled; None if the recording has no labels.
    segments : in order and without overlap, together all N samples.
    marks, source : what is known of stretches, and where the recording came from and what was done to it.

    >>> still = np.zeros((100, 6), np.float32)
    >>> recording = Recording("S1", None, 50.0, still, segments=(Segment(0, 60, 0.0), Segment(60, 100, 5.0)))
    >>> recording.seconds, len(recording.runs()), len(recording.runs(join_gap_s=1.0))
    (2.0, 1, 2)
    """

    subject: str
    start: datetime | None
    rate_hz: float
    samples: np.ndarray
    labels: np.ndarray | None = None
    segments: tuple[Segment, ...] = ()
    marks: tuple[Mark, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    counts_per_g: int | None = None

    def __post_init__(self) -> None:
        shape, kind = self.samples.shape, self.samples.dtype
        if len(shape) != 2 or shape[1] != len(CHANNELS):
            raise ValueError(f"samples must have shape (samples, 6) with the columns {CHANNELS}, got {shape}")
        if (kind == np.int16) != (self.counts_per_g is not None) or kind not in (np.int16, np.float32):
            raise ValueError(
                f"samples must be float32 in g, or int16 with counts_per_g, got {kind} and {self.counts_per_g}"
            )
        if not self.rate_hz > 0:
            raise ValueError(f"rate_hz must be positive, got {self.rate_hz}")
        if self.labels is not None and (self.labels.shape != shape[:1] or self.labels.dtype != np.int16):
            raise ValueError(
                f"labels must be int16 of shape ({shape[0]},), got {self.labels.dtype} of shape {self.labels.shape}"
            )
        if not self.segments and shape[0]:
            object.__setattr__(self, "segments", (Segment(0, shape[0], 0.0),))
        edges = [0, *(s.stop for s in self.segments)]
        turned = any(s.first >= s.stop for s in self.segments)
        if turned or [s.first for s in self.segments] != edges[:-1] or edges[-1] != shape[0]:
            raise ValueError(f"segments must cover all {shape[0]} samples in order, got {self.segments[:3]} ...")

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def seconds(self) -> float:
        """Length of what was recorded, without the gaps."""
        return len(self) / self.rate_hz

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Where the step between two segments is longer than 0.1 s; not where only the part changes.

        >>> parts = (Segment(0, 50, 0.0), Segment(50, 100, 1.0, part=1), Segment(100, 150, 9.0, part=1))
        >>> Recording("S1", None, 50.0, np.zeros((150, 6), np.float32), segments=parts).gaps
        (Gap(after_s=2.0, until_s=9.0),)
        """
        edges = itertools.pairwise(self.segments)
        between = (Gap(a.start_s + len(a) / self.rate_hz, b.start_s) for a, b in edges)
        return tuple(gap for gap in between if gap.seconds + 1 / self.rate_hz > SEGMENT_STEP_S + ROUNDING_S)

    @property
    def acceleration_g(self) -> np.ndarray:
        """All samples in g, float32 (N, 6), made on demand: a week is 726 MB. Prefer `blocks` or `piece`."""
        return self.piece(0, len(self))

    def piece(self, first: int, stop: int) -> np.ndarray:
        """Samples `first` to `stop` in g, float32 (stop - first, 6)."""
        values = self.samples[first:stop]
        if self.counts_per_g is None:
            return np.asarray(values)
        return values.astype(np.float32) * np.float32(1.0 / self.counts_per_g)

    def with_marks(self, marks: Iterable[Mark]) -> Recording:
        """The same recording with other marks, in the order of their first and last samples."""
        return replace(self, marks=tuple(sorted(marks, key=lambda mark: (mark.first, mark.stop))))

    def blocks(self, seconds: float) -> Iterator[tuple[int, np.ndarray]]:
        """(first sample, float32 piece in g) of at most so many seconds each; never across a gap."""
        for first, stop in self.block_places(seconds):
            yield first, self.piece(first, stop)

    def block_places(self, seconds: float) -> Iterator[tuple[int, int]]:
        """(first, stop) of the pieces that `blocks` gives, for who makes them in threads of their own."""
        size = max(1, round(seconds * self.rate_hz))
        for segment in self.segments:
            for first in range(segment.first, segment.stop, size):
                yield first, min(first + size, segment.stop)

    def runs(self, join_gap_s: float = JOIN_GAP_S) -> tuple[tuple[Segment, ...], ...]:
        """Neighbouring segments of the same part with gaps of at most `join_gap_s` (DESIGN 5a)."""
        return runs_of(self.segments, self.rate_hz, join_gap_s)

    def sample_times_s(self) -> np.ndarray:
        """Seconds since `start` of every sample, float64 (N,)."""
        times = np.empty(len(self))
        for segment in self.segments:
            times[segment.first : segment.stop] = segment.start_s + np.arange(len(segment)) / self.rate_hz
        return times


def runs_of(segments: Sequence[Segment], rate_hz: float, join_gap_s: float) -> tuple[tuple[Segment, ...], ...]:
    """Neighbouring segments of the same part with gaps of at most `join_gap_s` (DESIGN 5a)."""
    runs: list[list[Segment]] = []
    for segment in segments:
        last = runs[-1][-1] if runs else None
        close = last and segment.start_s - (last.start_s + len(last) / rate_hz) <= join_gap_s
        if last and close and last.part == segment.part:
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return tuple(map(tuple, runs))


def segments_of(times_s: np.ndarray, parts: np.ndarray | None = None) -> tuple[Segment, ...]:
    """Cut where a step is longer than 0.1 s or the part changes.

    >>> segments_of(np.array([0.0, 0.02, 0.04, 9.0, 9.02]))
    (Segment(first=0, stop=3, start_s=0.0, part=0), Segment(first=3, stop=5, start_s=9.0, part=0))
    """
    if not len(times_s):
        return ()
    breaks = np.diff(times_s) > SEGMENT_STEP_S + ROUNDING_S
    if parts is not None:
        breaks |= np.diff(parts) != 0
    edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(times_s)]
    return tuple(
        Segment(a, b, float(times_s[a] - times_s[0]), 0 if parts is None else int(parts[a]))
        for a, b in itertools.pairwise(edges)
    )
