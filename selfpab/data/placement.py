"""Is each sensor where it should be: the right way up, facing the right way, on the right place, all the time?

Found from what bodies do (placement_postures) under all ways of wearing two sensors (placement_hypotheses), in stretches
between changes (placement_stretches), and repaired by swapping and turning (placement_turns). Labels are not looked at.
All of this is ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from selfpab.data.placement_postures import Postures, known_postures
from selfpab.data.placement_stretches import Stretch, Wear, stretches_of
from selfpab.data.placement_turns import Change, changed
from selfpab.recording import (
    CLIPPING,
    NON_WEAR,
    NON_WEAR_OF,
    SENSOR_MISSING,
    SENSOR_MISSING_OF,
    SENSORS,
    Mark,
    Recording,
)

EXCHANGED = "back and thigh in source are the names of the files; their columns were exchanged"


@dataclass(frozen=True)
class Placement:
    """What was found, in order of time; the stretches cover all samples."""

    stretches: tuple[Stretch, ...]
    repair: str

    @property
    def fine(self) -> bool:
        """Nothing was found anywhere, and nowhere is a swap more likely than not."""
        return all(stretch.fine and not stretch.suspect for stretch in self.stretches)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""

        def wear(one: Wear) -> dict[str, Any]:
            about = {"told": one.told, "turn": one.turn.name, "log_odds": round(one.log_odds, 1)}
            return about | ({"one_of": [turn.name for turn in one.others]} if one.others else {})

        stretches = [
            {
                "first": s.first,
                "stop": s.stop,
                "begins_between": list(s.begins),
                "swapped": s.swapped,
                "swap_log_odds": round(s.swap_log_odds, 1),
                "back": wear(s.back),
                "thigh": wear(s.thigh),
                "evidence_min": round(s.evidence_min, 1),
                "unusual": round(s.unusual, 2),
                "unusual_after": round(s.unusual_after, 2),
                "repaired": s.repaired,
            }
            for s in self.stretches
        ]
        return {"repair": self.repair, "fine": self.fine, "stretches": stretches}


def check_placement(
    recording: Recording,
    *,
    repair: str = "auto",
    postures: Postures | None = None,
    out: np.ndarray | None = None,
) -> tuple[Recording, Placement]:
    """Find sensors that are turned or swapped, and turn them back.

    Parameters
    ----------
    repair : "auto" turns and swaps where the evidence is overwhelming, and marks it; "warn" only marks; "off" looks at
        nothing and gives the recording as it is.
    postures : how worn sensors look; None is the table that comes with the package, learned from HARTH.
    out : where repaired samples go (see `placement_turns.changed`); `recording.samples` turns in place, so that nothing
        beyond the recording is needed in memory.

    Returns
    -------
    The recording, with marks of the kinds "placement back", "placement thigh" and "placement swap" where something was
    found, and with `source["placement"]`, what `Placement.as_dict` gives; where they are more likely swapped than not and
    that is not sure, `source["warnings"]` say so. int16 stays int16, labels are untouched. And
    what was found.

    Raises ValueError for another `repair`.
    """
    if repair not in ("auto", "warn", "off"):
        raise ValueError(f'repair must be "auto", "warn" or "off", got {repair!r}')
    if repair == "off" or not len(recording):
        return recording, Placement((), repair)
    stretches = stretches_of(recording, postures or known_postures(), repair=repair == "auto")
    found = Placement(tuple(stretches), repair)
    changes = [_undo(stretch) for stretch in stretches if stretch.repaired]
    result = changed(recording, changes, out=out) if changes else recording
    source = {**recording.source, "placement": found.as_dict()}
    if "back" in source and any(map(_swapped_back, stretches)):  # of a pair of files
        source["warnings"] = [*source.get("warnings", ()), EXCHANGED]
    if suspects := [stretch for stretch in stretches if stretch.suspect]:
        source["warnings"] = [*source.get("warnings", ()), _suspicion(recording, suspects)]
    marks = (*_renamed(recording.marks, stretches), *_marks(stretches))
    return replace(result, source=source).with_marks(marks), found


def _suspicion(recording: Recording, suspects: list[Stretch]) -> str:
    minutes = sum(s.stop - s.first for s in suspects) / recording.rate_hz / 60
    odds = max(s.swap_log_odds for s in suspects)
    return (
        f"back and thigh are more likely swapped than not (log odds {odds:.1f}) in {minutes:.0f} min, too little to repair: "
        "look up which sensor was worn where"
    )


def _undo(stretch: Stretch) -> Change:
    back, thigh = (wear.turn.matrix().T for wear in (stretch.back, stretch.thigh))
    return Change(stretch.first, stretch.stop, stretch.swapped, back, thigh)


def _renamed(marks: tuple[Mark, ...], stretches: list[Stretch]) -> Iterator[Mark]:
    """Marks that name a sensor, which goes by its columns, in kind or evidence, where columns were swapped back."""
    other = {kind: kind for kind in (NON_WEAR, CLIPPING, SENSOR_MISSING)}
    for kinds in (list(NON_WEAR_OF.values()), list(SENSOR_MISSING_OF.values())):
        other |= dict(zip(kinds, kinds[::-1], strict=True))
    parts = [
        (found[0].first, found[-1].stop, swapped)
        for swapped, found in ((swapped, list(of)) for swapped, of in groupby(stretches, _swapped_back))
    ]
    for mark in marks:
        if mark.kind not in other or not any(swapped for *_, swapped in parts):
            yield mark
            continue
        exchanged = replace(mark, kind=other[mark.kind], evidence=_exchanged(mark.evidence))
        if exchanged == mark:  # of both sensors alike: nothing to cut
            yield mark
            continue
        for first, stop, swapped in parts:
            first, stop = max(mark.first, first), min(mark.stop, stop)
            if first < stop:
                yield replace(exchanged if swapped else mark, first=first, stop=stop)


def _swapped_back(stretch: Stretch) -> bool:
    return stretch.swapped and stretch.repaired


def _exchanged(words: str) -> str:
    """The same of the other sensor.

    >>> _exchanged("back alone still for 50 min without a turn; thigh moving for 9 min of it")
    'thigh alone still for 50 min without a turn; back moving for 9 min of it'
    """
    back, thigh = SENSORS
    return re.sub(rf"\b({back}|{thigh})\b", lambda found: thigh if found[0] == back else back, words)


def _marks(stretches: list[Stretch]) -> Iterator[Mark]:
    """One mark for each thing found, in words and numbers."""
    for s in stretches:
        end = (
            f"over {s.evidence_min:.0f} min of evidence; unlike any posture by {s.unusual:.1f} nats a minute as it is, "
            f"{s.unusual_after:.1f} after; {'repaired' if s.repaired else 'not repaired'}"
        )
        if s.swapped:
            yield Mark(
                s.first, s.stop, "placement swap", f"back and thigh swapped; log odds {s.swap_log_odds:.0f}, {end}"
            )
        for name, wear in zip(SENSORS, (s.back, s.thigh), strict=True):
            if wear.told.startswith("turned"):
                how = " or ".join(turn.words for turn in wear.others) or wear.turn.words
                yield Mark(
                    s.first, s.stop, f"placement {name}", f"{wear.told}: {how}; log odds {wear.log_odds:.0f}, {end}"
                )
