"""How often planted faults of wearing are found in real recordings, and how often something is found that is not there.

python recipes/check_placement.py DATA OUT [learn=yes] [simulated=20]

DATA: a folder with `harth` and `har70plus`. The table of postures comes from HARTH alone; people of HARTH are tested
with a table without them. learn=yes writes selfpab/data/placement_postures.json anew; simulated: so many people of an
hour each, besides the real ones. Writes OUT/results.json.
"""

import itertools
import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from selfpab.data.datasets import open_dataset
from selfpab.data.placement import Placement, check_placement
from selfpab.data.placement_postures import TABLE, Postures, known_postures, learned, postures_of
from selfpab.data.placement_turns import BY_NAME, SENSORS, Turn, planted
from selfpab.data.simulation import Faults, simulate
from selfpab.recording import Recording, Segment
from selfpab.writing import write_text

# The back's sensor of S009 in HARTH v2.0 is turned about x: its table leaves S009 out, and its results stand apart.
TURNED = {"S009": {"back": "x"}}
RIGHT_DEG = 45.0  # a turn found within so many degrees is right: by that much people's own placement differs
AXES = ("x", "y", "z")
Turns = dict[str, str | float]
Case = tuple[Turns, bool, float]  # turns, swapped, from which part of the recording on


def cases() -> dict[str, list[Case]]:
    """Planted faults by kind."""
    single: list[Turns] = [{sensor: axis} for sensor in SENSORS for axis in AXES]
    double: list[Turns] = [{"back": a, "thigh": b} for a, b in itertools.product(AXES, AXES)]
    return {
        "untouched": [({}, False, 0)],
        **{f"back turned about {a}": [({"back": a}, False, 0)] for a in AXES},
        **{f"thigh turned about {a}": [({"thigh": a}, False, 0)] for a in AXES},
        "both turned about one axis each": [(turns, False, 0) for turns in double],
        "swapped": [({}, True, 0)],
        "swapped and one turned": [(turns, True, 0) for turns in single],
        **{
            f"{sensor} rotated by {angle}": [({sensor: sign * float(angle)}, False, 0) for sign in (1, -1)]
            for sensor in SENSORS
            for angle in (30, 60, 90)
        },
        "one turned from the middle on": [(turns, False, 0.5) for turns in single],
        "both turned from the middle on": [({"back": a, "thigh": a}, False, 0.5) for a in AXES],
        "swapped from the middle on": [({}, True, 0.5)],
    }


def outcome(found: Placement, samples: int, case: Case, worn: Turns) -> str:
    """One of: right, found in part, missed, wrong.

    right : at least 90 % of the samples end as they should be. wrong : in at least 10 % a sensor was turned, or sensors
    were swapped, and are not right; or something is found in a recording without a fault. found in part : marked, not or
    not everywhere repaired.
    """
    turns, swapped, start = case
    good = spoilt = told = 0
    for stretch in found.stretches:
        for first, stop, faulty in ((0, round(start * samples), False), (round(start * samples), samples, True)):
            length = min(stop, stretch.stop) - max(first, stretch.first)
            if length <= 0:
                continue
            true = [matrix(worn.get(name)) for name in SENSORS]
            if faulty:
                true = [matrix(turns.get(name)) @ before for name, before in zip(SENSORS, true, strict=True)]
            undone = [wear.turn.matrix() for wear in (stretch.back, stretch.thigh)]
            left = [degrees_between(a, b) for a, b in zip(true, undone, strict=True)]
            placed = stretch.swapped == (faulty and swapped)
            true = true if placed else true[::-1]  # then a turn is that of what stands in the columns
            needed = (faulty and swapped) or any(not np.allclose(one, np.eye(3)) for one in true)
            fits = placed and max(left) <= RIGHT_DEG and stretch.fine != needed
            turned = [not np.allclose(one, np.eye(3)) for one in undone]
            worse = any(t and angle > RIGHT_DEG for t, angle in zip(turned, left, strict=True))
            good += length * fits
            spoilt += length * (stretch.repaired and (worse or (stretch.swapped and not placed)))
            told += length * (not stretch.fine and needed)
    if not turns and not swapped and not worn:
        return "right" if all(stretch.fine for stretch in found.stretches) else "wrong"
    if spoilt >= 0.1 * samples:
        return "wrong"
    return "right" if good >= 0.9 * samples else "found in part" if told else "missed"


def matrix(turn: str | float | None) -> np.ndarray:
    return np.eye(3) if turn is None else (BY_NAME[turn] if isinstance(turn, str) else Turn(False, turn)).matrix()


def degrees_between(one: np.ndarray, other: np.ndarray) -> float:
    """Of two rotations, in degrees."""
    return float(np.rad2deg(np.arccos(np.clip((np.trace(one.T @ other) - 1) / 2, -1, 1))))


