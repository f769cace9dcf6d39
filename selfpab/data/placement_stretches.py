"""Stretches of a recording in which two sensors are worn in one way, and what is said of each.

Every sensor is judged by log odds: the best explanation in which it is turned against the best in which it is as it
should be, whatever the other sensor does; and likewise whether they are swapped. All of this is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from selfpab.data.placement_hypotheses import GRID, NATURAL_DEG, STEP_DEG, most_likely_path, prior, scores, summed
from selfpab.data.placement_postures import Postures
from selfpab.data.placement_turns import AS_IT_SHOULD_BE, Turn, angle_between
from selfpab.data.placement_windows import WindowTable, windows_of
from selfpab.recording import Recording

OVERWHELMING = 10.0  # log odds above which a fault is reported: one in 22,000, on top of the prior (ours)
SURE = 5.0  # log odds above which a sensor is said to be as it should be, and one way of turning another
STRANGE = 1.0  # nats a minute: what stays this unlike all postures when turned back is not turned (ours)
CONTRADICTION = 0.2  # part of the evidence for a turn that may be matched by evidence against it (ours)
OPEN = 3.0  # log odds within which the place of a change is left open
STEADY = 0.1  # typical step of both directions from window to window (ours)
MOST_WINDOWS = 30_000  # scored; of longer recordings every second, third ... counts for its neighbours
MOST_BLOCKS = 3_000
BLOCK_MIN = 1.0  # shortest piece between two changes
FINE_DEG = 5


class Wear(NamedTuple):
    """One sensor in one stretch.

    told : "as it should be", "turned", "turned, but not told how", "too little evidence", or "unlike anything known" where
        no way of wearing the sensors explains the stretch, or one part of the evidence speaks against another.
    turn : how (`Turn`); as it should be where nothing was found.
    log_odds : for the turn against as it should be; negative speaks for as it should be. Prior included.
    others : where it is not told how, the turns that explain about as much, the best first.
    """

    told: str
    turn: Turn
    log_odds: float
    others: tuple[Turn, ...] = ()


class Stretch(NamedTuple):
    """Samples `first` to `stop`, in which sensors are worn in one way. With `swapped`, `back` is what is on the back."""

    first: int
    stop: int
    begins: tuple[int, int]  # the change at `first` lies between these samples; they are far apart where little tells
    swapped: bool
    swap_log_odds: float
    back: Wear
    thigh: Wear
    evidence_min: float
    unusual: float  # mean nats per minute by which the data are unlike any posture, sensors as they are
    unusual_after: float  # the same after the turns found
    repaired: bool

    @property
    def fine(self) -> bool:
        """Nothing was found."""
        return not self.swapped and all(not wear.told.startswith("turned") for wear in (self.back, self.thigh))

    @property
    def suspect(self) -> bool:
        """A swap is more likely than not, and too little speaks for it to undo it."""
        return not self.swapped and self.swap_log_odds > 0


def stretches_of(recording: Recording, postures: Postures, *, repair: bool) -> list[Stretch]:
    """All stretches, in order of time; together they cover all samples.

    repair : whether what is found with overwhelming evidence is to be repaired; decides `Stretch.repaired` only.
    """
    windows = windows_of(recording)
    windows = windows.rows(windows.weight > 0)
    if not len(windows.first):
        nothing = Wear("too little evidence", AS_IT_SHOULD_BE, 0.0)
        return [Stretch(0, len(recording), (0, 0), False, 0.0, nothing, nothing, 0.0, 0.0, 0.0, False)]
    every = -(-len(windows.first) // MOST_WINDOWS)
    windows = windows.rows(slice(None, None, every))
    windows = windows._replace(weight=windows.weight * every)
    size = max(BLOCK_MIN * 60 * recording.rate_hz, len(recording) / MOST_BLOCKS)
    _, block = np.unique((windows.first // size).astype(np.int64), return_inverse=True)
    evidence = summed(windows, postures, block, int(block[-1]) + 1)
    path = most_likely_path(evidence.reshape(len(evidence), -1), prior().ravel()).tolist()
    kinds = [_kind(place) for place in path]
    cuts = [0, *(i for i in range(1, len(kinds)) if kinds[i] != kinds[i - 1]), len(kinds)]
    starts = [(0, 0, 0)]  # of each stretch: its first window, and the first and last that may be it
    for before, cut, after in zip(cuts, cuts[1:], cuts[2:], strict=False):
        rows = slice(max(starts[-1][0], int(np.searchsorted(block, before))), int(np.searchsorted(block, after)))
        starts.append(_start(windows.rows(rows), postures, path[cut - 1], path[cut], rows.start))
    stretches = []
    for place, (start, earliest, latest) in enumerate(starts):
        stop = starts[place + 1][0] if place + 1 < len(starts) else len(windows.first)
        if start < stop:
            rows = windows.rows(slice(start, stop))
            whole = evidence if len(starts) == 1 else summed(rows, postures, np.zeros(stop - start, np.int64), 1)
            judged = _judge(rows, whole.sum(0), postures, repair)
            begins = (0, 0) if not stretches else (int(windows.first[earliest]), int(windows.first[latest]))
            stretches.append(judged._replace(first=0 if not stretches else int(windows.first[start]), begins=begins))
    stops = [*(stretch.first for stretch in stretches[1:]), len(recording)]
    return [stretch._replace(stop=stop) for stretch, stop in zip(stretches, stops, strict=True)]


def _judge(windows: WindowTable, evidence: np.ndarray, postures: Postures, repair: bool) -> Stretch:
    """One stretch, its place still open; `evidence`: log likelihood of every hypothesis of the grid (2, 24, 24)."""
    total = evidence + prior()
    swap_odds = float(total[1].max() - total[0].max())
    swapped = swap_odds >= OVERWHELMING
    back, thigh = _wear(total[int(swapped)].max(1)), _wear(total[int(swapped)].max(0))
    if _odd(back.turn) or _odd(thigh.turn):
        back, thigh = _finer(windows, postures, swapped, back, thigh)
    minutes = float(windows.weight.sum())
    normal = _scores(windows, postures, False, AS_IT_SHOULD_BE, AS_IT_SHOULD_BE)
    after = _scores(windows, postures, swapped, back.turn, thigh.turn)
    gain = (after - normal) * windows.weight
    # What speaks against the turns found: movements alone, postures alone, or any time on end.
    so_far = np.concatenate([[0], np.cumsum(gain)])
    drop = float((np.maximum.accumulate(so_far) - so_far).max())
    against = max(drop, -float(gain[windows.moves].sum()), -float(gain[~windows.moves].sum()))
    torn = against > max(SURE, CONTRADICTION * (so_far[-1] + against))
    if torn or -float(evidence.max()) > STRANGE * minutes:
        swapped, after = False, normal
        back, thigh = (Wear("unlike anything known", AS_IT_SHOULD_BE, wear.log_odds) for wear in (back, thigh))
    unusual, unusual_after = (float(-fit @ windows.weight) / minutes for fit in (normal, after))
    found = swapped or (back.turn, thigh.turn) != (AS_IT_SHOULD_BE, AS_IT_SHOULD_BE)
    settled = swapped or swap_odds < -SURE  # a turn of we know not which sensor is not repaired
    return Stretch(
        first=0,
        stop=0,
        begins=(0, 0),
        swapped=swapped,
        swap_log_odds=swap_odds,
        back=back,
        thigh=thigh,
        evidence_min=minutes,
        unusual=unusual,
        unusual_after=unusual_after,
        repaired=found and settled and repair,
    )


def _scores(windows: WindowTable, postures: Postures, swapped: bool, back: Turn, thigh: Turn) -> np.ndarray:
    """Of one hypothesis, float32 (n,)."""
    return scores(windows, postures, (back,), (thigh,))[:, int(swapped), 0, 0]


def _wear(total: np.ndarray) -> Wear:
    """One sensor: `total` is the log posterior (up to a constant) of the best hypothesis with each turn, (24,)."""
    natural = np.array([_kindred(turn) == AS_IT_SHOULD_BE for turn in GRID])
    best = int(np.where(natural, -np.inf, total).argmax())
    odds = float(total[best] - total[natural].max())
    if odds < OVERWHELMING:
        return Wear("as it should be" if odds < -SURE else "too little evidence", AS_IT_SHOULD_BE, odds)
    near = [turn for turn, value in zip(GRID, total, strict=True) if value > total[best] - SURE]
    others = {_kindred(turn) for turn in near if not _alike(turn, GRID[best])} - {AS_IT_SHOULD_BE}
    if others:
        return Wear("turned, but not told how", AS_IT_SHOULD_BE, odds, (_kindred(GRID[best]), *sorted(others)))
    return Wear("turned", _kindred(GRID[best]), odds)


def _finer(windows: WindowTable, postures: Postures, swapped: bool, back: Wear, thigh: Wear) -> tuple[Wear, Wear]:
    """Angles about x, the mean over what fits, to `FINE_DEG` degrees, for sensors that are turned by no half turn."""

    def finer(turn: Turn, options: Callable[[Turn], tuple[Turn, Turn]]) -> Turn:
        if not _odd(turn):
            return turn
        steps = np.arange(-NATURAL_DEG, NATURAL_DEG + FINE_DEG, FINE_DEG)
        near = [turn._replace(angle_deg=float((turn.angle_deg + step + 179) % 360 - 179)) for step in steps]
        fit = np.array([_scores(windows, postures, swapped, *options(one)) @ windows.weight for one in near])
        weight = np.exp(fit - fit.max())
        step = FINE_DEG * round(float(steps @ weight / weight.sum()) / FINE_DEG)
        return near[int(np.abs(steps - step).argmin())]

    back = back._replace(turn=finer(back.turn, lambda turn: (turn, thigh.turn)))
    return back, thigh._replace(turn=finer(thigh.turn, lambda turn: (back.turn, turn)))


def _start(windows: WindowTable, postures: Postures, before: int, after: int, first: int) -> tuple[int, int, int]:
    """The window at which hypothesis `after` begins to hold, and the first and last at which it may as well.

    Where the evidence leaves it open, it is where directions jump as they are and are steady once turned back: steps are
    taken as of Cauchy's kind, for bodies mostly keep their posture and at times change it.
    `first` : place of the first of the windows; added to what is given.
    """
    fits, downs = [], []
    for place in (before, after):
        swapped, back, thigh = (int(index) for index in np.unravel_index(place, prior().shape))
        fits.append(_scores(windows, postures, bool(swapped), GRID[back], GRID[thigh]) * windows.weight)
        down = windows.down[:, ::-1] if swapped else windows.down
        downs.append(np.stack([down[:, 0] @ GRID[back].matrix(), down[:, 1] @ GRID[thigh].matrix()], 1))
    gain = np.concatenate([[0], np.cumsum(fits[0] - fits[1])])[:-1]
    steps = np.zeros((2, len(gain)))
    steps[0, 1:] = np.linalg.norm(np.diff(windows.down, axis=0), axis=2).sum(1)
    steps[1, 1:] = np.linalg.norm(downs[1][1:] - downs[0][:-1], axis=2).sum(1)
    surprise = np.log1p(np.square(steps / STEADY))  # of a step under the one hypothesis, and across the change
    best = int((gain + surprise[0] - surprise[1]).argmax())
    may = np.flatnonzero(gain >= gain[best] - OPEN)
    apart = np.flatnonzero(np.diff(may) > 1) + 1
    may = next(run for run in np.split(may, apart) if best in run)  # those next to the best
    return first + best, first + int(may[0]), first + int(may[-1])


def _kind(place: int) -> tuple[int, Turn, Turn]:
    """What a hypothesis amounts to, so that slight turns do not count as changes."""
    swapped, back, thigh = (int(index) for index in np.unravel_index(place, prior().shape))
    return swapped, _kindred(GRID[back]), _kindred(GRID[thigh])


def _kindred(turn: Turn) -> Turn:
    """As it should be, or a half turn, where a turn is within `NATURAL_DEG` of that; else the turn itself."""
    half = Turn(turn.upside_down, 0.0 if abs(turn.angle_deg) < 90 else 180.0)
    return half if angle_between(turn, half) < NATURAL_DEG else turn


def _odd(turn: Turn) -> bool:
    return turn.angle_deg not in (0.0, 180.0)


def _alike(one: Turn, other: Turn) -> bool:
    """The same but for an angle of at most 60 degrees: turning back by either is better than leaving it."""
    return one.upside_down == other.upside_down and angle_between(one, other) <= 2 * STEP_DEG
