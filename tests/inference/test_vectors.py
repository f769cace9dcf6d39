"""Embeddings as files."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from selfpab.evaluation.clock import second_times
from selfpab.inference.vectors import write_vectors

VECTORS = np.array([[1.5, 2], [np.nan, np.nan], [3, 4]], np.float32)
OSLO = datetime(2024, 6, 1, 12, tzinfo=ZoneInfo("Europe/Oslo"))


@pytest.mark.parametrize(
    ("start", "first", "lines"),
    [
        (None, 7, ["7", "8", "9"]),
        (datetime(2024, 6, 1, 12), 1717243200, ["2024-06-01 12:00:00", "2024-06-01 12:00:01", "2024-06-01 12:00:02"]),
        (OSLO, 1717236000, [f"2024-06-01 12:00:0{i}+02:00" for i in range(3)]),
    ],
)
def test_both_forms_have_the_same_rows_and_times(start, first, lines, tmp_path):
    times = second_times(start, first, 3)
    for form in ("npy", "parquet"):
        write_vectors(VECTORS, times, tmp_path, form)
    np.testing.assert_array_equal(np.load(tmp_path / "embedding.npy"), VECTORS)
    assert (tmp_path / "times.csv").read_text().splitlines() == ["time", *lines]
    table = pl.read_parquet(tmp_path / "embedding.parquet")
    assert table.columns == ["time", "e0", "e1"]
    assert table["time"].equals(times)
    assert table.rows()[1][1:] == (None, None)
    np.testing.assert_array_equal(table.drop("time").to_numpy(), VECTORS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["embedding.npy", "embedding.parquet", "times.csv"]
