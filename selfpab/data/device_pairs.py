"""Two raw device files, back and thigh -> one Recording at 50 Hz on the back's clock.

Survey both (devices/surveys.py), calibrate each by its own stillness (calibration.py), find the thigh's clock against the
back's from the movement (synchronisation.py), and filter both onto one grid (resampling.py). What was found and done stands
in `source`, ready for JSON (pair_sources.py). Legend: N samples; a stretch is [first, stop) in steps of 20 ms since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.interpolate
import scipy.linalg
import scipy.ndimage  # noqa: F401  # all three here: threads that import scipy at the same moment break one another

from selfpab.data.checks import RATE_HZ, SECOND_NS, STEP_NS, sha256_of
from selfpab.data.pair_sources import Device, source_of
from selfpab.data.presence import clock_time, presence_of
from selfpab.data.store import COUNTS_PER_G, INT16_MAX
from selfpab.data.wear import Temperatures, non_wear
from selfpab.devices import calibration, synchronisation
from selfpab.devices.calibration import NO_CALIBRATION
from selfpab.devices.cwa_blocks import NO_TIME
from selfpab.devices.resampling import DoesNotFit, resample
from selfpab.devices.surveys import Movement, Survey, survey
from selfpab.devices.synchronisation import LONGEST_OFFSET_S, Alignment, NotTogether
from selfpab.recording import CHANNELS, CLIPPING, SENSOR_MISSING_OF, SENSORS, Mark, Recording, RecordingError, Segment
from selfpab.scratch import room_for
from selfpab.sensors import AXES

WITHIN_NS = 1000  # so far inside its run a sample of the grid must lie: more than the rounding of times
AT_ONCE = 1 << 17  # samples of one sensor that one thread makes: 44 minutes
BLOCKS = 1 << 14  # of a device's table, at once
SURVEY_BYTES = 1 << 30  # of both files; larger ones (two weeks at 100 Hz) are surveyed one after the other


def read_pair(
    back: str | Path,
    thigh: str | Path,
    *,
    subject: str | None = None,
    calibrate: bool = True,
    align: bool = True,
    look_for_non_wear: bool = True,
    single_sensor: bool = False,
    longest_offset_s: float = LONGEST_OFFSET_S,
    room: Callable[[tuple[int, int]], np.ndarray] | None = None,
    workers: int = 2,
) -> Recording:
    """One person's recording from the files of both sensors.

    Samples lie at multiples of 20 ms of the back's clock, where both sensors recorded; elsewhere is a gap, and
    `source["missing"]` says who was missing. Nothing is filtered across a gap of either sensor.

    Parameters
    ----------
    back, thigh : .cwa files of AX3 or AX6, .gt3x of ActiGraph, .bin of GENEActiv, of any rate and range; they need not be
        alike. The last two need `actfast` (pip install selfpab[devices]) and lie in memory whole (`other_makers`).
    subject : the person's name; None takes the back's file name.
    calibrate : bring gain and offset to what the sensor's own still periods say, where there are enough.
    align : find the offset and drift between the clocks from the movement; False takes both clocks as they are.
    look_for_non_wear : mark where the sensors were not worn, by stillness and the devices' temperatures (`wear`).
    single_sensor : keep what one sensor recorded without the other for a minute and more; the other's samples are 0 then, and
        a mark "sensor dropout back" or "... thigh" lies over them. False: it is a gap.
    longest_offset_s : how far the clocks may be apart.
    room : gives an int16 array of the shape asked for, such as a mapped file's, for the samples; None: memory, and for
        more than half a day a mapped temporary file (in TMPDIR) that is gone with the recording.
    workers : threads. Memory beside the result does not grow with them.

    Returns
    -------
    Recording : int16, 4096 counts per g, or 2048 or 1024 where a value does not fit; without labels; `start` naive, as the
        back's clock showed it. Marks "clipping" lie over the blocks (about a second) with clipped values; those of
        non-wear are `wear.non_wear`'s.

    Raises RecordingError (a ValueError) that names the files: what cannot be read, one file given twice, no common time;
    NotTogether, one of these, for two people or two times.
    """
    devices = surveyed([Path(back), Path(thigh)], calibrate, workers)
    if devices[0].sha256 == devices[1].sha256:
        raise RecordingError(f"{back} and {thigh}: are the same; give the files of two sensors, back and thigh")
    alignment = None
    if align:
        try:
            alignment = synchronisation.synchronise(
                *(device.survey.movement for device in devices), longest_offset_s=longest_offset_s
            )
        except NotTogether as error:
            raise NotTogether(f"{back} and {thigh}: {error}") from error
    devices = [device._replace(survey=without_movement(device.survey)) for device in devices]
    presence = presence_of(stretches_of(devices[0].survey, None), stretches_of(devices[1].survey, alignment))
    if not len(presence.both):
        raise RecordingError(
            f"{back} and {thigh}: were never recording at the same time: back {_span(devices[0].survey)}, thigh "
            f"{_span(devices[1].survey)}, each by its own clock; give files of the same days"
        )
    kept = presence.kept(single=single_sensor)
    segments = segments_of(kept.stretches)
    shape = (segments[-1].stop, len(CHANNELS))
    samples = room_for(shape, np.int16) if room is None else room(shape)
    by_sensor: dict[str, Device] = dict(zip(SENSORS, devices, strict=True))
    there = {"back": kept.back, "thigh": kept.thigh}
    counts_per_g = fill(samples, by_sensor, segments, kept.stretches, there, alignment, workers)
    recording = Recording(
        subject=Path(back).stem if subject is None else subject,
        start=clock_time(int(kept.stretches[0, 0]) * STEP_NS),
        rate_hz=RATE_HZ,
        samples=samples,
        segments=segments,
        source=source_of(devices, alignment, presence, len(samples), single=single_sensor),
        counts_per_g=counts_per_g,
    ).with_marks([*clipping(by_sensor, segments, kept.stretches, alignment), *_absences(segments, there)])
    if not look_for_non_wear:
        return recording
    off = non_wear(recording, temperature=temperatures(by_sensor, int(kept.stretches[0, 0]) * STEP_NS, alignment))
    return recording.with_marks((*recording.marks, *off))


def _absences(segments: Sequence[Segment], there: Mapping[str, np.ndarray]) -> Iterator[Mark]:
    """Marks over what one sensor recorded without the other; there : whether each did, by segment."""
    for sensor, recorded in there.items():
        for place in np.flatnonzero(~recorded).tolist():
            yield Mark(
                segments[place].first, segments[place].stop, SENSOR_MISSING_OF[sensor], f"{sensor} did not record"
            )


def temperatures(devices: Mapping[str, Device], start_ns: int, alignment: Alignment | None) -> Temperatures:
    """Seconds since the recording's start and degrees of every block with a time, of the sensors that measure it."""
    found = {}
    for name, device in devices.items():
        blocks = device.survey.blocks
        seconds, degrees = [np.zeros(0)], [np.zeros(0, np.float32)]
        for row in range(0, len(blocks), BLOCKS):
            part = blocks[row : row + BLOCKS]
            times_ns = device.survey.clock.times_ns(part["first"])
            known = (times_ns != NO_TIME) & np.isfinite(part["temperature_c"])
            times_ns = times_ns[known] if name == "back" else _back_ns(alignment, times_ns[known])
            seconds.append((times_ns - start_ns) / SECOND_NS)
            degrees.append(part["temperature_c"][known])
        if any(map(len, seconds)):
            found[name] = (np.concatenate(seconds), np.concatenate(degrees))
    return found


