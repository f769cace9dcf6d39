"""A path to a Recording, whatever form it has."""

from __future__ import annotations

import difflib
from pathlib import Path

from selfpab.data.harth import read_csv
from selfpab.data.hunt4 import hours_of, read_hour, read_hours
from selfpab.data.parquet import read_parquet
from selfpab.recording import Recording, RecordingError

FORMS = {".csv": read_csv, ".parquet": read_parquet, ".npz": read_hour}
WANTED = "wanted a .csv or .parquet file in the form of HARTH, an hourly .npz file of HUNT4, or a folder of those"


def read(path: str | Path, *, rate_hz: float | None = None, subject: str | None = None) -> Recording:
    """Read one recording: HARTH or HAR70+ csv, parquet with the same columns, an hourly HUNT4 file or a folder of them.

    Parameters
    ----------
    path : the suffix tells the form; a folder is one subject's hourly files.
    rate_hz : 50 says that a file stamped every 10 ms was sampled at 50 Hz; None believes the stamps.
    subject : the person's name; None takes the file's name (HUNT4: the folder's).

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
    path = Path(path)
    if path.is_dir():
        if hours_of(path):
            return read_hours(path, rate_hz=rate_hz, subject=subject)
        tables = sum(file.suffix.lower() in (".csv", ".parquet") for file in path.iterdir())
        hint = f"; its {tables} csv or parquet files can be read one by one, or with open_dataset" if tables else ""
        raise RecordingError(f"{path}: is a folder without hourly files like 2018-03-05_14.npz{hint}; {WANTED}")
    if not path.exists():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*")]) if path.name else []
        hint = f"; did you mean {near[0]!r}?" if near else "" if path.parent.is_dir() else f"; no folder {path.parent}"
        raise RecordingError(f"{path}: there is no such file{hint}")
    suffix = path.suffix.lower()
    if suffix == ".cwa":
        raise RecordingError(
            f"{path}: raw Axivity files (.cwa) are not read yet; export both sensors at 50 Hz to one csv file"
        )
    if suffix not in FORMS:
        raise RecordingError(f"{path}: files ending in {suffix or 'nothing'} cannot be read; {WANTED}")
    return FORMS[suffix](path, rate_hz=rate_hz, subject=subject)
