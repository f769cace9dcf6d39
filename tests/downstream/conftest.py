"""Toy people and a toy encoder: windows of 11 frames, width 12, three classes."""

from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from selfpab.activities import Activities
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head, Network
from selfpab.downstream.material import Material
from selfpab.downstream.states import Extractor
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.recording import Recording, Segment
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.encoder import EncoderConfig

SHAPE = SpectrogramConfig(window_frames=11)
THREE = Activities("three", (10, 20, 30), ("still", "slow", "fast"), {31: 30})
SMALL = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
NUMBERS = Normalisation(np.full(156, 3, np.float32), np.full(156, 5, np.float32))
SHORT = ((0, 203, 0.0), (203, 230, 5.0), (230, 700, 7.0), (700, 712, 500.0), (712, 1100, 900.0))  # three runs


def person(name="p", segments=((0, 3000, 0.0),), seed=0, rate_hz=50.0):
    """Ten seconds of each of three levels of movement in turn."""
    chance = np.random.default_rng(seed)
    size = segments[-1][1]
    index = np.arange(size) // 500 % 3
    samples = chance.normal(0, 1, (size, 6)) * np.array([0.01, 1.0, 5.0])[index][:, None]
    labels = np.array([10, 20, 30], np.int16)[index]
    return Recording(
        name, None, rate_hz, samples.astype(np.float32), labels, tuple(Segment(*segment) for segment in segments)
    )


def upstream(seed=0, shape=SMALL, normalisation=NUMBERS):
    torch.manual_seed(seed)
    return Upstream.fresh(shape, SHAPE, normalisation)


def parts(config: FinetuneConfig, people, *, encoder=True, start=None, seed=5):
    """(network, material, extractor) as `train` wants them."""
    start = start or upstream()
    torch.manual_seed(seed)
    layers, width = (SMALL.layers, SMALL.d_model) if encoder else (1, 156)
    network = Network(
        deepcopy(start.encoder) if encoder else None, Head(layers, width, config.hidden, 3, config.weighted)
    )
    extractor = Extractor(network, SHAPE, start.normalisation, "fp32", config.framing == "release")
    return network, Material(people, THREE, SHAPE, config.validation_share), extractor


def slow_spectra(recording, starts, stops, normalisation=NUMBERS):
    """torch.stft, one frame at a time."""
    rows = []
    for start, stop in zip(starts, stops, strict=True):
        piece = recording.acceleration_g[start : min(start + 50, stop)]
        piece = np.concatenate([piece, np.repeat(piece[-1:], 50 - len(piece), axis=0)])
        made = torch.stft(
            torch.from_numpy(piece.T.copy()), 50, 25, window=torch.hann_window(50), center=False, return_complex=True
        )
        rows.append(made.abs()[:, :, 0].flatten().numpy())
    return ((np.array(rows) - normalisation.mean) / normalisation.std).astype(np.float32)


def weights(module):
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same(one, other):
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="session")
def toy():
    return SimpleNamespace(
        shape=SHAPE,
        three=THREE,
        small=SMALL,
        numbers=NUMBERS,
        short=SHORT,
        person=person,
        upstream=upstream,
        parts=parts,
        slow_spectra=slow_spectra,
        weights=weights,
        same=same,
    )


@pytest.fixture(scope="module")
def gapped(toy):
    """Four segments in three runs."""
    return toy.person(segments=((0, 203, 0.0), (203, 230, 5.0), (230, 700, 7.0), (700, 1100, 200.0)))


@pytest.fixture(scope="module")
def normalisation():
    chance = np.random.default_rng(5)
    return Normalisation(*(chance.uniform(1, 3, 156).astype(np.float32) for _ in range(2)))


@pytest.fixture(scope="module")
def encoder(toy, normalisation):
    return Extractor.of_encoder(toy.upstream(normalisation=normalisation), "fp32")
