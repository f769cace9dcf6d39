"""How close simulated people come to real ones: python benchmarks/simulator_realism.py DATA_FOLDER [OUT]

Per activity and channel: the log-spectral distance of a person's mean spectrum (STFT as in BEHAVIOUR (a): Hann 50,
hop 25, 26 bins) to the geometric mean over the people of a real data set, for simulated people and, leaving each person
out, for the real ones: the scale of what is natural. Also gravity per activity, class shares, lengths of bouts.
Writes OUT/results.json and OUT/spectra.png. DATA_FOLDER holds har70plus/ and harth/ with one parquet per person.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from selfpab.activities import HARTH, NAMES
from selfpab.data.simulation import VERSION, simulate
from selfpab.recording import CHANNELS, segments_of

CODES = tuple(NAMES)
FEWEST_FRAMES = 20
HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(50) / 50)
People = dict[str, tuple[np.ndarray, np.ndarray]]  # samples (N, 6) in g, labels (N,)


def main(folder: Path, out: Path) -> None:
    real = {name: real_people(folder, (name,)) for name in ("har70plus", "harth")}
    real["both"] = real["har70plus"] | real["harth"]
    began = time.perf_counter()
    simulated = simulated_people(16, 2.0, 0, "free-living")
    seconds = time.perf_counter() - began
    spectra = {name: [mean_spectra(*p) for p in people.values()] for name, people in real.items()}
    ours = [mean_spectra(*p) for p in simulated.values()]
    results = {
        "schema": 1,
        "command": "python benchmarks/simulator_realism.py DATA_FOLDER",
        "simulator": {"version": VERSION, "people": 16, "hours": 2.0, "seed": 0, "scenario": "free-living"},
        "environment": {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.machine()},
        "simulated_hours_per_minute": round(32 / seconds * 60, 1),
        "distance_db": {name: distances(ours, theirs) for name, theirs in spectra.items()},
        "gravity_g": {name: _gravity(people) for name, people in {**real, "simulated": simulated}.items()},
        "separability": {
            "real on real": separability(real["both"], real["both"]),
            "simulated on simulated": separability(simulated, simulated),
            "simulated on real": separability(simulated, real["both"]),
        },
        "behaviour": {name: _behaviour(people) for name, people in {**real, "simulated": simulated}.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    draw(out / "spectra.png", ours, spectra["both"])
    for name, table in results["distance_db"].items():
        for code, row in table.items():
            print(
                f"{name:10} {NAMES[int(code)]:26} simulated {row['simulated']:5.2f} real {row['real']:5.2f} {row['ratio']:5.2f}"
            )
    for name, row in results["separability"].items():
        print(f"linear discriminants, {name}: macro F1 {row['macro_f1']:.3f}", row["f1"], row["confused"])
    print(f"{results['simulated_hours_per_minute']} simulated hours per minute")


def real_people(folder: Path, names: tuple[str, ...]) -> People:
    import polars as pl

    people: People = {}
    for name in names:
        for path in sorted((folder / name).glob("*.parquet")):
            table = pl.read_parquet(path)
            time_column = table["time_s"] if "time_s" in table.columns else table["timestamp"]
            seconds = (
                time_column.to_numpy().astype(float)
                if time_column.dtype.is_numeric()
                else (time_column - time_column[0]).dt.total_microseconds().to_numpy() / 1e6
            )
            labels = table["label"].to_numpy().astype(np.int16)
            for segment in segments_of(seconds)[1:]:  # a frame never crosses a gap
                labels[segment.first] = -1
            people[f"{name}/{path.stem}"] = table.select(CHANNELS).to_numpy().astype(np.float32), labels
    return people


def simulated_people(people: int, hours: float, seed: int, scenario: str) -> People:
    found: People = {}
    for recording in simulate(people, hours, seed=seed, scenario=scenario):
        assert recording.labels is not None
        found[recording.subject] = recording.samples, recording.labels
    return found


def mean_spectra(samples: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    """Mean magnitude over the frames that lie in one activity: {code: (6, 26)}."""
    frames = np.lib.stride_tricks.sliding_window_view(labels, 50)[::25]
    whole = (frames == frames[:, :1]).all(1)
    pieces = np.lib.stride_tricks.sliding_window_view(samples, 50, axis=0)[::25]
    found = {}
    for code in CODES:
        chosen = np.flatnonzero(whole & (frames[:, 0] == code))
        if len(chosen) >= FEWEST_FRAMES:
            found[code] = np.abs(np.fft.rfft(pieces[chosen] * HANN, axis=2)).mean(0)
    return found


def distances(ours: list[dict[int, np.ndarray]], theirs: list[dict[int, np.ndarray]]) -> dict[str, dict]:
    """Per code: median distances over channels and people in dB, per channel too; None where too few are real."""
    found = {}
    for code in CODES:
        logs = [20 * np.log10(s[code]) for s in theirs if code in s]
        mine = np.array([20 * np.log10(s[code]) for s in ours if code in s])
        if len(logs) < 2 or not len(mine):
            continue
        all_real = np.array(logs)
        others = (all_real.sum(0) - all_real) / (len(logs) - 1)
        real = np.sqrt(np.mean((all_real - others) ** 2, axis=2))  # (people, 6)
        simulated = np.sqrt(np.mean((mine - all_real.mean(0)) ** 2, axis=2))
        centre = np.sqrt(np.mean((mine.mean(0) - all_real.mean(0)) ** 2, axis=1))
        found[str(code)] = {
            "people": {"real": len(logs), "simulated": len(mine)},
            "simulated": round(float(np.median(simulated)), 2),
            "real": round(float(np.median(real)), 2),
            "ratio": round(float(np.median(simulated) / np.median(real)), 2),
            "channels": {
                channel: {
                    "simulated": round(float(np.median(simulated[:, i])), 2),
                    "real": round(float(np.median(real[:, i])), 2),
                    "centre": round(float(centre[i]), 2),  # between the two geometric means
                }
                for i, channel in enumerate(CHANNELS)
            },
        }
    return found


def separability(training: People, test: People) -> dict:
    """F1 per class of linear discriminants on log spectra (156 features), frames pooled; nobody tests own frames."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    sets = {name: _frames(*p) for name, p in (training | test).items()}
    folds = np.array_split(list(test), 4) if set(training) == set(test) else [np.array(list(test))]
    confusion = np.zeros((len(HARTH), len(HARTH)))
    for fold in folds:
        used = [sets[name] for name in training if name not in fold]
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01)
        model.fit(np.concatenate([x for x, _ in used]), np.concatenate([y for _, y in used]))
        for name in fold:
            features, classes = sets[str(name)]
            if len(classes):
                np.add.at(confusion, (classes, model.predict(features)), 1)
    f1 = 2 * np.diag(confusion) / np.maximum(confusion.sum(0) + confusion.sum(1), 1)
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    pairs = {"shuffling as standing": (2, 5), "standing as shuffling": (5, 2)}
    pairs |= {"stairs up as walking": (3, 0), "stairs down as walking": (4, 0)}
    return {
        "macro_f1": round(float(f1.mean()), 3),
        "f1": {name: round(float(value), 2) for name, value in zip(HARTH.names, f1, strict=True)},
        "confused": {name: round(float(shares[place]), 2) for name, place in pairs.items()},
    }


