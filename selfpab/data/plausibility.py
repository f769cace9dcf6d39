"""Could two worn sensors have measured this? What a file's form does not show: sensors that stand still, a wrong rate.

A sensor that broke off or froze still fills its columns, and a classifier answers with confidence. All of this is ours.
Measured on all 77 real recordings at hand (HAR70+, HARTH, DSADS, selfBACK, Daphnet): no dropout is found, also where they
are rounded to 1/32 g; the rhythm of one (Daphnet S02R02, Parkinson's disease) is called too slow. The 29 of HAR70+ and
HARTH, as if sampled at half or at twice the rate: called so in 21 and 20; the others run, cycle or walk little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from selfpab.data.quality import covered
from selfpab.data.table_columns import NO_COLUMNS
from selfpab.recording import CHANNELS, SENSOR_MISSING_OF, SENSORS, Mark, Recording, RecordingError
from selfpab.sensors import told_by

SHORT_S = 60.0  # below it, what was worn and done is told from little (a window of the paper has five minutes)
POSSIBLE_G = (0.5, 1.5)  # of a sensor at rest; calibration errors and tilt leave real ones within 0.8 to 1.15
FROZEN_S = 10.0  # an axis that does not change by a bit; a real one rests for up to 77 s, on coarse steps
MOVES_G = 0.1  # sd within a second; no axis of a real recording froze for a second in which its neighbours did so
MOVES_S = 5.0  # of them
PROBES = 10  # samples of a second that are looked at first
WALK_S, MOST_WALKS, LEAST_WALKS = 10.0, 2000, 20
WALK_G, RHYTHMIC = 0.1, 0.5  # sd of the back's length, and autocorrelation at a step
STEP_S = (0.2, 2.5)  # between two steps, looked for
LEAST_HZ = 1.25  # the quickest twentieth: HAR70+ and HARTH have 1.42 and more, walkers at half their rate up to 1.11
MOST_HZ = 3.0  # the median: they have at most 2.78 (a runner), 20 of 29 at twice their rate more
BLOCK_S = 600.0


class _Seconds(NamedTuple):
    """Whole seconds of all segments, S in number."""

    first: np.ndarray  # int64 (S,), sample
    frozen: np.ndarray  # bool (S, 6), no sample differs from the first
    value: np.ndarray  # float32 (S, 6), the first one's, in g
    moves: np.ndarray  # bool (S, 6)


def check_plausible(recording: Recording, path: Path) -> Recording:
    """The recording with the marks of `dropouts` and, in `source["warnings"]`, what a person should look at.

    Raises RecordingError for less than a second, for back and thigh columns that are the same, and where no second is
    left in which a sensor measured.
    """
    if len(recording) < recording.rate_hz:
        raise RecordingError(
            f"{path}: lasts {recording.seconds:g} s; wanted a second at least, and minutes for answers to rely on"
        )
    marks = dropouts(recording)
    known = [mark for mark in recording.marks if mark.kind in SENSOR_MISSING_OF.values()]
    marks = [mark for mark in marks if not any(_within(mark, other) for other in known)]
    marked = recording.with_marks([*recording.marks, *marks])
    if sum(told.stop - told.first for told in told_by(marked) if told.sensors) < recording.rate_hz:
        raise RecordingError(
            f"{path}: {'; '.join(dict.fromkeys(mark.evidence for mark in [*known, *marks]))}; nothing is left in which a "
            f"sensor measured: export the file again, or leave it out"
        )
    if all((piece[:, :3] == piece[:, 3:]).all() for _, piece in recording.blocks(BLOCK_S)):
        raise RecordingError(
            f"{path}: the columns of back and thigh are the same in every row; wanted two sensors: give the thigh's own"
        )
    told = [f"only {recording.seconds:.0f} s long: little to tell an activity from"] * (recording.seconds < SHORT_S)
    told += _dropout_words(marked)
    told += filter(None, [strange_rhythm(recording)])
    if not told:
        return recording
    source = {**recording.source, "warnings": [*recording.source.get("warnings", ()), *told]}
    return replace(recording, source=source).with_marks((*recording.marks, *marks))


def dropouts(recording: Recording) -> tuple[Mark, ...]:
    """Marks "sensor dropout back" and "... thigh" where that sensor gave no measurement, in order; `evidence` says why.

    A sensor measures nothing where its three axes stand still, bit by bit, for a second and more at a value that is no
    gravity (0 g above all), or for ten seconds in five of which the other sensor moves; and where one axis
    does so while the sensor's other axes move. What lies on a table changes by noise, and where it does not, nothing
    is said of it here: that is non-wear (`wear`).
    """
    seconds = _seconds(recording)
    marks: list[Mark] = []
    for sensor, name in enumerate(SENSORS):
        own = [3 * sensor + axis for axis in range(3)]
        found: list[tuple[int, int, str]] = []
        for first, stop in _runs(seconds, own):
            value = seconds.value[first, own]
            impossible = not POSSIBLE_G[0] < float(np.linalg.norm(value)) < POSSIBLE_G[1]
            others = [axis for axis in range(6) if axis not in own]
            if impossible or _frozen_beside(seconds, first, stop, others):
                words = "0 g" if not value.any() else f"({', '.join(f'{g:.3g}' for g in value)}) g"
                why = "" if impossible else " while the other sensor moves"
                found.append((*_edges(recording, seconds, first, stop, own), f"{name} stands at {words}{why}"))
        for axis in own:
            beside = [other for other in own if other != axis]
            for first, stop in _runs(seconds, [axis]):
                if _frozen_beside(seconds, first, stop, beside):
                    why = f"{CHANNELS[axis]} stands at {seconds.value[first, axis]:.3g} g while its other axes move"
                    found.append((*_edges(recording, seconds, first, stop, [axis]), why))
        marks += (Mark(*stretch[:2], SENSOR_MISSING_OF[name], stretch[2]) for stretch in _joined(found))
    return tuple(sorted(marks, key=lambda mark: (mark.first, mark.stop)))


def strange_rhythm(recording: Recording) -> str | None:
    """In words, that the steps are slower or quicker than people walk, as where the rate is wrong; None where not.

    Steps per second by the autocorrelation of the back's movement, in stretches of ten seconds with a clear rhythm. A
    recording with fewer than 20 of them, and most runners, pass.
    """
    size = round(WALK_S * recording.rate_hz)
    starts = [first for s in recording.segments for first in range(s.first, s.stop - size + 1, size)]
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(len(starts), MOST_WALKS)).astype(int)) if starts else ()
    rates = []
    for place in chosen:
        back_g = np.linalg.norm(recording.piece(starts[place], starts[place] + size)[:, :3], axis=1)
        if back_g.std() >= WALK_G and (step_hz := _step_hz(back_g.astype(np.float64), recording.rate_hz)):
            rates.append(step_hz)
    if len(rates) < LEAST_WALKS:
        return None
    middle, quick = np.percentile(rates, [50, 95])
    slow = quick < LEAST_HZ
    if not slow and middle <= MOST_HZ:
        return None
    return (
        f"steps come {middle:.1f} times a second, {'slower' if slow else 'quicker'} than people walk (1.4 to 2.5): was it "
        f"sampled at {recording.rate_hz:g} Hz, and not at {'more' if slow else 'less'}?"
    )


def _step_hz(back_g: np.ndarray, rate_hz: float) -> float | None:
    """Steps per second of one stretch, None without a clear rhythm; shorter lags win, for a stride is two steps."""
    power = np.abs(np.fft.rfft(back_g - back_g.mean(), 2 * len(back_g))) ** 2
    similar = np.fft.irfft(power)[: len(back_g)]
    similar /= similar[0]
    lags = np.arange(*(round(limit * rate_hz) for limit in STEP_S))[1:]
    here = similar[lags]
    lags = lags[(here > similar[lags - 1]) & (here >= similar[lags + 1]) & (here >= RHYTHMIC)]
    return None if not len(lags) else float(rate_hz / lags[np.argmax(similar[lags] - 0.1 * lags / rate_hz)])


def _seconds(recording: Recording) -> _Seconds:
    size = round(recording.rate_hz)
    parts = []
    for first, piece_g in recording.blocks(BLOCK_S):
        whole = len(piece_g) // size
        values = piece_g[: whole * size].reshape(whole, size, 6)
        probes = values[:, :: max(1, size // PROBES)]
        frozen = probes.min(axis=1) == probes.max(axis=1)
        rows = np.flatnonzero(frozen.any(axis=1))
        frozen[rows] = (values[rows] == values[rows, :1]).all(axis=1)
        moves = probes.std(axis=1) > MOVES_G
        parts.append(_Seconds(first + np.arange(whole) * size, frozen, values[:, 0].astype(np.float32), moves))
    return _Seconds(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _runs(seconds: _Seconds, axes: list[int]) -> Iterator[tuple[int, int]]:
    """First and stop of the seconds in which these axes stand at one value, gaps or not."""
    frozen = np.logical_and.reduce(seconds.frozen[:, axes], axis=1)
    value = seconds.value[:, axes]
    goes_on = np.zeros(len(frozen) + 1, bool)  # from the second before
    goes_on[1:-1] = frozen[1:] & frozen[:-1] & (value[1:] == value[:-1]).all(axis=1)
    begins, ends = (np.flatnonzero(frozen & ~edge) for edge in (goes_on[:-1], goes_on[1:]))
    yield from ((int(a), int(b) + 1) for a, b in zip(begins, ends, strict=True))


def _frozen_beside(seconds: _Seconds, first: int, stop: int, others: list[int]) -> bool:
    moving = np.count_nonzero(seconds.moves[first:stop, others].any(axis=1))
    return stop - first >= FROZEN_S and bool(moving >= MOVES_S)


def _edges(recording: Recording, seconds: _Seconds, first: int, stop: int, axes: list[int]) -> tuple[int, int]:
    """First sample and stop of what stands still, to the sample."""
    size = round(recording.rate_hz)
    begin, end = int(seconds.first[first]), int(seconds.first[stop - 1]) + size
    value = seconds.value[first, axes]
    before, after = (recording.piece(max(begin - size, 0), begin)[:, axes], recording.piece(end, end + size)[:, axes])
    differs = [np.flatnonzero((rows != value).any(axis=1)) for rows in (before[::-1], after)]
    longer = [int(d[0]) if len(d) else len(rows) for d, rows in zip(differs, (before, after), strict=True)]
    return begin - longer[0], end + longer[1]


def _joined(found: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Overlapping stretches of one sensor as one."""
    joined: list[tuple[int, int, str]] = []
    for first, stop, why in sorted(found):
        if joined and first < joined[-1][1]:
            begin, end, words = joined.pop()
            first, stop, why = begin, max(stop, end), words if why in words else f"{words}; {why}"
        joined.append((first, stop, why))
    return joined


def _within(mark: Mark, other: Mark) -> bool:
    return mark.kind == other.kind and other.first <= mark.first and mark.stop <= other.stop


def _dropout_words(recording: Recording) -> list[str]:
    """How long each sensor measured nothing, a line each, but for those of whose lack the reader has told."""
    told = []
    said = recording.source.get("warnings", ())
    for sensor, kind in SENSOR_MISSING_OF.items():
        if any(line.startswith(f"{NO_COLUMNS} {sensor}") for line in said):
            continue
        missing = covered((mark.first, mark.stop) for mark in recording.marks if mark.kind == kind)
        if missing:
            minutes = missing / recording.rate_hz / 60
            told.append(
                f"the {sensor} sensor measured nothing for {minutes:.1f} min: activities are told from the other one alone "
                "there, where the model can"
            )
    return told
