"""Rows by their places, against a loop."""

import pytest
import torch

from selfpab.features.batch_rows import places_of_all, rows_at


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 2), (1, 5, 2, 4)])
def test_rows_are_those_of_a_loop(shape):
    values = torch.randn(shape)
    places = torch.randint(0, 5, (shape[0], 7))
    found = rows_at(values, places)
    assert found.shape == (shape[0], 7, *shape[2:])
    for window, own in enumerate(places.tolist()):
        for at, place in enumerate(own):
            torch.testing.assert_close(found[window, at], values[window, place], rtol=0, atol=0)


def test_places_go_on_from_window_to_window():
    assert places_of_all(torch.tensor([[0, 4], [0, 4]]), 5).tolist() == [[0, 4], [5, 9]]
