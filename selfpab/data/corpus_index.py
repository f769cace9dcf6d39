"""The index of a corpus: index.parquet, of which only the columns that training needs stay in memory.

At 35,000 recordings all rows at once would be 0.8 GB of Python objects. So the rows lie in groups of 512, and an `Entry`
is made when it is asked for; the sums over spectra (2.5 KB a recording) and `source` are read again each time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from selfpab.recording import Mark, Segment
from selfpab.writing import write_whole

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

GROUP = 512  # rows read at once
SUMS = ("spectrum_sum", "spectrum_squares")


@dataclass(frozen=True, eq=False)
class Entry:
    """One row of the index; `spectrum_sum` and `spectrum_squares` are sums over `frames` frames, (156,)."""

    subject: str
    start: str | None
    rate_hz: float
    samples: int
    file: str
    labelled: bool
    counts_per_g: int
    segments: tuple[Segment, ...]
    marks: tuple[Mark, ...]
    checksum: str
    source: dict[str, Any]
    frames: int
    spectrum_sum: np.ndarray
    spectrum_squares: np.ndarray


@dataclass(frozen=True, eq=False)
class Columns:
    """What training needs of every recording, R in all.

    subjects, files : R names. rate_hz : float64 (R,). samples, counts_per_g : int64 (R,).
    """

    subjects: tuple[str, ...]
    files: tuple[str, ...]
    rate_hz: np.ndarray
    samples: np.ndarray
    counts_per_g: np.ndarray


class Rows(Sequence[Entry]):
    """The rows of an index.parquet, in its order, as entries that are made when they are asked for."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        # Kept open: what an `ingest` meanwhile puts in its place must not mix with what was read before.
        self._file = pa.OSFile(str(path))
        with self._open() as index:
            sizes = [index.metadata.row_group(i).num_rows for i in range(index.num_row_groups)]
        self._ends = np.cumsum(sizes)
        self._last: tuple[int, pyarrow.Table | None] = (-1, None)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, place: int | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(place, slice):
            return tuple(self[i] for i in range(*place.indices(len(self))))
        at = range(len(self))[place]  # negative ones, and IndexError
        group = int(np.searchsorted(self._ends, at, side="right"))
        last, table = self._last
        if table is None or last != group:
            with self._open() as index:
                table = index.read_row_group(group)
            self._last = group, table
        first = int(self._ends[group - 1]) if group else 0
        return entry_of(table.slice(at - first, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Entry]:
        for batch in self._batches(None):
            yield from map(entry_of, batch.to_pylist())

    def values(self, column: str) -> list[Any]:
        """One plain column: numbers or text."""
        return [value for batch in self._batches([column]) for value in batch[column].to_pylist()]

    def segments(self) -> Iterator[tuple[Segment, ...]]:
        """Those of every recording."""
        for batch in self._batches(["segments"]):
            yield from map(_segments, batch["segments"].to_pylist())

    def sums(self, subjects: Collection[str]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """(frames, spectrum_sum, spectrum_squares) of every recording of these people."""
        for batch in self._batches(["subject", "frames", *SUMS]):
            total, squares = (batch[name].flatten().to_numpy().reshape(len(batch), -1) for name in SUMS)
            for row, subject in enumerate(batch["subject"].to_pylist()):
                if subject in subjects:
                    yield batch["frames"][row].as_py(), total[row], squares[row]

    def _batches(self, columns: list[str] | None) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow as pa

        with self._open() as index:
            yield from index.iter_batches(GROUP, columns=columns, use_threads=False)
        pa.default_memory_pool().release_unused()  # else it keeps 16 MB that torch cannot use

    def _open(self) -> pyarrow.parquet.ParquetFile:
        import pyarrow.parquet as pq

        return pq.ParquetFile(self._file)


def columns_of(entries: Sequence[Entry]) -> Columns:
    """Of the rows of an index, or of entries that somebody changed."""

    def values(name: str) -> list[Any]:
        return entries.values(name) if isinstance(entries, Rows) else [getattr(entry, name) for entry in entries]

    return Columns(
        tuple(values("subject")),
        tuple(values("file")),
        np.array(values("rate_hz"), np.float64),
        np.array(values("samples"), np.int64),
        np.array(values("counts_per_g"), np.int64),
    )


def write_rows(path: Path, rows: Sequence[Path]) -> None:
    """An index.parquet of rows that lie in JSON files of their own, in the order given, read `GROUP` at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "str": pa.string(),
        "str | None": pa.string(),
        "float": pa.float64(),
        "int": pa.int64(),
        "bool": pa.bool_(),
    }
    numbers = pa.list_(pa.float64())
    of_lists: dict[str, pa.DataType] = {
        "segments": pa.list_(numbers)
    }  # first, stop, start_s, part: all exact in a double
    of_lists |= dict.fromkeys(SUMS, numbers)
    schema = pa.schema(
        [(each.name, of_lists.get(each.name) or kinds.get(str(each.type), pa.string())) for each in fields(Entry)]
    )

    def write(part: Path) -> None:
        with pq.ParquetWriter(part, schema, compression="zstd") as writer:
            for first in range(0, len(rows), GROUP):
                names = rows[first : first + GROUP]
                read = [{"marks": "[]"} | json.loads(name.read_bytes()) for name in names]  # an older corpus has none
                writer.write_table(pa.Table.from_pylist(read, schema=schema), row_group_size=GROUP)

    write_whole(path, write)


def entry_of(row: dict[str, Any]) -> Entry:
    """A row as it lies in index.parquet, or in a file of its own, as an entry."""
    sums = {key: np.asarray(row[key], np.float64) for key in SUMS}
    marks = tuple(Mark(*mark) for mark in json.loads(row.get("marks", "[]")))  # an older corpus has none
    source = json.loads(row["source"])
    return Entry(**{**row, **sums, "segments": _segments(row["segments"]), "marks": marks, "source": source})


def _segments(rows: list[list[float]]) -> tuple[Segment, ...]:
    return tuple(Segment(int(a), int(b), float(s), int(p)) for a, b, s, p in rows)
