"""From what the paths of a command hold to recordings that can be trusted: read, in civil time, checked, marked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from selfpab import __version__
from selfpab.config import ConfigError
from selfpab.data.corpus_entries import checksum_of, corpus_of
from selfpab.data.named_people import with_subjects
from selfpab.data.reading import in_civil_time, read
from selfpab.data.sources import HOW, Problem, Source, pair_of, single_of, sources_in
from selfpab.data.store import file_checksum
from selfpab.data.zones import in_zone
from selfpab.recording import Recording, RecordingError

OF_DEVICES = ("calibrate", "align", "longest_offset_s")  # settings for device files


@dataclass(frozen=True)
class ReadConfig:
    """How recordings are read; the settings of `ingest`, `predict` and `embed` begin with these."""

    rate_hz: float | None = None  # for files whose time stamps are wrong; none: what the stamps say
    pairs: str | None = None  # how device files belong together: two patterns with {subject}, or a table.csv
    back: str | None = None  # one pair of device files: this one and thigh=; or one of these alone
    thigh: str | None = None
    tz: str | None = None  # time zone of the recordings' clocks, such as Europe/Oslo
    configured_at: str | None = (
        None  # when the clocks were set, if summer time began or ended since; none: first sample
    )
    repair: Literal["auto", "warn", "off"] = (
        "auto"  # sensors that are turned or swapped: turned back, told, not looked for
    )
    calibrate: bool = True  # device files: gain and offset by the sensor's own still periods
    align: bool = True  # device files: offset and drift between the two clocks by the movement
    longest_offset_s: float = 93_600.0  # device files: how far the clocks may be apart
    non_wear: bool = True  # look for stretches in which the sensors were not worn


def found_in(paths: Sequence[Path], config: ReadConfig) -> tuple[list[Source], list[Problem]]:
    """All recordings of some paths, and what looks as if it were one and is not; errors as of `sources_in`.

    A `dataset.json` in a folder says whose they are (`with_subjects`).

    Raises ValueError where there is neither a path nor `back=` or `thigh=`; ConfigError for `pairs` that says nothing of any
    file.
    """
    found: list[Source] = []
    problems: list[Problem] = []
    if config.back is not None and config.thigh is not None:
        found.append(pair_of(Path(config.back), Path(config.thigh)))
    elif alone := config.back or config.thigh:
        found.append(single_of(Path(alone), "back" if config.back else "thigh"))
    elif not paths:
        raise ValueError("wanted recordings: files or folders, or back=FILE thigh=FILE, or one of these alone")
    if config.tz is not None or config.configured_at is not None:  # before hours of reading
        in_zone(datetime(2024, 1, 1, 12), config.tz, Path("tz="), config.configured_at)
    for path in paths:
        sources, wrong = sources_in(path, config.pairs)
        found += with_subjects(sources)
        problems += wrong
    once: dict[Any, Source] = {}
    for source in found:
        try:
            if source.tz is not None:
                in_zone(datetime(2024, 1, 1, 12), source.tz, source.path, source.configured_at)
            # One table may serve several folders: then a pair is the same whichever it was found for.
            pair = None if source.thigh is None else tuple(file.resolve() for file in source.files)
            once.setdefault(pair or source, source)
        except RecordingError as error:
            problems.append(Problem(source.path, str(error)))
    found = list(once.values())
    _check_pairs(config, found, problems)
    return found, problems


def _check_pairs(config: ReadConfig, found: Sequence[Source], problems: Sequence[Problem]) -> None:
    """ConfigError for `pairs` that says nothing of any file; files that it could not put together are problems."""
    paired = [source for source in found if source.thigh is not None and source.path != Path(config.back or "")]
    if config.pairs is not None and not paired and not problems:
        raise ConfigError(f"pairs={config.pairs} matches no device file here; leave it out, or say another: {HOW}")


def idle_words(config: ReadConfig, found: Sequence[Source]) -> str | None:
    """A line about settings for device files where there is none; None where there is nothing to say.

    >>> idle_words(ReadConfig(align=False), [Source(Path("a"), Path("a/P1.csv"))])
    'align= had nothing to do: it is for device files, and none is here'
    """
    given = [name for name in OF_DEVICES if getattr(config, name) != getattr(ReadConfig, name)]
    if not given or any(source.of_devices for source in found):
        return None
    return f"{', '.join(f'{name}=' for name in given)} had nothing to do: it is for device files, and none is here"


def prepared(source: Source, config: ReadConfig, *, single_sensor: bool = False) -> Recording:
    """Read a source, put it into civil time, check and repair how the sensors were worn, mark where they were not.

    single_sensor : of a pair of device files keep what one recorded without the other.

    All of that was done to an entry of a corpus when it was ingested: it comes as it is, whatever the settings.

    Raises RecordingError, as `read`, `read_pair` and `check_plausible`.
    """
    if corpus_of(source.path):
        return read(
            source.path,
            rate_hz=config.rate_hz,
            subject=source.subject,
            tz=config.tz,
            configured_at=config.configured_at,
        )
    from selfpab.data.device_pairs import read_pair
    from selfpab.data.placement import check_placement
    from selfpab.data.plausibility import check_plausible
    from selfpab.data.single_devices import read_single
    from selfpab.data.wear import non_wear

    if source.thigh is not None:
        recording = read_pair(
            source.path,
            source.thigh,
            subject=source.subject,
            calibrate=config.calibrate,
            align=config.align,
            look_for_non_wear=config.non_wear,
            single_sensor=single_sensor,
            longest_offset_s=config.longest_offset_s,
        )
    elif source.sensor is not None:
        recording = read_single(
            source.path,
            source.sensor,
            subject=source.subject,
            calibrate=config.calibrate,
            look_for_non_wear=config.non_wear,
        )
    else:
        recording = read(source.path, rate_hz=config.rate_hz, subject=source.subject)
    recording = check_plausible(recording, source.path)
    if config.non_wear and not source.of_devices:  # of these it is known, with their temperatures
        recording = recording.with_marks((*recording.marks, *non_wear(recording)))
    recording = in_civil_time(
        recording, source.path, source.tz or config.tz, source.configured_at or config.configured_at
    )
    looked_for = {"non_wear": config.non_wear, "placement": config.repair != "off"}
    recording = replace(recording, source={**recording.source, "looked_for": looked_for})
    own = recording.samples.flags.writeable  # then nobody else holds it
    return check_placement(recording, repair=config.repair, out=recording.samples if own else None)[0]


def settings_of(config: ReadConfig) -> dict[str, Any]:
    """What of the settings changes a recording that is read: all of `ReadConfig` but where it lies."""
    own = {key: value for key, value in asdict(config).items() if key in ReadConfig.__dataclass_fields__}
    return {key: value for key, value in own.items() if key not in ("pairs", "back", "thigh")}


def content_key(source: Source, config: ReadConfig, *others: object, sha256: str | None = None) -> str:
    """Checksum of a source's files and of all that decides what is made of them: settings, version, and `others`.

    sha256 : the files', where it is known; they are then not read.
    """
    names = [] if source.path.is_file() else [file.name for file in source.files]  # of hourly files they are the times
    own = [source.subject, source.tz, source.configured_at]
    # An entry's samples may be the same after its marks or time zone have changed: how it was ingested counts, too.
    own += filter(None, [checksum_of(source.path), source.sensor])
    how = [__version__, *names, *settings_of(config).items(), *own, *others]
    return hashlib.sha256(f"{sha256 or file_checksum(source.files)} {how}".encode()).hexdigest()


def reason_of(error: Exception) -> str:
    """What to tell of a failure: errors of ours are sentences, others need their kind."""
    return str(error) if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {error}"
