"""A week of one person with the model in the box, from a mapped int16 store: seconds, and the memory that it takes.

Four numbers for memory: what the process needs at the most to predict, without mapped files (the kernel takes their pages
back when others need them); the same until tables and page are written; how large the result is, of which what is long lies
in mapped files; and the most that was ever resident, pages of the store included.

python benchmarks/bench_week.py [bf16|fp32] [days ...]      # each in a process of its own, so that peaks are its own
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from memory import watched
from timing import peak_gb, report

from selfpab.allocator import keep_freed_memory
from selfpab.data.simulation import NO_FAULTS, simulate
from selfpab.inference.model import load
from selfpab.recording import Recording
from selfpab.reports.recording_page import NAME, write_report

COUNTS_PER_G = 4096


def write_day(path: Path) -> None:
    """24 hours of a simulated person, int16."""
    (day,) = simulate(1, 24, seed=1, scenario="days", faults=NO_FAULTS)
    values = np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=(24 * 3600 * 50, 6))
    for first, piece in day.blocks(600):
        stop = min(first + len(piece), len(values))
        values[first:stop] = np.rint(piece[: stop - first] * COUNTS_PER_G).astype(np.int16)


def write_days(day: Path, path: Path, days: int) -> None:
    one = np.load(day, mmap_mode="r")
    many = np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=(days * len(one), 6))
    for place in range(days):
        many[place * len(one) : (place + 1) * len(one)] = one


def predict(path: Path, precision: str) -> tuple[float, ...]:
    """Seconds; then in GB: the most anonymous memory until then, and until all is written; the result; the most resident."""
    keep_freed_memory()
    model = replace(load("default"), precision=precision)
    recording = Recording("P001", None, 50.0, np.load(path, mmap_mode="r"), counts_per_g=COUNTS_PER_G)
    with watched() as largest_mb:
        began = time.perf_counter()
        prediction = model.predict(recording)
        prediction.bouts(), prediction.daily()
        seconds = time.perf_counter() - began
        needed = largest_mb() / 1024
        with tempfile.TemporaryDirectory() as folder:
            prediction.write(Path(folder))
            write_report(prediction, {}, Path(folder) / NAME)
        written = largest_mb() / 1024
    frames = prediction.frames
    kept = prediction.seconds.estimated_size() + sum(a.nbytes for a in (frames.values, frames.starts, frames.stops))
    return seconds, needed, written, kept / 2**30, peak_gb()


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[1] == "one":
        print(*predict(Path(sys.argv[3]), sys.argv[2]))
        sys.exit()
    precision = sys.argv[1] if len(sys.argv) > 1 else "bf16"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_day(Path(folder) / "day.npy")
        for days in map(int, sys.argv[2:] or ["1", "7", "28"]):
            write_days(Path(folder) / "day.npy", Path(folder) / "days.npy", days)
            runs = []
            for _ in range(3 if days <= 7 else 1):
                said = subprocess.run(
                    [sys.executable, __file__, "one", precision, str(Path(folder) / "days.npy")],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                runs.append([float(word) for word in said.stdout.split()])
            seconds, needed, written, kept, resident = np.median(runs, axis=0)
            rows += [
                (f"{precision}: {days} days predicted, model loaded", seconds, "s"),
                (f"{precision}: {days} days, peak memory without mapped files", needed, "GB"),
                (f"{precision}: {days} days, the same with tables and page written", written, "GB"),
                (f"{precision}: {days} days, the result", kept, "GB"),
                (f"{precision}: {days} days, peak memory, pages of the store included", resident, "GB"),
            ]
    report("week", rows)
