"""Pairs of raw files with planted faults through `read`, against their truth.

    python recipes/check_devices.py OUT [pairs=200] [hours=48] [rate_hz=100] [minutes=100] [seed=0]

Every pair of OUT/pairs.jsonl is done already; a call stops after so many minutes and the next one goes on, with another
rate_hz= if so wished: every pair tells its own, and the summary each rate's share. Other hours or seed need another
OUT. The files of a pair (140 MB for 48 h at 100 Hz) lie in OUT while it is checked. results.json holds,
per pair and in sum: the error of the
offset between the clocks (largest and 95th percentile over the recording), of its rate (piecewise: over each half of the
time between start, kink and end), of the calibrated acceleration over the person's own still postures, what was found of
planted blocks and non-wear, and how far the result is from what two perfect devices would have given.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import selfpab
from selfpab.data.simulated_devices import MOTION_HZ, DeviceFaults, DevicePair, drawn_faults, write_pair
from selfpab.data.simulation import START, generator_of, values_at
from selfpab.provenance import environment
from selfpab.recording import Recording

DEFAULTS = {"pairs": 200, "hours": 48.0, "rate_hz": 100.0, "minutes": 100.0, "seed": 0}
STILL_G = 0.01  # sd within ten seconds of what is called a posture
WANTED = {"offset_s": 0.1, "drift_ppm": 2.0, "calibration_mg": 5.0}


def main(out: Path, settings: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    lines = out / "pairs.jsonl"
    rows = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    for key in ("hours", "seed"):
        if other := {row[key] for row in rows} - {settings[key]}:
            sys.exit(f"{lines} holds pairs with {key}={other.pop():g}, asked for {settings[key]:g}; name another OUT")
    until = time.monotonic() + 60 * settings["minutes"]
    for person in range(len(rows), int(settings["pairs"])):
        if time.monotonic() > until:
            break
        rows.append(checked(out / "files", person, settings))
        with lines.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        print(f"{len(rows)}/{settings['pairs']}: {told(rows[-1])}", flush=True)
    by_rate = {
        f"{r:g} Hz": summary([row for row in rows if row["rate_hz"] == r]) for r in {row["rate_hz"] for row in rows}
    }
    told_all = {"summary": summary(rows), "by_rate": by_rate}
    results = {"settings": settings, "wanted": WANTED, **told_all, "pairs": rows}
    (out / "results.json").write_text(json.dumps(results | {"environment": environment()}, indent=1) + "\n")
    print(json.dumps(results["summary"], indent=1))


def checked(folder: Path, person: int, settings: dict[str, Any]) -> dict[str, Any]:
    """One pair: written, read, compared, removed."""
    seed, hours = int(settings["seed"]), settings["hours"]
    asked = {"person": person} | {key: settings[key] for key in ("hours", "seed", "rate_hz")}
    faults = drawn_faults(generator_of(seed, person, "faults"), hours)
    pair = write_pair(folder, person, hours, seed=seed, faults=faults, rate_hz=settings["rate_hz"])
    began = time.monotonic()
    try:
        recording = selfpab.read((pair.back, pair.thigh), subject=pair.subject)
    except ValueError as error:
        return asked | {"failed": str(error)}
    finally:
        taken = time.monotonic() - began
        pair.back.unlink()
        pair.thigh.unlink()
    row = asked | {"took_s": round(taken, 2), "samples": len(recording)}
    row |= of_clocks(pair, recording) | of_calibration(pair, recording) | of_blocks(pair, recording)
    return row | of_result(pair, recording) | of_wear(pair, recording)


def of_clocks(pair: DevicePair, recording: Recording) -> dict[str, Any]:
    """Errors of the thigh's clock against the back's."""
    length, middle = pair.recording.seconds, pair.recording.seconds / 2
    true_s = np.linspace(0, length, 201)
    shown = pair.faults.back.shown_s(true_s, middle)
    error = found_offset_s(recording, shown) - pair.offset_s(true_s)
    halves = [(error[100] - error[0]) / middle * 1e6, (error[200] - error[100]) / middle * 1e6]
    alignment = recording.source["alignment"]
    return {
        "offset_error_s": float(np.abs(error).max()),
        "offset_error_95_s": float(np.percentile(np.abs(error), 95)),
        "offset_bias_s": float(error.mean()),
        "drift_error_ppm": [float(half) for half in halves],
        "confidence": alignment["confidence"],
        "knots": len(alignment["knots"]),
    }


def found_offset_s(recording: Recording, shown_s: np.ndarray) -> np.ndarray:
    """Thigh minus back by the alignment found, at seconds of the back's clock after START; on at the rims' rate."""
    alignment = recording.source["alignment"]
    start = np.datetime64(START, "us")
    knots = (np.array([np.datetime64(knot, "us") for knot in alignment["knots"]]) - start) / np.timedelta64(1, "s")
    offsets = np.array(alignment["knots_offset_s"])
    if len(knots) == 1:
        return np.full(len(shown_s), offsets[0])
    line = np.clip(np.searchsorted(knots, shown_s) - 1, 0, len(knots) - 2)
    rate = np.diff(offsets) / np.diff(knots)
    return offsets[line] + rate[line] * (shown_s - knots[line])


def of_calibration(pair: DevicePair, recording: Recording) -> dict[str, Any]:
    """Mean error per axis over the person's still postures of one g, in mg: as measured, and as calibrated."""
    still = still_postures(pair.recording)
    found: dict[str, Any] = {}
    for place, sensor in enumerate(("back", "thigh")):
        own: DeviceFaults = getattr(pair.faults, sensor)
        about = recording.source[sensor]["calibration"]
        true = still[:, 3 * place : 3 * place + 3]
        raw = (true - np.array(own.offset_g)) / np.array(own.gain)
        calibrated = raw * np.array(about["gain"]) + np.array(about["offset_g"]) if about["applied"] else raw
        found[f"{sensor}_error_before_mg"] = float(np.abs(raw - true).mean() * 1e3)
        found[f"{sensor}_error_after_mg"] = float(np.abs(calibrated - true).mean() * 1e3)
        found[f"{sensor}_calibrated"] = about["applied"]
        found[f"{sensor}_why"] = about["why"]
    return found


