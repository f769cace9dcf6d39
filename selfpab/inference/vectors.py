"""Embeddings as files: one row per clock second, with its time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from selfpab.writing import write_whole


def write_vectors(vectors: np.ndarray, times: pl.Series, folder: Path, form: str) -> None:
    """embedding.parquet with the columns time, e0, e1, ...; or embedding.npy and times.csv, row by row the same.

    vectors : float32 (seconds, width), NaN in gaps; these are empty in parquet.
    times : as `evaluation.clock.second_times` gives them.
    """
    if form == "npy":
        zoned = isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone
        form = "%Y-%m-%d %H:%M:%S" + ("%:z" if zoned else "")  # as in seconds.csv.gz
        column = pl.DataFrame({"time": times})
        write_whole(folder / "times.csv", lambda path: column.write_csv(path, datetime_format=form))
        write_whole(folder / "embedding.npy", lambda path: _save(vectors, path))
        return
    columns = {f"e{i}": pl.Series(vectors[:, i], nan_to_null=True) for i in range(vectors.shape[1])}
    table = pl.DataFrame({"time": times} | columns)
    write_whole(folder / "embedding.parquet", table.write_parquet)


def _save(vectors: np.ndarray, path: Path) -> None:
    with open(path, "wb") as file:  # given a path, numpy would add a suffix to it
        np.save(file, vectors)
