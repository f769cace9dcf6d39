"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere.

Only this module and the command line print; everything else is given a `Progress`.
"""

from __future__ import annotations

import sys
import time
from typing import Any

PLAIN_EVERY_S = 30.0


class Progress:
    """A counted piece of work, told to a text `stream` (standard error by default).

    >>> import io
    >>> with Progress("folds", 2, stream=io.StringIO()) as progress:
    ...     progress.advance(note="F1 0.61")
    ...     progress.say("one left")
    >>> progress.done
    1
    """

    def __init__(self, label: str, total: int, *, done: int = 0, stream: Any = None, quiet: bool = False) -> None:
        self.label, self.total, self.done, self.quiet = label, total, done, quiet
        self.stream = stream or sys.stderr
        self.began, self.first, self.last_line = time.monotonic(), done, 0.0
        self.bar = None
        if not quiet and self.stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Bar(*columns, TextColumn("{task.fields[note]}", markup=False), console=Console(file=self.stream))
            self.task = self.bar.add_task(label, total=total, completed=done, note="")

    def __enter__(self) -> Progress:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def advance(self, by: int = 1, note: str = "") -> None:
        """So much more is done; `note` is shown behind the bar."""
        self.done += by
        if self.bar:
            self.bar.advance(self.task, by)
            if note:
                self.bar.update(self.task, note=note)
        elif not self.quiet and (time.monotonic() - self.last_line >= PLAIN_EVERY_S or self.done == self.total):
            self.last_line = time.monotonic()
            left = (self.last_line - self.began) / max(1, self.done - self.first) * (self.total - self.done)
            self.say(f"{self.label} {self.done}/{self.total}, {duration(left)} left{', ' + note if note else ''}")

    def say(self, text: str) -> None:
        """A line of its own."""
        if self.bar:
            self.bar.console.print(text, highlight=False, markup=False)
        elif not self.quiet:
            print(text, file=self.stream, flush=True)


def duration(seconds: float) -> str:
    """As people say it.

    >>> [duration(s) for s in (42, 600, 7200 * 2, 86400 * 9)]
    ['42 s', '10 min', '4.0 h', '9.0 days']
    """
    for size, unit in ((86400 * 2, "days"), (3600 * 2, "h")):
        if seconds >= size:
            return f"{seconds / (86400 if unit == 'days' else 3600):.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
