"""The 161 features of `svm` and `xgb`: five seconds, 250 samples at 50 Hz, to numbers (paper, section 4.2; BEHAVIOUR (g)).

Every axis (the six and the norms of back and thigh) is split into gravity, what a filtfilt with a 4th-order Butterworth
low-pass at 1 Hz leaves of it, and movement, the rest. Over windows of one length filtfilt is linear, and differs from a
multiplication of the spectrum by the filter's squared gain only through the states in which its two passes begin, four
numbers each: a matrix of rank 8. The spectrum is wanted anyway, so gravity costs one inverse transform.
Legend: W windows, A axes (8), N samples of a window (250), F bins of a spectrum (126).
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from selfpab.recording import CHANNELS
from selfpab.workers import threads_each

SAMPLES = 250
RATE_HZ = 50.0
CUT_OFF_HZ = 1.0
PADDING = 15  # filtfilt's own for a filter of order 4: three times its five coefficients
QUANTILES = {"q0": 0, "q25": 62, "q50": 125, "q75": 187, "q100": 249}  # places in order of size, nothing interpolated
LEAST_PRODUCT = 1e-6  # g²: a product of two standard deviations below it counts as so much in a correlation
STILL_G = 1e-9  # an axis whose movement deviates by less is constant: beyond float32 and any sensor; ours
AXES = (*CHANNELS, "magnitude_b", "magnitude_t")
PAIRS = (*itertools.combinations(range(6), 2), (6, 7))
AT_ONCE = 128  # windows, 10 MB: few enough for the processor's caches, enough that threads seldom wait for each other
WORTH_A_THREAD = 16  # windows; fewer are not shared out


def _names() -> tuple[str, ...]:
    gravity = [f"{name}_gravity" for name in ("mean", "cv", "std", *QUANTILES)]
    spectrum = [f"freq_{name}" for name in ("mean", "dom", "dom_mag", "total_signal_power", "std", "cent")]
    return (
        *(f"{name}_{axis}" for name in (*gravity, "skew", "kurtosis", "energy") for axis in AXES),
        *(f"axes_corr_{AXES[one]}_{AXES[other]}" for one, other in PAIRS),
        *(f"mean_{back}_{thigh}" for back in AXES[:3] for thigh in AXES[3:6]),
        *(f"{name}_{axis}" for name in spectrum for axis in AXES),
    )


FEATURES = _names()


def window_features(windows: np.ndarray) -> np.ndarray:
    """The features of windows, in the order of `FEATURES`: (W, 250, 6) in g -> float64 (W, 161).

    A row depends on its window alone, so a long recording is given piece by piece and memory stays that of a piece. Work
    is shared among as many threads as there are cores, at most OMP_NUM_THREADS; they change no value.

    An axis that does not move (standard deviation of movement below 1e-9 g) has skewness 0, kurtosis -3, and 0 for all
    that is made of its movement and its spectrum. There the authors' values are the rounding of their filter, except
    where the signal is zero throughout, and those are the same. Everything is computed in float64: skewness, kurtosis
    and centroid of a sensor lying still are those of the last bits of a signal beside 1 g, and would be lost in float32.

    Raises ValueError for another shape, and for values that are not finite.

    >>> still = np.zeros((2, 250, 6)) + np.array([-1, 0, 0, -1, 0, 0])
    >>> values = dict(zip(FEATURES, window_features(still)[1].round(9).tolist()))
    >>> len(values), values["mean_gravity_back_x"], values["q50_gravity_magnitude_t"], values["energy_back_x"]
    (161, -1.0, 1.0, 0.0)
    """
    if windows.ndim != 3 or windows.shape[1:] != (SAMPLES, len(CHANNELS)):
        raise ValueError(
            f"wanted windows of shape (windows, {SAMPLES}, {len(CHANNELS)}): five seconds at {RATE_HZ:g} Hz of "
            f"{', '.join(CHANNELS)}; got {windows.shape}"
        )
    features = np.empty((len(windows), len(FEATURES)))
    threads = threads_each(1)
    size = min(AT_ONCE, max(WORTH_A_THREAD, -(-len(windows) // threads)))

    def fill(first: int) -> None:
        room = _ROOMS.pop() if _ROOMS else _room()
        _fill(features[first : first + size], windows[first : first + size], room)
        _ROOMS.append(room)

    _filter()  # before the threads, which would each make it
    firsts = range(0, len(windows), size)
    if threads == 1 or len(firsts) <= 1:
        for first in firsts:
            fill(first)
    else:
        with ThreadPoolExecutor(min(threads, len(firsts))) as pool:
            list(pool.map(fill, firsts))
    if strange := np.flatnonzero(~np.isfinite(features[:, : len(AXES)]).all(axis=1)).tolist():
        raise ValueError(f"window {strange[0]} (and {len(strange) - 1} more) holds values that are not finite")
    return features


class _Room(NamedTuple):
    """Arrays for what is computed on the way."""

    signal: np.ndarray  # (W, A, N), then movement
    gravity: np.ndarray  # (W, A, N), then squares of movement
    spectrum: np.ndarray  # (W, A, F) complex, of the signal, then of movement
    low: np.ndarray  # (W, A, F) complex, of gravity
    spare: np.ndarray  # (W, A, 2 F)


_ROOMS: list[_Room] = []  # kept from call to call: new arrays would be fetched from the system page by page


def _room() -> _Room:
    bins = SAMPLES // 2 + 1
    signal, gravity = np.empty((2, AT_ONCE, len(AXES), SAMPLES))
    spectrum, low = np.empty((2, AT_ONCE, len(AXES), bins), np.complex128)
    return _Room(signal, gravity, spectrum, low, np.empty((AT_ONCE, len(AXES), 2 * bins)))


def _fill(features: np.ndarray, windows: np.ndarray, room: _Room) -> None:
    room = _Room(*(array[: len(windows)] for array in room))
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found at the end
        _eight_axes(windows, room.signal)
        mean, offset, power = _split(room)
        groups = _of_gravity(room, mean, offset) + _of_movement(room)
        groups.append(((mean[:, :3, None] + mean[:, None, 3:6]) / 2).reshape(len(windows), 9))
        groups += _of_spectrum(room, power)
    np.concatenate(groups, axis=1, out=features)


def _eight_axes(windows: np.ndarray, signal: np.ndarray) -> None:
    signal[:, :6] = windows.transpose(0, 2, 1)
    for sensor in (0, 1):
        axes, norms = signal[:, 3 * sensor : 3 * sensor + 3], signal[:, 6 + sensor]
        np.sqrt(np.einsum("wan,wan->wn", axes, axes), out=norms)


def _split(room: _Room) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean of gravity, mean of movement, power of movement), each (W, A).

    Afterwards signal and spectrum are those of movement, the signal less its mean, which gravity has instead.
    """
    signal, gravity, spectrum, low, spare = room
    gain, states, responses = _filter()
    np.fft.rfft(signal, out=spectrum)
    parts, low_parts = spectrum.view(np.float64), low.view(np.float64)
    np.multiply(parts, gain, out=low_parts)
    low_parts += np.matmul(signal @ states, responses, out=spare)
    mean = np.real(low[..., 0]) / SAMPLES
    spectrum -= low
    offset = np.real(spectrum[..., 0]) / SAMPLES
    low[..., 0] += spectrum[..., 0]
    np.fft.irfft(low, SAMPLES, out=gravity)
    signal -= gravity
    power = np.vecdot(parts, parts)
    still = power < (STILL_G * SAMPLES) ** 2 / 2  # Parseval, over half a spectrum
    for values in (signal, spectrum, power):
        values[still] = 0
    return mean, offset, power


