"""Coarse tracks and fine lags, on noise that comes and goes."""

import numpy as np
import pytest

from selfpab.devices.movement_lags import Track, coarse_tracks, signal_of, window_lags, zero_track
from selfpab.devices.surveys import Movement

START_NS = 10**18


def shaken(seconds: int, seed: int = 0) -> np.ndarray:
    """White noise in bouts of some seconds."""
    rng = np.random.default_rng(seed)
    strength = np.repeat(np.exp(rng.normal(-4, 2, seconds // 5 + 1)).clip(0, 0.5), 125)[: seconds * 25]
    return (1 + strength * rng.standard_normal(len(strength))).astype(np.float32)


def signal(values, start_s=0.0):
    return signal_of(Movement(START_NS + round(start_s * 1e9), 25.0, values))


class TestCoarse:
    @pytest.mark.parametrize("offset_s", [-2000.0, -31.0, 0.0, 400.0, 7200.0])
    def test_any_lag(self, offset_s):
        values = shaken(7200)
        track, *_ = coarse_tracks(signal(values), signal(values, offset_s), 8000, 3)
        assert track.lag_s == pytest.approx([offset_s], abs=2)

    def test_clocks_that_drift_apart(self):
        values = shaken(40_000)
        places = np.arange(0, len(values) - 1, 1 + 200e-6)
        fast = values[np.rint(places).astype(int)]  # 8 s shorter
        track, *_ = coarse_tracks(signal(values), signal(fast), 3600, 1)
        np.testing.assert_allclose(track.lag_s, -200e-6 * track.seconds, atol=2.5)

    def test_no_lag_leaves_five_minutes(self):
        values = shaken(600)
        assert coarse_tracks(signal(values), signal(values, 400), 60, 3) == []
        assert coarse_tracks(signal(values), signal(values, 400), 200, 3)

    def test_tracks_are_not_neighbours(self):
        values = shaken(1800)
        found = [track.lag_s[0] for track in coarse_tracks(signal(values), signal(values), 600, 3)]
        assert np.diff(np.sort(found)).min() >= 10


class TestZero:
    def test_only_in_common_time(self):
        values = shaken(600)
        assert len(zero_track(signal(values), signal(values, 599))) == 1
        assert zero_track(signal(values), signal(values, 600)) == []


class TestWindows:
    def test_every_minute_has_its_lag(self):
        values = shaken(3600)
        whole = Track(np.zeros(1), np.full(1, 3.0))
        table, ridge = window_lags(signal(values), signal(values, 5.31), whole)
        assert len(table) > 50
        assert np.diff(table["start_ns"]).min() == 60 * 10**9
        np.testing.assert_allclose(table["lag_s"], 5.31, atol=0.004)
        np.testing.assert_allclose(ridge, 5.31, atol=0.03)
        assert table["correlation"].min() > 0.5
        assert not table["used"].any()

    def test_between_the_values(self):
        rng = np.random.default_rng(0)
        fine = 1 + 0.1 * np.convolve(rng.standard_normal(25 * 600 * 10), np.ones(30) / 5, "same")
        back, thigh = (np.roll(fine, by).reshape(-1, 10).mean(1).astype(np.float32) for by in (0, 3))  # of 4 ms
        table, _ = window_lags(signal(back), signal(thigh), Track(np.zeros(1), np.zeros(1)))
        assert np.median(table["lag_s"]) == pytest.approx(0.012, abs=0.004)

    def test_only_where_both_move(self):
        values = shaken(600)
        still = values.copy()
        still[1500:3000], still[4500:6000] = 1.0, np.nan
        track = Track(np.zeros(1), np.zeros(1))
        minutes = (window_lags(signal(values), signal(still), track)[0]["start_ns"] - START_NS) // (60 * 10**9)
        assert set(minutes.tolist()) == set(range(10)) - {1, 3}
        assert len(window_lags(signal(values), signal(np.ones_like(values)), track)[0]) == 0

    def test_the_ridge_ignores_one_false_minute(self):
        values = shaken(1800)
        false = values.copy()
        false[15_000:16_500] = values[15_100:16_600]
        table, ridge = window_lags(signal(values), signal(false), Track(np.zeros(1), np.zeros(1)))
        assert table["lag_s"][10] == pytest.approx(-4, abs=0.01)
        assert np.abs(ridge).max() < 0.1

    def test_an_edge_is_no_peak(self):
        slow = np.convolve(shaken(1800) - 1, np.ones(100), "same").astype(np.float32) + 1
        for beyond in (10.04, -10.04):
            track = Track(np.zeros(1), np.full(1, beyond))
            lags = window_lags(signal(slow), signal(slow), track)[0]["lag_s"]
            assert not (np.abs(lags - beyond) > 9.99).any()
            assert np.isnan(lags).any()
