"""Pairs of files with known movement, clocks and faults -> one recording."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from selfpab.data import device_pairs, placement
from selfpab.data.device_pairs import _back_ns, read_pair
from selfpab.data.reading import read
from selfpab.data.simulated_devices import DeviceFaults, PairFaults, write_pair
from selfpab.data.single_devices import read_single
from selfpab.data.wear import non_wear
from selfpab.devices import calibration, synchronisation
from selfpab.devices.calibration import NO_CALIBRATION
from selfpab.devices.cwa_writer import Planted, write_cwa
from selfpab.devices.movement_lags import WINDOWS
from selfpab.devices.synchronisation import Alignment, NotTogether
from selfpab.recording import RecordingError
from selfpab.sensors import told_by
from tests.fake_actfast import actigraph, counted_ns, geneactiv, write
from tests.mapped_arrays import is_mapped

START = datetime(2024, 3, 4, 11)
START_NS = int(np.datetime64(START, "ns").astype(np.int64))
AX6 = {"form": "ax6", "rate_hz": 100.0, "range_g": 8, "start": START}
OFFSET_S, PPM = 21.3, 37.0  # the thigh's clock is so far ahead and gains so much


def moved(true_s, sensor):
    """What a sensor feels, (n, 3)."""
    hz = np.array([0.4, 1.1, 2.3]) + 0.2 * sensor
    return np.sin(2 * np.pi * hz * true_s[:, None]) * 0.8 + [-0.5, 0.1 * sensor, 0.2]


def thigh_clock_s(true_s):
    return true_s * (1 + PPM * 1e-6) + OFFSET_S


def write_both(folder, seconds=200, *, back=None, thigh=None, values=moved):
    """back.cwa, whose clock shows the true time, and thigh.cwa."""
    for sensor, (name, settings) in enumerate((("back", back or {}), ("thigh", thigh or {}))):
        settings = AX6 | {"device_id": 7 + sensor} | settings
        own_s = np.arange(int(seconds * settings["rate_hz"])) / settings["rate_hz"]
        lost = np.zeros(len(own_s))
        for block, gap_s in settings.get("planted", Planted()).restarts.items():
            lost[block * 40 :] += gap_s
        true_s = own_s + lost if sensor == 0 else (own_s + lost) / (1 + PPM * 1e-6)
        start = START if sensor == 0 else START + timedelta(seconds=OFFSET_S)
        write_cwa(folder / f"{name}.cwa", values(true_s, sensor), **(settings | {"start": start}))
    return folder / "back.cwa", folder / "thigh.cwa"


KNOTS_S = np.array([0.0, 1000.0])
ALIGNED = Alignment(
    knots_ns=START_NS + (KNOTS_S * 1e9).astype(np.int64),
    offset_ns=(thigh_clock_s(KNOTS_S) - KNOTS_S) * 1e9,
    offset_s=OFFSET_S,
    drift_ppm=PPM,
    confidence=0.9,
    residual_s=0.01,
    windows=np.zeros(3, WINDOWS),
    told="thigh's clock 21.30 s ahead",
)


@pytest.fixture
def known_clocks(monkeypatch):
    monkeypatch.setattr(synchronisation, "synchronise", lambda back, thigh, *, longest_offset_s: ALIGNED)


@pytest.mark.usefixtures("known_clocks")
class TestOneClock:
    def test_both_sensors_at_the_same_true_times(self, tmp_path):
        recording = read_pair(*write_both(tmp_path))
        assert (recording.subject, recording.start, recording.rate_hz) == ("back", START, 50.0)
        assert (recording.samples.dtype, recording.counts_per_g, recording.labels) == (np.int16, 4096, None)
        assert len(recording) == pytest.approx(200 * 50, abs=2)
        true_s = recording.sample_times_s()
        wanted = np.concatenate([moved(true_s, 0), moved(true_s, 1)], axis=1)
        inner = slice(20, -20)
        assert np.abs(recording.acceleration_g - wanted)[inner].max() < 0.002  # 11 g/s: less than 0.2 ms

    @pytest.mark.parametrize("rate_hz", [50.0, 25.0, 200.0])
    def test_sensors_of_different_rates(self, tmp_path, rate_hz):
        recording = read_pair(*write_both(tmp_path, thigh={"rate_hz": rate_hz, "form": "unpacked"}))
        true_s = recording.sample_times_s()
        error = np.abs(recording.acceleration_g[:, 3:] - moved(true_s, 1))[30:-30]
        assert error.max() < 0.012  # unpacked: 256 counts per g
        assert any("interpolated" in line for line in recording.source["repairs"]) == (rate_hz < 50)

    def test_one_thread_or_many_pieces(self, tmp_path, monkeypatch):
        files = write_both(tmp_path, back={"planted": Planted(restarts={100: 3.0})})
        one = read_pair(*files, workers=1)
        seen = []
        monkeypatch.setattr(device_pairs, "non_wear", lambda recording, temperature: (seen.append(temperature), [])[1])
        read_pair(*files)
        for name, small in (("AT_ONCE", 777), ("BLOCKS", 7), ("SURVEY_BYTES", 0)):
            monkeypatch.setattr(device_pairs, name, small)
        np.testing.assert_array_equal(one.samples, read_pair(*files, workers=3).samples)
        assert len(seen) == 2
        for sensor in ("back", "thigh"):
            for whole, pieces in zip(*(temperatures[sensor] for temperatures in seen), strict=True):
                np.testing.assert_array_equal(whole, pieces)
                assert len(whole) > 7

    def test_the_back_s_time_of_a_thigh_s(self):
        knots_s = np.array([0.0, 1e5, 5e5])
        far = ALIGNED._replace(
            knots_ns=START_NS + (knots_s * 1e9).astype(np.int64), offset_ns=np.array([9.3e13, 9.31e13, 9.2e13])
        )
        thigh_ns = START_NS + (np.linspace(-1e5, 9e5, 1001) * 1e9).astype(np.int64)
        assert np.abs(far.thigh_ns(_back_ns(far, thigh_ns)) - thigh_ns).max() < 100

    def test_the_samples_may_lie_in_a_file(self, tmp_path):
        files = write_both(tmp_path)

        def room(shape):
            return np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.int16, shape=shape)

        mapped = read_pair(*files, room=room)
        mapped.samples.flush()
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), read_pair(*files).samples)

    def test_a_long_one_lies_in_a_file_without_a_name(self, tmp_path, monkeypatch):
        files = write_both(tmp_path)
        short = read_pair(*files)
        assert not is_mapped(short.samples)
        monkeypatch.setattr("selfpab.scratch.IN_MEMORY", short.samples.nbytes - 1)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
        (tmp_path / "scratch").mkdir()
        long = read_pair(*files)
        assert is_mapped(long.samples)
        np.testing.assert_array_equal(long.samples, short.samples)
        assert not list((tmp_path / "scratch").iterdir())

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.posix_fallocate", full)
        elsewhere = read_pair(*files)
        assert not is_mapped(elsewhere.samples)
        np.testing.assert_array_equal(elsewhere.samples, short.samples)


@pytest.mark.usefixtures("known_clocks")
class TestGaps:
    def test_samples_are_where_both_recorded(self, tmp_path):
        back = {"planted": Planted(restarts={200: 10.0})}  # from 80 s on
        thigh = {"planted": Planted(missing=[300, 301], restarts={400: 7.0})}  # 120 s; 160 s
        recording = read_pair(*write_both(tmp_path, back=back, thigh=thigh))
        missing = [(row["sensor"], row["seconds"]) for row in recording.source["missing"]]
        assert [sensor for sensor, _ in missing] == ["back", "thigh", "thigh", "thigh"]
        assert [seconds for _, seconds in missing] == pytest.approx([10, 0.8, 7, 3], abs=0.05)
        edges_s = [(segment.start_s, segment.start_s + len(segment) / 50) for segment in recording.segments]
        wanted = [(0, 80), (90, 120), (120.8, 160), (167, 207)]
        np.testing.assert_allclose(edges_s, wanted, atol=0.05)
        true_s = recording.sample_times_s()
        error = np.abs(recording.acceleration_g - np.concatenate([moved(true_s, 0), moved(true_s, 1)], axis=1))
        assert error.max() < 0.1  # also beside the gaps
        assert np.median(error) < 5e-4

    def test_missing_stretches_carry_their_times(self, tmp_path):
        recording = read_pair(*write_both(tmp_path, back={"planted": Planted(restarts={200: 10.0})}))
        first = recording.source["missing"][0]
        assert abs(datetime.fromisoformat(first["from"]) - START - timedelta(seconds=80)) < timedelta(seconds=0.03)
        assert abs(datetime.fromisoformat(first["to"]) - START - timedelta(seconds=90)) < timedelta(seconds=0.03)
        assert recording.source["missing_seconds"] == pytest.approx(10 + 10, abs=0.1)  # at the end the thigh

    def test_runs_that_follow_on_each_other_leave_no_gap(self, tmp_path):
        recording = read_pair(*write_both(tmp_path, back={"planted": Planted(sequence_jumps={200: 3})}))
        assert recording.source["back"]["clock"]["runs"] == 2
        assert len(recording.segments) == 1

    def test_a_clock_that_was_set_back_is_told(self, tmp_path):
        recording = read_pair(*write_both(tmp_path, back={"planted": Planted(restarts={200: -5.0})}))
        assert any("back: the clock goes back by 5.0" in line for line in recording.source["repairs"])

    def test_no_common_time(self, tmp_path):
        files = write_both(tmp_path, 20)
        write_cwa(files[1], np.zeros((2000, 3)), **(AX6 | {"start": datetime(2024, 3, 4, 12)}))
        with pytest.raises(RecordingError, match=r"back\.cwa and .*thigh\.cwa: were never recording at the same time"):
            read_pair(*files)


@pytest.mark.usefixtures("known_clocks")
class TestValues:
    def test_are_calibrated(self, tmp_path, monkeypatch):
        found = NO_CALIBRATION._replace(
            gain=np.array([1.1, 1.0, 0.9]),
            offset_g=np.array([0.0, 0.05, 0.0]),
            error_before_mg=40.0,
            error_after_mg=2.0,
        )._replace(applied=True)
        own = [found, found._replace(gain=np.array([0.95, 1.0, 1.05]))]  # the thigh's y lies at 0.1 g
        monkeypatch.setattr(calibration, "calibrate", lambda still: own[bool(still["mean_g"][:, 1].mean() > 0.05)])
        files = write_both(tmp_path)
        calibrated, raw = read_pair(*files), read_pair(*files, calibrate=False)
        wanted = raw.acceleration_g * [1.1, 1.0, 0.9, 0.95, 1.0, 1.05] + np.tile([0, 0.05, 0], 2)
        np.testing.assert_allclose(calibrated.acceleration_g, wanted, atol=1.2 / 4096)
        assert (
            "thigh: calibrated by its own stillness, error 40.0 mg before and 2.0 mg after"
            in (calibrated.source["repairs"])
        )
        assert "back: not calibrated: not looked for" in raw.source["warnings"]
        assert raw.source["back"]["calibration"]["error_before_mg"] is None

    def test_what_does_not_fit_into_4096_counts(self, tmp_path, monkeypatch):
        files = write_both(tmp_path, values=lambda true_s, sensor: np.full((len(true_s), 3), 7.9))
        assert read_pair(*files).counts_per_g == 4096
        larger = NO_CALIBRATION._replace(gain=np.array([1.0, 1.2, 1.0]), applied=True)
        monkeypatch.setattr(calibration, "calibrate", lambda stillness: larger)
        recording = read_pair(*files)
        assert recording.counts_per_g == 2048
        np.testing.assert_allclose(recording.acceleration_g[:, 1], 7.9 * 1.2, atol=1e-3)

    def test_clipping_is_marked_where_it_was(self, tmp_path):
        def knocked(true_s, sensor):
            values = moved(true_s, sensor)
            values[(true_s > 50.001) & (true_s < 50.0301), 1 - sensor] = 9.5
            values[(true_s > 130) & (true_s < 133) & (sensor == 1), 2] = -9.5
            return values

        recording = read_pair(*write_both(tmp_path, values=knocked, back={"range_g": 8}))
        assert recording.counts_per_g == 2048
        first, second, third = recording.marks
        for mark, sensor in ((first, "back"), (second, "thigh")):
            assert mark.kind == "clipping"
            assert mark.evidence == f"{sensor}: 3 raw samples at the end of ±8 g"
            assert mark.first <= 2501 <= mark.stop <= mark.first + 25
        assert (third.first / 50, third.stop / 50) == pytest.approx((130, 133), abs=0.4)
        assert device_pairs.CLIPPING == placement.CLIPPING == "clipping"


def test_non_wear_that_only_temperature_tells(tmp_path):
    """Twenty minutes on a table; the thigh's clock is an hour ahead, and an hour before the table it was on skin."""
    faults = PairFaults(thigh=DeviceFaults(offset_s=3600.0), non_wear_s=1200.0)
    pair = write_pair(tmp_path, 4, 2.0, scenario="free-living", faults=faults, rate_hz=25.0)
    off_s = np.flatnonzero(pair.recording.labels == -1)[[0, -1]] / 50
    assert off_s[0] > 3600
    recording = read_pair(pair.back, pair.thigh)
    (mark,) = (mark for mark in recording.marks if mark.kind.startswith("non-wear"))
    assert mark.kind == "non-wear"
    assert (mark.first / 50, mark.stop / 50) == pytest.approx(tuple(off_s), abs=2)
    assert "cooler by " in mark.evidence
    assert non_wear(recording) == ()  # without temperature 45 minutes would be needed


