"""Sequences of bouts."""

from itertools import pairwise

import numpy as np
import pytest

from selfpab.activities import NAMES
from selfpab.data import behaviour


def test_bouts_cover_everything_and_stay_within_their_limits():
    found = behaviour.bouts(np.random.default_rng(0), 500_000, 50.0)
    assert [found[0].first, found[-1].stop] == [0, 500_000]
    assert [b.first for b in found[1:]] == [b.stop for b in found[:-1]]
    for bout, after in pairwise(found):
        _, _, low, high = behaviour.DWELL[bout.code]
        assert low * 50 - 1 <= len(bout) <= high * 50 + 1
        assert after.code in behaviour.TRANSITIONS[bout.code]


def test_shares_come_out_as_intended():
    wanted = behaviour.shares()
    time = dict.fromkeys(wanted, 0)
    for seed in range(60):
        for bout in behaviour.bouts(np.random.default_rng(seed), 720_000, 50.0):
            time[bout.code] += len(bout)
    got = {code: samples / sum(time.values()) for code, samples in time.items()}
    for code in NAMES:
        assert got[code] == pytest.approx(wanted[code], rel=0.25 if wanted[code] > 0.02 else 0.5), NAMES[code]


def test_imbalance_is_like_harth():
    shares = behaviour.shares()
    assert 0.2 < shares[1] < 0.5
    assert 0.1 < shares[6] < 0.25
    assert 0.015 < shares[3] < 0.04
    assert all(0.004 < shares[code] < 0.015 for code in (4, 5))


def test_every_transition_leads_somewhere_known():
    assert set(behaviour.TRANSITIONS) == set(behaviour.DWELL) == set(NAMES)
    assert all(set(odds) <= set(NAMES) for odds in behaviour.TRANSITIONS.values())
    assert all(sum(odds.values()) == pytest.approx(1.0) for odds in behaviour.TRANSITIONS.values())


def test_a_longer_recording_begins_like_a_short_one():
    short, long = (behaviour.bouts(np.random.default_rng(2), n, 50.0) for n in (50_000, 100_000))
    assert short[:-1] == long[: len(short) - 1]
