"""The network: against torch's own layer, its paths against each other, and what padding may touch."""

import pytest
import torch
from torch import nn

from selfpab.upstream.authors import INSIDE
from selfpab.upstream.encoder import Encoder, Layer, attention, positions

SHAPE = {"d_model": 24, "layers": 2, "heads": 3, "d_feedforward": 40, "dropout": 0.0, "attention_dropout": 0.0}


def test_a_layer_is_torchs_post_norm_layer():
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(24, 3, 40, dropout=0.0, batch_first=True).double()
    ours = Layer(24, 3, 40, 0.0, 0.0).double()
    weights = {}
    for key, value in theirs.state_dict().items():
        prefix = next(p for p in INSIDE if key.startswith(p))
        weights[key.replace(prefix, INSIDE[prefix])] = value
    ours.load_state_dict(weights)
    hidden = torch.randn(2, 31, 24, dtype=torch.float64)
    torch.testing.assert_close(ours(hidden, None), theirs(hidden), rtol=1e-10, atol=1e-10)


def test_the_plain_products_of_cpu_training_are_the_fused_attention():
    torch.manual_seed(1)
    query, key, value = torch.randn(3, 2, 3, 37, 8).bfloat16()
    keep = (torch.arange(37) < 30).expand(2, 1, 1, 37)
    for mask in (None, keep):
        with torch.enable_grad():
            plain = attention(query, key, value, mask, 0.0)
        with torch.no_grad():
            fused = attention(query, key, value, mask, 0.0)
        torch.testing.assert_close(plain, fused, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("tiles", [True, False])
def test_prediction_takes_the_fused_kernel_where_tiles_are_multiplied(tiles, monkeypatch):
    torch.manual_seed(1)
    query, key, value = torch.randn(3, 2, 3, 37, 8).bfloat16()
    keep = (torch.arange(37) < 30).expand(2, 1, 1, 37)
    fused, called = torch.nn.functional.scaled_dot_product_attention, []
    monkeypatch.setattr("selfpab.upstream.encoder.multiplies_tiles", lambda: tiles)
    monkeypatch.setattr(
        "torch.nn.functional.scaled_dot_product_attention", lambda *a, **k: (called.append(1), fused(*a, **k))[1]
    )
    with torch.inference_mode():
        found = attention(query, key, value, keep, 0.0)
    assert bool(called) == tiles
    exact = fused(query.float(), key.float(), value.float(), attn_mask=keep)
    torch.testing.assert_close(found.float(), exact, rtol=0.02, atol=0.02)


def test_frames_behind_the_end_do_not_reach_real_ones():
    torch.manual_seed(2)
    encoder = Encoder(156, **SHAPE).eval()
    spectra = torch.randn(2, 50, 156)
    valid = torch.arange(50).expand(2, 50) < torch.tensor([[50], [20]])
    padded = spectra.clone()
    padded[1, 20:] = 99.0
    torch.testing.assert_close(encoder(padded, valid)[1, :20], encoder(spectra[1:, :20])[0], rtol=1e-4, atol=1e-5)


def test_positions_are_sine_and_cosine():
    table = positions(599, 24, torch.device("cpu"))
    assert table.shape == (599, 24)
    assert table[7, 0].item() == pytest.approx(torch.sin(torch.tensor(7.0)).item(), abs=1e-6)
    assert table[7, 1].item() == pytest.approx(torch.cos(torch.tensor(7.0)).item(), abs=1e-6)
    assert table[7, 23].item() == pytest.approx(torch.cos(torch.tensor(7 * 10_000 ** (-22 / 24))).item(), abs=1e-6)


def test_identical_layers_only_where_asked():
    torch.manual_seed(3)
    same, different = Encoder(156, **SHAPE, identical_layers=True), Encoder(156, **SHAPE)
    first, second = (encoder.layers[1].widen.weight - encoder.layers[0].widen.weight for encoder in (same, different))
    assert not first.any()
    assert second.any()


def test_all_layer_outputs_come_in_order_and_the_last_is_reconstructed():
    torch.manual_seed(4)
    encoder = Encoder(156, **SHAPE).eval()
    spectra = torch.randn(1, 30, 156)
    states = encoder.hidden_states(spectra)
    assert len(states) == 2
    torch.testing.assert_close(encoder.reconstruction(states[1]), encoder(spectra))
    torch.testing.assert_close(encoder.layers[1](states[0], None), states[1])


def test_bf16_stays_close_to_fp32():
    torch.manual_seed(5)
    encoder = Encoder(156, **SHAPE).eval()
    spectra = torch.randn(2, 100, 156)
    exact = encoder(spectra)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = encoder(spectra)
    assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


def test_dropout_acts_in_training_only():
    torch.manual_seed(6)
    encoder = Encoder(156, **(SHAPE | {"dropout": 0.5}))
    spectra = torch.randn(1, 20, 156)
    assert not torch.equal(encoder(spectra), encoder(spectra))
    encoder.eval()
    torch.testing.assert_close(encoder(spectra), encoder(spectra), rtol=0, atol=0)


def test_a_width_that_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="multiple of the 5 heads, got 24"):
        Encoder(156, **(SHAPE | {"heads": 5}))
