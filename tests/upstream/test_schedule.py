"""Learning rates as functions of the step."""

from itertools import pairwise

import pytest

from selfpab.upstream.schedule import exponential, warmup_then_linear

SHAPE = {"warmup": 0.07, "peak": 1e-4, "final": 1e-6}


def test_the_peak_is_reached_at_seven_per_cent_and_the_end_at_the_final_rate():
    rates = [warmup_then_linear(step, 1000, **SHAPE) for step in range(1000)]
    assert rates.index(max(rates)) == 69
    assert max(rates) == pytest.approx(1e-4, rel=1e-12)
    assert rates[-1] == pytest.approx(1e-6, rel=1e-9)
    assert all(a < b for a, b in pairwise(rates[:70]))
    assert all(a > b for a, b in pairwise(rates[69:]))


def test_only_the_release_begins_at_the_peak():
    assert warmup_then_linear(0, 1000, **SHAPE) < 3e-6
    assert warmup_then_linear(0, 1000, **SHAPE, first_at_peak=True) == 1e-4


def test_the_decay_of_the_paper_is_a_tenth_over_all_steps():
    assert exponential(2000, start=1e-4, factor=0.1, over=2000) == pytest.approx(1e-5)
    assert exponential(0, start=1e-4, factor=0.1, over=2000) == 1e-4
