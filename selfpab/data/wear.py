"""Was anybody wearing the sensors? Marks of non-wear, of both sensors or of one, by stillness, life and temperature.

What lies on a table is still and does not turn. A body asleep is nearly as still, for minutes, but turns a little every
now and then, breathes, and is warm. So a sensor that is still in every 10 s (van Hees et al. 2011, 2013) and does not turn
is off after a time that depends on what else is known (`_needed_s`). Sensors that are carried about, in a bag or by
post, look worn. Ours. Legend: E epochs, W windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from selfpab.recording import NON_WEAR, NON_WEAR_OF, SENSOR_MISSING_OF, SENSORS, Mark, Recording

EPOCH_S = 10.0
LEAST_EPOCH_S = 1.0  # what is left at a segment's end is an epoch from so much on
STILL_G = 0.013  # sd of every axis in an epoch (van Hees); an AX3's own noise is 2 to 8 mg
TURN_G = 0.005  # of an epoch's mean: 0.3 degrees. A device wanders by 0.5 mg, and by 1 mg per degree of temperature
TURN_EPOCHS = (1, 6)  # against the epoch before and the one a minute before
COOLED_C = 2.0  # fallen by; off a body it is 5 and more after ten minutes, under a blanket that slips 1
WARM_C = 30.0  # as skin; Vert et al. 2022 (doi 10.1186/s12874-022-01633-6) see no non-wear above
SHORT_S, MEDIUM_S, LONG_S = 15 * 60.0, 45 * 60.0, 180 * 60.0  # HARTH and HAR70+ have 7.5 minutes at most
WINDOW_EPOCHS, MOST_WINDOWS = 4, 45  # looked at for life
BREATH_HZ, HEART_HZ, FLOOR_HZ = (0.12, 0.5), (0.7, 3.0), (5.0, 12.0)
LIFE = 1.4  # power density of breath or heart against the floor; white noise has 1, real people at rest 1.2 to 20
LEAST_NOISE_G = 1e-4  # added to all three, for a value that never changes has no floor
OTHER_MOVES_G, OTHER_MOVES_S = 0.05, 120.0
JOIN_S = 300.0  # nobody wears sensors for less than five minutes between two stretches of non-wear
BLOCK_S = 600.0  # read at once

Temperatures = Mapping[str, tuple[np.ndarray, np.ndarray]]


class _Epochs(NamedTuple):
    """10 s each, or what is left of a segment."""

    first: np.ndarray  # int64 (E,), sample
    samples: np.ndarray  # int64 (E,)
    start_s: np.ndarray  # float64 (E,)
    mean_g: np.ndarray  # float32 (E, 6)
    sd_g: np.ndarray  # float32 (E, 2), largest of a sensor's axes


class _Off(NamedTuple):
    """Samples `first` to `stop` in which a sensor was off."""

    first: int
    stop: int
    evidence: str


def non_wear(recording: Recording, *, temperature: Temperatures | None = None) -> tuple[Mark, ...]:
    """Marks of the stretches in which the sensors were not worn, in order and without overlap.

    Kind "non-wear": neither sensor was worn. "non-wear back" and "non-wear thigh": this one was not. A mark begins when
    the sensor was put down and ends when it was picked up, to the second; what is before and after may have been put on
    differently. `evidence` says why, in words.

    A sensor is off where it is still (sd of every axis below 13 mg in every 10 s) and does not turn (by 0.3 degrees),
    together with the other one for 45 minutes without breath or heartbeat. Where temperature is known, 15 minutes do
    if both cooled down by 2 degrees too, and if they did, 45 even with what looks like life (a machine's vibration). Three
    hours are enough for anything. A sensor that lies alone is off after 45 minutes if the other one moves, else after
    three hours. One that is the only one (a mark "sensor dropout" of the other lies over all) is judged as two together.
    Gaps neither count nor interrupt, and stretches less than five minutes apart are one.

    Parameters
    ----------
    temperature : of "back" and "thigh", or one of them: seconds since the start, in order, and degrees Celsius, (n,) each.

    Raises ValueError for other names. Memory beyond a block is 1.1 MB a day (33 MB for a month).
    """
    temperature = temperature or {}
    if strange := set(temperature) - set(SENSORS):
        raise ValueError(f"temperature has the sensors {' and '.join(SENSORS)}, got {sorted(strange)}")
    epochs = _epochs(recording)
    absent = [_within(recording, SENSOR_MISSING_OF[sensor], epochs.first) for sensor in SENSORS]
    there = tuple(place for place, gone in enumerate(absent) if not gone.all())
    links = [_linked(epochs, place) & ~absent[place] for place in range(len(SENSORS))]
    both = np.logical_and.reduce([links[place] | absent[place] for place in there]) if there else absent[0]
    together = []
    for run in _runs(both & ~np.logical_and.reduce(absent)):
        if why := _why_off(recording, epochs, run, there, temperature, alone=False):
            together.append((*run, why))
    off: list[list[_Off]] = [[], []]
    for sensor in there:
        found = []
        for first, stop in _runs(links[sensor]):
            shared = [why for a, b, why in together if first < b and a < stop]
            why = shared[0] if shared else ""
            if not shared and len(there) > 1:
                why = _why_off(recording, epochs, (first, stop), (sensor,), temperature, alone=True)
            if why:
                found.append(_Off(*_edges(recording, epochs, first, stop, sensor), why))
        off[sensor] = _joined(found, recording)
    return tuple(_marks(off[0], off[1], round(EPOCH_S * recording.rate_hz)))


def _within(recording: Recording, kind: str, samples: np.ndarray) -> np.ndarray:
    """Which of these samples lie under a mark of this kind, bool."""
    found = np.zeros(len(samples), bool)
    for mark in recording.marks:
        if mark.kind == kind:
            found[np.searchsorted(samples, mark.first) : np.searchsorted(samples, mark.stop)] = True
    return found


def _epochs(recording: Recording) -> _Epochs:
    size = round(BLOCK_S * recording.rate_hz)
    parts = []
    for segment in recording.segments:
        for first in range(segment.first, segment.stop, size):
            start_s = segment.start_s + (first - segment.first) / recording.rate_hz
            piece_g = recording.piece(first, min(first + size, segment.stop))
            parts += _block_epochs(piece_g, first, start_s, recording.rate_hz)
    if not parts:
        none = np.zeros(0, np.int64)
        return _Epochs(none, none, np.zeros(0), np.zeros((0, 6), np.float32), np.zeros((0, 2), np.float32))
    return _Epochs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _block_epochs(piece_g: np.ndarray, first: int, start_s: float, rate_hz: float) -> Iterator[_Epochs]:
    """Whole epochs of a piece without a gap, float32 (n, 6), then what is left of it."""
    size = round(EPOCH_S * rate_hz)
    whole = len(piece_g) // size
    for count, length, at in ((whole, size, 0), (1, len(piece_g) - whole * size, whole * size)):
        if not count or length < LEAST_EPOCH_S * rate_hz:
            continue
        values = piece_g[at : at + count * length].reshape(count, length, 6)
        # A product with a matrix of ones adds up six columns ten times as fast as a sum over the middle axis.
        ones = np.tile(np.eye(6, dtype=np.float32), (length, 1))
        offset = values[:, :1]
        apart = (values - offset).reshape(count, -1)  # of similar size: float32 is exact enough
        mean = apart @ ones / length
        variance = np.square(apart, out=apart) @ ones / length - mean**2
        sd = np.sqrt(np.maximum(variance, 0)).reshape(count, 2, 3).max(axis=2)
        place = np.arange(count) * length + at
        yield _Epochs(
            place + first, np.full(count, length), start_s + place / rate_hz, mean + offset[:, 0], sd.astype(np.float32)
        )


def _linked(epochs: _Epochs, sensor: int) -> np.ndarray:
    """Whether an epoch goes on where the one before was, still and without a turn, bool (E,)."""
    still = epochs.sd_g[:, sensor] < STILL_G
    mean_g = epochs.mean_g[:, 3 * sensor : 3 * sensor + 3]
    linked = still & np.concatenate([[False], still[:-1]])[: len(still)]
    since = np.arange(len(still)) - np.maximum.accumulate(np.where(still, -1, np.arange(len(still))))
    for lag in TURN_EPOCHS:
        turned = np.abs(mean_g[lag:] - mean_g[:-lag]).max(axis=1, initial=0) >= TURN_G
        linked[lag:] &= ~(turned & (since[lag:] > lag))  # what was before some movement is no turn
    return linked


def _runs(linked: np.ndarray) -> list[tuple[int, int]]:
    """First and stop of the epochs that hang together."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], linked, [False]]).astype(np.int8)))
    return [(int(a) - 1, int(b)) for a, b in zip(change[::2], change[1::2], strict=True)]


def _why_off(
    recording: Recording,
    epochs: _Epochs,
    run: tuple[int, int],
    sensors: tuple[int, ...],
    temperature: Temperatures,
    *,
    alone: bool,
) -> str:
    """Evidence in words that these sensors were off in a run of epochs; "" where they may have been worn.

    alone : another one may have been worn meanwhile.
    """
    first, stop = run
    seconds = epochs.samples[first:stop].sum() / recording.rate_hz
    if seconds < (MEDIUM_S if alone else SHORT_S):
        return ""
    own = SENSORS[sensors[0]]
    name = f"{own} alone" if alone else "both sensors" if len(sensors) > 1 else f"the {own} sensor"
    told = [f"{name} still for {seconds / 60:.0f} min without a turn"]
    if alone:
        other = 1 - SENSORS.index(own)
        moving = epochs.samples[first:stop][epochs.sd_g[first:stop, other] > OTHER_MOVES_G].sum() / recording.rate_hz
        if moving < OTHER_MOVES_S:
            return "; ".join(told) if seconds >= LONG_S else ""
        told.append(f"{SENSORS[other]} moving for {moving / 60:.0f} min of it")
    life = _life(recording, epochs, run, sensors)
    lifeless = life < LIFE
    told.append(f"{'no ' if lifeless else ''}breath or heartbeat ({life:.1f} times the noise; life from {LIFE:g})")
    fall_c, end_c = _temperatures(epochs, run, sensors, temperature)
    cooled = fall_c >= COOLED_C and end_c < WARM_C
    if np.isfinite(fall_c):
        told.append(
            f"{'cooler' if fall_c > 0 else 'warmer'} by {abs(fall_c):.1f} degrees at the end, {end_c:.0f} degrees"
        )
    return "; ".join(told) if seconds >= _needed_s(lifeless, cooled, end_c >= WARM_C, alone) else ""


def _needed_s(lifeless: bool, cooled: bool, warm: bool, alone: bool) -> float:
    """How long sensors must be still; `cooled` and `warm` are False where temperature is not known."""
    if warm:
        return LONG_S
    if lifeless and cooled and not alone:
        return SHORT_S
    return MEDIUM_S if lifeless or cooled else LONG_S


def _life(recording: Recording, epochs: _Epochs, run: tuple[int, int], sensors: tuple[int, ...]) -> float:
    """Power density where breath and heart are against that of the noise, largest of the axes; infinite if not known.

    The median over windows of 40 s, evenly spread: one door that slams is no life.
    """
    size = round(EPOCH_S * recording.rate_hz)
    firsts = epochs.first[run[0] : run[1]]
    starts = epochs.start_s[run[0] : run[1]]
    span = WINDOW_EPOCHS - 1
    if len(firsts) <= span:
        return float("inf")
    whole = (firsts[span:] - firsts[:-span] == span * size) & (starts[span:] - starts[:-span] < span * EPOCH_S + 0.1)
    whole &= epochs.samples[run[0] + span : run[1]] == size
    places = firsts[:-span][whole]
    if not len(places):
        return float("inf")
    chosen = places[np.unique(np.linspace(0, len(places) - 1, MOST_WINDOWS).astype(int))]
    length = WINDOW_EPOCHS * size
    hz = np.fft.rfftfreq(length, 1 / recording.rate_hz)
    taper = np.hanning(length)[:, None]
    axes = [3 * sensor + axis for sensor in sensors for axis in range(3)]
    least = LEAST_NOISE_G**2 * (taper**2).sum()
    densities = np.empty((len(chosen), 3, len(axes)))
    for row, first in enumerate(chosen):
        values = recording.piece(int(first), int(first) + length)[:, axes].astype(np.float64)
        power = np.abs(np.fft.rfft((values - values.mean(axis=0)) * taper, axis=0)) ** 2
        for column, (low, high) in enumerate((BREATH_HZ, HEART_HZ, FLOOR_HZ)):
            densities[row, column] = power[(hz >= low) & (hz < high)].mean(axis=0) + least
    breath, heart, floor = np.median(densities, axis=0)
    return float((np.maximum(breath, heart) / floor).max())


def _temperatures(
    epochs: _Epochs, run: tuple[int, int], sensors: tuple[int, ...], temperature: Temperatures
) -> tuple[float, float]:
    """By how much the temperature fell (the least of the sensors') and the warmest end; NaN where not known."""
    begins_s, ends_s = epochs.start_s[run[0]], epochs.start_s[run[1] - 1] + EPOCH_S
    falls, ends = [], []
    for sensor in sensors:
        times_s, degrees = temperature.get(SENSORS[sensor], (np.zeros(0), np.zeros(0)))
        start = degrees[np.searchsorted(times_s, begins_s) : np.searchsorted(times_s, begins_s + 120)]
        end = degrees[np.searchsorted(times_s, ends_s - 120) : np.searchsorted(times_s, ends_s)]
        if len(start) and len(end):
            falls.append(float(np.median(start) - np.median(end)))
            ends.append(float(np.median(end)))
    return (min(falls), max(ends)) if falls else (float("nan"), float("nan"))


def _edges(recording: Recording, epochs: _Epochs, first: int, stop: int, sensor: int) -> tuple[int, int]:
    """Samples at which the sensor was put down and picked up: a run of epochs, and the still seconds beside it."""
    begin = int(epochs.first[first])
    end = int(epochs.first[stop - 1] + epochs.samples[stop - 1])
    second = round(recording.rate_hz)
    axes = slice(3 * sensor, 3 * sensor + 3)

    def rests(a: int, b: int, mean_g: np.ndarray) -> bool:
        values = recording.piece(a, b)[:, axes]
        return bool((values.std(axis=0) < STILL_G).all() and (np.abs(values.mean(axis=0) - mean_g) < TURN_G).all())

    earliest = int(epochs.first[first - 1]) if first else 0
    while begin - second >= earliest and rests(begin - second, begin, epochs.mean_g[first, axes]):
        begin -= second
    latest = int(epochs.first[stop] + epochs.samples[stop]) if stop < len(epochs.first) else len(recording)
    while end + second <= latest and rests(end, end + second, epochs.mean_g[stop - 1, axes]):
        end += second
    return begin, len(recording) if len(recording) - end < second else end


def _joined(found: Iterable[_Off], recording: Recording) -> list[_Off]:
    """Stretches of one sensor less than JOIN_S of recorded time apart are one."""
    joined: list[_Off] = []
    for off in found:
        if joined and off.first - joined[-1].stop < JOIN_S * recording.rate_hz:
            before = joined.pop()
            evidence = before.evidence if off.evidence in before.evidence else f"{before.evidence}; then {off.evidence}"
            off = _Off(before.first, max(before.stop, off.stop), evidence)
        joined.append(off)
    return joined


def _marks(back: list[_Off], thigh: list[_Off], least: int) -> Iterator[Mark]:
    """Both off, or one; where only one was for less than `least` samples beside both, it was being put down."""
    edges = sorted({edge for off in (*back, *thigh) for edge in (off.first, off.stop)})
    for first, stop in pairwise(edges):
        whys = [next((off.evidence for off in some if off.first <= first < off.stop), "") for some in (back, thigh)]
        if all(whys):
            yield Mark(first, stop, NON_WEAR, whys[0] if whys[0] == whys[1] else "; ".join(whys))
        elif any(whys) and stop - first >= least:
            yield Mark(first, stop, NON_WEAR_OF[SENSORS[0 if whys[0] else 1]], whys[0] or whys[1])
