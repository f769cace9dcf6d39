"""What a frame's magnitudes do not say: signs, asymmetry, how the axes move together (ours; not in the paper).

abs(STFT(x)) = abs(STFT(-x)): magnitudes know neither which way gravity points along an axis, so that lying on the back and
leaning back in a chair look alike, nor that one stride mirrors another. These numbers stand beside them as further inputs
of an encoder that is trained with labels. Each is scaled by a constant so that it lies mostly between -2 and 2.
Legend: N frames, S samples, C channels (6).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

CHANNELS = 6
STATISTICS = 5 * CHANNELS + CHANNELS * (CHANNELS - 1) // 2  # 45
SMALLEST_G = 1e-2  # about what the noise of a sensor at rest is
SMALLEST_PRODUCT = 1e-3


def frame_statistics(pieces: Float[Tensor, "N S C"]) -> Float[Tensor, "N 45"]:
    """Of each channel the mean, log deviation, skewness, change from first to second half and log deviation of its
    steps; then the correlations of all pairs of channels.

    pieces : samples of frames in g, float32; some hundred at once, so that they stay in a core's cache, are the fastest.

    >>> still = torch.zeros(1, 50, 6)
    >>> still[..., 0] = -1.0
    >>> frame_statistics(still)[0, :3].tolist(), frame_statistics(still)[0, 30:].abs().max().item()
    ([-1.0, 0.0, 0.0], 0.0)
    """
    times = pieces.permute(1, 2, 0).contiguous()  # S C N: sums over time then run along the frames; 6 times as fast
    half = len(times) // 2
    mean = times.mean(0)
    centred = times - mean
    square = centred.square()
    deviation = square.mean(0).sqrt()
    steps = times.diff(dim=0)
    steps = ((steps - steps.mean(0)).square().sum(0) / (len(steps) - 1)).sqrt()
    skewness = (square * centred).mean(0) / (deviation.pow(3) + SMALLEST_PRODUCT)
    change = times[half:].mean(0) - times[:half].mean(0)
    together = []  # of every channel with those behind it
    for one in range(CHANNELS - 1):
        product = (centred[:, one : one + 1] * centred[:, one + 1 :]).mean(0)
        together.append(product / (deviation[one] * deviation[one + 1 :] + SMALLEST_PRODUCT))
    rows = [
        mean,
        torch.log(deviation + SMALLEST_G) / 2,
        skewness.clamp(-3, 3) / 2,
        2 * change,
        torch.log(steps + SMALLEST_G) / 2,
        *together,
    ]
    return torch.cat(rows).T.contiguous()
