"""Rare classes seen more often than they happen, and what is learnt corrected for it."""

import numpy as np
import pytest
import torch

from selfpab.downstream.balance import Frames, Seen
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.material import Material

RUNS = [
    [(np.arange(0, 1000, 25), np.full(40, 1025)), (np.arange(2000, 2050, 25), np.full(2, 2075))],
    [(np.arange(0, 500, 25), np.full(20, 525))],
]
TRUTHS = [[np.zeros(40, int), np.array([2, -1])], [np.r_[np.zeros(17, int), 1, 1, -1]]]


def test_every_class_is_as_likely_as_any_other():
    frames, chance = Frames(RUNS, TRUTHS), np.random.default_rng(0)
    truth = np.concatenate([one for person in TRUTHS for one in person])
    assert len(frames) == len(truth) == 62
    balanced = truth[[frames.drawn(chance, balanced=True) for _ in range(3000)]]
    np.testing.assert_allclose(np.bincount(balanced, minlength=3) / 3000, np.full(3, 1 / 3), atol=0.03)
    plain = np.array([frames.drawn(chance, balanced=False) for _ in range(6000)])
    np.testing.assert_allclose(np.bincount(plain, minlength=62) / 6000, np.full(62, 1 / 62), atol=0.007)


def test_a_window_holds_the_frame_it_was_drawn_for():
    frames, chance = Frames(RUNS, TRUTHS), np.random.default_rng(0)
    places, number = set(), 45  # the fourth frame of the second person
    for _ in range(200):
        person, cuts = frames.window(number, chance, length=3, padded_to=5)
        assert person == 1
        assert cuts.starts.shape == (1, 5)
        assert 75 in cuts.starts[0, :3]
        assert (cuts.starts[0, 3:] == -1).all()
        places.add(int(np.flatnonzero(cuts.starts[0] == 75)[0]))
    assert places == {0, 1, 2}
    person, cuts = frames.window(41, chance, length=11)  # of a run of two frames
    assert (person, cuts.starts[0].tolist()) == (0, [2000, 2025] + [-1] * 9)
    _, cuts = frames.window(39, chance, length=11)  # the last of its run
    assert cuts.starts[0].tolist() == list(range(725, 1000, 25))


def test_what_is_learnt_are_the_chances_of_frames_as_they_happen():
    """A constant answer, trained on a sample in which every class is as frequent."""
    shares, chance = np.array([0.9, 0.09, 0.01, 0.0]), np.random.default_rng(0)
    seen, logits = Seen(shares), torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.03)
    for _ in range(600):
        truth = torch.from_numpy(chance.integers(0, 3, (1, 64)))
        seen.count(truth)
        loss = torch.nn.functional.cross_entropy(seen.corrected(logits.expand(1, 64, 4))[0], truth[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(logits.detach().softmax(0), shares, atol=0.02)


def test_unlabelled_frames_are_not_counted():
    seen = Seen(np.array([0.5, 0.5]))
    seen.count(torch.tensor([[0, -1, -1, 1]]))
    np.testing.assert_allclose(seen.correction, [0, 0], atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_windows_is_drawn_for_a_class(toy, share):
    person = toy.person("a")
    labels = person.labels.copy()
    labels[labels == 30] = 10
    labels[1500:1550] = 30  # one second in a minute
    person = person.__class__(person.subject, None, 50.0, person.acceleration_g, labels, person.segments)
    config = FinetuneConfig(batch=8, unfreeze_at=0.0, balanced_share=share)
    material = Material([person], toy.three, toy.shape, 0.0)
    held = [
        (material.people[which].truth(cuts) == 2).any()
        for step in range(100)
        for which, cuts in material.windows(config, 0, step)
    ]
    assert abs(np.mean(held) - {0.0: 0.1, 0.5: 0.25, 1.0: 0.4}[share]) < 0.08
    plain = material.windows(FinetuneConfig(batch=8), 0, 3)
    mixed = material.windows(config, 0, 3)
    for (_, one), (_, other) in list(zip(plain, mixed, strict=True))[round(8 * share) :]:
        assert np.array_equal(one.starts, other.starts)  # the rest are those drawn without


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"above 0 only with cuts=random and unfreeze_at=0, got 0.5, random, 0.75"):
        FinetuneConfig(balanced_share=0.5)
