"""Which sensor says something of a stretch, by the marks of a recording: both, one, or neither (ours).

A sensor that measured nothing (a mark "sensor dropout back" or "... thigh") says nothing, and one that was not worn (a mark
"non-wear back" or "... thigh") says nothing where the other one was. What measured and was not worn, without anything else
to listen to, is listened to: the column `wear` says that it means little. A mark "sensor dropout" does not say which sensor
it means: neither speaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from selfpab.recording import (
    NON_WEAR,
    NON_WEAR_OF,
    SENSOR_MISSING,
    SENSOR_MISSING_OF,
    SENSORS,
    Mark,
    Recording,
    Segment,
)

AXES = {sensor: slice(3 * place, 3 * place + 3) for place, sensor in enumerate(SENSORS)}  # of CHANNELS
NOT_THERE = "not in this recording"  # evidence of a mark


class Told(NamedTuple):
    """Samples `first` to `stop` (exclusive), and the sensors that say something of them."""

    first: int
    stop: int
    sensors: tuple[str, ...]


def told_by(recording: Recording) -> list[Told]:
    """Stretches that cover all samples, in order; neighbours differ.

    >>> still = np.zeros((100, 6), np.float32)
    >>> marks = (Mark(20, 50, "sensor dropout back"), Mark(40, 70, "non-wear thigh"))
    >>> [tuple(stretch) for stretch in told_by(Recording("P1", None, 50.0, still, marks=marks))]
    [(0, 20, ('back', 'thigh')), (20, 50, ('thigh',)), (50, 70, ('back',)), (70, 100, ('back', 'thigh'))]
    """
    missing = {sensor: (SENSOR_MISSING, kind) for sensor, kind in SENSOR_MISSING_OF.items()}
    known = {NON_WEAR, *NON_WEAR_OF.values(), *(kind for kinds in missing.values() for kind in kinds)}
    marks = [mark for mark in recording.marks if mark.kind in known and mark.first < mark.stop]
    edges = sorted({0, len(recording), *(m.first for m in marks), *(m.stop for m in marks)})
    covers = {kind: np.zeros(len(edges), np.int64) for kind in known}
    place = {edge: number for number, edge in enumerate(edges)}
    for mark in marks:
        covers[mark.kind][place[mark.first]] += 1
        covers[mark.kind][place[mark.stop]] -= 1
    here = {kind: np.cumsum(change) > 0 for kind, change in covers.items()}
    found: list[Told] = []
    for number, (first, stop) in enumerate(pairwise(edges)):
        measures = tuple(s for s in SENSORS if not any(here[kind][number] for kind in missing[s]))
        sensors = tuple(s for s in measures if not (here[NON_WEAR][number] or here[NON_WEAR_OF[s]][number])) or measures
        if found and found[-1].sensors == sensors:
            found[-1] = found[-1]._replace(stop=stop)
        else:
            found.append(Told(first, stop, sensors))
    return found


def segments_told_by(recording: Recording, sensor: str | None) -> tuple[Segment, ...]:
    """The parts of a recording's segments of which this sensor alone says something, in order; None: all others.

    >>> still = Recording("P1", None, 50.0, np.zeros((100, 6), np.float32), marks=(Mark(20, 50, "non-wear back"),))
    >>> [(part.first, part.stop, part.start_s) for part in segments_told_by(still, None)]
    [(0, 20, 0.0), (50, 100, 1.0)]
    """
    alone = (sensor,)
    wanted = [t for t in told_by(recording) if (len(t.sensors) != 1 if sensor is None else t.sensors == alone)]
    return tuple(_segments(recording, wanted))


def _segments(recording: Recording, stretches: list[Told]) -> Iterator[Segment]:
    waiting = iter(stretches)
    stretch = next(waiting, None)
    for segment in recording.segments:
        while stretch is not None and stretch.first < segment.stop:
            first, stop = max(segment.first, stretch.first), min(segment.stop, stretch.stop)
            if first < stop:
                start_s = segment.start_s + (first - segment.first) / recording.rate_hz
                yield Segment(first, stop, start_s, segment.part)
            if stretch.stop > segment.stop:  # it goes on in the next segment
                break
            stretch = next(waiting, None)


def without(recording: Recording, sensor: str) -> Recording:
    """The same recording as if this sensor had not been there: its samples are 0, and a mark lies over them.

    >>> standing = Recording("P1", None, 50.0, np.tile(np.float32([-1, 0, 0]), (100, 2)))
    >>> alone = without(standing, "back")
    >>> alone.samples[0].tolist(), alone.marks[0].kind
    ([0.0, 0.0, 0.0, -1.0, 0.0, 0.0], 'sensor dropout back')
    """
    if sensor not in SENSORS:
        raise ValueError(f"wanted one of the sensors {' and '.join(SENSORS)}, got {sensor!r}")
    samples = np.array(recording.samples)
    samples[:, AXES[sensor]] = 0
    mark = Mark(0, len(recording), SENSOR_MISSING_OF[sensor], f"{sensor} {NOT_THERE}")
    return replace(recording, samples=samples).with_marks([*recording.marks, mark])


def check_both(recording: Recording, what: str) -> None:
    """ValueError where a sensor measured nothing in the whole recording and `what` (such as "this model") needs both."""
    worn_or_not = recording.with_marks(mark for mark in recording.marks if mark.kind not in NON_WEAR_OF.values())
    spoken = {sensor for told in told_by(worn_or_not) for sensor in told.sensors}
    lacking = [sensor for sensor in SENSORS if sensor not in spoken]
    if len(recording) and lacking:
        raise ValueError(
            f"{recording.subject}: the {' and the '.join(lacking)} sensor measured nothing; {what} needs both sensors: take a "
            "model that reads one alone (selfpab predict, with the model in the box), or leave the recording out"
        )
