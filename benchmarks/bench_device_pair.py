"""Seconds and memory from a simulated week's pair of .cwa files at 100 Hz (2 x 237 MB) to one calibrated 50 Hz recording.

Beside it actfast, which only reads (left out where it is not installed): both files, one after the other. The peak of
memory is that of the first pair read, the result with it, in a process in which nothing else was done.
"""

import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

from selfpab.data.device_pairs import read_pair
from selfpab.data.simulated_devices import DeviceFaults, PairFaults, write_pair
from selfpab.devices.surveys import survey

HOURS = 168
REPEAT = 3
BACK = DeviceFaults(drift_ppm=-12.0, rate_ppm=4000.0, gain=(1.02, 0.98, 1.01), offset_g=(0.03, -0.02, 0.04), restarts=1)
# No block with a bad checksum, for actfast refuses such a file.
THIGH = DeviceFaults(offset_s=21.3, drift_ppm=25.0, rate_ppm=-7000.0, gain=(0.97, 1.01, 1.02), missing=2)


def write(folder: Path) -> None:
    write_pair(folder, 0, HOURS, faults=PairFaults(BACK, THIGH))


def measure(back: Path, thigh: Path) -> tuple[float, float, float]:
    """Peak memory of this process and size of the result in GB, and seconds."""
    began = time.perf_counter()
    recording = read_pair(back, thigh)
    taken = time.perf_counter() - began
    assert recording.seconds > 0.99 * HOURS * 3600
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return peak, recording.samples.nbytes / 2**30, taken


if __name__ == "__main__":
    from timing import median_s, report  # not above: the measured process would hold torch, too

    with tempfile.TemporaryDirectory() as folder:
        # In processes of their own, so that memory is counted for itself.
        start = multiprocessing.get_context("spawn")
        writer = start.Process(target=write, args=(Path(folder),))
        writer.start()
        writer.join()
        back, thigh = sorted(Path(folder).glob("*.cwa"))
        with start.Pool(1) as pool:
            peak, result, first_s = pool.apply(measure, (back, thigh))
        rows = [
            ("read_pair: peak memory of the process", peak, "GB"),
            ("  of this the result", result, "GB"),
            ("read_pair, the first time", first_s, "s"),
        ]
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
    report("device_pair", rows)
