"""Asking glibc is harmless, and elsewhere nothing happens."""

import ctypes
import sys

import pytest

from selfpab import allocator
from selfpab.allocator import keep_freed_memory


class Libc:
    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def mallopt(self, option, value):
        self.asked.append((option, value))
        return self.answer(option)


def test_elsewhere_than_on_linux_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("asked"))
    assert keep_freed_memory() is False


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_another_c_library_is_no_error(monkeypatch, error):
    def refuse(_):
        raise error

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert keep_freed_memory() is False


@pytest.mark.parametrize("refused", [None, allocator.M_MMAP_THRESHOLD, allocator.M_ARENA_MAX])
def test_all_four_are_asked_even_if_one_is_refused(monkeypatch, refused):
    libc = Libc(lambda option: int(option != refused))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libc)
    assert keep_freed_memory() is (refused is None)
    assert dict(libc.asked) == {-3: 2**31 - 1, -1: 2**31 - 1, -2: 64 << 20, -8: 1}
