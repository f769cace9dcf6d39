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

    pieces : samples of frames in g, float32.

    >>> still = torch.zeros(1, 50, 6)
    >>> still[..., 0] = -1.0
    >>> frame_statistics(still)[0, :3].tolist(), frame_statistics(still)[0, 30:].abs().max().item()
    ([-1.0, 0.0, 0.0], 0.0)
    """
    half = pieces.shape[1] // 2
    mean = pieces.mean(1)
    centred = pieces - mean[:, None]
    deviation = centred.square().mean(1).sqrt()
    steps = pieces.diff(dim=1).std(1)
    skewness = (centred.square() * centred).mean(1) / (deviation.pow(3) + SMALLEST_PRODUCT)
    change = pieces[:, half:].mean(1) - pieces[:, :half].mean(1)
    first, second = torch.triu_indices(CHANNELS, CHANNELS, 1, device=pieces.device)
    together = (centred[..., first] * centred[..., second]).mean(1)
    together = together / (deviation[:, first] * deviation[:, second] + SMALLEST_PRODUCT)
    return torch.cat(
        [
            mean,
            torch.log(deviation + SMALLEST_G) / 2,
            skewness.clamp(-3, 3) / 2,
            2 * change,
            torch.log(steps + SMALLEST_G) / 2,
            together,
        ],
        dim=1,
    )
