"""What a model says of one recording, in the forms that people work with (DESIGN 2, prediction folder; DESIGN 4)."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np
import polars as pl

from selfpab.activities import Activities
from selfpab.inference.bouts import bout_table
from selfpab.inference.days import daily_table
from selfpab.inference.frames import FrameProbabilities
from selfpab.inference.minutes import Intervals
from selfpab.inference.seconds import BLOCK_SAMPLES, ROWS_AT_ONCE
from selfpab.recording import Recording
from selfpab.writing import write_whole

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one recording.

    seconds : one row per clock second from the first to the last sample, gaps included; its columns stand at
        `selfpab.inference.seconds.second_table` and, with units, in `columns.column_dictionary`.
    frames : what it was made of, as the network says it: neither calibrated nor decided.
    intervals : how far minutes may be off; None where the model is not calibrated.
    """

    recording: Recording
    activities: Activities
    frames: FrameProbabilities
    seconds: pl.DataFrame
    intervals: Intervals | None = None

    @property
    def probabilities(self) -> np.ndarray:
        """float64 (N, K), one row per sample: mean of the frames that cover it. Made on demand: 2.4 GB for a week."""
        return self.frames.at(np.arange(len(self.recording)))

    @property
    def classes(self) -> np.ndarray:
        """Class index per sample, int64 (N,); ties go to the lower index. Made on demand."""
        result = np.empty(len(self.recording), np.int64)
        for first in range(0, len(result), BLOCK_SAMPLES):
            samples = np.arange(first, min(first + BLOCK_SAMPLES, len(result)))
            result[samples] = self.frames.at(samples).argmax(axis=1)
        return result

    @cached_property
    def _bouts(self) -> pl.DataFrame:
        return bout_table(self.seconds)

    def bouts(self) -> pl.DataFrame:
        """Stretches of one activity: start, end, seconds, activity, activity_name; see `bouts.bout_table`."""
        return self._bouts

    @cached_property
    def _daily(self) -> pl.DataFrame:
        return daily_table(self.seconds, self._bouts, self.activities, self.recording.start, self.intervals)

    def daily(self) -> pl.DataFrame:
        """A row per civil day: wear, minutes per activity, transitions, long sitting, movement; see `days.daily_table`."""
        return self._daily

    def to_pandas(self) -> pandas.DataFrame:
        """`seconds` for pandas; codes and truths keep their missing values as <NA>.

        Raises ImportError where pandas is not installed; it is no dependency of selfpab.
        """
        try:
            import pandas  # noqa: F401
        except ImportError as error:
            raise ImportError("to_pandas needs pandas, which is not installed: pip install pandas") from error
        kinds = {"activity": "Int32", "uncertain": "boolean", "wear": "boolean"}
        return self.seconds.to_pandas().astype(kinds)

    def write(self, folder: Path, *, csv: bool = False) -> None:
        """seconds.parquet, bouts.csv, daily.csv and, with `csv`, seconds.csv.gz, each whole or not at all.

        Without `csv` a seconds.csv.gz of an earlier prediction is taken away: it would contradict the others.
        """
        whole = partial(self.seconds.write_parquet, row_group_size=ROWS_AT_ONCE)
        write_whole(folder / "seconds.parquet", whole)
        for name, table in (("bouts", self.bouts()), ("daily", self.daily())):
            write_whole(folder / f"{name}.csv", lambda path, table=table: _write_csv(table, path))
        (folder / "seconds.csv.gz").unlink(missing_ok=True)
        if csv:
            write_whole(folder / "seconds.csv.gz", lambda path: _write_csv(self.seconds, path, packed=True))


def _write_csv(table: pl.DataFrame, path: Path, *, packed: bool = False) -> None:
    """Times as R, Excel and pandas read them; an offset only where the recording has a zone."""
    zoned = any(isinstance(kind, pl.Datetime) and kind.time_zone for kind in table.dtypes)
    form = {"datetime_format": "%Y-%m-%d %H:%M:%S" + ("%:z" if zoned else ""), "float_precision": 4}
    with open(path, "wb") as file:
        if not packed:
            table.write_csv(file, **form)
            return
        # neither name nor time in the header: the same table is the same file
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as zipped:
            table.write_csv(cast(IO[bytes], zipped), **form)
