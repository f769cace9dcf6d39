"""Every planted fault is told, exactly there, and nothing else is."""

import re
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpab.devices import cwa_report
from selfpab.devices.cwa import read_cwa
from selfpab.devices.cwa_writer import FORMS, Planted, layout_for, quantised, write_cwa

START = datetime(2024, 3, 31, 1, 59, 0)
SAMPLES = np.random.default_rng(0).uniform(-2, 2, (30 * 120, 3))


def read(path, samples=SAMPLES, **settings):
    settings = {"form": "packed", "rate_hz": 100.0, "range_g": 8, "start": START, "device_id": 7} | settings
    write_cwa(path / "a.cwa", samples, **settings)
    return read_cwa(path / "a.cwa")


def told(recording) -> list[tuple[str, int, int]]:
    return [(fault.kind, fault.block, fault.size) for fault in recording.report.faults]


@pytest.mark.parametrize(
    ("planted", "faults", "runs"),
    [
        (Planted(), [], 1),
        (Planted(bad_checksums=[0, 13, 14]), [("bad checksum", 0, 1), ("bad checksum", 13, 2)], 2),
        (Planted(erased=[28, 29]), [("erased", 28, 2)], 1),
        (Planted(erased=[5], bad_checksums=[4]), [("bad checksum", 4, 1), ("erased", 5, 1)], 2),
        (Planted(missing=[3, 4, 9]), [("missing blocks", 3, 2), ("missing blocks", 7, 1)], 3),
        (Planted(missing=[0]), [("missing blocks", 0, 1)], 1),
        (Planted(restarts={10: 242.0}), [("restart", 10, 1)], 2),
        (Planted(restarts={10: -60.0, 20: 1.0}), [("restart", 10, 1), ("restart", 20, 1)], 3),
        (Planted(restarts={10: 5.0}, bad_checksums=[10]), [("bad checksum", 10, 1), ("restart", 11, 1)], 2),
        (Planted(sequence_jumps={6: 4}), [("missing blocks", 6, 4)], 2),
        (Planted(untimed=[2, 3, 8]), [("time unknown", 2, 2), ("time unknown", 8, 1)], 1),
        (Planted(empty=[5]), [("part-filled block", 5, 1), ("clock jump", 6, 1)], 2),
        (Planted(cut_bytes=200), [("truncated tail", 29, 312)], 1),
        (Planted(cut_bytes=512), [], 1),
        (Planted(header_rate_hz=50.0), [("wrong rate", -1, 1)], 1),
        (Planted(header_start=START, header_stop=START + timedelta(seconds=36)), [], 1),
        (Planted(header_start=START + timedelta(seconds=5.2)), [("before the configured start", 0, 3)], 1),
        (Planted(header_stop=START + timedelta(seconds=30)), [("after the configured stop", 27, 3)], 1),
    ],
)
def test_what_is_planted_is_told(tmp_path, planted, faults, runs):
    found = read(tmp_path, planted=planted)
    assert told(found) == faults
    assert found.report.runs == runs
    assert found.report.readable == len(found.blocks)
    text = str(found.report).splitlines()
    assert text[0].endswith(f"{len(found.samples)} samples in {runs} runs")
    assert [line.split(":")[0] for line in text[1:]] == [kind for kind, _, _ in faults]


@pytest.mark.parametrize(
    ("planted", "words"),
    [
        (Planted(bad_checksums=[13, 14]), "bad checksum: blocks 13 to 14 left out"),
        (Planted(restarts={10: 242.0}), r"at block 10 \(sequence 9 -> 0, the device says that it resumed\); 242.000 s"),
        (Planted(restarts={10: -60.0}), "the clock goes back by 60.000 s"),
        (Planted(missing=[3, 4]), r"2 before block 3 \(sequence 2 -> 5\); 2.400 s without samples"),
        (Planted(missing=[0]), "the file begins at sequence number 1: 1 blocks before it are not in it"),
        (Planted(cut_bytes=200), "the file ends 200 bytes before the end of block 29"),
        (Planted(empty=[5]), "at block 6 the clock leaps by .1.200 s; nothing is missing by number"),
        (Planted(header_rate_hz=50.0), "the header says 50 Hz, the blocks 100 Hz; the blocks are believed"),
        (Planted(restarts={9: 2.0}, untimed=[9]), "restart: .* for how long is not known"),
        (
            Planted(header_start=START + timedelta(seconds=5)),
            "block 0 at 2024-03-31 01:59:00; configured was 2024-03-31 01:59:05",
        ),
    ],
)
def test_how_it_is_told(tmp_path, planted, words):
    assert re.search(words, str(read(tmp_path, planted=planted).report))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("range_g", [2, 4, 8, 16])
def test_clipped_samples(tmp_path, form, range_g):
    layout = layout_for(form, 100.0, range_g)
    samples = np.full((6 * layout.capacity, 3), range_g * 0.99)
    clipped = [3, layout.capacity, layout.capacity + 1, 5 * layout.capacity - 1]
    samples[clipped, [0, 1, 2, 0]] = range_g * np.array([1.2, -1.2, 1.2, -1.0])
    found = read(tmp_path, samples, form=form, range_g=range_g)
    assert told(found) == [("clipped samples", 0, 4)]
    assert found.blocks["clipped"].tolist() == [1, 2, 0, 0, 1, 0]
    assert f"4 samples of 3 blocks at the end of ±{range_g} g, first in block 0" in str(found.report)


