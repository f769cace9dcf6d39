"""A day is drawn, with and without truth, with gaps."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from selfpab.activities import HARTH
from selfpab.data.simulation import simulate
from selfpab.evaluation.clock import per_second
from selfpab.inference.model import Prediction
from selfpab.inference.pictures import draw_day


@pytest.mark.parametrize("labelled", [True, False])
def test_a_day(tmp_path, labelled):
    (recording,) = simulate(1, 0.1, seed=3)
    if not labelled:
        recording = replace(recording, labels=None)
    chances = np.random.default_rng(0).dirichlet(np.ones(len(HARTH)), len(recording))
    table = per_second(recording, np.full(len(recording), -1), chances, HARTH).drop("truth")
    prediction = Prediction(recording, HARTH, chances, table.with_columns(gap=pl.col("activity").is_null()))
    path = draw_day(prediction, tmp_path / "day.png", title="a day")
    assert path.stat().st_size > 20_000
