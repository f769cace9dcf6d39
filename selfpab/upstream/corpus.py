"""Recordings to a corpus: read, store as int16, sum up for the normalisation (DESIGN 2, 5a).

Restartable: a file that is stored already, with the same content and the same settings, is not read again; a file that
cannot be read is reported and does not stop the others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from selfpab.data.reading import read
from selfpab.data.store import Corpus, add_recording, file_checksum, stored_checksum, write_index
from selfpab.features.normalisation import Moments, recording_moments
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.progress import Progress
from selfpab.recording import Recording, Segment
from selfpab.seeding import seed_of

READABLE = (".csv", ".parquet", ".npz")


@dataclass(frozen=True)
class IngestConfig:
    windows: int | None = None  # keep only so many five-minute windows per recording, seeded; none: everything
    seed: int = 0
    rate_hz: float | None = None  # for files whose time stamps are wrong; none: what the stamps say


def ingest(
    sources: Sequence[Path], folder: Path, config: IngestConfig | None = None, *, quiet: bool = False
) -> tuple[Corpus, list[tuple[Path, str]]]:
    """Store every recording of `sources` (files, or folders of them) in the corpus `folder`.

    Returns the corpus and the files that failed, with the reason. Raises ValueError if none could be stored.
    """
    config = config or IngestConfig()
    shape = SpectrogramConfig()
    found = [item for source in sources for item in recordings_in(source)]
    check_distinct([entry_name(*item) for item in found], [path for _, path in found])
    failed: list[tuple[Path, str]] = []
    with Progress("ingest", len(found), quiet=quiet) as progress:
        for source, path in found:
            name = entry_name(source, path)
            checksum = _checksum(path, config)
            if stored_checksum(folder, name) != checksum:
                try:
                    recording = read(path, rate_hz=config.rate_hz)
                    if config.windows is not None:
                        recording = sample_windows(recording, config.windows, shape, seed_of("keep", config.seed, name))
                    recording = replace(recording, subject=person_name(source, recording.subject))
                    sums = recording_moments(recording, shape)
                    parts = (sums.frames, sums.total, sums.squares)
                    add_recording(recording, folder, name, checksum=checksum, moments=parts)
                except (ValueError, OSError) as error:
                    failed.append((path, str(error)))
                    progress.say(f"failed: {error}")
            progress.advance(note=name)
    if len(failed) == len(found) and failed:
        raise ValueError(f"none of {len(found)} recordings could be read; the first: {failed[0][1]}")
    corpus = write_index(folder)
    sums = Moments.joined(Moments(e.frames, e.spectrum_sum, e.spectrum_squares) for e in corpus.entries)
    sums.normalisation(f"all people of {folder.name}").save(folder / "normalisation.json")
    return corpus, failed


def recordings_in(source: Path) -> list[tuple[Path, Path]]:
    """(source, recording) of everything readable in a file or folder; a folder of hourly npz files is one recording."""
    if not source.exists():
        raise FileNotFoundError(f"no {source}")
    if source.is_file():
        return [(source.parent, source)]
    if any(source.glob("*.npz")):
        return [(source.parent, source)]
    found = [path for path in sorted(source.iterdir()) if path.is_dir() and any(path.glob("*.npz"))]
    found += sorted(path for path in source.iterdir() if path.suffix.lower() in READABLE[:2] and path.name[0] != ".")
    if not found:
        raise ValueError(f"{source} holds no recordings: wanted {', '.join(READABLE)}, or folders of hourly npz files")
    return [(source, path) for path in found]


def entry_name(source: Path, path: Path) -> str:
    """Name in the corpus: folder and file, so that two data sets may have a subject of the same name.

    >>> entry_name(Path("data/harth"), Path("data/harth/S009.parquet"))
    'harth-S009'
    """
    stem = path.stem if path.suffix.lower() in READABLE else path.name
    return re.sub(r"[^\w.-]", "_", f"{source.resolve().name}-{stem}")


def check_distinct(names: Sequence[str], paths: Sequence[Path]) -> None:
    """ValueError where two recordings would be written under one name, so that none replaces another unseen."""
    seen: dict[str, Path] = {}
    for name, path in zip(names, paths, strict=True):
        if name in seen:
            raise ValueError(
                f"{seen[name]} and {path} would both be written as {name}; rename a folder, or leave one out"
            )
        seen[name] = path


def person_name(source: Path, subject: str) -> str:
    """Two data sets may both have a p1; in a corpus they must not become one person.

    >>> person_name(Path("data/dsads"), "p1")
    'dsads/p1'
    """
    return f"{source.resolve().name}/{subject}"


def sample_windows(recording: Recording, windows: int, shape: SpectrogramConfig, seed: int) -> Recording:
    """A seeded sample of five-minute stretches of a recording, each a part of its own, in the order of time."""
    size = shape.window_samples
    places = [
        (segment, first)
        for segment in recording.segments
        for first in range(segment.first, segment.stop - size + 1, size)
    ]
    if not places:
        raise ValueError(f"{recording.subject} has no stretch of five minutes without a gap; leave windows= out")
    keep = np.sort(np.random.default_rng(seed).permutation(len(places))[:windows])
    chosen = [places[i] for i in keep]
    segments = tuple(
        Segment(i * size, (i + 1) * size, s.start_s + (first - s.first) / recording.rate_hz, i)
        for i, (s, first) in enumerate(chosen)
    )
    rows = np.concatenate([np.arange(first, first + size) for _, first in chosen])
    labels = None if recording.labels is None else recording.labels[rows]
    source = {**recording.source, "windows": [first for _, first in chosen]}
    return replace(
        recording, samples=recording.samples[rows], labels=labels, segments=segments, marks=(), source=source
    )


def _checksum(path: Path, config: IngestConfig) -> str:
    files = [path] if path.is_file() else sorted(path.glob("*.npz"))
    return hashlib.sha256(f"{file_checksum(files)} {config}".encode()).hexdigest()
