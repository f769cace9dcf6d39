"""What a fold is trained on and validated with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.material import Material, labelled
from selfpab.downstream.pool import Pool
from selfpab.downstream.states import Extractor

RANDOM = FinetuneConfig(steps=9, batch=8, pool_step=5)
GRID = FinetuneConfig(epochs=3, cuts="grid", grid_step=4, batch=8)


@pytest.fixture(scope="module")
def people(toy):
    return [toy.person("a", ((0, 1500, 0.0),), seed=1), toy.person("b", toy.short, seed=2)]


@pytest.fixture(scope="module")
def material(toy, people):
    return Material(people, toy.three, toy.shape, 0.2)


def frames_of(recording):
    """All frames of training, by a loop: no tail, no piece under a second."""
    return [at for s in recording.segments for at in range(s.first, s.stop - 49, 25)]


def test_labels_of_frames_are_majorities_and_where_there_is_none_there_is_no_loss(toy):
    recording = toy.person(segments=((0, 210, 0.0),))
    recording.labels[:] = [*[20] * 60, *[31] * 100, *[-1] * 50]
    one = labelled(recording, toy.three, toy.shape, 0.0)
    # the frame at 50 has 10 of class 1, that at 150 only 10 labelled samples of 50
    assert one.label_at[:175:25].tolist() == [1, 1, 2, 2, 2, 2, -1]
    ((_, cuts, truth),) = Material([recording], toy.three, toy.shape, 0.99).validation()
    assert truth.tolist() == [[1, 1, 2, 2, 2, 2] + [-1] * 5]
    assert cuts.starts[0].tolist() == [0, 25, 50, 75, 100, 125] + [-1] * 5


def test_training_and_validation_share_no_frame_and_lose_none(material, people):
    for one, recording in zip(material.people, people, strict=True):
        first, rest = ([int(f) for run in part for f in run[0]] for part in (one.validation, one.training))
        assert first + rest == frames_of(recording)
        assert len(first) == int(0.2 * len(frames_of(recording)))


def test_validation_counts_every_frame_once(toy, material, people):
    parts = material.validation()
    assert [recording for recording, _, _ in parts] == people
    for recording, cuts, truth in parts:
        frames = frames_of(recording)
        wanted = frames[: int(0.2 * len(frames))]
        assert sorted(cuts.starts[truth >= 0].tolist()) == wanted
        for at, found in zip(cuts.starts[truth >= 0], truth[truth >= 0], strict=True):
            assert found == np.bincount(toy.three.indices(recording.labels[at : at + 50])).argmax()
    long = Material([toy.person()], toy.three, toy.shape, 0.5).validation()
    assert sum(int((truth >= 0).sum()) for _, _, truth in long) == 119 // 2  # 59 frames: the sixth window overlaps
    assert len(long[0][1]) == 6


def test_windows_are_a_function_of_seed_and_step(material):
    def key(windows):
        return [(which, cuts.starts.tobytes()) for which, cuts in windows]

    for config in (RANDOM, GRID):
        batches = [key(material.windows(config, 0, step)) for step in (0, 1, 2, 7)]
        assert batches == [key(material.windows(config, 0, step)) for step in (0, 1, 2, 7)]
        assert len({tuple(batch) for batch in batches}) == 4
        assert key(material.windows(config, 1, 0)) != batches[0]
        assert len(batches[0]) == 8


def test_windows_lie_inside_one_run_of_the_training_part(material):
    for config in (RANDOM, GRID):
        for step in range(12):
            for which, cuts in material.windows(config, 0, step):
                (row,), runs = cuts.starts, [run[0].tolist() for run in material.people[which].training]
                row = row[row >= 0].tolist()
                run = next(run for run in runs if row[0] in run)
                assert run[run.index(row[0]) :][: len(row)] == row
                assert len(row) == min(11, len(run))


def test_random_windows_hold_every_frame_about_equally_often(toy, people):
    """Of a long run, of a gapped person's, of ten short ones."""
    pieces = tuple((100 * k, 100 * (k + 1), 1000.0 * k) for k in range(10))
    material = Material([*people, toy.person("c", pieces)], toy.three, toy.shape, 0.0)
    counts = [np.zeros(len(one.label_at)) for one in material.people]
    config = replace(RANDOM, batch=400)
    for step in range(20):
        for which, cuts in material.windows(config, 0, step):
            counts[which][cuts.starts[cuts.starts >= 0]] += 1
    frames = [count[frames_of(one.recording)] for count, one in zip(counts, material.people, strict=True)]
    expected = np.concatenate(frames).mean()
    for of_one in frames:
        assert of_one.mean() / expected == pytest.approx(1, abs=0.06)
    np.testing.assert_allclose(frames[0][11:-11] / expected, 1, atol=0.2)


