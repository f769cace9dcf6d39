"""The same task for many items: in this process, or on workers of Dask (DESIGN 7).

Local workers are processes with one task at a time and cores / workers threads each for torch and BLAS, set before these
are imported. On a cluster, somebody starts a scheduler and workers, by hand

    dask scheduler
    dask worker tcp://HOST:8786 --nworkers 8 --nthreads 1

or, on Slurm, with `dask_jobqueue.SLURMCluster(cores=1, processes=1, ...)`, and gives scheduler=tcp://HOST:8786; threads
are then theirs to set (OMP_NUM_THREADS), and files must lie where every worker finds them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from selfpab.config import ConfigError

if TYPE_CHECKING:
    from distributed import Future

Item = TypeVar("Item")
THREADS: tuple[str, ...] = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
)
CONNECT_S = 10.0  # within which a scheduler must answer
CHECK_S = 20.0  # between looks at whether there still are workers
CONNECTED = ("running", "connecting")  # Dask's words for a client that has a scheduler, or is looking for it again
LOST = "the connection to the Dask scheduler was lost; the same command goes on when there is one"
PATIENCE = "120 s"  # local workers that do not come back within it are given up
HOW = "start one with `dask scheduler`, and workers with `dask worker ADDRESS --nworkers N --nthreads 1`"


def in_parallel(
    task: Callable[[Item], Any],
    items: Sequence[Item],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Generator[tuple[Item, Any], None, None]:
    """Yield (item, result of the task, or the Exception it raised), as they finish; begun in the order of `items`.

    Parameters
    ----------
    task : a function that workers can import, or small enough to be sent whole.
    items : small plain values; large data are for the task to open, once per process.
    workers : processes on this machine; 1 runs in this process, and Dask is not even imported.
    scheduler : the address of a Dask scheduler that is already there; `workers` then does not matter.
    say : told, in a line, that a worker died and its task was begun anew, and that there are no workers.

    An item whose worker dies (killed, out of memory) is begun anew, twice at most: it may have been the neighbour's
    fault. Then its outcome is a RuntimeError. Where the scheduler goes away, that of all items without one is a
    ConnectionError. Raises ConfigError for `workers` below 1, and for a scheduler that does
    not answer or whose workers run more than one task at a time. Close the iterator (`contextlib.closing`) to stop the
    workers early; tasks under way are then killed.

    >>> sorted(in_parallel(abs, [-2, 1]))
    [(-2, 2), (1, 1)]
    """
    check_workers(workers)
    if scheduler is not None and items:
        return _on_workers(
            task, items, partial(_existing, scheduler), len(items), say
        )  # it may grow by what it is given
    if workers == 1 or not items:
        return _here(task, items)
    workers = min(workers, len(items))
    return _on_workers(task, items, partial(_local, workers), workers, say)


def check_workers(workers: int) -> None:
    """ConfigError for a number that makes no sense."""
    if workers < 1:
        raise ConfigError(
            f"workers must be at least 1 (1: in this process; N: N processes on this machine), got {workers}"
        )


def part_of(items: Sequence[Item], part: str) -> list[Item]:
    """The share of one of several calls, such as the jobs of an array: every item is in one of n.

    >>> part_of("abcdefg", "1/3"), part_of("abcdefg", "3/3")
    (['a', 'd', 'g'], ['c', 'f'])
    """
    numbers = part.split("/")
    if len(numbers) != 2 or not all(n.isdecimal() for n in numbers) or not 1 <= int(numbers[0]) <= int(numbers[1]):
        raise ConfigError(f"part must be the number of a part and how many there are, such as 2/8, got {part!r}")
    return list(items[int(numbers[0]) - 1 :: int(numbers[1])])


def threads_each(workers: int) -> int:
    """Threads of one of so many workers on this machine: the cores this process may use, shared out; no more than
    OMP_NUM_THREADS, where that is set."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores // workers, int(most) if most.isdigit() else cores))


def _here(task: Callable[[Item], Any], items: Sequence[Item]) -> Generator[tuple[Item, Any], None, None]:
    for item in items:
        try:
            outcome = task(item)
        except Exception as error:
            outcome = error
        yield item, outcome