class TestAlignment:
    def test_is_found_in_the_movement(self, tmp_path):
        rng = np.random.default_rng(4)
        busy = np.repeat(rng.uniform(0, 1, 400), 5)  # of a second each

        def walking(true_s, sensor):
            values = moved(true_s, sensor) * 0.02 + [-0.98, 0, 0]
            values[:, 0] += busy[true_s.astype(int)] * np.sin(2 * np.pi * 1.9 * true_s)
            return values

        recording = read_pair(*write_both(tmp_path, 1800, values=walking))
        found = recording.source["alignment"]
        assert found["offset_s"] == pytest.approx(OFFSET_S, abs=0.02)
        assert found["confidence"] > 0.5
        x = recording.acceleration_g[:, [0, 3]]
        assert np.corrcoef(x[100:-100].T)[0, 1] > 0.99
        assert found["told"] in recording.source["repairs"]

    def test_clocks_as_they_are(self, tmp_path):
        recording = read_pair(*write_both(tmp_path), align=False)
        assert recording.source["alignment"] is None
        assert "the clocks were taken as they are: nobody looked how they lie" in recording.source["warnings"]
        assert recording.start == START + timedelta(seconds=21.3)

    def test_two_people_are_refused_by_name(self, tmp_path, monkeypatch):
        def refuse(back, thigh, *, longest_offset_s):
            raise NotTogether("not the same person or not the same time: nothing agrees")

        monkeypatch.setattr(synchronisation, "synchronise", refuse)
        with pytest.raises(NotTogether, match=r"back\.cwa and .*thigh\.cwa: not the same person"):
            read_pair(*write_both(tmp_path, 20))


