"""Weighted layer sum and MLP (paper, section 3.2; BEHAVIOUR (c)).

Legend: L layers, B windows, T frames, D width, K classes. The weights of the layers are raw scalars, 1/L at the start and
trained from the first step; the head has one hidden layer and no dropout; softmax is left to the loss and to prediction.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Head(nn.Module):
    """Hidden states (L, B, T, D) -> logits (B, T, K).

    >>> Head(4, 192, 1028, 7)(torch.zeros(4, 2, 599, 192)).shape
    torch.Size([2, 599, 7])
    """

    def __init__(self, layers: int, width: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.layer_weights = nn.Parameter(torch.full((layers,), 1.0 / layers))
        self.hidden = nn.Linear(width, hidden)
        self.output = nn.Linear(hidden, classes)

    def forward(self, states: Float[Tensor, "L B T D"]) -> Float[Tensor, "B T K"]:
        summed = torch.einsum("l,lbtd->btd", self.layer_weights.to(states.dtype), states)
        return self.output(torch.relu(self.hidden(summed)))
