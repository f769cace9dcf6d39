"""Seconds to read a simulated week of one .cwa at 100 Hz (237 MB), with checksums and block times, beside actfast.

actfast is left out where it is not installed. Memory is that of the first reading, before anything else.
"""

import multiprocessing
import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
from timing import median_s, paired_s, peak_gb, report

from selfpab.devices.cwa import cwa_pieces, read_cwa
from selfpab.devices.cwa_writer import write_cwa

RATE_HZ = 100.0
WEEK = 7 * 86_400 * 100
REPEAT = 5


def write(path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.6, (WEEK // 168, 3)).astype(np.float16)
    noise[:, 0] -= 1
    samples_g = np.tile(noise, (168, 1))
    write_cwa(path, samples_g, form="packed", rate_hz=RATE_HZ, range_g=8, start=datetime(2024, 3, 4, 9), drift_ppm=40.0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "week.cwa"
        # In a process of its own, so that its memory is not counted.
        writer = multiprocessing.get_context("spawn").Process(target=write, args=(path,))
        writer.start()
        writer.join()
        before = peak_gb()
        read = read_cwa(path)
        result = (read.samples.nbytes + read.blocks.nbytes) / 2**30
        rows = [
            ("peak memory of read_cwa beyond its result", peak_gb() - before - result, "GB"),
            ("result", result, "GB"),
        ]
        assert len(read.samples) == WEEK
        del read
        try:
            import actfast
        except ImportError:
            rows.append(("read_cwa", median_s(lambda: read_cwa(path), repeat=REPEAT), "s"))
        else:
            ours, theirs, ratio = paired_s(lambda: read_cwa(path), lambda: actfast.read(path), repeat=REPEAT)
            rows += [("read_cwa", ours, "s"), ("actfast", theirs, "s"), ("actfast / read_cwa", ratio, "times")]
        rows.append(("cwa_pieces", median_s(lambda: [None for _ in cwa_pieces(path)], repeat=3), "s"))
        rows.append(("file", path.stat().st_size / 1e6, "MB"))
    report("cwa", rows)
