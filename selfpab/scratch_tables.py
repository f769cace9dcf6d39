"""Tables for what grows with a recording, as `scratch` has arrays: in memory while small, else in a nameless file."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from itertools import chain
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    import polars as pl

IN_MEMORY = 8 << 20  # bytes: somewhat more than the seconds of a day


def one_table(pieces: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all pieces, at least one, of the same columns, under each other.

    The table lies in memory if it has at most `IN_MEMORY` bytes, else in a file in TMPDIR that is mapped, a chunk for each
    piece. The file has no name, and is gone with the table; its pages are the kernel's to write out and take back. Pieces
    for which the disk has no room stay in memory, as do all where files cannot be laid out in advance.

    >>> import polars as pl
    >>> one_table(pl.DataFrame({"row": [row]}) for row in range(3))["row"].to_list()
    [0, 1, 2]
    """
    import polars as pl

    few: deque[pl.DataFrame] = deque()
    size, left = 0, iter(pieces)
    for piece in left:
        few.append(piece)
        size += piece.estimated_size()
        if size > IN_MEMORY and hasattr(os, "posix_fallocate"):
            break
    else:
        return pl.concat(few, rechunk=True)
    first = (few.popleft() for _ in range(len(few)))  # none is kept once it is written
    return pl.concat(_mapped(chain(first, left)), rechunk=False)


def _mapped(pieces: Iterable[pl.DataFrame]) -> list[pl.DataFrame]:
    """The same pieces, lying in a file as far as there is room."""
    import polars as pl
    import pyarrow as pa
    import pyarrow.ipc

    in_file: list[slice] = []
    in_memory: list[pl.DataFrame] = []
    with ExitStack() as opened:
        try:
            file = tempfile.TemporaryFile(prefix="selfpab-")  # noqa: SIM115 - closed below, whatever cannot be written
        except OSError:
            return list(pieces)
        opened.callback(_closed, file)
        end = 0
        for piece in pieces:
            size = 0 if in_memory else _laid(piece, file, end)  # all that follow too, or they would change places
            if size:
                in_file.append(slice(end, end + size))
                end += size
            else:
                in_memory.append(piece)
        if not in_file:
            return in_memory
        try:
            whole = memoryview(mmap.mmap(file.fileno(), end, access=mmap.ACCESS_READ))
        except (OSError, ValueError):
            file.seek(0)
            whole = memoryview(file.read(end))
    read = (pyarrow.ipc.open_stream(pa.py_buffer(whole[place])).read_all() for place in in_file)
    return [cast("pl.DataFrame", pl.from_arrow(table, rechunk=False)) for table in read] + in_memory


def _closed(file: IO[bytes]) -> None:
    with suppress(OSError):  # of what could not be written, and is in memory
        file.close()


def _laid(piece: pl.DataFrame, file: IO[bytes], begin: int) -> int:
    """Write it from `begin` on, as Arrow's stream, which is read without copying; how many bytes it has.

    0 where the disk has no room, which is noticed before anything is written.
    """
    import polars as pl
    import pyarrow as pa
    import pyarrow.ipc

    table = piece.to_arrow(
        compat_level=pl.CompatLevel.newest()
    )  # an older one would have other strings, copied when read

    def write(sink: IO[bytes] | pa.NativeFile) -> None:
        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)

    counted = pa.MockOutputStream()
    write(counted)
    try:
        os.posix_fallocate(file.fileno(), begin, counted.size())
        file.seek(begin)
        write(file)
        file.flush()
    except (OSError, ValueError):
        return 0
    return counted.size()
