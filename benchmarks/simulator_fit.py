"""Fit the simulator's tables to real recordings: python benchmarks/simulator_fit.py DATA_FOLDER [phases]

With `phases` the amplitudes and levels stay as they are.

Writes selfpab/data/motion_tables.py: median harmonics of the stride over people, and levels of coloured noise such that
the mean spectra of simulated people come to the geometric mean over real ones (multiplicative updates, `ROUNDS` times).
Only these summary numbers leave the recordings. DATA_FOLDER holds har70plus/ and harth/ with one parquet each.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from simulator_realism import CODES, mean_spectra, real_people, simulated_people

from selfpab.data import motion_tables, movement

HARMONICS = 20
ROUNDS = 12
KNOTS_HZ = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 20.0, 25.0)
# code: channels in which the rhythm is clearest, band in Hz, strides per cycle found there
RHYTHM = {
    1: ((0,), 1.2, 2.4, 2),
    2: ((0,), 2.2, 3.2, 2),
    4: ((0, 2), 1.1, 2.4, 2),
    5: ((0,), 1.2, 2.6, 2),
    13: ((3, 5), 0.5, 2.0, 1),
    14: ((1,), 0.5, 1.6, 1),
}
COMMON = (1, 3, 6, 7, 8)  # fitted in free living, where getting up and down has its natural share; others in turn
SHUFFLING_STEP = 0.25  # of walking: the few irregular steps in it; the rest is noise


def main(folder: Path, *, phases_only: bool = False) -> None:
    people = real_people(folder, ("har70plus", "harth"))
    phases = {code: _phases(people, code) for code in RHYTHM}
    phases[3] = phases[1]
    if phases_only:
        kept = ({c: np.array(v) for c, v in t.items()} for t in (motion_tables.HARMONICS_G, motion_tables.NOISE_G))
        return _write(Path(motion_tables.__file__), *kept, phases)
    harmonics = {code: _harmonics(people, code) for code in RHYTHM}
    harmonics[3] = SHUFFLING_STEP * harmonics[1]
    wanted = _geometric_mean([mean_spectra(*person) for person in people.values()])
    noise = {code: np.full((6, len(KNOTS_HZ)), 0.02) for code in CODES}
    for round_ in range(ROUNDS):
        for table, values in ((motion_tables.HARMONICS_G, harmonics), (motion_tables.NOISE_G, noise)):
            table.clear()
            table.update({code: value.round(5).tolist() for code, value in values.items()})
        motion_tables.KNOTS_HZ = movement.KNOTS_HZ = KNOTS_HZ
        got = _geometric_mean([mean_spectra(*person) for person in simulated_people(16, 1.0, 0, "protocol").values()])
        free = [mean_spectra(*person) for person in simulated_people(16, 2.0, 0, "free-living").values()]
        got |= {code: _geometric_mean(free, (code,))[code] for code in COMMON}
        for code in CODES:
            step = np.log(wanted[code] / got[code])  # (6, 26)
            error = float(np.sqrt(np.mean((20 * step / np.log(10))[:, 2:] ** 2)))
            print(f"round {round_} code {code}: {error:.2f} dB", flush=True)
            bins = np.maximum(np.array(KNOTS_HZ), 2.0)  # bins 0 and 1 hold gravity, not movement
            change = np.stack([np.interp(bins, np.arange(26), _smooth(row)) for row in step])
            gained = noise[code] * np.exp(np.clip(1.2 * change, -0.9, 0.9))
            # Where the harmonics alone are too much, the noise falls to its floor and the harmonics come down.
            noise[code] = np.clip(gained, 1e-4, None)
            if code in harmonics:
                hz = movement.PROFILES[code].stride_hz[0] * np.arange(1, HARMONICS + 1)
                own = np.stack([np.interp(np.clip(hz, 1.5, 25), np.arange(26), _smooth(row)) for row in step])
                own = own.mean(1, keepdims=True)  # the balance of the harmonics stays as measured
                harmonics[code] = harmonics[code] * np.exp(np.clip(0.3 * own, -0.2, 0.2))
    _write(Path(motion_tables.__file__), harmonics, noise, phases)


def _smooth(row: np.ndarray) -> np.ndarray:
    padded = np.concatenate([row[2:3], row[2:3], row[2:], row[-1:]])  # bins 0 and 1 are gravity's
    return np.concatenate([row[2:3], np.convolve(padded, [0.25, 0.5, 0.25], "valid")])


def _harmonics(people: dict[str, tuple[np.ndarray, np.ndarray]], code: int) -> np.ndarray:
    """Median amplitude at the multiples of the stride frequency, (6, HARMONICS) in g; geometric mean over people."""
    found = [np.median(np.abs(strides), axis=0) for strides in _strides(people, code)]
    return np.exp(np.mean(np.log(found), axis=0)).T


def _phases(people: dict[str, tuple[np.ndarray, np.ndarray]], code: int) -> np.ndarray:
    """Mean phase of the multiples of the stride frequency, (6, HARMONICS) in radians, every person counting once.

    Zero is where the thigh is furthest forward: where the first harmonic of thigh_z, which gravity rules, is largest.
    An error there counts k times in the k-th harmonic, so the first three are as measured, thigh_x against zero and
    the other channels against thigh_x. The higher ones meet at the one moment that fits thigh_x best, on both sensors:
    an impact. With measured ones, or different ones by channel, the lag between simulated backs and thighs spreads by
    54 ms over people, on 29 real ones by 19 ms; so, by 25 ms.
    """
    order = np.arange(1, HARMONICS + 1)
    absolute, relative = [], []
    for strides in _strides(people, code):
        zero = np.angle(strides[:, :1, 5])
        turned = strides[:, :, 3] * np.exp(-1j * zero * order)
        absolute.append((turned / np.abs(turned)).mean(0))
        against = strides * strides[:, :, 3:4].conj()
        relative.append((against / np.abs(against)).mean(0))
    thigh_x, others = (np.mean([m / np.abs(m) for m in means], axis=0) for means in (absolute, relative))
    print(f"code {code}: people agree by {np.abs(thigh_x)[:8].round(2).tolist()}, ", end="")
    print(f"channels against thigh_x by {np.abs(others)[:12].mean(1).round(2).tolist()}", flush=True)
    moments = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    best = moments[np.real(np.exp(1j * np.outer(moments, order)) @ thigh_x).argmax()]
    low = (order < 4)[:, None]
    measured = np.angle(thigh_x[:, None] * others)
    return np.where(low, measured, np.angle(np.exp(-1j * order[:, None] * best))).T


def _strides(people: dict[str, tuple[np.ndarray, np.ndarray]], code: int) -> list[np.ndarray]:
    """Complex amplitudes at the multiples of the stride frequency, (pieces, HARMONICS, 6) in g, per person.

    Phases are those in the middle of each piece of 3 or 4 s.
    """
    channels, low, high, per_cycle = RHYTHM[code]
    size, points = (150 if code in (4, 5) else 200), 2048
    window = np.hanning(size)
    hz = np.fft.rfftfreq(points, 0.02)
    band = np.flatnonzero((hz >= low) & (hz <= high))
    found = []
    for samples, labels in people.values():
        edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
        pieces = [
            samples[i : i + size] - samples[i : i + size].mean(0)
            for a, b in pairwise(edges)
            if labels[a] == code
            for i in range(a, b - size + 1, size)
        ]
        if len(pieces) < 4:
            continue
        spectra = np.fft.rfft(np.array(pieces) * window[:, None], points, axis=1) / (window.sum() / 2)
        spectra *= np.exp(2j * np.pi * np.arange(points // 2 + 1) / points * (size - 1) / 2)[:, None]
        clearest = np.abs(spectra[:, band][:, :, list(channels)]).sum(2).argmax(1)
        stride = hz[band][clearest] / per_cycle
        places = np.rint(np.outer(stride, np.arange(1, HARMONICS + 1)) * points * 0.02).astype(int)
        rows = np.arange(len(spectra))[:, None]
        found.append(spectra[rows, np.minimum(places, points // 2)])
    return found


def _geometric_mean(spectra: list[dict[int, np.ndarray]], codes: tuple[int, ...] = CODES) -> dict[int, np.ndarray]:
    return {code: np.exp(np.mean([np.log(s[code]) for s in spectra if code in s], axis=0)) for code in codes}


def _write(
    path: Path, harmonics: dict[int, np.ndarray], noise: dict[int, np.ndarray], phases: dict[int, np.ndarray]
) -> None:
    lines = [
        '"""Tables of the simulator: summaries of HARTH v2.0 and HAR70+, written by benchmarks/simulator_fit.py.',
        "",
        "HARMONICS_G: amplitude of multiples 1, 2, ... of the stride frequency; NOISE_G: level of coloured noise at",
        "KNOTS_HZ, as the spread that white noise of that density would have at 50 Hz. One row per channel, in g.",
        "PHASES_RAD: of the multiples of the stride frequency, counted from where the thigh is furthest forward.",
        '"""',
        "",
        "# fmt: off",
        f"KNOTS_HZ: tuple[float, ...] = {KNOTS_HZ}",
    ]
    for name, tables in (("HARMONICS_G", harmonics), ("NOISE_G", noise), ("PHASES_RAD", phases)):
        lines.append(f"{name}: dict[int, list[list[float]]] = {{")
        for code in sorted(tables):
            rows = [", ".join(map(_short, row)) for row in tables[code]]
            lines += [f"    {code}: [", *(f"        [{row}]," for row in rows), "    ],"]
        lines.append("}")
    path.write_text("\n".join([*lines, "# fmt: on", ""]))


def _short(value: float) -> str:
    return f"{value:.4f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.4f}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), phases_only=sys.argv[2:] == ["phases"])
