"""Which frames a window holds: side by side, scattered for the pool, drawn for a training step (section 4.2; DESIGN 5a).

Legend: W windows, T frames of a window. A run is what `Recording.runs` gives: windows may cross its short gaps, frames
never do. Frames are known by the sample they begin at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from selfpab.features.framing import frame_samples_of, frame_starts, window_places
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.features.uprightness import Turns
from selfpab.recording import JOIN_GAP_S, Recording, Segment, runs_of

Run = tuple[np.ndarray, np.ndarray]  # of every frame of a run, in order: first sample, and the stop of its segment


@dataclass(frozen=True, eq=False)
class Cuts:
    """Windows of one recording.

    starts, stops : int64 (W, T); first sample of every frame and where its segment ends, -1 behind the end of a shorter
        window.
    """

    starts: np.ndarray
    stops: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, rows: slice) -> Cuts:
        return Cuts(self.starts[rows], self.stops[rows])

    @staticmethod
    def joined(parts: Sequence[Cuts]) -> Cuts:
        """The windows of all parts, which have the same length, one after the other."""
        return Cuts(*(np.concatenate([getattr(part, side) for part in parts]) for side in ("starts", "stops")))


def frames_by_run(
    recording: Recording,
    shape: SpectrogramConfig,
    *,
    to_the_end: bool = False,
    segments: Sequence[Segment] | None = None,
) -> list[Run]:
    """The frames of every run.

    to_the_end : take in last samples and segments under a second, for prediction.
    segments : of these parts of the recording alone; None: of all of it.
    """
    if recording.rate_hz != 50:
        raise ValueError(f"{recording.subject} has {recording.rate_hz:g} Hz; the spectrograms need 50 Hz")
    sizes = {"frame_samples": shape.frame_samples, "hop_samples": shape.hop_samples, "to_the_end": to_the_end}
    runs = recording.runs() if segments is None else runs_of(segments, recording.rate_hz, JOIN_GAP_S)
    return [frame_starts(run, **sizes) for run in runs]


def split(runs: Sequence[Run], share: float) -> tuple[list[Run], list[Run]]:
    """The first `share` of all frames, and the rest (section 4.2: a fifth of every subject is held out)."""
    left = int(share * sum(len(starts) for starts, _ in runs))
    before, after = [], []
    for starts, stops in runs:
        cut = min(left, len(starts))
        left -= cut
        before.append((starts[:cut], stops[:cut]))
        after.append((starts[cut:], stops[cut:]))
    return [run for run in before if len(run[0])], [run for run in after if len(run[0])]


def side_by_side(runs: Sequence[Run], *, length: int, step: int) -> Cuts:
    """Windows `step` frames apart in every run, the last one aligned to its end; a shorter run is one window."""
    return _cuts(runs, length, lambda frames: [a for a, _ in window_places(frames, length=length, step=step)])


def on_a_grid(runs: Sequence[Run], *, length: int, step: int) -> Cuts:
    """Windows `step` frames apart, what is left at the end of a run dropped (BEHAVIOUR (e), training)."""
    return _cuts(runs, length, lambda frames: range(0, max(0, frames - length) + 1, step))


def scattered(runs: Sequence[Run], *, length: int, step: int, seed: int) -> Cuts:
    """One window in every `step` frames, at a random place within them: random cuts that can be kept."""
    chance = np.random.default_rng(seed)

    def firsts(frames: int) -> list[int]:
        last = max(0, frames - length)
        return [int(chance.integers(at, min(at + step - 1, last) + 1)) for at in range(0, last + 1, step)]

    return _cuts(runs, length, firsts)


def scattered_weights(runs: Sequence[Run], *, length: int, step: int) -> np.ndarray:
    """How often to train on each window of `scattered`, float64 (W,): the run's weight, shared out among its windows."""
    counts = [len(range(0, max(0, len(starts) - length) + 1, step)) if len(starts) else 0 for starts, _ in runs]
    shares = weights(runs, length=length) / np.maximum(counts, 1)
    return np.repeat(shares, counts)


