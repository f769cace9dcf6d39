"""Device clocks against the truth of written files, against plain interpolation, and on real stamps."""

from datetime import datetime

import numpy as np
import pytest

from selfpab.devices.clock import Clock, clock_of
from selfpab.devices.cwa import read_cwa
from selfpab.devices.cwa_blocks import NO_TIME, SECOND_NS
from selfpab.devices.cwa_times import breaks_of, sample_times_ns
from selfpab.devices.cwa_writer import Planted, write_cwa

START = datetime(2024, 3, 4, 11)
START_NS = int(np.datetime64(START, "ns").astype(np.int64))
FULL = 120  # samples of a packed block


def blocks_of(path, blocks, **settings):
    settings = {"form": "packed", "rate_hz": 100.0, "range_g": 8, "start": START} | settings
    write_cwa(path, np.zeros((blocks * FULL, 3)), **settings)
    return read_cwa(path).blocks


def true_ns(drift_ppm, blocks, rate_hz=100.0):
    """Times of all samples, as write_cwa makes them."""
    step_s = np.broadcast_to(1 / rate_hz / (1 + np.asarray(drift_ppm) * 1e-6), blocks)
    firsts = np.cumsum(step_s * FULL) - step_s * FULL
    return START_NS + (firsts[:, None] + np.arange(FULL) * step_s[:, None]).ravel() * SECOND_NS


def warming_up(blocks, ppm=400.0, minutes=5.0):
    """Drift by block of a sensor that warms up, as real ones do (skdh_ax3_sample)."""
    return 12_000 - ppm * np.exp(-np.arange(blocks) * 1.2 / 60 / minutes)


def error_ms(times_ns, truth_ns):
    return (times_ns - truth_ns) * 1e-6


class TestTimes:
    def test_of_a_drifting_device_are_the_true_ones(self, tmp_path):
        drift = warming_up(1500)
        blocks = blocks_of(tmp_path / "a.cwa", 1500, drift_ppm=drift)
        clock = clock_of(blocks, 100.0)
        error = error_ms(clock.times_ns(np.arange(1500 * FULL)), true_ns(drift, 1500))
        assert clock.span_s == 10
        assert np.abs(error).max() < 0.1  # stamps have steps of 0.03 ms
        assert clock.rate_hz == pytest.approx(101.2, abs=0.02)

    @pytest.mark.parametrize(("jitter_ms", "mean_ms", "worst_ms"), [(3.0, 0.9, 6.0), (10.0, 2.5, 16.0)])
    def test_of_jittering_stamps_are_far_better_than_interpolated_ones(self, tmp_path, jitter_ms, mean_ms, worst_ms):
        drift = warming_up(3000)
        blocks = blocks_of(tmp_path / "a.cwa", 3000, drift_ppm=drift)
        noise = np.random.default_rng(1).normal(0, jitter_ms, 3000) * 1e6
        blocks["stamp_ns"] += np.rint(noise).astype(np.int64)
        clock = clock_of(blocks, 100.0)
        truth, samples = true_ns(drift, 3000), np.arange(3000 * FULL)
        error = np.abs(error_ms(clock.times_ns(samples), truth))
        plain = np.abs(error_ms(sample_times_ns(blocks, 100.0), truth))
        assert error.mean() < mean_ms
        assert error.max() < worst_ms
        assert error.mean() < plain.mean() / 2
        assert clock.span_s > 10
        assert clock.jitter_ms == pytest.approx(jitter_ms * np.sqrt(2 / np.pi), rel=0.1)  # of a normal distribution

    def test_of_firmware_that_knows_whole_seconds_only(self, tmp_path):
        blocks = blocks_of(tmp_path / "a.cwa", 1500, drift_ppm=-14_800.0, fraction=False)
        truth = true_ns(-14_800.0, 1500)
        error = error_ms(clock_of(blocks, 100.0).times_ns(np.arange(1500 * FULL)), truth)
        plain = error_ms(sample_times_ns(blocks, 100.0), truth)
        # Where the second lies is rounded down to a sample and told by the nominal rate: up to a sample beside, evenly.
        assert np.abs(error.mean()) < 10
        assert error.std() < 1
        assert plain.std() > 3

    def test_rise_and_are_undone_by_samples_at(self, tmp_path):
        blocks = blocks_of(tmp_path / "a.cwa", 200, drift_ppm=-20_000.0)
        blocks["stamp_ns"] += np.random.default_rng(0).integers(-5_000_000, 5_000_000, 200)
        clock = clock_of(blocks, 100.0)
        samples = np.arange(-0.5, 200 * FULL - 0.5, 0.25)
        times = clock.times_ns(samples)
        assert (np.diff(times) > 0).all()
        np.testing.assert_allclose(clock.samples_at(times), samples, atol=1e-6)

    def test_pass_over_a_wrong_stamp(self, tmp_path):
        blocks = blocks_of(tmp_path / "a.cwa", 100)
        blocks["stamp_ns"][[40, 70]] += [300_000_000, -450_000_000]
        clock = clock_of(blocks, 100.0)
        assert np.abs(error_ms(clock.times_ns(np.arange(100 * FULL)), true_ns(0.0, 100))).max() < 0.1
        assert clock.told == ("2 stamps were left out, each at least 20 ms off those around it",)


