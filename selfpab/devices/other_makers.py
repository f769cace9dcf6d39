"""Raw files of other makers than Axivity: ActiGraph .gt3x and GENEActiv .bin, read with `actfast` (extra `devices`).

It gives the values in g and a time for each; what the rest of the pipeline needs of a file (blocks with stamps, runs, a
report) is found here from those. actfast counts the times of a record or page (of the device's) from its stamp with the
nominal rate, so a time that does not follow evenly on the one before is a stamp, like those of a .cwa file. Where nothing
was recorded (an ActiGraph sleeps when it lies still) is a gap between two runs: nothing is filled.
Legend: N samples, B blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from selfpab.devices.cwa_blocks import NO_TIME, SECOND_NS, TABLE
from selfpab.devices.other_headers import Limits, OtherHeader, of_actigraph, of_geneactiv
from selfpab.recording import RecordingError

SUFFIXES = (".gt3x", ".bin")
MAKERS = {"Actigraph GT3X": "ActiGraph", "GeneActiv BIN": "GENEActiv"}  # as actfast names the formats
BLOCK_S = 1.0  # longest block: a record of an ActiGraph; a GENEActiv's page of 300 samples gives several (ours)
LONGEST_PAGE_S = 60.0  # a GENEActiv's at 10 Hz lasts 30 s; what is even for longer has stamps that are even too
SAME_STEP_NS = 1000  # samples of one record or page are evenly spaced up to rounding
# A new run begins where the clock leaps by more: tenths of a second beyond what a rate 3 % off the nominal one explains.
GAP_S, GAP_SHARE = 0.1, 0.03
SLOWEST_HZ, FASTEST_HZ = 5.0, 3200.0
RATE_SHARE = 0.02  # the header's rate and that of the times may differ by so much
CONSTANT_S = 60.0  # so long no value of a sensor's stays the same (ours)


class OtherLayout(NamedTuple):
    """What there is to say of samples that are given in g."""

    rate_hz: float  # nominal
    range_g: float | None  # None: not told, and nobody looked for clipped values
    capacity: int  # samples in the largest block
    counts_per_g: int = 1

    def __str__(self) -> str:
        span = "unknown range" if self.range_g is None else f"±{self.range_g:g} g"
        return f"values in g, {self.rate_hz:g} Hz, {span}"


class Finding(NamedTuple):
    """One kind of thing that is not as it should be."""

    kind: str
    size: int
    told: str


class OtherReport(NamedTuple):
    """What was found, as far as values and times tell it."""

    samples: int
    runs: int
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Kind -> how many: gaps, leaps, samples, stretches, lines of actfast's."""
        counts = Counter[str]()
        for finding in self.findings:
            counts[finding.kind] += finding.size
        return dict(counts)

    def __str__(self) -> str:
        heading = f"{self.samples} samples in {self.runs} runs, read with actfast, which tells no blocks or checksums"
        return "\n".join([heading, *(f"{finding.kind}: {finding.told}" for finding in self.findings)])


class OtherRecording(NamedTuple):
    """One device's file, as actfast gives it."""

    path: Path
    header: OtherHeader
    layout: OtherLayout
    samples: np.ndarray  # float32 (N, 3), x, y, z in g
    blocks: np.ndarray  # cwa_blocks.TABLE (B,); sequence and block count from 0, light is -1: not kept
    report: OtherReport
    warnings: tuple[str, ...]  # that concern the values: what actfast warned of, and values that never change


