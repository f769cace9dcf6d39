"""Packed bf16 products against torch's own."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from selfpab.downstream.head import Head, Network
from selfpab.upstream.encoder import Encoder
from selfpab.upstream.packed_products import PackedLinear, added, packed, rectified, with_packed_products


@pytest.fixture
def linear():
    torch.manual_seed(4)
    return nn.Linear(30, 17)


@pytest.fixture
def refused(monkeypatch):
    """A torch without the product, or a processor that cannot compute it."""

    def refuse(*_):
        raise RuntimeError("mkldnn_bf16 is not supported on this machine")

    monkeypatch.setattr("selfpab.upstream.packed_products.PackedLinear._product", refuse)


def agrees(found, wanted):
    """To the last bit of bf16 or so: sums may be rounded in another order."""
    torch.testing.assert_close(found.float(), wanted.float(), rtol=2**-7, atol=2**-7)


@pytest.mark.parametrize("rows", [(1,), (5,), (2, 600), (3, 1, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_product_in_bf16(rows, bias):
    torch.manual_seed(2)
    linear, values = nn.Linear(30, 17, bias=bias), torch.randn(*rows, 30)
    half = copy.deepcopy(linear).bfloat16()
    wanted = half(values.bfloat16())
    with torch.inference_mode():
        found = packed(linear)(values)
        agrees(found, wanted)
        agrees(rectified(packed(linear), values), wanted.relu())
        agrees(found, linear(values))


@pytest.mark.parametrize(
    "how", [{}, {"padding": (0, 4), "dilation": (1, 2)}, {"stride": (1, 5)}, {"bias": False, "padding": (0, 2)}]
)
@pytest.mark.parametrize("places", [5, 37, 595])
def test_a_convolution_is_packed_too(how, places):
    torch.manual_seed(3)
    convolution, values = nn.Conv2d(6, 16, (1, 5), **how), torch.randn(3, 6, 1, places + 8)
    wanted = copy.deepcopy(convolution).bfloat16()(values.bfloat16())
    other = torch.randn_like(wanted)
    with torch.inference_mode():
        ready = packed(convolution)
        agrees(ready(values), wanted)
        agrees(rectified(ready, values), wanted.relu())
        agrees(added(ready, values, other), wanted.float() + other.float())
        agrees(added(convolution, values, other.float()), wanted.float() + other.float())
        agrees(rectified(convolution, values), wanted.relu())


def test_a_convolution_that_torch_refuses_stays_as_it_is(monkeypatch):
    def refuse(*_):
        raise NotImplementedError("no such convolution")

    monkeypatch.setattr("selfpab.upstream.packed_products.PackedConvolution._convolved", refuse)
    convolution = nn.Conv2d(6, 16, (1, 5))
    assert packed(convolution) is convolution


def test_where_torch_refuses_the_layer_stays_as_it_is(linear, refused):
    assert packed(linear) is linear
    values = torch.randn(4, 30)
    torch.testing.assert_close(rectified(packed(linear), values), F.relu(linear(values)))


def test_where_torch_does_not_know_the_product(linear, monkeypatch):
    monkeypatch.setattr("selfpab.upstream.packed_products.PackedLinear.__init__", missing)
    assert packed(linear) is linear


def missing(*_):
    raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_reorder_linear_weight'")


def test_layers_elsewhere_than_on_a_cpu_are_left_alone():
    linear = nn.Linear(3, 2, device="meta")
    assert packed(linear) is linear


def test_a_whole_network_is_packed_and_answers_as_before():
    torch.manual_seed(1)
    shape = {"d_model": 24, "layers": 2, "heads": 3, "d_feedforward": 32, "dropout": 0.0, "attention_dropout": 0.0}
    network = Network(Encoder(156, **shape, norm_first=True), Head(2, 24, 40, 5)).eval()
    ready = with_packed_products(copy.deepcopy(network))
    spectra, valid = torch.randn(3, 37, 156), torch.ones(3, 37, dtype=torch.bool)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ready(spectra, valid).float(), network(spectra, valid).float(), rtol=0.05, atol=0.05)
    if isinstance(packed(nn.Linear(2, 2)), PackedLinear):
        assert not any(isinstance(part, nn.Linear) for part in ready.modules())
        assert any(isinstance(part, nn.Linear) for part in network.modules())