def _on_workers(
    task: Callable[[Item], Any],
    items: Sequence[Item],
    connect: Callable[[], Any],
    at_once: int,
    say: Callable[[str], object],
) -> Generator[tuple[Item, Any], None, None]:
    """`at_once`: tasks given away before one is done; those that wait at a worker count as failed when it dies."""
    run = uuid4().hex[:8]  # keys of two calls on one scheduler must differ
    names = {f"selfpab-{run}-{number:05}": item for number, item in enumerate(items)}
    left = iter(names.items())
    waiting: dict[Future, Item] = {}
    finished: SimpleQueue[Future] = SimpleQueue()  # asking all of many thousand futures after each would take hours

    def on_event(event: tuple[float, Any]) -> None:
        if isinstance(event[1], dict) and event[1].get("action") == "remove-worker" and not event[1]["expected"]:
            for key in sorted(set(event[1]["processing-tasks"]) & set(names)):
                say(f"a worker died (killed, or out of memory?) at {names[key]}")

    with connect() as client:
        client.subscribe_topic("all", on_event)
        try:
            while True:
                for key, item in islice(left, at_once - len(waiting)):
                    call = partial(task, item)  # without arguments, in which Dask would look for its own keys
                    future = client.submit(call, key=key, priority=-int(key.rpartition("-")[2]), pure=False)
                    waiting[future] = item
                    future.add_done_callback(finished.put)
                if not waiting:
                    return
                try:
                    future = finished.get(timeout=CHECK_S)
                except Empty:
                    if client.status not in CONNECTED:
                        break
                    with suppress(OSError):  # the scheduler may go this very moment
                        if client.status == "running" and not client.nthreads():
                            say("there are no workers at the moment; waiting for them")
                    continue
                try:
                    outcome = _outcome(future)  # asks the scheduler
                except (OSError, CancelledError):
                    break
                item = waiting.pop(future)
                future.release()  # a result kept on a worker would be made again if that worker died
                yield item, outcome
            say(LOST)
            for item in (*waiting.values(), *(item for _, item in left)):
                yield item, ConnectionError(LOST)
        finally:
            if client.status == "running":
                with suppress(OSError):
                    client.unsubscribe_topic("all")


def _outcome(future: Future) -> Any:
    """Result or exception; of a worker's death, what that means."""
    from distributed import KilledWorker

    error = future.exception()
    if isinstance(error, KilledWorker):
        times = error.allowed_failures + 1
        return RuntimeError(f"its worker died {times} times (killed, or out of memory?); take fewer workers=")
    return future.result() if error is None else error


@contextmanager
def _local(workers: int) -> Iterator[Any]:
    """Processes on this machine; mapped files would count towards Dask's memory limits, so there are none."""
    from dask import config
    from distributed import Client, LocalCluster

    before = {name: os.environ.get(name) for name in (*THREADS, "PYTHONHASHSEED", "__DASK_PARENT_PID")}
    threads: dict[str, str] = dict.fromkeys(THREADS, str(threads_each(workers)))
    settings = {
        "distributed.nanny.pre-spawn-environ": threads,
        "distributed.scheduler.allowed-failures": 2,
        "distributed.scheduler.no-workers-timeout": PATIENCE,
    }
    os.environ.update(threads)  # what a user set would win over Dask's settings
    try:
        with (
            config.set(settings),
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,  # torch's generator of random numbers belongs to a process
                memory_limit=None,
                dashboard_address="127.0.0.1:0",  # any free port: 8787, where another cluster may be, otherwise
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client
    finally:  # Dask, too, sets its workers' environment in this process, and leaves it so
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _existing(scheduler: str) -> Iterator[Any]:
    from distributed import Client
    from distributed.utils import silence_logging_cmgr

    try:
        client: Any = Client(scheduler, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no Dask scheduler answers at scheduler={scheduler} within {CONNECT_S:g} s; {HOW}"
        ) from error
    with silence_logging_cmgr(logging.CRITICAL), client:  # what matters is said; a scheduler's end would be a traceback
        if wrong := {address: threads for address, threads in client.nthreads().items() if threads != 1}:
            address, threads = next(iter(wrong.items()))
            raise ConfigError(
                f"the worker {address} of scheduler={scheduler} runs {threads} tasks at a time, which would share one "
                "generator of random numbers; start workers with --nthreads 1"
            )
        yield client
