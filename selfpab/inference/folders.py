"""Recordings in, a folder per recording out (DESIGN 2); one that fails is reported and does not stop the others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selfpab.allocator import keep_freed_memory
from selfpab.config import ConfigError
from selfpab.data.reading import read
from selfpab.data.store import file_checksum
from selfpab.inference.model import Model, load
from selfpab.inference.prediction import Prediction
from selfpab.inference.seconds import NON_WEAR, UNCERTAIN_BELOW
from selfpab.progress import Progress
from selfpab.provenance import environment
from selfpab.recording import Recording
from selfpab.upstream.corpus import check_distinct, entry_name, recordings_in
from selfpab.upstream.engine import Precision, resolved_precision
from selfpab.writing import write_text, write_whole

GAPS_LISTED = 1000


@dataclass(frozen=True)
class PredictConfig:
    model: str = ""  # model folder
    rate_hz: float | None = None  # for files whose time stamps are wrong; none: what the stamps say
    precision: Precision = "auto"
    uncertain_below: float = UNCERTAIN_BELOW  # ours: a second whose best class is less probable is marked uncertain
    csv: bool = False  # seconds.csv.gz beside seconds.parquet
    form: str = "parquet"  # of embeddings: parquet or npy


def predict_folder(sources: Sequence[Path], out: Path, config: PredictConfig) -> list[tuple[str, str | None]]:
    """A folder for every recording: (what was written, None) or (source, what was wrong).

    In it lie seconds.parquet, bouts.csv, daily.csv (and seconds.csv.gz with `csv`); info.json is written last: without it
    a folder is not finished. What an earlier call left there is written anew.
    """
    if not 0 <= config.uncertain_below <= 1:
        raise ConfigError(f"uncertain_below must be a probability between 0 and 1, got {config.uncertain_below}")

    def one(model: Model, recording: Recording, folder: Path) -> dict[str, Any]:
        prediction = model.predict(recording, uncertain_below=config.uncertain_below)
        (folder / "info.json").unlink(missing_ok=True)  # an old one must never describe new tables
        prediction.write(folder, csv=config.csv)
        return {"uncertain_below": config.uncertain_below, **_counts(prediction)}

    return _each(sources, out, config, one)


def embed_folder(sources: Sequence[Path], out: Path, config: PredictConfig) -> list[tuple[str, str | None]]:
    """`embedding.parquet` (one column a dimension) or `embedding.npy`, and `info.json`, for every recording."""
    if config.form not in ("parquet", "npy"):
        raise ConfigError(f"form must be parquet or npy, got {config.form!r}")

    def one(model: Model, recording: Recording, folder: Path) -> dict[str, Any]:
        vectors = model.embed(recording)
        (folder / "info.json").unlink(missing_ok=True)
        write_whole(folder / f"embedding.{config.form}", lambda path: _write_vectors(vectors, path, config.form))
        return {"seconds": len(vectors), "width": vectors.shape[1]}

    return _each(sources, out, config, one)


def _write_vectors(vectors: np.ndarray, path: Path, form: str) -> None:
    if form == "npy":
        with open(path, "wb") as file:  # given a path, numpy would add a suffix to it
            np.save(file, vectors)
        return
    import polars as pl

    names = [f"e{i}" for i in range(vectors.shape[1])]
    pl.DataFrame(vectors, schema=names, orient="row").write_parquet(path)


def _each(
    sources: Sequence[Path],
    out: Path,
    config: PredictConfig,
    one: Callable[[Model, Recording, Path], dict[str, Any]],
) -> list[tuple[str, str | None]]:
    if not config.model:
        raise ConfigError("wanted model=MODEL, a folder that `selfpab finetune` (or, to embed, `pretrain`) wrote")
    keep_freed_memory()
    model = load(config.model, precision=config.precision)
    about = {
        "folder": Path(config.model).name,
        "encoder_sha256": model.upstream.sha256,
        "weights_sha256": file_checksum([Path(config.model) / "weights.safetensors"]),  # with the head
    }
    found = [item for source in sources for item in recordings_in(source)]
    stems = [path.stem for _, path in found]
    # two people of one name from two folders must not overwrite each other
    names = [stem if stems.count(stem) == 1 else entry_name(*item) for stem, item in zip(stems, found, strict=True)]
    check_distinct(names, [path for _, path in found])
    outcome: list[tuple[str, str | None]] = []
    with Progress("recordings", len(found)) as progress:
        for name, (_, path) in zip(names, found, strict=True):
            folder = out / name
            try:
                began = time.perf_counter()
                recording = read(path, rate_hz=config.rate_hz)
                folder.mkdir(parents=True, exist_ok=True)
                facts = one(model, recording, folder)
                taken = time.perf_counter() - began
                write_text(folder / "info.json", json.dumps(_info(recording, about, config, facts, taken), indent=1))
                outcome.append((str(folder), None))
            except (ValueError, OSError) as error:
                outcome.append((str(path), str(error)))
            progress.advance(note=name)
    return outcome


def _counts(prediction: Prediction) -> dict[str, Any]:
    """What is in the tables, and what is known of wear."""
    seconds = prediction.seconds
    counted = seconds.drop_nulls("activity")["activity_name"].value_counts(sort=True).rows()
    stretches = [mark for mark in prediction.recording.marks if mark.kind == NON_WEAR]
    return {
        "non_wear": {"stretches": len(stretches), "seconds": int((~seconds["wear"]).sum())}
        if stretches
        else "not looked for",
        "seconds": len(seconds),
        "seconds_recorded": int((~seconds["gap"]).sum()),
        "seconds_uncertain": int(seconds["uncertain"].sum()),
        "seconds_per_activity": dict(counted),
        "bouts": len(prediction.bouts()),
        "days": len(prediction.daily()),
    }


def _info(
    recording: Recording, about: dict[str, str], config: PredictConfig, facts: dict[str, Any], taken: float
) -> dict[str, Any]:
    """Where it came from and how it was made; what is not computed is absent."""
    edges = zip(recording.segments[:-1], recording.segments[1:], strict=True)
    gaps = [
        {"after_s": round(a.start_s + len(a) / recording.rate_hz, 3), "until_s": round(b.start_s, 3)} for a, b in edges
    ]
    return {
        "subject": recording.subject,
        "start": None if recording.start is None else recording.start.isoformat(),
        "rate_hz": recording.rate_hz,
        "samples": len(recording),
        "source": {key: str(value) for key, value in recording.source.items()},
        "gaps": gaps[:GAPS_LISTED],
        "gaps_in_all": len(gaps),
        **facts,
        "model": about,
        "precision": resolved_precision(config.precision, torch.device("cpu")),
        "environment": environment(),
        "took_s": round(taken, 3),
    }
