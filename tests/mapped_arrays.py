"""Whether an array lies in a file."""

import mmap

import numpy as np


def is_mapped(array):
    """Of what `selfpab.scratch.room_for` gave, or a part of it."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return isinstance(array.obj if isinstance(array, memoryview) else array, mmap.mmap)