@pytest.mark.usefixtures("known_clocks")
class TestOtherMakers:
    def test_a_geneactiv_and_an_actigraph_that_slept(self, tmp_path, monkeypatch):
        back, thigh = tmp_path / "back.bin", tmp_path / "thigh.gt3x"
        pages_s = np.arange(60) * 3.5
        own_s = (pages_s[:, None] + np.arange(300) * 3.5 / 300).ravel()
        awake_s = np.array([second for second in range(200) if not 90 <= second < 120])
        thigh_s = (
            (awake_s[:, None] + np.arange(30) / 30).ravel() - OFFSET_S + 20
        )  # true: its clock stands at whole ones
        degrees = {"temperature_c": 20 + pages_s / 100, "temperature_ns": START_NS + (pages_s * 1e9).astype(np.int64)}
        stamps_ns = START_NS + (awake_s + 20) * 10**9
        warnings = ["record 7 is damaged"]
        results = {
            back: geneactiv(moved(own_s, 0), counted_ns(degrees["temperature_ns"], 300, 85.7), **degrees),
            thigh: actigraph(moved(thigh_s, 1), counted_ns(stamps_ns, 30, 30), warnings=warnings),
        }
        write(monkeypatch, results)
        monkeypatch.setattr(
            synchronisation, "synchronise", lambda *_, **__: ALIGNED._replace(offset_ns=np.full(2, OFFSET_S * 1e9))
        )
        measured = {}
        monkeypatch.setattr(
            "selfpab.data.device_pairs.non_wear", lambda _, *, temperature: measured.update(temperature) or ()
        )
        recording = read_pair(back, thigh)
        assert set(measured) == {"back"}  # an ActiGraph tells no temperature
        source = recording.source
        assert source["form"] == "bin and gt3x"
        assert "thigh: actfast: record 7 is damaged" in source["warnings"]
        assert (source["back"]["device"], source["thigh"]["device"]) == ("GENEActiv 1.1", "ActiGraph wGT3XBT")
        assert source["thigh"]["temperature_c"] == [None, None]
        assert source["back"]["temperature_c"] == pytest.approx([20, 22.065], abs=1e-3)
        (sleep,) = [row for row in source["missing"] if 25 < row["seconds"] < 35]
        assert (sleep["sensor"], sleep["seconds"]) == ("thigh", pytest.approx(30, abs=0.05))
        assert len(recording.segments) == 2
        true_s = (recording.start - START).total_seconds() + recording.sample_times_s()
        for segment in recording.segments:
            inner = slice(segment.first + 30, segment.stop - 30)
            wanted = np.concatenate([moved(true_s[inner], 0), moved(true_s[inner], 1)], axis=1)
            assert np.abs(recording.acceleration_g[inner] - wanted).max() < 0.002

    def test_beside_an_axivity(self, tmp_path, monkeypatch):
        thigh = write_both(tmp_path)[1]
        stamps_ns = START_NS + np.arange(200) * 10**9
        values = moved(np.arange(20_000) / 100, 0)
        result = actigraph(values, counted_ns(stamps_ns, 100, 100), rate_hz=100)
        write(monkeypatch, {tmp_path / "back.gt3x": result})
        recording = read((tmp_path / "back.gt3x", thigh))
        assert recording.source["form"] == "gt3x and cwa"
        assert recording.subject == "back"
        true_s = recording.sample_times_s() + (recording.start - START).total_seconds()
        wanted = np.concatenate([moved(true_s, 0), moved(true_s, 1)], axis=1)
        assert np.abs(recording.acceleration_g - wanted)[20:-20].max() < 0.002


