"""Pairs of .cwa files of simulated people, with known clocks, sensor errors, faults and truth (issue "Raw devices").

True time is that of `simulation.START` and runs evenly. A device's clock shows `shown_s(t)` seconds after START at the
true second t; its samples come evenly by that clock. What the sensor gives is (true - offset - slope * (T - 25)) / gain,
so that gain, offset and slope are what a calibration should find. (Ours.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from selfpab.activities import HARTH
from selfpab.data.behaviour import Bout
from selfpab.data.simulation import START, generator_of, motion, take_off, values_at
from selfpab.devices.cwa_writer import Planted, layout_for, write_cwa
from selfpab.recording import SENSORS, UNLABELLED, Recording
from selfpab.writing import write_text

MOTION_HZ = 50.0  # movement has nothing above 25 Hz worth a device's more samples
REFERENCE_C = 25.0
WORN_C, ROOM_C, COOLING_S = 32.0, 21.0, 900.0  # ours: skin, room, and the time constant between
TURNS = {"": (1, 1, 1), "x": (1, -1, -1), "y": (-1, 1, -1), "z": (-1, -1, 1)}
NOISE_G = 0.002  # of one sample, per axis
PIECE = 1 << 20


@dataclass(frozen=True)
class DeviceFaults:
    """What is wrong with one device.

    offset_s, drift_ppm, kink_ppm : its clock is `offset_s` ahead at the start and gains `drift_ppm`, from the middle on
        `kink_ppm` more.
    rate_ppm : how much faster its samples come than the nominal rate, by its own clock.
    gain, offset_g, slope_g : error of each axis; slope per degree from 25.
    turned, turned_from : by 180 degrees about "x", "y" or "z", from this share of the recording on.
    restarts, missing, bad : so many restarts (each loses `restart_gap_s`), blocks that are not in the file, and blocks with
        a bad checksum, at places drawn.
    """

    offset_s: float = 0.0
    drift_ppm: float = 0.0
    kink_ppm: float = 0.0
    rate_ppm: float = 0.0
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset_g: tuple[float, float, float] = (0.0, 0.0, 0.0)
    slope_g: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turned: str = ""
    turned_from: float = 0.0
    restarts: int = 0
    restart_gap_s: float = 60.0
    missing: int = 0
    bad: int = 0

    def __post_init__(self) -> None:
        if self.turned not in TURNS:
            raise ValueError(f"turned must be one of {', '.join(filter(None, TURNS))} or nothing, got {self.turned!r}")

    def shown_s(self, true_s: np.ndarray, middle_s: float) -> np.ndarray:
        """What its clock shows (n,), in seconds after START, at true seconds (n,)."""
        later = np.maximum(true_s - middle_s, 0) * self.kink_ppm
        return true_s + self.offset_s + (true_s * self.drift_ppm + later) * 1e-6

    def true_s(self, shown_s: np.ndarray, middle_s: float) -> np.ndarray:
        """The inverse of `shown_s`."""
        since = shown_s - self.offset_s
        kink = middle_s * (1 + self.drift_ppm * 1e-6)
        early = np.minimum(since, kink) / (1 + self.drift_ppm * 1e-6)
        return early + np.maximum(since - kink, 0) / (1 + (self.drift_ppm + self.kink_ppm) * 1e-6)


@dataclass(frozen=True)
class PairFaults:
    """What is wrong with a pair; `swapped`: the file called back is of the thigh; `non_wear_s`: one stretch."""

    back: DeviceFaults = field(default_factory=DeviceFaults)
    thigh: DeviceFaults = field(default_factory=DeviceFaults)
    swapped: bool = False
    non_wear_s: float = 0.0


@dataclass(frozen=True, eq=False)
class DevicePair:
    """Two files and what is known of them.

    recording : what two perfect devices would have given, at 50 Hz by true time, with labels; -1 where not worn.
    """

    subject: str
    back: Path
    thigh: Path
    faults: PairFaults
    recording: Recording
    planted: dict[str, Planted]

    def offset_s(self, true_s: np.ndarray) -> np.ndarray:
        """The thigh's clock minus the back's, in seconds (n,), at true seconds (n,)."""
        middle = self.recording.seconds / 2
        return self.faults.thigh.shown_s(true_s, middle) - self.faults.back.shown_s(true_s, middle)


def drawn_faults(rng: np.random.Generator, hours: float) -> PairFaults:
    """Faults as cohorts have them: clocks off by up to a minute and 40 ppm, sensors by 3 % and 50 mg, some restarts."""

    def device(*, apart: bool) -> DeviceFaults:
        return DeviceFaults(
            offset_s=float(rng.uniform(-60, 60)) if apart else 0.0,
            drift_ppm=float(rng.uniform(-40, 40)),
            kink_ppm=float(rng.choice([0.0, rng.uniform(-10, 10)])),
            rate_ppm=float(rng.uniform(-8000, 8000)),
            gain=_three(rng.uniform(0.97, 1.03, 3)),
            offset_g=_three(rng.uniform(-0.05, 0.05, 3)),
            slope_g=_three(rng.uniform(-0.0005, 0.0005, 3)),
            restarts=int(rng.poisson(hours / 100)),
            restart_gap_s=float(rng.uniform(1, 300)),
            missing=int(rng.poisson(hours / 50)),
            bad=int(rng.poisson(hours / 50)),
        )

    return PairFaults(device(apart=False), device(apart=True), non_wear_s=float(rng.choice([0.0, hours * 180])))


def write_pair(
    folder: str | Path,
    person: int = 0,
    hours: float = 24.0,
    *,
    seed: int = 0,
    scenario: str = "days",
    faults: PairFaults | None = None,
    rate_hz: float = 100.0,
    form: str = "packed",
) -> DevicePair:
    """`<subject>_back.cwa` and `<subject>_thigh.cwa` of person number `person` in `folder`, which is made if need be.

    form : "packed" or "unpacked" of an AX3, or "ax6"; ±8 g.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pair = write_pair(folder, hours=0.02, faults=PairFaults(thigh=DeviceFaults(offset_s=3.0)))
    ...     pair.back.name, pair.thigh.stat().st_size, pair.offset_s(np.zeros(1)).tolist()
    ('P001_back.cwa', 31744, [3.0])
    """
    faults = faults or PairFaults()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = max(1, round(hours * 3600 * MOTION_HZ))
    _, bouts, samples = motion(person, wanted, seed=seed, rate_hz=MOTION_HZ, scenario=scenario)
    if faults.non_wear_s:
        bouts = take_off(samples, bouts, faults.non_wear_s, MOTION_HZ, generator_of(seed, person, "non-wear"))
    off = [bout for bout in bouts if bout.posture == "not worn"]
    subject = f"P{person + 1:03d}"
    paths = {sensor: folder / f"{subject}_{sensor}.cwa" for sensor in SENSORS}
    names = SENSORS[::-1] if faults.swapped else SENSORS
    planted: dict[str, Planted] = {}
    for place, (sensor, own) in enumerate(zip(SENSORS, (faults.back, faults.thigh), strict=True)):
        planted[sensor] = _write_device(
            paths[names[place]],
            samples[:, 3 * place : 3 * place + 3],
            off,
            own,
            generator_of(seed, person, "device", sensor),
            rate_hz=rate_hz,
            form=form,
            device_id=10_001 + 2 * person + place,
            name=subject,
        )
    codes = [UNLABELLED if bout.posture == "not worn" else bout.code for bout in bouts]
    labels = np.repeat(np.array(codes, np.int16), [len(bout) for bout in bouts])
    source = {"kind": "simulated devices", "seed": seed, "person": person, "faults": asdict(faults)}
    ideal = Recording(subject, START, MOTION_HZ, samples, labels, source=source)
    return DevicePair(subject, paths["back"], paths["thigh"], faults, ideal, planted)


def truth_of(pair: DevicePair) -> dict[str, Any]:
    """Plain values, ready for JSON: faults, start of true time, bouts [first, stop, code] in samples at 50 Hz."""
    labels = np.asarray(pair.recording.labels)
    edges = np.flatnonzero(np.diff(labels, prepend=labels[:1] - 1, append=labels[-1:] - 1)).tolist()
    bouts = [[a, b, int(labels[a])] for a, b in pairwise(edges)]
    return {"faults": asdict(pair.faults), "start": START.isoformat(), "bouts": bouts}


def write_cohort(
    folder: str | Path, people: int, hours: float, *, seed: int = 0, scenario: str = "days", rate_hz: float = 100.0
) -> Path:
    """A pair each with faults drawn for it, and `truth.json` by subject; gives the folder."""
    truth: dict[str, Any] = {}
    for person in range(people):
        faults = drawn_faults(generator_of(seed, person, "faults"), hours)
        pair = write_pair(folder, person, hours, seed=seed, scenario=scenario, faults=faults, rate_hz=rate_hz)
        truth[pair.subject] = truth_of(pair)
    names = dict(zip(map(str, HARTH.codes), HARTH.names, strict=True))
    write_text(Path(folder) / "truth.json", json.dumps({"activities": names, "people": truth}) + "\n")
    return Path(folder)


def _write_device(
    path: Path,
    moved: np.ndarray,
    off: Sequence[Bout],
    own: DeviceFaults,
    rng: np.random.Generator,
    *,
    rate_hz: float,
    form: str,
    device_id: int,
    name: str,
) -> Planted:
    """One file of the movement (N, 3) at 50 Hz by true time; what was planted in its blocks."""
    layout = layout_for(form, rate_hz, 8)
    length_s, full = len(moved) / MOTION_HZ, layout.capacity
    step_s = 1 / (rate_hz * (1 + own.rate_ppm * 1e-6))
    shown = own.shown_s(np.array([0.0, length_s]), length_s / 2)
    size = int((shown[1] - shown[0] - own.restart_gap_s * own.restarts) / step_s)
    planted = _drawn_blocks(own, -(-size // full), rng)
    lost = np.zeros(-(-size // full))
    for block in planted.restarts:
        lost[block:] += own.restart_gap_s
    blocks = -(-size // full)
    at_s = own.true_s(shown[0] + np.arange(blocks) * full * step_s + lost[:blocks], length_s / 2)
    celsius = _temperatures(at_s, off, rng)
    values = np.empty((size, 3), np.float32)
    for first in range(0, size, PIECE):
        k = np.arange(first, min(first + PIECE, size))
        true_s = own.true_s(shown[0] + k * step_s + lost[k // full], length_s / 2)
        piece = values_at(moved, true_s * MOTION_HZ)
        if own.turned:
            piece[true_s >= own.turned_from * length_s] *= np.array(TURNS[own.turned], np.float32)
        piece += rng.normal(0, NOISE_G, piece.shape).astype(np.float32)
        warmth = (celsius[k // full] - REFERENCE_C)[:, None] * np.array(own.slope_g)
        values[k] = (piece - np.array(own.offset_g) - warmth) / np.array(own.gain)
    write_cwa(
        path,
        values,
        form=form,
        rate_hz=rate_hz,
        range_g=8,
        start=START + timedelta(seconds=float(shown[0])),
        planted=planted,
        device_id=device_id,
        drift_ppm=own.rate_ppm,
        temperature_c=celsius,
        metadata={"_sc": name},
    )
    return planted


def _drawn_blocks(own: DeviceFaults, blocks: int, rng: np.random.Generator) -> Planted:
    """Places for restarts, missing and bad blocks, apart from each other and from the ends."""
    count = own.restarts + own.missing + own.bad
    places = (2 + 3 * rng.permutation(max(0, (blocks - 4) // 3))[:count]).tolist()
    if len(places) < count:
        raise ValueError(f"{count} faults do not fit into {blocks} blocks")
    restarts, missing = places[: own.restarts], places[own.restarts : own.restarts + own.missing]
    return Planted(
        restarts=dict.fromkeys(restarts, own.restart_gap_s),
        missing=missing,
        bad_checksums=places[own.restarts + own.missing :],
    )


def _temperatures(at_s: np.ndarray, off: Sequence[Bout], rng: np.random.Generator) -> np.ndarray:
    """Degrees Celsius (B,) at true seconds (B,): skin while worn, towards the room's on the table."""
    celsius = WORN_C + np.cumsum(rng.normal(0, 1, len(at_s))) / max(1.0, np.sqrt(len(at_s)))
    for bout in off:
        first, stop = bout.first / MOTION_HZ, bout.stop / MOTION_HZ
        cooled = np.where(at_s < first, 0.0, -np.expm1(-(np.clip(at_s, first, stop) - first) / COOLING_S))
        warmed = np.exp(-np.maximum(at_s - stop, 0) / COOLING_S)
        celsius -= (WORN_C - ROOM_C) * cooled * warmed
    return celsius


def _three(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = map(float, values)
    return x, y, z
