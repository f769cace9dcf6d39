"""Keep freed memory instead of giving it back to the kernel at once.

glibc returns every freed block above 32 MB, and much of the rest, to the kernel; the next tensor of the same size then
pays one page fault per 4 KB. Keeping it makes a bf16 training step of `small` on CPU 1.3 times as fast and large
spectrograms three times (benchmarks/RESULTS.md, "allocator untouched"). Elsewhere than on glibc this does nothing.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8  # malloc.h
LARGE = 2**31 - 1


def keep_freed_memory() -> bool:
    """Ask glibc to reuse freed memory; True where it agreed. Call once, before large arrays are made.

    >>> keep_freed_memory() in (True, False)
    True
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    wanted = ((M_MMAP_THRESHOLD, LARGE), (M_TRIM_THRESHOLD, LARGE), (M_TOP_PAD, 64 << 20), (M_ARENA_MAX, 1))
    return all([mallopt(option, value) == 1 for option, value in wanted])
