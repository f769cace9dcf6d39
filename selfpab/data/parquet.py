"""A Recording to and from parquet, with the columns of the csv files.

Columns: `timestamp` or `time_s` (seconds), the six `CHANNELS` in g, and where there are any `label` (or an integer
`activity`) and `segment`; others are left out. Legend: N samples.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from selfpab.data.checks import SECOND_NS, place, sha256_of
from selfpab.data.harth import assembled, times_of_seconds, times_of_text
from selfpab.data.long_tables import LONG_ROWS, PIECE_ROWS, Piece, gathered
from selfpab.data.table_columns import channels_in, marked_where_missing, wanted_columns
from selfpab.data.zones import offset_warnings
from selfpab.recording import CHANNELS, Recording, RecordingError

ROWS = 1 << 20  # per row group when writing: 30 MB as float32
BUFFER_BYTES = 1 << 20  # of each column of a long file
EPOCH = datetime(1970, 1, 1)


def read_parquet(path: Path, *, rate_hz: float | None = None, subject: str | None = None) -> Recording:
    """One parquet file as a recording; arguments, result and errors as of `selfpab.data.harth.read_csv`.

    A `timestamp` has any unit, with or without a time zone, or is text as in a csv file. A truncated file raises
    RecordingError, and so does a column of another type than wanted; an `activity` in words is left out.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    first, last = None, ""
    zone: tzinfo | None = None

    def piece_of(table: Any, before: int = 0) -> Piece:
        nonlocal zone, first, last
        stamps = table.column(wanted[0])
        if wanted[0] == "time_s":
            times_ns = times_of_seconds(_floats(stamps, "time_s", path, np.float64), path, before)
        elif pa.types.is_timestamp(stamps.type):
            if stamps.null_count:
                row = before + int(np.flatnonzero(stamps.is_null().to_numpy(zero_copy_only=False))[0])
                raise RecordingError(f"{place(path, row)}: timestamp is missing; wanted one in every row")
            zone = _zone(stamps.type.tz, path)
            times_ns = stamps.cast(pa.timestamp("ns", stamps.type.tz)).cast(pa.int64()).to_numpy()
        elif pa.types.is_string(stamps.type) or pa.types.is_large_string(stamps.type):
            import polars as pl

            text = pl.Series(stamps.to_pylist())
            first, last = str(text[0]) if first is None else first, str(text[-1])
            times_ns, zone = times_of_text(text, path, before, first)
        else:
            raise RecordingError(
                f"{path}: timestamp has the type {stamps.type}; wanted timestamp or text (seconds are called time_s)"
            )
        samples = np.zeros((len(table), len(CHANNELS)), np.float32)
        for name in channels:
            samples[:, CHANNELS.index(name)] = _floats(table.column(name), name, path, np.float32)
        codes: dict[str, np.ndarray | None] = {}
        for name in wanted[1 + len(channels) :]:
            words = name == "activity" and not pa.types.is_integer(table.schema.field(name).type)
            codes[name] = None if words else _floats(table.column(name), name, path, np.float64)
        return Piece(times_ns, samples, codes)

    def pieces() -> Iterator[Piece]:
        before = 0
        # Its buffers are read as they are needed: of a row group that holds a whole week, too.
        with pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
            for batch in file.iter_batches(PIECE_ROWS, columns=wanted, use_threads=False):
                yield piece_of(pa.table(batch), before)
                before += len(batch)
        pa.default_memory_pool().release_unused()

    try:
        with pq.ParquetFile(path) as file:
            names, rows = list(file.schema_arrow.names), file.metadata.num_rows
        wanted = wanted_columns(names, path)
        channels = channels_in(wanted)
        if not rows:
            raise RecordingError(f"{path}: has columns and no samples; wanted a row per sample")
        read = gathered(pieces, rows, path) if rows > LONG_ROWS else None
        if read is None:
            with pq.ParquetFile(path) as file:
                read = piece_of(file.read(columns=wanted))
    except (pa.ArrowException, OSError) as error:
        raise RecordingError(
            f"{path}: is no whole parquet file ({error}); it may be cut off: copy or download it again"
        ) from error
    ignored = [name for name in names if name not in wanted or read.codes.get(name, 0) is None]
    source = {"form": "parquet", "sha256": sha256_of(path), "ignored_columns": ignored}
    source |= offset_warnings(first or "", last)
    recording = assembled(path, read, source, zone, wanted[0] == "timestamp", rate_hz, subject)
    return marked_where_missing(recording, channels)


