"""Rows of a batch by their places, whole rows at a time: `gather` copies number by number, four times as slowly.

Legend: B windows, N rows of each, P places.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int, Shaped
from torch import Tensor


def rows_at(values: Shaped[Tensor, "B N ..."], places: Int[Tensor, "B P"]) -> Shaped[Tensor, "B P ..."]:
    """values[b, places[b, p]].

    >>> rows_at(torch.tensor([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]), torch.tensor([[1], [0]])).tolist()
    [[[3, 4]], [[5, 6]]]
    """
    rows = values.flatten(0, 1).index_select(0, places_of_all(places, values.shape[1]).flatten())
    return rows.unflatten(0, places.shape)


def places_of_all(places: Int[Tensor, "B P"], length: Any) -> Int[Tensor, "B P"]:
    """The same places among the rows of all windows, `length` of each: an int, or what stands for one in a graph.

    >>> places_of_all(torch.tensor([[1], [0]]), 2).tolist()
    [[1], [2]]
    """
    return places + torch.arange(places.shape[0], device=places.device)[:, None] * length