def _of_gravity(room: _Room, mean: np.ndarray, offset: np.ndarray) -> list[np.ndarray]:
    """[mean, cv, std, quantiles], each (W, A); `room.gravity` is sorted afterwards."""
    above = room.low.view(np.float64)[..., 2:]  # all but the mean, so that no digits cancel
    std = np.sqrt(2 * np.vecdot(above, above) - np.real(room.low[..., -1]) ** 2) / SAMPLES
    room.gravity.sort(axis=-1)
    return [mean, _ratio(std, mean), std, *(room.gravity[..., place] - offset for place in QUANTILES.values())]


def _of_movement(room: _Room) -> list[np.ndarray]:
    """[skew, kurtosis, energy, correlations], (W, A) and (W, 16)."""
    movement, squares = room.signal, room.gravity
    mean = np.real(room.spectrum[..., 0]) / SAMPLES
    np.multiply(movement, movement, out=squares)
    variance = np.vecdot(movement, movement) / SAMPLES
    third = np.vecdot(squares, movement) / SAMPLES
    std = np.sqrt(variance)
    # less the last column, which no pair needs: of a matrix and all of itself numpy makes a slower product
    products = movement @ movement[:, :-1].transpose(0, 2, 1) / SAMPLES
    first, second = np.array(PAIRS).T
    return [
        _ratio(third, variance * std),
        _ratio(np.vecdot(squares, squares) / SAMPLES, variance * variance) - 3,
        SAMPLES * (variance + mean * mean),
        products[:, second, first] / np.maximum(std[:, first] * std[:, second], LEAST_PRODUCT),
    ]


