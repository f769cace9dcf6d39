"""ENMO against a loop, and what it must not feel."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from selfpab.features.enmo import enmo_mg


@given(hnp.arrays(np.float32, st.tuples(st.integers(0, 20), st.just(6)), elements=st.floats(-8, 8, width=32)))
def test_it_is_the_norm_minus_one_g_and_never_negative(values):
    found = enmo_mg(values)
    assert found.shape == (len(values), 2)
    for row, (back, thigh) in zip(values.tolist(), found, strict=True):
        assert back == pytest.approx(max(math.hypot(*row[:3]) - 1, 0) * 1000, abs=1e-9)
        assert thigh == pytest.approx(max(math.hypot(*row[3:]) - 1, 0) * 1000, abs=1e-9)


def test_it_does_not_feel_which_way_a_sensor_is_turned():
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    values = rng.normal(0, 1.5, (200, 3))
    np.testing.assert_allclose(enmo_mg(values @ turn), enmo_mg(values), atol=1e-9)
    assert enmo_mg(values).max() > 1000


def test_columns_that_are_no_sensors_are_refused():
    with pytest.raises(ValueError, match="wanted three columns a sensor, got 4 columns"):
        enmo_mg(np.zeros((5, 4)))
