"""The encoder with its matrix products at widths that a GPU multiplies fast (ours; same network, same weights).

Rows of 1500 or 250 numbers in bf16 are no multiple of 16 bytes long, which tensor cores and the fused attention want: 1536 and
256 are. Weights are padded with zeros as they are cast, in every step: parameters, gradients, moments and checkpoints keep
their true shapes. Sums and layer norms run over the true width, in fp32 as before, and attention keeps the scale of the true
head width, so that zeros only ever add zeros: outputs and gradients differ from the encoder's by float noise.
Legend: B windows, T frames, D width, E head width, CF features; I and O inputs and outputs of a product.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from selfpab.upstream.encoder import Encoder, Layer, attention, positions

ROW, HEAD = 64, 8  # widths of products and heads become multiples of these


class PaddedEncoder(nn.Module):
    """Stands in for `encoder`, whose parameters it uses, wherever it is called.

    >>> shape = {"d_model": 30, "layers": 1, "heads": 3, "d_feedforward": 40, "dropout": 0.0, "attention_dropout": 0.0}
    >>> encoder, spectra = Encoder(156, **shape), torch.randn(1, 37, 156)
    >>> torch.allclose(PaddedEncoder(encoder)(spectra), encoder(spectra), atol=1e-5)
    True
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, spectra: Float[Tensor, "B T CF"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T CF"]:
        """As of the encoder."""
        encoder = self.encoder
        table = positions(spectra.shape[1], encoder.d_model, spectra.device)
        hidden = product(spectra, encoder.projection).float() + table
        keep = None if valid is None or encoder.all_of(valid) else valid[:, None, None, :]
        for layer in encoder.layers:
            assert isinstance(layer, Layer)
            hidden = padded_layer(layer, hidden, keep)
        return product(hidden, encoder.reconstruction)


def fast_form(encoder: Encoder, device: torch.device, *, compiled: bool = False) -> nn.Module:
    """What to train in place of `encoder`, with its parameters: padded on a GPU where rows or heads are not aligned.

    On CPU nothing was gained: a step of one layer of the paper's took as long padded as not.
    """
    layer = encoder.layers[0]
    assert isinstance(layer, Layer)
    aligned = encoder.d_model % ROW == 0 and (encoder.d_model // layer.heads) % HEAD == 0
    form = encoder if aligned or device.type != "cuda" else PaddedEncoder(encoder)
    return torch.compile(form) if compiled else form  # type: ignore[return-value]


def padded_layer(
    layer: Layer, hidden: Float[Tensor, "B T D"], keep: Bool[Tensor, "B 1 1 T"] | None
) -> Float[Tensor, "B T D"]:
    """What `layer` gives."""

    def feed(inner: Tensor) -> Tensor:
        wide = layer.dropout(F.relu(product(inner, layer.widen)))
        return layer.dropout(product(wide, layer.narrow))

    return layer.around(hidden, lambda inner: layer.dropout(attend(layer, inner, keep)), feed)


def attend(
    layer: Layer, hidden: Float[Tensor, "B T D"], keep: Bool[Tensor, "B 1 1 T"] | None
) -> Float[Tensor, "B T D"]:
    """Attention with every head padded by zeros, which its products neither see nor give."""
    windows, frames, width = hidden.shape
    heads, true = layer.heads, width // layer.heads
    more_rows, more_head = -width % ROW, -true % HEAD
    first, last = layer.query_key_value, layer.attended
    weight = F.pad(cast(first.weight).view(3, heads, true, width), (0, more_rows, 0, more_head)).flatten(0, 2)
    bias = F.pad(cast(first.bias).view(3, heads, true), (0, more_head)).flatten()
    split = F.linear(F.pad(cast(hidden), (0, more_rows)), weight, bias)
    query, key, value = split.view(windows, frames, 3, heads, true + more_head).permute(2, 0, 3, 1, 4)
    mixed = attention(query, key, value, keep, layer.attention_dropout if layer.training else 0.0, true**-0.5)
    weight = F.pad(cast(last.weight).view(width, heads, true), (0, more_head)).flatten(1)
    weight = F.pad(weight, (0, -weight.shape[1] % ROW, 0, more_rows))
    mixed = mixed.transpose(1, 2).flatten(2)
    mixed = F.pad(mixed, (0, weight.shape[1] - mixed.shape[2]))
    return F.linear(mixed, weight, F.pad(cast(last.bias), (0, more_rows)))[..., :width]


def product(rows: Float[Tensor, "B T I"], linear: nn.Linear) -> Float[Tensor, "B T O"]:
    """What `linear` gives, computed at multiples of `ROW`."""
    more_in, more_out = -linear.in_features % ROW, -linear.out_features % ROW
    weight, bias = F.pad(cast(linear.weight), (0, more_in, 0, more_out)), F.pad(cast(linear.bias), (0, more_out))
    return F.linear(F.pad(cast(rows), (0, more_in)), weight, bias)[..., : linear.out_features]


def cast(values: Tensor) -> Tensor:
    """To what autocast computes in, before padding: half the bytes to pad."""
    kind = values.device.type
    return values.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else values