def _of_spectrum(room: _Room, power: np.ndarray) -> list[np.ndarray]:
    """[mean, place of the largest, largest, power, deviation, centroid] of the amplitudes, each (W, A)."""
    amplitude = np.abs(room.spectrum, out=room.spare.reshape(2, *room.spectrum.shape)[0])
    bins = amplitude.shape[-1]
    total, moment = np.moveaxis(amplitude @ np.stack([np.ones(bins), np.arange(bins) / SAMPLES], axis=1), -1, 0)
    mean = total / bins
    place = amplitude.argmax(axis=-1)
    largest = np.take_along_axis(amplitude, place[..., None], axis=-1)[..., 0]
    std = np.sqrt(power / bins - mean * mean)  # few digits cancel: bins below 1 Hz are nearly 0, so no spectrum is flat
    return [mean, place / SAMPLES, largest, power, std, _ratio(moment, total)]


def _ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.divide(one, other, out=np.zeros_like(one), where=other != 0)


@lru_cache(maxsize=1)
def _filter() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """filtfilt in parts: spectrum of gravity = gain * spectrum + (signal @ states) @ responses.

    gain : of a real spectrum laid out (real, imaginary), (2 F,); states : (N, 8); responses : (8, 2 F), of that layout.
    """
    from scipy import signal

    sections = signal.butter(4, CUT_OFF_HZ, fs=RATE_HZ, output="sos")  # the same filter as (b, a), 1e4 times more exact
    impulses = np.eye(SAMPLES)
    whole = signal.sosfiltfilt(sections, impulses, axis=0, padlen=PADDING)
    places: Any = 2 * np.pi * np.arange(SAMPLES // 2 + 1) / SAMPLES  # scipy declares a count alone
    _, response = signal.sosfreqz(sections, places)
    gain = np.abs(response) ** 2
    gain[0] = 1.0  # a constant passes unchanged, to the last bit
    around = np.fft.irfft(gain[:, None] * np.fft.rfft(impulses, axis=0), SAMPLES, axis=0)
    left, sizes, right = np.linalg.svd(whole - around)
    states = right[:8].T - right[:8].mean(axis=1)  # nor does a constant change the states
    responses = np.ascontiguousarray(np.fft.rfft((left[:, :8] * sizes[:8]).T)).view(np.float64)
    return np.repeat(gain, 2), np.ascontiguousarray(states), responses
