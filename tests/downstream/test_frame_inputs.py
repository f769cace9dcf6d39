"""What a network is given of a frame, and in which order."""

import numpy as np
import torch

from selfpab.downstream.frame_inputs import FrameInputs, in_places
from selfpab.features.spectrograms import frame_magnitudes
from selfpab.features.statistics import frame_statistics


def test_spectrum_statistics_and_samples_stand_in_this_order(toy):
    pieces = torch.randn(4, 50, 6)
    found = FrameInputs(statistics=True, samples=25).of(pieces, toy.numbers)
    assert found.shape == (4, 156 + 45 + 150)
    torch.testing.assert_close(found[:, :156], toy.numbers(frame_magnitudes(pieces).flatten(1)))
    torch.testing.assert_close(found[:, 156:201], frame_statistics(pieces))
    assert torch.equal(found[:, 201:].unflatten(1, (25, 6)), pieces[:, 12:37])
    assert torch.equal(FrameInputs().of(pieces, toy.numbers), found[:, :156])


def test_the_middles_of_frames_side_by_side_are_the_signal(toy):
    """Frames are a second long and begin every half: nothing is missing between the middles, and nothing is there twice."""
    signal = torch.randn(50 + 25 * 9, 6)
    pieces = signal.unfold(0, 50, 25).transpose(1, 2)
    (middles,) = FrameInputs(samples=25).beside(pieces)
    assert torch.equal(middles.view(-1, 6), signal[12 : 12 + 250])


def test_values_stand_in_the_places_of_real_frames():
    real = np.array([[True, True, False], [True, False, False]])
    found, valid = in_places(torch.tensor([[1.0], [2.0], [3.0]]), real)
    assert found[..., 0].tolist() == [[1, 2, 0], [3, 0, 0]]
    assert valid.tolist() == real.tolist()
