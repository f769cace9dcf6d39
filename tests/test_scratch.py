"""Arrays that may be larger than memory."""

import os

import numpy as np
import pytest

from selfpab.scratch import room_for


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_small_ones_lie_in_memory():
    found = room_for((4, 3), np.int16, in_memory=24)
    assert found.shape == (4, 3)
    assert found.dtype == np.int16
    assert not isinstance(found, np.memmap)


def test_larger_ones_lie_in_a_file_without_a_name(temporary):
    found = room_for((5, 3), np.int16, in_memory=24)
    assert isinstance(found, np.memmap)
    assert (found.shape, found.dtype) == ((5, 3), np.int16)
    found[:] = 7
    np.testing.assert_array_equal(found[1:3], np.full((2, 3), 7))
    assert not list(temporary.iterdir())


def test_structures_and_plain_lengths():
    fields = np.dtype([("a", np.int64), ("b", np.float32, (3,))])
    found = room_for(10, fields, in_memory=199)
    assert isinstance(found, np.memmap)
    found["b"] = 2.5
    np.testing.assert_array_equal(found["b"][9], [2.5, 2.5, 2.5])
    assert not isinstance(room_for(10, fields, in_memory=200), np.memmap)


def test_a_full_disk_means_memory(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    found = room_for(100, np.int16, in_memory=0)
    assert not isinstance(found, np.memmap)
    assert found.shape == (100,)


def test_so_does_a_system_that_cannot_lay_out_files(monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    assert not isinstance(room_for(100, np.int16, in_memory=0), np.memmap)


def test_nothing_at_all():
    assert room_for((0, 3), np.int16).shape == (0, 3)
