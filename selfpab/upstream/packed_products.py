"""bf16 products for prediction on a CPU: the weights lie in memory as the processor takes them, a ReLU is part of the product.

torch lays weights out anew in every call, and a ReLU by itself reads and writes a layer's widest values once more; together
that is a fifth of the encoder's time. These are the products that `torch.compile` would choose, called by their names, as
compiling needs a compiler on the user's machine. Convolutions likewise, and what is added to them. The names are not part of
torch's documented interface: where they are missing, or refuse, `packed` gives the layer back as it is, and predictions are
the same, only slower.
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


class PackedConvolution(nn.Module):
    """A convolution without gradients, in bf16 whatever it is given; what it gives lies in memory channel beside channel."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        assert not isinstance(convolution.padding, str)
        shape = (convolution.padding, convolution.stride, convolution.dilation)
        self.shape = (*map(list, shape), convolution.groups)
        weight = convolution.weight.detach().bfloat16()
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *self.shape, None)
        self.bias = None if convolution.bias is None else convolution.bias.detach().bfloat16()

    def forward(self, values: Float[Tensor, "B I H P"]) -> Float[Tensor, "B O H Q"]:
        return self._convolved(values, "none")

    def rectified(self, values: Float[Tensor, "B I H P"]) -> Float[Tensor, "B O H Q"]:
        """ReLU of it."""
        return self._convolved(values, "relu")

    def added(self, values: Float[Tensor, "B I H P"], to: Float[Tensor, "B O H Q"]) -> Float[Tensor, "B O H Q"]:
        """Its sum with `to`, rounded once."""
        return torch.ops.mkldnn._convolution_pointwise.binary(
            values.bfloat16(), to.bfloat16(), self.weight, self.bias, *self.shape, "add", None, None, [], None
        )

    def _convolved(self, values: Tensor, then: str) -> Tensor:
        return torch.ops.mkldnn._convolution_pointwise(
            values.bfloat16(), self.weight, self.bias, *self.shape, then, [], ""
        )


def packed(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    """The same layer with packed bf16 weights; where this torch or processor has no such product, the layer itself.

    >>> packed(nn.Linear(3, 2))(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """
    if layer.weight.device.type != "cpu":
        return layer
    try:
        if isinstance(layer, nn.Linear):
            made: PackedLinear | PackedConvolution = PackedLinear(layer)
            made.rectified(torch.zeros(1, layer.in_features))
        else:
            made = PackedConvolution(layer)
            some = torch.zeros(1, layer.in_channels, *layer.kernel_size)
            made.added(some, made.rectified(some))
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return layer
    return made


def with_packed_products(network: Part) -> Part:
    """The network itself, with `packed` in the place of each of its linear layers and convolutions."""
    for part in list(network.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.Linear | nn.Conv2d):
                setattr(part, name, packed(child))
    return network


def rectified(layer: nn.Module, values: Tensor) -> Tensor:
    """ReLU of what a linear layer or a convolution makes of the values, in one go where it is packed.

    >>> rectified(nn.Linear(3, 2), torch.ones(5, 3)).min().item() >= 0
    True
    """
    whole = isinstance(layer, PackedLinear | PackedConvolution)
    return layer.rectified(values) if whole else F.relu(layer(values), inplace=isinstance(layer, nn.Conv2d))


def added(convolution: nn.Module, values: Float[Tensor, "B I H P"], to: Float[Tensor, "B O H Q"]) -> Tensor:
    """The sum of what a convolution makes of the values and of `to`, in one go where it is packed."""
    if isinstance(convolution, PackedConvolution):
        return convolution.added(values, to)
    return convolution(values).add_(to)
