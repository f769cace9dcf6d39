"""Segments to frames, frames to windows, frames back to samples (DESIGN 5a).

Legend: N samples of a recording, T frames of a run, K classes. A frame is `frame_samples` samples of ONE segment;
frames never cross a gap, windows may.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfpab.recording import Segment
from selfpab.scratch import room_for

FRAMES_IN_MEMORY = 8 << 20  # bytes of what is known of every frame; a day has 1.4 MB


def frame_starts(
    run: Sequence[Segment], *, frame_samples: int, hop_samples: int, to_the_end: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """First sample of every frame of a run, and the segment's stop: two int64 (T,).

    to_the_end : for prediction. One more frame ends at a segment's last sample when the hops do not, and a segment
        shorter than a frame gets one frame, which `frame_samples_of` fills by repeating its last sample. In training
        such samples are left out.

    >>> frame_starts([Segment(0, 110, 0.0)], frame_samples=50, hop_samples=25, to_the_end=True)[0].tolist()
    [0, 25, 50, 60]
    """
    regular = [max(0, (segment.stop - segment.first - frame_samples) // hop_samples + 1) for segment in run]
    left = [
        to_the_end and (not hops or segment.first + (hops - 1) * hop_samples + frame_samples < segment.stop)
        for segment, hops in zip(run, regular, strict=True)
    ]
    ends = np.cumsum([0, *(hops + more for hops, more in zip(regular, left, strict=True))])
    starts, stops = (room_for(int(ends[-1]), np.int64, in_memory=FRAMES_IN_MEMORY) for _ in range(2))
    for place, segment in enumerate(run):
        here = starts[ends[place] : ends[place + 1]]
        here[:] = hop_samples
        here[:1] = segment.first
        np.cumsum(here, out=here)  # in its place: of a month there are five million
        if left[place]:
            here[-1] = max(segment.first, segment.stop - frame_samples)
        stops[ends[place] : ends[place + 1]] = segment.stop
    return starts, stops


def frame_samples_of(starts: np.ndarray, stops: np.ndarray, *, frame_samples: int) -> np.ndarray:
    """Index of every sample of every frame, int64 (T, frame_samples), never beyond its segment."""
    return np.minimum(starts[:, None] + np.arange(frame_samples), stops[:, None] - 1)


def frame_labels(indices: np.ndarray, starts: np.ndarray, *, classes: int, frame_samples: int) -> np.ndarray:
    """Class index of every frame: the majority of its labelled samples, int64 (T,).

    Ties go to the lower class index (BEHAVIOUR (e)); -1, no loss, where more than half are unlabelled (DESIGN 5a).
    indices : class index per sample, -1 unlabelled, (N,).

    >>> frame_labels(np.array([0] * 25 + [1] * 25 + [-1] * 50), np.array([0, 26, 50]), classes=2, frame_samples=50).tolist()
    [0, -1, -1]
    """
    votes = np.empty((len(starts), classes), np.int32)
    for index in range(classes):
        seen = np.concatenate([[0], np.cumsum(indices == index, dtype=np.int32)])
        votes[:, index] = seen[starts + frame_samples] - seen[starts]
    labels = votes.argmax(1) if len(starts) else np.empty(0, np.int64)
    return np.where(2 * votes.sum(1) < frame_samples, -1, labels).astype(np.int64)


def window_places(frames: int, *, length: int, step: int) -> list[tuple[int, int]]:
    """(first, stop) of windows over a run's frames: `step` apart, the last one aligned to the end, a short run whole.

    >>> window_places(1300, length=599, step=599)
    [(0, 599), (599, 1198), (701, 1300)]
    """
    if frames <= length:
        return [(0, frames)] if frames else []
    firsts = [*range(0, frames - length, step), frames - length]
    return [(first, first + length) for first in firsts]


def samples_from_frames(
    values: np.ndarray, starts: np.ndarray, stops: np.ndarray, samples: int, *, frame_samples: int
) -> np.ndarray:
    """Mean over the frames that cover each sample: (T, K) -> float64 (samples, K); NaN where none does.

    Two frames cover most samples, one the first and last half second of a segment (BEHAVIOUR (e)).
    """
    total = np.zeros((samples, values.shape[1]))
    count = np.zeros((samples, 1))
    for offset in range(frame_samples):  # starts are distinct, so each pass touches a sample once; no cancellation
        here = starts + offset
        inside = here < stops
        total[here[inside]] += values[inside]
        count[here[inside]] += 1
    with np.errstate(invalid="ignore"):
        return total / count
