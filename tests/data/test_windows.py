"""Windows by place: nested hours, epochs, gaps, validation people."""

from pathlib import Path

import numpy as np
import pytest

from selfpab.data.store import add_recording, write_index
from selfpab.data.windows import Windows, validation_people
from selfpab.recording import Recording, Segment

NOTHING = (0, np.zeros(156), np.zeros(156))
SHAPE = {"window_frames": 599, "frame_samples": 50, "hop_samples": 25}


def corpus_of(folder, people: dict[str, tuple[int, tuple[Segment, ...]]]):
    """Channel 0 holds the sample number modulo 1000, channel 1 the person."""
    for number, (name, (samples, segments)) in enumerate(people.items()):
        values = np.zeros((samples, 6), np.float32)
        values[:, 0] = np.arange(samples) % 1000 / 4096
        values[:, 1] = number / 4096
        add_recording(
            Recording(name, None, 50.0, values, segments=segments), folder, name, checksum=name, moments=NOTHING
        )
    return write_index(folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    one = (15_000 * 7 + 40, ())
    return corpus_of(tmp_path_factory.mktemp("corpus"), {name: one for name in "abcdef"})


def numbers(windows: Windows, count: int) -> list[int]:
    return [windows.number(place) for place in range(count)]


def test_every_epoch_has_every_window_once_in_another_order(corpus):
    windows = Windows(corpus, **SHAPE)
    size = len(windows)
    assert size == 6 * 8  # seven whole windows and one aligned to the end
    first, second = numbers(windows, size), [windows.number(size + i) for i in range(size)]
    assert sorted(first) == sorted(second) == list(range(size))
    assert first != second


def test_a_place_is_the_same_whatever_was_taken_before(corpus):
    windows, fresh = Windows(corpus, **SHAPE), Windows(corpus, **SHAPE)
    windows.take(0, 40)
    np.testing.assert_array_equal(windows.take(200, 3).counts, fresh.take(200, 3).counts)
    assert numbers(windows, 90) == numbers(fresh, 90)


def test_fewer_hours_are_a_subset_of_more_and_leave_validation_alone(corpus):
    held_out = validation_people(corpus.people, 0.2, seed=0)
    rest = [p for p in corpus.people if p not in held_out]
    few, more = (Windows(corpus, people=rest, hours=hours, **SHAPE) for hours in (1.0, 2.5))
    assert set(few.chosen.tolist()) < set(more.chosen.tolist())
    assert (len(few), len(more)) == (12, 30)
    assert {corpus.entries[place].subject for place, _ in more.runs}.isdisjoint(held_out)


def test_more_hours_than_there_are_say_how_many_there_are(corpus):
    with pytest.raises(ValueError, match=r"hours=9 needs 108 windows of 5 minutes; .* has 48 \(4\.0 h\)"):
        Windows(corpus, hours=9, **SHAPE)


def test_an_hour_holds_more_of_shorter_windows(corpus):
    windows = Windows(corpus, hours=1.0, **(SHAPE | {"window_frames": 119}))
    assert len(windows) == 60
    assert windows.hours == 1.0


def test_the_people_held_out_hardly_change_when_more_come():
    few, more = (validation_people([f"p{i}" for i in range(n)], 0.25, seed=3) for n in (8, 9))
    assert len(few) == len(more) == 2
    assert len(set(few) & set(more)) >= 1
    orders = [validation_people(people, 0.25, seed=3) for people in (["b", "a", "d", "c"], ["a", "b", "c", "d"])]
    assert orders[0] == orders[1]
    assert len({validation_people([f"p{i}" for i in range(20)], 0.25, seed=s) for s in range(5)}) > 1
    assert validation_people(["one"], 0.1, seed=0) == ()
    assert len(validation_people(["one", "two"], 0.1, seed=0)) == 1
    with pytest.raises(ValueError, match="validation_share"):
        validation_people(["one", "two"], 1.0, seed=0)


def test_a_batch_is_what_is_stored(corpus):
    windows = Windows(corpus, **SHAPE)
    batch = windows.take(5, 4)
    assert batch.counts.shape == (4, 15_000, 6)
    assert batch.counts.dtype == np.int16
    assert (batch.frames == np.arange(599)).all()
    assert (batch.counts_per_g == 4096).all()
    for row, place in enumerate(range(5, 9)):
        number = windows.number(place)
        person, inside = divmod(number, 8)
        first = min(inside * 15_000, 15_000 * 7 + 25 - 15_000)
        np.testing.assert_array_equal(batch.counts[row, :, 0], (first + np.arange(15_000)) % 1000)
        assert (batch.counts[row, :, 1] == person).all()


def test_windows_cross_short_gaps_but_frames_do_not(tmp_path):
    segments = (Segment(0, 5010, 0.0), Segment(5010, 5040, 101.0), Segment(5040, 20_000, 102.0))
    corpus = corpus_of(tmp_path, {"a": (20_000, segments)})
    windows = Windows(corpus, **SHAPE)
    batch = windows.take(0, len(windows))
    lengths = (5010 - 50) // 25 + 1, (14_960 - 50) // 25 + 1
    assert windows.lengths.tolist() == [sum(lengths)]  # the piece of 30 samples has no frame
    for row in range(len(windows)):
        for frame in batch.frames[row]:
            values = batch.counts[row, 25 * frame : 25 * frame + 50, 0].astype(int)
            assert (np.diff(values) % 1000 == 1).all()  # neighbouring samples of one segment


def test_a_longer_gap_or_another_part_ends_the_run(tmp_path):
    far = (Segment(0, 5000, 0.0), Segment(5000, 10_000, 131.0))
    part = (Segment(0, 5000, 0.0, 1), Segment(5000, 10_000, 100.0, 2))
    corpus = corpus_of(tmp_path, {"a": (10_000, far), "b": (10_000, part)})
    windows = Windows(corpus, **SHAPE)
    assert windows.lengths.tolist() == [199] * 4
    batch = windows.take(0, 1)
    assert (batch.frames[0, :199] == np.arange(199)).all()
    assert (batch.frames[0, 199:] == -1).all()


def test_nothing_long_enough_is_an_error(tmp_path):
    corpus = corpus_of(tmp_path, {"a": (49, ())})
    with pytest.raises(ValueError, match="no stretch of 50 samples"):
        Windows(corpus, **SHAPE)


def test_shifted_windows_lie_elsewhere_in_every_epoch_and_inside_their_run(tmp_path):
    segments = (Segment(0, 100_000, 0.0), Segment(100_000, 160_000, 5000.0))
    windows = Windows(corpus_of(tmp_path, {"a": (160_000, segments)}), shift=True, **SHAPE)
    size, seen = len(windows), set()
    for epoch in range(6):
        batch = windows.take(epoch * size, size)
        assert (batch.frames >= 0).all()  # every window is whole
        for number in range(size):
            (_, ((start, stop),)) = windows._window(number, epoch)
            assert stop - start == 15_000
            assert stop <= 100_000 or start >= 100_000
            seen.add(start)
    assert len(seen) > 4 * size
    np.testing.assert_array_equal(windows.take(2 * size + 1, 3).counts, windows.take(2 * size, 4).counts[1:])
    still = Windows(windows.corpus, **SHAPE)
    assert {still._window(number, 5)[1][0][0] for number in range(size)} == {
        still._window(number, 0)[1][0][0] for number in range(size)
    }


def test_runs_kept_as_numbers_come_back_as_segments(tmp_path):
    near = (Segment(0, 5000, 0.0, 4), Segment(5000, 10_000, 110.25, 4), Segment(10_000, 16_000, 900.0, 4))
    corpus = corpus_of(tmp_path, {"a": (49, ()), "b": (16_000, near)})
    runs = Windows(corpus, **SHAPE).runs
    assert list(runs) == [(1, near[:2]), (1, near[2:])]
    assert runs[-1] == runs[1] == (1, near[2:])
    assert runs[:1] == [(1, near[:2])]


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="needs /proc")
def test_no_file_stays_mapped(corpus):
    windows = Windows(corpus, **SHAPE)
    windows.take(0, len(windows))
    assert str(corpus.folder / "recordings") not in Path("/proc/self/maps").read_text()
