"""Seconds per training step and forward pass: `small`, `small` with five-minute windows, paper size; attention two ways.

python benchmarks/bench_pretrain.py [attention|small|small-599|paper]
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from timing import median_s, paired_s, peak_gb, report

from selfpab.allocator import keep_freed_memory
from selfpab.config import load
from selfpab.features.normalisation import Normalisation
from selfpab.upstream import PretrainConfig
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.encoder import attention
from selfpab.upstream.engine import autocast, resolved_precision
from selfpab.upstream.masking import alter, draw, masked_l1

CPU = torch.device("cpu")
CASES = {  # preset, windows a step, settings
    "small": ("small", 80, []),
    "small-599": ("small", 16, ["spectrogram.window_frames=599"]),
    "paper": ("paper", 4, []),
}


def encoder_rows(case: str, precision: str) -> list[tuple[str, float, str]]:
    preset, batch, settings = CASES[case]
    config = load(PretrainConfig, preset=preset, section="pretrain", settings=settings)
    frames = config.spectrogram.window_frames
    identity = Normalisation(np.zeros(156, np.float32), np.ones(156, np.float32))
    encoder = Upstream.fresh(config.encoder, config.spectrogram, identity).encoder
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-4, fused=True)
    clean, valid = torch.randn(batch, frames, 6, 26), torch.ones(batch, frames, dtype=torch.bool)

    def step() -> None:
        altered, mask = alter(clean, valid, draw(batch, frames, 26, torch.Generator().manual_seed(1)), config.masking)
        with autocast(precision, CPU):
            rebuilt = encoder(altered.flatten(2), valid)
        masked_l1(rebuilt, clean.flatten(2), mask.flatten(2)).backward()
        optimizer.step()
        optimizer.zero_grad()

    def forward() -> None:
        with torch.no_grad(), autocast(precision, CPU):
            encoder(clean.flatten(2), valid)

    encoder.train()
    repeat = 7 if preset == "small" else 3
    training = median_s(step, repeat=repeat)
    encoder.eval()
    name = f"{preset}, {batch} windows of {frames} frames, {precision}"
    return [
        (f"{name}: training step", training, "s"),
        (f"{name}: forward", median_s(forward, repeat=repeat), "s"),
    ]


def attention_rows() -> list[tuple[str, float, str]]:
    """Forward and backward of one layer of `small`: three plain products beside torch's fused kernel, bf16."""
    inputs = [torch.randn(16, 4, 599, 48, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
    weight = torch.randn(16, 4, 599, 48, dtype=torch.bfloat16)
    plain, fused, ratio = paired_s(
        lambda: attention(*inputs, None, 0.0).backward(weight),
        lambda: F.scaled_dot_product_attention(*inputs).backward(weight),
    )
    return [
        ("attention of one layer of small, plain products", plain, "s"),
        ("attention of one layer of small, torch's fused kernel", fused, "s"),
        ("attention: fused / plain", ratio, "x"),
        *prediction_rows(119, 16, 4, 48),
        *prediction_rows(599, 2, 6, 250),
    ]


@torch.inference_mode()
def prediction_rows(frames: int, windows: int, heads: int, width: int) -> list[tuple[str, float, str]]:
    """The fused kernel of prediction, in bf16, on so many frames, and on a multiple of 32 of which it looks past the last."""
    whole = -(-frames // 32) * 32
    keep = (torch.arange(whole) < frames).expand(windows, 1, 1, whole)
    inputs = torch.randn(3, windows, heads, whole, width).bfloat16()
    short = inputs[..., :frames, :].contiguous()
    padded, bare, ratio = paired_s(
        lambda: F.scaled_dot_product_attention(*inputs, attn_mask=keep),
        lambda: F.scaled_dot_product_attention(*short),
        repeat=31,
    )
    about = f"{windows} windows, {heads} heads of {width}"
    return [
        (f"attention forwards, {about}, {frames} frames", bare, "s"),
        (f"the same, {whole} with a mask", padded, "s"),
        (f"attention forwards: {frames} / {whole} with a mask", ratio, "x"),
    ]


def matrix_rate() -> float:
    """GFLOP/s of a large bf16 (or fp32) product: what arithmetic alone would allow."""
    kind = torch.bfloat16 if resolved_precision("auto", CPU) == "bf16" else torch.float32
    a, b = torch.randn(2, 2048, 2048).to(kind)
    return 2 * 2048**3 / median_s(lambda: a @ b) / 1e9


if __name__ == "__main__":
    kept = "--no-allocator" not in sys.argv and keep_freed_memory()
    parts = [part for part in sys.argv[1:] if not part.startswith("-")] or ["attention", *CASES]
    rows = [("large matrix product", matrix_rate(), "GFLOP/s")]
    for part in parts:
        if part == "attention":
            rows += attention_rows()
        else:
            for precision in ("bf16", "fp32"):
                rows += encoder_rows(part, precision)
    rows.append(("peak memory of the process", peak_gb(), "GB"))
    report("pretrain" + ("" if kept else ", allocator untouched"), rows)
