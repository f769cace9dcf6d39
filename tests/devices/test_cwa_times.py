"""Times of samples against the clock that the writer simulates, and runs."""

from datetime import datetime

import numpy as np
import pytest

from selfpab.devices.cwa import read_cwa
from selfpab.devices.cwa_blocks import NO_TIME, TABLE
from selfpab.devices.cwa_times import breaks_of, sample_times_ns, starts_ns
from selfpab.devices.cwa_writer import Planted, write_cwa

START = datetime(2024, 2, 28, 23, 59, 30, 250_000)
START_NS = int(np.datetime64(START, "ns").astype(np.int64))


def read(tmp_path, samples=12_000, **settings):
    settings = {"form": "packed", "rate_hz": 100.0, "range_g": 8, "start": START} | settings
    write_cwa(tmp_path / "a.cwa", np.zeros((samples, 3)), **settings)
    return read_cwa(tmp_path / "a.cwa")


def rows(blocks: int, **fields) -> np.ndarray:
    """A table of blocks at 100 Hz whose clock is right."""
    table = np.zeros(blocks, TABLE)
    table["block"] = table["sequence"] = np.arange(blocks)
    table["samples"], table["first"] = 120, np.arange(blocks) * 120
    table["stamp_sample"] = table["first"] + 120
    table["stamp_ns"] = 10**18 + table["stamp_sample"] * 10**7
    for name, value in fields.items():
        table[name] = value
    return table


class TestTimes:
    @pytest.mark.parametrize(
        ("form", "rate_hz"), [("packed", 100.0), ("unpacked", 50.0), ("ax6", 800.0), ("ax6", 6.25)]
    )
    @pytest.mark.parametrize("drift_ppm", [0.0, 25_000.0, -28_000.0])
    def test_they_follow_the_clock(self, tmp_path, form, rate_hz, drift_ppm):
        found = read(tmp_path, form=form, rate_hz=rate_hz, drift_ppm=drift_ppm)
        assert found.report.faults == ()
        truth = np.arange(12_000) / (rate_hz * (1 + drift_ppm * 1e-6))
        # Stamps are cut to 1 / 32,768 s; half of the error of two of them goes into the ends' extrapolation.
        np.testing.assert_allclose((found.times_ns() - START_NS) * 1e-9, truth, rtol=0, atol=1.5 / 32_768)

    def test_they_follow_a_clock_that_drifts(self, tmp_path):
        drift = np.linspace(-2e4, 2e4, 100)
        found = read(tmp_path, drift_ppm=drift)
        steps = np.repeat(0.01 / (1 + drift * 1e-6), 120)
        truth = np.concatenate([[0], np.cumsum(steps)[:-1]])
        errors = np.abs((found.times_ns() - START_NS) * 1e-9 - truth)[120:-120]
        assert errors.max() < 1.5 / 32_768

    def test_whole_seconds_with_the_index_moved(self, tmp_path):
        found = read(tmp_path, fraction=False, device_id=500)
        assert set(found.blocks["device"].tolist()) == {500}
        truth = np.arange(12_000) / 100
        late = (found.times_ns() - START_NS) * 1e-9 - truth
        assert np.abs(late).max() <= 0.0101  # one sample, by which the index is rounded

    def test_blocks_without_a_stamp_lie_between_their_neighbours(self, tmp_path):
        found = read(tmp_path, planted=Planted(untimed=[0, 7, 8, 99]))
        assert (found.blocks["stamp_ns"] == NO_TIME).nonzero()[0].tolist() == [0, 7, 8, 99]
        np.testing.assert_allclose((found.times_ns() - START_NS) * 1e-9, np.arange(12_000) / 100, rtol=0, atol=1e-4)
        assert starts_ns(found.blocks, 100.0)[7] == NO_TIME

    def test_a_run_without_any_stamp_has_no_times(self, tmp_path):
        found = read(tmp_path, samples=360, planted=Planted(untimed=[1], restarts={1: 5.0, 2: 5.0}))
        times = found.times_ns()
        assert (times[120:240] == NO_TIME).all()
        np.testing.assert_allclose((times[240] - times[119]) * 1e-9, 0.01 + 10 + 1.2, atol=1e-4)

    def test_the_gap_of_a_restart_is_not_filled(self, tmp_path):
        found = read(tmp_path, planted=Planted(restarts={40: 242.0}))
        steps = np.diff(found.times_ns()) * 1e-9
        assert steps[4799] == pytest.approx(242.01, abs=1e-4)
        assert np.delete(steps, 4799) == pytest.approx(0.01, abs=1e-4)

    def test_stamps_that_fall_are_passed_over(self):
        table = rows(10)
        table["stamp_ns"][4] -= 400_000_000
        table["stamp_ns"][5] -= 1_300_000_000
        steps = np.diff(sample_times_ns(table, 100.0))
        assert (steps > 0).all()
        table = rows(10)
        table["stamp_sample"][4] = 1
        assert (np.diff(sample_times_ns(table, 100.0)) == 10_000_000).all()

    def test_part_of_a_table(self):
        table = rows(10)
        np.testing.assert_array_equal(sample_times_ns(table[4:7], 100.0), sample_times_ns(table, 100.0)[480:840])
        assert len(sample_times_ns(table[:0], 100.0)) == 0


class TestBreaks:
    def test_none_in_a_run(self):
        assert not breaks_of(rows(10), 100.0).any.any()

    @pytest.mark.parametrize(
        ("field", "value", "kind"),
        [
            ("session", 5, "restart"),
            ("events", 1, "restart"),
            ("sequence", 0, "restart"),
            ("sequence", 3, "falls"),
            ("sequence", 2, "falls"),
            ("sequence", 9, "missing"),
            ("block", 9, None),  # blocks that could not be read in between, but the numbers go on
            ("events", 4, None),
        ],
    )
    def test_why(self, field, value, kind):
        table = rows(8)
        table[field][4:] = value + (np.arange(4) if field in ("sequence", "block") else 0)
        table["events"][5:] &= ~np.uint8(1)
        breaks = breaks_of(table, 100.0)
        found = {name: np.flatnonzero(getattr(breaks, name)).tolist() for name in breaks._fields}
        assert found == {name: [4] if name == kind else [] for name in breaks._fields}
        assert np.flatnonzero(breaks.any).tolist() == ([4] if kind else [])

    def test_blocks_left_out_are_not_missing_twice(self):
        table = np.delete(rows(12), [3, 4, 8])
        breaks = breaks_of(table, 100.0)
        assert breaks.left_out.nonzero()[0].tolist() == [3, 6]
        assert not breaks.missing.any()
        table["sequence"][3:] += 7
        table["stamp_ns"][3:] += 7 * 1_200_000_000
        assert breaks_of(table, 100.0).missing[3] == 7

    @pytest.mark.parametrize(("leap_s", "found"), [(0.6, []), (0.65, [4]), (-0.6, []), (-0.7, [4]), (3600, [4])])
    def test_leaps_of_the_clock(self, leap_s, found):
        table = rows(8)
        table["stamp_ns"][4:] += round(leap_s * 1e9)
        jumps = breaks_of(table, 100.0).jump_ns
        assert jumps.nonzero()[0].tolist() == found
        if found:
            assert jumps[4] == round(leap_s * 1e9)

    def test_a_leap_beside_a_block_without_a_stamp(self):
        table = rows(8)
        table["stamp_ns"][4:] += 3600 * 10**9
        table["stamp_ns"][3:5] = NO_TIME
        assert breaks_of(table, 100.0).jump_ns.nonzero()[0].tolist() == [5]
