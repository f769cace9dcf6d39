"""ENMO, the movement of a sensor in milli-g whatever way it is turned.

Euclidean norm minus one, values below zero set to zero: van Hees et al. (2013), "Separating movement and gravity components
in an acceleration signal and implications for the assessment of human daily physical activity", PLoS ONE 8(4): e61691.
A sensor that shows 1.02 g when still has 20 mg too much: ENMO is as good as the calibration.
"""

from __future__ import annotations

import numpy as np

AXES = 3


def enmo_mg(acceleration_g: np.ndarray) -> np.ndarray:
    """max(|a| - 1 g, 0) of every sample and sensor, in mg: (N, 3 S) in g -> float64 (N, S).

    Raises ValueError where the columns are not three a sensor.

    >>> enmo_mg(np.array([[0.0, 0.0, 1.5, -0.6, 0.0, 0.8], [0.5, 0.0, 0.0, 0.0, 3.0, 4.0]])).tolist()
    [[500.0, 0.0], [0.0, 4000.0]]
    """
    samples, columns = acceleration_g.shape
    if columns % AXES:
        raise ValueError(f"wanted three columns a sensor, got {columns} columns")
    values = acceleration_g.reshape(samples, columns // AXES, AXES).astype(np.float64)
    norms = np.sqrt(np.einsum("nsa,nsa->ns", values, values))  # a sum over so short an axis is slow
    return 1000.0 * np.maximum(norms - 1.0, 0.0)
