"""Pictures are drawn of what was given; whether they are good to look at is for eyes."""

import numpy as np
import pytest

from selfpab.upstream.pictures import draw_losses, draw_reconstructions
from selfpab.upstream.reconstruction import Example


def size_of(path) -> tuple[int, int]:
    from matplotlib.image import imread

    height, width = imread(path).shape[:2]
    return width, height


def test_the_loss_curve(tmp_path):
    rows = [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 0.5}, {"step": 20, "validation_loss": 0.6}]
    assert size_of(draw_losses(rows, {"mean": 0.9, "line": 0.4}, tmp_path / "loss.png")) == (770, 462)


def test_a_run_without_held_out_people_has_a_curve_too(tmp_path):
    draw_losses([{"step": 10, "loss": 1.0}], {"mean": 0.9}, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 1000


@pytest.mark.parametrize("frames", [119, 599])
def test_reconstructions(tmp_path, frames):
    values = np.random.default_rng(0).normal(size=(frames, 6, 26)).astype(np.float32)
    example = Example(values, values, values > 1, values)
    width, height = size_of(draw_reconstructions([example, example], tmp_path / "r.png"))
    assert width > 1000
    assert height > 500