class TestRefuses:
    def test_one_file_given_twice(self, tmp_path):
        back, thigh = write_both(tmp_path, 20)
        thigh.write_bytes(back.read_bytes())
        with pytest.raises(RecordingError, match=r"are the same; give the files of two sensors"):
            read_pair(back, thigh)

    def test_a_file_without_times(self, tmp_path):
        files = write_both(tmp_path, 20, thigh={"planted": Planted(untimed=range(50))})
        with pytest.raises(RecordingError, match=r"thigh\.cwa: none of its blocks has a time"):
            read_pair(*files)

    def test_a_file_that_is_not_there_and_one_that_is_no_cwa(self, tmp_path):
        back, thigh = write_both(tmp_path, 20)
        with pytest.raises(RecordingError, match=r"hip\.cwa: there is no such file"):
            read_pair(tmp_path / "hip.cwa", thigh)
        thigh.write_text("time,x,y,z")
        with pytest.raises(RecordingError, match=r"thigh\.cwa: has 10 bytes and is no \.cwa file"):
            read_pair(back, thigh)


class TestOneSensorAlone:
    """What one sensor recorded before and after the other."""

    def test_it_is_kept_where_it_is_wanted(self, tmp_path):
        files = write_both(tmp_path, 400)
        write_cwa(
            files[1],
            moved(np.arange(20_000) / 100 + 100, 1),
            **(AX6 | {"device_id": 8, "start": START + timedelta(seconds=100)}),
        )
        gap = read_pair(*files, align=False, calibrate=False)
        kept = read_pair(*files, align=False, calibrate=False, single_sensor=True)
        assert gap.seconds == pytest.approx(200, abs=1)
        assert kept.seconds == pytest.approx(400, abs=1)
        assert [(m.kind, m.evidence) for m in kept.marks] == [("sensor dropout thigh", "thigh did not record")] * 2
        assert [told.sensors for told in told_by(kept)] == [("back",), ("back", "thigh"), ("back",)]
        first, both, last = kept.segments
        assert (first.first, last.stop) == (0, len(kept))
        assert np.array_equal(kept.samples[both.first : both.stop], gap.samples)
        assert not kept.samples[: both.first, 3:].any()
        assert not kept.samples[both.stop :, 3:].any()
        alone = read_single(files[0], "back", calibrate=False)
        assert np.array_equal(kept.samples[:, :3], alone.samples[:, :3])
        assert kept.start == alone.start
        assert (gap.source["missing_seconds"], gap.source["alone_seconds"]) == (pytest.approx(200, abs=1), 0)
        assert (kept.source["missing_seconds"], kept.source["alone_seconds"]) == (0, pytest.approx(200, abs=1))
