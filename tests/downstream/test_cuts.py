"""Which frames a window holds, against slow loops and by counting."""

import itertools

import numpy as np
import pytest

from selfpab.downstream.cuts import (
    Cuts,
    drawn,
    frame_pieces,
    frames_by_run,
    on_a_grid,
    scattered,
    scattered_weights,
    side_by_side,
    split,
    weights,
)

LENGTHS = (3, 7, 11, 12, 25, 60)  # frames of runs, around a window of 11


def runs_of(lengths=LENGTHS):
    """Runs whose frames begin at 0, 1, 2, ... so that a start is a frame's number."""
    edges = np.cumsum([0, *lengths])
    return [(np.arange(a, b), np.full(b - a, b)) for a, b in itertools.pairwise(edges)]


def real(cuts):
    """The frames of every window, without what stands behind the end."""
    assert ((cuts.starts >= 0) == (cuts.stops >= 0)).all()
    return [row[row >= 0].tolist() for row in cuts.starts]


def inside_one_run(rows, lengths=LENGTHS):
    runs = [run[0].tolist() for run in runs_of(lengths)]
    for row in rows:
        run = next(run for run in runs if row[0] in run)
        at = run.index(row[0])
        assert row == run[at : at + 11]
        assert len(row) == min(11, len(run))  # whole, unless the run is shorter


def test_frames_of_a_gapped_recording(toy):
    """The first three segments are one run; behind them are gaps of minutes."""
    one, two, three = frames_by_run(toy.person(segments=toy.short), toy.shape)
    assert one[0].tolist() == [*range(0, 154, 25), *range(230, 651, 25)]
    assert (set(one[1][:7]), set(one[1][7:])) == ({203}, {700})
    assert len(two[0]) == 0
    assert three[0].tolist() == list(range(712, 1051, 25))
    one, two, three = frames_by_run(toy.person(segments=toy.short), toy.shape, to_the_end=True)
    assert one[0].tolist() == [*range(0, 151, 25), 153, 203, *range(230, 631, 25), 650]
    assert (two[0].tolist(), two[1].tolist()) == ([700], [712])
    assert three[0].tolist() == [*range(712, 1051, 25), 1050]


def test_another_rate_is_refused(toy):
    with pytest.raises(ValueError, match="p has 100 Hz; the spectrograms need 50 Hz"):
        frames_by_run(toy.person(rate_hz=100.0), toy.shape)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.99])
def test_a_split_is_by_frames_and_loses_none(share):
    before, after = split(runs_of(), share)
    first, rest = ([int(f) for run in part for f in run[0]] for part in (before, after))
    total = sum(LENGTHS)
    assert first + rest == list(range(total))
    assert len(first) == int(share * total)
    assert all(len(starts) == len(stops) > 0 for starts, stops in before + after)


def test_side_by_side_ends_at_the_end_of_every_run():
    rows = real(side_by_side([*runs_of(), (np.empty(0, np.int64),) * 2], length=11, step=11))
    inside_one_run(rows)
    firsts = [0, 3, 10, 21, 22, 33, 44, 47, 58, 69, 80, 91, 102, 107]
    assert [row[0] for row in rows] == firsts


def test_a_grid_drops_what_is_left_at_the_end_but_no_short_run():
    rows = real(on_a_grid([*runs_of(), (np.empty(0, np.int64),) * 2], length=11, step=4))
    inside_one_run(rows)
    assert [row[0] for row in rows] == [0, 3, 10, 21, 33, 37, 41, 45, *range(58, 58 + 49, 4)]


