"""What the machine can do at most: copies of memory, int16 to float32, matrix products; with one thread and with two.

The floors of docs/performance.md are made of these: bytes / copied bytes per second + operations / operations per second.
"""

import numpy as np
import torch
from timing import median_s, report

from selfpab.allocator import keep_freed_memory

LARGE = 64 << 20  # float32 values, 256 MB: more than any cache holds
SMALL = 256 << 10  # 1 MB: stays in the second cache
SIZE = 2048  # rows and columns of a product


def copied_gb_per_s(values: int, dtype: torch.dtype = torch.float32) -> float:
    """Bytes read and bytes written, together, of a copy to float32."""
    source, target = torch.zeros(values, dtype=dtype), torch.zeros(values)
    times = max(1, 4 * SMALL // values)
    taken = median_s(lambda: [target.copy_(source) for _ in range(times)], repeat=9)
    return times * values * (source.element_size() + target.element_size()) / taken / 1e9


def gflop_per_s(dtype: torch.dtype, rows: int = SIZE, inner: int = SIZE, columns: int = SIZE) -> float:
    one, other = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
    target = torch.empty(rows, columns, dtype=dtype)
    return 2e-9 * rows * inner * columns / median_s(lambda: torch.mm(one, other, out=target), repeat=9)


def transform_gflop_per_s() -> float:
    """Real transforms of 250 float64 values with numpy (one thread), counted as 2.5 N log2 N operations."""
    values, target = np.random.default_rng(0).normal(size=(512, 250)), np.empty((512, 126), np.complex128)
    return 512 * 2.5e-9 * 250 * np.log2(250) / median_s(lambda: np.fft.rfft(values, out=target), repeat=25)


def sorted_million_per_s() -> float:
    """Float64 values put in order, 250 at a time, with numpy (one thread)."""
    values = np.random.default_rng(0).normal(size=(512, 250))
    return values.size / median_s(lambda: np.sort(values, axis=1), repeat=25) / 1e6


if __name__ == "__main__":
    keep_freed_memory()
    rows = []
    for threads in range(1, torch.get_num_threads() + 1):
        torch.set_num_threads(threads)
        rows += [
            (f"{threads} threads: copy of 256 MB, read and written", copied_gb_per_s(LARGE), "GB/s"),
            (f"{threads} threads: copy of 1 MB, in cache", copied_gb_per_s(SMALL), "GB/s"),
            (f"{threads} threads: int16 to float32, 384 MB together", copied_gb_per_s(LARGE, torch.int16), "GB/s"),
            (f"{threads} threads: product of {SIZE} square, float32", gflop_per_s(torch.float32), "GFLOP/s"),
            (f"{threads} threads: product of {SIZE} square, bfloat16", gflop_per_s(torch.bfloat16), "GFLOP/s"),
            (
                f"{threads} threads: 14,376 x 25 by 25 x 52, float32",
                gflop_per_s(torch.float32, 14376, 25, 52),
                "GFLOP/s",
            ),
        ]
    rows += [
        ("real transforms of 250 float64 values, numpy, 1 thread", transform_gflop_per_s(), "GFLOP/s"),
        ("sorting 250 float64 values, numpy, 1 thread", sorted_million_per_s(), "M values/s"),
    ]
    report("ceilings", rows)
