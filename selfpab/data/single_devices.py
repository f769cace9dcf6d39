"""One raw device file, of the back or of the thigh -> a Recording of which the other sensor measured nothing.

As `device_pairs` makes one of two, but for the clocks: there is nothing to lay this one's beside.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from selfpab.data.checks import RATE_HZ, STEP_NS
from selfpab.data.device_pairs import (
    clipping,
    fill,
    segments_of,
    stretches_of,
    surveyed,
    temperatures,
    without_movement,
)
from selfpab.data.pair_sources import source_of_one
from selfpab.data.presence import clock_time
from selfpab.data.wear import non_wear
from selfpab.recording import CHANNELS, SENSOR_MISSING_OF, SENSORS, Mark, Recording, RecordingError
from selfpab.scratch import room_for
from selfpab.sensors import NOT_THERE


def read_single(
    path: str | Path,
    sensor: str,
    *,
    subject: str | None = None,
    calibrate: bool = True,
    look_for_non_wear: bool = True,
    room: Callable[[tuple[int, int]], np.ndarray] | None = None,
    workers: int = 2,
) -> Recording:
    """One person's recording from the file of one sensor.

    Samples lie at multiples of 20 ms of its clock; the other sensor's are 0, and a mark "sensor dropout back" or "... thigh"
    lies over all of them.

    sensor : back or thigh, where it was worn. The rest is as of `device_pairs.read_pair`.

    Raises RecordingError (a ValueError) that names the file, ValueError for another sensor.
    """
    if sensor not in SENSORS:
        raise ValueError(f"wanted {' or '.join(SENSORS)}, where {path} was worn; got {sensor!r}")
    (device,) = surveyed([Path(path)], calibrate, workers)
    device = device._replace(survey=without_movement(device.survey))
    stretches = stretches_of(device.survey, None)
    if not len(stretches):
        raise RecordingError(f"{path}: holds less than a sample of 50 Hz; leave it out")
    segments = segments_of(stretches)
    shape = (segments[-1].stop, len(CHANNELS))
    samples = room_for(shape, np.int16) if room is None else room(shape)
    devices = {sensor: device}
    there = {sensor: np.ones(len(segments), bool)}
    counts_per_g = fill(samples, devices, segments, stretches, there, None, workers)
    other = next(name for name in SENSORS if name != sensor)
    absent = Mark(0, len(samples), SENSOR_MISSING_OF[other], f"{other} {NOT_THERE}")
    recording = Recording(
        subject=Path(path).stem if subject is None else subject,
        start=clock_time(int(stretches[0, 0]) * STEP_NS),
        rate_hz=RATE_HZ,
        samples=samples,
        segments=segments,
        source=source_of_one(device, sensor, len(samples)),
        counts_per_g=counts_per_g,
    ).with_marks([absent, *clipping(devices, segments, stretches, None)])
    if not look_for_non_wear:
        return recording
    off = non_wear(recording, temperature=temperatures(devices, int(stretches[0, 0]) * STEP_NS, None))
    return recording.with_marks([*recording.marks, *off])
