"""Learning rates as functions of the step (paper, sections 4.1 and 4.2; BEHAVIOUR (d))."""

from __future__ import annotations


def warmup_then_linear(
    step: int, steps: int, *, warmup: float, peak: float, final: float, first_at_peak: bool = False
) -> float:
    """Rate of update `step` (from 0): up from `final` to `peak` in the first `warmup` of the steps, then down to `final`.

    first_at_peak : in the release the scheduler acts only after the first update, which is done at the peak; its
        denominator of the warm-up, warmup + 1e-6, is kept here too.

    >>> [round(warmup_then_linear(step, 100, warmup=0.07, peak=1.0, final=0.01), 6) for step in (6, 99)]
    [1.0, 0.01]
    """
    if first_at_peak and step == 0:
        return peak
    passed = (step + 1) / steps
    # update k has passed k / N; without the release's quirk the peak is reached exactly at 7 %
    if passed < warmup or (not first_at_peak and passed == warmup):
        return final + (peak - final) * passed / (warmup + (1e-6 if first_at_peak else 0.0))
    return peak + (final - peak) * (passed - warmup) / (1 - warmup)


def exponential(step: int, *, start: float, factor: float, over: int) -> float:
    """start * factor ** (step / over), continuous in the step (from 0).

    >>> round(exponential(200, start=1.0, factor=0.8, over=200), 3)
    0.8
    """
    return start * factor ** (step / over)
