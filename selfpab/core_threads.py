"""A thread for each core, instead of all cores for each product.

The products of prediction are small: sharing every one of them out makes the cores wait for each other at its end, and
while samples are cut into frames all but one are idle. Given to one thread each, whole blocks of windows keep all cores
busy, and what comes out does not depend on how many there are.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from selfpab.workers import threads_each

Item = TypeVar("Item")
Result = TypeVar("Result")


def one_core_each(task: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in the order of the items, as many at once as torch has threads here, each with one of them.

    Where nobody has imported torch, as many as there are cores (`workers.threads_each`).
    Of the items only those are taken that are worked on or about to be. What a task raises is raised where its result
    would have come. Inference mode, autocast and gradients are a thread's own: a task has to set them itself.

    >>> list(one_core_each(lambda number: number**2, range(4)))
    [0, 1, 4, 9]
    """
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else threads_each(1)
    if threads == 1:
        yield from map(task, items)
        return
    waiting: deque[Future[Result]] = deque()
    left = iter(items)

    def begin() -> None:
        if torch:
            torch.get_num_threads()  # else the number would be looked up at this thread's first product, and taken over
            torch.set_num_threads(1)

    pool = ThreadPoolExecutor(threads, initializer=begin)
    try:
        waiting.extend(pool.submit(task, item) for item in islice(left, threads + 1))
        while waiting:
            result = waiting.popleft().result()
            if torch:
                torch.set_num_threads(threads)  # of threads that begin from now on; this one kept its own
            waiting.extend(pool.submit(task, item) for item in islice(left, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
        if torch:
            torch.set_num_threads(threads)
