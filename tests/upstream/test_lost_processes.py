"""What a process does when another one is gone."""

import os
import signal
import subprocess
import sys
import time

import pytest
from torch.distributed import TCPStore

from selfpab.upstream import lost_processes as module
from selfpab.upstream.lost_processes import ProcessLost, first_to_speak, others_watched

GLOO = "[../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:4"
STUCK = """
import ctypes, sys
from selfpab.upstream.lost_processes import others_watched

with others_watched(3, lambda: "how to go on"):
    lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64)
    lock(mutex)
    print("waiting", flush=True)
    lock(mutex)  # for ever, inside C, as for a dead GPU process
"""


def fail(said: str):
    raise RuntimeError(said)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(module, "GRACE_S", 0.05)


def test_one_process_has_nobody_to_lose():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError, match="gloo") as error, others_watched(1, lambda: pytest.fail("asked")):
        fail(GLOO)
    assert error.type is RuntimeError
    with others_watched(1, str):
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("said", [GLOO, "NCCL communicator was aborted on rank 1", "Socket Timeout"])
def test_a_failed_exchange_says_what_was_lost_and_how_to_go_on(said):
    before = signal.getsignal(signal.SIGTERM)
    wanted = pytest.raises(ProcessLost, match=r"^another of the 4 processes was lost \(.*\); call again$")
    with wanted as error, others_watched(4, lambda: "call again"):
        fail(said + "\nand a stack of C++")
    assert said in str(error.value)
    assert "C++" not in str(error.value)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("error", [RuntimeError("shapes do not fit"), FloatingPointError("the loss became nan")])
def test_errors_of_another_kind_stay_as_they_are(error):
    with pytest.raises(type(error)) as found, others_watched(4, lambda: pytest.fail("asked")):
        raise error
    assert found.value is error


def test_nothing_is_left_behind():
    handles = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    for _ in range(3):
        with others_watched(2, str):
            pass
    assert not handles or len(os.listdir("/proc/self/fd")) == handles
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.skipif(sys.platform != "linux", reason="the lock is glibc's")
def test_a_process_that_waits_inside_torch_is_told_all_the_same():
    child = subprocess.Popen((sys.executable, "-c", STUCK), stdout=-1, stderr=-1, text=True)
    assert child.stdout
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(signal.SIGTERM)
    began = time.monotonic()
    said = child.communicate(timeout=30)[1]
    assert time.monotonic() - began < 10
    assert child.returncode == 1
    assert said.splitlines()[-1] == (
        "selfpab: one of the 3 processes was lost (killed? out of memory?), or the job's time is over; how to go on"
    )


def test_one_process_speaks_for_all(monkeypatch):
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", str(store.port))
    assert [first_to_speak() for _ in range(3)] == [True, False, False]
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert first_to_speak()


def test_without_torchruns_store_everybody_speaks(monkeypatch):
    monkeypatch.delenv("MASTER_PORT", raising=False)
    assert first_to_speak()
    assert first_to_speak()
