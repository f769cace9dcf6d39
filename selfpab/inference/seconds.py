"""The table `seconds`: one row per clock second of a recording (DESIGN 2, prediction folder).

Made block by block, so that the memory needed beyond the table does not grow with the samples.
Legend: N samples, R seconds, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import polars as pl

from selfpab.activities import Activities
from selfpab.core_threads import one_core_each
from selfpab.evaluation.clock import answer_columns, nullable, second_rows, second_times
from selfpab.features.enmo import enmo_mg
from selfpab.inference.decisions import Decision, decide
from selfpab.inference.frames import FrameProbabilities
from selfpab.inference.probability_maps import ProbabilityMap
from selfpab.recording import NON_WEAR, NON_WEAR_OF, SENSOR_MISSING, SENSORS, Recording

UNCERTAIN_BELOW = 0.6  # ours
BLOCK_SAMPLES = 100_000  # at once: half an hour at 50 Hz


def second_table(
    recording: Recording,
    frames: FrameProbabilities,
    activities: Activities,
    *,
    uncertain_below: float = UNCERTAIN_BELOW,
    chances: ProbabilityMap | None = None,
    decision: Decision | None = None,
) -> pl.DataFrame:
    """One row per clock second from the first to the last sample, gaps included.

    A mark of the recording counts for every second of which it touches a sample.

    Parameters
    ----------
    chances : makes of the means of the frames probabilities that can be believed; None: they stay as they are.
    decision : which class is named for them; None: the most probable, ties to the lower class index.

    Returns
    -------
    time : the second's beginning; whole seconds from the start where the recording has no date.
    activity : code of the class named; null in gaps and where a sensor is missing
        (a mark "sensor dropout"), as are activity_name, probability, p_<class> ... and uncertain. It is given, but means
        little, where the sensors were not worn.
    probability, p_<class> ... : of the class named, and of each: `chances` of the mean over the second's samples; a
        sample's is the mean of the frames that cover it.
    uncertain : probability below `uncertain_below` (ours).
    wear : both sensors were worn: no mark "non-wear", "non-wear back" or "non-wear thigh" touches the second; null in
        gaps. A recording in which nobody looked for non-wear is worn.
    gap : the second has no sample.
    enmo_back_mg, enmo_thigh_mg : mean ENMO of the second's samples; null in gaps and, as a mark does not say which sensor
        it means, both null where a sensor is missing.
    flags : kinds of the marks that touch the second, in alphabetical order with ";" between; "" where there are none.
    """
    first, count, _ = second_rows(recording)
    mean, enmo, gap = _means(recording, frames, chances)
    marked = _marked_seconds(recording)
    nowhere = np.zeros(count, bool)
    missing = gap | marked.get(SENSOR_MISSING, nowhere)
    columns = {"time": second_times(recording.start, first, count)}
    mean[missing] = np.nan
    named = mean.argmax(axis=1) if decision is None else decide(mean, decision)
    columns |= answer_columns(mean, missing, activities, named)
    columns["uncertain"] = columns["probability"].cast(pl.Float64) < uncertain_below
    taken_off = np.logical_or.reduce([marked.get(kind, nowhere) for kind in (NON_WEAR, *NON_WEAR_OF.values())])
    columns["wear"] = nullable(~taken_off, gap, pl.Boolean)
    columns["gap"] = pl.Series(gap, dtype=pl.Boolean)
    columns |= {f"enmo_{s}_mg": nullable(enmo[:, i], missing, pl.Float32) for i, s in enumerate(SENSORS)}
    columns["flags"] = _flags({kind: touched & ~gap for kind, touched in marked.items()}, count)
    return pl.DataFrame(columns)


def _means(
    recording: Recording, frames: FrameProbabilities, chances: ProbabilityMap | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every second: `chances` of the mean probabilities (R, K), mean ENMO in mg (R, 2), both float32, and gaps (R,)."""
    _, count, rows_of = second_rows(recording)
    stops = _blocks(recording, rows_of)
    mean = np.zeros((count, frames.values.shape[1]), np.float32)
    enmo = np.zeros((count, len(SENSORS)), np.float32)
    gap = np.ones(count, bool)

    def fill(block: tuple[int, int]) -> None:
        first, stop = block
        rows = rows_of(np.arange(first, stop))
        here, local = slice(rows[0], rows[-1] + 1), rows - rows[0]
        samples = np.bincount(local)
        gap[here] = samples == 0
        weight = np.maximum(samples, 1)[:, None]
        enmo[here] = _sums(local, enmo_mg(recording.piece(first, stop))) / weight
        # between these samples neither the second nor the frames change: one value stands for many
        edges = np.concatenate([[first], first + 1 + np.flatnonzero(np.diff(rows)), frames.changes(first, stop)])
        edges = np.unique(edges)
        lengths = np.diff(edges, append=stop)
        means = _sums(local[edges - first], frames.at(edges) * lengths[:, None]) / weight
        mean[here] = means if chances is None else chances(means)

    for _ in one_core_each(fill, pairwise(stops)):
        pass
    return mean, enmo, gap


def _blocks(recording: Recording, rows_of: Callable[[np.ndarray], np.ndarray]) -> list[int]:
    """Samples at which blocks begin, and the last one's end: about `BLOCK_SAMPLES` apart, and no second is in two blocks."""
    edges, longest_second = [0], math.ceil(recording.rate_hz)
    while edges[-1] < len(recording):
        stop = min(edges[-1] + BLOCK_SAMPLES, len(recording))
        behind = np.arange(stop - 1, min(stop + longest_second, len(recording)))
        edges.append(stop + int(np.count_nonzero(rows_of(behind[1:]) == rows_of(behind[:1]))))
    return edges


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


def _flags(marked: dict[str, np.ndarray], count: int) -> pl.Series:
    if not marked:
        return pl.Series([""], dtype=pl.String).new_from_index(0, count)
    kinds = [pl.when(pl.Series(touched)).then(pl.lit(kind)) for kind, touched in marked.items()]
    return pl.select(pl.concat_str(kinds, separator=";", ignore_nulls=True)).to_series()
