"""People wear sensors a little otherwise: training windows turned and scaled as a whole (ours; not in the paper).

Each sensor of a window gets one rotation about a random axis and one gain, the same for all its frames. Before the
spectrum: magnitudes cannot be rotated. Legend: N frames, S samples, C channels (6), B windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor


@dataclass(frozen=True)
class AugmentConfig:
    tilt_deg: float = 0.0  # standard deviation of the angle by which a sensor is turned
    gain: float = 0.0  # standard deviation of its gain around 1


def altered(
    pieces: Float[Tensor, "N S C"], frames: np.ndarray, config: AugmentConfig, seed: int
) -> Float[Tensor, "N S C"]:
    """The samples as other wearers' sensors would have given them.

    pieces : frames of all windows in g, one window after the other. frames : how many each window has, int (B,).

    >>> still = torch.tensor([0.0, 0.0, 1.0] * 2).expand(4, 50, 6)
    >>> turned = altered(still, np.array([3, 1]), AugmentConfig(tilt_deg=10.0), seed=0)
    >>> turned[:, 0, :3].norm(dim=1).round(decimals=3).tolist(), bool((turned[0] == turned[2]).all())
    ([1.0, 1.0, 1.0, 1.0], True)
    """
    if not config.tilt_deg and not config.gain:
        return pieces
    chance = np.random.default_rng(seed)
    window = np.repeat(np.arange(len(frames)), frames)
    result = []
    for first in (0, 3):
        axes = chance.normal(size=(len(frames), 3))
        axes /= np.linalg.norm(axes, axis=1, keepdims=True)
        angles = np.deg2rad(config.tilt_deg) * chance.normal(size=(len(frames), 1))
        gains = 1 + config.gain * chance.normal(size=(len(frames), 1, 1))
        turns = (gains * Rotation.from_rotvec(angles * axes).as_matrix()).astype(np.float32)
        turn = torch.from_numpy(turns[window]).to(pieces.device)
        with torch.autocast(pieces.device.type, enabled=False):  # samples are no activations: bf16 has 8 bits for them
            result.append(pieces[..., first : first + 3] @ turn.transpose(1, 2))
    return torch.cat(result, dim=2)
