"""Memory of pre-training on corpora of 10, 1,000 and 100,000 hours (sparse files: the sizes are real, the samples zeros).

Anonymous memory is what the process needs; mapped pages of the corpus are the kernel's to take back.

    python benchmarks/bench_scale.py            # all three, each in a process of its own
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from timing import report

from selfpab.allocator import keep_freed_memory
from selfpab.config import load
from selfpab.data.store import write_index
from selfpab.upstream import PretrainConfig, open_corpus
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.masking import alter, draw, masked_l1
from selfpab.upstream.pretraining import spectra, training_data

WEEK_H = 168.0
SIZES = (10, 1_000, 100_000)
STEPS = 30


def sparse_corpus(folder: Path, hours: float) -> None:
    """Week-long recordings, each of another person; every row has plausible moments."""
    recordings = folder / "recordings"
    recordings.mkdir(parents=True)
    count = max(10, round(hours / WEEK_H))
    samples = int(hours / count * 180_000)
    for number in range(count):
        name = f"w{number:04d}"
        array = np.lib.format.open_memmap(recordings / f"{name}.npy", mode="w+", dtype=np.int16, shape=(samples, 6))
        del array
        row = {
            "subject": name, "start": None, "rate_hz": 50.0, "samples": samples, "file": name, "labelled": False,
            "counts_per_g": 4096, "segments": [[0, samples, 0.0, 0]], "checksum": name, "source": "{}",
            "frames": samples // 25, "spectrum_sum": [1.0] * 156, "spectrum_squares": [float(samples)] * 156,
        }  # fmt: skip
        (recordings / f"{name}.json").write_text(json.dumps(row))
    write_index(folder)


def anonymous_mb() -> float:
    """Memory of this process that is not a mapped file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def measure(folder: Path) -> dict[str, float]:
    keep_freed_memory()
    torch.set_num_threads(2)
    config = load(PretrainConfig, preset="tiny", section="pretrain", settings=["spectrogram.window_frames=599"])
    began = time.perf_counter()
    corpus = open_corpus(folder)
    training, _, normalisation = training_data(corpus, config)
    training.take(0, 1)
    opened = time.perf_counter() - began
    encoder = Upstream.fresh(config.encoder, config.spectrogram, normalisation).encoder
    largest = 0.0
    for step in range(STEPS):
        clean, valid = spectra(training.take(step * 16, 16), normalisation, config.spectrogram, torch.device("cpu"))
        altered, mask = alter(clean, valid, draw(16, 599, 26, torch.Generator().manual_seed(step)), config.masking)
        masked_l1(encoder(altered.flatten(2), valid), clean.flatten(2), mask.flatten(2)).backward()
        largest = max(largest, anonymous_mb())
    return {"windows": len(training), "opened_s": opened, "anonymous_mb": largest}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]))))
        raise SystemExit
    rows = []
    for hours in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            sparse_corpus(Path(folder) / "corpus", hours)
            command = [sys.executable, "-W", "ignore", __file__, str(Path(folder) / "corpus")]
            found = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
            )
        rows += [
            (f"{hours:,} h ({found['windows']:,} windows): open, choose, first window", found["opened_s"], "s"),
            (f"{hours:,} h: anonymous memory, at most, {STEPS} steps of 16", found["anonymous_mb"], "MB"),
        ]
    report("scale", rows)