def weights(runs: Sequence[Run], *, length: int) -> np.ndarray:
    """How often to train on windows of each run, int64: by its frames, and a short run like one window.

    A short run's window holds all of its frames and no others; so a frame is as often in a window as any other,
    whatever the length of its run.
    """
    frames = np.array([len(starts) for starts, _ in runs], np.int64)
    return np.where(frames > 0, np.maximum(frames, length), 0)


def located(ends: np.ndarray, number: int) -> tuple[int, int]:
    """Of things that lie one after the other, `ends` their running total: which one holds `number`, and where in it.

    >>> located(np.array([3, 3, 5]), 2), located(np.array([3, 3, 5]), 3)
    ((0, 2), (2, 0))
    """
    which = int(np.searchsorted(ends, number, side="right"))
    return which, number - (int(ends[which - 1]) if which else 0)


def drawn(runs: Sequence[Run], places: Sequence[tuple[int, float]], *, length: int) -> Cuts:
    """One window per (frame, counted over the `weights` of `runs`, and chance in [0, 1)).

    It holds the frame, the chance says where; of a short run it holds everything.
    """
    ends = np.cumsum(weights(runs, length=length))
    rows = []
    for frame, chance in places:
        which, inside = located(ends, frame)
        starts, stops = runs[which]
        rows.append(around((starts, stops), inside, before=int(chance * length), length=length))
    return padded(rows, length)


def around(run: Run, frame: int, *, before: int, length: int) -> Run:
    """So many frames of a run, this one and `before` in front of it among them, moved where the run begins or ends.

    >>> around((np.arange(9), np.full(9, 9)), 1, before=3, length=4)[0].tolist()
    [0, 1, 2, 3]
    """
    first = min(max(0, frame - before), max(0, len(run[0]) - length))
    return run[0][first : first + length], run[1][first : first + length]


def frame_pieces(recording: Recording, cuts: Cuts, frame_samples: int, turns: Turns | None = None) -> np.ndarray:
    """Samples of all real frames in g, one after the other, float32 (frames, frame_samples, 6); with `turns` upright.

    Raises ValueError for values that are not finite: a product with a ReLU in it may make 0 of them, and so an answer.
    """
    real = cuts.starts >= 0
    starts, stops = cuts.starts[real], cuts.stops[real]
    low, high = int(starts.min()), int(np.minimum(starts + frame_samples, stops).max())
    samples = recording.piece(low, high)
    if (starts + frame_samples <= stops).all():  # rows that lie in memory one after the other: a tenth of the time
        every = sliding_window_view(samples.reshape(-1), frame_samples * samples.shape[1])[:: samples.shape[1]]
        pieces = every[starts - low].reshape(len(starts), frame_samples, samples.shape[1])
    else:
        pieces = samples[frame_samples_of(starts, stops, frame_samples=frame_samples) - low]
    if recording.counts_per_g is None and not np.isfinite(pieces).all():
        frame = int(starts[~np.isfinite(pieces).all(axis=(1, 2))][0])
        raise ValueError(
            f"{recording.subject} has a value that is not finite within the second that begins at sample {frame}; "
            "leave such samples out, and let a new segment begin behind them"
        )
    return pieces if turns is None else turns.applied(pieces, starts)


def _cuts(runs: Sequence[Run], length: int, firsts: Callable[[int], Sequence[int]]) -> Cuts:
    rows = [
        (starts[first : first + length], stops[first : first + length])
        for starts, stops in runs
        for first in (firsts(len(starts)) if len(starts) else ())
    ]
    return padded(rows, length)


def padded(rows: Sequence[Run], length: int) -> Cuts:
    """One window for each of these frames that follow each other, at most `length` of them."""
    both = np.full((2, len(rows), length), -1, np.int64)
    for place, (starts, stops) in enumerate(rows):
        both[0, place, : len(starts)], both[1, place, : len(starts)] = starts, stops
    return Cuts(both[0], both[1])