def surveyed(paths: Sequence[Path], calibrate: bool, workers: int) -> list[Device]:
    """What is in the device files; RecordingError for one that is not there, or whose blocks have no time."""
    for path in paths:
        if not path.is_file():
            raise RecordingError(f"{path}: there is no such file; give the device files of both sensors")
    size = sum(path.stat().st_size for path in paths)
    with ThreadPoolExecutor(workers if size <= SURVEY_BYTES else 1) as pool:
        surveys, hashes = pool.map(survey, paths), pool.map(sha256_of, paths)
        found = [
            Device(own, sha256, calibration.calibrate(own.stillness) if calibrate else NO_CALIBRATION)
            for own, sha256 in zip(surveys, hashes, strict=True)
        ]
    for path, device in zip(paths, found, strict=True):
        if not device.survey.clock.runs:
            raise RecordingError(
                f"{path}: none of its blocks has a time, so it cannot be laid beside another; leave it out"
            )
    return found


def without_movement(found: Survey) -> Survey:
    return found._replace(movement=Movement(0, found.movement.rate_hz, np.zeros(0, np.float32)))


def _thigh_ns(alignment: Alignment | None, back_ns: np.ndarray) -> np.ndarray:
    return back_ns if alignment is None else alignment.thigh_ns(back_ns)


def _back_ns(alignment: Alignment | None, thigh_ns: np.ndarray) -> np.ndarray:
    """The inverse; clocks differ by parts of a thousand at most, so that each round wins three digits."""
    back_ns = thigh_ns
    for _ in range(8):
        back_ns = back_ns - (_thigh_ns(alignment, back_ns) - thigh_ns)
    return back_ns