class TestRuns:
    def test_a_gap_has_no_samples_and_a_run_its_own_times(self, tmp_path):
        blocks = blocks_of(tmp_path / "a.cwa", 100, planted=Planted(restarts={40: 600.0}), drift_ppm=5000.0)
        clock = clock_of(blocks, 100.0)
        (a, b), period = clock.runs, SECOND_NS / 100.5
        assert (a.first, a.stop, b.first, b.stop) == (0, 40 * FULL, 40 * FULL, 100 * FULL)
        assert [a.rate_hz, b.rate_hz, clock.rate_hz] == pytest.approx([100.5] * 3, abs=1e-3)
        assert a.start_ns == pytest.approx(START_NS - period / 2, abs=1e5)
        assert (b.start_ns - a.stop_ns) / SECOND_NS == pytest.approx(600, abs=1e-3)
        edges = np.array(
            [a.start_ns - 1, a.start_ns, a.stop_ns - 1, a.stop_ns + 1, b.start_ns - 1, b.start_ns, b.stop_ns + 1]
        )
        found = clock.samples_at(edges)
        assert np.isnan(found).tolist() == [True, False, False, True, True, False, True]
        np.testing.assert_allclose(found[[1, 2, 5]], [-0.5, 40 * FULL - 0.5, 40 * FULL - 0.5], atol=1e-4)
        assert clock.told == ()

    @pytest.mark.parametrize("blocks_left", [1, 3])
    def test_a_short_run_takes_the_rate_of_the_file(self, tmp_path, blocks_left):
        blocks = blocks_of(
            tmp_path / "a.cwa", 100 + blocks_left, planted=Planted(restarts={100: 5.0}), drift_ppm=-9000.0
        )
        blocks["stamp_ns"][-1] += 4_000_000 * (blocks_left > 1)  # jitter, which makes no rate
        clock = clock_of(blocks, 100.0)
        assert clock.runs[1].rate_hz == pytest.approx(99.1, abs=0.01)

    def test_a_single_block_has_the_nominal_rate(self, tmp_path):
        clock = clock_of(blocks_of(tmp_path / "a.cwa", 1, drift_ppm=9000.0), 100.0)
        assert clock.rate_hz == pytest.approx(100, abs=1e-6)
        assert clock.samples_at(clock.times_ns(np.array([7]))) == pytest.approx(7, abs=1e-6)

    def test_a_clock_that_was_set_back(self, tmp_path):
        blocks = blocks_of(tmp_path / "a.cwa", 100, planted=Planted(restarts={50: -11.997}))
        clock = clock_of(blocks, 100.0)
        assert [(run.first, run.stop) for run in clock.runs] == [(0, 6000), (7200, 12_000)]
        assert clock.runs[1].start_ns >= clock.runs[0].stop_ns
        assert (clock.times_ns(np.array([5999, 6000, 7199, 7200])) == NO_TIME).tolist() == [False, True, True, False]
        assert clock.told == (
            "the clock goes back by 11.997 s at sample 6000: samples 6000 to 7199, stamped before the end of what came "
            "before them, are left out",
        )

    def test_a_run_that_lies_in_another_one_is_left_out(self, tmp_path):
        blocks = blocks_of(tmp_path / "a.cwa", 100, planted=Planted(restarts={50: -50.0, 60: 50.0}))
        clock = clock_of(blocks, 100.0)
        assert [(run.first, run.stop) for run in clock.runs] == [(0, 6000), (7200, 12_000)]

    @pytest.mark.parametrize(
        ("first", "stop", "ahead_s"), [(30, 31, 3600), (3, 12, 3 * 86_400), (0, 9, 3600), (30, 31, -3600), (30, 33, 45)]
    )
    def test_a_few_wrong_stamps_cost_their_own_samples_only(self, tmp_path, first, stop, ahead_s):
        blocks = blocks_of(tmp_path / "a.cwa", 100, planted=Planted(restarts={90: 5.0}))
        right = clock_of(blocks, 100.0)
        blocks["stamp_ns"][first:stop] += ahead_s * SECOND_NS
        blocks["run"] = np.cumsum(breaks_of(blocks, 100.0).any)
        clock = clock_of(blocks, 100.0)
        samples = np.arange(100 * FULL)
        known = clock.times_ns(samples) != NO_TIME
        assert np.flatnonzero(~known).tolist() == list(range(first * FULL, stop * FULL))
        assert np.abs(error_ms(clock.times_ns(samples), right.times_ns(samples)))[known].max() < 1
        (told,) = clock.left_out
        assert f"samples {first * FULL} to {stop * FULL - 1}, stamped" in told
        assert told in clock.told

    def test_of_two_runs_that_contradict_the_longer_stays(self, tmp_path):
        blocks = blocks_of(tmp_path / "a.cwa", 100, planted=Planted(restarts={20: 5.0, 30: -86_400.0}))
        clock = clock_of(blocks, 100.0)
        assert [(run.first, run.stop) for run in clock.runs] == [(3600, 12_000)]
        assert clock.told == (
            "the clock goes back by 86400.000 s at sample 3600: samples 0 to 3599, stamped after the begin of "
            "more that follow, are left out",
        )
        samples = np.arange(3600, 12_000)
        assert (np.diff(clock.times_ns(samples)) > 0).all()

    @pytest.mark.parametrize("years", [20, -20])
    def test_a_run_of_another_year_does_not_cost_the_others(self, tmp_path, years):
        leap_s = years * 365 * 86_400.0
        planted = Planted(restarts={10: leap_s, 20: -leap_s})
        clock = clock_of(blocks_of(tmp_path / "a.cwa", 100, planted=planted), 100.0)
        assert [(run.first, run.stop) for run in clock.runs] == [(0, 1200), (2400, 12_000)]
        (told,) = clock.told
        assert told.startswith("samples 1200 to 2399 are left out: their clock says 20")

    def test_a_run_without_stamps_has_no_times(self, tmp_path):
        blocks = blocks_of(tmp_path / "a.cwa", 30, planted=Planted(restarts={20: 5.0}, untimed=range(20, 30)))
        clock = clock_of(blocks, 100.0)
        assert len(clock.runs) == 1
        assert clock.times_ns(np.array([2399, 2400]))[1] == NO_TIME
        assert clock.told == ("samples 2400 to 3599 have no time: no block of theirs is stamped",)

    def test_a_file_without_stamps_has_no_runs(self, tmp_path):
        clock = clock_of(blocks_of(tmp_path / "a.cwa", 3, planted=Planted(untimed=range(3))), 100.0)
        assert isinstance(clock, Clock)
        assert clock.runs == ()
        assert (clock.times_ns(np.arange(2)) == NO_TIME).all()
        assert np.isnan(clock.samples_at(np.array([START_NS]))).all()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "span_s", "jitter_ms", "apart_ms"),
    [
        ("GGIRread_ax3_testfile", 10, 0.1, 0.5),
        ("skdh_ax3_sample", 10, 0.2, 2),  # warms up: its rate changes by 400 ppm a minute
        ("skdh_ax6_sample", 10, 0.5, 8),  # loses a sample in the first seconds
        ("openmovement_example-610-steps", 30, 5, 15),  # whole seconds
    ],
)
def test_real_stamps(shared, name, span_s, jitter_ms, apart_ms):
    read = read_cwa(shared / "data" / "cwa" / f"{name}.cwa")
    clock = clock_of(read.blocks, read.layout.rate_hz)
    assert clock.span_s == span_s
    assert clock.jitter_ms < jitter_ms
    times = clock.times_ns(np.arange(len(read.samples)))
    assert (np.diff(times) > 0).all()
    assert np.abs(error_ms(times, read.times_ns())).max() < apart_ms
