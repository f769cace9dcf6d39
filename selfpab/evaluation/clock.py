"""From samples to clock seconds: what the truth was and what was predicted, one row per second.

A second of the clock runs from one full second to the next, whatever the fraction at which the recording began. Gaps
are rows without truth and prediction, so that a row's place is its time. Legend: N samples, K classes, R seconds.
"""

from __future__ import annotations

from collections.abc import Callable
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
    first, _, rows_of = second_rows(recording)
    return first, rows_of(np.arange(len(recording)))


def second_rows(recording: Recording) -> tuple[int, int, Callable[[np.ndarray], np.ndarray]]:
    """(first clock second, number of seconds R, function from places of samples to their rows, int64).

    The function is for who takes samples block by block: the rows of a whole week are 242 MB.

    >>> _, count, rows_of = second_rows(Recording("S1", None, 50.0, np.zeros((120, 6), np.float32)))
    >>> count, rows_of(np.array([0, 49, 50, 119])).tolist()
    (3, [0, 0, 1, 2])
    """
    firsts = np.array([s.first for s in recording.segments], np.int64)
    starts_s = np.array([s.start_s for s in recording.segments])
    began_us = _start_us(recording.start)

    def seconds_of(samples: np.ndarray) -> np.ndarray:
        segment = np.searchsorted(firsts, samples, side="right") - 1
        times_s = starts_s[segment] + (samples - firsts[segment]) / recording.rate_hz
        return (np.round(times_s * 1e6).astype(np.int64) + began_us) // 1_000_000

    if not len(recording):
        return 0, 0, lambda samples: np.zeros(len(samples), np.int64)
    begin = seconds_of(firsts)
    last = seconds_of(np.array([s.stop - 1 for s in recording.segments], np.int64))
    if (begin[1:] < last[:-1]).any():
        raise ValueError(f"the times of {recording.subject} run backwards; sort the recording before scoring it")
    return int(begin[0]), int(last[-1] - begin[0]) + 1, lambda samples: seconds_of(samples) - begin[0]


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
    codes = np.asarray(activities.codes, np.int64)
    columns = {
        "time": second_times(recording.start, first, count),
        "truth": nullable(codes[votes.argmax(axis=1)], ~known, pl.Int32),
    }
    return pl.DataFrame(columns | answer_columns(mean, ~covered, activities))


def answer_columns(
    mean: np.ndarray, missing: np.ndarray, activities: Activities, named: np.ndarray | None = None
) -> dict[str, pl.Series]:
    """activity (code), activity_name, its probability, p_<class> ...; null where `missing`.

    mean : probabilities per second, (R, K); missing : bool (R,). named : class index of each second, (R,), any where
    missing; None: the most probable, ties to the lower class index.
    """
    import polars as pl

    best = mean.argmax(axis=1) if named is None else np.where(missing, 0, named)
    names = pl.Series(activities.names, dtype=pl.String).gather(best)
    columns = {
        "activity": nullable(np.asarray(activities.codes, np.int64)[best], missing, pl.Int32),
        "activity_name": nullable(names, missing, pl.String),
        "probability": nullable(mean[np.arange(len(mean)), best], missing, pl.Float32),
    }
    return columns | {name: nullable(mean[:, k], missing, pl.Float32) for k, name in enumerate(activities.columns)}


def second_times(start: datetime | None, first: int, count: int) -> pl.Series:
    """Beginnings of the clock seconds first, first + 1, ...: as dated as `start`; whole seconds where it is None."""
    import polars as pl

    seconds = pl.Series(np.arange(first, first + count, dtype=np.int64))
    if start is None:
        return seconds
    times = (seconds * 1_000_000).cast(pl.Datetime("us"))
    if start.tzinfo is None:
        return times
    # polars knows zones by name only; a bare offset is kept as UTC, which is the same moment
    return times.dt.replace_time_zone("UTC").dt.convert_time_zone(getattr(start.tzinfo, "key", "UTC"))


def nullable(values: np.ndarray | pl.Series, missing: np.ndarray, kind: type[pl.DataType]) -> pl.Series:
    """A column of this type, null where `missing`."""
    import polars as pl

    series = pl.Series(values).cast(kind)
    return series.zip_with(
        pl.Series(~missing, dtype=pl.Boolean), pl.Series([None], dtype=kind).new_from_index(0, len(series))
    )


def _start_us(start: datetime | None) -> int:
    if start is None:
        return 0
    # a naive clock is read as if it were UTC: no zone is guessed, and only differences matter
    aware = start if start.tzinfo else start.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)
