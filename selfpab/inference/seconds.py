"""The table `seconds`: one row per clock second of a recording (DESIGN 2, prediction folder).

Made block by block and, where it is long, laid into a file, so that memory does not grow with the recording.
Legend: N samples, R seconds, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import starmap
from typing import NamedTuple

import numpy as np
import polars as pl

from selfpab.activities import Activities
from selfpab.core_threads import one_core_each
from selfpab.evaluation.clock import answer_columns, nullable, second_rows, second_times
from selfpab.features.enmo import enmo_mg
from selfpab.inference.decisions import Decision, averaged, last_cut, named_of
from selfpab.inference.frames import FrameProbabilities
from selfpab.inference.probability_maps import ProbabilityMap
from selfpab.recording import NON_WEAR, NON_WEAR_OF, SENSOR_MISSING, SENSOR_MISSING_OF, SENSORS, Recording
from selfpab.scratch_tables import one_table
from selfpab.sensors import told_by

UNCERTAIN_BELOW = 0.6  # ours
BLOCK_SAMPLES = 100_000  # at once: half an hour at 50 Hz
LOOKED_AHEAD = 64  # samples
ROWS_AT_ONCE = 1 << 16  # seconds of which columns are made: the better part of a day
TOLD = ("both", *SENSORS)  # from what an activity is told, of sensor s from the other at 2 - s; NOBODY: from nothing
NOBODY = -1


class Single(NamedTuple):
    """What is different where one sensor alone says something: `chances` and `uncertain_below` of `second_table`."""

    chances: ProbabilityMap | None
    uncertain_below: float


def second_table(
    recording: Recording,
    frames: FrameProbabilities,
    activities: Activities,
    *,
    uncertain_below: float = UNCERTAIN_BELOW,
    chances: ProbabilityMap | None = None,
    decision: Decision | None = None,
    single: Mapping[str, Single] | None = None,
) -> pl.DataFrame:
    """One row per clock second from the first to the last sample, gaps included.

    A mark of the recording counts for every second of which it touches a sample.

    Parameters
    ----------
    chances : makes of the means of the frames probabilities that can be believed; None: they stay as they are.
    decision : which class is named for them; None: the most probable, ties to the lower class index.
    single : by sensor, of frames that were told from it alone (`selfpab.sensors`); None: of a model that needs both.

    Returns
    -------
    time : the second's beginning; whole seconds from the start where the recording has no date.
    activity : code of the class named; null in gaps and where a sensor is missing (a mark "sensor dropout", "sensor dropout
        back" or "... thigh"; with `single` only where neither says anything), as are activity_name, probability,
        p_<class> ..., uncertain and sensors. It is given, but means little, where the sensors were not worn.
    probability, p_<class> ... : of the class named, and of each: `chances` of the mean over the second's samples; a
        sample's is the mean of the frames that cover it.
    uncertain : probability below `uncertain_below` (ours).
    wear : both sensors were worn: no mark "non-wear", "non-wear back" or "non-wear thigh" touches the second; or the one was
        that the activity is told from; null in gaps. A recording in which nobody looked for non-wear is worn.
    gap : the second has no sample.
    enmo_back_mg, enmo_thigh_mg : mean ENMO of the second's samples; null in gaps and where that sensor is missing, both
        where a mark does not say which one it means.
    flags : kinds of the marks that touch the second, in alphabetical order with ";" between; "" where there are none.
    sensors : from what the activity was told: "both", or "back" or "thigh" alone.
    """
    first, count, rows_of = second_rows(recording)
    marked = _marked_seconds(recording)
    nowhere = np.zeros(count, bool)
    told = _told_from(recording, rows_of, marked, count, alone=single is not None)
    single = single or {}
    below = np.array([uncertain_below, *(single[s].uncertain_below if s in single else 1.0 for s in SENSORS)])
    maps = [chances, *(single[s].chances if s in single else None for s in SENSORS)]

    def with_marks(rows: slice, mean: np.ndarray, enmo: np.ndarray, gap: np.ndarray) -> _Seconds:
        missing = gap | (told[rows] == NOBODY)
        mean[missing] = np.nan
        return _Seconds(rows, mean, enmo, gap, missing)

    def table(some: _Seconds, worth: np.ndarray) -> pl.DataFrame:
        rows, mean, enmo, gap, missing = some
        kinds = {kind: touched[rows] for kind, touched in marked.items()}
        columns = {"time": second_times(recording.start, first + rows.start, len(gap))}
        named = worth.argmax(axis=1) if decision is None else named_of(worth, decision)
        columns |= answer_columns(mean, missing, activities, named)
        columns["uncertain"] = columns["probability"].cast(pl.Float64) < pl.Series(below[told[rows]])
        off = kinds.get(NON_WEAR, nowhere[rows]).copy()
        for place, sensor in enumerate(SENSORS):  # of one that nobody listened to it does not count
            off |= kinds.get(NON_WEAR_OF[sensor], nowhere[rows]) & (told[rows] != 2 - place)
        columns["wear"] = nullable(~off, gap, pl.Boolean)
        columns["gap"] = pl.Series(gap, dtype=pl.Boolean)
        for place, sensor in enumerate(SENSORS):
            kinds_of = (SENSOR_MISSING, SENSOR_MISSING_OF[sensor])
            silent = np.logical_or.reduce(
                [gap, told[rows] == 2 - place, *(kinds.get(k, nowhere[rows]) for k in kinds_of)]
            )
            columns[f"enmo_{sensor}_mg"] = nullable(enmo[:, place], silent, pl.Float32)
        columns["flags"] = _flags({kind: touched & ~gap for kind, touched in kinds.items()}, len(gap))
        columns["sensors"] = nullable(
            pl.Series(TOLD, dtype=pl.String).gather(np.maximum(told[rows], 0)), missing, pl.String
        )
        return pl.DataFrame(columns)

    blocks = list(_blocks(recording, rows_of, count))
    means = one_core_each(partial(_means, recording, frames, maps, told, rows_of), blocks)
    found = (with_marks(rows, *values) for (_, rows), values in zip(blocks, means, strict=True))
    return one_table(starmap(table, _pieces(found, decision)))


class _Seconds(NamedTuple):
    """Some seconds that follow each other. Legend as above."""

    rows: slice
    mean: np.ndarray  # float32 (R, K), NaN where missing
    enmo: np.ndarray  # float32 (R, 2), mg
    gap: np.ndarray  # bool (R,): no sample
    missing: np.ndarray  # bool (R,): no answer


def _pieces(blocks: Iterable[_Seconds], decision: Decision | None) -> Iterator[tuple[_Seconds, np.ndarray]]:
    """The same in pieces of about `ROWS_AT_ONCE` seconds, and what their classes are named by: probabilities, averaged if
    the decision wants it. Cut where it does not ask what is on the other side."""
    around = 0 if decision is None else decision.around_s
    waiting: list[_Seconds] = []
    before: np.ndarray | None = None  # the last seconds of the piece that was given last
    for block in blocks:
        waiting.append(block)
        if block.rows.stop - waiting[0].rows.start < ROWS_AT_ONCE:
            continue
        whole = _joined(waiting)
        known, worth = _with_neighbours(before, whole.mean, around)
        # of the last seconds it is not known yet what they are averaged with
        cut = len(worth) if decision is None else last_cut(worth[: len(worth) - around], decision)
        if cut:
            yield _part(whole, 0, cut), worth[:cut]
            before = known[: len(known) - len(worth) + cut][-around:] if around else None
        waiting = [_part(whole, cut, len(whole.gap))] if cut < len(whole.gap) else []
    if waiting:
        whole = _joined(waiting)
        yield whole, _with_neighbours(before, whole.mean, around)[1]


def _with_neighbours(before: np.ndarray | None, mean: np.ndarray, around: int) -> tuple[np.ndarray, np.ndarray]:
    """The seconds before and these, as they are; and these, averaged."""
    known = mean if before is None else np.concatenate([before, mean])
    return known, averaged(known, around)[len(known) - len(mean) :]


def _joined(parts: Sequence[_Seconds]) -> _Seconds:
    arrays = (np.concatenate(same) for same in zip(*(part[1:] for part in parts), strict=True))
    return _Seconds(slice(parts[0].rows.start, parts[-1].rows.stop), *arrays)


def _part(whole: _Seconds, first: int, stop: int) -> _Seconds:
    begin = whole.rows.start
    return _Seconds(slice(begin + first, begin + stop), *(array[first:stop] for array in whole[1:]))


def _means(
    recording: Recording,
    frames: FrameProbabilities,
    maps: Sequence[ProbabilityMap | None],
    told: np.ndarray,
    rows_of: Callable[[np.ndarray], np.ndarray],
    block: tuple[slice, slice],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the R seconds of a block: the mean probabilities (R, K), and what the one of `maps` makes of them that is for what
    they were `told` from; mean ENMO in mg (R, 2), both float32, and whether they have no sample (R,)."""
    samples, seconds = block
    count = seconds.stop - seconds.start
    mean = np.zeros((count, frames.values.shape[1]), np.float32)
    enmo = np.zeros((count, len(SENSORS)), np.float32)
    if samples.start == samples.stop:
        return mean, enmo, np.ones(count, bool)
    local = rows_of(np.arange(samples.start, samples.stop)) - seconds.start
    held = np.bincount(local, minlength=count)
    here = slice(0, int(local[-1]) + 1)
    weight = np.maximum(held[here], 1)[:, None]
    enmo[here] = _sums(local, enmo_mg(recording.piece(samples.start, samples.stop))) / weight
    # between these samples neither the second nor the frames change: one value stands for many
    turns = samples.start + 1 + np.flatnonzero(np.diff(local))
    edges = np.unique(np.concatenate([[samples.start], turns, frames.changes(samples.start, samples.stop)]))
    lengths = np.diff(edges, append=samples.stop)
    means = _sums(local[edges - samples.start], frames.at(edges) * lengths[:, None]) / weight
    source = told[seconds][here]
    for place, chances in enumerate(maps):
        own = source == place
        if chances is not None and own.any():  # all of them, nearly always
            means[own] = chances(means[own])
    mean[here] = means
    return mean, enmo, held == 0


def _blocks(
    recording: Recording, rows_of: Callable[[np.ndarray], np.ndarray], count: int
) -> Iterator[tuple[slice, slice]]:
    """(samples, seconds) of at most about `BLOCK_SAMPLES` and `ROWS_AT_ONCE`; every second is in one, and in no other.

    Seconds without any sample go with the block before them; where they are many, as blocks of their own.
    """
    if not count:
        yield slice(0, 0), slice(0, 0)
    begins = np.array([segment.first for segment in recording.segments], np.int64)
    their_rows = rows_of(begins)
    first = row = 0
    while first < len(recording):
        # the first segment that begins too far away
        far = np.searchsorted(their_rows, row + ROWS_AT_ONCE, side="right")
        stop = min([first + BLOCK_SAMPLES, len(recording), *begins[far : far + 1].tolist()])
        held = int(rows_of(np.array([stop - 1]))[0]) + 1
        same = LOOKED_AHEAD
        while same == LOOKED_AHEAD:  # to the end of the second, in which there may be more samples than the rate says
            behind = rows_of(np.arange(stop, min(stop + LOOKED_AHEAD, len(recording))))
            same = int(np.searchsorted(behind, held))
            stop += same
        following = int(rows_of(np.array([stop]))[0]) if stop < len(recording) else count
        empty = range(held, following, ROWS_AT_ONCE) if following - held > ROWS_AT_ONCE else ()
        yield slice(first, stop), slice(row, held if empty else following)
        for begin in empty:
            yield slice(stop, stop), slice(begin, min(begin + ROWS_AT_ONCE, following))
        first, row = stop, following


def _sums(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Column sums of the values (n, C) of equal row: (rows[-1] + 1, C)."""
    return np.stack([np.bincount(rows, column) for column in values.T], axis=1)


def _marked_seconds(recording: Recording) -> dict[str, np.ndarray]:
    """Which seconds the marks of a kind reach over, bool (R,), by kind in alphabetical order."""
    _, count, rows_of = second_rows(recording)
    marks = [mark for mark in recording.marks if mark.stop > mark.first]
    touched: dict[str, np.ndarray] = {}
    for kind in sorted({mark.kind for mark in marks}):
        change = np.zeros(count + 1, np.int64)
        np.add.at(change, rows_of(np.array([m.first for m in marks if m.kind == kind])), 1)
        np.add.at(change, rows_of(np.array([m.stop - 1 for m in marks if m.kind == kind])) + 1, -1)
        touched[kind] = np.cumsum(change[:-1]) > 0
    return touched


def _told_from(
    recording: Recording,
    rows_of: Callable[[np.ndarray], np.ndarray],
    marked: Mapping[str, np.ndarray],
    count: int,
    *,
    alone: bool,
) -> np.ndarray:
    """From what the activity of each second is told, places in `TOLD` or `NOBODY`, int8 (R,); alone: also from one sensor."""
    told = np.zeros(count, np.int8)
    if not alone:
        for kind in (SENSOR_MISSING, *SENSOR_MISSING_OF.values()):
            told[marked.get(kind, np.zeros(count, bool))] = NOBODY
        return told
    for first, stop, sensors in told_by(recording):
        if len(sensors) == len(SENSORS):
            continue
        here = told[slice(int(rows_of(np.array([first]))[0]), int(rows_of(np.array([stop - 1]))[0]) + 1)]
        place = TOLD.index(sensors[0]) if sensors else NOBODY
        here[:] = np.where((here == 0) | (here == place), place, NOBODY)  # of a second nothing, where each says a part
    return told


def _flags(marked: dict[str, np.ndarray], count: int) -> pl.Series:
    if not marked:
        return pl.Series([""], dtype=pl.String).new_from_index(0, count)
    kinds = [pl.when(pl.Series(touched)).then(pl.lit(kind)) for kind, touched in marked.items()]
    return pl.select(pl.concat_str(kinds, separator=";", ignore_nulls=True)).to_series()
