"""Training the head: section 4.2 on toy states."""

import numpy as np
import pytest
import torch

from selfpab.downstream import finetuning
from selfpab.downstream.finetuning import FinetuneConfig, frame_cross_entropy, fresh_head, train_head
from selfpab.downstream.states import Kept

QUICK = FinetuneConfig(steps=100, batch=8, hidden=16, rate=0.03)
LAYERS, FRAMES, WIDTH, CLASSES = 2, 20, 4, 3


def toy(seed=0, windows=6, layers=LAYERS):
    """One recording whose class is written into the states, -1 on a fifth of its frames."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, CLASSES, (windows, FRAMES))
    values = chance.normal(0, 0.3, (windows, layers, FRAMES, WIDTH))
    for k in range(CLASSES):
        values[..., k] += 3 * (labels == k)[:, None, :]
    labels[:, ::5] = -1
    places = np.zeros((windows, FRAMES), np.int64)
    return Kept(values.astype(np.float16), places, places), labels


def trained(pool, labels, config=QUICK, seed=0):
    head = fresh_head(LAYERS, WIDTH, CLASSES, config, seed)
    return head, train_head(pool, labels, head, config, seed)


def weights(head):
    return {name: value.clone() for name, value in head.state_dict().items()}


def assert_equal(one, other):
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


def test_it_learns_what_can_be_separated():
    states, labels = toy()
    head, losses = trained([states], [labels])
    assert len(losses) == 100
    assert losses[0] > 0.8
    assert losses[-1] < 0.05
    logits = head(torch.from_numpy(states.values).float().transpose(0, 1))
    known = labels >= 0
    assert (logits.argmax(-1).numpy()[known] == labels[known]).all()
    assert not head.training


def test_the_same_seed_gives_the_same_head_and_another_seed_another():
    states, labels = toy()
    first, losses = trained([states], [labels])
    torch.manual_seed(77)  # what happened before does not matter
    again, same = trained([states], [labels])
    assert losses == same
    assert_equal(weights(first), weights(again))
    other, _ = trained([states], [labels], seed=1)
    assert not torch.equal(first.hidden.weight, other.hidden.weight)


def test_unlabelled_frames_have_no_influence():
    states, labels = toy()
    first, losses = trained([states], [labels])
    spoiled = states.values.copy()
    spoiled.transpose(0, 2, 1, 3)[labels < 0] = 50.0
    again, same = trained([Kept(spoiled, states.starts, states.stops)], [labels])
    assert losses == pytest.approx(same, rel=1e-6)
    for name, value in weights(first).items():
        torch.testing.assert_close(value, again.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_the_loss_is_the_mean_over_labelled_frames():
    logits = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [9.0, 9.0]]])
    expected = (np.log(1 + np.exp(-2.0)) + np.log(1 + np.exp(1.0))) / 2
    found = frame_cross_entropy(logits, torch.tensor([[0, 0, -1]]))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_a_batch_without_any_label_is_no_loss_and_no_nan():
    states, labels = toy()
    head, losses = trained([states], [np.full_like(labels, -1)])
    assert losses == [0.0] * QUICK.steps
    assert_equal(weights(head), weights(fresh_head(LAYERS, WIDTH, CLASSES, QUICK, 0)))


def test_the_rate_falls_to_a_tenth_over_all_steps(monkeypatch):
    rates, betas = [], []
    step = torch.optim.Adam.step

    def spy(self, *arguments, **settings):
        rates.append(self.param_groups[0]["lr"])
        betas.append(self.param_groups[0]["betas"])
        return step(self, *arguments, **settings)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    states, labels = toy()
    trained([states], [labels], FinetuneConfig(steps=50, batch=2, hidden=4))
    np.testing.assert_allclose(rates, [1e-4 * 0.1 ** (k / 50) for k in range(50)], rtol=1e-9)
    assert set(betas) == {(0.9, 0.98)}


def test_a_batch_is_drawn_from_all_windows_of_all_recordings(monkeypatch):
    seen = []
    monkeypatch.setattr(
        finetuning, "frame_cross_entropy", lambda logits, truth: (seen.append(truth), logits.sum() * 0)[1]
    )
    pool, labels = zip(*(toy(seed) for seed in (0, 1)), strict=True)
    numbered = [np.full_like(rows, 0) + np.arange(len(rows))[:, None] + 10 * i for i, rows in enumerate(labels)]
    trained(pool, numbered)
    assert all(batch.shape == (8, FRAMES) for batch in seen)
    assert {int(row[0]) for batch in seen for row in batch} == {*range(6), *range(10, 16)}


def test_nothing_to_train_on_is_said():
    states, labels = toy(windows=0)
    with pytest.raises(ValueError, match="no training windows: every recording is shorter than a second"):
        trained([states], [labels])


def test_a_loss_that_is_not_finite_is_an_error():
    states, labels = toy()
    states.values[:] = np.inf
    with pytest.raises(FloatingPointError, match="lower rate="):
        trained([states], [labels])
