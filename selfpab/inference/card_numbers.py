"""What a calibration is worth for people it was not fitted on: the numbers of a model's card (plain values). Ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from selfpab.evaluation.answers import Answers
from selfpab.evaluation.calibration import calibration_sums
from selfpab.evaluation.diagrams import reliability, reliability_diagram
from selfpab.evaluation.metrics import confusion, f1, mean_and_error
from selfpab.inference.decisions import decide, most_probable
from selfpab.inference.doubt import coverage_curve
from selfpab.inference.minutes import Intervals, Minutes, fit_intervals, interval, minutes_of
from selfpab.inference.trust import Judged, Trust, cross_fitted

CURVE = tuple(round(0.05 * step, 2) for step in range(6, 20))
PIECES_S = (300, 600, 1200)


class _Person(NamedTuple):
    raw: Answers
    judged: Judged
    trust: Trust


def trust_report(people: Mapping[str, Answers], names: Sequence[str], *, accuracy: float = 0.95) -> dict[str, Any]:
    """Cross-fitted: every person is judged by a calibration fitted on the others only.

    Parameters
    ----------
    people : at least three, whom the model did not learn from. names : of the K classes.

    Returns
    -------
    reliability {before, after}, diagram {before, after}: over all scored seconds of all people.
    macro_f1 {most_probable, decided, gain}, per_class_f1: mean and standard error over people, per second.
    uncertain: threshold (median), coverage and accuracy at each person's own threshold; `curve`: over all.
    minutes: mean absolute error of counted and of expected minutes.
    intervals: share of pairs of person and activity whose truth lies inside, for whole recordings, for pieces of them, and
        for whole recordings with factors of pieces (`fitted_on_s`), which says how far the factor carries to longer times.
    """
    return report_of(people, cross_fitted(people, accuracy=accuracy), names, accuracy=accuracy)


def report_of(
    people: Mapping[str, Answers],
    found: Mapping[str, tuple[Judged, Trust]],
    names: Sequence[str],
    *,
    accuracy: float = 0.95,
) -> dict[str, Any]:
    """`trust_report` of what `cross_fitted` gave."""
    everyone = _everyone(people, found)
    return {
        **single_report(people, found, names, accuracy=accuracy),
        "minutes": _minutes(everyone),
        "intervals": _intervals(everyone, names),
    }


def single_report(
    people: Mapping[str, Answers],
    found: Mapping[str, tuple[Judged, Trust]],
    names: Sequence[str],
    *,
    accuracy: float = 0.95,
) -> dict[str, Any]:
    """The same without minutes and intervals, for what `cross_fitted_single` gave of one sensor alone."""
    everyone = _everyone(people, found)
    return {
        "people": len(everyone),
        "classes": list(names),
        **_reliabilities(everyone),
        **_scores(everyone, names),
        "uncertain": _uncertain(everyone, accuracy),
    }


def _everyone(people: Mapping[str, Answers], found: Mapping[str, tuple[Judged, Trust]]) -> list[_Person]:
    return [_Person(people[name], judged, trust) for name, (judged, trust) in found.items()]


def _reliabilities(everyone: Sequence[_Person]) -> dict[str, Any]:
    kept = [p.judged.scored for p in everyone]
    truth = np.concatenate([p.raw.truth[k] for p, k in zip(everyone, kept, strict=True)])
    both = {
        "before": np.concatenate([p.raw.probabilities[k] for p, k in zip(everyone, kept, strict=True)]),
        "after": np.concatenate([p.judged.probabilities[k] for p, k in zip(everyone, kept, strict=True)]),
    }
    temperatures = [p.trust.map.temperature for p in everyone]
    return {
        "temperature": {"lowest": min(temperatures), "highest": max(temperatures)},
        "reliability": {when: reliability(truth, p)._asdict() for when, p in both.items()},
        "diagram": {
            when: reliability_diagram(calibration_sums(truth, p.argmax(axis=1), p)) for when, p in both.items()
        },
    }


def _scores(everyone: Sequence[_Person], names: Sequence[str]) -> dict[str, Any]:
    plain = np.array([_f1(p.judged, decide(p.judged.probabilities, most_probable(len(names)))) for p in everyone])
    decided = np.array([_f1(p.judged, p.judged.named) for p in everyone])
    macro = {"most_probable": np.nanmean(plain, axis=1), "decided": np.nanmean(decided, axis=1)}
    macro["gain"] = macro["decided"] - macro["most_probable"]
    return {
        "macro_f1": {name: mean_and_error(values)._asdict() for name, values in macro.items()},
        "per_class_f1": {
            name: {"most_probable": mean_and_error(plain[:, k]).mean, "decided": mean_and_error(decided[:, k]).mean}
            for k, name in enumerate(names)
        },
    }


def _f1(judged: Judged, named: np.ndarray) -> np.ndarray:
    kept = judged.scored
    return f1(confusion(judged.truth[kept], named[kept], judged.probabilities.shape[1]))


def _uncertain(everyone: Sequence[_Person], accuracy: float) -> dict[str, Any]:
    thresholds = [p.trust.uncertain.threshold for p in everyone]
    answered = [p.judged.answered for p in everyone]
    sure = [confidence >= at for (confidence, _), at in zip(answered, thresholds, strict=True)]
    right = [hit[certain].mean() for (_, hit), certain in zip(answered, sure, strict=True) if certain.any()]
    curve = coverage_curve({str(n): a for n, a in enumerate(answered)}, CURVE)
    return {
        "wanted": accuracy,
        "threshold": float(np.median(thresholds)),
        "coverage": float(np.mean([certain.mean() for certain in sure])),
        "accuracy": float(np.mean(right)) if right else None,
        "curve": [point._asdict() for point in curve if not np.isnan(point.accuracy)],
    }


def _minutes(everyone: Sequence[_Person]) -> dict[str, float]:
    counted, expected = [], []
    for person in everyone:
        (minutes,), kept = pieces(person.judged, None), person.judged.scored
        true = np.asarray(minutes.true)
        counted.append(np.abs(true - minutes.named).mean())
        expected.append(np.abs(true - person.judged.probabilities[kept].sum(axis=0) / 60).mean())
    return {"mean_error_counted": float(np.mean(counted)), "mean_error_expected": float(np.mean(expected))}


def _intervals(everyone: Sequence[_Person], names: Sequence[str]) -> dict[str, Any]:
    cut = {length: [pieces(p.judged, length) for p in everyone] for length in (None, *PIECES_S)}
    result: dict[str, Any] = {"level": everyone[0].trust.intervals.level}
    for length, parts in cut.items():
        own = [_inside(part, p.trust.intervals) for part, p in zip(parts, everyone, strict=True)]
        result["recording" if length is None else f"pieces_{length}_s"] = _share(own, names if length is None else None)
    for length in PIECES_S:
        shares = []
        for place in range(len(everyone)):
            others = [piece for other, part in enumerate(cut[length]) if other != place for piece in part]
            fitted = fit_intervals({str(n): piece for n, piece in enumerate(others)})
            shares.append(_inside(cut[None][place], fitted))
        result[f"recording_fitted_on_{length}_s"] = _share(shares, None)
    return result


def pieces(judged: Judged, length_s: int | None) -> list[Minutes]:
    """Minutes of a person's scored seconds, in pieces of about this many seconds; the whole for None."""
    kept = np.flatnonzero(judged.scored)
    many = 1 if length_s is None else max(len(kept) // length_s, 1)
    return [
        minutes_of(judged.named[rows], judged.probabilities[rows], judged.truth[rows])
        for rows in np.array_split(kept, many)
    ]


def _inside(parts: Iterable[Minutes], intervals: Intervals) -> np.ndarray:
    """inside, there (true or named), width in minutes: (pieces, 3, K)."""
    rows = []
    for part in parts:
        assert part.true is not None
        low, high = interval(part.named, part.doubt, intervals)
        inside = (part.true >= low - 1e-9) & (part.true <= high + 1e-9)
        rows.append([inside, (part.true > 0) | (part.named > 0), high - low])
    return np.array(rows, float)


def _share(people: Sequence[np.ndarray], names: Sequence[str] | None) -> dict[str, Any]:
    """Means over people, of their means over pieces; `of_those_there`: pairs where the activity was done or named."""
    there = [rows[:, 0][rows[:, 1] > 0].mean() for rows in people]
    inside = np.array([rows[:, 0].mean(axis=0) for rows in people])
    result: dict[str, Any] = {
        "inside": float(inside.mean()),
        "inside_of_those_there": float(np.mean(there)),
        "width_minutes": float(np.mean([rows[:, 2].mean() for rows in people])),
    }
    if names is not None:
        result["by_class"] = dict(zip(names, inside.mean(axis=0).tolist(), strict=True))
    return result
