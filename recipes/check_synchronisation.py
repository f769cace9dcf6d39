"""Is the clock of a second sensor found on real recordings, and are strangers refused?

python recipes/check_synchronisation.py OUT.json DATA [DATA ...]

DATA are data sets whose recordings have both sensors on one clock. Each recording's thigh gets a clock of its own, off
by up to 300 s and 80 ppm, in every other one with a bend in the middle. Errors are the largest within a recording,
against what was planted. "lag of the body" is what is found where nothing was planted. Strangers are all pairs of one
person's back and another's thigh; "other half" is one person's back in the first half against the thigh in the second.
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from selfpab.data.datasets import open_dataset
from selfpab.devices.surveys import Movement
from selfpab.devices.synchronisation import Alignment, NotTogether, synchronise
from selfpab.recording import Recording
from selfpab.writing import write_text

START_NS = 1_700_000_000 * 10**9
LONGEST_S, LARGEST_PPM = 300.0, 80.0
SEDENTARY = {"sitting and lying": (7, 8), "sitting, standing and lying": (6, 7, 8)}
PAUSE_S = 2.0  # between two pieces of a sedentary recording, not recorded

Clock = Callable[[np.ndarray], np.ndarray]  # what the thigh's clock shows, in s, when the back's shows ...
Signals = tuple[np.ndarray, np.ndarray, np.ndarray]  # times in s, magnitudes of back and thigh in g


def signals(recording: Recording) -> Signals:
    sizes = [np.linalg.norm(recording.acceleration_g[:, axes], axis=1) for axes in (slice(0, 3), slice(3, 6))]
    return recording.sample_times_s(), sizes[0], sizes[1]


def sedentary(recording: Recording, codes: Iterable[int]) -> Signals:
    """Only these activities, one piece after the other with a pause between them, as if it had been so."""
    times, back, thigh = signals(recording)
    assert recording.labels is not None
    keep = np.isin(recording.labels, list(codes))
    steps = np.diff(times[keep], prepend=times[keep][:1])
    return np.cumsum(np.where(steps > 0.1, PAUSE_S, steps)), back[keep], thigh[keep]


def movement(times_s: np.ndarray, magnitude_g: np.ndarray) -> Movement:
    """Means of 40 ms by a device's own clock, of four values between the samples each."""
    first = float(np.ceil(times_s[0]))
    places = first + (np.arange(int((times_s[-1] - first) * 25) * 4) + 0.5) / 100
    values = np.interp(places, times_s, magnitude_g)
    after = np.searchsorted(times_s, places).clip(1, len(times_s) - 1)
    values[times_s[after] - times_s[after - 1] > 0.1] = np.nan
    return Movement(START_NS + round(first * 1e9), 25.0, values.reshape(-1, 4).mean(1).astype(np.float32))


def planted(rng: np.random.Generator, seconds: float, bent: bool) -> Clock:
    offset, (before, after) = rng.uniform(-LONGEST_S, LONGEST_S), rng.uniform(-LARGEST_PPM, LARGEST_PPM, 2) * 1e-6
    middle = seconds / 2
    if not bent:
        return lambda t: t + offset + before * t
    return lambda t: t + offset + before * np.minimum(t, middle) + after * np.maximum(t - middle, 0)


def right() -> Clock:
    return lambda t: t


def tried(back: Movement, thigh: Movement) -> Alignment | None:
    try:
        return synchronise(back, thigh)
    except NotTogether:
        return None


def error_s(found: Alignment, clock: Clock) -> float:
    since = np.linspace(found.knots_ns[0], found.knots_ns[-1], 200).astype(np.int64) - START_NS
    shown = (found.thigh_ns(since + START_NS) - START_NS) * 1e-9
    return float(np.abs(shown - clock(since * 1e-9)).max())


def spread(values: list[float]) -> dict[str, float]:
    """Median, 95 % and largest, rounded."""
    names = ("median", "95 %", "largest")
    return dict(zip(names, np.percentile(values, [50, 95, 100]).round(3).tolist(), strict=True)) if values else {}


def outcome(trials: Iterable[tuple[Signals, Clock]]) -> dict[str, object]:
    errors, confidences = [], []
    refused = unsaid = 0
    for (times, back, thigh), clock in trials:
        found = tried(movement(times, back), movement(clock(times), thigh))
        if found is None:
            refused += 1
        elif not found.confidence:
            unsaid += 1
        else:
            errors.append(error_s(found, clock))
            confidences.append(found.confidence)
    return {
        "found": len(errors),
        "too little movement to say": unsaid,
        "refused": refused,
        "error_s": spread(errors),
        "least confidence": round(min(confidences), 2) if confidences else None,
    }


def strangers(pairs: Iterable[tuple[Movement, Movement]]) -> dict[str, int]:
    found = [tried(back, thigh) for back, thigh in pairs]
    said = [alignment for alignment in found if alignment is not None]
    return {
        "pairs": len(found),
        "accepted": sum(alignment.confidence > 0 for alignment in said),
        "too little movement to say": sum(alignment.confidence == 0 for alignment in said),
        "refused": len(found) - len(said),
    }


def check(recordings: list[Recording]) -> dict[str, object]:
    rng = np.random.default_rng(0)
    whole = [signals(recording) for recording in recordings]
    still = {name: [sedentary(r, codes) for r in recordings] for name, codes in SEDENTARY.items()}
    backs = [movement(times, back) for times, back, _ in whole]
    thighs = [movement(times, thigh) for times, _, thigh in whole]
    found = {r.subject: tried(b, t) for r, b, t in zip(recordings, backs, thighs, strict=True)}
    untouched = {subject: one.offset_s for subject, one in found.items() if one is not None and one.confidence}
    lags = list(untouched.values())
    halves = [
        (Movement(START_NS, 25.0, back.magnitude_g[:half]), Movement(START_NS, 25.0, thigh.magnitude_g[half:]))
        for back, thigh in zip(backs, thighs, strict=True)
        for half in (len(back.magnitude_g) // 2,)
    ]
    long_enough = {name: [s for s in pieces if len(s[0]) > 15_000] for name, pieces in still.items()}  # five minutes
    return {
        "recordings": len(recordings),
        "lag of the body, s": {
            "mean": round(float(np.mean(lags)), 4) if lags else None,
            "standard deviation": round(float(np.std(lags, ddof=1)), 4) if len(lags) > 1 else None,
            "by recording": {subject: round(lag, 3) for subject, lag in untouched.items()},
        },
        "planted": outcome((s, planted(rng, s[0][-1], bent=bool(i % 2))) for i, s in enumerate(whole)),
        "sedentary": {
            name: outcome((s, planted(rng, s[0][-1], bent=False)) for s in pieces)
            for name, pieces in long_enough.items()
        },
        "strangers": strangers((b, t) for i, b in enumerate(backs) for j, t in enumerate(thighs) if i != j),
        "other half": strangers(halves),
        "sedentary strangers": {
            name: strangers(
                (movement(b[0], b[1]), movement(t[0], t[2]))
                for i, b in enumerate(pieces)
                for j, t in enumerate(pieces)
                if i != j
            )
            for name, pieces in long_enough.items()
        },
    }


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    out, *folders = sys.argv[1:]
    result = check([recording for folder in folders for recording in open_dataset(folder).recordings()])
    write_text(Path(out), json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
