"""Surveys against the slow way: all samples in memory, one epoch and one value of movement after the other."""

from datetime import datetime

import numpy as np
import pytest

from selfpab.devices.cwa import PIECE, read_cwa
from selfpab.devices.cwa_blocks import NO_TIME, SECOND_NS
from selfpab.devices.cwa_writer import Planted, layout_for, write_cwa
from selfpab.devices.surveys import AT_ONCE, STEP_NS, survey
from selfpab.recording import RecordingError
from tests.fake_actfast import actigraph, counted_ns, write

START = datetime(2024, 3, 4, 11)


def written(path, seconds, *, rate_hz=100.0, form="packed", seed=0, **settings):
    rng = np.random.default_rng(seed)
    slow = np.sin(np.arange(round(seconds * rate_hz)) / rate_hz * [[1.0], [0.3], [0.05]]).T
    samples = slow + rng.normal(0, 0.2, slow.shape)
    write_cwa(path, samples, form=form, rate_hz=rate_hz, range_g=8, start=START, **settings)
    return read_cwa(path)


FAULTS = Planted(restarts={40: 30.0, 70: 7.5}, bad_checksums=[20], missing=[90], empty=[60], cut_bytes=100)


class TestStillness:
    @pytest.mark.parametrize(
        ("form", "rate_hz", "size"), [("packed", 100.0, 8), ("ax6", 50.0, 12), ("unpacked", 6.25, 1)]
    )
    def test_epochs_are_whole_blocks_of_one_run(self, tmp_path, monkeypatch, form, rate_hz, size):
        monkeypatch.setattr("selfpab.devices.surveys.EPOCHS", 4)
        seconds = 200 * layout_for(form, rate_hz, 8).capacity / rate_hz
        degrees = np.linspace(20, 30, 200)
        settings = {"rate_hz": rate_hz, "form": form, "planted": FAULTS, "temperature_c": degrees}
        read = written(tmp_path / "a.cwa", seconds, **settings)
        found = survey(tmp_path / "a.cwa")
        g = read.acceleration_g().astype(np.float64)
        rows = []
        for run in np.unique(read.blocks["run"]):
            blocks = np.flatnonzero(read.blocks["run"] == run)
            for first in range(0, len(blocks) - size + 1, size):
                rows.append(blocks[first : first + size])
        rows = [row for row in rows if read.blocks["samples"][row].sum()]
        assert len(found.stillness) == len(rows) > 5
        times = found.clock.times_ns(np.arange(len(g)))
        for epoch, row in zip(found.stillness, rows, strict=True):
            first, last = read.blocks[row[0]], read.blocks[row[-1]]
            part = g[first["first"] : last["first"] + last["samples"]]
            assert epoch["first"] == first["first"]
            assert epoch["start_ns"] == times[first["first"]]
            np.testing.assert_allclose(epoch["mean_g"], part.mean(axis=0), atol=1e-6)
            np.testing.assert_allclose(epoch["sd_g"], part.std(axis=0), rtol=1e-5, atol=1e-7)
            assert epoch["temperature_c"] == pytest.approx(read.blocks["temperature_c"][row].mean(), abs=1e-4)

    def test_small_deviations_beside_gravity(self, tmp_path):
        samples = np.ones((12_000, 3)) * [-7.5, 0, 3] + np.random.default_rng(0).normal(0, 0.003, (12_000, 3))
        write_cwa(tmp_path / "a.cwa", samples, form="ax6", rate_hz=100.0, range_g=8, start=START)
        read = read_cwa(tmp_path / "a.cwa").acceleration_g().astype(np.float64)
        still = survey(tmp_path / "a.cwa").stillness
        np.testing.assert_allclose(still["sd_g"][0], read[:1000].std(axis=0), rtol=1e-4)

    def test_clipping_and_the_largest_value(self, tmp_path):
        samples = np.zeros((9600, 3))
        samples[1500, 1] = -9
        samples[2000, 2] = 3.5
        write_cwa(tmp_path / "a.cwa", samples, form="unpacked", rate_hz=100.0, range_g=8, start=START)
        found = survey(tmp_path / "a.cwa")
        assert found.stillness["clipped"].tolist() == [0, 1] + [0] * (len(found.stillness) - 2)
        assert found.largest_g == 8
        assert found.report.counts["clipped samples"] == 1

    def test_runs_without_time_have_epochs_without_time(self, tmp_path):
        planted = Planted(restarts={20: 5.0}, untimed=range(20, 40))
        written(tmp_path / "a.cwa", 48, planted=planted)
        still = survey(tmp_path / "a.cwa").stillness
        assert (still["start_ns"] == NO_TIME).tolist() == [False, False, True, True]


