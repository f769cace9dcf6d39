"""A day is drawn, with and without truth, with gaps."""

from dataclasses import replace

import numpy as np
import pytest

from selfpab.activities import HARTH
from selfpab.data.simulation import simulate
from selfpab.features.framing import frame_starts
from selfpab.inference.frames import FrameProbabilities
from selfpab.inference.pictures import draw_day
from selfpab.inference.prediction import Prediction
from selfpab.inference.seconds import second_table
from selfpab.recording import Mark


@pytest.mark.parametrize("labelled", [True, False])
def test_a_day(tmp_path, labelled):
    (recording,) = simulate(1, 0.1, seed=3)
    if not labelled:
        recording = replace(recording, labels=None)
    starts, stops = frame_starts(recording.segments, frame_samples=50, hop_samples=25, to_the_end=True)
    chances = np.random.default_rng(0).dirichlet(np.ones(len(HARTH)), len(starts))
    frames = FrameProbabilities(chances, starts, stops, 50)
    marked = replace(recording, marks=(Mark(5000, 6000, "sensor dropout"),))
    prediction = Prediction(marked, HARTH, frames, second_table(marked, frames, HARTH))
    path = draw_day(prediction, tmp_path / "day.png", title="a day")
    assert path.stat().st_size > 20_000
