"""The authors' hourly files of HUNT4: `<subject>/<YYYY-MM-DD_HH>.npz` (BEHAVIOUR (a), SelfPAB `HUNT4Dataset`).

Each holds one array `arr_0` (samples, 6 or more) in g at 50 Hz, columns as `CHANNELS`, and no times. The authors used
only the first 15,000 rows (five minutes) of each file; we read all rows.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from selfpab.data.checks import RATE_HZ, check_channels, sha256_of, sha256_of_all
from selfpab.recording import CHANNELS, Recording, RecordingError, Segment

NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d\.npz", re.IGNORECASE)
HOUR = 180_000  # samples at 50 Hz
WANTED_NAME = "wanted a name like 2018-03-05_14.npz, for these files hold no times"
WANTED = "wanted `arr_0` of shape (samples, 6 or more), numbers in g at 50 Hz"


def read_hour(path: Path, *, rate_hz: float | None = None, subject: str | None = None) -> Recording:
    """One hourly file, all its rows; the start is that of the hour in its name, the subject the folder's name.

    Returns float32 in g without labels. Raises RecordingError for another name, an array of another shape or with
    more than an hour's 180,000 rows, values that are no g, a damaged file, and a `rate_hz` other than 50.
    """
    return _joined([path], path, path.resolve().parent.name if subject is None else subject, rate_hz)


def read_hours(folder: Path, *, rate_hz: float | None = None, subject: str | None = None) -> Recording:
    """All hourly files of a subject's folder as one recording; errors as of `read_hour`.

    An hour of exactly 180,000 rows and the next hour abut; otherwise there is a gap, and a new segment, even where the
    missing rows are so few that `segments_of` would not cut: nobody knows where in the hour they are missing. npz files
    of other names are left out and named in `source["warnings"]`.
    """
    files = hours_of(folder)
    recording = _joined(files, folder, folder.resolve().name if subject is None else subject, rate_hz)
    if not (others := [file.name for file in npz_of(folder) if file not in files]):
        return recording
    told = f"{len(others)} npz files left out ({', '.join(others[:3])}{' ...' * (len(others) > 3)}): {WANTED_NAME}"
    return replace(recording, source={**recording.source, "warnings": [told]})


def hours_of(folder: Path) -> list[Path]:
    """The hourly files of a folder, in the order of time."""
    return [file for file in npz_of(folder) if NAME.fullmatch(file.name)]


def npz_of(folder: Path) -> list[Path]:
    """All npz files of a folder, whatever their names are, but those with a dot in front."""
    return sorted(file for file in folder.glob("*") if file.suffix.lower() == ".npz" and file.name[0] != ".")


def _joined(files: Sequence[Path], path: Path, subject: str, rate_hz: float | None) -> Recording:
    if rate_hz is not None and rate_hz != RATE_HZ:
        raise RecordingError(f"{path}: rate_hz={rate_hz:g} was asked for; hourly files have {RATE_HZ:g} Hz")
    starts = [_start(file) for file in files]
    rows = [_rows(file) for file in files]
    # The lengths are known before the first array is read, so that a week needs its own memory once.
    samples = np.empty((sum(rows), len(CHANNELS)), np.float32)
    segments: list[Segment] = []
    first = 0
    for i, (file, start) in enumerate(zip(files, starts, strict=True)):
        stop = first + rows[i]
        samples[first:stop] = _array(file)
        check_channels(samples[first:stop], file)
        if i and rows[i - 1] == HOUR and start - starts[i - 1] == timedelta(hours=1):
            segments[-1] = Segment(segments[-1].first, stop, segments[-1].start_s)
        else:
            segments.append(Segment(first, stop, (start - starts[0]).total_seconds()))
        first = stop
    return Recording(
        subject=subject,
        start=starts[0],
        rate_hz=RATE_HZ,
        samples=samples,
        segments=tuple(segments),
        source={
            "path": str(path),
            "form": "hunt4",
            "rows": len(samples),
            "sha256": sha256_of(path) if path.is_file() else sha256_of_all(files),
            "repairs": [],
            "files": len(files),
        },
    )


def _start(file: Path) -> datetime:
    try:
        return datetime.strptime(file.stem, "%Y-%m-%d_%H")
    except ValueError:
        raise RecordingError(f"{file}: its name is no date and hour; {WANTED_NAME}") from None


def _rows(file: Path) -> int:
    """Number of rows by the array's header, checked, without reading the values."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open("arr_0.npy") as member:
            version = np.lib.format.read_magic(member)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, kind = header(member)
    except KeyError:
        raise RecordingError(f"{file}: has no array `arr_0`; {WANTED}") from None
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError) as error:
        raise RecordingError(f"{file}: is no whole npz file ({error}); copy or download it again") from error
    if len(shape) != 2 or shape[1] < len(CHANNELS) or not shape[0] or kind.kind not in "fiu":
        raise RecordingError(f"{file}: `arr_0` has shape {shape} and type {kind}; {WANTED}")
    if shape[0] > HOUR:
        raise RecordingError(
            f"{file}: has {shape[0]} rows; an hour at 50 Hz has {HOUR}: resample it to 50 Hz, or cut it at the hour"
        )
    return shape[0]


def _array(file: Path) -> np.ndarray:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return archive["arr_0"][:, : len(CHANNELS)]
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError) as error:
        raise RecordingError(f"{file}: is no whole npz file ({error}); copy or download it again") from error
