"""What is said of a pair: complete, plain, and true of what was planted."""

import json
from datetime import datetime

import numpy as np
import pytest

from selfpab.data.device_pairs import read_pair
from selfpab.data.pair_sources import LINES, LISTED, Device, Presence, source_of
from selfpab.devices.calibration import NO_CALIBRATION
from selfpab.devices.cwa_writer import Planted, write_cwa
from selfpab.devices.movement_lags import WINDOWS
from selfpab.devices.surveys import survey
from selfpab.devices.synchronisation import Alignment

START = datetime(2024, 3, 4, 11)
START_NS = int(np.datetime64(START, "ns").astype(np.int64))


def written(path, blocks=100, **settings):
    samples = np.random.default_rng(0).normal(0, 0.3, (blocks * 120, 3))
    settings = {"form": "packed", "rate_hz": 100.0, "range_g": 8, "start": START} | settings
    write_cwa(path, samples, **settings)
    return path


def device(path, **settings):
    return Device(survey(written(path, **settings)), "0" * 64, NO_CALIBRATION)


def everywhere(stretches=((0, 100),)):
    known = np.ones(len(stretches), bool)
    return Presence(np.array(stretches), known, known)


def alignment(confidence):
    knots = START_NS + np.array([0, 10**12])
    return Alignment(knots, np.array([2e9, 2.04e9]), 2.0, 40.0, confidence, np.nan, np.zeros(5, WINDOWS), "2 s ahead")


def leaps(source):
    return [line.partition(";")[0] for line in source["warnings"] if "leaps" in line]


def strays(source):
    return [line for line in source["warnings"] if "hardly any minute" in line]


