"""Files of other makers: blocks, stamps, runs and findings from made-up answers of actfast; and two real files."""

import sys

import numpy as np
import pytest

from selfpab.devices.clock import clock_of
from selfpab.devices.cwa_blocks import NO_TIME
from selfpab.devices.other_makers import read_other
from selfpab.devices.surveys import survey
from selfpab.recording import RecordingError
from tests.fake_actfast import actigraph, counted_ns, geneactiv, write

START_NS = 1_709_550_000 * 10**9
SECOND_NS = 10**9


def noise(size, seed=0):
    return np.random.default_rng(seed).normal(0, 0.3, (size, 3)).astype(np.float32)


def seconds_ns(seconds, rate_hz=30):
    """Times of an ActiGraph, whose records are whole seconds."""
    return counted_ns(START_NS + np.asarray(seconds) * SECOND_NS, rate_hz, rate_hz)


@pytest.fixture
def read(tmp_path, monkeypatch):
    """What `read_other` makes of one answer."""

    def of(result, name="a.gt3x"):
        write(monkeypatch, {tmp_path / name: result})
        return read_other(tmp_path / name)

    return of


class TestBlocks:
    def test_samples_stay_as_they_are(self, read):
        samples = noise(3000)
        found = read(actigraph(samples, seconds_ns(range(100))))
        assert found.samples.dtype == np.float32
        np.testing.assert_array_equal(found.samples, samples)
        assert found.layout.rate_hz == 30
        assert str(found.layout) == "values in g, 30 Hz, ±8 g"
        assert found.report.counts == {}
        assert str(found.report).startswith("3000 samples in 1 runs")

    @pytest.mark.parametrize("rate_hz", [30, 60, 100])
    def test_every_sample_is_in_one_block_of_a_second_at_most(self, read, rate_hz):
        kept = [second for second in range(300) if second % 100 != 99]
        blocks = read(actigraph(noise(297 * rate_hz), seconds_ns(kept, rate_hz), rate_hz=rate_hz)).blocks
        np.testing.assert_array_equal(blocks["first"], np.cumsum(blocks["samples"]) - blocks["samples"])
        assert blocks["samples"].sum() == 297 * rate_hz
        assert set(blocks["samples"].tolist()) == {rate_hz}
        assert np.diff(np.flatnonzero(np.diff(blocks["run"], prepend=-1))).tolist() == [99, 99]

    def test_of_a_page_only_the_begin_is_stamped(self, read):
        stamps_ns = START_NS + np.arange(40) * 3_500_000_000
        found = read(geneactiv(noise(12_000), counted_ns(stamps_ns, 300, 85.7)), "a.bin")
        stamped = found.blocks["stamp_ns"] != NO_TIME
        assert found.blocks["first"][stamped].tolist() == list(range(0, 12_000, 300))
        np.testing.assert_array_equal(found.blocks["stamp_ns"][stamped], stamps_ns)
        assert found.blocks["samples"].max() <= 86
        clock = clock_of(found.blocks, found.layout.rate_hz)
        assert clock.rate_hz == pytest.approx(600 / 7, rel=1e-9)  # though the header says 85.7
        assert len(clock.runs) == 1

    def test_evenness_of_an_hour_is_no_page(self, read):
        """Half a microsecond a second cannot be seen from record to record."""
        stamps_ns = START_NS + np.arange(3600) * (SECOND_NS - 500)
        found = read(actigraph(noise(360_000), counted_ns(stamps_ns, 100, 100), rate_hz=100))
        assert clock_of(found.blocks, 100.0).rate_hz == pytest.approx(100 * (1 + 0.5e-6), rel=1e-8)

    def test_temperature_and_battery_are_what_was_measured_last(self, read):
        stamps_ns = START_NS + np.arange(4) * 3_500_000_000
        settings = {"temperature_c": [20, 21, 22, 23], "temperature_ns": stamps_ns[::-1]}
        blocks = read(geneactiv(noise(1200), counted_ns(stamps_ns, 300, 85.7), **settings), "a.bin").blocks
        assert blocks["temperature_c"].tolist() == np.repeat([23, 22, 21, 20], 4).tolist()
        assert set(blocks["battery_v"].tolist()) == {np.float32(4.1)}
        other = read(actigraph(noise(300), seconds_ns(range(10)))).blocks
        assert np.isnan(other["temperature_c"]).all()
        assert set(other["battery_v"].tolist()) == {np.float32(4.037)}


