"""From samples to clock seconds: what the truth was and what was predicted, one row per second.

A second of the clock runs from one full second to the next, whatever the fraction at which the recording began. Gaps
are rows without truth and prediction, so that a row's place is its time. Legend: N samples, K classes, R seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from selfpab.activities import Activities
from selfpab.recording import UNLABELLED, Recording

if TYPE_CHECKING:
    import polars as pl

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def clock_seconds(recording: Recording) -> tuple[int, np.ndarray]:
    """(first clock second since 1970, or since the start where there is none; row of every sample, int64 (N,)).

    Whole microseconds are counted, so that 0.98 s + 0.02 s is the next second and not the last moment of this one.

    >>> samples = np.zeros((60, 6), np.float32)
    >>> first, rows = clock_seconds(Recording("S1", datetime(1970, 1, 1, 0, 0, 9, 500_000), 50.0, samples))
    >>> first, np.bincount(rows).tolist()
    (9, [25, 35])
    """
    moments = np.round(recording.sample_times_s() * 1e6).astype(np.int64) + _start_us(recording.start)
    seconds = moments // 1_000_000
    if not len(seconds):
        return 0, seconds
    if (np.diff(seconds) < 0).any():
        raise ValueError(f"the times of {recording.subject} run backwards; sort the recording before scoring it")
    return int(seconds[0]), seconds - seconds[0]


def per_second(
    recording: Recording, truth: np.ndarray, probabilities: np.ndarray, activities: Activities
) -> pl.DataFrame:
    """One row per clock second from the first to the last sample, gaps included.

    Parameters
    ----------
    truth : class indices (N,), -1 unlabelled.
    probabilities : (N, K). A second has the mean of its samples' probabilities.

    Returns
    -------
    time (the second's beginning; whole seconds from the start where the recording has no date), truth (code; the
    majority of the second's labelled samples, ties to the lower class index; null where more than half are
    unlabelled), activity (code, null in gaps), activity_name, probability, and one p_<class> column per class.
    """
    import polars as pl

    first, rows = clock_seconds(recording)
    count = int(rows[-1]) + 1 if len(rows) else 0
    samples = np.bincount(rows, minlength=count)
    covered = samples > 0

    labelled = truth != UNLABELLED
    votes = np.zeros((count, len(activities)), np.int64)
    np.add.at(votes, (rows[labelled], truth[labelled]), 1)
    known = covered & (2 * votes.sum(axis=1) >= samples)

    sums = [np.bincount(rows, probabilities[:, k], minlength=count) for k in range(len(activities))]
    mean = np.stack(sums, axis=1) / np.maximum(samples, 1)[:, None]
    best = mean.argmax(axis=1)

    codes, names = np.asarray(activities.codes, np.int64), list(activities.names)
    gap = ~covered
    columns: dict[str, pl.Series] = {
        "time": _times(recording.start, first, count),
        "truth": _nullable(codes[votes.argmax(axis=1)], ~known, pl.Int32),
        "activity": _nullable(codes[best], gap, pl.Int32),
        "activity_name": pl.Series(
            [names[i] if here else None for i, here in zip(best, covered, strict=True)], dtype=pl.String
        ),
        "probability": _nullable(mean.max(axis=1, initial=0.0), gap, pl.Float32),
    }
    columns |= {name: _nullable(mean[:, k], gap, pl.Float32) for k, name in enumerate(activities.columns)}
    return pl.DataFrame(columns)


def _start_us(start: datetime | None) -> int:
    if start is None:
        return 0
    # a naive clock is read as if it were UTC: no zone is guessed, and only differences matter
    aware = start if start.tzinfo else start.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def _times(start: datetime | None, first: int, count: int) -> pl.Series:
    import polars as pl

    seconds = pl.Series(np.arange(first, first + count, dtype=np.int64))
    if start is None:
        return seconds
    times = (seconds * 1_000_000).cast(pl.Datetime("us"))
    if start.tzinfo is None:
        return times
    # polars knows zones by name only; a bare offset is kept as UTC, which is the same moment
    return times.dt.replace_time_zone("UTC").dt.convert_time_zone(getattr(start.tzinfo, "key", "UTC"))


def _nullable(values: np.ndarray, missing: np.ndarray, kind: type[pl.DataType]) -> pl.Series:
    import polars as pl

    series = pl.Series(values).cast(kind)
    return series.zip_with(
        pl.Series(~missing, dtype=pl.Boolean), pl.Series([None], dtype=kind).new_from_index(0, len(series))
    )
