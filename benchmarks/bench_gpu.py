"""Pre-training at paper size on a GPU: seconds a step, memory, share of the chip's measured bf16 matrix rate.

    python benchmarks/bench_gpu.py                      # a GPU; without one, the same on CPU with a tiny network
    python benchmarks/bench_gpu.py batches=64,128,256 repeat=20 kernels=15 trace=FOLDER

A step is the whole of it: int16 windows from the host, spectrogram, alteration, forwards, backwards, AdamW. Each batch size is
measured with the encoder as it is and padded to aligned rows and heads, as torch runs it and compiled. Operations are those of
the true network, 2 for each multiplication with addition, backwards twice as many as forwards; what padding adds is not
counted. Of the fastest form at the first batch size follows the profiler's table of what took longest.
"""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from timing import median_s, peak_gb, report
from torch import nn

from selfpab.allocator import keep_freed_memory
from selfpab.data.windows import Batch
from selfpab.features.normalisation import Normalisation
from selfpab.upstream import PretrainConfig
from selfpab.upstream.batches import all_real, spectra
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.encoder import Encoder, EncoderConfig
from selfpab.upstream.engine import autocast, settle
from selfpab.upstream.masking import alter, draw, masked_l1
from selfpab.upstream.padded_encoder import PaddedEncoder

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
IDENTITY = Normalisation(np.zeros(156, np.float32), np.ones(156, np.float32))
TINY = EncoderConfig(d_model=150, layers=2, heads=6, d_feedforward=200)  # heads of 25, as odd as 250
DEFAULTS = {"batches": "64,128,256" if GPU else "2", "repeat": "20" if GPU else "3", "kernels": "15", "trace": ""}


def training_step(config: PretrainConfig, encoder: Encoder, form: nn.Module, batch: int) -> Callable[[], None]:
    """One step as `selfpab pretrain` does it, on windows of noise."""
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-4, fused=GPU or None)
    shape = config.spectrogram
    counts = np.random.default_rng(0).integers(-4096, 4096, (batch, shape.window_samples, 6)).astype(np.int16)
    frames = np.tile(np.arange(shape.window_frames, dtype=np.int32), (batch, 1))
    windows = Batch(counts, np.full(batch, 4096), frames)

    def step() -> None:
        noise = torch.Generator(DEVICE).manual_seed(1)
        clean, valid = spectra(windows, IDENTITY, shape, DEVICE)
        altered, mask = alter(clean, valid, draw(batch, shape.window_frames, shape.bins, noise), config.masking)
        with autocast("bf16", DEVICE):
            rebuilt = form(altered.flatten(2), None if all_real(windows) else valid)
        masked_l1(rebuilt, clean.flatten(2), mask.flatten(2)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def seconds(step: Callable[[], None], repeat: int) -> float:
    """Of one of so many that follow each other without waiting, as in the loop; three before do not count."""
    for _ in range(3):
        step()
    settle(DEVICE)
    began = time.perf_counter()
    for _ in range(repeat):
        step()
    settle(DEVICE)
    return (time.perf_counter() - began) / repeat


def operations(encoder: Encoder, config: PretrainConfig, batch: int) -> float:
    """Of the products of one step, forwards and backwards."""
    weights = sum(part.weight.numel() for part in encoder.modules() if isinstance(part, nn.Linear))
    frames, shape = config.spectrogram.window_frames, config.encoder
    return 6.0 * batch * frames * (weights + 2 * frames * shape.d_model * shape.layers)


def matrix_rate() -> float:
    """Operations a second of a large bf16 product."""
    size = 8192 if GPU else 1024
    a, b = torch.randn(2, size, size, device=DEVICE, dtype=torch.bfloat16)

    def ten() -> None:
        for _ in range(10):
            a @ b
        settle(DEVICE)

    return 10 * 2 * size**3 / median_s(ten)


def kernels(step: Callable[[], None], count: int, trace: str) -> str:
    """The profiler's table over three steps."""
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if GPU else [])]
    with profile(activities=kinds) as profiled:
        for _ in range(3):
            step()
        settle(DEVICE)
    if trace:
        Path(trace).mkdir(parents=True, exist_ok=True)
        profiled.export_chrome_trace(str(Path(trace) / "step.json"))
    order = "self_cuda_time_total" if GPU else "self_cpu_time_total"
    return profiled.key_averages().table(sort_by=order, row_limit=count, max_name_column_width=70)


if __name__ == "__main__":
    keep_freed_memory()
    settings = DEFAULTS | dict(word.split("=", 1) for word in sys.argv[1:])
    config = PretrainConfig() if GPU else replace(PretrainConfig(), encoder=TINY)
    rate = matrix_rate()
    rows = [("large bf16 matrix product", rate / 1e12, "TFLOP/s")]
    fastest: tuple[float, str, Callable[[], None] | None] = (math.inf, "", None)
    batches = [int(size) for size in settings["batches"].split(",")]
    for batch, padded, compiled in product(batches, (False, True), (False, True)):
        name = f"batch {batch}, {'padded' if padded else 'true widths'}{', compiled' if compiled else ''}"
        torch.manual_seed(0)
        encoder = Upstream.fresh(config.encoder, config.spectrogram, IDENTITY).encoder.to(DEVICE).train()
        form: nn.Module = PaddedEncoder(encoder) if padded else encoder
        step = training_step(config, encoder, torch.compile(form) if compiled else form, batch)  # type: ignore[arg-type]
        if GPU:
            torch.cuda.reset_peak_memory_stats()
        try:
            taken = seconds(step, int(settings["repeat"]))
        except torch.OutOfMemoryError:
            print(f"{name}: out of memory")
            continue
        share = operations(encoder, config, batch) / taken / rate
        rows += [(f"{name}: step", taken, "s"), (f"{name}: share of the matrix rate", 100 * share, "%")]
        if GPU:
            rows.append((f"{name}: most memory on the GPU", torch.cuda.max_memory_allocated() / 2**30, "GB"))
        if batch == batches[0] and taken < fastest[0]:
            fastest = (taken, name, step)
    if fastest[2] is not None:
        print(f"what took longest: {fastest[1]}\n{kernels(fastest[2], int(settings['kernels']), settings['trace'])}")
    rows.append(("peak memory of the process", peak_gb(), "GB"))
    report(f"gpu: {torch.cuda.get_device_name() if GPU else 'none; a tiny network on CPU'}", rows)
