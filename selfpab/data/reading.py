"""A path to a Recording, whatever form it has."""

from __future__ import annotations

import difflib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from selfpab.data.corpus_entries import entry_file, entry_files, is_corpus, read_entry
from selfpab.data.device_files import DEVICES
from selfpab.data.harth import read_csv
from selfpab.data.hunt4 import hours_of, read_hour, read_hours
from selfpab.data.parquet import read_parquet
from selfpab.data.zones import OFFSET_CHANGES, in_zone
from selfpab.recording import Recording, RecordingError

FORMS = {".csv": read_csv, ".parquet": read_parquet, ".npz": read_hour}
WANTED = (
    "wanted a .csv or .parquet file in the form of HARTH, an hourly .npz file of HUNT4, a folder of those, a pair of "
    "device files (.cwa, .gt3x, .bin), or an entry of a corpus, CORPUS/NAME"
)


def read(
    path: str | Path | tuple[str | Path | None, str | Path | None],
    *,
    rate_hz: float | None = None,
    subject: str | None = None,
    tz: str | None = None,
    configured_at: str | datetime | None = None,
) -> Recording:
    """Read one recording: HARTH or HAR70+ csv, parquet with the same columns, an hourly HUNT4 file or a folder of them,
    a pair of raw device files, an entry of a corpus.

    Parameters
    ----------
    path : the suffix tells the form; a folder is one subject's hourly files; (back, thigh) are two device files,
        .cwa, or .gt3x and .bin where actfast is installed (pip install selfpab[devices]), which are calibrated, put onto
        one clock and resampled (`selfpab.data.device_pairs`); (back, None) and (None, thigh) are one alone. corpus/NAME is an
        entry of a corpus, as it was ingested, on its mapped int16 (`selfpab.data.corpus_entries`).
    rate_hz : 50 says that a file stamped every 10 ms was sampled at 50 Hz; None believes the stamps.
    subject : the person's name; None takes the file's name (HUNT4: the folder's; a pair: the back's).
    tz, configured_at : the time zone of the recording's clock, and when that was set (`selfpab.data.zones`); None leaves
        the start as it is.

    Returns
    -------
    Recording at 50 Hz; what was done to the data on the way stands in `source["repairs"]`.

    Raises RecordingError (a ValueError) that names the file, the line and what to do; see `selfpab.data.checks`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "S1.csv"
    ...     _ = file.write_text(
    ...         "timestamp,back_x,back_y,back_z,thigh_x,thigh_y,thigh_z,label\\n"
    ...         "2021-03-24 14:42:03.839,-1,0,0,-1,0,0,6\\n"
    ...         "2021-03-24 14:42:03.859,-1,0,0,-1,0,0,7\\n"
    ...     )
    ...     recording = read(file)
    >>> recording.subject, recording.rate_hz, recording.labels.tolist(), str(recording.start)
    ('S1', 50.0, [6, 7], '2021-03-24 14:42:03.839000')
    """
    named = Path((path[0] or path[1] or "") if isinstance(path, tuple) else path)
    if not isinstance(path, tuple) and (entry := entry_file(named)):
        return read_entry(entry, rate_hz=rate_hz, subject=subject, tz=tz, configured_at=configured_at)
    recording = _read_devices(*path, rate_hz, subject) if isinstance(path, tuple) else _read(named, rate_hz, subject)
    return in_civil_time(recording, named, tz, configured_at)


def in_civil_time(
    recording: Recording, path: Path, tz: str | None, configured_at: str | datetime | None = None
) -> Recording:
    """The recording with its start in the time zone `tz`, which `source` then names; unchanged without `tz`."""
    start = in_zone(recording.start, tz, path, configured_at)
    if tz is None:
        return recording
    said: dict[str, object] = {"tz": tz, "configured_at": None if configured_at is None else str(configured_at)}
    if warnings := recording.source.get("warnings"):  # what tz= was to be given for is mended by it
        said["warnings"] = [text for text in warnings if not text.startswith(OFFSET_CHANGES)]
    return replace(recording, start=start, source={**recording.source, **said})


def _read_devices(
    back: str | Path | None, thigh: str | Path | None, rate_hz: float | None, subject: str | None
) -> Recording:
    from selfpab.data.device_pairs import read_pair  # scipy and threads, which tables do not need
    from selfpab.data.single_devices import read_single

    files = {name: Path(file) for name, file in (("back", back), ("thigh", thigh)) if file is not None}
    if not files:
        raise ValueError("wanted device files as (back, thigh), at most one of them None; got neither")
    for file in files.values():
        if rate_hz is not None:
            raise RecordingError(
                f"{file}: rate_hz={rate_hz:g} was asked for; device files know their rate: leave it out"
            )
        _check_there(file)
        if file.suffix.lower() not in DEVICES:
            raise RecordingError(f"{file}: is no {', '.join(DEVICES)} file; wanted a device file of each sensor")
    if len(files) == 1:
        ((sensor, file),) = files.items()
        return read_single(file, sensor, subject=subject)
    return read_pair(files["back"], files["thigh"], subject=subject)


def _read(path: Path, rate_hz: float | None, subject: str | None) -> Recording:
    if is_corpus(path):
        files = entry_files(path)
        raise RecordingError(
            f"{path}: is a corpus of {len(files)} recordings; wanted one of them, such as {path / files[0].stem} (all: "
            f"open_corpus, or selfpab predict)"
        )
    if path.is_dir():
        if hours_of(path):
            return read_hours(path, rate_hz=rate_hz, subject=subject)
        tables = sum(file.suffix.lower() in (".csv", ".parquet") for file in path.iterdir())
        hint = f"; its {tables} csv or parquet files can be read one by one, or with open_dataset" if tables else ""
        raise RecordingError(f"{path}: is a folder without hourly files like 2018-03-05_14.npz{hint}; {WANTED}")
    _check_there(path)
    suffix = path.suffix.lower()
    if suffix in DEVICES:
        raise RecordingError(
            f"{path}: a device file is one sensor; wanted a pair: read((back, thigh)), back=FILE thigh=FILE on the command "
            f"line; of one sensor alone read((back, None)) or read((None, thigh)), back=FILE or thigh=FILE"
        )
    if suffix not in FORMS:
        raise RecordingError(f"{path}: files ending in {suffix or 'nothing'} cannot be read; {WANTED}")
    return FORMS[suffix](path, rate_hz=rate_hz, subject=subject)


def _check_there(path: Path) -> None:
    if not path.exists():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*")]) if path.name else []
        hint = f"; did you mean {near[0]!r}?" if near else "" if path.parent.is_dir() else f"; no folder {path.parent}"
        raise RecordingError(f"{path}: there is no such file{hint}")
