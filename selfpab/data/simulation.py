"""Recordings whose labels, postures, cadences, gaps, flips and clock drift are known.

`simulate` gives Recordings in HARTH's frame, usable like real ones; `recording.source["truth"]` holds everything
that went into them, and `simulate_with_truth` gives it as a Truth. The model stands in behaviour.py (what people do)
and movement.py (how it looks to two sensors); docs/simulator.md says how close that comes to real recordings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from selfpab.activities import HARTH
from selfpab.data import behaviour, movement
from selfpab.data.behaviour import POSTURES, Bout
from selfpab.data.parquet import write_parquet
from selfpab.recording import SENSORS, UNLABELLED, Recording, Segment
from selfpab.seeding import seed_of

START = datetime(2024, 1, 1, 8)
COUNTS_PER_G = 256  # what an AX3 stores at ±8 g; still recordings in HAR70+ show these steps
RANGE_G = 8.0
CHUNK_S = 1800.0  # made at a time
VERSION = "1"


@dataclass(frozen=True)
class Faults:
    """What goes wrong in a recording; the same in every person, at places drawn for each.

    gaps_per_hour, gap_s : expected number of gaps, and their shortest and longest length in seconds.
    flipped : sensors turned by 180 degrees about x ("back", "thigh"): y and z change sign.
    swapped : the back's columns hold the thigh's sensor and the other way round.
    drift_ppm, offset_s : the thigh's sample that stands beside the back's time t was taken at
        t * (1 + drift_ppm / 1e6) + offset_s. Labels follow the back's clock.
    non_wear_s : length of one stretch in which both sensors lie on a table; its labels are -1.
    """

    gaps_per_hour: float = 0.5
    gap_s: tuple[float, float] = (0.5, 20.0)
    flipped: tuple[str, ...] = ()
    swapped: bool = False
    drift_ppm: float = 0.0
    offset_s: float = 0.0
    non_wear_s: float = 0.0

    def __post_init__(self) -> None:
        if strange := set(self.flipped) - set(SENSORS):
            raise ValueError(f"flipped names sensors, {' and '.join(SENSORS)}, got {sorted(strange)}")
        if self.gaps_per_hour < 0 or self.non_wear_s < 0 or not 0.1 < self.gap_s[0] <= self.gap_s[1]:
            raise ValueError(f"gaps and non-wear must not be negative, and gaps longer than 0.1 s; got {self}")


NO_FAULTS = Faults(gaps_per_hour=0.0)


@dataclass(frozen=True)
class Truth:
    """What is known of a simulated recording. Samples count what is in it, gaps taken out.

    gaps : (first sample after the gap, its length in seconds); bouts : in order, together all samples.
    tilt_deg : per sensor yaw about x, pitch about y, roll about z. stride_hz : the person's usual one, per code.
    """

    subject: str
    seed: int
    person: int
    scenario: str
    size: float
    stride_hz: dict[int, float]
    tilt_deg: dict[str, tuple[float, ...]]
    faults: Faults
    gaps: tuple[tuple[int, float], ...]
    bouts: tuple[Bout, ...]

    def postures(self) -> np.ndarray:
        """Posture of every sample, int8: a place in `behaviour.POSTURES`."""
        places = np.array([POSTURES.index(bout.posture) for bout in self.bouts], np.int8)
        return np.repeat(places, [len(bout) for bout in self.bouts])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; a bout is [first, stop, code, posture]."""
        plain = asdict(self) | {"bouts": [[b.first, b.stop, b.code, b.posture] for b in self.bouts]}
        return json.loads(json.dumps(plain))


def simulate(
    people: int = 4,
    hours: float = 1.0,
    *,
    seed: int = 0,
    labelled: bool = True,
    rate_hz: float = 50.0,
    scenario: str = "free-living",
    faults: Faults | None = None,
) -> list[Recording]:
    """Recordings of simulated people with a back and a thigh sensor, in HARTH's frame and codes.

    Person i is the same whatever the number of people.

    Parameters
    ----------
    hours : on the back's clock, per person; gaps are taken out of it.
    labelled : False leaves the labels out (the truth keeps the bouts).
    scenario : "free-living" (imbalanced like HARTH), "protocol" (every code for 8 to 20 s, in a random order, over
        and over: five minutes hold all ten classes) or "days" (from 8 in the morning, with nights).
    faults : None is a gap every two hours or so and nothing else; `NO_FAULTS` is none at all.

    Raises ValueError where people, hours or rate_hz are not positive, or the scenario is unknown.

    >>> first, second = simulate(people=2, hours=0.1, scenario="protocol", faults=NO_FAULTS)
    >>> first.subject, first.samples.shape, len(set(HARTH.indices(first.labels)))
    ('P001', (18000, 6), 10)
    """
    pairs = simulate_with_truth(
        people, hours, seed=seed, labelled=labelled, rate_hz=rate_hz, scenario=scenario, faults=faults
    )
    return [recording for recording, _ in pairs]


