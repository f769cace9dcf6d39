"""Windows of raw samples for `svm`, `xgb` and `deepconvlstm-ts`, and back to samples (BEHAVIOUR (g); section 4.2).

Windows are five seconds long and lie side by side; a window is known by its first sample. framing="runs": from the first
sample of every segment, never across a gap; "release": from the first sample of the recording, gaps ignored.
Legend: N samples, W windows, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from selfpab.features.framing import frame_labels
from selfpab.recording import CHANNELS, Recording

Framing = Literal["runs", "release"]
LENGTH = 250  # section 4.2: five seconds at 50 Hz
AT_ONCE = 2000  # windows; 12 MB


def training_windows(
    recording: Recording, *, length: int = LENGTH, step: int = LENGTH, framing: Framing = "runs"
) -> np.ndarray:
    """First samples of the whole windows, int64 (W,): `step` apart; what is left at the end is left out.

    >>> still = Recording("S1", None, 50.0, np.zeros((730, 6), np.float32))
    >>> training_windows(still).tolist()
    [0, 250]
    """
    _check(length, step)
    pieces = [
        np.arange(first, stop - length + 1, step, dtype=np.int64)
        for first, stop in _stretches(recording, framing).tolist()
    ]
    return np.concatenate([*pieces, np.empty(0, np.int64)])


def prediction_windows(
    recording: Recording, *, length: int = LENGTH, step: int = LENGTH, framing: Framing = "runs"
) -> np.ndarray:
    """First samples of windows that cover every sample, int64 (W,), in order.

    The windows of training, and where samples are left over one more, which ends at the last of them (BEHAVIOUR (g)). A
    segment shorter than `length` is one window; `window_samples` repeats its last sample.

    >>> still = Recording("S1", None, 50.0, np.zeros((730, 6), np.float32))
    >>> prediction_windows(still).tolist()
    [0, 250, 480]
    """
    _check(length, step)
    if step > length:
        raise ValueError(f"step must be at most length, or samples would lie between two windows, got {step}, {length}")
    pieces = []
    for first, stop in _stretches(recording, framing).tolist():
        here = np.arange(first, stop - length + 1, step, dtype=np.int64)
        if not len(here) or here[-1] + length < stop:
            here = np.append(here, max(first, stop - length))
        pieces.append(here)
    return np.concatenate([*pieces, np.empty(0, np.int64)])


def sample_values(
    values: np.ndarray, starts: np.ndarray, recording: Recording, *, length: int = LENGTH, framing: Framing = "runs"
) -> np.ndarray:
    """What was found for windows, for every sample: (W, ...) -> (N, ...), of the same type.

    A sample takes the values of the first window that holds it, so that of the window at a segment's end only the
    samples left over are taken.
    starts : of `prediction_windows`; ValueError for others, which leave samples out.

    >>> still = Recording("S1", None, 50.0, np.zeros((730, 6), np.float32))
    >>> np.bincount(sample_values(np.array([0, 1, 2]), prediction_windows(still), still)).tolist()
    [250, 250, 230]
    """
    stops = np.minimum(starts + length, _ends(starts, recording, framing))
    before = np.concatenate([[0], stops[:-1]])
    counts = stops - np.maximum(starts, before)
    if (counts < 0).any() or counts.sum() != len(recording):
        raise ValueError(
            f"the {len(starts)} windows hold {int(counts.sum())} of the {len(recording)} samples of {recording.subject}: "
            "wanted those of prediction_windows with the same length and framing"
        )
    return np.repeat(values, counts, axis=0)


def window_samples(
    recording: Recording, starts: np.ndarray, *, length: int = LENGTH, framing: Framing = "runs"
) -> np.ndarray:
    """Samples of windows in g, float32 (W, length, 6); behind the end of a segment its last sample is repeated.

    Nothing else of the recording is read. Of many windows take `window_pieces`: a month of them is 3 GB.
    """
    result = np.empty((len(starts), length, len(CHANNELS)), np.float32)
    stops = np.minimum(starts + length, _ends(starts, recording, framing))
    for window, first, stop in zip(result, starts.tolist(), stops.tolist(), strict=True):
        window[: stop - first] = recording.piece(first, stop)
        window[stop - first :] = window[stop - first - 1]
    return result


def window_pieces(
    recording: Recording,
    starts: np.ndarray,
    *,
    length: int = LENGTH,
    framing: Framing = "runs",
    at_once: int = AT_ONCE,
) -> Iterator[np.ndarray]:
    """`window_samples` for `at_once` windows at a time: memory is that of one piece, however long the recording."""
    for first in range(0, len(starts), at_once):
        yield window_samples(recording, starts[first : first + at_once], length=length, framing=framing)


def window_labels(indices: np.ndarray, starts: np.ndarray, *, classes: int, length: int = LENGTH) -> np.ndarray:
    """Class index of every window: the majority of its labelled samples, int64 (W,).

    -1, not to be trained on, where more than half are unlabelled. Ties go to the lower class index, as for frames.
    indices : class index per sample, -1 unlabelled, (N,).

    >>> window_labels(np.array([1] * 125 + [0] * 125 + [-1] * 126), np.array([0, 125, 126]), classes=2).tolist()
    [0, 0, -1]
    """
    # the release: the lower label VALUE. HARTH's classes stand in the order of their codes, so there it is the same; those
    # of HAR70+ do not, and there a tie is decided as the authors' own frames decide it (BEHAVIOUR (e))
    if len(starts) and int(starts.max()) + length > len(indices):
        raise ValueError(f"a window ends at sample {int(starts.max()) + length}, and there are {len(indices)}")
    return frame_labels(indices, starts, classes=classes, frame_samples=length)


def _stretches(recording: Recording, framing: Framing) -> np.ndarray:
    """(first, stop) of what counts as without a gap, int64 (S, 2)."""
    if framing == "release":
        return np.array([(0, len(recording))] if len(recording) else [], np.int64).reshape(-1, 2)
    return np.array([(one.first, one.stop) for one in recording.segments], np.int64).reshape(-1, 2)


def _ends(starts: np.ndarray, recording: Recording, framing: Framing) -> np.ndarray:
    """Where the stretch ends in which each window begins, int64 (W,)."""
    stretches = _stretches(recording, framing)
    if not len(starts):
        return np.empty(0, np.int64)
    if starts.min() < 0 or starts.max() >= len(recording):
        raise ValueError(f"windows begin at samples {starts.min()} to {starts.max()}; there are {len(recording)}")
    return stretches[np.searchsorted(stretches[:, 0], starts, side="right") - 1, 1]


def _check(length: int, step: int) -> None:
    if length < 1 or step < 1:
        raise ValueError(f"wanted length and step of at least 1, got {length} and {step}")
