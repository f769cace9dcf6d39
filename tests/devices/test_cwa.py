"""The reader as a whole: files with known content back, real files as others read them, every byte accounted for."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpab.devices.cwa import PIECE, cwa_pieces, read_cwa, samples_between
from selfpab.devices.cwa_report import LEFT_OUT, PART_FILLED, TAIL
from selfpab.devices.cwa_writer import FORMS, Planted, layout_for, quantised, write_cwa
from selfpab.recording import RecordingError

START = datetime(2024, 2, 28, 23, 59, 30, 250_000)


def movement(samples: int, *, largest: float = 3.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-largest, largest, (samples, 3))


def written(path, samples_g, **settings):
    settings = {"form": "packed", "rate_hz": 100.0, "range_g": 8, "start": START} | settings
    write_cwa(path, samples_g, **settings)
    return quantised(samples_g, layout_for(settings["form"], settings["rate_hz"], settings["range_g"]))


class TestRoundTrip:
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize(("rate_hz", "range_g"), [(100.0, 8), (12.5, 2), (50.0, 4), (3200.0, 16)])
    def test_counts_are_bit_equal(self, tmp_path, form, rate_hz, range_g):
        samples = movement(1000, largest=range_g * 1.1)
        raw = np.random.default_rng(1).integers(-9999, 9999, (1000, 3)).astype(np.int16)
        extra = {"gyroscope": raw} if form == "ax6" else {}
        counts = written(tmp_path / "a.cwa", samples, form=form, rate_hz=rate_hz, range_g=range_g, **extra)
        read = read_cwa(tmp_path / "a.cwa")
        assert read.samples.dtype == np.int16
        np.testing.assert_array_equal(read.samples, counts)
        assert read.layout == layout_for(form, rate_hz, range_g)
        np.testing.assert_array_equal(read.acceleration_g(5, 9) * read.layout.counts_per_g, counts[5:9])
        assert read.acceleration_g().dtype == np.float32

    @pytest.mark.parametrize("form", FORMS)
    def test_counts_are_what_was_recorded(self, tmp_path, form):
        samples = movement(240)
        written(tmp_path / "a.cwa", samples, form=form)
        # Below 4 g a packed value keeps 9 of its bits: steps of 2 or 1 counts below 4 g, cut, not rounded.
        step = {"packed": 2 / 256, "unpacked": 0.5 / 256, "ax6": 0.5 / 4096}[form]
        assert np.abs(read_cwa(tmp_path / "a.cwa").acceleration_g() - samples).max() <= step + 0.5 / 256 * (
            form == "packed"
        )

    def test_facts_of_header_and_blocks(self, tmp_path):
        degrees, volts, light = np.array([20.0, 21.0, 35.5]), np.array([4.2, 4.1, 3.5]), np.array([0, 513, 1023])
        written(
            tmp_path / "a.cwa",
            movement(360),
            device_id=1 << 16 | 7,
            session_id=99,
            metadata={"_sc": "S 01", "_n": "ø"},
            temperature_c=degrees,
            battery_v=volts,
            light=light,
        )
        read = read_cwa(tmp_path / "a.cwa")
        header = read.header
        assert (header.device, header.device_id, header.session_id) == ("AX3", 1 << 16 | 7, 99)
        assert header.metadata == {"_sc": "S 01", "_n": "ø"}
        np.testing.assert_allclose(read.blocks["temperature_c"], degrees, atol=0.15)
        np.testing.assert_allclose(read.blocks["battery_v"], volts, atol=0.003)
        np.testing.assert_array_equal(read.blocks["light"], light)
        assert read.blocks["sequence"].tolist() == [0, 1, 2]
        assert set(read.blocks["session"].tolist()) == {99}
        assert (read.report.faults, read.report.runs, read.seconds) == ((), 1, 3.6)

    def test_more_blocks_than_one_piece(self, tmp_path):
        counts = written(tmp_path / "a.cwa", movement((2 * PIECE + 5) * 120), planted=Planted(bad_checksums=[PIECE]))
        read = read_cwa(tmp_path / "a.cwa")
        np.testing.assert_array_equal(read.samples, np.delete(counts, slice(PIECE * 120, PIECE * 120 + 120), axis=0))
        assert read.samples.base is None  # no more memory than what was read
        pieces = list(cwa_pieces(tmp_path / "a.cwa"))
        assert [len(piece.states) for piece in pieces] == [PIECE, PIECE, 5]
        np.testing.assert_array_equal(np.concatenate([piece.samples for piece in pieces]), read.samples)
        np.testing.assert_array_equal(np.concatenate([piece.blocks["first"] for piece in pieces]), read.blocks["first"])

    def test_pieces_behind_a_whole_piece_of_bad_blocks(self, tmp_path):
        written(tmp_path / "a.cwa", movement((PIECE + 2) * 120), planted=Planted(bad_checksums=range(PIECE)))
        (piece,) = cwa_pieces(tmp_path / "a.cwa")
        assert len(piece.states) == PIECE + 2
        assert piece.blocks["block"].tolist() == [PIECE, PIECE + 1]
        written(tmp_path / "b.cwa", movement((2 * PIECE + 2) * 120), planted=Planted(bad_checksums=range(PIECE)))
        assert [len(piece.states) for piece in cwa_pieces(tmp_path / "b.cwa")] == [2 * PIECE, 2]

    def test_part_of_a_file(self, tmp_path):
        counts = written(tmp_path / "a.cwa", movement(1200), planted=Planted(bad_checksums=[4], cut_bytes=1))
        part = read_cwa(tmp_path / "a.cwa", blocks=(3, 7))
        np.testing.assert_array_equal(part.samples, np.concatenate([counts[360:480], counts[600:840]]))
        assert part.blocks["block"].tolist() == [3, 5, 6]
        assert [fault.kind for fault in part.report.faults] == ["bad checksum"]
        assert part.report.places("bad checksum") == [4]
        with pytest.raises(ValueError, match=r"blocks=\(3, 10\) was asked for; .* has the blocks 0 to 9"):
            read_cwa(tmp_path / "a.cwa", blocks=(3, 10))


class TestParts:
    def test_samples_between_are_those_of_the_whole(self, tmp_path):
        planted = Planted(bad_checksums=[4, 5], empty=[9], missing=[12], restarts={20: 5.0})
        written(tmp_path / "a.cwa", movement(40 * 120 + 7), planted=planted)
        whole = read_cwa(tmp_path / "a.cwa")
        with open(tmp_path / "a.cwa", "rb") as file:
            for first, stop in [(0, 1), (119, 121), (450, 1300), (4379, len(whole.samples)), (0, len(whole.samples))]:
                part = samples_between(file, whole.layout, whole.blocks, first, stop)
                np.testing.assert_array_equal(part, whole.samples[first:stop])

    def test_a_file_that_became_shorter_is_told(self, tmp_path):
        written(tmp_path / "a.cwa", movement(1200))
        whole = read_cwa(tmp_path / "a.cwa")
        (tmp_path / "a.cwa").write_bytes((tmp_path / "a.cwa").read_bytes()[:-1])
        with open(tmp_path / "a.cwa", "rb") as file, pytest.raises(RecordingError, match="became shorter"):
            samples_between(file, whole.layout, whole.blocks, 1000, 1200)


class TestRefuses:
    def test_what_is_no_cwa(self, tmp_path):
        path = tmp_path / "a.cwa"
        path.write_bytes(bytes(range(256)) * 20)
        with pytest.raises(RecordingError, match=r"is no \.cwa file: it does not begin with 'MD'"):
            read_cwa(path)
        with pytest.raises(RecordingError, match=r"is no \.cwa file: it does not begin with 'MD'"):
            next(cwa_pieces(path))
        path.write_text("timestamp,x,y,z\n")
        with pytest.raises(RecordingError, match=r"has 16 bytes and is no \.cwa file"):
            read_cwa(path)

    def test_files_without_a_readable_block(self, tmp_path):
        written(tmp_path / "a.cwa", movement(360), planted=Planted(bad_checksums=[0], erased=[1, 2]))
        with pytest.raises(RecordingError, match=r"none of its 3 blocks can be read \(1 bad checksum, 2 erased\)"):
            read_cwa(tmp_path / "a.cwa")
        written(tmp_path / "b.cwa", movement(0))
        with pytest.raises(RecordingError, match=r"1024 bytes and is a \.cwa file without a data block"):
            read_cwa(tmp_path / "b.cwa")

    def test_another_scale_midway_behind_a_bad_block(self, tmp_path):
        written(tmp_path / "a.cwa", movement(400), form="ax6", planted=Planted(bad_checksums=[1]))
        raw = bytearray((tmp_path / "a.cwa").read_bytes())
        block = np.frombuffer(raw, "<u2")[512 + 6 * 256 :][:256]
        block[9] ^= 1 << 13  # a bit of the scale
        block[255:] -= block.sum(dtype=np.uint16)
        (tmp_path / "a.cwa").write_bytes(raw)
        with pytest.raises(
            RecordingError, match=r"block 6 .* at 8192 counts per g.* before it 6 axes unpacked at 4096"
        ):
            read_cwa(tmp_path / "a.cwa")

    @pytest.mark.parametrize("other", [{"rate_hz": 50.0}, {"range_g": 4}, {"form": "unpacked"}, {"form": "ax6"}])
    @pytest.mark.parametrize("before", [3, PIECE])
    def test_another_way_of_recording_midway(self, tmp_path, other, before):
        written(tmp_path / "a.cwa", movement(before * 120))
        written(tmp_path / "b.cwa", movement(360), **other)
        both = (tmp_path / "a.cwa").read_bytes() + (tmp_path / "b.cwa").read_bytes()[1024:]
        (tmp_path / "c.cwa").write_bytes(both)
        told = rf"block {before} \(byte {1024 + before * 512}\) has .*, the blocks before it packed, 100 Hz, ±8 g; .*"
        with pytest.raises(RecordingError, match=told + rf"blocks=\(0, {before}\) and blocks=\({before}, None\)"):
            read_cwa(tmp_path / "c.cwa")
        assert len(read_cwa(tmp_path / "c.cwa", blocks=(before, None)).samples) == 360


@st.composite
def mutated(draw):
    """Bytes of a small file of any form with a few of them overwritten, cut, or put in."""
    seed, form = draw(st.integers(0, 3)), draw(st.sampled_from(FORMS))
    return draw(st.binary(max_size=700)), draw(st.integers(0, 6000)), draw(st.integers(0, 700)), seed, form


class TestNothingIsLost:
    @given(mutated())
    @settings(max_examples=80, deadline=None)
    def test_every_byte_is_read_or_told(self, tmp_path_factory, case):
        put, place, cut, seed, form = case
        path = tmp_path_factory.mktemp("cwa") / "a.cwa"
        counts = written(path, movement(800, seed=seed), form=form)
        raw = path.read_bytes()
        raw = raw[:place] + put + raw[place + cut :]
        path.write_bytes(raw)
        try:
            read = read_cwa(path)
        except RecordingError:
            return
        report = read.report
        told = sum(fault.size for fault in report.faults if fault.kind in LEFT_OUT.values())
        tail = report.counts.get(TAIL, 0)
        assert 1024 + (len(read.blocks) + told) * 512 + tail == len(raw)
        assert report.blocks == len(read.blocks) + told
        places = {place for kind in LEFT_OUT.values() for place in report.places(kind)}
        assert places.isdisjoint(read.blocks["block"].tolist())
        full = read.layout.capacity
        held = read.blocks["samples"]
        assert set(report.places(PART_FILLED)) <= set(read.blocks["block"][held < full].tolist())
        assert len(read.samples) == held.sum() == report.samples
        # What was read is what was written: rows of the truth, each block by its own number.
        for row in read.blocks:
            truth = counts[row["sequence"] * full :][: row["samples"]]
            np.testing.assert_array_equal(read.samples[row["first"] : row["first"] + row["samples"]], truth)

    @given(st.lists(st.tuples(st.integers(1024, 1024 + 512 * 8 - 1), st.integers(0, 255)), max_size=8), st.booleans())
    @settings(max_examples=80, deadline=None)
    def test_blocks_that_lie_with_a_right_checksum(self, tmp_path_factory, changes, damaged):
        path = tmp_path_factory.mktemp("cwa") / "a.cwa"
        written(path, movement(8 * 120))
        raw = bytearray(path.read_bytes())
        for place, value in changes:
            raw[place] = value
        words = np.frombuffer(raw, "<u2")[512:].reshape(8, 256)
        words[:, 255] = 0
        words[:, 255] = -words.sum(axis=1, dtype=np.uint16)
        raw[0] = 0 if damaged else raw[0]
        path.write_bytes(raw)
        try:
            read = read_cwa(path)
        except RecordingError:
            return
        told = sum(fault.size for fault in read.report.faults if fault.kind in LEFT_OUT.values())
        assert len(read.blocks) + told == 8
        assert read.report.counts.get("damaged header", 0) == damaged
        times = read.times_ns()
        assert len(times) == len(read.samples)
        for run in range(read.report.runs):
            own = np.repeat(read.blocks["run"] == run, read.blocks["samples"])
            assert (np.diff(times[own]) >= 0).all()


@pytest.mark.shared
class TestRealFiles:
    @pytest.mark.parametrize(("name", "largest_ms"), [("skdh_ax3", 17), ("skdh_ax6", 17)])
    def test_scikit_digital_health(self, shared, name, largest_ms):
        read = read_cwa(shared / "data" / "cwa" / f"{name}_sample.cwa")
        theirs = np.load(shared / "data" / "cwa" / f"{name}_data.npz")
        # Theirs is rounded to 6 digits for the AX6, so half of the last one is allowed, and no more.
        np.testing.assert_allclose(read.acceleration_g(), theirs["accel"], rtol=0, atol=5.1e-7)
        assert np.abs(read.times_ns() - theirs["time"] * 1e9).max() < largest_ms * 1e6
        assert read.layout.rate_hz == theirs["fs"][0]

    def test_the_corrupt_file(self, shared):
        whole = read_cwa(shared / "data/cwa/GGIRread_ax3_testfile.cwa")
        name = "GGIRread_ax3_testfile_corrupt_blocks_0_13_14_142_143_144.cwa"
        read = read_cwa(shared / "data/cwa" / name)
        bad = [0, 13, 14, 142, 143, 144]
        assert read.report.places("bad checksum") == bad
        assert {fault.kind for fault in read.report.faults} == {"bad checksum", "clipped samples"}
        rest = np.delete(whole.samples.reshape(145, 120, 3), bad, axis=0)
        np.testing.assert_array_equal(read.samples.reshape(-1, 120, 3), rest)
        assert (whole.report.runs, read.report.runs) == (1, 2)
        # Times of the rest are those of the whole file but for the ends of the runs, whose neighbours are gone.
        theirs = np.delete(whole.times_ns().reshape(145, 120), bad, axis=0).ravel()
        assert np.abs(read.times_ns() - theirs).max() < 8e6

    @pytest.mark.parametrize(
        ("name", "samples", "device", "faults"),
        [
            ("GGIRread_ax3_testfile", 17_400, ("AX3", 39_434), {"clipped samples": 4}),
            ("GGIRread_ax6_testfile", 11_320, ("AX6", 6_011_834), {"clipped samples": 34}),
            ("openmovement_example-610-steps", 71_400, ("AX3", 1841), {}),
            ("skdh_ax3_sample", 58_800, ("AX3", 51_888), {}),
        ],
    )
    def test_what_the_others_hold(self, shared, name, samples, device, faults):
        read = read_cwa(shared / "data" / "cwa" / f"{name}.cwa")
        assert len(read.samples) == samples
        assert (read.header.device, read.header.device_id) == device
        assert read.report.counts == faults
        median = np.median(np.linalg.norm(read.acceleration_g(), axis=1))
        assert 0.9 < median < 1.1  # g

    @pytest.mark.parametrize(
        "name",
        [
            "GGIRread_ax3_testfile",
            "GGIRread_ax6_testfile",
            "actfast_axivity_ax3",
            "actfast_axivity_ax6",
            "openmovement_example-610-steps",
            "skdh_ax3_sample",
            "skdh_ax6_sample",
        ],
    )
    def test_actfast(self, shared, name):
        actfast = pytest.importorskip("actfast", reason="compares with actfast (pip install actfast)")
        path = shared / "data" / "cwa" / f"{name}.cwa"
        read = read_cwa(path)
        theirs = actfast.read(path)["timeseries"]
        np.testing.assert_array_equal(read.acceleration_g(), theirs["high_frequency"]["acceleration"])
        # They count from each block's stamp at the nominal rate; these devices run up to 1.5 % slower.
        assert np.abs(read.times_ns() - theirs["high_frequency"]["datetime"]).max() < 25e6
        np.testing.assert_array_equal(read.blocks["light"], theirs["low_frequency"]["light"])
        np.testing.assert_array_equal(read.blocks["temperature_c"], theirs["low_frequency"]["temperature"])