def still_postures(ideal: Recording) -> np.ndarray:
    """Means of ten still seconds, in g (n, 6)."""
    size = round(10 * MOTION_HZ)
    pieces = ideal.samples[: len(ideal) // size * size].reshape(-1, size, 6)
    return pieces.mean(1)[(pieces.std(1) < STILL_G).all(1)].astype(np.float64)


def of_blocks(pair: DevicePair, recording: Recording) -> dict[str, Any]:
    """Planted restarts, missing and bad blocks that the report does not tell, or tells too many."""
    wrong = {}
    for sensor in ("back", "thigh"):
        counts, planted = recording.source[sensor]["faults"], pair.planted[sensor]
        expected = {
            "restart": planted.restarts,
            "missing blocks": planted.missing,
            "bad checksum": planted.bad_checksums,
        }
        wrong[sensor] = {kind: [counts.get(kind, 0), len(some)] for kind, some in expected.items()}
    strange = any(found != planted for kinds in wrong.values() for found, planted in kinds.values())
    return {"blocks_as_planted": not strange, "blocks": wrong}


def of_result(pair: DevicePair, recording: Recording) -> dict[str, Any]:
    """The samples against those of two perfect devices at the same true times: root mean square over all, in mg."""
    middle = pair.recording.seconds / 2
    start = recording.start
    assert start is not None
    shown = (start - START).total_seconds() + recording.sample_times_s()
    true_s = pair.faults.back.true_s(shown, middle)
    squares = {"back": 0.0, "thigh": 0.0}
    for first in range(0, len(recording), 1 << 20):
        stop = min(first + (1 << 20), len(recording))
        difference = recording.piece(first, stop) - values_at(pair.recording.samples, true_s[first:stop] * MOTION_HZ)
        squares["back"] += float((difference[:, :3] ** 2).sum())
        squares["thigh"] += float((difference[:, 3:] ** 2).sum())
    return {f"{sensor}_rms_mg": (total / 3 / len(recording)) ** 0.5 * 1e3 for sensor, total in squares.items()}


def of_wear(pair: DevicePair, recording: Recording) -> dict[str, Any]:
    """Seconds of non-wear planted, of these marked, and marked besides."""
    labels = np.asarray(pair.recording.labels)
    start = recording.start
    assert start is not None
    shown = (start - START).total_seconds() + recording.sample_times_s()
    true_s = pair.faults.back.true_s(shown, pair.recording.seconds / 2)
    off = labels[np.clip((true_s * MOTION_HZ).astype(int), 0, len(labels) - 1)] == -1
    marked = np.zeros(len(recording), bool)
    for mark in recording.marks:
        if mark.kind == "non-wear":
            marked[mark.first : mark.stop] = True
    return {
        "off_s": float(off.sum() / MOTION_HZ),
        "off_found_s": float((off & marked).sum() / MOTION_HZ),
        "off_false_s": float((~off & marked).sum() / MOTION_HZ),
        "other_marks": sorted({mark.kind for mark in recording.marks} - {"non-wear"}),
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares within what is wanted, and percentiles."""
    good = [row for row in rows if "failed" not in row]
    if not good:
        return {"pairs": len(rows), "failed": len(rows)}

    def spread(values: list[float]) -> dict[str, float]:
        return {
            name: round(float(np.percentile(values, p)), 4) for name, p in (("median", 50), ("p95", 95), ("max", 100))
        }

    drift = [abs(half) for row in good for half in row["drift_error_ppm"]]
    calibrated = [row[f"{s}_error_after_mg"] for row in good for s in ("back", "thigh") if row[f"{s}_calibrated"]]
    every = [row[f"{s}_error_after_mg"] for row in good for s in ("back", "thigh")]
    before = [row[f"{s}_error_before_mg"] for row in good for s in ("back", "thigh")]
    return {
        "pairs": len(rows),
        "failed": len(rows) - len(good),
        "offset_error_s": spread([row["offset_error_s"] for row in good]),
        "offset_within_wanted": float(np.mean([row["offset_error_s"] <= WANTED["offset_s"] for row in good])),
        "drift_error_ppm": spread(drift),
        "drift_within_wanted": float(np.mean(np.array(drift) <= WANTED["drift_ppm"])),
        "calibration_before_mg": spread(before),
        "calibration_after_mg": spread(every),
        "sensors_calibrated": len(calibrated) / len(every),
        "calibrated_within_wanted": float(np.mean(np.array(calibrated) <= WANTED["calibration_mg"]))
        if calibrated
        else None,
        "blocks_as_planted": float(np.mean([row["blocks_as_planted"] for row in good])),
        "non_wear_found": sum(r["off_found_s"] for r in good) / max(1e-9, sum(r["off_s"] for r in good)),
        "non_wear_false_hours_per_day": sum(r["off_false_s"] for r in good)
        / max(1e-9, sum(r["samples"] for r in good) / MOTION_HZ)
        * 24,
        "back_rms_mg": spread([row["back_rms_mg"] for row in good]),
        "thigh_rms_mg": spread([row["thigh_rms_mg"] for row in good]),
        "took_s": spread([row["took_s"] for row in good]),
    }


def told(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"failed: {row['failed']}"
    return f"offset {row['offset_error_s']:.3f} s, drift {row['drift_error_ppm']} ppm, {row['took_s']} s"


if __name__ == "__main__":
    given = dict(word.split("=") for word in sys.argv[2:])
    if len(sys.argv) < 2 or set(given) - set(DEFAULTS):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), {key: type(value)(given.get(key, value)) for key, value in DEFAULTS.items()})
