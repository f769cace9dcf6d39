"""Lines through lags whose bends, noise and mistakes are known."""

import numpy as np
import pytest

from selfpab.devices.drift_lines import extended, fit_line

HOUR = 3600.0
T = np.arange(0.0, 48 * HOUR, 120.0)


def lags(truth, noise_s=0.02, wrong=0.0, seed=0):
    rng = np.random.default_rng(seed)
    lag = truth + noise_s * rng.standard_normal(len(truth))
    return np.where(rng.random(len(truth)) < wrong, truth + rng.uniform(-0.25, 0.25, len(truth)), lag)


class TestFit:
    @pytest.mark.parametrize("seed", range(5))
    def test_a_drift_has_no_bend(self, seed):
        line = fit_line(T, lags(7 + 50e-6 * T, seed=seed))
        assert line.sloped
        assert len(line.knots_s) == 2
        np.testing.assert_allclose(line.at(T), 7 + 50e-6 * T, atol=0.005)

    def test_bends_where_they_are(self):
        truth = np.interp(T, np.array([0, 11, 30, 48]) * HOUR, [0, 2.0, -3.0, -3.1])
        line = fit_line(T, lags(truth, wrong=0.3))
        np.testing.assert_allclose(line.knots_s[1:-1] / HOUR, [11, 30], atol=0.2)
        np.testing.assert_allclose(line.at(T), truth, atol=0.03)

    def test_wrong_lags_on_one_side_do_not_pull(self):
        truth = 1 + 10e-6 * T
        lag = lags(truth)
        lag[::8] += 0.2
        np.testing.assert_allclose(fit_line(T, lag).at(T), truth, atol=0.01)

    def test_a_noisy_night_makes_no_bend(self):
        truth = 1 + 10e-6 * T
        night = T % (24 * HOUR) > 15 * HOUR
        lag = np.where(night, lags(truth, 0.1), lags(truth, 0.01, seed=1))
        assert len(fit_line(T, lag).knots_s) == 2

    def test_a_slope_that_the_noise_hides_is_none(self):
        t = T[:20]
        assert not fit_line(t, lags(5 + 5e-6 * t)).sloped
        assert np.ptp(fit_line(t, lags(5 + 5e-6 * t)).at(t)) < 1e-9
        assert fit_line(t, lags(5 + 100e-6 * t)).sloped

    def test_no_clock_drifts_so_much(self):
        assert not fit_line(T, lags(400e-6 * T)).sloped

    @pytest.mark.parametrize("count", [1, 2, 3, 5])
    def test_few_lags_are_a_constant(self, count):
        line = fit_line(T[:count], np.full(count, 3.0))
        assert line.at(np.array([-1e5, 1e5])).tolist() == [3.0, 3.0]
        assert not line.sloped

    def test_few_lags_show_no_drift_however_steep(self):
        assert not fit_line(T[:12], 5 + 150e-6 * T[:12]).sloped
        assert fit_line(T[:24], 5 + 150e-6 * T[:24]).sloped

    def test_none(self):
        with pytest.raises(ValueError, match="at least one lag"):
            fit_line(T[:0], T[:0])


def test_extended_goes_on():
    knots, values = np.array([0.0, 10.0, 20.0]), np.array([0.0, 10.0, 0.0])
    assert extended(np.array([-5.0, 5.0, 15.0, 30.0]), knots, values).tolist() == [-5.0, 5.0, 5.0, -10.0]