def test_an_epoch_of_the_grid_holds_every_window_once(material):
    windows = [cuts.starts.tobytes() for _, cuts in material.grid(4)]
    per_epoch = -(-len(windows) // 8)
    assert len(windows) % 8  # the last batch is a smaller one
    assert material.steps(GRID) == 3 * per_epoch
    orders = []
    for epoch in range(3):
        batches = [material.windows(GRID, 0, epoch * per_epoch + place) for place in range(per_epoch)]
        assert [len(batch) for batch in batches] == [8] * (per_epoch - 1) + [len(windows) % 8]
        orders.append([cuts.starts.tobytes() for batch in batches for _, cuts in batch])
        assert sorted(orders[-1]) == sorted(windows)
    assert len({tuple(order) for order in orders}) == 3
    assert material.steps(RANDOM) == 9


def test_spectra_of_a_batch_come_from_their_recordings(toy, material):
    extractor = Extractor.of_encoder(toy.upstream(), "fp32")
    windows = material.windows(RANDOM, 0, 3)
    assert {which for which, _ in windows} == {0, 1}
    spectra, valid, truth = material.spectra(windows, extractor)
    for row, (which, cuts) in enumerate(windows):
        recording, real = material.people[which].recording, cuts.starts[0] >= 0
        slow = toy.slow_spectra(recording, cuts.starts[0][real], cuts.stops[0][real])
        np.testing.assert_allclose(spectra[row][real].numpy(), slow, rtol=1e-4, atol=1e-4)
        assert valid[row].tolist() == real.tolist()
        labels = [np.bincount(toy.three.indices(recording.labels[a : a + 50])).argmax() for a in cuts.starts[0][real]]
        assert truth[row].tolist() == labels + [-1] * int((~real).sum())
        assert not spectra[row][~real].any()


def test_the_pool_is_of_the_training_part_and_the_same_function(toy, material, tmp_path):
    """States and labels of a pooled batch are those that fresh windows at the same places would give."""
    extractor = Extractor.of_encoder(toy.upstream(), "fp32")
    cuts_of = {}

    class Spy(Pool):
        def of(self, recording, cuts):
            cuts_of[recording.subject] = cuts
            return super().of(recording, cuts)

    kept = material.pooled(Spy(tmp_path, extractor), 5, seed=0)
    assert kept.shares.sum() == pytest.approx(1)
    for one in material.people:
        cuts = cuts_of[one.recording.subject]
        assert set(cuts.starts[cuts.starts >= 0]) <= {int(f) for run in one.training for f in run[0]}
    states, truth = kept.batch(16, 7, torch.device("cpu"))
    assert (tuple(states.shape), states.dtype) == ((2, 16, 11, 12), torch.float32)
    again = kept.batch(16, 7, torch.device("cpu"))
    assert torch.equal(again[0], states)
    assert not torch.equal(kept.batch(16, 8, torch.device("cpu"))[0], states)
    chosen = kept.places[np.random.default_rng(7).choice(len(kept.places), size=16, p=kept.shares)]
    assert set(chosen[:, 0]) == {0, 1}
    windows = [(int(r), cuts_of[material.people[r].recording.subject][int(w) : int(w) + 1]) for r, w in chosen]
    spectra, valid, fresh_truth = material.spectra(windows, extractor)
    assert torch.equal(truth, fresh_truth)
    fresh = extractor.states(spectra, valid)
    torch.testing.assert_close(states[:, valid], fresh[:, valid], rtol=2e-3, atol=2e-3)


def test_pooled_frames_of_long_and_short_runs_are_equally_likely(toy, people, tmp_path):
    """Of one long run, and of ten of three frames each."""
    pieces = tuple((100 * k, 100 * (k + 1), 1000.0 * k) for k in range(10))
    material = Material([people[0], toy.person("c", pieces)], toy.three, toy.shape, 0.0)
    kept = material.pooled(Pool(tmp_path, Extractor.of_encoder(toy.upstream(), "fp32")), 5, seed=0)
    held = np.array([(kept.truths[r][w] >= 0).sum() for r, w in kept.places])
    one, other = (
        (kept.shares * held)[kept.places[:, 0] == which].sum() / len(frames_of(recording))
        for which, recording in enumerate([person.recording for person in material.people])
    )
    assert one == pytest.approx(other, rel=1e-6)


def test_a_persons_pool_is_the_same_in_every_fold(toy, people, tmp_path):
    pool = Pool(tmp_path, Extractor.of_encoder(toy.upstream(), "fp32"))
    third = toy.person("c", seed=3)
    Material([*people, third], toy.three, toy.shape, 0.2).pooled(pool, 5, seed=0)
    before = set(tmp_path.iterdir())
    assert len(before) == 3
    Material([third, people[1]], toy.three, toy.shape, 0.2).pooled(pool, 5, seed=0)
    assert set(tmp_path.iterdir()) == before
    Material([third], toy.three, toy.shape, 0.2).pooled(pool, 5, seed=1)
    assert len(set(tmp_path.iterdir()) - before) == 1


def test_what_cannot_be_trained_on_is_said(toy):
    with pytest.raises(ValueError, match="p has no labels to train on"):
        Material([replace(toy.person(), labels=None)], toy.three, toy.shape, 0.2)
    for nobody in ([], [toy.person(segments=((0, 49, 0.0),))]):
        with pytest.raises(ValueError, match="no frames to train on: every recording is shorter than a second"):
            Material(nobody, toy.three, toy.shape, 0.2)