class TestFindings:
    def test_sleep_is_a_gap_and_never_a_value(self, read):
        seconds = [*range(20), *range(80, 100), *range(103, 120)]
        found = read(actigraph(noise(57 * 30), seconds_ns(seconds)))
        assert len(found.samples) == 57 * 30
        assert found.report.counts == {"gap": 2}
        assert found.report.runs == 3
        told = str(found.report)
        assert "gap: 2, 63.0 s in all, the longest of 60.0 s up to 2024-03-04 11:01:20" in told
        assert "idle sleep is on" in told
        assert "idle sleep" not in str(read(actigraph(noise(57 * 30), seconds_ns(seconds), asleep=False)).report)

    @pytest.mark.parametrize(("lost_ms", "runs"), [(60, 1), (200, 2), (-60, 1), (-200, 2)])
    def test_how_far_stamps_may_be_off(self, read, lost_ms, runs):
        times_ns = seconds_ns(range(40)) + (np.arange(1200) >= 600) * lost_ms * 10**6
        assert read(actigraph(noise(1200), times_ns)).report.runs == runs

    def test_a_clock_that_was_set_back(self, read):
        found = read(actigraph(noise(1200), seconds_ns([*range(100, 120), *range(20)])))
        assert found.report.counts == {"clock set back": 1}
        assert "1, 120.0 s in all" in str(found.report)

    def test_clipped_samples(self, read):
        samples = noise(1200)
        samples[100, 1], samples[101, 2], samples[500, 0] = -8, 2047 / 256, -2047 / 256
        found = read(actigraph(samples, seconds_ns(range(40))))
        assert found.blocks["clipped"].nonzero()[0].tolist() == [3]
        assert found.report.counts == {"clipped samples": 2}

    def test_an_unknown_range_is_told(self, read):
        result = actigraph(noise(1200) * 100, seconds_ns(range(40)))
        del result["metadata"]["info"]["Acceleration Max"]
        found = read(result)
        assert found.layout.range_g is None
        assert found.report.counts == {"range unknown": 1}
        assert "unknown range" in str(found.layout)

    def test_values_that_never_change(self, read):
        samples = noise(9000)
        samples[3000:4820] = [0, 0, -1]  # 60 s and two thirds
        samples[6000:7770] = [0, 0, 0]  # 59 s
        found = read(actigraph(samples, seconds_ns(range(300))))
        assert found.report.counts == {"constant values": 1}
        (told,) = found.warnings
        assert "1 stretches of 60 s or more, 60 s in all" in told
        assert "from 2024-03-04 11:01:40 on at (0.000, 0.000, -1.000) g" in told
        np.testing.assert_array_equal(found.samples, samples)

    def test_what_actfast_warns_of(self, read):
        warnings = ("unexpected end of file at record 7",)
        found = read(actigraph(noise(1200), seconds_ns(range(40)), warnings=warnings))
        assert found.warnings == ("actfast: unexpected end of file at record 7",)
        assert found.report.counts == {"actfast": 1}


class TestRefuses:
    def test_without_actfast(self, tmp_path, monkeypatch):
        (tmp_path / "a.bin").touch()
        monkeypatch.setitem(sys.modules, "actfast", None)
        with pytest.raises(RecordingError, match=r"a\.bin: .* not installed: pip install selfpab\[devices\]"):
            read_other(tmp_path / "a.bin")

    @pytest.mark.parametrize("error", [ValueError("no ZIP"), OSError("no ZIP")])
    def test_what_actfast_cannot_read(self, read, error):
        with pytest.raises(RecordingError, match=r"a\.gt3x: cannot be read \(no ZIP\); copy it"):
            read(error)

    def test_other_formats(self, read):
        with pytest.raises(RecordingError, match=r"is Axivity CWA, not Actigraph GT3X or GeneActiv BIN; .* \.cwa"):
            read(actigraph(noise(1200), seconds_ns(range(40))) | {"format": "Axivity CWA"}, "a.bin")

    @pytest.mark.parametrize("size", [0, 1])
    def test_no_samples(self, read, size):
        result = actigraph(noise(size), seconds_ns(range(40))[:size], warnings=["nothing there"])
        with pytest.raises(RecordingError, match=r"no acceleration that can be read \(actfast: nothing there\)"):
            read(result)
        del result["timeseries"]["acceleration"]
        with pytest.raises(RecordingError, match=r"no acceleration that can be read"):
            read(result)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_values_that_are_no_numbers(self, read, value):
        samples = noise(1200)
        samples[7, 1] = value
        with pytest.raises(RecordingError, match="values that are no numbers"):
            read(actigraph(samples, seconds_ns(range(40))))

    def test_rates_that_contradict_each_other(self, read):
        with pytest.raises(RecordingError, match=r"its header says 100 Hz, .* 30 Hz; one of them is damaged"):
            read(actigraph(noise(1200), seconds_ns(range(40)), rate_hz=100))

    @pytest.mark.parametrize("step_ns", [0, -5, 2 * SECOND_NS, 1000])
    def test_rates_that_are_none(self, read, step_ns):
        with pytest.raises(RecordingError, match=r"samples are .* s apart; wanted 5 to 3200 Hz"):
            read(actigraph(noise(100), START_NS + np.arange(100) * step_ns))


@pytest.mark.shared
class TestRealFiles:
    @pytest.fixture(autouse=True)
    def _actfast(self):
        pytest.importorskip("actfast", reason="reads with actfast (pip install actfast)")

    def test_geneactiv(self, shared):
        found = survey(shared / "data" / "cwa" / "GGIRread_GENEActiv_testfile.bin")
        assert (found.header.device, found.header.device_id) == ("GENEActiv 1.1", "012967")
        assert str(found.layout) == "values in g, 85.7 Hz, ±8 g"
        assert found.clock.rate_hz == pytest.approx(300 / 3.5)
        assert found.clock.jitter_ms < 0.01
        assert (found.report.samples, found.report.counts, len(found.clock.runs)) == (5031, {}, 1)
        assert found.blocks["temperature_c"][[0, -1]].tolist() == pytest.approx([21.5, 23.1], abs=1e-5)
        assert np.nanmean(found.movement.magnitude_g) == pytest.approx(1, abs=0.1)

    def test_actigraph_asleep(self, shared):
        found = survey(shared / "data" / "cwa" / "GGIR_actigraph_testfile.gt3x")
        assert (found.header.device, found.header.device_id) == ("ActiGraph wGT3XBT", "MOS2E39180594")
        assert (found.report.samples, found.report.counts) == (17_640, {"gap": 23})
        assert len(found.clock.runs) == 24
        assert sum(run.stop - run.first for run in found.clock.runs) == 17_640
        span_s = (found.clock.runs[-1].stop_ns - found.clock.runs[0].start_ns) / SECOND_NS
        assert span_s == pytest.approx(17_640 / 30 + 1180, abs=0.01)
        assert np.isnan(found.movement.magnitude_g).sum() == pytest.approx(1180 * 25, abs=100)