def simulate_with_truth(
    people: int = 4,
    hours: float = 1.0,
    *,
    seed: int = 0,
    labelled: bool = True,
    rate_hz: float = 50.0,
    scenario: str = "free-living",
    faults: Faults | None = None,
) -> list[tuple[Recording, Truth]]:
    """As `simulate`, each Recording with its Truth."""
    if people < 1 or not hours > 0 or not rate_hz > 0:
        raise ValueError(f"people, hours and rate_hz must be positive, got {people}, {hours} and {rate_hz}")
    return [
        _simulate_one(i, hours, seed, labelled, float(rate_hz), scenario, faults or Faults()) for i in range(people)
    ]


def write_dataset(folder: str | Path, recordings: Sequence[Recording], *, name: str = "simulated") -> Path:
    """A data set folder (DESIGN 2): `<subject>.parquet` each, `dataset.json`, and `truth.json` by subject.

    The parquet files have HARTH's columns: timestamp, the six channels in g, and label if there are labels.
    Gives the folder, which is made if need be.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for recording in recordings:
        write_parquet(recording, folder / f"{recording.subject}.parquet")
    classes = [{"code": code, "name": title} for code, title in zip(HARTH.codes, HARTH.names, strict=True)]
    merge = {str(code): to for code, to in HARTH.merge.items()}
    about = {"name": name, "version": VERSION, "classes": classes, "merge": merge}
    (folder / "dataset.json").write_text(json.dumps(about, indent=2) + "\n")
    truth = {recording.subject: recording.source.get("truth") for recording in recordings}
    (folder / "truth.json").write_text(json.dumps(truth) + "\n")
    return folder


def _simulate_one(
    index: int, hours: float, seed: int, labelled: bool, rate_hz: float, scenario: str, faults: Faults
) -> tuple[Recording, Truth]:
    generator = partial(generator_of, seed, index)
    wanted = max(1, round(hours * 3600 * rate_hz))
    # The thigh's clock may run past the back's end.
    beyond = abs(faults.offset_s) + abs(faults.drift_ppm) * 1e-6 * hours * 3600
    made = wanted + (int(beyond * rate_hz) + 4 if beyond else 0)
    who, bouts, samples = motion(index, made, seed=seed, rate_hz=rate_hz, scenario=scenario)
    bouts = [Bout(b.first, min(b.stop, wanted), b.code, b.posture) for b in bouts if b.first < wanted]
    if beyond:
        when = np.arange(wanted) * (1 + faults.drift_ppm * 1e-6) + faults.offset_s * rate_hz
        samples[:wanted, 3:] = values_at(samples[:, 3:], when)
    samples = samples[:wanted]
    if faults.non_wear_s:
        bouts = take_off(samples, bouts, faults.non_wear_s, rate_hz, generator("non-wear"))
    _sense(samples, who, faults, generator("noise"))
    samples, segments, gaps, bouts = _drop(samples, bouts, faults, rate_hz, generator("gaps"))
    tilt_deg = {name: tuple(map(float, row)) for name, row in zip(SENSORS, who.tilt_deg, strict=True)}
    subject = f"P{index + 1:03d}"
    truth = Truth(subject, seed, index, scenario, who.size, who.stride_hz, tilt_deg, faults, gaps, tuple(bouts))
    codes = [UNLABELLED if bout.posture == "not worn" else bout.code for bout in bouts]
    labels = np.repeat(np.array(codes, np.int16), [len(bout) for bout in bouts]) if labelled else None
    source = {"kind": "simulated", "seed": seed, "person": index, "version": VERSION, "truth": truth.as_dict()}
    return Recording(subject, START, rate_hz, samples, labels, segments, source=source), truth


def motion(
    index: int, samples: int, *, seed: int, rate_hz: float, scenario: str = "free-living"
) -> tuple[movement.Person, list[Bout], np.ndarray]:
    """A person, what they do, and their sensors' true acceleration, float32 (samples, 6) in g, before any device."""
    generator = partial(generator_of, seed, index)
    who = movement.person(generator("person"))
    bouts = behaviour.bouts(generator("behaviour"), samples, rate_hz, scenario)
    rng = generator("postures")
    poses = np.array([movement.bout_pose(who, bout, rng) for bout in bouts])
    moved = _motion(who, bouts, poses, rate_hz, generator)
    return who, _settle(bouts, poses, rate_hz), moved


def generator_of(seed: int, index: int, *purpose: str | int) -> np.random.Generator:
    """Random numbers of one purpose for person `index`, whatever else is drawn."""
    return np.random.default_rng(seed_of("simulation", seed, index, *purpose))


