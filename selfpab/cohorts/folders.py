"""Recordings in, a folder per recording out (DESIGN 2); one that fails is reported and does not stop the others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selfpab.allocator import keep_freed_memory
from selfpab.config import ConfigError
from selfpab.data.preparation import ReadConfig, content_key, found_in, prepared, reason_of
from selfpab.data.quality import quality_of, write_quality
from selfpab.data.sources import Problem, Source, check_distinct
from selfpab.data.store import file_checksum
from selfpab.inference.model import Model, load
from selfpab.inference.prediction import Prediction
from selfpab.inference.seconds import UNCERTAIN_BELOW
from selfpab.progress import Progress
from selfpab.provenance import environment
from selfpab.recording import NON_WEAR, NON_WEAR_OF, Recording
from selfpab.upstream.engine import Precision, resolved_precision
from selfpab.workers import in_parallel
from selfpab.writing import write_text, write_whole

GAPS_LISTED = 1000


@dataclass(frozen=True)
class PredictConfig(ReadConfig):
    model: str = ""  # model folder
    precision: Precision = "auto"
    uncertain_below: float = UNCERTAIN_BELOW  # ours: a second whose best class is less probable is marked uncertain
    csv: bool = False  # seconds.csv.gz beside seconds.parquet
    form: str = "parquet"  # of embeddings: parquet or npy
    workers: int = 1  # processes on this machine
    scheduler: str | None = None  # address of a Dask scheduler that is already there


def predict_folder(sources: Sequence[Path], out: Path, config: PredictConfig) -> list[tuple[str, str | None]]:
    """A folder for every recording: (what was written, None) or (source, what was wrong).

    In it lie seconds.parquet, bouts.csv, daily.csv (and seconds.csv.gz with `csv`); info.json is written last: without it
    a folder is not finished. One that is finished, from the same files, settings and model, is not made again; any other
    that an earlier call left there is. quality.csv in `out` has a row for each, failures.csv what failed and why.
    """
    if not 0 <= config.uncertain_below <= 1:
        raise ConfigError(f"uncertain_below must be a probability between 0 and 1, got {config.uncertain_below}")
    return _each(sources, out, config, _predicted)


def embed_folder(sources: Sequence[Path], out: Path, config: PredictConfig) -> list[tuple[str, str | None]]:
    """`embedding.parquet` (one column a dimension) or `embedding.npy`, and `info.json`, for every recording."""
    if config.form not in ("parquet", "npy"):
        raise ConfigError(f"form must be parquet or npy, got {config.form!r}")
    return _each(sources, out, config, _embedded)


def _predicted(model: Model, recording: Recording, folder: Path, config: PredictConfig) -> dict[str, Any]:
    prediction = model.predict(recording, uncertain_below=config.uncertain_below)
    (folder / "info.json").unlink(missing_ok=True)  # an old one must never describe new tables
    prediction.write(folder, csv=config.csv)
    return {"uncertain_below": config.uncertain_below, **_counts(prediction, config)}


def _embedded(model: Model, recording: Recording, folder: Path, config: PredictConfig) -> dict[str, Any]:
    vectors = model.embed(recording)
    (folder / "info.json").unlink(missing_ok=True)
    write_whole(folder / f"embedding.{config.form}", lambda path: _write_vectors(vectors, path, config.form))
    return {"seconds": len(vectors), "width": vectors.shape[1]}


def _write_vectors(vectors: np.ndarray, path: Path, form: str) -> None:
    if form == "npy":
        with open(path, "wb") as file:  # given a path, numpy would add a suffix to it
            np.save(file, vectors)
        return
    import polars as pl

    names = [f"e{i}" for i in range(vectors.shape[1])]
    pl.DataFrame(vectors, schema=names, orient="row").write_parquet(path)


Make = Callable[[Model, Recording, Path, PredictConfig], dict[str, Any]]


def _each(sources: Sequence[Path], out: Path, config: PredictConfig, make: Make) -> list[tuple[str, str | None]]:
    if not config.model:
        raise ConfigError("wanted model=MODEL, a folder that `selfpab finetune` (or, to embed, `pretrain`) wrote")
    about = _about(config.model)
    found, problems = found_in(sources, config)
    shorts = [source.short_name for source in found]
    # two people of one name from two folders must not overwrite each other
    names = [short if shorts.count(short) == 1 else source.name for short, source in zip(shorts, found, strict=True)]
    check_distinct(names, found)
    outcome: dict[str, tuple[str, str | None]] = {}
    task = partial(_one, out=out, config=config, make=make, about=about)
    with Progress("recordings", len(found)) as progress:
        for problem in problems:
            progress.say(f"failed: {problem.path}: {problem.reason}")
        items = list(zip(names, found, strict=True))
        done = in_parallel(task, items, workers=config.workers, scheduler=config.scheduler, say=progress.say)
        with closing(done):
            for (name, source), error in done:
                failed = isinstance(error, Exception)
                outcome[name] = (str(source), reason_of(error)) if failed else (str(out / name), None)
                progress.advance(note=name)
    told = [outcome[name] for name in names]
    infos = (_finished(path.parent) for path in sorted(out.glob("*/info.json")))
    rows = [info["quality"] for info in infos if "quality" in info]
    failed = [Problem(source.path, told[i][1] or "") for i, source in enumerate(found) if told[i][1] is not None]
    write_quality(out, rows, [*failed, *problems])
    return told + [(str(problem.path), problem.reason) for problem in problems]


def _about(folder: str) -> dict[str, str]:
    return {
        "folder": Path(folder).name,
        "encoder_sha256": load(folder).upstream.sha256,
        "weights_sha256": file_checksum([Path(folder) / "weights.safetensors"]),  # with the head
        "model_sha256": file_checksum(
            sorted(p for p in Path(folder).iterdir() if p.suffix in (".json", ".safetensors"))
        ),
    }


@lru_cache(maxsize=1)
def _model(folder: str, precision: Precision, sha256: str) -> Model:
    """Once per process; the checksum stands for the folder's content."""
    keep_freed_memory()
    return load(folder, precision=precision)


