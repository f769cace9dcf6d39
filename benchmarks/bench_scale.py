"""Corpora of 10 to 100,000 hours, of recordings of three hours and of a week: opening, reading, memory of pre-training.

The index is genuine; of the samples at most 300 hours are, and beyond that the files are hard links to those. Every size
is measured in a process of its own. Cold: the pages of the files were let go, and where that is permitted the names, too.

    python benchmarks/bench_scale.py                    # all ten; 0.7 GB of disk at a time, 1 GB with the rows
    python benchmarks/bench_scale.py 10 1000            # these sizes
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from memory import anonymous_mb, status_mb
from timing import report

from selfpab.allocator import keep_freed_memory
from selfpab.config import load
from selfpab.data.store import add_recording, write_index
from selfpab.data.windows import Windows, shuffled
from selfpab.features.normalisation import recording_moments
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.recording import Recording, Segment
from selfpab.upstream import PretrainConfig, open_corpus
from selfpab.upstream.batches import spectra
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.masking import alter, draw, masked_l1
from selfpab.upstream.pretraining import training_data

SIZES = (10, 100, 1_000, 10_000, 100_000)
LENGTHS_H = (3.0, 168.0)
REAL_H = 300.0
PEOPLE = 4  # at least, so that somebody can be held out
STEPS, BATCH = 20, 16
READ = 512  # windows of a measurement


def make_corpus(folder: Path, hours: float, length_h: float) -> None:
    """Recordings with a gap of a minute after a third; every one is of another person."""
    count = max(PEOPLE, round(hours / length_h))
    samples = int(hours / count * 180_000)
    rng = np.random.default_rng(0)
    day = rng.normal(0, 0.3, (min(samples, 24 * 180_000), 6)).astype(np.float32)
    values = np.concatenate([day] * -(-samples // len(day)))[:samples]
    cut = samples // 3
    segments = (Segment(0, cut, 0.0), Segment(cut, samples, cut / 50 + 60.0))
    first = Recording("s0", None, 50.0, values, segments=segments, source={"path": "s0.csv"})
    sums = recording_moments(first, SpectrogramConfig())
    recordings = folder / "recordings"
    for number in range(count):
        name = f"r{number:05d}"
        if number < max(1, round(REAL_H * count / hours)):
            moments = (sums.frames, sums.total, sums.squares)
            add_recording(first, folder, name, checksum=f"{number:064d}", moments=moments)
        else:
            os.link(
                recordings / f"r{number % max(1, round(REAL_H * count / hours)):05d}.npy", recordings / f"{name}.npy"
            )
        if not number:
            row = json.loads((recordings / f"{name}.json").read_text())
        own = {"subject": f"s{number:05d}", "file": name, "checksum": f"{number:064d}"}
        (recordings / f"{name}.json").write_text(json.dumps(row | own))


def let_go(folder: Path) -> None:
    """Forget the pages of the samples, and names and inodes where one may."""
    for path in {file.stat().st_ino: file for file in (folder / "recordings").glob("*.npy")}.values():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with suppress(OSError):
        Path("/proc/sys/vm/drop_caches").write_text("2")


def rate(training: Windows, first: int) -> float:
    began = time.perf_counter()
    for place in range(first, first + READ, BATCH):
        training.take(place, BATCH)
    return READ / (time.perf_counter() - began)


def measure(folder: Path) -> dict[str, float]:
    keep_freed_memory()
    torch.set_num_threads(1)
    config = load(PretrainConfig, preset="tiny", section="pretrain", settings=["spectrogram.window_frames=599"])
    let_go(folder)
    began = time.perf_counter()
    corpus = open_corpus(folder)
    training, _, normalisation = training_data(corpus, config)
    training.take(0, 1)
    found = {"opened_s": time.perf_counter() - began, "opened_anonymous_mb": anonymous_mb()}
    count, began = len(training), time.perf_counter()
    shuffled(count, "order", 0, 1)
    found |= {"windows": count, "shuffled_s": time.perf_counter() - began}
    let_go(folder)
    found["cold"] = rate(training, BATCH)
    rate(training, BATCH)
    found["warm"] = rate(training, BATCH)

    encoder = Upstream.fresh(config.encoder, config.spectrogram, normalisation).encoder
    largest = 0.0
    for step in range(STEPS):
        clean, valid = spectra(
            training.take(step * BATCH, BATCH), normalisation, config.spectrogram, torch.device("cpu")
        )
        altered, mask = alter(clean, valid, draw(BATCH, 599, 26, torch.Generator().manual_seed(step)), config.masking)
        masked_l1(encoder(altered.flatten(2), valid), clean.flatten(2), mask.flatten(2)).backward()
        largest = max(largest, anonymous_mb())
    return found | {"anonymous_mb": largest, "resident_mb": status_mb("VmHWM")}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(Path(sys.argv[2]))))
        raise SystemExit
    rows = []
    for length_h in LENGTHS_H:
        for hours in map(int, sys.argv[1:] or SIZES):
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place) / "corpus"
                make_corpus(folder, hours, length_h)
                began = time.perf_counter()
                recordings = len(write_index(folder))
                indexed = time.perf_counter() - began
                command = [sys.executable, "-W", "ignore", __file__, "--measure", str(folder)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            name = f"{hours:,} h, {recordings:,} of {min(length_h, hours / recordings):.3g} h"
            rows += [
                (f"{name}: index written", indexed, "s"),
                (f"{name}: opened, windows chosen, one read", found["opened_s"], "s"),
                (f"{name}: anonymous memory then", found["opened_anonymous_mb"], "MB"),
                (f"{name}: {found['windows']:,} windows put in order", found["shuffled_s"], "s"),
                (f"{name}: read cold", found["cold"], "windows/s"),
                (f"{name}: read warm", found["warm"], "windows/s"),
                (f"{name}: anonymous memory, at most, {STEPS} steps of {BATCH}", found["anonymous_mb"], "MB"),
                (f"{name}: resident memory, at most", found["resident_mb"], "MB"),
            ]
            print(*(f"{what:62s} {value:10.3g} {unit}" for what, value, unit in rows[-8:]), sep="\n", file=sys.stderr)
    report("scale", rows)