class TestSource:
    def test_is_json_with_all_evidence(self, tmp_path):
        back = written(
            tmp_path / "b.cwa", session_id=99, device_id=7, planted=Planted(bad_checksums=[9]), drift_ppm=900.0
        )
        thigh = written(tmp_path / "t.cwa", device_id=70_000, planted=Planted(header_start=START), firmware=44)
        source = read_pair(back, thigh, align=False).source
        assert json.loads(json.dumps(source, allow_nan=False)) == source
        assert (source["form"], source["path"]) == ("cwa", f"{back} and {thigh}")
        told = source["back"]
        assert (told["file"], told["device"], told["device_id"], told["session_id"]) == ("b.cwa", "AX3", 7, 99)
        assert (told["layout"], told["rate_hz"], told["range_g"]) == ("packed, 100 Hz, ±8 g", 100, 8)
        assert told["faults"] == {"bad checksum": 1}
        assert told["report"].startswith(
            "99 of 100 blocks read: 11880 samples in 2 runs\nbad checksum: block 9 left out"
        )
        assert told["clock"]["rate_ppm"] == pytest.approx(900, abs=5)
        assert told["clock"]["runs"] == 2
        assert told["calibration"]["why"].startswith("too little stillness")
        assert told["calibration"]["error_before_mg"] is None  # no epoch was still
        other = source["thigh"]
        assert (other["device_id"], other["firmware"], other["configured_start"]) == (70_000, 44, START.isoformat())
        assert len({source["sha256"], told["sha256"], other["sha256"]}) == 3

    def test_tells_the_alignment(self, tmp_path):
        devices = [device(tmp_path / "b.cwa"), device(tmp_path / "t.cwa", device_id=3)]
        sure, unsure, none = (
            source_of(devices, found, everywhere(), 100) for found in (*map(alignment, (0.9, 0)), None)
        )
        told = sure["alignment"]
        assert (told["offset_s"], told["drift_ppm"], told["residual_s"], told["windows"]) == (2, 40, None, 5)
        assert (told["knots"][0], told["knots_offset_s"]) == (START.isoformat(), [2, 2.04])
        assert "2 s ahead" in sure["repairs"]
        assert "2 s ahead" not in unsure["repairs"]
        assert "the clocks may not be aligned (confidence 0.00): 2 s ahead" in unsure["warnings"]
        assert none["alignment"] is None
        assert "the clocks were taken as they are: nobody looked how they lie" in none["warnings"]

    def test_warns_of_a_clock_that_leaps(self, tmp_path):
        once, twice = (
            device(tmp_path / f"{len(empty)}.cwa", planted=Planted(empty=empty)) for empty in ([30], [30, 60])
        )
        assert leaps(source_of([once, twice], None, everywhere(), 1)) == [
            "back: its clock leaps once",
            "thigh: its clock leaps 2 times",
        ]
        whole = device(tmp_path / "whole.cwa")
        assert leaps(source_of([whole, whole], None, everywhere(), 1)) == []

    @pytest.mark.parametrize(
        ("planted", "wanted"),
        [
            (
                Planted(restarts={10: -20 * 365 * 86_400.0}),
                ["back: 12 s of its samples are left out, for its clock does not tell when they were taken: samples 0 to "
                 "1199 are left out: their clock says 2024-03-04 10:59:59, more than 7 days off the rest"],
            ),
            (
                Planted(restarts={50: -11.997}),
                ["back: 12 s of its samples are left out, for its clock does not tell when they were taken: the clock goes "
                 "back by 11.997 s at sample 6000: samples 6000 to 7199, stamped before the end of what came before them, "
                 "are left out"],
            ),
            (
                Planted(restarts={40: 3.0, 60: 3.0}, untimed=[*range(40, 60), *range(60, 100)]),
                ["back: 72 s of its samples are left out, for its clock does not tell when they were taken: samples 4800 to "
                 "7199 have no time: no block of theirs is stamped; and 1 more, told under repairs"],
            ),
            (Planted(restarts={50: -0.5}), []),
            (Planted(restarts={50: 60.0}, bad_checksums=[9]), []),
        ],
    )  # fmt: skip
    def test_warns_of_samples_whose_time_is_not_known(self, tmp_path, planted, wanted):
        devices = [device(tmp_path / "b.cwa", planted=planted), device(tmp_path / "t.cwa", device_id=3)]
        source = source_of(devices, None, everywhere(), 1)
        assert [line for line in source["warnings"] if "left out" in line] == wanted
        assert not wanted or any("left out" in line or "no time" in line for line in source["repairs"])

    @pytest.mark.parametrize(
        ("agree", "wanted"),
        [
            ([1] * 60, []),
            ([1] * 30 + [0] * 20 + [1] * 30, []),
            (
                [1] * 30 + [0] * 21,
                ["from 2024-03-04 11:30 on hardly any minute agrees with how the clocks lie (0 of 21"],
            ),
            (
                [1] * 90 + [0, 0, 0, 1, 0] * 6,
                ["from 2024-03-04 12:30 on hardly any minute agrees with how the clocks lie (5 of 28 with"],
            ),
            ([1] * 90 + [0, 0, 1] * 20, []),  # one in three
            (
                [0] * 25 + [1] * 60 + [0] * 40 + [1] * 9,
                [f"from 2024-03-04 {start} on hardly any minute agrees with" for start in ("11:00", "12:25")],
            ),
        ],
    )
    def test_warns_of_a_stretch_that_does_not_go_by_the_line(self, tmp_path, agree, wanted):
        windows = np.zeros(len(agree), WINDOWS)
        windows["start_ns"] = START_NS + np.arange(len(agree)) * 60 * 10**9
        windows["used"] = agree
        found = alignment(0.6)._replace(windows=windows)
        devices = [device(tmp_path / f"{name}.cwa") for name in "bt"]
        told = strays(source_of(devices, found, everywhere(), 1))
        assert len(told) == len(wanted)
        assert all(line.startswith(start) for line, start in zip(told, wanted, strict=True))
        # Where nothing agreed anywhere the clocks were taken as they are, which is told already.
        assert strays(source_of(devices, found._replace(confidence=0.0), everywhere(), 1)) == []

    def test_lists_who_was_missing_when(self, tmp_path):
        devices = [device(tmp_path / "b.cwa"), device(tmp_path / "t.cwa")]
        first = START_NS // 20_000_000
        presence = Presence(
            first + np.array([[0, 50], [50, 75], [75, 100], [100, 200]]),
            np.array([True, False, False, True]),
            np.array([False, False, True, True]),
        )
        source = source_of(devices, None, presence, 100)
        assert [row["sensor"] for row in source["missing"]] == ["thigh", "both", "back"]
        assert source["missing"][1] == {
            "sensor": "both",
            "from": "2024-03-04T11:00:01",
            "to": "2024-03-04T11:00:01.500000",
            "seconds": 0.5,
        }
        assert source["missing_seconds"] == 2

    @pytest.mark.parametrize(
        ("stretches", "back", "thigh", "wanted"),
        [
            (  # the back's battery gave out, which also paused
                [(0, 36), (36, 40), (40, 41), (41, 121)], [1, 0, 1, 0], [1, 1, 1, 1],
                ["thigh: it recorded for 1.3 h more without the back, after what both did, from 2024-03-04 11:41 to "
                 "2024-03-04 13:01 by the back's clock; that counts as not recorded"],
            ),
            (
                [(0, 6), (6, 9), (9, 15), (15, 90)], [1, 0, 1, 1], [0, 0, 0, 1],
                ["back: it recorded for 12 min more without the thigh, before what both did, from 2024-03-04 11:00 to "
                 "2024-03-04 11:15 by the back's clock; that counts as not recorded"],
            ),
            ([(0, 9), (9, 50), (50, 59)], [1, 1, 0], [0, 1, 1], []),  # put on and taken off one after the other
            ([(0, 9), (9, 50), (50, 90)], [1, 0, 1], [1, 1, 1], []),  # a gap
        ],
    )  # fmt: skip
    def test_warns_of_a_sensor_that_records_much_longer(self, tmp_path, stretches, back, thigh, wanted):
        devices = [device(tmp_path / "b.cwa"), device(tmp_path / "t.cwa", device_id=3)]
        steps = START_NS // 20_000_000 + np.array(stretches) * 3000
        source = source_of(devices, None, Presence(steps, np.array(back, bool), np.array(thigh, bool)), 1)
        assert [line for line in source["warnings"] if "without the" in line] == wanted

    def test_stays_short(self, tmp_path):
        faulty = device(tmp_path / "b.cwa", blocks=800, planted=Planted(bad_checksums=range(1, 800, 3)))
        edges = np.arange(3001)
        many = Presence(np.stack([edges[:-1], edges[1:]], axis=1), edges[:-1] % 2 == 0, np.ones(3000, bool))
        source = source_of([faulty, faulty], None, many, 1500)
        assert (len(source["missing"]), source["missing_stretches"]) == (LISTED, 1500)
        assert source["missing_seconds"] == pytest.approx(30)
        assert len(source["back"]["report"].splitlines()) == LINES + 1
        assert source["back"]["report"].endswith("... and 168 more")

    def test_warns_of_one_device_in_both_files(self, tmp_path):
        devices = [device(tmp_path / f"{name}.cwa", device_id=8) for name in "bt"]
        assert (
            "both files name device 8: is one of them of another day?"
            in (source_of(devices, None, everywhere(), 1)["warnings"])
        )

    def test_says_of_slow_devices_that_they_were_interpolated(self, tmp_path):
        slow = device(tmp_path / "b.cwa", rate_hz=12.5)
        (told, *_) = source_of([slow, slow], None, everywhere(), 1)["repairs"]
        assert told.startswith("back: interpolated, nothing above 5 Hz is in it, to 50 Hz from 12.5 Hz, 12.500 Hz by")
