"""Damaged .cwa files through the reader, the survey and the pair: nothing may crash, hang, grow or vanish unsaid.

    python recipes/fuzz_devices.py OUT [files=10000] [seed=0]

Each file is one of an AX3's or AX6's, cut, overwritten, doubled, shifted or erased in up to seven places, half of them with
checksums made right again, so that the damage is believed. Held for each: an error, if there is one, is a RecordingError;
header, readable blocks, blocks that the report names and the tail are all bytes of the file; times never fall within a run;
the survey takes the same samples; every twentieth file becomes half of a pair. OUT/results.json counts what was met; the
first file that breaks a rule is kept in OUT and ends the run.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
import warnings
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np

from selfpab.data.device_pairs import read_pair
from selfpab.devices.cwa import read_cwa
from selfpab.devices.cwa_blocks import BLOCK_BYTES, HEADER_BYTES, NO_TIME
from selfpab.devices.cwa_report import LEFT_OUT, TAIL
from selfpab.devices.cwa_writer import FORMS, write_cwa
from selfpab.devices.surveys import survey
from selfpab.provenance import environment
from selfpab.recording import RecordingError
from selfpab.writing import write_text

SAMPLES = 3000
SLOW_S = 5.0  # a file of half a minute must not take so long, on a busy machine too
LENGTHS = (1, 2, 4, 30, BLOCK_BYTES, 700)


def main(out: Path, files: int, seed: int) -> None:
    warnings.simplefilter("error")
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    path, intact = out / "P1_back.cwa", out / "P1_thigh.cwa"
    originals = []
    for form in FORMS:
        write_cwa(intact, movement(rng), form=form, rate_hz=100.0, range_g=8, start=datetime(2024, 1, 1))
        originals.append(intact.read_bytes())
    met, slowest, began = Counter[str](), 0.0, time.monotonic()
    for number in range(files):
        path.write_bytes(damaged(bytearray(originals[number % len(originals)]), rng))
        since = time.monotonic()
        try:
            met.update(checked(path))
            if number % 20 == 0:
                read_pair(path, intact, align=False)
                met["half of a pair"] += 1
        except RecordingError as error:
            met[f"refused: {re.sub(r'[0-9.]+', '#', str(error).split(': ', 1)[-1])[:48].strip()}"] += 1
        except BaseException:
            path.rename(out / f"broke-{number}.cwa")
            raise
        taken = time.monotonic() - since
        slowest = max(slowest, taken)
        if taken > SLOW_S:
            path.rename(out / f"slow-{number}.cwa")
            raise RuntimeError(f"file {number} took {taken:.1f} s")
    results = {
        "files": files,
        "seed": seed,
        "broke_a_rule": 0,
        "slowest_s": round(slowest, 3),
        "seconds": round(time.monotonic() - began, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "met": dict(met.most_common()),
        "environment": environment(),
    }
    write_text(out / "results.json", json.dumps(results, indent=1) + "\n")
    for file in (path, intact):
        file.unlink(missing_ok=True)
    print(json.dumps(results["met"], indent=1), results["slowest_s"], results["peak_mb"])


def movement(rng: np.random.Generator) -> np.ndarray:
    """Some walk, so that a pair has something in common: (SAMPLES, 3) in g."""
    return np.cumsum(rng.normal(0, 0.05, (SAMPLES, 3)), axis=0).clip(-3, 3)


def damaged(raw: bytearray, rng: np.random.Generator) -> bytes:
    """Up to seven faults; in every second file the checksums are right nevertheless."""
    for _ in range(rng.integers(1, 8)):
        at, size = int(rng.integers(0, len(raw) or 1)), int(rng.choice(LENGTHS))
        match int(rng.integers(6)):
            case 0:
                raw[at : at + size] = rng.bytes(len(raw[at : at + size]))
            case 1:
                raw[at:at] = rng.bytes(size)
            case 2:
                del raw[at : at + size]
            case 3:
                del raw[at:]
            case 4:
                raw[at : at + size] = bytes([int(rng.choice([0, 255]))]) * len(raw[at : at + size])
            case _:
                block = HEADER_BYTES + BLOCK_BYTES * (at // BLOCK_BYTES)
                earlier = max(HEADER_BYTES, block - BLOCK_BYTES * int(rng.integers(1, 4)))
                raw[block:block] = raw[earlier:][:BLOCK_BYTES]
    count = (len(raw) - HEADER_BYTES) // BLOCK_BYTES
    if rng.integers(2) and count > 0:
        words = np.frombuffer(raw, "<u2", count * BLOCK_BYTES // 2, HEADER_BYTES).reshape(count, -1).copy()
        words[:, -1] = 0
        words[:, -1] = -words.sum(axis=1, dtype=np.uint16)
        raw[HEADER_BYTES : HEADER_BYTES + count * BLOCK_BYTES] = words.tobytes()
    return bytes(raw)


def checked(path: Path) -> list[str]:
    """Kinds of faults that the report tells; AssertionError where something vanished."""
    found = read_cwa(path)
    assert str(found.report)
    left_out = sum(fault.size for fault in found.report.faults if fault.kind in LEFT_OUT.values())
    told = HEADER_BYTES + BLOCK_BYTES * (len(found.blocks) + left_out) + found.report.counts.get(TAIL, 0)
    assert told == path.stat().st_size, f"{told} bytes are accounted for, the file has {path.stat().st_size}"
    assert len(found.samples) == found.report.samples == int(found.blocks["samples"].sum())
    times_ns = found.times_ns()
    runs = np.repeat(found.blocks["run"], found.blocks["samples"])
    same = (np.diff(runs) == 0) & (times_ns[1:] != NO_TIME) & (times_ns[:-1] != NO_TIME)
    assert (np.diff(times_ns)[same] >= 0).all()
    kinds = list(found.report.counts)
    surveyed = survey(path)
    assert surveyed.report == found.report
    assert np.isfinite(surveyed.stillness["mean_g"]).all()
    return [*kinds, "read"]


if __name__ == "__main__":
    given = dict(word.split("=") for word in sys.argv[2:])
    if len(sys.argv) < 2 or set(given) - {"files", "seed"}:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(given.get("files", 10_000)), int(given.get("seed", 0)))
