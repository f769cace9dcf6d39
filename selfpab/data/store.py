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
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from selfpab.data.checks import chunks
from selfpab.data.corpus_index import Columns, Entry, Rows, columns_of, entry_of, write_rows
from selfpab.data.zones import start_of, text_of
from selfpab.recording import CHANNELS, Recording, Segment
from selfpab.writing import write_text

COUNTS_PER_G = (4096, 2048, 1024)
INT16_MAX = 32767
BLOCK_S = 600.0
HEAD = 128  # bytes before the samples, as numpy writes them
MAGIC = b"\x93NUMPY\x01\x00"
LAYOUT = b"{'descr': '<i2', 'fortran_order': False, 'shape': (%d, 6), }"
ROW_BYTES = 2 * len(CHANNELS)
AGAIN = "ingest it again"


@dataclass(frozen=True, eq=False)
class Corpus:
    """A folder of recordings, opened; `recording(i)` maps one without reading it."""

    folder: Path
    entries: Sequence[Entry]

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def columns(self) -> Columns:
        """What training needs of all recordings, in the order of the index."""
        return columns_of(self.entries)

    @property
    def people(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.columns.subjects)))

    @property
    def hours(self) -> float:
        return float((self.columns.samples / self.columns.rate_hz).sum()) / 3600

    def counts(self, place: int) -> np.ndarray:
        """int16 (samples, 6), memory-mapped."""
        return np.load(self._path(place), mmap_mode="r")

    def read_into(self, out: np.ndarray, place: int, cuts: Iterable[tuple[int, int]]) -> int:
        """Fill the first rows of `out`, int16 (N, 6), with the samples first to stop of every cut; how many there were.

        The file is read, not mapped: pages that were mapped would count as this process's memory, and at 100,000 hours
        256 kept maps were 0.3 GB. Raises ValueError where the file is not as long as the index says.
        """
        path, samples, at = self._path(place), int(self.columns.samples[place]), 0
        with open(path, "rb", buffering=0) as file:
            head = file.read(HEAD)
            begins = len(MAGIC) + 2 + int.from_bytes(head[len(MAGIC) : len(MAGIC) + 2], "little")
            if not (head.startswith(MAGIC) and LAYOUT % samples in head):
                raise ValueError(f"{path} does not hold int16 ({samples}, 6), as the index says; {AGAIN}")
            for first, stop in cuts:
                piece = out[at : at + stop - first]
                file.seek(begins + first * ROW_BYTES)
                if file.readinto(piece.data) != piece.nbytes:
                    raise ValueError(f"{path} ends before sample {stop} of {samples}; {AGAIN}")
                at += stop - first
        return at

    def recording(self, place: int) -> Recording:
        """The recording at this place of the index, on its mapped samples."""
        return recording_of(self.folder, self.entries[place])

    def segments(self) -> Iterator[tuple[Segment, ...]]:
        """Those of every recording, in the order of the index."""
        return self.entries.segments() if isinstance(self.entries, Rows) else (e.segments for e in self.entries)

    def sums(self, people: Collection[str]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """(frames, sum over frames (156,), sum of squares (156,)) of every recording of these people."""
        chosen = frozenset(people)
        if isinstance(self.entries, Rows):
            return self.entries.sums(chosen)
        return ((e.frames, e.spectrum_sum, e.spectrum_squares) for e in self.entries if e.subject in chosen)

    @property
    def checksum(self) -> str:
        """One hash for the whole content, in the order of the index."""
        own = self.entries.values("checksum") if isinstance(self.entries, Rows) else [e.checksum for e in self.entries]
        return hashlib.sha256("".join(own).encode()).hexdigest()

    def _path(self, place: int) -> str:
        """As a word: joining paths would take a fifth of reading a window."""
        return f"{self.folder}/recordings/{self.columns.files[place]}.npy"


def open_corpus(folder: str | Path) -> Corpus:
    """Open a folder that `ingest` made."""
    folder = Path(folder)
    if not (folder / "index.parquet").is_file():
        if (folder / "recordings").is_dir():
            raise FileNotFoundError(
                f"{folder} has recordings and no index.parquet: an ingest into it was stopped; run the same command again, "
                f"it goes on"
            )
        raise FileNotFoundError(
            f"{folder} is no corpus (it has no index.parquet); make one: selfpab ingest SOURCE {folder}"
        )
    return Corpus(folder, Rows(folder / "index.parquet"))


def recording_of(folder: Path, entry: Entry) -> Recording:
    """The recording of a row of the index of this corpus, on its mapped samples."""
    files = folder / "recordings"
    labels = np.load(files / f"{entry.file}.labels.npy", mmap_mode="r") if entry.labelled else None
    return Recording(
        entry.subject,
        start_of(entry.start),
        entry.rate_hz,
        np.load(files / f"{entry.file}.npy", mmap_mode="r"),
        labels,
        entry.segments,
        entry.marks,
        entry.source,
        counts_per_g=entry.counts_per_g,
    )


def add_recording(recording: Recording, folder: Path, name: str, *, checksum: str, moments: Sequence[Any]) -> Entry:
    """Write one recording into a corpus; the row is written last, so a kill leaves no half recording behind.

    moments : (frames, sum over frames, sum of squares), the last two of shape (156,).
    Raises ValueError for values that are not finite or exceed 32 g, with the first sample concerned.
    """
    recordings = folder / "recordings"
    recordings.mkdir(parents=True, exist_ok=True)
    counts_per_g = _counts_per_g(recording, name)
    forget(folder, name)
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
    return entry_of(row)


def forget(folder: Path, name: str) -> None:
    """Take out the row of `name`, and an index that may hold it: an old row must never describe new samples.

    The index goes first, so that a kill leaves none, instead of one that is wrong; `write_index` makes it anew.
    """
    row = folder / "recordings" / f"{name}.json"
    if row.is_file() or row.with_suffix(".npy").is_file():
        (folder / "index.parquet").unlink(missing_ok=True)
    row.unlink(missing_ok=True)


def stored_checksum(folder: Path, name: str) -> str | None:
    """The checksum under which `name` was stored; None where it was not, not to the end, or is no longer whole."""
    row = folder / "recordings" / f"{name}.json"
    if not row.is_file():
        return None
    told = json.loads(row.read_text())
    sizes = {".npy": ROW_BYTES} | ({".labels.npy": 2} if told["labelled"] else {})
    for suffix, row_bytes in sizes.items():
        file = row.with_name(f"{name}{suffix}")
        if not file.is_file() or file.stat().st_size != HEAD + row_bytes * told["samples"]:
            return None  # cut short or lost since: to be made again
    return told["checksum"]


def write_index(folder: Path) -> Corpus:
    """Gather the rows of all stored recordings, in the order of their names, into index.parquet."""
    rows = sorted((folder / "recordings").glob("*.json"))
    if not rows:
        raise ValueError(f"nothing was stored in {folder}, so there is no index to write")
    write_rows(folder / "index.parquet", rows)
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
