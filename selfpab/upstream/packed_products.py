"""bf16 products for prediction on a CPU: the weights lie in memory as the processor takes them, a ReLU is part of the product.

torch lays weights out anew in every call, and a ReLU by itself reads and writes a layer's widest values once more; together
that is a fifth of the encoder's time. These are the products that `torch.compile` would choose, called by their names, as
compiling needs a compiler on the user's machine. The names are not part of torch's documented interface: where they are
missing, or refuse, `packed` gives the layer back as it is, and predictions are the same, only slower.
"""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Part = TypeVar("Part", bound=nn.Module)
EXPECTED_ROWS = 1024  # for which the layout is chosen; any number may come


class PackedLinear(nn.Module):
    """A linear layer without gradients, in bf16 whatever it is given."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().bfloat16()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, EXPECTED_ROWS)
        self.bias = None if linear.bias is None else linear.bias.detach().bfloat16()

    def forward(self, values: Float[Tensor, "... I"]) -> Float[Tensor, "... O"]:
        return self._product(values, "none")

    def rectified(self, values: Float[Tensor, "... I"]) -> Float[Tensor, "... O"]:
        """ReLU of the product."""
        return self._product(values, "relu")

    def _product(self, values: Tensor, then: str) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(values.bfloat16(), self.weight, self.bias, then, [], "")


def packed(linear: nn.Linear) -> nn.Module:
    """The same layer with packed bf16 weights; where this torch or processor has no such product, the layer itself.

    >>> packed(nn.Linear(3, 2))(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """
    if linear.weight.device.type != "cpu":
        return linear
    try:
        made = PackedLinear(linear)
        made.rectified(torch.zeros(1, linear.in_features))
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return linear
    return made


def with_packed_products(network: Part) -> Part:
    """The network itself, with `packed` in the place of each of its linear layers."""
    for part in list(network.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.Linear):
                setattr(part, name, packed(child))
    return network


def rectified(linear: nn.Module, values: Float[Tensor, "... I"]) -> Float[Tensor, "... O"]:
    """ReLU of what a linear layer makes of the values, in one go where it is packed.

    >>> rectified(nn.Linear(3, 2), torch.ones(5, 3)).min().item() >= 0
    True
    """
    return linear.rectified(values) if isinstance(linear, PackedLinear) else F.relu(linear(values))
