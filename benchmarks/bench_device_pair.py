"""Seconds and memory from a simulated week's pair of .cwa files at 100 Hz (2 x 237 MB) to one calibrated 50 Hz recording.

    python benchmarks/bench_device_pair.py [days ...]      # 7; after the first, memory and seconds of one reading alone

Beside it actfast, which only reads (left out where it is not installed): both files, one after the other. The peak of
memory is that of the first pair read, the result with it, in a process in which nothing else was done.
"""

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

from memory import status_mb, watched

from selfpab.data.device_pairs import read_pair
from selfpab.data.simulated_devices import DeviceFaults, PairFaults, write_pair
from selfpab.devices.surveys import survey

REPEAT = 3
BACK = DeviceFaults(drift_ppm=-12.0, rate_ppm=4000.0, gain=(1.02, 0.98, 1.01), offset_g=(0.03, -0.02, 0.04), restarts=1)
# No block with a bad checksum, for actfast refuses such a file.
THIGH = DeviceFaults(offset_s=21.3, drift_ppm=25.0, rate_ppm=-7000.0, gain=(0.97, 1.01, 1.02), missing=2)


def write(folder: Path, days: int) -> None:
    write_pair(folder, 0, 24 * days, faults=PairFaults(BACK, THIGH))


def measure(back: Path, thigh: Path, days: int) -> tuple[float, float, float, float]:
    """Peak memory of this process, anonymous memory at most, and size of the result in GB; seconds."""
    began = time.perf_counter()
    with watched() as anonymous_mb:
        recording = read_pair(back, thigh)
        most = anonymous_mb() / 1024
    taken = time.perf_counter() - began
    assert recording.seconds > 0.99 * days * 86_400
    peak = status_mb("VmHWM") / 1024  # not ru_maxrss: that is also of the process it was forked from
    return peak, most, recording.samples.nbytes / 2**30, taken


def once(days: int, folder: Path) -> tuple[list[tuple[str, float, str]], list[Path]]:
    """What one reading needs, in a process of its own, so that memory is counted for itself; and the files."""
    start = multiprocessing.get_context("spawn")
    writer = start.Process(target=write, args=(folder, days))
    writer.start()
    writer.join()
    files = sorted(folder.glob("*.cwa"))
    with start.Pool(1) as pool:
        peak, anonymous, result, first_s = pool.apply(measure, (*files, days))
    return [
        (f"{days} days: peak memory of the process", peak, "GB"),
        (f"{days} days: anonymous memory, at most", anonymous, "GB"),
        (f"{days} days: the result", result, "GB"),
        (f"{days} days: read_pair, the first time", first_s, "s"),
    ], files


if __name__ == "__main__":
    from timing import median_s, report  # not above: the measured process would hold torch, too

    first, *others = map(int, sys.argv[1:] or ["7"])
    with tempfile.TemporaryDirectory() as folder:
        rows, (back, thigh) = once(first, Path(folder))
        rows += [
            ("read_pair", median_s(lambda: read_pair(back, thigh), repeat=REPEAT), "s"),
            ("read_pair, one thread", median_s(lambda: read_pair(back, thigh, workers=1), repeat=REPEAT), "s"),
            ("  survey of one file", median_s(lambda: survey(back), repeat=REPEAT), "s"),
        ]
        try:
            import actfast
        except ImportError:
            pass
        else:
            both = sum(median_s(lambda path=path: actfast.read(path), repeat=REPEAT) for path in (back, thigh))
            rows.append(("actfast: both files read, nothing else", both, "s"))
        rows.append(("files", (back.stat().st_size + thigh.stat().st_size) / 1e6, "MB"))
    for days in others:
        with tempfile.TemporaryDirectory() as folder:
            rows += once(days, Path(folder))[0]
    report("device_pair", rows)
