"""The 161 features beside a slow implementation, written from BEHAVIOUR (g) and not from the fast one."""

import numpy as np
import pytest
from scipy import signal, stats

from selfpab.data.reading import read
from selfpab.features.handcrafted import AT_ONCE, FEATURES, window_features

AXES = ["back_x", "back_y", "back_z", "thigh_x", "thigh_y", "thigh_z", "magnitude_b", "magnitude_t"]


def slow_features(window):
    """One window after the other, one feature after the other, with scipy; (250, 6) float64 -> {name: value}."""
    raw = dict(zip(AXES[:6], window.T, strict=True))
    raw["magnitude_b"] = np.linalg.norm(window[:, :3], axis=1)
    raw["magnitude_t"] = np.linalg.norm(window[:, 3:], axis=1)
    numerator, denominator = signal.butter(4, 1.0, btype="lowpass", fs=50)
    gravity = {axis: signal.filtfilt(numerator, denominator, values) for axis, values in raw.items()}
    data = {axis: raw[axis] - gravity[axis] for axis in AXES}
    frequencies = np.fft.rfftfreq(250)
    found = {}
    for axis in AXES:
        g, d = gravity[axis], data[axis]
        amplitude = np.abs(np.fft.rfft(d))
        found[f"mean_gravity_{axis}"] = g.mean()
        found[f"cv_gravity_{axis}"] = g.std() / g.mean()
        found[f"std_gravity_{axis}"] = g.std()
        for name, place in (("q0", 0), ("q25", 62), ("q50", 125), ("q75", 187), ("q100", -1)):
            found[f"{name}_gravity_{axis}"] = sorted(g)[place]
        found[f"skew_{axis}"] = stats.skew(d)
        found[f"kurtosis_{axis}"] = stats.kurtosis(d)
        found[f"energy_{axis}"] = (d**2).sum()
        found[f"freq_mean_{axis}"] = amplitude.mean()
        found[f"freq_dom_{axis}"] = frequencies[amplitude.argmax()]
        found[f"freq_dom_mag_{axis}"] = amplitude.max()
        found[f"freq_total_signal_power_{axis}"] = (amplitude**2).sum()
        found[f"freq_std_{axis}"] = amplitude.std()
        found[f"freq_cent_{axis}"] = (frequencies * amplitude).sum() / amplitude.sum()
    for i, one in enumerate(AXES):
        for other in AXES[i + 1 :]:
            if ("magnitude" in one) == ("magnitude" in other):
                product = data[one].std() * data[other].std()
                correlation = np.corrcoef(data[one], data[other])[0, 1]
                found[f"axes_corr_{one}_{other}"] = correlation * product / max(product, 1e-6)
    for back in AXES[:3]:
        for thigh in AXES[3:6]:
            found[f"mean_{back}_{thigh}"] = np.concatenate([gravity[back], gravity[thigh]]).mean()
    return found


def slow_rows(windows):
    found = [slow_features(window) for window in windows.astype(np.float64)]
    return np.array([[values[name] for name in FEATURES] for values in found])


def assert_same(ours, theirs, accuracy):
    """Relative to the value, or to 1 where it is smaller: filtfilt itself is exact to 1e-11 of the signal, whatever is small."""
    worst = np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1.0)
    row, column = np.unravel_index(worst.argmax(), worst.shape)
    assert worst.max() <= accuracy, f"window {row}, {FEATURES[column]}: {ours[row, column]} and {theirs[row, column]}"


def made(kind, windows=12, seed=0):
    """Windows of several natures, float64 in g."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(windows, 250, 6))
    if kind == "noise around 1 g":
        return rng.normal(size=(windows, 1, 6)) + noise * rng.uniform(0.05, 1, (windows, 1, 6))
    if kind == "turning":
        return np.cumsum(noise, axis=1) * 0.05
    place = np.arange(250)[:, None] / 50
    if kind == "walking":
        return np.sin(2 * np.pi * 1.8 * place + noise[:, :1]) * 0.3 + noise * 0.05 + np.array([-1, 0, 0, -1, 0, 0])
    if kind == "steps":
        return np.sign(place - 2.5 + noise[:, :1]) * 0.5 + noise * 0.02
    assert kind == "clipped"
    return np.clip(noise * 6, -8, 8)


@pytest.mark.parametrize("kind", ["noise around 1 g", "turning", "walking", "steps", "clipped"])
def test_equal_to_the_slow_implementation(kind):
    windows = made(kind)
    assert_same(window_features(windows), slow_rows(windows), 1e-9)


def test_float32_windows_are_computed_in_float64():
    windows = made("walking").astype(np.float32)
    assert_same(window_features(windows), slow_rows(windows), 1e-9)
    assert window_features(windows).dtype == np.float64


def test_a_nearly_still_sensor():
    """Movement of 0.3 mg beside 1 g: the slow one's filter is wrong in the 9th digit of it, and correlations are damped."""
    windows = np.array([-1.0, 0.02, 0.1, -0.2, 0.01, 0.98]) + 3e-4 * made("noise around 1 g", 4)
    ours, theirs = window_features(windows), slow_rows(windows)
    assert_same(ours, theirs, 1e-6)
    correlations = [name.startswith("axes_corr") for name in FEATURES]
    plain = [np.corrcoef(w.T - signal.filtfilt(*signal.butter(4, 1.0, fs=50), w.T))[0, 1] for w in windows]
    assert (np.abs(ours[:, correlations][:, 0]) < 0.2 * np.abs(plain)).all()


