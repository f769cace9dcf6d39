"""Resampling: known sines and a chirp through whole files, edges, gaps, calibration, pieces."""

from datetime import datetime

import numpy as np
import pytest

from selfpab.devices.calibration import NO_CALIBRATION
from selfpab.devices.cwa_writer import Planted, write_cwa
from selfpab.devices.resampling import DoesNotFit, low_pass_of, resample, spline_weights
from selfpab.devices.surveys import survey
from tests.fake_actfast import counted_ns, geneactiv, write

START = datetime(2024, 3, 4, 11)
START_NS = int(np.datetime64(START, "ns").astype(np.int64))
STEP_NS = 20_000_000
COUNTS = 8192


def surveyed(path, samples, *, rate_hz=100.0, form="ax6", range_g=4, **settings):
    write_cwa(path, samples, form=form, rate_hz=rate_hz, range_g=range_g, start=START, **settings)
    return survey(path)


def grid(found):
    """All multiples of 20 ms at which something was recorded."""
    runs = found.clock.runs
    times = np.arange(-(-runs[0].start_ns // STEP_NS), runs[-1].stop_ns // STEP_NS + 1) * STEP_NS
    return times[np.isfinite(found.clock.samples_at(times))]


def resampled(found, times_ns, counts_per_g=COUNTS, **settings):
    out = np.zeros((len(times_ns), 3), np.int16)
    resample(found, times_ns, out, counts_per_g=counts_per_g, **settings)
    return out / counts_per_g


def wave(path, hz, rate_hz, *, drift_ppm=7300.0, seconds=40):
    """Complex amplitude of the grid's part at hz, and the root mean square of all else, for a wave of 2 g."""
    true_s = np.arange(int(seconds * rate_hz)) / (rate_hz * (1 + drift_ppm * 1e-6))
    phase = 2 * np.pi * hz * true_s
    samples = np.stack([2 * np.cos(phase), 2 * np.sin(phase), np.ones_like(phase)], axis=1)
    found = surveyed(path, samples, rate_hz=rate_hz, drift_ppm=drift_ppm)
    times = grid(found)
    x, y, z = resampled(found, times)[100:-100].T
    np.testing.assert_allclose(z, 1, atol=0.51 / COUNTS)  # gravity is exact
    turning = np.exp(2j * np.pi * hz * (times[100:-100] - START_NS) * 1e-9)
    signal = (x + 1j * y) / 2
    amplitude = np.vdot(turning, signal) / len(signal)
    return amplitude, np.sqrt((np.abs(signal - amplitude * turning) ** 2).mean())


class TestFilter:
    @pytest.mark.parametrize("rate_hz", [50.0, 100.0, 200.0, 800.0])
    @pytest.mark.parametrize("hz", [5.0, 15.0, 20.0])
    def test_what_people_do_passes(self, tmp_path, rate_hz, hz):
        amplitude, rest = wave(tmp_path / "a.cwa", hz, rate_hz)
        assert abs(amplitude) == pytest.approx(1, abs=0.004)
        assert abs(np.angle(amplitude)) / (2 * np.pi * hz) < 30e-6  # s: the stamps' own grain
        assert rest < 10 ** (-65 / 20)

    @pytest.mark.parametrize("hz", [31.0, 33.0, 40.0, 45.0, 50.0])
    def test_what_would_alias_is_gone(self, tmp_path, hz):
        amplitude, rest = wave(tmp_path / "a.cwa", hz, 100.0, drift_ppm=20_000.0)
        assert np.hypot(abs(amplitude), rest) < 10 ** (-60 / 20)

    @pytest.mark.parametrize("hz", [31.0, 70.0, 95.0, 150.0, 390.0])
    def test_of_fast_devices_too(self, tmp_path, hz):
        amplitude, rest = wave(tmp_path / "a.cwa", hz, 800.0)
        assert np.hypot(abs(amplitude), rest) < 10 ** (-60 / 20)

    def test_between_pass_and_stop_band(self, tmp_path):
        assert abs(wave(tmp_path / "a.cwa", 25.0, 100.0)[0]) == pytest.approx(0.5, abs=0.05)

    @pytest.mark.parametrize(("rate_hz", "hz"), [(25.0, 10.0), (12.5, 5.0), (6.25, 2.5)])
    def test_slow_devices_are_interpolated(self, tmp_path, rate_hz, hz):
        amplitude, rest = wave(tmp_path / "a.cwa", hz, rate_hz, seconds=120)
        assert abs(amplitude) == pytest.approx(1, abs=0.004)
        assert rest < 10 ** (-60 / 20)

    @pytest.mark.parametrize("rate_hz", [6.25, 50.0, 100.0, 3200.0])
    def test_weights_of_every_value_add_up_to_one(self, rate_hz):
        low_pass = low_pass_of(rate_hz)
        np.testing.assert_allclose(low_pass.weights.sum(axis=0), 1, atol=1e-5)
        assert low_pass.hop == rate_hz * 0.64
        np.testing.assert_allclose(spline_weights().sum(axis=0), 1, atol=1e-6)


class TestOtherMakersRates:
    """Pages of 300 samples, as a GENEActiv writes them, of a device that is 200 ppm fast."""

    @pytest.mark.parametrize(
        ("rate_hz", "hz"),
        [(30.0, 5.0), (30.0, 11.0), (40.0, 15.0), (66.7, 20.0), (70.0, 20.0), (85.7, 15.0), (90.0, 20.0)],
    )
    def test_what_people_do_passes_at_its_time(self, tmp_path, monkeypatch, rate_hz, hz):
        amplitude, rest = self.wave(tmp_path, monkeypatch, rate_hz, hz)
        assert abs(amplitude) == pytest.approx(1, abs=0.004)
        assert abs(np.angle(amplitude)) / (2 * np.pi * hz) < 5e-6
        assert rest < 10 ** (-65 / 20)

    @pytest.mark.parametrize(("rate_hz", "hz"), [(66.7, 32.0), (85.7, 31.0), (85.7, 40.0), (90.0, 44.0)])
    def test_what_would_alias_is_gone(self, tmp_path, monkeypatch, rate_hz, hz):
        amplitude, rest = self.wave(tmp_path, monkeypatch, rate_hz, hz)
        assert np.hypot(abs(amplitude), rest) < 10 ** (-60 / 20)

    @staticmethod
    def wave(folder, monkeypatch, rate_hz, hz):
        true_s = np.arange(24 * 300) / (rate_hz * (1 + 200e-6))
        turning = np.exp(2j * np.pi * hz * true_s)
        samples = np.stack([2 * turning.real, 2 * turning.imag, np.ones_like(true_s)], axis=1)
        stamps_ns = START_NS + np.rint(true_s[::300] * 1e9).astype(np.int64)
        result = geneactiv(samples, counted_ns(stamps_ns, 300, rate_hz), rate_hz=rate_hz)
        write(monkeypatch, {folder / "a.bin": result})
        found = survey(folder / "a.bin")
        times = grid(found)
        x, y, z = resampled(found, times)[100:-100].T
        np.testing.assert_allclose(z, 1, atol=0.51 / COUNTS)
        wanted = np.exp(2j * np.pi * hz * (times[100:-100] - START_NS) * 1e-9)
        signal = (x + 1j * y) / 2
        amplitude = np.vdot(wanted, signal) / len(signal)
        return amplitude, np.sqrt((np.abs(signal - amplitude * wanted) ** 2).mean())


class TestTime:
    @pytest.mark.parametrize(
        ("rate_hz", "drift_ppm"), [(100.0, 0.0), (100.0, -28_000.0), (50.0, 15_000.0), (25.0, 0.0)]
    )
    def test_a_chirp_comes_out_when_it_was(self, tmp_path, rate_hz, drift_ppm):
        def chirp(seconds):
            return np.sin(2 * np.pi * (0.5 * seconds + 0.07 * seconds**2 / 2)) * 1.5

        true_s = np.arange(int(60 * rate_hz)) / (rate_hz * (1 + drift_ppm * 1e-6))
        found = surveyed(
            tmp_path / "a.cwa", np.stack([chirp(true_s)] * 3, axis=1), rate_hz=rate_hz, drift_ppm=drift_ppm
        )
        times = grid(found)[20:-20]
        got, at_s = resampled(found, times)[:, 0], (times - START_NS) * 1e-9
        # By how much the whole came late: error against slope.
        slope = (chirp(at_s + 1e-6) - chirp(at_s - 1e-6)) / 2e-6
        late_s = -(slope * (got - chirp(at_s))).sum() / (slope**2).sum()
        assert abs(late_s) < 50e-6
        assert np.abs(got - chirp(at_s)).max() < 0.015
        for part in np.array_split(np.arange(len(times)), 8):
            part_s = -(slope[part] * (got - chirp(at_s))[part]).sum() / (slope[part] ** 2).sum()
            assert abs(part_s) < 1e-3

    def test_follows_a_rate_that_changes(self, tmp_path):
        drift = 12_000 - 400 * np.exp(-np.arange(200) * 1.2 / 300)
        step_s = 1 / 100 / (1 + drift * 1e-6)
        firsts = np.cumsum(step_s * 40) - step_s * 40
        true_s = (firsts[:, None] + np.arange(40) * step_s[:, None]).ravel()
        samples = np.stack([np.sin(2 * np.pi * 3 * true_s)] * 3, axis=1)
        found = surveyed(tmp_path / "a.cwa", samples, drift_ppm=drift)
        times = grid(found)[20:-20]
        wanted = np.sin(2 * np.pi * 3 * (times - START_NS) * 1e-9)
        assert np.abs(resampled(found, times)[:, 0] - wanted).max() < 0.004  # 0.2 ms


class TestGaps:
    def test_nothing_rings_across_a_gap(self, tmp_path):
        samples = np.zeros((4000, 3))
        samples[:2000] = [-1, 0.5, 0]
        samples[2000:] = [0.5, 0, -1]  # turned while the device was off
        found = surveyed(tmp_path / "a.cwa", samples, planted=Planted(restarts={50: 3.0}))
        times = grid(found)
        got = resampled(found, times)
        before = found.clock.samples_at(times) < 1999.5
        assert before.sum() > 990
        np.testing.assert_allclose(got[before], [[-1, 0.5, 0]] * before.sum(), atol=0.51 / COUNTS)
        np.testing.assert_allclose(got[~before], [[0.5, 0, -1]] * (~before).sum(), atol=0.51 / COUNTS)
        assert np.diff(times).max() > 2.9e9

    def test_a_slow_turn_stays_itself_up_to_the_edge(self, tmp_path):
        turn = np.linspace(-1, 1, 400)  # half a g per second
        found = surveyed(tmp_path / "a.cwa", np.stack([turn] * 3, axis=1))
        times = grid(found)
        wanted = np.interp((times - START_NS) * 1e-9, np.arange(400) / 100, turn)
        error = np.abs(resampled(found, times)[:, 0] - wanted)
        assert error[15:-15].max() < 1e-3
        assert error.max() < 0.01

    @pytest.mark.parametrize("samples", [1, 2, 40, 41])
    def test_runs_of_a_few_samples(self, tmp_path, samples):
        found = surveyed(tmp_path / "a.cwa", np.full((samples, 3), 0.75))
        times = grid(found)
        assert len(times) in (samples // 2, samples // 2 + 1)
        np.testing.assert_allclose(resampled(found, times), 0.75, atol=0.51 / COUNTS)

    def test_times_without_a_record_are_refused(self, tmp_path):
        found = surveyed(tmp_path / "a.cwa", np.zeros((400, 3)))
        with pytest.raises(ValueError, match=r"a\.cwa: recorded nothing at 2024-03-04T11:00:09\.000000000"):
            resampled(found, np.array([START_NS + 10**9, START_NS + 9 * 10**9]))


class TestValues:
    def test_pieces_give_the_same_as_the_whole(self, tmp_path):
        samples = np.random.default_rng(0).normal(0, 0.5, (90_000, 3))
        planted = Planted(restarts={700: 3.0}, bad_checksums=[300], empty=[420], missing=[431])
        found = surveyed(tmp_path / "a.cwa", samples, planted=planted, form="packed", drift_ppm=3000.0)
        times = grid(found)
        whole = np.zeros((len(times), 6), np.int16)
        resample(found, times, whole[:, 3:], counts_per_g=4096)  # a view: every other three columns
        assert not whole[:, :3].any()
        for size in (1, 997, 20_000):
            for first in range(0, len(times) if size > 1 else 3, size):
                rows = slice(first, first + size)
                np.testing.assert_array_equal(resampled(found, times[rows], 4096), whole[rows, 3:] / 4096)

    def test_calibration_with_temperature(self, tmp_path):
        samples = np.tile([0.5, -0.25, 0.8], (4800, 1))
        degrees = np.linspace(20, 30, 120)
        found = surveyed(tmp_path / "a.cwa", samples, temperature_c=degrees)
        calibration = NO_CALIBRATION._replace(
            gain=np.array([1.02, 0.98, 1.0]),
            offset_g=np.array([0.01, -0.03, 0.0]),
            temperature_slope_g=np.array([0.001, 0.0, -0.002]),
            reference_c=25.0,
            applied=True,
        )
        times = grid(found)
        got = resampled(found, times, calibration=calibration)
        celsius = np.interp((times - START_NS) * 1e-9, (np.arange(120) + 0.5) * 0.4, degrees)
        wanted = [[0.52, -0.275, 0.8]] + (celsius - 25)[:, None] * [0.001, 0, -0.002]
        np.testing.assert_allclose(got, wanted, atol=0.0006)  # temperatures have steps of 0.3 degrees

    def test_a_value_that_does_not_fit_is_never_wrapped(self, tmp_path):
        found = surveyed(tmp_path / "a.cwa", np.full((400, 3), 3.99))
        assert resampled(found, grid(found), 8192).max() == pytest.approx(3.99, abs=1e-3)
        with pytest.raises(DoesNotFit, match=r"a\.cwa: 3\.99 g does not fit at 16384 counts per g"):
            resampled(found, grid(found), 16_384)

    def test_rounding_is_half_a_count_at_most(self, tmp_path):
        samples = np.tile(np.array([101, -77, 1]) / 8192, (400, 1))
        found = surveyed(tmp_path / "a.cwa", samples)
        np.testing.assert_allclose(resampled(found, grid(found), 4096), samples[:200], atol=0.5 / 4096)