def read_other(path: str | Path) -> OtherRecording:
    """A whole .gt3x or .bin file.

    Times are the device's own, as if UTC. actfast reads a file whole, and so does this: a week at 100 Hz needs 0.7 GB for
    the values that are kept, and several times as much on the way, where a .cwa file is streamed. actfast reads damaged
    files as far as it can; what it warns of is told.

    Raises RecordingError where actfast is not installed, for a file that it cannot read or that holds other than these
    two formats, without samples, with values that are no numbers, and with a rate that its header contradicts.
    """
    path = Path(path)
    read = _read(path)
    tables = list(read["timeseries"].values())
    table = next((table for table in tables if "acceleration" in table), None)
    if table is None or len(table["datetime"]) < 2:
        told = f" (actfast: {'; '.join(read['warnings'])})" if read["warnings"] else ""
        raise RecordingError(f"{path}: holds no acceleration that can be read{told}; copy it from the device again")
    samples = np.asarray(table["acceleration"], np.float32)
    times_ns = np.asarray(table["datetime"], np.int64)
    if not (np.isfinite(samples.min()) and np.isfinite(samples.max())):
        raise RecordingError(f"{path}: holds values that are no numbers, so its header's calibration must be damaged")
    maker = MAKERS[read["format"]]
    header, limits, told_hz = (of_actigraph if maker == "ActiGraph" else of_geneactiv)(read["metadata"])
    rate_hz = _rate_hz(path, times_ns, told_hz)
    blocks = _blocks(times_ns, rate_hz)
    begins_ns = times_ns[blocks["first"]]
    blocks["temperature_c"] = _beside(tables, "temperature", begins_ns)
    battery = _beside(tables, "battery_voltage", begins_ns)
    blocks["battery_v"] = battery / 1000 if maker == "ActiGraph" else battery  # which gives mV
    lowest_g, highest_g = (least.reduceat(samples, blocks["first"], axis=0) for least in (np.minimum, np.maximum))
    if limits is not None:
        blocks["clipped"] = _clipped(samples, blocks, lowest_g, highest_g, limits)
    constant = _constant(blocks, begins_ns, lowest_g, highest_g, rate_hz)
    warned = [Finding("actfast", 1, str(line)) for line in read["warnings"]]
    asleep = read["metadata"].get("device_feature_enabled", {}).get("sleep_mode") == "true"
    findings = [*_leaps(blocks, begins_ns, rate_hz, asleep), *_clipping(blocks, limits), *constant, *warned]
    layout = OtherLayout(rate_hz, None if limits is None else limits.range_g, int(blocks["samples"].max()))
    report = OtherReport(len(samples), int(blocks["run"][-1]) + 1, tuple(findings))
    warnings = tuple(f"{finding.kind}: {finding.told}" for finding in [*constant, *warned])
    return OtherRecording(path, header, layout, samples, blocks, report, warnings)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        import actfast
    except ModuleNotFoundError as error:
        raise RecordingError(
            f"{path}: files of ActiGraph and GENEActiv are read with actfast, which is not installed: "
            f"pip install selfpab[devices]"
        ) from error
    try:
        read = actfast.read(path, lenient=True)
    except (ValueError, OSError) as error:
        raise RecordingError(
            f"{path}: cannot be read ({error}); copy it from the device again, or leave it out"
        ) from error
    if read["format"] not in MAKERS:
        raise RecordingError(
            f"{path}: is {read['format']}, not {' or '.join(MAKERS)}; give it the suffix of its maker, .cwa of Axivity"
        )
    return read


def _rate_hz(path: Path, times_ns: np.ndarray, told_hz: float | None) -> float:
    """The nominal rate, by which actfast counted the times."""
    step_ns = float(np.median(np.diff(times_ns[:100_000])))
    rate_hz = round(SECOND_NS / step_ns, 2) if step_ns > 0 else 0.0
    if not SLOWEST_HZ <= rate_hz <= FASTEST_HZ:
        raise RecordingError(
            f"{path}: its samples are {step_ns * 1e-9:g} s apart; wanted {SLOWEST_HZ:g} to {FASTEST_HZ:g} Hz"
        )
    if told_hz is not None and abs(rate_hz / told_hz - 1 if told_hz else np.inf) > RATE_SHARE:
        raise RecordingError(
            f"{path}: its header says {told_hz:g} Hz, the times of its samples {rate_hz:g} Hz; one of them is damaged, and "
            f"with it the times: copy the file from the device again, or leave it out"
        )
    return rate_hz


