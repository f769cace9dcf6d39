"""HARTH and HAR70+ csv files, as they were published (BEHAVIOUR (h)), and users' own in the same form.

Columns are found by name: `timestamp` or `time_s`, the six `CHANNELS` in g, and where there are any `label` (or
`activity`) and `segment`. Others, such as the `index` of S015 and S021 or the unnamed first column of S023, are left
out and named in the recording's source. Legend: N samples; times are integer nanoseconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from selfpab.data.checks import (
    RATE_HZ,
    SECOND_NS,
    RecordingError,
    check_channels,
    check_rising,
    chunks,
    lines,
    place,
    times_at_50_hz,
    whole_numbers,
)
from selfpab.data.drifting_stamps import on_steps
from selfpab.data.long_tables import LONG_ROWS, Gathered, Piece, gathered, seconds_since
from selfpab.data.table_columns import EXAMPLE, LABELS, channels_in, marked_where_missing, wanted_columns
from selfpab.data.zones import offset_warnings
from selfpab.recording import CHANNELS, Recording, segments_of

if TYPE_CHECKING:
    import polars

NOTHING = ("", "nan", "na", "null", "none")  # ways to write that a label is not known
CR_ALONE = "lines end in CR alone; wanted LF or CR LF: save it with such ends of lines"
EPOCH = datetime(1970, 1, 1)
BLOCK_BYTES = 1 << 24  # read at once of a long file


def read_csv(path: Path, *, rate_hz: float | None = None, subject: str | None = None) -> Recording:
    """One csv file as a recording.

    Parameters
    ----------
    rate_hz : 50 says that a file stamped every 10 ms was sampled at 50 Hz; its times are then rebuilt.
    subject : the person's name; the file's name without `.csv` if None.

    Returns
    -------
    Recording: float32 in g, int16 counts where it is longer than six hours; `start` is the first stamp to the microsecond,
    with its time zone if it has one, and None with `time_s`; an empty label is -1. `source` has path, form, rows, sha256,
    repairs (list), ignored_columns, stamped_rate_hz, and with `time_s` first_time_s.

    Raises RecordingError with the file, the line and what to do for all that `selfpab.data.checks` finds, and for
    missing columns, empty files, and lines with too many or too few fields, such as the last one of a cut-off file.
    """
    import polars as pl

    header = next((text.lstrip("\ufeff") for _, text in lines(path)), "")
    if not header.strip():
        raise RecordingError(
            f"{path}: is empty, or its first line is; wanted a header such as {EXAMPLE} and a line per sample"
        )
    for mark, form in (("PK\x03\x04", "an Excel workbook"), ("\0", "text in UTF-16, or no text")):
        if mark in header:
            raise RecordingError(f"{path}: is {form}; wanted csv in UTF-8 that begins with {EXAMPLE}: save it as that")
    names = [name.strip().strip('"') for name in header.split(",")]
    wanted = wanted_columns(names, path)
    sha256, rows, quoted = _survey(path, len(names))
    if not rows:
        raise RecordingError(f"{path}: has a header and no samples; wanted a line per sample")
    channels = channels_in(wanted)
    number = dict.fromkeys(channels, pl.Float32) | {"time_s": pl.Float64}
    kinds = {n if n in wanted else f"_{i}": number.get(n, pl.String) for i, n in enumerate(names)}
    places = sorted(names.index(name) for name in wanted)
    how: dict[str, Any] = {"has_header": False, "schema": kinds, "columns": places, "ignore_errors": True}
    zone: tzinfo | None = None
    first, last = None, ""

    def piece_of(table: polars.DataFrame, before: int = 0) -> Piece:
        nonlocal zone, first, last
        if "timestamp" in wanted:
            first, last = str(table["timestamp"][0]) if first is None else first, str(table["timestamp"][-1])
            times_ns, zone = times_of_text(table["timestamp"], path, before, first)
        else:
            times_ns = times_of_seconds(table["time_s"].to_numpy(), path, before)
        codes = {n: _numbers(table[n], n, path, before) for n in wanted if n in (*LABELS, "segment")}
        there = table.select(pl.col(channels).fill_null(float("nan")))
        absent = [pl.lit(0, pl.Float32).alias(name) for name in CHANNELS if name not in channels]
        samples = np.ascontiguousarray(there.with_columns(absent).select(CHANNELS).to_numpy())
        return Piece(times_ns, samples, codes)

    def pieces() -> Iterator[Piece]:
        before = 0
        for block in _blocks(path):
            piece = piece_of(pl.read_csv(block, **how).head(rows - before), before)
            before += len(piece.samples)
            yield piece
            if before == rows:
                return

    try:
        # Where text is quoted, the end of a line may lie within it, and no block can be cut there.
        read = gathered(pieces, rows, path) if rows > LONG_ROWS and not quoted else None
        read = read or piece_of(pl.read_csv(path, skip_rows=1, **how).head(rows))
    except pl.exceptions.PolarsError as error:
        raise RecordingError(f"{path}: cannot be read as csv ({error}); wanted lines like {EXAMPLE}") from error
    ignored = [name for name in names if name not in wanted or read.codes.get(name, 0) is None]
    source = {"form": "csv", "sha256": sha256, "ignored_columns": ignored, **offset_warnings(first or "", last)}
    recording = assembled(path, read, source, zone, "timestamp" in wanted, rate_hz, subject)
    return marked_where_missing(recording, channels)


def assembled(
    path: Path,
    read: Piece | Gathered,
    source: dict[str, Any],
    zone: tzinfo | None,
    dated: bool,
    rate_hz: float | None,
    subject: str | None,
) -> Recording:
    """Check the columns of a file and make them a Recording; the last step of every reader of tables.

    Parameters
    ----------
    read : all of the file. Its times count from 1970 (in `zone`'s UTC, or naive) if `dated`, else from whatever `time_s`
        counts from; its `codes` are those of `label` or `activity`, and `segment`.
    """
    times_ns, samples, codes = read.times_ns, read.samples, read.codes
    if isinstance(read, Piece):
        check_channels(samples, path)
    check_rising(times_ns, path)
    labels = next((codes[name] for name in LABELS if codes.get(name) is not None), None)
    parts = codes.get("segment")
    if parts is not None and np.isnan(parts).any():
        row = int(np.flatnonzero(np.isnan(parts))[0])
        raise RecordingError(f"{place(path, row)}: segment is empty; wanted a whole number in every row")
    parts = None if parts is None else whole_numbers(parts, "segment", path, bits=64)
    times_ns, stamped_hz, repairs = times_at_50_hz(times_ns, path, rate_hz, parts)
    if labels is not None and labels.dtype != np.int16:
        labels = whole_numbers(labels, "label", path)
    source = {"path": str(path), "rows": len(samples), **source, "repairs": repairs, "stamped_rate_hz": stamped_hz}
    first_ns = int(times_ns[0])
    times_s = seconds_since(first_ns, times_ns, spent=isinstance(read, Gathered))
    segments = segments_of(times_s, parts)
    if laid := on_steps(times_s, segments):
        rows, segments, told = laid
        samples, labels = samples[rows], None if labels is None else labels[rows]
        source["repairs"] = [*repairs, *told]
    start = None
    if dated:
        start = EPOCH + timedelta(microseconds=first_ns // 1000)
        start = start if zone is None else start.replace(tzinfo=UTC).astimezone(zone)
    else:
        source["first_time_s"] = first_ns / SECOND_NS
    return Recording(
        subject=path.stem if subject is None else subject,
        start=start,
        rate_hz=RATE_HZ,
        samples=samples,
        labels=labels,
        segments=segments,
        source=source,
        counts_per_g=read.counts_per_g if isinstance(read, Gathered) else None,
    )


def times_of_text(
    stamps: polars.Series, path: Path, before: int = 0, first: str | None = None
) -> tuple[np.ndarray, tzinfo | None]:
    """Nanoseconds since 1970, int64 (N,), of stamps with any number of decimals, and the first one's time zone.

    Of a piece of a file, `before` says how many rows come before it, and `first` the file's first stamp.
    """
    first = (str(stamps[0]) if first is None else first).strip()
    wanted = "wanted a date and time like 2021-03-24 14:42:03.839; a column of seconds must be called time_s"
    try:
        zone = datetime.fromisoformat(first).tzinfo
    except ValueError:
        raise RecordingError(f"{place(path, 0)}: timestamp is {first!r}; {wanted}") from None
    form = f"%Y-%m-%d{first[10:11] or ' '}%H:%M:%S%.f{'' if zone is None else '%#z'}"
    times = stamps.str.strip_chars().str.to_datetime(form, time_unit="ns", strict=False)
    if times.null_count():
        row = int(times.is_null().arg_max() or 0)
        raise RecordingError(
            f"{place(path, before + row)}: timestamp is {stamps[row]!r}, the first one {first!r}; {wanted}"
        )
    return times.to_physical().to_numpy(), zone


def times_of_seconds(times_s: np.ndarray, path: Path, before: int = 0) -> np.ndarray:
    """Nanoseconds, int64 (N,), of a column `time_s`, or of a piece of it, `before` which there are so many rows."""
    wrong = ~(np.abs(times_s) < 2**63 / SECOND_NS)
    if wrong.any():
        row = int(wrong.argmax())
        raise RecordingError(
            f"{place(path, before + row)}: time_s is missing or no number of seconds; wanted one in every row"
        )
    return np.rint(times_s.astype(np.float64) * SECOND_NS).astype(np.int64)


def _numbers(text: polars.Series, column: str, path: Path, before: int) -> np.ndarray | None:
    """Float64 (N,), NaN where nothing stands; None for an `activity` in words, which is no label."""
    import polars as pl

    text = text.str.strip_chars()
    numbers = text.cast(pl.Float64, strict=False)
    words = numbers.is_null() & ~text.fill_null("").str.to_lowercase().is_in(NOTHING)
    if words.any():
        row = int(words.arg_max() or 0)
        if column == "activity":
            return None
        raise RecordingError(
            f"{place(path, before + row)}: {column} is {text[row]!r}; wanted a whole number, or nothing where it is not known"
        )
    return numbers.fill_null(float("nan")).to_numpy()


def _blocks(path: Path) -> Iterator[bytes]:
    """The lines of a file but the first, some megabytes of whole ones at a time."""
    with path.open("rb") as file:
        file.readline()
        while block := file.read(BLOCK_BYTES):
            yield block + file.readline()


def _survey(path: Path, fields: int) -> tuple[str, int, bool]:
    """Checksum, number of samples, whether any text is quoted.

    RecordingError at the first line that has not as many fields as the header, and where no line ends.
    """
    digest, commas, ends, quotes, tail = hashlib.sha256(), 0, 0, 0, b""
    for chunk in chunks(path):
        digest.update(chunk)
        commas, ends, quotes = commas + chunk.count(b","), ends + chunk.count(b"\n"), quotes + chunk.count(b'"')
        tail = chunk if chunk.strip() else tail + chunk
    if not ends and b"\r" in tail.strip():
        raise RecordingError(f"{path}: {CR_ALONE}")
    count = ends + 1 - tail[len(tail.rstrip()) :].count(b"\n")  # blank lines at the end do no harm
    if quotes or commas == (fields - 1) * count:  # quoted text may hold commas
        return digest.hexdigest(), count - 1, quotes > 0
    wrong = ((n, text, text.count(",") + 1) for n, text in lines(path) if text.count(",") + 1 != fields)
    number, text, found = next(wrong, (0, "", 0))
    if not number:
        raise RecordingError(f"{path}: {CR_ALONE}")
    raise RecordingError(
        f"{path}, line {number} ({text[:120]!r}): has {found} fields, the header {fields}; "
        + (
            "the file seems to be cut off: copy or download it again"
            if number == count and found < fields
            else "wanted as many as in the header: mend the line or leave it out"
        )
    )