def test_scattered_is_one_window_in_every_step_frames():
    rows = real(scattered(runs_of(), length=11, step=5, seed=3))
    inside_one_run(rows)
    again, other = (real(scattered(runs_of(), length=11, step=5, seed=seed)) for seed in (3, 4))
    assert rows == again != other
    for first, size in ((33, 25), (58, 60)):
        places = [row[0] - first for row in rows if first <= row[0] < first + size]
        assert [place // 5 for place in places] == list(range((size - 11) // 5 + 1))
    assert sum(row[0] < 33 for row in rows) == 4  # one each
    seen = {row[0] for seed in range(120) for row in real(scattered(runs_of(), length=11, step=5, seed=seed))}
    assert seen == {0, 3, 10, 21, 22, *range(33, 48), *range(58, 108)}  # every place there is


def share_of_frames(rows, chances, frames):
    """How often each frame is in a window, 1 on the average."""
    counts = np.zeros(frames)
    for row, chance in zip(rows, chances, strict=True):
        counts[row] += chance
    return counts / counts.mean()


def assert_even(counts, lengths):
    """Runs of any length alike, and inside long ones nothing but a ramp at either end."""
    for begin, size in zip(np.cumsum([0, *lengths[:-1]]), lengths, strict=True):
        here = counts[begin : begin + size]
        assert here.mean() == pytest.approx(1, abs=0.06)
        assert here.min() > 0.4
        assert here.max() < 1.6
        if size > 33:
            np.testing.assert_allclose(here[11:-11], 1, atol=0.17)


def test_every_frame_is_as_likely_as_any_other_whatever_the_length_of_its_run():
    chance = np.random.default_rng(1)
    total = int(weights(runs_of(), length=11).sum())
    assert total == 11 + 11 + 11 + 12 + 25 + 60
    places = [
        (int(f), float(c)) for f, c in zip(chance.integers(total, size=15_000), chance.random(15_000), strict=True)
    ]
    rows = real(drawn(runs_of(), places, length=11))
    inside_one_run(rows[:300])
    assert_even(share_of_frames(rows, np.ones(len(rows)), sum(LENGTHS)), LENGTHS)


def test_a_drawn_window_holds_its_frame():
    ends = np.cumsum(weights(runs_of(), length=11))
    for where in (0.0, 0.3, 0.999999):
        for frame in range(ends[2], ends[-1]):  # of runs of 12 and more frames
            (row,) = real(drawn(runs_of(), [(frame, where)], length=11))
            assert frame - (ends[2] - 21) in row
    (row,) = real(drawn(runs_of(), [(int(ends[4]) + 30, 0.0)], length=11))
    assert row[0] == 58 + 30
    (row,) = real(drawn(runs_of(), [(int(ends[4]) + 30, 0.999)], length=11))
    assert row[-1] == 58 + 30


def test_windows_of_a_pool_are_weighted_so_that_frames_are_alike():
    total = np.zeros(sum(LENGTHS))
    chances = scattered_weights(runs_of(), length=11, step=5)
    for seed in range(100):
        rows = real(scattered(runs_of(), length=11, step=5, seed=seed))
        total += share_of_frames(rows, chances, len(total))
    for begin, size in zip(np.cumsum([0, *LENGTHS[:-1]]), LENGTHS, strict=True):
        assert total[begin : begin + size].mean() / 100 == pytest.approx(1, abs=0.06)


def test_an_empty_run_weighs_nothing():
    empty = (np.empty(0, np.int64),) * 2
    assert weights([empty, runs_of()[0]], length=11).tolist() == [0, 11]
    assert scattered_weights([empty, runs_of()[0]], length=11, step=5).tolist() == [11]
    assert len(scattered([empty], length=11, step=5, seed=0)) == 0


def test_pieces_are_the_samples_of_real_frames_and_never_cross_a_gap(toy):
    recording = toy.person(segments=toy.short)
    cuts = side_by_side(frames_by_run(recording, toy.shape, to_the_end=True), length=11, step=11)
    pieces = iter(frame_pieces(recording, cuts, 50))
    for start, stop in zip(cuts.starts[cuts.starts >= 0], cuts.stops[cuts.starts >= 0], strict=True):
        rows = [min(sample, stop - 1) for sample in range(start, start + 50)]
        np.testing.assert_array_equal(next(pieces), recording.samples[rows])
    assert next(pieces, None) is None


def test_cuts_are_sliced_together():
    cuts = Cuts(np.arange(12).reshape(4, 3), np.arange(12).reshape(4, 3) + 50)
    part = cuts[1:3]
    assert (len(cuts), len(part), part.starts[0, 0], part.stops[-1, -1]) == (4, 2, 3, 58)
