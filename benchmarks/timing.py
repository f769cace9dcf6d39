"""How the benchmarks measure: medians of repeated calls, peak memory of the process, one JSON object as the last line."""

import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from selfpab.provenance import environment


def median_s(work: Callable[[], Any], *, repeat: int = 7) -> float:
    """Seconds of one call: the median after one that does not count."""
    work()
    taken = []
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def paired_s(ours: Callable[[], Any], theirs: Callable[[], Any], *, repeat: int = 7) -> tuple[float, float, float]:
    """(our median, their median, median of their / our), called in turn, so that the ratio holds when a machine drifts."""
    ours(), theirs()
    pairs = []
    for _ in range(repeat):
        began = time.perf_counter()
        ours()
        between = time.perf_counter()
        theirs()
        pairs.append((between - began, time.perf_counter() - between))
    first, second = zip(*pairs, strict=True)
    return statistics.median(first), statistics.median(second), statistics.median(b / a for a, b in pairs)


def peak_gb() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def report(name: str, rows: list[tuple[str, float, str]]) -> None:
    """A table, and as the last line the same as JSON."""
    for what, value, unit in rows:
        print(f"{what:62s} {value:10.3g} {unit}")
    found = environment()
    about = {key: found[key] for key in ("python", "torch", "machine", "cpus", "commit", "clean") if key in found}
    values = {what: {"value": float(f"{value:.4g}"), "unit": unit} for what, value, unit in rows}
    print(json.dumps({"benchmark": name, "threads": torch.get_num_threads(), **about, "values": values}))