def _one(item: tuple[str, Source], *, out: Path, config: PredictConfig, make: Make, about: dict[str, str]) -> None:
    """One recording's folder, unless it is finished already."""
    name, source = item
    folder = out / name
    began = time.perf_counter()
    how = [make.__name__, config.precision, config.uncertain_below, config.csv, config.form, *about.values()]
    key = content_key(source, config, *how)
    if _finished(folder).get("key") == key:
        return
    (folder / "info.json").unlink(missing_ok=True)  # tables of other files or settings must not look finished
    recording = prepared(source, config)
    folder.mkdir(parents=True, exist_ok=True)
    facts = make(_model(config.model, config.precision, about["model_sha256"]), recording, folder, config)
    taken = time.perf_counter() - began
    files = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    info = _info(recording, about, config, facts, taken) | {"files": files, "key": key}
    info["quality"] = quality_of(recording, name)
    write_text(folder / "info.json", json.dumps(info, indent=1))


def _finished(folder: Path) -> dict[str, Any]:
    """info.json of a finished folder; empty for one that is not whole."""
    try:
        info = json.loads((folder / "info.json").read_text())
    except (OSError, ValueError):
        return {}
    return info if all((folder / name).exists() for name in info.get("files", ())) else {}


def _counts(prediction: Prediction, config: PredictConfig) -> dict[str, Any]:
    """What is in the tables, and what is known of wear."""
    seconds = prediction.seconds
    counted = seconds.drop_nulls("activity")["activity_name"].value_counts(sort=True).rows()
    kinds = (NON_WEAR, *NON_WEAR_OF.values())
    stretches = {kind: sum(mark.kind == kind for mark in prediction.recording.marks) for kind in kinds}
    return {
        "non_wear": {"stretches": stretches, "seconds": int((~seconds["wear"]).sum())}
        if config.non_wear or any(stretches.values())
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
        "source": json.loads(json.dumps(dict(recording.source), default=str)),
        "gaps": gaps[:GAPS_LISTED],
        "gaps_in_all": len(gaps),
        **facts,
        "model": about,
        "precision": resolved_precision(config.precision, torch.device("cpu")),
        "environment": environment(),
        "took_s": round(taken, 3),
    }
