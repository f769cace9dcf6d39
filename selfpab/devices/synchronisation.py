"""Two devices on one clock, from the movement itself.

The clocks of two accelerometers on one person are set from PCs, once, and drift. Whatever the person does reaches both
sensors at the same moment: minute by minute the lag is found at which their movement fits best (movement_lags.py), and
through the minutes goes a line (drift_lines.py). Whether it is one person at one time is decided by how many of the
minutes agree with that line, each by its own best lag: on real pairs nearly all, by chance one in ten.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from selfpab.devices.cwa_blocks import SECOND_NS
from selfpab.devices.drift_lines import Line, extended, fit_line
from selfpab.devices.movement_lags import RATE_HZ, WINDOW_S, Signal, coarse_tracks, signal_of, window_lags, zero_track
from selfpab.devices.surveys import Movement
from selfpab.recording import RecordingError

LONGEST_OFFSET_S = 26 * 3600.0  # a wrong day, an hour of summer time, and minutes
TRACKS = 3  # coarse ones to look at; on the 29 real recordings the first was always right
RIDGE_GAIN = 150.0  # of chi², for a bend of the first line; ours
NEAR_S = 0.25  # of the ridge: half a step, the line goes through these windows
AGREE_S = 0.12  # of the line: three values; a real pair's lags scatter by 10 to 40 ms
# Ours, measured on HAR70+ and HARTH. Of the windows of two different people one in fifteen agrees with the best line
# there is, at most a third of few; of real pairs six in ten at least, and mostly nine. The chance below is 0.1 and more
# for all 812 strangers, and under 1e-10 for all 29 pairs.
CHANCE_SHARE, ACCEPTED, CERTAIN = 0.1, 1e-3, 1e-9
PAIR_SHARE, REFUSED = 0.4, 1e-2


class NotTogether(RecordingError):
    """Two devices were not on one person at one time; the message says what was found, wanted, and what to do."""


class Alignment(NamedTuple):
    """The thigh's clock against the back's.

    offset_ns is thigh minus back at knots_ns of the back's clock, linear between them and on at the same rate beyond
    the ends. windows: movement_lags.WINDOWS (W,), every minute in which both moved, with its own best lag and whether
    the line agrees with it (`used`).
    """

    knots_ns: np.ndarray  # int64 (K,), of the back's clock
    offset_ns: np.ndarray  # float64 (K,)
    offset_s: float  # at the start of the common time
    drift_ppm: float  # from the start to the end of the common time
    confidence: float  # 0 to 1: at least so large a share of the windows agrees (95 %); 0: nothing was found
    residual_s: float  # spread of the windows that agree, NaN without
    windows: np.ndarray
    told: str

    def thigh_ns(self, back_ns: np.ndarray) -> np.ndarray:
        """What the thigh's clock shows when the back's shows `back_ns`, int64 as that, ns."""
        since = (back_ns - self.knots_ns[0]).astype(np.float64)
        offset = extended(since, (self.knots_ns - self.knots_ns[0]).astype(np.float64), self.offset_ns)
        return back_ns + np.rint(offset).astype(np.int64)


class _Evidence(NamedTuple):
    line: Line
    windows: np.ndarray
    chance: float  # that two people would agree so well
    pair: float  # that a pair would agree so badly


def synchronise(back: Movement, thigh: Movement, *, longest_offset_s: float = LONGEST_OFFSET_S) -> Alignment:
    """Offset and drift of the thigh's clock against the back's, from the two movement signals alone.

    Parameters
    ----------
    longest_offset_s : how far the clocks may be apart; math.inf where one may have been set to any date.

    With too little movement to say (a dozen minutes in which both sensors move are plenty) the clocks are taken as they
    are, with confidence 0, and `told` says so. Raises NotTogether where there is enough movement and it does not fit
    together at any lag, or there is no common time; ValueError for another rate than 25 Hz. Errors on real recordings
    stand in docs/devices.md. Ours.
    """
    here, there = signal_of(back), signal_of(thigh)
    tracks = coarse_tracks(here, there, longest_offset_s, TRACKS)
    if not tracks:
        raise NotTogether(
            f"not the same time: {_span(here, 'back')} and {_span(there, 'thigh')} have less than five minutes in"
            f" common even if the clocks are {longest_offset_s / 3600:.4g} hours apart; pair files of the same days, or"
            " give longest_offset_s= if one clock was set to a wrong date"
        )
    best: _Evidence | None = None
    for track in [*tracks, *zero_track(here, there)]:
        found = _judged(here, there, *window_lags(here, there, track))
        if best is None or found.chance < best.chance:
            best = found
        if best.chance < CERTAIN:
            break
    assert best is not None
    if best.chance < ACCEPTED:
        return _aligned(here, there, best)
    agree, count = int(best.windows["used"].sum()), len(best.windows)
    if best.pair < REFUSED:
        raise NotTogether(
            f"not the same person or not the same time: of {count} minutes in which both sensors move, {agree} agree on"
            f" a lag between them, as by chance; a pair has {PAIR_SHARE:.0%} and more. Pair the files of one person, or"
            f" give longest_offset_s= if the clocks may be more than {longest_offset_s / 3600:.4g} hours apart"
        )
    return _assumed(here, there, best)


def _judged(back: Signal, thigh: Signal, windows: np.ndarray, ridge_s: np.ndarray) -> _Evidence:
    from scipy.special import bdtr, bdtrc

    seconds = (windows["start_ns"] - back.start_ns) / SECOND_NS + WINDOW_S / 2
    near = np.abs(windows["lag_s"] - ridge_s) < NEAR_S
    if not near.any():
        nothing = Line(np.array([0.0, 1.0]), np.zeros(2), False, float("inf"))
        return _Evidence(nothing, windows, 1.0, float(bdtr(0, max(len(windows) - 2, 0), PAIR_SHARE)))
    line = fit_line(seconds[near], windows["lag_s"][near], RIDGE_GAIN)
    near = (
        np.abs(windows["lag_s"] - line.at(seconds)) < NEAR_S
    )  # where the ridge strays through a quiet night, the line
    if near.any():  # does not, and what lies around it by chance does so evenly
        line = fit_line(seconds[near], windows["lag_s"][near])
    windows["used"] = np.abs(windows["lag_s"] - line.at(seconds)) < AGREE_S
    # Two windows agree with some line whatever they are, and so do two more for every bend.
    free = 2 * (len(line.knots_s) - 1)
    count, agree = max(len(windows) - free, 0), max(int(windows["used"].sum()) - free, 0)
    chance = float(bdtrc(agree - 1, count, CHANCE_SHARE)) if agree else 1.0
    return _Evidence(line, windows, chance, float(bdtr(agree, count, PAIR_SHARE)))


def _aligned(back: Signal, thigh: Signal, found: _Evidence) -> Alignment:
    line, windows = found.line, found.windows
    used = windows[windows["used"]]
    seconds = (used["start_ns"] - back.start_ns) / SECOND_NS + WINDOW_S / 2
    residual_s = 1.4826 * float(np.median(np.abs(used["lag_s"] - line.at(seconds))))
    start, stop = _common_s(back, thigh, line)
    inner = line.knots_s[1:-1]
    knots = np.array([start, *inner[(inner > start) & (inner < stop)], stop])
    lag_s = line.at(knots)
    slopes = np.diff(lag_s) / np.diff(knots) * 1e6
    drift_ppm = float((lag_s[-1] - lag_s[0]) / (stop - start) * 1e6)
    if not line.sloped:
        drift = f"no drift found (one above {4 * line.slope_error_ppm:.0f} ppm would have been), none assumed"
    elif len(slopes) == 1:
        drift = f"drifting by {drift_ppm:+.1f} ppm"
    else:
        drift = (
            f"drifting by {drift_ppm:+.1f} ppm over all, {slopes.min():+.1f} to {slopes.max():+.1f} in {len(slopes)}"
        )
        drift += " stretches"
    told = (
        f"thigh's clock {abs(lag_s[0]):.2f} s {'ahead of' if lag_s[0] >= 0 else 'behind'} the back's at the start,"
        f" {drift}; {len(used)} of {len(windows)} minutes with movement agree, to {residual_s * 1e3:.0f} ms"
    )
    return Alignment(
        back.start_ns + np.rint(knots * SECOND_NS).astype(np.int64),
        lag_s * SECOND_NS,
        float(lag_s[0]),
        drift_ppm,
        _at_least(len(used), len(windows)),
        residual_s,
        windows,
        told,
    )


def _assumed(back: Signal, thigh: Signal, found: _Evidence) -> Alignment:
    """The clocks as they are, if they have time in common."""
    nothing = Line(np.array([0.0, 1.0]), np.zeros(2), False, float("inf"))
    start, stop = _common_s(back, thigh, nothing)
    enough = f"{len(found.windows)} minutes in which both sensors move are too few to tell how the clocks lie"
    if stop <= start:
        raise NotTogether(
            f"not the same time: {_span(back, 'back')} and {_span(thigh, 'thigh')} have no time in common, and {enough}"
            "; pair files of the same days"
        )
    windows = found.windows.copy()
    windows["used"] = False
    knots = back.start_ns + np.array([start, stop]) * SECOND_NS
    told = f"{enough}: clocks taken as they are, offset 0 assumed"
    return Alignment(knots.astype(np.int64), np.zeros(2), 0.0, 0.0, 0.0, float("nan"), windows, told)


def _common_s(back: Signal, thigh: Signal, line: Line) -> tuple[float, float]:
    """When both recorded, in s since the back's start by the back's clock."""
    shift_s = (thigh.start_ns - back.start_ns) / SECOND_NS
    ends = np.array([shift_s, shift_s + len(thigh.magnitude_g) / RATE_HZ])
    first, last = ends - line.at(ends - line.lag_s[[0, -1]])
    return max(0.0, float(first)), min(len(back.magnitude_g) / RATE_HZ, float(last))


def _at_least(agree: int, count: int) -> float:
    """Lower end of Wilson's 95 % interval for a share."""
    share, z2 = agree / count, 1.96**2
    half = 1.96 * (share * (1 - share) / count + z2 / (4 * count**2)) ** 0.5
    return max(0.0, (share + z2 / (2 * count) - half) / (1 + z2 / count))


def _span(signal: Signal, name: str) -> str:
    ends = signal.start_ns + np.array([0, len(signal.magnitude_g) * SECOND_NS // RATE_HZ])
    first, last = ends.astype("datetime64[ns]").astype("datetime64[s]")
    return f"the {name}'s clock from {first} to {last}"
