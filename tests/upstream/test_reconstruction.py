"""The rivals are what they are called, and the losses are split as they say."""

import numpy as np
import pytest
import torch

from selfpab.config import load
from selfpab.upstream import PretrainConfig
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.masking import MaskingConfig
from selfpab.upstream.pretraining import training_data
from selfpab.upstream.reconstruction import (
    RIVALS,
    feature_mean,
    interpolated,
    last_unaltered_frame,
    reconstruction_losses,
)

REAL = torch.ones(1, 8, dtype=torch.bool)


def ramp() -> torch.Tensor:
    """Value = 10 * frame + bin, one channel: linear in both directions."""
    return (10.0 * torch.arange(8)[:, None] + torch.arange(6)).view(1, 8, 1, 6)


def masked(frames: list[int], bins: list[int]) -> torch.Tensor:
    mask = torch.zeros(1, 8, 1, 6, dtype=torch.bool)
    mask[:, frames] = True
    mask[..., bins] = True
    return mask


def test_interpolation_is_exact_on_what_is_linear():
    mask = masked([2, 3, 5], [2, 3])
    altered = ramp().masked_fill(mask, 0.0)
    torch.testing.assert_close(interpolated(altered, mask, REAL), ramp())


def test_interpolation_keeps_the_last_known_value_at_the_rims():
    mask = masked([0, 7], [5])
    rebuilt = interpolated(ramp().masked_fill(mask, 0.0), mask, REAL)
    assert rebuilt[0, 0, 0, 0] == 10.0
    assert rebuilt[0, 7, 0, 0] == 60.0
    assert rebuilt[0, 3, 0, 5] == 34.0


def test_padding_is_never_interpolated_from():
    real = torch.arange(8).view(1, 8) < 6
    mask = masked([5], []) & real[:, :, None, None]
    altered = ramp().masked_fill(mask | ~real[:, :, None, None], 0.0)
    assert interpolated(altered, mask, real)[0, 5, 0, 0] == 40.0


def test_the_last_unaltered_frame_is_looked_for_behind():
    mask = masked([0, 3, 4], [2])
    rebuilt = last_unaltered_frame(ramp().masked_fill(mask, 0.0), mask, REAL)
    assert rebuilt[0, [3, 4], 0, 1].tolist() == [21.0, 21.0]
    assert rebuilt[0, 0, 0, 1] == 0.0
    assert (rebuilt[..., 2] == 0).all()


def test_the_mean_is_zero_where_altered_and_nothing_else_is_touched():
    mask = masked([1], [])
    for rival in RIVALS.values():
        torch.testing.assert_close(rival(ramp(), mask, REAL)[~mask], ramp()[~mask])
    assert (feature_mean(ramp(), mask, REAL)[mask] == 0).all()


def test_losses_on_a_corpus(small_corpus):
    config = load(PretrainConfig, preset="tiny", section="pretrain")
    _, validation, normalisation = training_data(small_corpus, config)
    assert validation is not None
    torch.manual_seed(0)
    upstream = Upstream.fresh(config.encoder, config.spectrogram, normalisation)
    losses, examples = reconstruction_losses(upstream, validation, MaskingConfig(), count=5, examples=2)
    again, _ = reconstruction_losses(upstream, validation, MaskingConfig(), count=5)
    assert losses == again
    assert set(losses) == {"encoder", *RIVALS}
    assert losses["linear interpolation"]["all"] < losses["mean of the feature"]["all"]
    assert losses["last unaltered frame"]["bands"] == pytest.approx(losses["mean of the feature"]["bands"])
    assert len(examples) == 2
    for example in examples:
        assert example.clean.shape == (119, 6, 26)
        np.testing.assert_array_equal(example.altered[~example.mask], example.clean[~example.mask])