def write_parquet(recording: Recording, path: Path) -> None:
    """Write a recording so that `read_parquet` gives it back: samples in g (float32), labels, gaps, parts and start.

    Exact for times in whole nanoseconds, and for segments cut where `selfpab.recording.segments_of` cuts. Not kept:
    marks, source, the subject (it becomes the file's name), and counts, which become g. `segment` is written where a
    part is not 0, `label` where there are labels, `time_s` where there is no start. The file appears whole or not.

    Raises ValueError for no samples, and for segments that overlap in time.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not len(recording):
        raise ValueError(f"a recording without samples cannot be written to {path}")
    times_ns = np.empty(len(recording), np.int64)
    step_ns = SECOND_NS / recording.rate_hz
    for segment in recording.segments:
        steps = np.rint(np.arange(len(segment)) * step_ns).astype(np.int64)
        times_ns[segment.first : segment.stop] = round(segment.start_s * SECOND_NS) + steps
    if (np.diff(times_ns) <= 0).any():
        raise ValueError(f"the recording's segments overlap in time; wanted times that rise, to write {path}")
    columns: dict[str, Any] = {}
    if recording.start is None:
        columns["time_s"] = pa.array((times_ns + round(recording.source.get("first_time_s", 0.0) * SECOND_NS)) / 1e9)
    else:
        zone = recording.start.tzinfo
        start = recording.start if zone is None else recording.start.astimezone(UTC).replace(tzinfo=None)
        first_ns = (start - EPOCH) // timedelta(microseconds=1) * 1000
        columns["timestamp"] = pa.array(times_ns + first_ns).cast(pa.timestamp("ns", _zone_name(recording.start)))
    kinds = [(name, column.type) for name, column in columns.items()] + [(name, pa.float32()) for name in CHANNELS]
    if recording.labels is not None:
        columns["label"] = recording.labels
        kinds.append(("label", pa.int16()))
    if any(segment.part for segment in recording.segments):
        columns["segment"] = np.repeat([s.part for s in recording.segments], [len(s) for s in recording.segments])
        kinds.append(("segment", pa.int64()))

    schema, unfinished = pa.schema(kinds), path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            for first in range(0, len(recording), ROWS):
                piece = recording.piece(first, min(first + ROWS, len(recording)))
                group = {name: column[first : first + ROWS] for name, column in columns.items()}
                group |= {name: piece[:, i] for i, name in enumerate(CHANNELS)}
                writer.write_table(pa.table(group, schema=schema))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _floats(column: Any, name: str, path: Path, kind: type[np.floating[Any]]) -> np.ndarray:
    """An arrow column of numbers as floats (N,), NaN where nothing stands."""
    import pyarrow as pa

    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise RecordingError(f"{path}: {name} has the type {column.type}; wanted numbers")
    return column.cast(pa.float64() if kind is np.float64 else pa.float32(), safe=False).to_numpy()


def _zone(name: str | None, path: Path) -> tzinfo | None:
    if name is None or name == "UTC":
        return None if name is None else UTC
    if offset := re.fullmatch(r"([+-])(\d\d):(\d\d)", name):
        sign, hours, minutes = offset.groups()
        return timezone(timedelta(hours=int(hours), minutes=int(minutes)) * (1 if sign == "+" else -1))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise RecordingError(f"{path}: does not know the time zone {name!r}; wanted one like Europe/Oslo") from None


def _zone_name(start: datetime) -> str | None:
    """The name arrow has for the time zone of an aware start: Europe/Oslo, UTC, +02:00; None if it is naive."""
    offset = start.utcoffset()
    if offset is None:
        return None
    if isinstance(start.tzinfo, ZoneInfo) and start.tzinfo.key:
        return start.tzinfo.key
    minutes, rest = divmod(offset, timedelta(minutes=1))
    if rest or not minutes:
        return "UTC"  # arrow has no seconds in an offset; the instants stay the same
    return f"{'+' if minutes > 0 else '-'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
