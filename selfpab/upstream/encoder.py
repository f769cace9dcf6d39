"""Projection, positions, transformer layers, reconstruction (paper, section 3.1; BEHAVIOUR (c)).

Legend: B windows, T frames, D width, L layers, CF features (156). Post-norm layers with ReLU, no final norm, no dropout
on the embedding or the head: the release's network, and the paper's where it speaks. `norm_first` is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from selfpab.features.statistics import STATISTICS
from selfpab.upstream.packed_products import rectified


@dataclass(frozen=True)
class EncoderConfig:
    d_model: int = 1500  # section 4.1
    layers: int = 4  # section 4.1, N
    heads: int = 6  # section 4.1
    d_feedforward: int = 2048  # section 4.1
    dropout: float = 0.1  # not in the paper; from the authors' release
    attention_dropout: float = 0.1  # the same; `small` has 0: it doubled a step on CPU
    identical_layers: bool = False  # the release starts all layers as copies of one
    norm_first: bool = (
        False  # section 3.1 cites the original transformer: norms after; `small` and `tiny` have them before
    )
    statistics: bool = False  # ours: 45 numbers of every frame beside its spectrum (features/statistics.py)
    upright_share: float = 0.0  # ours: of the back sensor's lean in standing, taken away (features/uprightness.py)


class Encoder(nn.Module):
    """Altered spectra (B, T, CF) -> reconstruction (B, T, CF).

    >>> encoder = Encoder(156, d_model=24, layers=2, heads=3, d_feedforward=32, dropout=0.0, attention_dropout=0.0)
    >>> encoder(torch.zeros(1, 599, 156)).shape, len(encoder.hidden_states(torch.zeros(1, 37, 156)))
    (torch.Size([1, 599, 156]), 2)
    """

    def __init__(
        self,
        d_input: int,
        *,
        d_model: int,
        layers: int,
        heads: int,
        d_feedforward: int,
        dropout: float,
        attention_dropout: float,
        identical_layers: bool = False,
        norm_first: bool = False,
        statistics: bool = False,
        upright_share: float = 0.0,
    ) -> None:
        super().__init__()
        if d_model % heads or d_model % 2:
            raise ValueError(f"d_model must be even and a multiple of the {heads} heads, got {d_model}")
        self.d_model, self.statistics, self.upright_share = d_model, statistics, upright_share
        self.inputs = d_input + (STATISTICS if statistics else 0)
        self.projection = nn.Linear(self.inputs, d_model)
        self.layers = nn.ModuleList(
            Layer(d_model, heads, d_feedforward, dropout, attention_dropout, norm_first) for _ in range(layers)
        )
        self.reconstruction = nn.Linear(d_model, d_input)
        if identical_layers:
            for layer in self.layers[1:]:
                layer.load_state_dict(self.layers[0].state_dict())

    def forward(
        self, spectra: Float[Tensor, "B T CF"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T CF"]:
        """valid : which frames are real; the others are not attended to. None: all."""
        return self.reconstruction(self.hidden_states(spectra, valid)[-1])

    def hidden_states(
        self, spectra: Float[Tensor, "B T CF"], valid: Bool[Tensor, "B T"] | None = None
    ) -> list[Float[Tensor, "B T D"]]:
        """Each layer's output F_1 ... F_L (section 3.2)."""
        return list(self.layer_outputs(self.projection(spectra), valid))

    def layer_outputs(
        self, projected: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Iterator[Float[Tensor, "B T D"]]:
        """The same one after the other, of what `projection` gave: who sums them up need not keep them."""
        table = positions(projected.shape[1], self.d_model, projected.device)
        hidden = projected.float() + table  # what is added up stays in fp32 under autocast
        keep = None if valid is None or self.all_of(valid) else valid[:, None, None, :]
        for layer in self.layers:
            hidden = layer(hidden, keep)
            yield hidden

    def all_of(self, valid: Bool[Tensor, "B T"]) -> bool:
        """Whether every frame is known to be real; a GPU that trains is not asked, as it would have to stop for that."""
        return not (self.training and valid.device.type != "cpu") and bool(valid.all())


class Layer(nn.Module):
    """Self-attention and feed-forward, each added to its input, and a norm after each sum, or before each part."""

    def __init__(
        self,
        d_model: int,
        heads: int,
        d_feedforward: int,
        dropout: float,
        attention_dropout: float,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.attention_dropout, self.norm_first = heads, attention_dropout, norm_first
        self.query_key_value = nn.Linear(d_model, 3 * d_model)
        self.attended = nn.Linear(d_model, d_model)
        self.widen = nn.Linear(d_model, d_feedforward)
        self.narrow = nn.Linear(d_feedforward, d_model)
        self.norm_attention = nn.LayerNorm(d_model)
        self.norm_feedforward = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        # as torch.nn.MultiheadAttention, which the release uses
        nn.init.xavier_uniform_(self.query_key_value.weight)
        nn.init.zeros_(self.query_key_value.bias)
        nn.init.zeros_(self.attended.bias)

    def forward(self, hidden: Float[Tensor, "B T D"], keep: Bool[Tensor, "B 1 1 T"] | None) -> Float[Tensor, "B T D"]:
        return self.around(hidden, lambda inner: self.attend(inner, keep), self.feed)

    def around(
        self, hidden: Float[Tensor, "B T D"], attend: Callable[[Tensor], Tensor], feed: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "B T D"]:
        """Sums and norms around the two parts, however these are computed."""
        if self.norm_first:
            hidden = hidden + attend(self.norm_attention(hidden))
            return hidden + feed(self.norm_feedforward(hidden))
        hidden = self.norm_attention(hidden + attend(hidden))
        return self.norm_feedforward(hidden + feed(hidden))

    def attend(self, hidden: Float[Tensor, "B T D"], keep: Bool[Tensor, "B 1 1 T"] | None) -> Float[Tensor, "B T D"]:
        """Every frame takes from the frames to keep."""
        windows, frames, width = hidden.shape
        split = self.query_key_value(hidden).view(windows, frames, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each B heads T D/heads
        mixed = attention(query, key, value, keep, self.attention_dropout if self.training else 0.0)
        return self.dropout(self.attended(mixed.transpose(1, 2).flatten(2)))

    def feed(self, hidden: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Every frame by itself."""
        return self.dropout(self.narrow(self.dropout(rectified(self.widen, hidden))))


def attention(
    query: Float[Tensor, "B H T E"],
    key: Float[Tensor, "B H T E"],
    value: Float[Tensor, "B H T E"],
    keep: Bool[Tensor, "B 1 1 T"] | None,
    dropout: float,
    scale: float | None = None,
) -> Float[Tensor, "B H T E"]:
    """Scaled dot-product attention over the frames to keep; `scale` is E ** -0.5 where it is not given.

    On CPU in bf16 torch's fused kernel is slower than plain products, backwards (benchmarks/RESULTS.md, "attention") and,
    in `torch.inference_mode`, forwards, unless the processor multiplies tiles (AMX); a T x T map per head is small here.
    Everywhere else the fused kernel is the faster one.
    """
    forwards_only = torch.is_inference_mode_enabled()
    plainly = torch.is_grad_enabled() or (forwards_only and not multiplies_tiles())
    if query.device.type != "cpu" or query.dtype != torch.bfloat16 or not plainly:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=keep, dropout_p=dropout, scale=scale)
    with torch.autocast("cpu", enabled=False):  # it would take the softmax of 599 x 599 maps in fp32
        query, key, value = query.contiguous(), key.contiguous(), value.contiguous()  # else every product copies them
        scores = (query * (scale or query.shape[-1] ** -0.5)) @ key.transpose(-2, -1)
        if keep is not None:
            scores = scores.masked_fill(~keep, -torch.inf)
        shares = scores.float().softmax(-1).bfloat16() if forwards_only else scores.softmax(-1)
        return F.dropout(shares, dropout) @ value


@lru_cache(maxsize=1)
def multiplies_tiles() -> bool:
    """Whether this processor has AMX (Intel, from 2023 on)."""
    check = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(check and check())


@lru_cache(maxsize=16)
def positions(frames: int, d_model: int, device: torch.device) -> Float[Tensor, "T D"]:
    """Sine in even, cosine in odd dimensions, base 10,000, computed in float32 as in the release (BEHAVIOUR (c))."""
    place = torch.arange(frames, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10_000.0) / d_model))
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=2).flatten(1).to(device)


def parameters_in(modules: Sequence[nn.Module]) -> int:
    """How many numbers are learnt.

    >>> parameters_in([nn.Linear(2, 3)])
    9
    """
    return sum(p.numel() for module in modules for p in module.parameters())