def _motion(who: movement.Person, bouts: list[Bout], poses: np.ndarray, rate_hz: float, generator: Any) -> np.ndarray:
    """Acceleration during all bouts, in chunks of half an hour, so that a week needs little beyond its result."""
    samples = np.empty((bouts[-1].stop, 6), np.float32)
    chunk = np.array([bout.first for bout in bouts]) // round(CHUNK_S * rate_hz)
    edges = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(bouts)]
    for a, b in pairwise(edges):
        samples[bouts[a].first : bouts[b - 1].stop] = movement.acceleration(
            who, bouts[a:b], poses[a:b], poses[max(a - 1, 0)], rate_hz, generator("motion", a)
        )
    return samples


def _settle(bouts: list[Bout], poses: np.ndarray, rate_hz: float) -> list[Bout]:
    """Sitting and lying begin when the body has come to rest, as people annotate them; the way there is before."""
    firsts = [bout.first for bout in bouts]
    seconds = movement.turning_s(np.abs(np.diff(poses, axis=0)).max(1)) if len(bouts) > 1 else np.zeros(0)
    for i, bout in enumerate(bouts[1:], 1):
        if bout.code in (7, 8) and bouts[i - 1].code != bout.code:
            firsts[i] += min(round(float(seconds[i - 1]) * rate_hz), len(bout) // 2)
    stops = [*firsts[1:], bouts[-1].stop]
    return [Bout(first, stop, b.code, b.posture) for first, stop, b in zip(firsts, stops, bouts, strict=True)]


def values_at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values between samples by a cubic through four of them (Catmull and Rom), (len(places), columns)."""
    first = np.clip(places.astype(np.int64), 1, len(values) - 3)
    part = np.clip(places - first, -1, 2).astype(np.float32)[:, None]
    a, b, c, d = (values[first + step] for step in (-1, 0, 1, 2))
    return b + part / 2 * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a)))


def take_off(
    samples: np.ndarray, bouts: list[Bout], seconds: float, rate_hz: float, rng: np.random.Generator
) -> list[Bout]:
    """Lay both sensors on a table for a while: writes into `samples`, gives the bouts with the stretch cut out."""
    length = min(round(seconds * rate_hz), len(samples))
    first = int(rng.integers(0, len(samples) - length + 1))
    stop = first + length
    for axes in (slice(0, 3), slice(3, 6)):
        samples[first:stop, axes] = movement.gravity_g(rng.uniform(-100, 100, 1), rng.uniform(-20, 20, 1))
    before = [Bout(b.first, min(b.stop, first), b.code, b.posture) for b in bouts if b.first < first]
    after = [Bout(max(b.first, stop), b.stop, b.code, b.posture) for b in bouts if b.stop > stop]
    return [*before, Bout(first, stop, UNLABELLED, "not worn"), *after]


def _sense(samples: np.ndarray, who: movement.Person, faults: Faults, rng: np.random.Generator) -> None:
    """The sensors' noise, range and resolution, and how they were put on; in place, in blocks."""
    for first in range(0, len(samples), 1 << 18):
        piece = samples[first : first + (1 << 18)]
        noise = rng.standard_normal(piece.shape, dtype=np.float32)
        piece += noise * np.repeat(who.sensor_noise_g, 3).astype(np.float32)
        np.clip(piece, -RANGE_G, RANGE_G, out=piece)
        np.rint(piece * COUNTS_PER_G, out=piece)
        piece /= COUNTS_PER_G
        for sensor in faults.flipped:
            at = 3 * SENSORS.index(sensor)
            piece[:, at + 1 : at + 3] *= -1
        if faults.swapped:
            piece[:] = piece[:, [3, 4, 5, 0, 1, 2]]


def _drop(
    samples: np.ndarray, bouts: list[Bout], faults: Faults, rate_hz: float, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[Segment, ...], tuple[tuple[int, float], ...], list[Bout]]:
    """Take the gaps out: samples, segments, gaps and bouts of what is left."""
    total = len(samples)
    count = int(rng.poisson(faults.gaps_per_hour * total / rate_hz / 3600))
    kept = np.ones(total, bool)
    for place, seconds in zip(rng.random(count), rng.uniform(*faults.gap_s, count), strict=True):
        first = int(place * total)
        stop = min(first + max(6, round(seconds * rate_hz)), total - 50)
        if first >= 50:  # a recording begins and ends with samples
            kept[first:stop] = False
    if kept.all():
        return samples, (Segment(0, total, 0.0),), (), bouts
    edges = np.flatnonzero(np.diff(kept.astype(np.int8))) + 1
    begins, ends = [0, *edges[1::2].tolist()], [*edges[0::2].tolist(), total]
    index = np.concatenate([[0], np.cumsum(kept)])
    segments = tuple(Segment(int(index[a]), int(index[b]), a / rate_hz) for a, b in zip(begins, ends, strict=True))
    gaps = tuple((int(index[b]), (b - a) / rate_hz) for a, b in zip(ends[:-1], begins[1:], strict=True))
    left = [Bout(int(index[b.first]), int(index[b.stop]), b.code, b.posture) for b in bouts]
    return samples[kept], segments, gaps, [bout for bout in left if len(bout)]
