"""A made-up person whose postures and gait turn the way real ones do, for what looks at how sensors are worn."""

from collections.abc import Callable

import numpy as np
import pytest

from selfpab.recording import Recording

RATE = 50
POSTURES_G = {  # back, thigh: HARTH's frame
    "stand": [-0.97, 0, -0.2, -1, 0, 0],
    "sit": [-0.95, 0, 0.3, -0.1, 0, -1],
    "lie": [-0.1, 0, 1, 0, 0, -1],
}
CODES = {"stand": 6, "sit": 7, "lie": 8, "walk": 1}
DAY = (("stand", 1), ("walk", 4), ("sit", 3), ("walk", 3), ("lie", 2), ("stand", 1), ("walk", 3), ("sit", 3))


def bout(kind: str, minutes: float, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(round(minutes * 60 * RATE)) / RATE
    g = np.tile(np.array(POSTURES_G["stand" if kind == "walk" else kind], float), (len(t), 1))
    if kind == "walk":  # the back goes round its y axis one way, the thigh round its own the other way
        angle = 2 * np.pi * 1.8 * t
        g[:, 0] += 0.35 * np.cos(angle)
        g[:, 2] += 0.10 * np.cos(angle - np.pi / 2)
        g[:, 3] += 0.80 * np.cos(angle / 2)
        g[:, 5] += 0.25 * np.cos(angle / 2 + np.pi / 2)
    return g + rng.normal(0, 0.04 if kind == "walk" else 0.015, g.shape)


@pytest.fixture(scope="session")
def somebody() -> Callable[..., Recording]:
    """A labelled int16 recording of (kind, minutes) one after the other; twenty minutes of everything if none is told."""

    def make(*bouts: tuple[str, float], seed: int = 0) -> Recording:
        rng = np.random.default_rng(seed)
        pieces = [bout(kind, minutes, rng) for kind, minutes in bouts or DAY]
        labels = np.repeat([CODES[kind] for kind, _ in bouts or DAY], [len(piece) for piece in pieces])
        counts = np.rint(np.concatenate(pieces) * 4096).astype(np.int16)
        return Recording("P1", None, float(RATE), counts, labels.astype(np.int16), counts_per_g=4096)

    return make