class TestMovement:
    @pytest.mark.parametrize(
        ("rate_hz", "form"), [(100.0, "packed"), (200.0, "ax6"), (50.0, "unpacked"), (25.0, "packed")]
    )
    def test_is_the_mean_length_over_each_step_of_the_own_clock(self, tmp_path, rate_hz, form):
        read = written(
            tmp_path / "a.cwa", 15_000 / rate_hz, rate_hz=rate_hz, form=form, planted=FAULTS, drift_ppm=7000.0
        )
        found = survey(tmp_path / "a.cwa")
        moved, clock = found.movement, found.clock
        length = np.linalg.norm(read.acceleration_g().astype(np.float64), axis=1)
        # The signal as steps, each sample for half a period on either side of its time, at 1 ms.
        fine = clock.samples_at(moved.start_ns + np.arange(len(moved.magnitude_g) * 40) * 1_000_000)
        steps = np.where(np.isnan(fine), np.nan, length[np.rint(np.nan_to_num(fine)).astype(int)])
        wanted = steps.reshape(-1, 40).mean(axis=1)
        known = np.isfinite(moved.magnitude_g)
        assert moved.rate_hz == 25
        assert moved.start_ns % STEP_NS == 0
        assert not np.isfinite(wanted[~known]).all()
        # A group of two samples that two runs share counts for neither.
        assert (known & np.isnan(wanted)).sum() == 0
        assert (~known & np.isfinite(wanted)).sum() <= 2 * len(clock.runs)
        error = (moved.magnitude_g - wanted)[known]
        assert np.sqrt((error**2).mean()) < 0.2 * wanted[known].std()
        assert np.corrcoef(moved.magnitude_g[known], wanted[known])[0, 1] > 0.97
        assert abs(error.mean()) < 2e-3

    def test_lies_on_the_true_time(self, tmp_path):
        """A jerk of 0.2 s every 10 s, through rate errors, a gap, and more blocks than are read at once."""
        size = (PIECE + 300) * 120
        true_s = np.arange(size) / 103.0
        true_s[size // 2 :] += 1000
        samples = np.zeros((size, 3))
        samples[:, 0] = 1 + ((true_s + 0.1) % 10 < 0.2)
        planted = Planted(restarts={size // 240: 1000.0})
        write_cwa(
            tmp_path / "a.cwa",
            samples,
            form="packed",
            rate_hz=100.0,
            range_g=8,
            start=START,
            planted=planted,
            drift_ppm=30_000.0,
        )
        moved = survey(tmp_path / "a.cwa").movement
        start_s = (moved.start_ns - np.datetime64(START, "ns").astype(np.int64)) / SECOND_NS
        middle_s = start_s + (np.arange(len(moved.magnitude_g)) + 0.5) / 25
        up = np.nan_to_num(moved.magnitude_g - 1)
        near = np.rint(middle_s / 10).astype(int)
        weight = np.bincount(near - near[0], up)
        centre = np.bincount(near - near[0], up * (middle_s - 10 * near)) / np.maximum(weight, 1e-9)
        whole = weight > 4.9
        assert whole.sum() > 200
        assert np.abs(centre[whole]).max() < 0.012  # a sample and the rounding of 103 Hz
        assert np.abs(centre[whole].mean()) < 0.001

    def test_groups_of_samples_go_on_from_piece_to_piece_but_not_from_run_to_run(self, tmp_path):
        """64 samples at 3200 Hz, in blocks of 40, of a ramp that leaps where logging began again."""
        size = (PIECE + 200) * 40
        true_s = np.arange(size) / 3200
        ramp = 1 + 0.15 * true_s
        ramp[501 * 40 :] += 0.15 * 5 + 1
        samples = np.stack([ramp, ramp * 0, ramp * 0], axis=1)
        planted = Planted(bad_checksums=[900], restarts={501: 5.0})
        write_cwa(tmp_path / "a.cwa", samples, form="ax6", rate_hz=3200.0, range_g=8, start=START, planted=planted)
        moved = survey(tmp_path / "a.cwa").movement
        start_s = (moved.start_ns - np.datetime64(START, "ns").astype(np.int64)) / SECOND_NS
        middle_s = start_s + (np.arange(len(moved.magnitude_g)) + 0.5) / 25
        wanted = 1 + 0.15 * middle_s + (middle_s > 8)
        error = (moved.magnitude_g - wanted)[np.isfinite(moved.magnitude_g)]
        assert len(error) > 25 * 25
        assert np.abs(error).max() < 3e-4

    def test_gaps_are_nan(self, tmp_path):
        written(tmp_path / "a.cwa", 60, planted=Planted(restarts={25: 10.0}))
        missing = np.isnan(survey(tmp_path / "a.cwa").movement.magnitude_g)
        assert 249 <= missing.sum() <= 253
        assert np.flatnonzero(missing)[0] in (0, 749, 750)

    def test_a_file_without_any_time_has_none(self, tmp_path):
        written(tmp_path / "a.cwa", 3, planted=Planted(untimed=range(3)))
        found = survey(tmp_path / "a.cwa")
        assert (len(found.movement.magnitude_g), found.clock.runs) == (0, ())


class TestOnePass:
    def test_knows_what_read_cwa_knows(self, tmp_path):
        read = written(tmp_path / "a.cwa", 130, planted=FAULTS)
        found = survey(tmp_path / "a.cwa")
        assert (found.path, found.header, found.layout) == (read.path, read.header, read.layout)
        np.testing.assert_array_equal(found.blocks, read.blocks)
        assert found.report == read.report

    def test_refuses_what_read_cwa_refuses_and_clocks_that_run_wild(self, tmp_path):
        (tmp_path / "a.cwa").write_text("timestamp,x,y,z\n")
        planted = Planted(restarts=dict.fromkeys(range(1, 30), 5 * 86_400.0))
        written(tmp_path / "b.cwa", 36, planted=planted)
        with pytest.raises(RecordingError, match=r"b\.cwa: its 30 runs lie within 145 days by its clock"):
            survey(tmp_path / "b.cwa")
        with pytest.raises(RecordingError, match=r"has 16 bytes and is no \.cwa file"):
            survey(str(tmp_path / "a.cwa"))


class TestOtherMakers:
    """The same values as a .cwa and as actfast gives them."""

    @pytest.fixture
    def both(self, tmp_path, monkeypatch):
        rate_hz, seconds = 100, 4000  # more blocks than are summed up at once
        rng = np.random.default_rng(5)
        samples = rng.normal([0.3, -0.8, 0.4], 0.2, (seconds * rate_hz, 3))
        samples[7, 0], samples[-9, 2] = -3.625, 2.5
        write_cwa(tmp_path / "a.cwa", samples, form="ax6", rate_hz=100.0, range_g=8, start=START)
        read = read_cwa(tmp_path / "a.cwa")
        stamps_ns = read.times_ns()[0] + np.arange(seconds) * SECOND_NS
        times_ns = counted_ns(stamps_ns, rate_hz, rate_hz)
        write(monkeypatch, {tmp_path / "a.gt3x": actigraph(read.acceleration_g(), times_ns, rate_hz=100)})
        return survey(tmp_path / "a.cwa"), survey(tmp_path / "a.gt3x"), read.acceleration_g()

    def test_give_the_same(self, both):
        cwa, other, _ = both
        assert other.largest_g == cwa.largest_g == 3.625
        assert other.clock.rate_hz == pytest.approx(100, rel=1e-9)
        size = min(len(cwa.movement.magnitude_g), len(other.movement.magnitude_g))
        assert abs(other.movement.start_ns - cwa.movement.start_ns) < STEP_NS
        known = np.isfinite(cwa.movement.magnitude_g[:size]) & np.isfinite(other.movement.magnitude_g[:size])
        assert known.sum() >= size - 2
        off = np.abs(cwa.movement.magnitude_g[:size] - other.movement.magnitude_g[:size])[known]
        assert off.max() < 1e-3  # stamps of a .cwa have a grain of 30 microseconds
        assert len(other.stillness) == 400
        for name in ("mean_g", "sd_g"):
            np.testing.assert_allclose(other.stillness[name], cwa.stillness[name], atol=2e-6)

    def test_samples_can_be_had_and_are_nobody_s_to_change(self, both):
        _, other, samples_g = both
        with other.opened() as samples:
            np.testing.assert_array_equal(samples(0, len(samples_g)), samples_g)
            np.testing.assert_array_equal(samples(17, 18), samples_g[17:18])

    @pytest.mark.parametrize("samples", [29, 31, AT_ONCE * 30 + 1])
    def test_a_sample_alone(self, tmp_path, monkeypatch, samples):
        values = np.tile([0.5, -0.25, 0.125], (samples, 1))
        times_ns = 10**18 + np.arange(samples) * 33_333_333
        times_ns[-1] += 10 * SECOND_NS
        write(monkeypatch, {tmp_path / "a.gt3x": actigraph(values, times_ns)})
        found = survey(tmp_path / "a.gt3x")
        with found.opened() as held:
            np.testing.assert_array_equal(held(0, samples), values)
        assert [run.stop - run.first for run in found.clock.runs] == [samples - 1, 1]

    def test_days_that_no_device_records(self, tmp_path, monkeypatch):
        days = np.arange(0, 130, 5)  # none a week after the one before
        times_ns = counted_ns(10**18 + days * 86_400 * SECOND_NS, 30, 30)
        write(monkeypatch, {tmp_path / "a.gt3x": actigraph(np.ones((len(times_ns), 3)), times_ns)})
        with pytest.raises(
            RecordingError, match=r"26 runs lie within 125 days .* the clock is wrong: leave the file out$"
        ):
            survey(tmp_path / "a.gt3x")
