"""Gain and offset of a device from its own recording: what lies still must measure 1 g, whichever way it is turned.

After van Hees et al. 2014 (doi 10.1152/japplphysiol.00421.2014, "autocalibration"), as GGIR does it: epochs of 10 s in
which nothing moves, all around the sphere, and the gain, offset and temperature slope of each axis that bring them
closest to 1 g. Ours: the minimum is sought by Gauss-Newton steps (the paper's closest-point regressions find the same,
in a hundred times as many), every orientation counts once, and gains, offsets and slopes are held weakly to what such
sensors have, so that nothing is invented for an axis of which little was seen. Legend: N epochs, P parameters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

STILL_G = 0.013  # sd of every axis in a still epoch (van Hees 2014; an AX3's own noise is 2 to 8 mg)
GRAVITY_G = (0.5, 1.5)  # a mean beyond these is no sensor's gravity, however badly calibrated
LEAST_EPOCHS = 60  # ten minutes of stillness (ours)
CELLS = 10  # orientations are told apart in steps of 1/10 g, some six degrees
ROBUST_G = 0.010  # epochs further from 1 g count less, in proportion (van Hees: weight 1 / distance, at most 100)
SPREAD = (0.03, 0.1, 0.001)  # of gains, offsets (g) and slopes (g per degree) between devices (ours)
NOISE_G = 0.003  # of one orientation's distance from 1 g: breathing, slow movement, what no gain or offset explains
LARGEST_DOUBT_MG = 20.0  # how uncertain calibrated values may be, in the orientations seen (ours)
TEMPERATURE_SPAN_C = 3.0  # between the 5th and 95th percentile; below, a slope cannot be told (ours)
TEMPERATURE_GAIN = 0.02  # by so much of itself must the error fall for the slope to be used (ours)
STEPS, STEP_END = 50, 1e-7
LARGE_MG = 10.0  # GGIR calls an error above this one no good calibration


class Calibration(NamedTuple):
    """calibrated = raw_g * gain + offset_g + temperature_slope_g * (temperature - reference_c)

    Where a temperature is unknown its term is 0. Errors are the mean distance of |a| from 1 g over the still epochs
    (GGIR's), NaN without any; where nothing is applied, the error after is the error before.
    """

    gain: np.ndarray  # float64 (3,)
    offset_g: np.ndarray  # float64 (3,)
    temperature_slope_g: np.ndarray  # float64 (3,), g per degree; 0 where temperature was not used
    reference_c: float
    error_before_mg: float
    error_after_mg: float
    still: int  # epochs used
    applied: bool  # False: gain 1 and offset 0, for the reason in `why`
    why: str

    def calibrated_g(self, raw_g: np.ndarray, temperature_c: np.ndarray | float = np.nan) -> np.ndarray:
        """Values (..., 3) in g, at temperatures (...); NaN is an unknown one.

        >>> NO_CALIBRATION.calibrated_g(np.array([[0.0, 0.0, 1.0]]))
        array([[0., 0., 1.]])
        """
        warmer = np.nan_to_num(np.asarray(temperature_c, np.float64) - self.reference_c)
        return raw_g * self.gain + self.offset_g + warmer[..., None] * self.temperature_slope_g


NO_CALIBRATION = Calibration(
    np.ones(3), np.zeros(3), np.zeros(3), 0.0, float("nan"), float("nan"), 0, False, "not looked for"
)


def calibrate(stillness: np.ndarray, *, still_g: float = STILL_G) -> Calibration:
    """Calibration of one device from its epochs of 10 s.

    GGIR wants every axis to have seen -0.3 and +0.3 g. A wrist does that; the long axis of a trunk or thigh points
    down or lies flat, and never up. What counts here is instead how well the postures that were seen determine the
    parameters: their uncertainty, carried over to values in these postures, may be at most `LARGEST_DOUBT_MG`.

    Epochs of a sensor that lies on a table are as good as any. Several files of one device are calibrated together by
    joining their epochs, `calibrate(np.concatenate([a, b]))`: nothing here depends on their order or times.

    Parameters
    ----------
    stillness : structured array (N,) with the fields mean_g (3,), sd_g (3,), temperature_c (NaN: unknown) and clipped, as
        from `surveys`; moving epochs may be among them.
    still_g : largest sd of any axis in a still epoch. A device whose noise at rest is above 10 mg (high rates) needs
        1.2 times its noise.

    Returns the identity with `applied` False and the reason in `why` where there is too little stillness, where too few
    orientations were seen, where the search does not end, or where the error would not fall. ValueError unless
    still_g is positive.
    """
    if not still_g > 0:
        raise ValueError(f"still_g must be positive, got {still_g}")
    length_g = np.linalg.norm(stillness["mean_g"], axis=1)
    still = (stillness["sd_g"] < still_g).all(axis=1) & (stillness["clipped"] == 0)
    still &= (length_g > GRAVITY_G[0]) & (length_g < GRAVITY_G[1])
    means_g = stillness["mean_g"][still].astype(np.float64)
    temperature_c = stillness["temperature_c"][still].astype(np.float64)
    before_mg = _error_mg(means_g)
    if len(means_g) < LEAST_EPOCHS:
        return _fallen_back(
            before_mg,
            len(means_g),
            f"too little stillness: {len(means_g)} epochs of 10 s in which every axis stayed below {still_g * 1e3:g} mg "
            f"around 1 g; {LEAST_EPOCHS} are needed",
        )
    known = np.isfinite(temperature_c)
    reference_c = float(temperature_c[known].mean()) if known.any() else 0.0
    warmer = np.where(known, temperature_c - reference_c, 0.0)
    fit, told = _with_or_without_temperature(means_g, warmer, known)
    if fit is None:
        return _fallen_back(before_mg, len(means_g), f"the search for gains and offsets did not end in {STEPS} steps")
    if fit.doubt_mg > LARGEST_DOUBT_MG:
        return _fallen_back(before_mg, len(means_g), _too_few_orientations(means_g, fit.doubt_mg))
    if not fit.error_mg < before_mg:
        why = f"the error would not become smaller: {before_mg:.1f} mg before, {fit.error_mg:.1f} mg after"
        return _fallen_back(before_mg, len(means_g), why)
    told += f"; good to about {fit.doubt_mg:.0f} mg in the orientations seen"
    if fit.error_mg > LARGE_MG:
        told += f"; the error that is left is above {LARGE_MG:g} mg"
    gain, offset_g, slope_g = fit.parameters
    return Calibration(gain, offset_g, slope_g, reference_c, before_mg, fit.error_mg, len(means_g), True, told)


def _fallen_back(error_mg: float, still: int, why: str) -> Calibration:
    return NO_CALIBRATION._replace(error_before_mg=error_mg, error_after_mg=error_mg, still=still, why=why)


def _error_mg(values_g: np.ndarray) -> float:
    return float(np.abs(np.linalg.norm(values_g, axis=1) - 1).mean() * 1e3) if len(values_g) else float("nan")


def _too_few_orientations(means_g: np.ndarray, doubt_mg: float) -> str:
    low, high = means_g.min(axis=0), means_g.max(axis=0)
    seen = ", ".join(f"{name} from {a:.2f} to {b:.2f} g" for name, a, b in zip("xyz", low, high, strict=True))
    return (
        f"too few orientations ({seen}): calibrated values would be uncertain by {doubt_mg:.0f} mg, and "
        f"{LARGEST_DOUBT_MG:g} are allowed; a few minutes on a table on different sides would do"
    )


class _Fit(NamedTuple):
    parameters: np.ndarray  # (3, 3), rows gain, offset, slope
    error_mg: float
    doubt_mg: float  # uncertainty of calibrated values, root mean square over the orientations seen


def _with_or_without_temperature(means_g: np.ndarray, warmer: np.ndarray, known: np.ndarray) -> tuple[_Fit | None, str]:
    """The better fit and why; `warmer` (N,) is the temperature above the reference, 0 where it is not known."""
    plain = _fit(means_g, None)
    if not known.any():
        return plain, "applied; no temperature is known"
    low, high = np.percentile(warmer[known], [5, 95])
    if plain is None or high - low < TEMPERATURE_SPAN_C:
        return plain, f"applied without temperature, which varied by {high - low:.1f} degrees only"
    fit = _fit(means_g, warmer)
    if fit and fit.doubt_mg <= LARGEST_DOUBT_MG and fit.error_mg < (1 - TEMPERATURE_GAIN) * plain.error_mg:
        return fit, f"applied with temperature, without which {plain.error_mg:.1f} mg would be left"
    return plain, "applied without temperature, with which the error would hardly fall"


def _fit(means_g: np.ndarray, warmer: np.ndarray | None) -> _Fit | None:
    """Gain, offset and slope that bring the epochs closest to 1 g; None without convergence.

    Each step solves the linearised distances to the sphere, weighted, and held by SPREAD. Without `warmer`, slopes
    are 0. Every orientation (and temperature) counts once, however long it lasted: a night on a table must not outvote
    a day. (GGIR drops only rows that repeat the one before.)
    """
    rows = 2 if warmer is None else 3
    temperature = np.zeros(len(means_g)) if warmer is None else warmer
    cells = np.column_stack([np.rint(means_g * CELLS), np.rint(temperature)])
    _, inverse, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    weights = 1 / counts[inverse.reshape(-1)]
    start = np.array([[1.0] * 3, [0.0] * 3, [0.0] * 3])
    held = np.diag(np.repeat((NOISE_G / np.array(SPREAD[:rows])) ** 2, 3))
    parameters = start.copy()
    for _ in range(STEPS):
        gain, offset_g, slope_g = parameters
        values = means_g * gain + offset_g + temperature[:, None] * slope_g
        length = np.linalg.norm(values, axis=1)
        towards = values / length[:, None]
        columns = [towards * means_g, towards, towards * temperature[:, None]][:rows]
        jacobian = np.concatenate(columns, axis=1)  # (N, P)
        robust = weights * np.minimum(1.0, ROBUST_G / np.maximum(np.abs(length - 1), 1e-12))
        weighted = jacobian * robust[:, None]
        information = jacobian.T @ weighted + held
        away = (parameters - start)[:rows].reshape(-1)
        step = np.linalg.solve(information, -(weighted.T @ (length - 1)) - held @ away)
        parameters[:rows] += step.reshape(rows, 3)
        if np.abs(step).max() < STEP_END:
            doubt = _doubt_mg(np.linalg.inv(information), means_g, temperature, weights)
            return _Fit(parameters, _error_mg(values), doubt)
    return None


def _doubt_mg(inverse: np.ndarray, means_g: np.ndarray, temperature: np.ndarray, weights: np.ndarray) -> float:
    """Uncertainty of calibrated values given that of the parameters, `inverse` (P, P) times NOISE_G squared."""
    variance = np.zeros(len(means_g))
    for axis in range(3):
        own = np.arange(axis, len(inverse), 3)
        by = np.column_stack([means_g[:, axis], np.ones(len(means_g)), temperature])[:, : len(own)]
        variance += np.einsum("ni,ij,nj->n", by, inverse[np.ix_(own, own)], by)
    return float(NOISE_G * np.sqrt((weights * variance).sum() / weights.sum()) * 1e3)