def test_a_scale_at_which_the_range_does_not_fit_into_16_bits(tmp_path):
    """Bits that lie with a right checksum (fuzzed): values end where int16 does."""
    samples = np.full((40, 3), 0.5)
    samples[7, 1] = 16.0
    read(tmp_path, samples, form="ax6", range_g=16)
    raw = bytearray((tmp_path / "a.cwa").read_bytes())
    raw[1024 + 18 : 1024 + 20] = (7 << 13).to_bytes(2, "little")  # 32,768 counts per g
    raw[1024 + 510 :] = (-int(np.frombuffer(raw[1024 : 1024 + 510], "<u2").sum()) & 0xFFFF).to_bytes(2, "little")
    (tmp_path / "a.cwa").write_bytes(raw)
    found = read_cwa(tmp_path / "a.cwa")
    assert (found.layout.counts_per_g, found.layout.limits) == (32_768, (-32_768, 32_767))
    assert ("clipped samples", 0, 1) in told(found)


def test_clipped_samples_that_the_block_does_not_hold(tmp_path):
    found = read(tmp_path, SAMPLES[:130])
    raw = bytearray((tmp_path / "a.cwa").read_bytes())
    raw[1024 + 512 + 30 + 11 * 4 : 1024 + 1024 - 2] = b"\xff\x81\x07\xc0" * 109
    words = np.frombuffer(raw, "<u2")[768:]
    words[255:] -= words.sum(dtype=np.uint16)
    (tmp_path / "a.cwa").write_bytes(raw)
    again = read_cwa(tmp_path / "a.cwa")
    np.testing.assert_array_equal(again.samples, found.samples)
    assert told(again) == [("part-filled block", 1, 1)]


@pytest.mark.parametrize(
    ("place", "value", "faults"),
    [
        (0, 0, [("damaged header", -1, 1)]),
        (4, 0x55, [("odd hardware", -1, 1)]),
        (36, 0x8A, [("wrong range", -1, 1)]),
        (36, 0x40, [("wrong rate", -1, 1), ("wrong range", -1, 1)]),
        (41, 0, [("odd firmware", -1, 1)]),
        (41, 255, [("odd firmware", -1, 1)]),
        (41, 44, []),
        (7, 2, [("other session", 0, 30)]),
        (5, 8, [("other device", 0, 30)]),
    ],
)
def test_a_header_that_is_not_as_the_blocks(tmp_path, place, value, faults):
    whole = read(tmp_path, fraction=False)
    raw = bytearray((tmp_path / "a.cwa").read_bytes())
    raw[place] = value
    (tmp_path / "a.cwa").write_bytes(raw)
    found = read_cwa(tmp_path / "a.cwa")
    assert told(found) == faults
    np.testing.assert_array_equal(found.samples, whole.samples)


def test_an_ax3_with_six_axes(tmp_path):
    read(tmp_path, form="ax6")
    raw = bytearray((tmp_path / "a.cwa").read_bytes())
    raw[4] = 0x17
    (tmp_path / "a.cwa").write_bytes(raw)
    assert "odd hardware: the header says AX3, but the blocks have 6 axes" in str(read_cwa(tmp_path / "a.cwa").report)


def test_blocks_name_the_low_bits_of_the_device(tmp_path):
    assert told(read(tmp_path, device_id=0x1_8007, fraction=False)) == []
    assert told(read(tmp_path, device_id=0x1_8007, fraction=True)) == []


def test_a_part_does_not_miss_what_is_before_it(tmp_path):
    read(tmp_path, planted=Planted(missing=[0], bad_checksums=[7]))
    part = read_cwa(tmp_path / "a.cwa", blocks=(3, 8))
    assert told(part) == [("bad checksum", 6, 1)]


def test_foreign_blocks_and_counts(tmp_path):
    read(tmp_path)
    raw = bytearray((tmp_path / "a.cwa").read_bytes())
    for block in (4, 5, 9):
        raw[1024 + 512 * block] = 0
    (tmp_path / "a.cwa").write_bytes(raw)
    report = read_cwa(tmp_path / "a.cwa").report
    assert report.places(cwa_report.LEFT_OUT[cwa_report.FOREIGN]) == [4, 5, 9]
    assert report.counts == {"no data block": 3}
    assert [fault.byte for fault in report.faults] == [1024 + 512 * 4, 1024 + 512 * 9]
    assert cwa_report.Fault("wrong rate", -1, 1, "").byte == 0


@given(st.dictionaries(st.integers(1, 28), st.sampled_from(["bad", "erased", "missing", "untimed", "restart"])))
@settings(max_examples=60, deadline=None)
def test_any_faults_together(tmp_path_factory, faults):
    path = tmp_path_factory.mktemp("cwa")
    of = {kind: [block for block, k in faults.items() if k == kind] for kind in set(faults.values())}
    bad, erased, missing = (of.get(kind, []) for kind in ("bad", "erased", "missing"))
    restarts = {block: 30.0 for block in of.get("restart", [])}
    found = read(
        path,
        planted=Planted(
            bad_checksums=bad, erased=erased, missing=missing, untimed=of.get("untimed", []), restarts=restarts
        ),
    )
    place = {block: block - sum(other < block for other in missing) for block in range(30)}
    report = found.report
    assert report.places("bad checksum") == sorted(place[block] for block in bad)
    assert report.places("erased") == sorted(place[block] for block in erased)
    assert report.places("restart") == sorted(place[block] for block in restarts)
    assert report.counts.get("time unknown", 0) == len(of.get("untimed", []))
    # A restart right after hides how many were missing: nobody can count what came after the last number.
    hidden = sum(
        1
        for block in missing
        if any(set(range(block + 1, r)) <= {*missing, *bad, *erased} for r in restarts if r > block)
    )
    assert report.counts.get("missing blocks", 0) == len(missing) - hidden
    left = [block for block in range(30) if block not in {*bad, *erased, *missing}]
    truth = quantised(SAMPLES, found.layout).reshape(30, 120, 3)[left].reshape(-1, 3)
    np.testing.assert_array_equal(found.samples, truth)
