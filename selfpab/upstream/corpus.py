"""Recordings to a corpus: read, store as int16, sum up for the normalisation (DESIGN 2, 5a).

Restartable: a file that is stored already, with the same content and the same settings, is not read again; a file that
cannot be read is reported and does not stop the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from selfpab.data.corpus_entries import corpus_of
from selfpab.data.preparation import ReadConfig, content_key, found_in, idle_words, prepared, reason_of
from selfpab.data.quality import quality_of, write_quality
from selfpab.data.sources import Problem, Source, check_distinct, person_name
from selfpab.data.store import Corpus, add_recording, forget, stored_checksum, write_index
from selfpab.features.normalisation import Moments, recording_moments
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.progress import Progress
from selfpab.recording import Recording, Segment
from selfpab.seeding import seed_of
from selfpab.sensors import check_both
from selfpab.workers import in_parallel


@dataclass(frozen=True)
class IngestConfig(ReadConfig):
    windows: int | None = None  # keep only so many five-minute windows per recording, seeded; none: everything
    seed: int = 0
    workers: int = 1  # processes on this machine
    scheduler: str | None = None  # address of a Dask scheduler that is already there


def ingest(
    sources: Sequence[Path], folder: Path, config: IngestConfig | None = None, *, quiet: bool = False
) -> tuple[Corpus, list[tuple[Path, str]]]:
    """Store every recording of `sources` (files, folders, pairs of device files) in the corpus `folder`.

    Returns the corpus and the files that failed, with the reason; `quality.csv` and `failures.csv` in the corpus say the
    same, and of every recording what was found and repaired. An entry of another corpus is taken as it is, and counts as of
    the data set that is called like its folder. Raises ValueError if none could be stored, and for entries of `folder`.
    """
    config = config or IngestConfig()
    found, problems = found_in(sources, config)
    check_distinct([source.name for source in found], found)
    if any(corpus.resolve() == folder.resolve() for source in found if (corpus := corpus_of(source.path))):
        raise ValueError(f"{folder} cannot be ingested into itself; wanted other recordings, or another corpus")
    failed = [(problem.path, problem.reason) for problem in problems]
    task = partial(_stored, folder=folder, config=config)
    with Progress("ingest", len(found), quiet=quiet) as progress:
        if idle := idle_words(config, found):
            progress.say(idle)
        for _, reason in failed:
            progress.say(f"failed: {reason}")
        done = in_parallel(task, found, workers=config.workers, scheduler=config.scheduler, say=progress.say)
        with closing(done):
            for source, problem in done:
                if isinstance(problem, Exception):
                    failed.append((source.path, reason_of(problem)))
                    progress.say(f"failed: {reason_of(problem)}")
                progress.advance(note=source.name)
    corpus = _indexed(folder, [Problem(*item) for item in failed])
    if corpus is None or (failed and len(failed) >= len(found) + len(problems)):
        raise ValueError(f"none of {len(failed)} recordings could be read; the first: {failed[0][1]}")
    return corpus, failed


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


def _indexed(folder: Path, failed: Sequence[Problem]) -> Corpus | None:
    """Write what tells of all recordings together; None where none is left, and then an older index goes, too."""
    if not any((folder / "recordings").glob("*.json")):
        for name in ("index.parquet", "normalisation.json"):
            (folder / name).unlink(missing_ok=True)
        write_quality(folder, [], failed)
        return None
    corpus = write_index(folder)
    sums = Moments.joined(Moments(*own) for own in corpus.sums(corpus.people))
    sums.normalisation(f"all people of {folder.name}").save(folder / "normalisation.json")
    rows = (
        entry.source.get("quality") or quality_of(corpus.recording(place), entry.file)  # an older corpus has none
        for place, entry in enumerate(corpus.entries)
    )
    write_quality(folder, rows, failed)
    return corpus


def _stored(source: Source, *, folder: Path, config: IngestConfig) -> None:
    """Read one recording and put it into the corpus, unless it is there already."""
    checksum = _checksum(source, config)
    if stored_checksum(folder, source.name) == checksum:
        return
    # What follows from other files or settings must not stay in the corpus if this fails.
    forget(folder, source.name)
    shape = SpectrogramConfig()
    recording = prepared(source, config)
    check_both(recording, "a corpus")
    quality = quality_of(replace(recording, subject=person_name(source.study, recording.subject)), source.name)
    recording = replace(recording, source={**recording.source, "quality": quality})
    if config.windows is not None:
        recording = sample_windows(recording, config.windows, shape, seed_of("keep", config.seed, source.name))
    recording = replace(recording, subject=person_name(source.study, recording.subject))
    sums = recording_moments(recording, shape)
    add_recording(recording, folder, source.name, checksum=checksum, moments=(sums.frames, sums.total, sums.squares))


def _checksum(source: Source, config: IngestConfig) -> str:
    """Of the files' content and of what decides what is made of it."""
    return content_key(source, config, config.windows, config.seed)
