"""Recordings in, a folder per recording out (DESIGN 2); one that fails is reported and does not stop the others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from selfpab.allocator import keep_freed_memory
from selfpab.cohorts.cohort_tables import write_cohort_tables
from selfpab.cohorts.diaries import Interval, read_diary, strangers
from selfpab.cohorts.diary_tables import join_diary
from selfpab.cohorts.earlier_failures import still_failed
from selfpab.cohorts.file_stamps import check_whose, content_of, with_doubles
from selfpab.cohorts.finished_folders import facts_of, predictions_in
from selfpab.cohorts.folder_names import named
from selfpab.cohorts.settings import EmbedConfig, FolderConfig, PredictConfig, deciding
from selfpab.config import ConfigError
from selfpab.data.preparation import content_key, found_in, idle_words, prepared, reason_of
from selfpab.data.quality import quality_of, write_quality
from selfpab.data.sources import Problem, Source
from selfpab.data.store import file_checksum
from selfpab.evaluation.clock import second_rows, second_times
from selfpab.inference.frame_windows import chosen_windows
from selfpab.inference.model import Model, load
from selfpab.inference.model_names import ORIGIN, PREFIX, Located, located
from selfpab.inference.prediction import Prediction
from selfpab.inference.vectors import write_vectors
from selfpab.progress import Progress
from selfpab.provenance import environment
from selfpab.recording import NON_WEAR, NON_WEAR_OF, SENSORS, Recording
from selfpab.reports.recording_page import NAME as PAGE
from selfpab.reports.recording_page import write_report
from selfpab.upstream.engine import Precision, resolved_precision
from selfpab.workers import in_parallel, part_of
from selfpab.writing import write_text

GAPS_LISTED = 1000


C = TypeVar("C", bound=FolderConfig)
Make = Callable[[Model, Recording, Path, C, dict[str, str]], dict[str, Any]]


def predict_folder(sources: Sequence[Path], out: Path, config: PredictConfig) -> list[tuple[str, str | None]]:
    """A folder for every recording: (what was written, None) or (source, what was wrong).

    In it lie seconds.parquet, bouts.csv, daily.csv, report.html (unless `report` is off; an older one is then taken
    away) and, with `csv`, seconds.csv.gz; info.json is written last: without it a folder is not finished. One that is
    finished, from the same files, settings and model, is not made again; any other that an earlier call left there
    is, but for one of another recording, which is a failure. quality.csv in `out` has a row for each, failures.csv
    what failed and why (of earlier calls, too, until it is tried again), people.csv a row per person, dictionary.csv
    every column. With `diary`, its intervals are joined: diary.csv in every folder, people_diary.csv in `out`; a row
    of a person that is not there is a failure. Raises ValueError for wrong rows.
    """
    if config.uncertain_below is not None and not 0 <= config.uncertain_below <= 1:
        raise ConfigError(f"uncertain_below must be a probability between 0 and 1, got {config.uncertain_below}")
    if config.valid_day_minutes < 0:
        raise ConfigError(f"valid_day_minutes must not be negative, got {config.valid_day_minutes}")
    return _each(sources, out, config, _predicted)


def embed_folder(sources: Sequence[Path], out: Path, config: EmbedConfig) -> list[tuple[str, str | None]]:
    """`embedding.parquet` (time, and a column a dimension), or `embedding.npy` and `times.csv`; and `info.json`; for each.

    One row per clock second, empty in gaps (NaN in npy). The times are those of `seconds.parquet`.
    """
    if config.form not in ("parquet", "npy"):
        raise ConfigError(f"form must be parquet or npy, got {config.form!r}")
    return _each(sources, out, config, _embedded)


def _predicted(
    model: Model, recording: Recording, folder: Path, config: PredictConfig, about: dict[str, str]
) -> dict[str, Any]:
    windows = chosen_windows(config.windows, model.finetune)
    threshold = model.uncertain_below if config.uncertain_below is None else config.uncertain_below
    prediction = model.predict(
        recording,
        uncertain_below=config.uncertain_below,
        windows=windows,
        overlap=config.overlap,
        single_sensor=config.single_sensor,
    )
    for old in ("info.json", PAGE):  # an old one must never describe new tables
        (folder / old).unlink(missing_ok=True)
    prediction.write(folder, csv=config.csv)
    facts = {"windows": windows, "overlap": config.overlap, "uncertain_below": threshold, **_counts(prediction, config)}
    if model.reads_single:
        facts["uncertain_below_single"] = {
            s: own.uncertain_below for s, own in model.single(config.uncertain_below).items()
        }
    facts["decision"] = model.decision and model.decision.by_name(prediction.activities)
    facts["decision_over_s"] = 1 + 2 * (model.decision.around_s if model.decision else 0)
    if config.report:
        info = _info(recording, about, config, facts) | {"quality": quality_of(recording, folder.name)}
        write_report(prediction, info, folder / PAGE)
    return facts


def _embedded(
    model: Model, recording: Recording, folder: Path, config: EmbedConfig, about: dict[str, str]
) -> dict[str, Any]:
    vectors = model.embed(recording)
    (folder / "info.json").unlink(missing_ok=True)
    for old in ("embedding.npy", "times.csv", "embedding.parquet"):  # of another form
        (folder / old).unlink(missing_ok=True)
    first, _, _ = second_rows(recording)
    write_vectors(vectors, second_times(recording.start, first, len(vectors)), folder, config.form)
    return {"seconds": len(vectors), "width": vectors.shape[1]}


class _Item(NamedTuple):
    name: str
    source: Source

    def __str__(self) -> str:
        return str(self.source)


def _each(sources: Sequence[Path], out: Path, config: C, make: Make[C]) -> list[tuple[str, str | None]]:
    if not config.model:
        raise ConfigError("wanted model=MODEL, a folder that `selfpab finetune` (or, to embed, `pretrain`) wrote")
    place = located(config.model)
    about = _about(config.model, place)
    config = replace(config, model=str(place.folder))  # workers ask no hub
    found, problems = found_in(sources, config)
    idle = idle_words(config, found)
    asked = config if isinstance(config, PredictConfig) else None
    diary = read_diary(Path(asked.diary)) if asked and asked.diary else ()  # wrong rows before any work
    names, found = named(found)
    if config.part is not None:
        names, found = part_of(names, config.part), part_of(found, config.part)
    outcome: dict[str, tuple[str, str | None]] = {}
    task = partial(_one, out=out, config=config, make=make, about=about)
    with Progress("recordings", len(found)) as progress:
        if idle:
            progress.say(idle)
        for problem in problems:
            progress.say(f"failed: {problem.path}: {problem.reason}")
        items = [_Item(*each) for each in zip(names, found, strict=True)]
        done = in_parallel(task, items, workers=config.workers, scheduler=config.scheduler, say=progress.say)
        with closing(done):
            for (name, source), error in done:
                failed = isinstance(error, Exception)
                outcome[name] = (str(source), reason_of(error)) if failed else (str(out / name), None)
                progress.advance(note=name)
    told = [outcome[name] for name in names]
    if config.part is not None:  # others may be writing, and know nothing of these failures
        return told + [(str(problem.path), problem.reason) for problem in problems]
    if asked and diary:
        here = {word for folder, info in predictions_in(out) for word in (folder.name, str(info["subject"]))}
        problems += strangers(Path(asked.diary or ""), diary, {*here, *names, *(s.subject for s in found if s.subject)})
    infos = (facts_of(path.parent) for path in sorted(out.glob("*/info.json")))
    failed = [Problem(source.path, told[i][1] or "") for i, source in enumerate(found) if told[i][1] is not None]
    files = [Path(file) for file in (config.back, config.thigh, config.pairs, asked and asked.diary) if file]
    earlier = still_failed(out, [*sources, *files, *(problem.path for problem in problems)], found)
    write_quality(out, with_doubles(infos), [*earlier, *failed, *problems])
    if asked:
        write_cohort_tables(out, asked.valid_day_minutes)
    return told + [(str(problem.path), problem.reason) for problem in problems]


def _about(name: str, place: Located) -> dict[str, str]:
    """What info.json says of the model, by its content and, where it is of the hub, as owner/name@commit."""
    folder = place.folder
    encoder = load(folder).upstream.sha256  # which also finds out whether it is a model
    files = sorted(p for p in folder.iterdir() if p.suffix in (".json", ".safetensors") and p.name != ORIGIN)
    return {
        "folder": name if name.startswith(PREFIX) else folder.name,
        "encoder_sha256": encoder,
        "weights_sha256": file_checksum([folder / "weights.safetensors"]),  # with the head
        "model_sha256": file_checksum(files),
    } | ({"hub": place.origin} if place.origin else {})


@lru_cache(maxsize=1)
def _environment() -> dict[str, Any]:
    """Once per process: git and all packages are asked, which is dear where recordings are short."""
    return environment()


@lru_cache(maxsize=1)
def _model(folder: str, precision: Precision, sha256: str) -> Model:
    """Once per process; the checksum stands for the folder's content."""
    keep_freed_memory()
    return load(folder, precision=precision)


