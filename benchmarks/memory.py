"""The most that this process needs at once: anonymous memory, sampled; mapped files are the kernel's to take back.

Imports nothing heavy, so that what is measured is not its own.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY_S = 0.02


def status_mb(what: str) -> float:
    """A figure of this process as the kernel tells it: RssAnon (not of mapped files), VmHWM (the most that ever was resident)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def anonymous_mb() -> float:
    """Memory of this process that is not a mapped file."""
    return status_mb("RssAnon")


@contextmanager
def watched() -> Iterator[Callable[[], float]]:
    """Within, a thread looks every 20 ms; what it gives says the largest so far, in MB."""
    found, done = [anonymous_mb()], threading.Event()

    def look() -> None:
        while not done.wait(EVERY_S):
            found[0] = max(found[0], anonymous_mb())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield lambda: max(found[0], anonymous_mb())
    finally:
        done.set()
        watcher.join()
