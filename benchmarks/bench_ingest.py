"""Ingest by one core: hours of recording a second and memory, from csv, parquet and pairs of .cwa files of some lengths.

Every recording is made and ingested in processes of their own. A core's speed is that of the processor's time, with
one thread for everything. What it would take for HUNT4 (35,000 people, a week of two sensors each) follows from the
longest pair: seconds an hour times hours over cores, as if disks kept up and all cores ran like this one.

    python benchmarks/bench_ingest.py               # a day and a week; 2.6 GB of disk, some ten minutes
    python benchmarks/bench_ingest.py 6 24          # these hours
    python benchmarks/bench_ingest.py 24 168 672    # four weeks, too: 13 GB of disk (computed)
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memory import anonymous_mb, watched

HOURS = (24.0, 168.0)
FORMS = ("csv", "parquet", "pair 50", "pair 100")
PEOPLE, WEEK_H = 35_000, 168
CORES = (1, 16, 512)


def make(form: str, hours: float, folder: Path) -> None:
    """One recording in `folder`."""
    import polars as pl

    from selfpab.data.parquet import write_parquet
    from selfpab.data.simulated_devices import write_pair
    from selfpab.data.simulation import simulate

    folder.mkdir()
    if form.startswith("pair"):
        write_pair(folder, 0, hours, rate_hz=float(form.split()[1]))
        return
    (recording,) = simulate(1, hours, seed=1, scenario="days")
    write_parquet(recording, folder / "S1.parquet")
    if form == "csv":
        pl.scan_parquet(folder / "S1.parquet").sink_csv(folder / "S1.csv")
        (folder / "S1.parquet").unlink()


def measure(form: str, hours: float, folder: Path) -> dict[str, float]:
    from selfpab.upstream.corpus import ingest

    before = anonymous_mb()
    with watched() as most:
        began, used = time.perf_counter(), time.process_time()
        corpus, failed = ingest([folder], folder.parent / "corpus", quiet=True)
        wall, used = time.perf_counter() - began, time.process_time() - used
        peak = most()
    assert not failed, failed
    assert corpus.hours > 0.9 * hours
    bytes_in = sum(file.stat().st_size for file in folder.iterdir())
    return {
        "hours": corpus.hours,
        "wall_s": wall,
        "cpu_s": used,
        "before_mb": before,
        "peak_mb": peak,
        "bytes": bytes_in,
    }


def found_for(form: str, hours: float) -> dict[str, float]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as place:
        for what in ("--make", "--measure"):
            command = [sys.executable, "-W", "ignore", __file__, what, form, str(hours), str(Path(place) / "raw")]
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            if done.returncode:
                sys.exit(f"{what} {form} {hours:g} h failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    if sys.argv[1:2] in (["--make"], ["--measure"]):
        what, form, hours, folder = sys.argv[1:]
        if what == "--make":
            make(form, float(hours), Path(folder))
        else:
            print(json.dumps(measure(form, float(hours), Path(folder))))
        raise SystemExit
    rows = []
    for form in FORMS:
        found = {}
        for hours in map(float, sys.argv[1:] or HOURS):
            found = found_for(form, hours)
            name = f"{form}{' Hz' if ' ' in form else ''}, {hours:g} h ({found['bytes'] / 1e6:.0f} MB)"
            rows += [
                (f"{name}: recorded hours a second of one core", found["hours"] / found["cpu_s"], "h/s"),
                (f"{name}: the same by the clock", found["hours"] / found["wall_s"], "h/s"),
                (f"{name}: anonymous memory beyond what was imported", found["peak_mb"] - found["before_mb"], "MB"),
            ]
            print(*(f"{what:62s} {value:10.3g} {unit}" for what, value, unit in rows[-3:]), sep="\n", file=sys.stderr)
        if form.startswith("pair"):
            for cores in CORES:
                taken = PEOPLE * WEEK_H * found["cpu_s"] / found["hours"] / cores / 3600
                rows.append((f"HUNT4, {PEOPLE:,} people, a week, {form} Hz, {cores} cores, computed", taken, "h"))
    from timing import report  # not above: the measured process would hold more

    report("ingest", rows)