def _one(item: _Item, *, out: Path, config: C, make: Make[C], about: dict[str, str]) -> None:
    """One recording's folder, unless it is finished already."""
    name, source = item
    folder = out / name
    began = time.perf_counter()
    how = [make.__name__, *deciding(config), *about.values()]
    before = facts_of(folder)
    content = content_of(source, before)
    check_whose(folder, before, source, content)
    key = content_key(source, config, *how, sha256=content["sha256"])
    if before.get("key") == key:
        if before.get("content", {}).get("place") != content["place"]:  # it was moved, and may change there
            write_text(folder / "info.json", json.dumps(before | {"content": content}, indent=1))
        _join(folder, config)
        return
    (folder / "info.json").unlink(missing_ok=True)  # tables of other files or settings must not look finished
    for part in folder.glob(".*.part"):  # of a process that was killed while writing
        part.unlink()
    recording = prepared(source, config, single_sensor=_reads_single(config, about["model_sha256"]))
    folder.mkdir(parents=True, exist_ok=True)
    facts = make(_model(config.model, config.precision, about["model_sha256"]), recording, folder, config, about)
    taken = time.perf_counter() - began
    files = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    info = _info(recording, about, config, facts) | {"took_s": round(taken, 3), "files": files, "key": key}
    info["content"] = content
    info["quality"] = quality_of(recording, name)
    write_text(folder / "info.json", json.dumps(info, indent=1))
    _join(folder, config)


