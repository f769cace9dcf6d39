"""Training the convolutions that read samples."""

import numpy as np
import pytest
import torch

from selfpab.activities import Activities
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.material import Material
from selfpab.downstream.waveform import WaveformConfig, WaveformReader
from selfpab.downstream.waveform_training import stretched, train_waveform
from selfpab.recording import Recording

TWO = Activities("two", (1, 2), ("rises slowly", "falls slowly"))
QUICK = WaveformConfig(width=16, steps=6, batch=4, frames=9)


def sawtooth(name, seconds=120, seed=0):
    """Ten seconds each of teeth that rise slowly and fall at once, and of the same backwards: of equal magnitudes."""
    times = np.arange(50 * seconds) / 50
    falls = (times // 10 % 2).astype(int)
    tooth = 2 * (1.3 * times % 1) - 1
    chance = np.random.default_rng(seed)
    samples = np.where(falls, -tooth, tooth)[:, None] * np.float32([0.5, 0.1, 0.2, 0.4, 0.2, 0.3])
    samples = samples + chance.normal(0, 0.05, samples.shape)
    return Recording(name, None, 50.0, samples.astype(np.float32), (1 + falls).astype(np.int16))


def material_of(people, toy, activities):
    config = FinetuneConfig(unfreeze_at=0.0, validation_share=0.0)
    _, _, extractor = toy.parts(config, [toy.person("a")])
    return Material(people, activities, toy.shape, 0.0), extractor


def trained(toy, config, people=None, activities=None, seed=3):
    people = [toy.person("a", seed=1), toy.person("b", toy.short, seed=2)] if people is None else people
    material, extractor = material_of(people, toy, activities or toy.three)
    torch.manual_seed(0)
    reader = WaveformReader(len(activities or toy.three), width=config.width, dropout=config.dropout)
    losses = train_waveform(reader, material, extractor, config, seed)
    return reader, losses


def test_it_learns_what_magnitudes_do_not_show(toy):
    config = WaveformConfig(width=16, steps=150, batch=8, frames=16)
    reader, losses = trained(toy, config, [sawtooth("a"), sawtooth("b", seed=1)], TWO)
    assert np.mean(losses[-10:]) < 0.3
    recording = sawtooth("c", seed=2)
    cells = torch.from_numpy(recording.acceleration_g).view(1, -1, 150)
    truth = recording.labels.reshape(-1, 25)[:, 12] - 1
    with torch.no_grad():
        found = reader(cells).argmax(2)[0].numpy()
    assert (found == truth).mean() > 0.9


def test_equal_arguments_give_equal_weights(toy):
    torch.manual_seed(99)
    first, losses = trained(toy, QUICK)
    torch.rand(5)
    again, others = trained(toy, QUICK)
    assert losses == others
    assert len(losses) == 6
    assert not first.training
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    other, _ = trained(toy, QUICK, seed=4)
    assert not torch.equal(other.output.weight, first.output.weight)


def test_runs_shorter_than_a_piece_train(toy):
    _, losses = trained(toy, WaveformConfig(width=16, steps=8, batch=4, frames=40))
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_pieces_are_made_faster_by_interpolation(factor):
    chance = np.random.default_rng(0)
    signals = torch.from_numpy(chance.normal(size=(2, 300, 6)).astype(np.float32))
    truth = torch.from_numpy(chance.integers(-1, 3, (2, 12)))
    counts = torch.tensor([12, 5])
    given, valid, found = stretched(signals, counts, truth, torch.tensor([factor, factor]), 8)
    for row, count in enumerate(counts.tolist()):
        for frame in range(8):
            places = factor * np.arange(25 * frame, 25 * frame + 25)
            whole = bool(places[-1] < 25 * count - 1)
            assert bool(valid[row, frame]) == whole
            if not whole:
                assert not given[row, frame].any()
                assert found[row, frame] == -1
                continue
            assert found[row, frame] == truth[row, int((frame + 0.5) * factor)]
            for channel in range(6):
                wanted = np.interp(places, np.arange(25 * count), signals[row, : 25 * count, channel])
                np.testing.assert_allclose(given[row, frame, :, channel], wanted, atol=1e-5)