@pytest.mark.parametrize("dataset", ["har70plus", "harth"])
@pytest.mark.shared
def test_equal_on_real_windows(shared, dataset):
    """30 windows of two people each. Where a sensor lies still the slow one is exact to fewer digits, see above;
    where an axis is constant, as happens in HAR70+, there is nothing to compare."""
    rng = np.random.default_rng(1)
    windows = []
    for path in sorted((shared / "data" / dataset).glob("*"))[:2]:
        recording = read(path)
        starts = rng.choice(len(recording) - 250, 30, replace=False)
        windows += [recording.piece(start, start + 250) for start in starts.tolist()]
    least = np.array([slow_std(window) for window in windows])
    for floor, accuracy in ((5e-3, 1e-9), (1e-4, 1e-7)):
        chosen = np.array(windows)[least > floor]
        assert len(chosen) > 15
        assert_same(window_features(chosen), slow_rows(chosen), accuracy)


def slow_std(window):
    """The least deviation of movement of an axis."""
    window = window.astype(np.float64)
    norms = [np.linalg.norm(part, axis=1) for part in (window[:, :3], window[:, 3:])]
    eight = np.column_stack([window, *norms])
    return (eight - signal.filtfilt(*signal.butter(4, 1.0, fs=50), eight, axis=0)).std(axis=0).min()


def test_a_constant_axis():
    windows = made("walking", 3)
    windows[1, :, 2] = 0.7
    windows[2] = 0.1
    values = dict(zip(FEATURES, window_features(windows).T, strict=True))
    assert values["kurtosis_back_z"][0] != -3
    for axis, rows in (("back_z", [1, 2]), ("thigh_x", [2]), ("magnitude_t", [2])):
        for name in ("skew", "energy", "freq_mean", "freq_dom", "freq_dom_mag", "freq_std", "freq_cent"):
            assert (values[f"{name}_{axis}"][rows] == 0).all(), (name, axis)
        assert (values[f"kurtosis_{axis}"][rows] == -3).all()
    assert (values["axes_corr_back_y_back_z"][1:] == 0).all()
    np.testing.assert_allclose(values["q25_gravity_back_z"][1:], [0.7, 0.1], rtol=1e-14)
    np.testing.assert_allclose(values["mean_gravity_magnitude_b"][2], 0.1 * np.sqrt(3), rtol=1e-14)
    assert (values["std_gravity_back_z"][1:] < 1e-15).all()


def test_all_zero_windows_have_no_features_but_kurtosis():
    (row,) = window_features(np.zeros((1, 250, 6)))
    assert {name: value for name, value in zip(FEATURES, row, strict=True) if value != 0} == {
        f"kurtosis_{axis}": -3.0 for axis in AXES
    }


def test_a_row_depends_on_its_window_alone(monkeypatch):
    """However many windows come with it, and however many threads work."""
    windows = made("walking", 3 * AT_ONCE + 5)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole = window_features(windows)
    monkeypatch.setattr("selfpab.features.handcrafted.threads_each", lambda workers: 3)
    np.testing.assert_array_equal(window_features(windows), whole)
    order = np.random.default_rng(2).permutation(len(windows))
    np.testing.assert_allclose(window_features(windows[order]), whole[order], rtol=1e-12, atol=1e-13)
    alone = np.concatenate([window_features(windows[place : place + 1]) for place in range(5)])
    np.testing.assert_allclose(alone, whole[:5], rtol=1e-12, atol=1e-13)


def test_nothing_of_an_earlier_call_is_left(monkeypatch):
    """Arrays are kept from call to call, as many as there were threads, and so are full of other windows."""
    monkeypatch.setattr("selfpab.features.handcrafted._ROOMS", rooms := [])
    first, second = made("turning", 3 * AT_ONCE), made("walking", 5)
    alone = window_features(second)
    monkeypatch.setattr("selfpab.features.handcrafted.threads_each", lambda workers: 2)
    window_features(first)
    assert 1 <= len(rooms) <= 2
    np.testing.assert_array_equal(window_features(second), alone)
    assert 1 <= len(rooms) <= 2


def test_the_windows_stay_as_they_were():
    windows = made("turning", 2)
    kept = windows.copy()
    window_features(windows)
    np.testing.assert_array_equal(windows, kept)


def test_no_windows():
    assert window_features(np.empty((0, 250, 6), np.float32)).shape == (0, 161)


@pytest.mark.parametrize("shape", [(3, 6, 250), (250, 6), (3, 500, 6), (3, 250, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"wanted windows of shape \(windows, 250, 6\).*got \(") as caught:
        window_features(np.zeros(shape))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(value):
    windows = made("walking", 40)
    windows[35, 100, 4] = value
    windows[38, 100, 1] = value
    with pytest.raises(ValueError, match=r"window 35 \(and 1 more\) holds values that are not finite"):
        window_features(windows)
