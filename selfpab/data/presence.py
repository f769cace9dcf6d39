"""When each of two devices recorded, on one clock: what of it becomes a recording, and what is said of the rest."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from selfpab.data.checks import SECOND_NS, STEP_NS

ALONE_S = 600.0  # by which one sensor may begin earlier or end later before a person is told (ours)
LEAST_ALONE_S = 60.0  # of one sensor, to be read by itself: the window of `small` (ours)


class Presence(NamedTuple):
    """Stretches that follow each other, int64 (n, 2) in steps of 20 ms since 1970, and which sensor recorded in each."""

    stretches: np.ndarray
    back: np.ndarray  # bool (n,)
    thigh: np.ndarray

    @property
    def both(self) -> np.ndarray:
        return self.stretches[self.back & self.thigh]

    def is_kept(self, *, single: bool) -> np.ndarray:
        """Which stretches are in a recording, bool (n,): of both sensors, and with `single` of one for a while."""
        long = self.stretches[:, 1] - self.stretches[:, 0] >= LEAST_ALONE_S * SECOND_NS / STEP_NS
        return (self.back & self.thigh) | (single & long & (self.back | self.thigh))

    def kept(self, *, single: bool) -> Presence:
        """These alone."""
        return Presence(*(values[self.is_kept(single=single)] for values in self))


def presence_of(back: np.ndarray, thigh: np.ndarray) -> Presence:
    """Of the stretches in which each recorded, int64 (runs, 2)."""
    edges = np.unique(np.concatenate([back.ravel(), thigh.ravel()]))
    stretches = np.stack([edges[:-1], edges[1:]], axis=1)
    recorded = []
    for own in (back, thigh):
        run = np.searchsorted(own[:, 0], edges[:-1], "right") - 1
        recorded.append((run >= 0) & (edges[:-1] < own[run, 1]) if len(own) else np.zeros(len(stretches), bool))
    # Neighbours that are alike become one: runs that follow on each other leave no gap.
    state = recorded[0] + 2 * recorded[1]
    begins = np.flatnonzero(np.diff(state, prepend=-1))
    ends = np.append(begins[1:], len(state)) - 1
    joined = np.stack([stretches[begins, 0], stretches[ends, 1]], axis=1)
    return Presence(joined, recorded[0][begins], recorded[1][begins])


def without_one(presence: Presence, *, kept: bool, single: bool) -> list[dict[str, Any]]:
    """Stretches in which a sensor recorded nothing: those that are in the recording all the same, or those that are not."""
    rows = []
    wanted = presence.is_kept(single=single) == kept
    for (first, stop), back, thigh in zip(*(values[wanted].tolist() for values in presence), strict=True):
        if not (back and thigh):
            rows.append(
                {
                    "sensor": "thigh" if back else "back" if thigh else "both",
                    "from": clock_time(first * STEP_NS),
                    "to": clock_time(stop * STEP_NS),
                    "seconds": (stop - first) * STEP_NS / SECOND_NS,
                }
            )
    return rows


def longer_alone(presence: Presence, *, single: bool) -> list[str]:
    """How much longer one sensor recorded before both did, or after, in words; what lies between are gaps, or with `single`
    told from one."""
    then = "activities are told from it alone there" if single else "that counts as not recorded"
    both = np.flatnonzero(presence.back & presence.thigh)
    if not len(both):
        return []
    told = []
    for part, when in ((slice(0, both[0]), "before"), (slice(both[-1] + 1, None), "after")):
        for name, other, own in (("back", "thigh", presence.back), ("thigh", "back", presence.thigh)):
            alone = presence.stretches[part][own[part]]
            seconds = int((alone[:, 1] - alone[:, 0]).sum()) * STEP_NS / SECOND_NS
            if seconds >= ALONE_S:
                begin, end = (clock_time(int(step) * STEP_NS) for step in (alone[0, 0], alone[-1, 1]))
                told.append(
                    f"{name}: it recorded for {long_words(seconds)} more without the {other}, {when} what both did, from "
                    f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} by the back's clock; {then}"
                )
    return told


def clock_time(time_ns: int) -> datetime:
    """A device's time as its clock showed it, to the microsecond.

    >>> clock_time(1_709_550_000_020_000_000)
    datetime.datetime(2024, 3, 4, 11, 0, 0, 20000)
    """
    return datetime(1970, 1, 1) + timedelta(microseconds=time_ns // 1000)


def long_words(seconds: float) -> str:
    """Seconds in words, as precise as a person wants them.

    >>> long_words(45), long_words(2400), long_words(5040)
    ('45 s', '40 min', '1.4 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
