"""One of many processes dies: the others end soon, and one of them says what happened and how to go on (ours).

Under `torchrun` the death of a process reaches the others on one of two ways: their next exchange of gradients fails, or
torchrun, which sees the death within a tenth of a second, sends them SIGTERM. A process that waits for the dead one inside
torch would not hear the signal, so a thread does. A process that hangs, or a machine that vanishes without a word, is given
up after `LOST_S`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any

from torch.distributed import DistError, TCPStore  # pyright: ignore[reportPrivateImportUsage]

LOST_S = 300.0  # no process may let the others wait longer; saving and validating take seconds
GRACE_S = 5.0  # within which torchrun ends the processes beside a dead one
EXCHANGE = ("gloo", "nccl", "connection closed", "connection reset", "timed out", "socket")  # in what torch then says


class ProcessLost(RuntimeError):
    """Another process of the run is gone."""


@contextmanager
def others_watched(processes: int, how_to_go_on: Callable[[], str]) -> Iterator[None]:
    """While the body runs, SIGTERM or a failed exchange with the others ends this process with a message.

    how_to_go_on : a sentence, asked for when it is needed. Raises ProcessLost where the exchange failed and nobody ends
    this process. For one process this does nothing. Call it in the main thread.
    """
    if processes == 1:
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    over = Event()

    def listen() -> None:
        received = os.read(reader, 1)
        if not over.is_set() and signal.SIGTERM in received:
            if first_to_speak():
                what = f"one of the {processes} processes was lost (killed? out of memory?), or the job's time is over"
                print(f"selfpab: {what}; {how_to_go_on()}", file=sys.stderr, flush=True)
            os._exit(1)  # the main thread may wait for the dead process

    def nothing(*_: Any) -> None:
        """A handler of Python's own must be there for the wake-up."""

    handler = signal.signal(signal.SIGTERM, nothing)
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    listener = Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield
    except RuntimeError as error:
        if not _of_exchange(error):
            raise
        listener.join(GRACE_S)  # torchrun is to see the first death first, and name it
        reason = str(error).splitlines()[0]
        raise ProcessLost(f"another of the {processes} processes was lost ({reason}); {how_to_go_on()}") from error
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, handler)
        over.set()
        os.write(writer, b"\0")
        listener.join()
        os.close(reader)
        os.close(writer)


def first_to_speak() -> bool:
    """Whether no other process of this run has asked before; yes where torchrun's store does not answer."""
    host, port = os.environ.get("MASTER_ADDR", "localhost"), os.environ.get("MASTER_PORT", "")
    key = f"selfpab lost {os.environ.get('TORCHELASTIC_RESTART_COUNT')}"  # the store lives on when torchrun begins anew
    try:
        return TCPStore(host, int(port), is_master=False, timeout=timedelta(seconds=2)).add(key, 1) == 1
    except (ValueError, RuntimeError):
        return True


def _of_exchange(error: RuntimeError) -> bool:
    return isinstance(error, DistError) or any(word in str(error).lower() for word in EXCHANGE)