def _frames(samples: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log spectra of the frames in one class, every other frame: (frames, 156), (frames,)."""
    classes = HARTH.indices(labels)
    frames = np.lib.stride_tricks.sliding_window_view(classes, 50)[::50]
    chosen = np.flatnonzero((frames == frames[:, :1]).all(1) & (frames[:, 0] >= 0))
    pieces = np.lib.stride_tricks.sliding_window_view(samples, 50, axis=0)[::50][chosen]
    spectra = np.log(np.abs(np.fft.rfft(pieces * HANN, axis=2)) + 1e-3).reshape(len(chosen), -1)
    # The sign of gravity, which a magnitude does not have, is left out here as it is in the paper's input.
    return spectra.astype(np.float32), frames[chosen, 0]


def draw(path: Path, ours: list[dict[int, np.ndarray]], theirs: list[dict[int, np.ndarray]]) -> None:
    """Range over people (10th to 90th percentile) and geometric mean, real and simulated, per class and channel."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(HARTH.codes), 6, figsize=(13, 15), sharex=True, sharey=True, layout="constrained")
    hz = np.arange(26)
    for row, code in zip(axes, HARTH.codes, strict=True):
        for axis, channel, i in zip(row, CHANNELS, range(6), strict=True):
            for people, colour, name in ((ours, "#D55E00", "simulated"), (theirs, "#222222", "real")):
                values = np.array([s[code][i] for s in people if code in s])
                label = f"{name} ({len(values)})"
                axis.semilogy(
                    hz,
                    np.exp(np.log(values).mean(0)),
                    color=colour,
                    lw=1.6,
                    label=label,
                    ls="--" if name == "real" else "-",
                )
                axis.fill_between(hz, *np.quantile(values, (0.1, 0.9), axis=0), color=colour, alpha=0.22, lw=0)
            axis.tick_params(labelsize=8)
            axis.margins(x=0)
            axis.set_ylim(5e-3, 60)
            if code == HARTH.codes[0]:
                axis.set_title(channel, fontsize=11)
            if i == 0:
                axis.set_ylabel(NAMES[code].replace(" (", "\n("), fontsize=10)
                axis.legend(fontsize=7, frameon=False, loc="upper right")
    for axis in axes[-1]:
        axis.set_xlabel("Hz")
    figure.suptitle(
        "Mean STFT magnitude per activity (rows) and channel: geometric mean over people and 10th to 90th percentile.\n"
        "Black, dashed: HARTH v2.0 and HAR70+ (number of people); orange: simulated people."
    )
    figure.savefig(path, dpi=62, pil_kwargs={"optimize": True})
    plt.close(figure)


def _gravity(people: People) -> dict[str, dict]:
    found = {}
    for code in CODES:
        means = [x[y == code].mean(0, dtype=np.float64) for x, y in people.values() if (y == code).sum() >= 250]
        if means:
            found[str(code)] = {
                "mean": np.mean(means, axis=0).round(3).tolist(),
                "spread": np.std(means, axis=0).round(3).tolist(),
            }
    return found


def _behaviour(people: People) -> dict[str, dict]:
    lengths: dict[int, list[float]] = {code: [] for code in CODES}
    for _, labels in people.values():
        edges = np.array([0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)])
        for first, stop in pairwise(edges):
            if labels[first] in lengths:
                lengths[int(labels[first])].append((stop - first) / 50)
    total = sum(map(sum, lengths.values()))
    return {
        str(code): {
            "share": round(sum(found) / total, 4),
            "bouts": len(found),
            "median_s": round(float(np.median(found)), 1),
            "mean_s": round(float(np.mean(found)), 1),
        }
        for code, found in lengths.items()
        if found
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "results/simulator-realism"))
