"""Arrays that may be larger than memory."""

import errno
import os
import pickle
import tempfile

import numpy as np
import pytest

from selfpab.scratch import room_for
from tests.mapped_arrays import is_mapped


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("selfpab.scratch.IN_MEMORY", 24)
    return tmp_path


def test_small_ones_lie_in_memory():
    found = room_for((4, 3), np.int16)
    assert found.shape == (4, 3)
    assert found.dtype == np.int16
    assert not is_mapped(found)


def test_larger_ones_lie_in_a_file_without_a_name(temporary):
    found = room_for((5, 3), np.int16)
    assert is_mapped(found)
    assert (found.shape, found.dtype, found.flags.writeable) == ((5, 3), np.int16, True)
    found[:] = 7
    np.testing.assert_array_equal(found[1:3], np.full((2, 3), 7))
    assert not list(temporary.iterdir())


def test_how_much_is_small_can_be_said():
    assert is_mapped(room_for(5, np.int16, in_memory=8))
    assert not is_mapped(room_for(500, np.int16, in_memory=1000))


@pytest.mark.parametrize("length", [3, np.int64(3)])
def test_structures_and_plain_lengths(length):
    fields = np.dtype([("a", np.int64), ("b", np.float32, (3,))])
    found = room_for(length, fields)
    assert is_mapped(found)
    found["b"] = 2.5
    np.testing.assert_array_equal(found["b"][2], [2.5, 2.5, 2.5])
    assert not is_mapped(room_for(length // 3, fields))


def test_they_can_be_sent_to_other_processes():
    """Which is done by content: the file has no name by which another could open it."""
    found = room_for((5, 3), np.int16)
    found[:] = 3
    assert not isinstance(found, np.memmap)  # joblib opens those by name
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)), found)


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("place", "name"), [(os, "posix_fallocate"), (tempfile, "TemporaryFile")])
def test_a_full_disk_means_memory_and_so_does_nowhere_to_write(place, name, monkeypatch):
    monkeypatch.setattr(place, name, full)
    found = room_for(100, np.int16)
    assert not is_mapped(found)
    assert found.shape == (100,)


def test_so_does_a_system_that_cannot_lay_out_files(monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    assert not is_mapped(room_for(100, np.int16))


def test_nothing_at_all():
    assert room_for((0, 3), np.int16).shape == (0, 3)
