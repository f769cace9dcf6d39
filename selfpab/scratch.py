"""Arrays for what grows with a recording: in memory while small, else in a nameless file, so that memory does not grow."""

from __future__ import annotations

import mmap
import os
import tempfile
from math import prod
from operator import index
from typing import SupportsIndex

import numpy as np
import numpy.typing as npt

IN_MEMORY = 32 << 20  # bytes; with 128 MB a week's pair of .cwa takes a tenth less time and four times the memory


def room_for(
    shape: SupportsIndex | tuple[int, ...], dtype: npt.DTypeLike, *, in_memory: int | None = None
) -> np.ndarray:
    """An array that is yet to be filled.

    It lies in memory if it has at most `in_memory` bytes (None: `IN_MEMORY`), else in a file in TMPDIR that is mapped. The
    file has no name, and is gone with the array; its pages are the kernel's to write out and take back. Where the disk is
    full, there is nowhere to write, or files cannot be laid out in advance, the array lies in memory after all.

    >>> room_for((2, 3), np.int16).shape
    (2, 3)
    """
    dtype = np.dtype(dtype)
    sides = shape if isinstance(shape, tuple) else (index(shape),)
    size = prod(sides) * dtype.itemsize
    if size <= (IN_MEMORY if in_memory is None else in_memory) or not hasattr(os, "posix_fallocate"):
        return np.empty(sides, dtype)
    try:
        with tempfile.TemporaryFile(prefix="selfpab-") as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk is noticed here, not in the middle of writing
            mapped = mmap.mmap(file.fileno(), size)
    except (OSError, ValueError):
        return np.empty(sides, dtype)
    # not numpy's memmap: others would try to open its file by name
    return np.frombuffer(mapped, dtype).reshape(sides)
