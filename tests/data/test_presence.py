"""When each of two devices recorded, and what is made of it."""

import numpy as np
import pytest

from selfpab.data.presence import LEAST_ALONE_S, longer_alone, presence_of, without_one

MINUTE = 3000  # steps


def runs(*minutes):
    return np.array([(a * MINUTE, b * MINUTE) for a, b in minutes], np.int64).reshape(-1, 2)


def rows(presence):
    return [
        (first / MINUTE, stop / MINUTE, bool(back), bool(thigh))
        for (first, stop), back, thigh in zip(presence.stretches.tolist(), presence.back, presence.thigh, strict=True)
    ]


def test_stretches_follow_each_other_and_say_who_recorded():
    presence = presence_of(runs((0, 10), (10, 30), (40, 50)), runs((5, 20), (45, 60)))
    assert rows(presence) == [
        (0, 5, True, False), (5, 20, True, True), (20, 30, True, False), (30, 40, False, False), (40, 45, True, False),
        (45, 50, True, True), (50, 60, False, True),
    ]  # fmt: skip
    assert (presence.both / MINUTE).tolist() == [[5, 20], [45, 50]]


@pytest.mark.parametrize("single", [False, True])
def test_of_one_sensor_what_lasts_a_while_is_kept_where_it_is_wanted(single):
    presence = presence_of(runs((0, 30), (31, 40)), runs((0.5, 20), (32.5, 50)))
    kept = rows(presence.kept(single=single))
    alone = [(20, 30, True, False), (31, 32.5, True, False), (40, 50, False, True)]
    both = [(0.5, 20, True, True), (32.5, 40, True, True)]
    assert kept == sorted([*both, *(alone if single else [])])
    assert LEAST_ALONE_S == 60
    missing, told = (without_one(presence, kept=which, single=single) for which in (False, True))
    assert len(told) == (3 if single else 0)
    assert sum(row["seconds"] for row in told) == (21.5 * 60 if single else 0)
    assert sum(row["seconds"] for row in (*missing, *told)) == (0.5 + 10 + 1 + 1.5 + 10) * 60
    assert {row["sensor"] for row in told} <= {"back", "thigh"}  # who did not record


def test_what_lies_before_and_after_is_told_in_words():
    presence = presence_of(runs((0, 60)), runs((20, 90)))
    before, after = longer_alone(presence, single=False)
    assert before.startswith(
        "back: it recorded for 20 min more without the thigh, before what both did, from 1970-01-01 00:00"
    )
    assert after.startswith(
        "thigh: it recorded for 30 min more without the back, after what both did, from 1970-01-01 01:00"
    )
    assert after.endswith("to 1970-01-01 01:30 by the back's clock; that counts as not recorded")
    assert longer_alone(presence, single=True)[1].endswith("; activities are told from it alone there")
    assert longer_alone(presence_of(runs((0, 5)), runs((7, 9))), single=True) == []
