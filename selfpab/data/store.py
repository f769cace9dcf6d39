"""A corpus larger than memory: one int16 .npy per recording, memory-mapped, and an index.

    corpus/
      index.parquet          subject, start, samples, file, counts_per_g, segments, marks, checksum, source, moments
      normalisation.json     per-frame mean and deviation of all recordings
      recordings/<name>.npy  int16 (samples, 6); <name>.labels.npy int16 (samples,); <name>.json the index row

Acceleration is stored in counts: 4096 to the g, or 2048 or 1024 where a value would not fit; rounding is at most half a
count (0.12 mg at 4096). Nothing wraps or clips silently. 100,000 hours are 216 GB. `moments` are the sums over the
frames of a recording from which the normalisation of any choice of people follows without reading a sample.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfpab.data.checks import chunks
from selfpab.data.zones import start_of, text_of
from selfpab.recording import CHANNELS, Mark, Recording, Segment
from selfpab.writing import write_text, write_whole

COUNTS_PER_G = (4096, 2048, 1024)
INT16_MAX = 32767
BLOCK_S = 600.0


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
class Corpus:
    """A folder of recordings, opened; `recording(i)` maps one without reading it."""

    folder: Path
    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def people(self) -> tuple[str, ...]:
        return tuple(sorted({entry.subject for entry in self.entries}))

    @property
    def hours(self) -> float:
        return sum(entry.samples / entry.rate_hz for entry in self.entries) / 3600

    def counts(self, place: int) -> np.ndarray:
        """int16 (samples, 6), memory-mapped."""
        return np.load(self.folder / "recordings" / f"{self.entries[place].file}.npy", mmap_mode="r")

    def recording(self, place: int) -> Recording:
        """The recording at this place of the index, on its mapped samples."""
        entry = self.entries[place]
        labels = None
        if entry.labelled:
            labels = np.load(self.folder / "recordings" / f"{entry.file}.labels.npy", mmap_mode="r")
        return Recording(
            entry.subject,
            start_of(entry.start),
            entry.rate_hz,
            self.counts(place),
            labels,
            entry.segments,
            entry.marks,
            entry.source,
            counts_per_g=entry.counts_per_g,
        )

    @property
    def checksum(self) -> str:
        """One hash for the whole content, in the order of the index."""
        return hashlib.sha256("".join(entry.checksum for entry in self.entries).encode()).hexdigest()


def open_corpus(folder: str | Path) -> Corpus:
    """Open a folder that `ingest` made."""
    folder = Path(folder)
    if not (folder / "index.parquet").is_file():
        raise FileNotFoundError(
            f"{folder} is no corpus (it has no index.parquet); make one: selfpab ingest SOURCE {folder}"
        )
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(folder / "index.parquet").to_pylist()
    return Corpus(folder, tuple(_entry(row) for row in rows))


def add_recording(recording: Recording, folder: Path, name: str, *, checksum: str, moments: Sequence[Any]) -> Entry:
    """Write one recording into a corpus; the row is written last, so a kill leaves no half recording behind.

    moments : (frames, sum over frames, sum of squares), the last two of shape (156,).
    Raises ValueError for values that are not finite or exceed 32 g, with the first sample concerned.
    """
    recordings = folder / "recordings"
    recordings.mkdir(parents=True, exist_ok=True)
    counts_per_g = _counts_per_g(recording, name)
    (recordings / f"{name}.json").unlink(missing_ok=True)  # an old row must never describe new samples
    temporary = recordings / f".{name}.npy.part"
    target = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.int16, shape=(len(recording), len(CHANNELS)))
    for first, piece in recording.blocks(BLOCK_S):
        target[first : first + len(piece)] = np.rint(piece * np.float32(counts_per_g)).astype(np.int16)
    target.flush()
    del target
    os.replace(temporary, recordings / f"{name}.npy")
    if recording.labels is not None:
        with open(recordings / f".{name}.labels.part", "wb") as file:
            np.save(file, recording.labels)
        os.replace(recordings / f".{name}.labels.part", recordings / f"{name}.labels.npy")
    frames, total, squares = moments
    row = {
        "subject": recording.subject,
        "start": text_of(recording.start),
        "rate_hz": recording.rate_hz,
        "samples": len(recording),
        "file": name,
        "labelled": recording.labels is not None,
        "counts_per_g": counts_per_g,
        "segments": [[s.first, s.stop, s.start_s, s.part] for s in recording.segments],
        "marks": json.dumps([[m.first, m.stop, m.kind, m.evidence] for m in recording.marks]),
        "checksum": checksum,
        "source": json.dumps(dict(recording.source), default=str),
        "frames": int(frames),
        "spectrum_sum": np.asarray(total).tolist(),
        "spectrum_squares": np.asarray(squares).tolist(),
    }
    write_text(recordings / f"{name}.json", json.dumps(row))
    return _entry(row)


def stored_checksum(folder: Path, name: str) -> str | None:
    """The checksum under which `name` was stored, None where it was not, or not to the end."""
    row = folder / "recordings" / f"{name}.json"
    return json.loads(row.read_text())["checksum"] if row.is_file() else None


def write_index(folder: Path) -> Corpus:
    """Gather the rows of all stored recordings, in the order of their names, into index.parquet."""
    import pyarrow as pa
    import pyarrow.parquet

    rows = [{"marks": "[]"} | json.loads(p.read_text()) for p in sorted((folder / "recordings").glob("*.json"))]
    if not rows:
        raise ValueError(f"nothing was stored in {folder}, so there is no index to write")
    segment = pa.list_(pa.list_(pa.float64()))  # first, stop, start_s, part: all exact in a double
    table = pa.Table.from_pylist(rows)
    table = table.set_column(
        table.schema.get_field_index("segments"), "segments", pa.array([r["segments"] for r in rows], segment)
    )
    write_whole(folder / "index.parquet", lambda part: pyarrow.parquet.write_table(table, part, compression="zstd"))
    return open_corpus(folder)


def file_checksum(paths: Iterable[Path]) -> str:
    """SHA-256 over the contents, read a megabyte at a time."""
    digest = hashlib.sha256()
    for path in paths:
        for chunk in chunks(path):
            digest.update(chunk)
    return digest.hexdigest()


def _counts_per_g(recording: Recording, name: str) -> int:
    largest = 0.0
    for first, piece in recording.blocks(BLOCK_S):
        if not np.isfinite(piece).all():
            bad = first + int(np.flatnonzero(~np.isfinite(piece).all(1))[0])
            raise ValueError(f"{name}: sample {bad} is not a finite number; a corpus keeps only measured values")
        largest = max(largest, float(np.abs(piece).max(initial=0)))
    for counts in COUNTS_PER_G:
        if round(largest * counts) <= INT16_MAX:
            return counts
    raise ValueError(f"{name}: {largest:.1f} g does not fit (at most 31.99 g); are the values in g?")


def _entry(row: dict[str, Any]) -> Entry:
    segments = tuple(Segment(int(a), int(b), float(s), int(p)) for a, b, s, p in row["segments"])
    sums = {key: np.asarray(row[key], np.float64) for key in ("spectrum_sum", "spectrum_squares")}
    marks = tuple(Mark(*mark) for mark in json.loads(row.get("marks", "[]")))  # an older corpus has none
    return Entry(**{**row, **sums, "segments": segments, "marks": marks, "source": json.loads(row["source"])})