def _reads_single(config: FolderConfig, sha256: str) -> bool:
    """Whether what one sensor recorded alone is of use."""
    if not isinstance(config, PredictConfig) or not config.single_sensor:
        return False
    return _model(config.model, config.precision, sha256).reads_single_in(config.windows)


def _join(folder: Path, config: FolderConfig) -> None:
    """The diary's rows of a finished prediction; also to one that an earlier call finished."""
    if not isinstance(config, PredictConfig):
        return
    try:
        join_diary(folder, _diary(config.diary, file_checksum([Path(config.diary)])) if config.diary else ())
    except ValueError as error:
        raise ValueError(f"{config.diary}: {error}") from error


@lru_cache(maxsize=1)
def _diary(path: str, sha256: str) -> tuple[Interval, ...]:
    """Once per process; the checksum stands for the content."""
    return read_diary(Path(path))


def _counts(prediction: Prediction, config: PredictConfig) -> dict[str, Any]:
    """What is in the tables, and what is known of wear; activities, and doubt, are counted where it was worn."""
    seconds = prediction.seconds
    worn = seconds.select("activity", "uncertain", "wear", "sensors").filter("wear")
    told = worn["sensors"]
    names = dict(zip(prediction.activities.codes, prediction.activities.names, strict=True))
    counted = worn["activity"].drop_nulls().value_counts(sort=True).rows()
    kinds = (NON_WEAR, *NON_WEAR_OF.values())
    stretches = {kind: sum(mark.kind == kind for mark in prediction.recording.marks) for kind in kinds}
    return {
        "non_wear": {"stretches": stretches, "seconds": int((~seconds["wear"]).sum())}
        if config.non_wear or any(stretches.values())
        else "not looked for",
        "seconds": len(seconds),
        "seconds_recorded": int((~seconds["gap"]).sum()),
        "seconds_uncertain": int(worn["uncertain"].sum()),
        "seconds_per_activity": {names[code]: count for code, count in counted},
        "seconds_single": {sensor: int((told == sensor).sum()) for sensor in SENSORS},
        "classes": [{"code": code, "name": name} for code, name in names.items()],
        "bouts": len(prediction.bouts()),
        "interval_level": prediction.intervals.level if prediction.intervals else None,
        "days": len(prediction.daily()),
    }


def _info(recording: Recording, about: dict[str, str], config: FolderConfig, facts: dict[str, Any]) -> dict[str, Any]:
    """Where it came from and how it was made; what is not computed is absent."""
    gaps = [{"after_s": round(gap.after_s, 3), "until_s": round(gap.until_s, 3)} for gap in recording.gaps]
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
        "environment": _environment(),
    }
