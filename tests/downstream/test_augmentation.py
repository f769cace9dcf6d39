"""Windows as other wearers' sensors would have given them."""

import numpy as np
import torch

from selfpab.downstream.augmentation import AugmentConfig, altered

FRAMES = np.array([3, 1, 2])
PIECES = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 50, 6)).astype(np.float32))


def angles(config, seed=0, count=4000):
    gravity = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0, 0.0]).expand(count, 50, 6)
    turned = altered(gravity, np.ones(count, int), config, seed)[:, 0]
    lengths = torch.stack([turned[:, :3].norm(dim=1), turned[:, 3:].norm(dim=1)])
    return turned, lengths.numpy()


def test_each_window_and_sensor_is_turned_as_a_whole():
    found = altered(PIECES, FRAMES, AugmentConfig(tilt_deg=20.0), 1)
    for first in (0, 3):
        before, after = PIECES[..., first : first + 3].reshape(-1, 3), found[..., first : first + 3].reshape(-1, 3)
        edges = np.repeat(np.arange(3), FRAMES * 50)
        turns = [np.linalg.lstsq(before[edges == w], after[edges == w], rcond=None)[0] for w in range(3)]
        for place, turn in enumerate(turns):
            np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-4)
            np.testing.assert_allclose(before[edges == place] @ turn, after[edges == place], atol=1e-4)
        assert not np.allclose(turns[0], turns[1], atol=1e-3)
    backs = np.linalg.lstsq(PIECES[0, :, :3], found[0, :, :3], rcond=None)[0]
    thighs = np.linalg.lstsq(PIECES[0, :, 3:], found[0, :, 3:], rcond=None)[0]
    assert not np.allclose(backs, thighs, atol=1e-3)


def test_gains_and_angles_spread_as_asked():
    turned, lengths = angles(AugmentConfig(gain=0.05))
    assert abs(lengths.std() - 0.05) < 0.002
    assert turned[:, :2].abs().max() == 0
    turned, lengths = angles(AugmentConfig(tilt_deg=10.0))
    np.testing.assert_allclose(lengths, 1.0, atol=1e-5)
    # the axis is any: of the angle a about it, gravity itself moves by a * sin(axis, gravity), mean square 2/3
    moved = np.rad2deg(np.arccos(np.clip(turned[:, 2].numpy(), -1, 1)))
    assert abs(np.sqrt(np.square(moved).mean()) - 10 * np.sqrt(2 / 3)) < 0.4


def test_the_same_seed_is_the_same_and_another_is_not():
    config = AugmentConfig(tilt_deg=5.0, gain=0.02)
    assert torch.equal(altered(PIECES, FRAMES, config, 7), altered(PIECES, FRAMES, config, 7))
    assert not torch.equal(altered(PIECES, FRAMES, config, 7), altered(PIECES, FRAMES, config, 8))


def test_nothing_asked_is_nothing_done():
    assert altered(PIECES, FRAMES, AugmentConfig(), 0) is PIECES


def test_samples_stay_exact_where_activations_are_in_bf16():
    config = AugmentConfig(tilt_deg=5.0)
    with torch.autocast("cpu", torch.bfloat16):
        found = altered(PIECES, FRAMES, config, 3)
    assert torch.equal(found, altered(PIECES, FRAMES, config, 3))
