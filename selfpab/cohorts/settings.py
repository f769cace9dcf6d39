"""What `predict` and `embed` are told."""

from __future__ import annotations

from dataclasses import dataclass

from selfpab.cohorts.people import VALID_DAY_MINUTES
from selfpab.data.preparation import ReadConfig
from selfpab.inference.frame_windows import Windows
from selfpab.inference.model_names import DEFAULT
from selfpab.upstream.engine import Precision


@dataclass(frozen=True)
class FolderConfig(ReadConfig):
    """A folder for every recording: what `predict` and `embed` share."""

    model: str = DEFAULT  # the one in the box; or a model folder, or hub:owner/name
    precision: Precision = "auto"
    workers: int = 1  # processes on this machine
    scheduler: str | None = None  # address of a Dask scheduler that is already there
    part: str | None = None  # 2/8: the second of eight parts, for array jobs; the tables over all are made without it


@dataclass(frozen=True)
class PredictConfig(FolderConfig):
    windows: Windows = "auto"  # ours in one pass, authors fifty-fold; auto: those of the model's evaluation
    overlap: int | None = (
        None  # frames that windows share, fewer are faster; none: as many as evaluated, where in doubt
    )
    uncertain_below: float | None = None  # seconds less probable are uncertain; none: what the model's calibration says
    single_sensor: bool = True  # where one sensor alone measured and was worn read it by itself, if the model can
    csv: bool = False  # seconds.csv.gz beside seconds.parquet
    report: bool = True  # report.html, a page to look at; off where there are thousands
    diary: str | None = None  # csv of intervals: subject, start, end, kind such as "time in bed" or "work"
    valid_day_minutes: float = (
        VALID_DAY_MINUTES  # wear that makes a day of people.csv valid; 10 h: the field's convention
    )


@dataclass(frozen=True)
class EmbedConfig(FolderConfig):
    form: str = "parquet"  # or npy


def deciding(config: FolderConfig) -> list[object]:
    """What of the settings, beside those of reading, decides what is in a recording's folder.

    >>> deciding(EmbedConfig(form="npy", workers=2))
    ['auto', 'npy']
    """
    if isinstance(config, EmbedConfig):
        return [config.precision, config.form]
    assert isinstance(config, PredictConfig)
    tables = [config.uncertain_below, config.csv, config.report, "parquet"]  # the last: what is finished stays so
    both = [] if config.single_sensor else ["both sensors"]
    return [config.windows, config.overlap, config.precision, *tables, *both]
