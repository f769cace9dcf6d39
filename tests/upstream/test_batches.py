"""Spectra of a batch: as the features make them, on the device, without a question to it."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from selfpab.data.windows import Batch
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig, window_spectra
from selfpab.upstream.batches import all_real, on_device, spectra
from selfpab.upstream.encoder import Encoder
from selfpab.upstream.masking import MaskingConfig, alter, draw, masked_l1
from selfpab.upstream.padded_encoder import PaddedEncoder

SHAPE = SpectrogramConfig(window_frames=19)
CPU = torch.device("cpu")


@pytest.fixture
def numbers() -> Normalisation:
    chance = np.random.default_rng(0)
    std = chance.uniform(1, 2, 156).astype(np.float32)
    std[3] = 0
    return Normalisation(chance.normal(size=156).astype(np.float32), std)


def batch(kind: str) -> Batch:
    chance = np.random.default_rng(1)
    frames = np.tile(np.arange(19, dtype=np.int32), (3, 1))
    samples = SHAPE.window_samples
    if kind == "short":
        frames[1, 12:] = -1
    if kind == "pieces":  # a gap: the second piece begins with whole frames of its own
        frames[2, 9:] += 1
        samples += 25
    return Batch(chance.integers(-4096, 4096, (3, samples, 6)).astype(np.int16), np.array([4096, 4096, 256]), frames)


@pytest.mark.parametrize("kind", ["whole", "short", "pieces"])
def test_they_are_those_of_the_features(numbers, kind):
    given = batch(kind)
    clean, valid = spectra(given, numbers, SHAPE, CPU)
    arrays = (torch.from_numpy(a) for a in (given.counts, given.counts_per_g, given.frames))
    raw, wanted_valid = window_spectra(*arrays, SHAPE)
    torch.testing.assert_close(clean.flatten(2), numbers(raw) * wanted_valid[..., None], rtol=1e-5, atol=1e-5)
    assert clean.is_contiguous()
    assert torch.equal(valid, wanted_valid)
    assert all_real(given) == bool(valid.all()) == (kind != "short")


def test_numbers_belong_to_their_normalisation(numbers):
    one = spectra(batch("whole"), numbers, SHAPE, CPU)[0]
    other = Normalisation(numbers.mean + 1, numbers.std)
    assert not torch.equal(spectra(batch("whole"), other, SHAPE, CPU)[0], one)


class Questions(TorchDispatchMode):
    """Counts what a GPU would have to stop for: values of tensors that Python wants to know."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func._schema.name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("padded", [False, True])
def test_from_windows_to_the_gradients_nothing_is_asked(numbers, padded):
    given = batch("whole")
    encoder = Encoder(156, d_model=30, layers=2, heads=3, d_feedforward=40, dropout=0.1, attention_dropout=0.1)
    form = PaddedEncoder(encoder) if padded else encoder
    with Questions() as questions:
        clean, valid = spectra(given, numbers, SHAPE, CPU)
        altered, mask = alter(clean, valid, draw(3, 19, 26, torch.Generator()), MaskingConfig())
        rebuilt = form(altered.flatten(2), None if all_real(given) else valid)
        loss = masked_l1(rebuilt, clean.flatten(2), mask.flatten(2))
        loss.backward()
        assert questions.count == 0
        assert valid.all()
        assert questions.count == 1


def test_a_gpu_is_given_pinned_memory_without_waiting(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: (calls.append("pinned"), self)[1])
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *a, **k: (calls.append((a, k)), self)[1])
    counts = np.ones((2, 3), np.int16)
    assert on_device(counts, torch.device("cuda")).dtype == torch.int16
    assert calls == ["pinned", ((torch.device("cuda"),), {"non_blocking": True})]
    on_device(counts, CPU)
    assert calls[2:] == [((CPU,), {})]
