"""What the writer promises beyond the round trip of `test_cwa`: bytes by the description, errors, quantisation."""

from datetime import datetime

import numpy as np
import pytest

from selfpab.devices.cwa_blocks import BLOCK, checksums, clock_ns
from selfpab.devices.cwa_writer import FORMS, PIECE, Planted, layout_for, quantised, stamps_of, write_cwa

START = datetime(2023, 12, 31, 23, 59, 50)


def write(path, samples, **settings):
    write_cwa(path, samples, **({"form": "packed", "rate_hz": 100.0, "range_g": 8, "start": START} | settings))
    return np.frombuffer(path.read_bytes()[1024:], BLOCK)


def test_a_file_byte_by_byte(tmp_path):
    samples = np.array([[1.0, -1.0, 0.5], [3.0, 0.0, -8.0]])
    blocks = write(tmp_path / "a.cwa", samples, session_id=3, light=5)
    assert (tmp_path / "a.cwa").read_bytes()[:5] == b"MD\xfc\x03\x17"
    assert blocks[0].tobytes()[:4] == b"AX\xfc\x01"
    assert (blocks["session"], blocks["count"], blocks["rate"], blocks["coding"]) == (3, 2, 0x4A, 0x30)
    words = blocks["data"].view("<u4")[0]
    assert words[0] == 256 | (-256 & 1023) << 10 | 128 << 20
    assert words[1] == 192 | (-512 & 1023) << 20 | 2 << 30
    assert not words[2:].any()
    # The clock is read 120 samples on, at 51.2 s; a fifth of a second is 20 samples, less one for the cut fraction.
    assert clock_ns(blocks["stamp"]).astype("datetime64[ns]")[0] == np.datetime64("2023-12-31T23:59:51")
    assert (blocks["fraction"] & 0x7FFF, blocks["stamp_index"]) == (6553, 120 - 19)
    assert checksums(blocks).tolist() == [0]


@pytest.mark.parametrize("form", FORMS)
def test_blocks_are_full_but_the_last(tmp_path, form):
    layout = layout_for(form, 100.0, 8)
    blocks = write(tmp_path / "a.cwa", np.zeros((3 * layout.capacity + 1, 3)), form=form)
    assert blocks["count"].tolist() == [layout.capacity] * 3 + [1]
    assert not checksums(blocks).any()


def test_pieces_join(tmp_path):
    samples = np.zeros(((PIECE + 3) * 120, 3))
    blocks = write(tmp_path / "a.cwa", samples, planted=Planted(missing=[PIECE - 1, PIECE + 1]))
    assert np.delete(np.arange(PIECE + 3), [PIECE - 1, PIECE + 1]).tolist() == blocks["sequence"].tolist()


def test_quantised_as_the_device_does():
    packed = layout_for("packed", 100.0, 16)
    g = np.array([[511, -511.6, 0.6], [512, 513, 514], [1.4, -1.6, 3000], [9999, -9999, 0]]) / 256
    assert quantised(g, packed).tolist() == [[511, -512, 1], [512, 512, 514], [0, -8, 3000], [4088, -4096, 0]]
    six = layout_for("ax6", 100.0, 16)
    assert quantised(np.array([[1.0, 16.0, -17.0]]), six).tolist() == [[2048, 32767, -32768]]


def test_stamps_and_the_clock_are_inverse():
    seconds = np.arange(0, 3 * 366 * 86_400, 86_399)
    start = datetime(2023, 1, 30, 23, 0, 1)
    truth = int(np.datetime64(start, "ns").astype(np.int64)) + seconds * 10**9
    np.testing.assert_array_equal(clock_ns(stamps_of(start, seconds)), truth)


@pytest.mark.parametrize("other", [{"form": "ax9"}, {"rate_hz": 60.0}, {"range_g": 6}])
def test_what_no_device_writes(tmp_path, other):
    with pytest.raises(ValueError, match=r"no device writes .*wanted a form of"):
        write(tmp_path / "a.cwa", np.zeros((1, 3)), **other)


def test_faults_in_blocks_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="planted faults in the blocks 2 to 9; the file has 0 to 4"):
        write(tmp_path / "a.cwa", np.zeros((600, 3)), planted=Planted(missing=[2], sequence_jumps={9: 1}))
    assert not list(tmp_path.iterdir())


def test_metadata_has_its_room(tmp_path):
    with pytest.raises(ValueError, match=r"metadata needs 502 bytes; a \.cwa file has room for 448"):
        write(tmp_path / "a.cwa", np.zeros((1, 3)), metadata={"_": "x" * 500})
