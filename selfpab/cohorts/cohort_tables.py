"""The tables over all recordings of a prediction folder: people.csv, people_diary.csv and dictionary.csv."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from selfpab.activities import Activities
from selfpab.cohorts.diary_tables import write_people_diary
from selfpab.cohorts.finished_folders import classes_of, predictions_in
from selfpab.cohorts.people import write_people
from selfpab.inference.columns import column_dictionary
from selfpab.writing import write_csv


def write_cohort_tables(out: Path, valid_day_minutes: float) -> None:
    """Of every finished prediction in `out`, those of earlier calls included; none where nothing is finished.

    Recordings that were predicted with other classes have their columns too: each table has those of all.
    """
    sets: dict[tuple[object, ...], Activities] = {}
    intervals = False
    for _, info in predictions_in(out):
        intervals = intervals or info.get("interval_level") is not None
        activities = classes_of(info)
        sets.setdefault((activities.codes, activities.names), activities)
    if not sets:
        return
    listed = _dictionary(list(sets.values()), intervals)
    write_people(out, _columns(listed, "people.csv"), valid_day_minutes)
    write_people_diary(out, _columns(listed, "people_diary.csv"))
    here = {path.name for path in (*out.glob("*.csv"), *out.glob("*/diary.csv"))} | {"dictionary.csv"}
    always = {"seconds.parquet", "daily.csv", "bouts.csv", "quality.csv", "failures.csv"}
    kept = listed.filter(pl.col("file").is_in(sorted(here | always)))
    write_csv(out / "dictionary.csv", kept.columns, kept.rows())


def _dictionary(sets: list[Activities], intervals: bool) -> pl.DataFrame:
    """One dictionary of several label sets: tables in their order, each with the columns of all."""
    both = pl.concat([column_dictionary(activities, intervals=intervals) for activities in sets])
    once = both.unique(subset=["file", "column"], keep="first", maintain_order=True)
    files = once["file"].unique(maintain_order=True)
    return pl.concat([once.filter(pl.col("file") == file) for file in files])


def _columns(listed: pl.DataFrame, file: str) -> list[str]:
    return listed.filter(pl.col("file") == file)["column"].to_list()