def stretches_of(found: Survey, alignment: Alignment | None) -> np.ndarray:
    """Steps of the grid at which one device recorded, int64 (runs, 2)."""
    edges_ns = np.array([(run.start_ns, run.stop_ns) for run in found.clock.runs], np.int64).reshape(-1, 2)
    edges_ns = _back_ns(alignment, edges_ns)
    first, stop = -(-(edges_ns[:, 0] + WITHIN_NS) // STEP_NS), -(-(edges_ns[:, 1] - WITHIN_NS) // STEP_NS)
    return np.stack([first, stop], axis=1)[first < stop]


def segments_of(both: np.ndarray) -> tuple[Segment, ...]:
    """Of stretches that were recorded."""
    edges = [0, *np.cumsum(both[:, 1] - both[:, 0]).tolist()]
    starts_s = ((both[:, 0] - both[0, 0]) * (STEP_NS / SECOND_NS)).tolist()
    return tuple(Segment(a, b, start_s) for (a, b), start_s in zip(pairwise(edges), starts_s, strict=True))


def fill(
    samples: np.ndarray,
    devices: Mapping[str, Device],
    segments: Sequence[Segment],
    stretches: np.ndarray,
    there: Mapping[str, np.ndarray],
    alignment: Alignment | None,
    workers: int,
) -> int:
    """Write the samples (N, 6) of these sensors, 0 where one is not `there` (bool, by segment), and of those that are not
    given; the counts per g with which all fit."""

    def make(sensor: str, first: int, stop: int, step: int, counts_per_g: int) -> None:
        times_ns = np.arange(step, step + stop - first) * STEP_NS
        resample(
            devices[sensor].survey,
            _thigh_ns(alignment, times_ns) if sensor == "thigh" else times_ns,
            samples[first:stop, AXES[sensor]],
            counts_per_g=counts_per_g,
            calibration=devices[sensor].calibration,
        )

    pieces: list[tuple[str, int, int, int]] = []
    for place, segment in enumerate(segments):
        for sensor in SENSORS:
            if sensor not in devices or not there[sensor][place]:
                samples[segment.first : segment.stop, AXES[sensor]] = 0
                continue
            for first in range(segment.first, segment.stop, AT_ONCE):
                step = int(stretches[place, 0]) + first - segment.first
                pieces.append((sensor, first, min(first + AT_ONCE, segment.stop), step))
    largest_g = max(device.survey.largest_g for device in devices.values())
    too_large: DoesNotFit | None = None
    for counts_per_g in (counts for counts in COUNTS_PER_G if largest_g * counts <= INT16_MAX):
        with ThreadPoolExecutor(workers) as pool:
            waiting = [pool.submit(make, *piece, counts_per_g) for piece in pieces]
            try:
                for piece in waiting:
                    piece.result()
                return counts_per_g
            except DoesNotFit as error:  # calibration or the filter's swing made it larger than any raw value
                too_large = error
                for piece in waiting:
                    piece.cancel()
    files = " and ".join(str(device.survey.path) for device in devices.values())
    what = too_large or f"{files}: {largest_g:.1f} g was measured"
    raise RecordingError(f"{what}; no device measures so much: copy the file from the device again")


def clipping(
    devices: Mapping[str, Device], segments: Sequence[Segment], both: np.ndarray, alignment: Alignment | None
) -> list[Mark]:
    """Marks over the blocks with clipped values, neighbours as one."""
    begins = np.array([segment.first for segment in segments])
    marks = []
    for name, device in devices.items():
        found = device.survey
        blocks = found.blocks[found.blocks["clipped"] > 0]
        edges = np.stack([blocks["first"], blocks["first"] + blocks["samples"] - 1])
        edges_ns = found.clock.times_ns(edges.ravel()).reshape(2, -1)
        known = (edges_ns != NO_TIME).all(axis=0)
        blocks, edges_ns = blocks[known], edges_ns[:, known]
        if name == "thigh":
            edges_ns = _back_ns(alignment, edges_ns)
        steps = edges_ns // STEP_NS + np.array([[0], [2]])
        segment = np.maximum(np.searchsorted(both[:, 0], steps, "right") - 1, 0)
        within = np.clip(steps - both[segment, 0], 0, both[segment, 1] - both[segment, 0])
        first, stop = begins[segment] + within
        kept = np.flatnonzero(first < stop)
        joined: list[list[int]] = []
        for a, b, count in zip(
            first[kept].tolist(), stop[kept].tolist(), blocks["clipped"][kept].tolist(), strict=True
        ):
            if joined and a <= joined[-1][1]:
                joined[-1][1:] = [b, joined[-1][2] + count]
            else:
                joined.append([a, b, count])
        marks += [
            Mark(a, b, CLIPPING, f"{name}: {count} raw samples at the end of ±{found.layout.range_g:g} g")
            for a, b, count in joined
        ]
    return sorted(marks, key=lambda mark: mark.first)


def _span(found: Survey) -> str:
    runs = found.clock.runs
    return f"from {clock_time(runs[0].start_ns):%Y-%m-%d %H:%M:%S} to {clock_time(runs[-1].stop_ns):%Y-%m-%d %H:%M:%S}"
