"""What is wrong with a file of acceleration, said so that it can be mended; and checksums.

Every reader of this folder asks these questions, in this order: are all values numbers, are they in g, do the times
rise, is the rate 50 Hz. Legend: N samples, row = place of a sample in the file, from 0. Times are integer nanoseconds.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from selfpab.recording import CHANNELS, SEGMENT_STEP_S, UNLABELLED, RecordingError

RATE_HZ = 50.0  # of HARTH, HAR70+ and the paper (section 4.1); the only rate read until there is resampling
SECOND_NS = 1_000_000_000
STEP_NS = round(SECOND_NS / RATE_HZ)
TWICE_AS_FAST_MS = (9.0, 11.0)  # median step of files stamped every 10 ms, such as S006 of HARTH v1.2
MEDIAN_STEP_MS = (19.0, 21.0)  # 50 Hz with stamps rounded to 1 ms steps by 19, 20 or 21 ms
MEAN_STEP_MS = (19.6, 20.4)  # 2 %: the devices' own clocks are better (ours); HARTH and HAR70+ are within 0.002 %
LARGEST_MEDIAN_G = 5.0  # ours: a runner's thigh has a median of 1.9 g (S027); 1 g is 9.8 in m/s² and 1000 in mg
REST_SAMPLES, MOST_RESTS, LEAST_RESTS = 250, 2000, 2  # looked at for gravity: 5 s each
REST = 0.05  # sd of the vector in them, in g, and where that is large as a part of its length
REST_G = (0.65, 1.5)  # median length at rest (ours): 0.82 to 1.12 in HAR70+ and HARTH, 0.90 to 1.06 elsewhere
CHUNK_BYTES = 1 << 20
STEPS_AT_ONCE = 1 << 20


def check_channels(samples: np.ndarray, path: Path) -> None:
    """RecordingError unless all values of `samples`, float32 (N, 6), are finite and look like g."""
    check_finite(samples, path)
    check_units(samples[unit_rows(len(samples))], path)
    check_gravity(samples, path)


def check_finite(samples: np.ndarray, path: Path) -> None:
    """RecordingError unless all values of `samples`, floats (N, 6), are finite."""
    wrong = ~np.isfinite(samples)
    if wrong.any():
        row, channel = (int(i) for i in np.argwhere(wrong)[0])
        if text := _decimal_comma(path, row, CHANNELS[channel]):
            raise RecordingError(
                f"{place(path, row)}: {CHANNELS[channel]} is {text!r}, a decimal comma; wanted points: save it with those"
            )
        for sensor, axes in (("back", slice(0, 3)), ("thigh", slice(3, 6))):
            if wrong[:, axes].all():
                raise RecordingError(
                    f"{path}: the {sensor} sensor has no number in any row: export it again with both sensors, or leave its "
                    f"three columns out, so that the other one is read alone"
                )
        what = "infinite" if np.isinf(samples[row, channel]) else "missing or no number"
        raise RecordingError(
            f"{place(path, row)}: {CHANNELS[channel]} is {what} ({int(wrong.any(axis=1).sum())} such rows in the "
            f"file); wanted a number in g in every row: leave such rows out, times over 0.1 s apart are kept as a gap"
        )


def unit_rows(count: int) -> np.ndarray:
    """Which of so many rows `check_units` looks at: enough for a median."""
    return np.arange(0, count, max(1, count // 100_000))


def check_units(samples: np.ndarray, path: Path) -> None:
    """RecordingError unless some rows of a recording, float32 (n, 6), look like g.

    Units are told by the median length of each sensor's vector, which is near 1 g whatever the person does: above 5
    it cannot be g. `check_gravity` looks closer.
    """
    some = samples.astype(np.float64)
    for sensor, first in (("back", 0), ("thigh", 3)):
        median = float(np.median(np.linalg.norm(some[:, first : first + 3], axis=1)))
        if median >= LARGEST_MEDIAN_G:
            raise RecordingError(f"{path}: the {sensor} sensor's median acceleration is {median:.4g}; {_units(median)}")


def gravity_rows(count: int) -> np.ndarray:
    """Which of so many rows `check_gravity` looks at; of these alone, one after the other, it finds the same."""
    starts = np.arange(0, count - REST_SAMPLES + 1, REST_SAMPLES)
    starts = starts[:: max(1, -(-len(starts) // MOST_RESTS))]
    return (starts[:, None] + np.arange(REST_SAMPLES)).ravel()


def check_gravity(samples: np.ndarray, path: Path) -> None:
    """RecordingError where a sensor of `samples`, float32 (N, 6), measures another acceleration at rest than 1 g.

    At rest is gravity alone, in any posture and on a table, so that this sees a wrong scale, and gravity that was taken
    out. Stretches in which nothing changes by a bit are left out (`selfpab.data.plausibility` sees to them), and so are
    recordings without rest, such as a ride on a bicycle.
    """
    pieces = samples[gravity_rows(len(samples))].reshape(-1, REST_SAMPLES, len(CHANNELS)).astype(np.float64)
    lengths, spreads = (
        np.linalg.norm(values.reshape(-1, 2, 3), axis=2) for values in (pieces.mean(axis=1), pieces.std(axis=1))
    )
    for place, sensor in enumerate(("back", "thigh")):
        length, spread = lengths[:, place], spreads[:, place]
        large = length[(spread > 0) & (spread < REST * length)]
        small = length[(spread > 0) & (spread < REST)]
        for found, wrong in ((large, lambda g: g > REST_G[1]), (small, lambda g: g < REST_G[0])):
            if len(found) >= LEAST_RESTS and wrong(at_rest := float(np.median(found))):
                raise RecordingError(f"{path}: at rest, the {sensor} sensor measures {at_rest:.3g}; {_scale(at_rest)}")


def check_rising(times_ns: np.ndarray, path: Path) -> None:
    """RecordingError unless every time, int64 (N,), is later than the one before."""
    wrong = np.concatenate([[], *(at + np.flatnonzero(steps <= 0) for at, steps in _steps(times_ns))])
    if wrong.size:
        row = int(wrong[0]) + 1
        step_s = float(times_ns[row] - times_ns[row - 1]) / SECOND_NS
        what = "is the same as in the row before" if step_s == 0 else f"is {-step_s:g} s before that of the row before"
        raise RecordingError(
            f"{place(path, row)}: the time {what} ({wrong.size} such rows in the file); wanted times that rise: "
            f"sort by time and leave out what is there twice, or put separate recordings into separate files"
        )


def times_at_50_hz(
    times_ns: np.ndarray, path: Path, rate_hz: float | None = None, parts: np.ndarray | None = None
) -> tuple[np.ndarray, float | None, list[str]]:
    """Check the rate; repair a file sampled at 50 Hz but stamped every 10 ms (BEHAVIOUR (h): S006 of HARTH v1.2).

    Parameters
    ----------
    times_ns : int64 (N,), rising.
    rate_hz : what the caller knows of the sampling; 50 allows the repair, which only S006 gets unasked.
    parts : (N,) of the file's `segment` column; steps from one part to another say nothing of the rate.

    Returns
    -------
    times, int64 (N,); the rate by the stamps in Hz, None for a single sample; what was repaired, in words.
    A repair gives every sample 20 ms and keeps the length of the gaps. Another rate raises RecordingError.

    >>> times, stamped_hz, repairs = times_at_50_hz(np.arange(4) * 10_000_000, Path("S1.csv"), rate_hz=50.0)
    >>> (times // 1_000_000).tolist(), stamped_hz
    ([0, 20, 40, 60], 100.0)
    """
    if rate_hz is not None and rate_hz != RATE_HZ:
        raise RecordingError(f"{path}: rate_hz={rate_hz:g} was asked for; only {RATE_HZ:g} Hz can be read so far")
    if len(times_ns) < 2:
        return times_ns, None, []
    within, count = np.empty(len(times_ns) - 1, np.int32), 0  # steps but those of gaps: they fit
    for at, steps in _steps(times_ns):
        near = steps[~_gaps(steps, None if parts is None else parts[at : at + len(steps) + 1])]
        within[count : count + len(near)] = near
        count += len(near)
    if not count:
        raise RecordingError(
            f"{path}: all steps between its {len(times_ns)} times are longer than {SEGMENT_STEP_S} s (median "
            f"{np.median(np.diff(times_ns)) / SECOND_NS:g} s); wanted 50 samples per second, and a column time_s in seconds"
        )
    mean_ms = float(np.mean(within[:count])) / 1e6
    median_ms = float(np.median(within[:count], overwrite_input=True)) / 1e6
    stamped_hz = 1000 / mean_ms
    if _within(median_ms, TWICE_AS_FAST_MS):
        if rate_hz != RATE_HZ and (path.stem, len(times_ns)) != ("S006", 408_709):
            raise RecordingError(
                f"{path}: is stamped every {median_ms:g} ms (100 Hz); wanted 50 Hz. If it was sampled at 50 Hz and "
                f"only the stamps are wrong, read it with rate_hz=50; otherwise resample it to 50 Hz first"
            )
        steps = np.diff(times_ns)
        steps = np.where(_gaps(steps, parts), steps + STEP_NS - round(median_ms * 1e6), STEP_NS)
        repair = f"stamped every {median_ms:g} ms but sampled at 50 Hz: every sample given 20 ms, gaps kept"
        return times_ns[0] + np.concatenate([[0], np.cumsum(steps)]), stamped_hz, [repair]
    if not (_within(median_ms, MEDIAN_STEP_MS) and _within(mean_ms, MEAN_STEP_MS)):
        raise RecordingError(
            f"{path}: has {stamped_hz:.4g} samples per second (steps: median {median_ms:.4g} ms, mean {mean_ms:.4g} "
            f"ms without gaps); wanted 50, steps of 20 ms: resample it to 50 Hz first"
        )
    return times_ns, stamped_hz, []


def whole_numbers(values: np.ndarray, column: str, path: Path, *, bits: int = 16) -> np.ndarray:
    """Labels or parts as integers of so many bits (N,); NaN becomes -1, unlabelled; a fraction is an error."""
    values = np.asarray(values, np.float64)
    known = np.where(np.isnan(values), UNLABELLED, values)
    limit = 2.0 ** (bits - 1)
    wrong = np.flatnonzero((known != np.rint(known)) | (known < -limit) | (known >= limit))
    if wrong.size:
        row = int(wrong[0])
        raise RecordingError(
            f"{place(path, row)}: {column} is {values[row]:g}; wanted a whole number of {bits} bits, or nothing where "
            f"it is not known"
        )
    return known.astype({16: np.int16, 64: np.int64}[bits])


def place(path: Path, row: int) -> str:
    """Where a row stands: line (from 1, header included) and text of a csv file, row (from 0) of any other."""
    if path.suffix.lower() != ".csv":
        return f"{path}, row {row} (counted from 0)"
    text = next((text for number, text in lines(path) if number == row + 2), "")
    return f"{path}, line {row + 2} ({text[:120]!r})"


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of every line of a csv file."""
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from ((number, line.rstrip("\r\n")) for number, line in enumerate(file, 1))


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a megabyte at a time."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def sha256_of(path: Path) -> str:
    """Checksum of one file."""
    digest = hashlib.sha256()
    for chunk in chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def sha256_of_all(files: Iterable[Path]) -> str:
    """One checksum of several files: of their names, sorted, and contents. Where they lie does not matter."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        digest.update(f"{file.name}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()


def _decimal_comma(path: Path, row: int, column: str) -> str | None:
    """What stands in a row and column of a csv file, where that is a number with a comma."""
    if path.suffix.lower() != ".csv":
        return None
    texts = [text for number, text in itertools.islice(lines(path), row + 2) if number in (1, row + 2)]
    names, fields = (next(csv.reader([text]), []) for text in texts)
    fields = dict(zip((name.strip() for name in names), (field.strip() for field in fields), strict=False))
    return fields[column] if re.fullmatch(r"[+-]?\d*,\d+", fields.get(column, "")) else None


def _steps(times_ns: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The steps between times, int64, a block at a time, each with its place: a week of them at once is 242 MB."""
    for at in range(0, len(times_ns) - 1, STEPS_AT_ONCE):
        yield at, np.diff(times_ns[at : at + STEPS_AT_ONCE + 1])


def _gaps(steps: np.ndarray, parts: np.ndarray | None) -> np.ndarray:
    """Which steps end a segment, bool; parts : of the samples before and after them, one more."""
    gap = steps > SEGMENT_STEP_S * SECOND_NS
    return gap if parts is None else gap | (np.diff(parts) != 0)


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _scale(at_rest: float) -> str:
    if at_rest < 0.08:
        return (
            "wanted g with gravity in it, which is 1 at rest; it seems to have been taken out: export raw acceleration"
        )
    if 0.08 <= at_rest < 0.125:
        return "wanted g, which is 1 at rest; that looks like g divided by 9.80665: multiply by it"
    return f"wanted g, which is 1 at rest: the scale is wrong, divide by {at_rest:.3g} or export anew"


def _units(median: float) -> str:
    for low, high, unit, remedy in ((5, 40, "m/s²", "divide by 9.80665"), (500, 4000, "mg", "divide by 1000")):
        if low <= median < high:
            return f"that looks like {unit}; wanted g (about 1): {remedy}"
    return "wanted g (about 1): divide by the counts per g of the device"
