"""What stands beside the magnitudes: signs, asymmetry, correlations; held against scipy."""

import numpy as np
import pytest
import torch
from scipy import stats

from selfpab.features.spectrograms import frame_magnitudes
from selfpab.features.statistics import SMALLEST_G, STATISTICS, frame_statistics


@pytest.fixture(scope="module")
def pieces():
    chance = np.random.default_rng(3)
    scale = np.array([0.1, 0.3, 1.0, 0.2, 0.5, 0.8])
    return (chance.gamma(2.0, size=(20, 50, 6)) * scale + chance.normal(size=(20, 1, 6))).astype(np.float32)


def test_each_number_is_what_scipy_says(pieces):
    found = frame_statistics(torch.from_numpy(pieces)).numpy()
    assert found.shape == (20, STATISTICS)
    exact = pieces.astype(float)
    np.testing.assert_allclose(found[:, :6], exact.mean(1), atol=1e-5)
    np.testing.assert_allclose(found[:, 6:12], np.log(exact.std(1) + SMALLEST_G) / 2, atol=1e-4)
    # where there is movement the small constants do not matter
    np.testing.assert_allclose(found[:, 14], np.clip(stats.skew(exact, axis=1), -3, 3)[:, 2] / 2, atol=0.01)
    np.testing.assert_allclose(found[:, 18:24], 2 * (exact[:, 25:].mean(1) - exact[:, :25].mean(1)), atol=1e-4)
    np.testing.assert_allclose(
        found[:, 24:30], np.log(np.diff(exact, axis=1).std(1, ddof=1) + SMALLEST_G) / 2, atol=1e-4
    )
    correlated = np.array([stats.pearsonr(frame[:, 2], frame[:, 5])[0] for frame in exact])
    place = list(zip(*np.triu_indices(6, 1), strict=True)).index((2, 5))
    np.testing.assert_allclose(found[:, 30 + place], correlated, atol=0.01)


def test_they_tell_what_magnitudes_cannot(pieces):
    here, turned = torch.from_numpy(pieces), torch.from_numpy(-pieces)
    assert torch.allclose(frame_magnitudes(here), frame_magnitudes(turned), atol=1e-4)
    assert torch.allclose(frame_statistics(here)[:, :6], -frame_statistics(turned)[:, :6], atol=1e-5)


def test_a_dead_sensor_gives_numbers_and_none_of_them_large():
    found = frame_statistics(torch.zeros(2, 50, 6))
    assert bool(torch.isfinite(found).all())
    assert float(found.abs().max()) < 3
