"""What two sensors show in five seconds: where down is, how it moves, and in which sense it goes round.

`down` is the mean acceleration as a unit vector. `sense` is the quadrature of the three axes at 0.5 to 4.5 Hz,
Im(conj(A) x A) / |A|^2, the axis about which the acceleration circles: it turns with the sensor as `down` does, does
not change with time shifts, and in walking it lies along the body's left-right axis, so that gravity and gait together
tell how a sensor is turned (ours).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from selfpab.recording import NON_WEAR, NON_WEAR_OF, Recording

WINDOW_S = 5.0
PIECE_S = 600.0  # read at a time
BAND_HZ = (0.5, 4.5)  # steps, strides and their first harmonics (ours)
COARSE_HZ = 10.0  # the sense is taken from means of so many a second
MOVES_G = 0.05  # root mean square about the mean: below, a window is posture only (ours; standing has 0.02 to 0.04)
STILL_G = 0.012  # a sensor this still for `STILL_S` may not be worn at all: a table has 0.006, lying people 0.01 (ours)
STILL_S = 1200.0
SAME_POSTURE = 0.35  # both directions together, as a distance; a longer step begins a new bout (ours)


class WindowTable(NamedTuple):
    """n windows in order. Sensors: 0 back, 1 thigh, as the columns have it."""

    first: np.ndarray  # int64 (n,), first sample
    down: np.ndarray  # float32 (n, 2, 3), unit vectors
    sense: np.ndarray  # float32 (n, 2, 3), length at most 1
    rms_g: np.ndarray  # float32 (n, 2)
    weight: np.ndarray  # float32 (n,), minutes of evidence; 0 where a sensor lies still or shows nothing

    @property
    def moves(self) -> np.ndarray:
        """bool (n,): both sensors move, so that `sense` means something; swapping or turning does not change it."""
        return self.rms_g.min(1) > MOVES_G

    def rows(self, which: np.ndarray | slice) -> WindowTable:
        """Some of the windows."""
        return WindowTable(*(column[which] for column in self))


def windows_of(recording: Recording) -> WindowTable:
    """Windows of `WINDOW_S`, side by side in each segment; what is left over at its end is not used.

    Reads ten minutes at a time. A week has 121,000 windows, 10 MB.
    """
    step = max(1, round(recording.rate_hz / COARSE_HZ))
    size = round(WINDOW_S * recording.rate_hz / step) * step
    tables = [
        _windows(first, piece[: len(piece) // size * size].reshape(-1, size, 6), step, recording.rate_hz)
        for first, piece in recording.blocks(PIECE_S // WINDOW_S * size / recording.rate_hz)
        if len(piece) >= size
    ]
    if not tables:
        tables = [_windows(0, np.zeros((0, size, 6), np.float32), step, recording.rate_hz)]
    table = WindowTable(*map(np.concatenate, zip(*tables, strict=True)))
    return table._replace(weight=_weights(recording, table))


def _windows(first: int, pieces: np.ndarray, step: int, rate_hz: float) -> WindowTable:
    import scipy.fft  # here, for the front door must not import scipy

    count, size = pieces.shape[:2]
    coarse = pieces[:, ::step].copy()
    for place in range(1, step):  # much faster than a mean over short rows
        coarse += pieces[:, place::step]
    coarse /= step
    mean = coarse.mean(1)
    coarse -= mean[:, None]
    around = pieces - mean[:, None]
    square = np.einsum("nic,nic->nc", around, around) / size
    frequencies = np.fft.rfftfreq(size // step, step / rate_hz)
    band = (frequencies >= BAND_HZ[0]) & (frequencies <= BAND_HZ[1])
    coarse *= np.hanning(size // step).astype(np.float32)[:, None]
    spectra = np.asarray(scipy.fft.rfft(coarse, axis=1))[:, band].reshape(count, int(band.sum()), 2, 3)
    power = np.square(np.abs(spectra)).sum((1, 3))
    x, y, z = np.moveaxis(spectra, 3, 0)
    quadrature = np.stack([np.imag(a.conj() * b).sum(1) for a, b in ((y, z), (z, x), (x, y))], 2)
    mean = mean.reshape(count, 2, 3)
    length = np.linalg.norm(mean, axis=2)
    return WindowTable(
        first + size * np.arange(count),
        (mean / np.maximum(length, 1e-6)[:, :, None]).astype(np.float32),
        (2 * quadrature / np.maximum(power, 1e-9)[:, :, None]).astype(np.float32),
        np.sqrt(square.reshape(count, 2, 3).sum(2)).astype(np.float32),
        # A constant channel is a broken sensor; in a worn one, the mean of five seconds is near 1 g.
        ((square > 0).all(1) & (length > 0.5).all(1)).astype(np.float32),
    )


def _weights(recording: Recording, table: WindowTable) -> np.ndarray:
    """Minutes of evidence per window, float32 (n,).

    Windows are not independent: a bout of one posture or movement, n minutes long, counts as 1 + ln(n) minutes.
    """
    usable = table.weight > 0
    for mark in recording.marks:
        if mark.kind in (NON_WEAR, *NON_WEAR_OF.values()):
            usable[np.searchsorted(table.first, mark.first) : np.searchsorted(table.first, mark.stop)] = False
    for sensor in range(2):
        still = table.rms_g[:, sensor] < STILL_G
        begins = np.flatnonzero(np.diff(still, prepend=False) & still)
        stops = np.flatnonzero(np.diff(still, append=False) & still) + 1
        for begin, stop in zip(begins, stops, strict=True):
            if (stop - begin) * WINDOW_S >= STILL_S:
                usable[begin:stop] = False
    step = np.linalg.norm(np.diff(table.down.reshape(-1, 6), axis=0, prepend=2.0), axis=1)
    new = (step > SAME_POSTURE) | np.diff(table.moves, prepend=False)
    places = np.arange(len(new))
    age_min = (places - np.maximum.accumulate(np.where(new, places, 0))) * WINDOW_S / 60
    return np.where(usable, WINDOW_S / 60 / np.maximum(age_min, 1), 0).astype(np.float32)