def tried(recording: Recording, case: Case, postures: Postures) -> str:
    turns, swapped, start = case
    faulty = planted(recording, turns, swapped=swapped, from_sample=round(start * len(recording)))
    found = check_placement(faulty, postures=postures)[1]
    return outcome(found, len(recording), case, TURNED.get(recording.subject, {}))  # type: ignore[arg-type]


def only(recording: Recording, keep: np.ndarray) -> Recording | None:
    """The samples of which `keep` is true, one after the other; None where they are less than ten minutes."""
    if keep.sum() < 600 * recording.rate_hz:
        return None
    assert recording.labels is not None
    return Recording(recording.subject, None, recording.rate_hz, recording.samples[keep], recording.labels[keep])


def pieces(recording: Recording, minutes: float) -> list[Recording]:
    """Side by side, gaps closed."""
    size = round(minutes * 60 * recording.rate_hz)
    return [
        Recording(
            recording.subject, None, recording.rate_hz, recording.samples[a : a + size], segments=(Segment(0, size, 0),)
        )
        for a in range(0, len(recording) - size + 1, size)
    ]


def main(data: Path, out: Path, learn: bool, simulated: int) -> None:
    began = time.perf_counter()
    harth = [r for r in open_dataset(data / "harth").recordings()]
    worn = [recording for recording in harth if recording.subject not in TURNED]
    if learn:
        write_text(TABLE, json.dumps(learned(worn)) + "\n")
    people = [("HAR70+", r, known_postures()) for r in open_dataset(data / "har70plus").recordings()]
    for recording in harth:
        others = learned([other for other in worn if other is not recording])
        if "supine" not in others["still"]:
            sys.exit(
                f"{data / 'harth'}: nobody but {recording.subject} lies still for long enough to learn from; add people"
            )
        people.append(("HARTH" if recording in worn else "HARTH S009", recording, postures_of(others)))
    results: dict[str, dict[str, dict[str, int]]] = {}

    def count(table: str, where: str, said: str) -> None:
        row = results.setdefault(table, {}).setdefault(where, {})
        row[said] = row.get(said, 0) + 1

    details = []
    for name, recording, postures in people:
        for kind, each in cases().items():
            for case in each:
                said = tried(recording, case, postures)
                count(kind, name, said)
                if said != "right":
                    details.append([recording.subject, kind, str(case[0]), said])
        few = [({}, False, 0.0), ({"back": "x"}, False, 0.0), ({"thigh": "x"}, False, 0.0), ({"back": "z"}, False, 0.0)]
        few += [({"thigh": "z"}, False, 0.0), ({}, True, 0.0)]
        assert recording.labels is not None
        parts = {f"pieces of {m:g} minutes": pieces(recording, m) for m in (10, 3)}
        for title, codes in (
            ("sitting only", (7,)),
            ("lying only", (8,)),
            ("walking only", (1,)),
            ("cycling only", (13, 14, 130, 140)),
        ):
            part = only(recording, np.isin(recording.labels, codes))
            parts[title] = [] if part is None else [part]
        for title, recordings in parts.items():
            for part, case in itertools.product(recordings, few):
                kind = "untouched" if not case[0] and not case[1] else "one turned or swapped"
                said = tried(part, case, postures)
                count(f"{title}, {kind}", name, said)
                if said == "wrong":
                    details.append([recording.subject, title, str(case[:2]), said])
        print(name, recording.subject, Counter(d[3] for d in details if d[0] == recording.subject), flush=True)
    for title, faults, case in (
        ("untouched", None, ({}, False, 0.0)),
        ("back turned about x", Faults(flipped=("back",)), ({"back": "x"}, False, 0.0)),
        ("thigh turned about x", Faults(flipped=("thigh",)), ({"thigh": "x"}, False, 0.0)),
        ("swapped", Faults(swapped=True), ({}, True, 0.0)),
    ):
        for recording in simulate(simulated, 1.0, seed=1, faults=faults):
            found = check_placement(recording)[1]
            count(title, "simulated", outcome(found, len(recording), case, {}))
    report = {"counts": results, "not right": details, "seconds": round(time.perf_counter() - began)}
    write_text(out / "results.json", json.dumps(report, indent=1) + "\n")
    for table, rows in results.items():
        print(table, rows)


if __name__ == "__main__":
    given = dict(word.split("=") for word in sys.argv[3:])
    if len(sys.argv) < 3 or set(given) - {"learn", "simulated"} or given.get("learn", "no") not in ("yes", "no"):
        sys.exit(__doc__)
    learn, simulated = given.get("learn") == "yes", int(given.get("simulated", 20))
    main(Path(sys.argv[1]), Path(sys.argv[2]), learn, simulated)