def _blocks(times_ns: np.ndarray, rate_hz: float) -> np.ndarray:
    """TABLE (B,): samples that follow each other evenly, in parts of a second at most, and the runs that they make.

    Within a page only the first block has a stamp: the times of others are not the clock's, but counted.
    """
    step_ns = SECOND_NS / rate_hz
    uneven = np.abs(np.diff(times_ns) - step_ns) > SAME_STEP_NS
    edges = np.concatenate([[0], np.flatnonzero(uneven) + 1, [len(times_ns)]])
    lengths = np.diff(edges)
    parts = -(-lengths // max(1, round(BLOCK_S * rate_hz)))
    place = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    first = np.repeat(edges[:-1], parts) + np.repeat(lengths, parts) * place // np.repeat(parts, parts)
    table = np.zeros(len(first), TABLE)
    table["block"] = table["sequence"] = np.arange(len(first))
    table["first"] = table["stamp_sample"] = first
    table["samples"] = np.diff(first, append=len(times_ns))
    counted = (place > 0) & np.repeat(lengths <= LONGEST_PAGE_S * rate_hz, parts)
    table["stamp_ns"] = np.where(counted, NO_TIME, times_ns[first])
    table["device"] = table["light"] = -1
    leap_ns = _leaps_ns(table, times_ns[first], rate_hz)
    table["run"] = np.cumsum(np.abs(leap_ns) > GAP_S * SECOND_NS + GAP_SHARE * step_ns * np.roll(table["samples"], 1))
    return table


def _leaps_ns(table: np.ndarray, begins_ns: np.ndarray, rate_hz: float) -> np.ndarray:
    """By how much each block comes later than the one before ended, (B,)."""
    nominal = table["samples"][:-1] * (SECOND_NS / rate_hz)
    return np.concatenate([[0.0], np.diff(begins_ns) - nominal])


def _beside(tables: list[Any], kind: str, times_ns: np.ndarray) -> np.ndarray:
    """What another sensor had measured last by these times (B,), or first after them; NaN without one."""
    for table in tables:
        if kind in table and len(table[kind]):
            order = np.argsort(table["datetime"], kind="stable")
            row = np.searchsorted(table["datetime"][order], times_ns, "right") - 1
            return table[kind][order][np.maximum(row, 0)].astype(np.float32)
    return np.full(len(times_ns), np.nan, np.float32)


def _clipped(
    samples: np.ndarray, blocks: np.ndarray, lowest_g: np.ndarray, highest_g: np.ndarray, limits: Limits
) -> np.ndarray:
    """Samples at the end of the range, by block, (B,); most blocks have none."""
    counts = np.zeros(len(blocks), np.int32)
    for i in np.flatnonzero(((lowest_g <= limits.low_g) | (highest_g >= limits.high_g)).any(axis=1)).tolist():
        part = samples[blocks["first"][i] :][: blocks["samples"][i]]
        counts[i] = ((part <= limits.low_g) | (part >= limits.high_g)).any(axis=1).sum()
    return counts


def _constant(
    blocks: np.ndarray, begins_ns: np.ndarray, lowest_g: np.ndarray, highest_g: np.ndarray, rate_hz: float
) -> list[Finding]:
    """Stretches of a minute or more in which no axis changes by a single bit; told as one."""
    still = (lowest_g == highest_g).all(axis=1)
    begins = np.ones(len(blocks), bool)
    begins[1:] = ~(still[1:] & still[:-1]) | (lowest_g[1:] != lowest_g[:-1]).any(axis=1) | (np.diff(blocks["run"]) != 0)
    rows = np.flatnonzero(begins)
    seconds = np.add.reduceat(blocks["samples"], rows) / rate_hz
    found = np.flatnonzero(still[rows] & (seconds >= CONSTANT_S))
    if not found.size:
        return []
    first = int(rows[found[0]])
    value = ", ".join(f"{g:.3f}" for g in lowest_g[first])
    told = (
        f"{found.size} stretches of {CONSTANT_S:g} s or more, {seconds[found].sum():.0f} s in all, in which no value "
        f"changes, the first from {_clock(int(begins_ns[first]))} on at ({value}) g: no sensor is so still"
    )
    return [Finding("constant values", int(found.size), told)]


def _leaps(blocks: np.ndarray, begins_ns: np.ndarray, rate_hz: float, asleep: bool) -> list[Finding]:
    """Gaps between runs, and clocks that were set back."""
    edges = np.flatnonzero(np.diff(blocks["run"])) + 1
    leap_s = _leaps_ns(blocks, begins_ns, rate_hz)[edges] / SECOND_NS
    findings = []
    for kind, own, why in (
        ("gap", leap_s > 0, "; idle sleep is on: the device records nothing while it lies still" if asleep else ""),
        ("clock set back", leap_s < 0, ""),
    ):
        if own.any():
            size = np.abs(leap_s[own])
            at = _clock(int(begins_ns[edges[own][size.argmax()]]))
            told = f"{size.size}, {size.sum():.1f} s in all, the longest of {size.max():.1f} s up to {at}{why}"
            findings.append(Finding(kind, int(size.size), told))
    return findings


def _clipping(blocks: np.ndarray, limits: Limits | None) -> list[Finding]:
    if limits is None:
        return [Finding("range unknown", 1, "the header does not tell the range: nobody looked for clipped values")]
    count = int(blocks["clipped"].sum())
    held = int((blocks["clipped"] > 0).sum())
    told = f"{count} samples in {held} seconds or parts of one at the end of ±{limits.range_g:g} g"
    return [Finding("clipped samples", count, told)] if count else []


def _clock(time_ns: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(seconds=round(time_ns / SECOND_NS))
