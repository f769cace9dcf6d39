"""Windows per second through the 161 features, beside one window after the other with scipy."""

import numpy as np
from scipy import signal, stats
from timing import median_s, paired_s, peak_gb, report

from selfpab.features.handcrafted import FEATURES, PAIRS, QUANTILES, window_features
from selfpab.workers import threads_each

MANY, FEW = 20_000, 100
PIECE = 2000  # windows, as many as the classifiers take at once
MONTH = 30 * 24 * 720


def one_by_one(windows: np.ndarray) -> np.ndarray:
    """Every feature as scipy and numpy have it, all axes of a window at once."""
    return np.array([one(window) for window in windows.astype(np.float64)])


def one(window: np.ndarray) -> np.ndarray:
    norms = [np.linalg.norm(part, axis=1) for part in (window[:, :3], window[:, 3:])]
    raw = np.column_stack([window, *norms])
    gravity = signal.filtfilt(*signal.butter(4, 1.0, fs=50), raw, axis=0)
    data = raw - gravity
    mean, std, ordered = gravity.mean(axis=0), gravity.std(axis=0), np.sort(gravity, axis=0)
    centred, spread = data - data.mean(axis=0), data.std(axis=0)
    first, second = np.array(PAIRS).T
    products = (centred[:, first] * centred[:, second]).mean(axis=0)
    amplitude, places = np.abs(np.fft.rfft(data, axis=0)), np.fft.rfftfreq(len(data))
    return np.concatenate(
        [
            *(mean, std / mean, std),
            *(ordered[place] for place in QUANTILES.values()),
            *(stats.skew(data), stats.kurtosis(data), (data**2).sum(axis=0)),
            products / np.maximum(spread[first] * spread[second], 1e-6),
            ((mean[:3, None] + mean[None, 3:6]) / 2).ravel(),
            *(amplitude.mean(axis=0), places[amplitude.argmax(axis=0)], amplitude.max(axis=0)),
            *((amplitude**2).sum(axis=0), amplitude.std(axis=0)),
            (places[:, None] * amplitude).sum(axis=0) / amplitude.sum(axis=0),
        ]
    )


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    windows = (rng.normal(size=(MANY, 250, 6)) * 0.2 + np.array([-1, 0, 0.2, -0.9, 0, 0.3])).astype(np.float32)
    few = windows[:FEW]
    assert one_by_one(few).shape[1] == len(FEATURES)
    np.testing.assert_allclose(window_features(few), one_by_one(few), rtol=1e-8, atol=1e-9)
    many = median_s(lambda: window_features(windows))
    ours, theirs, ratio = paired_s(lambda: window_features(few), lambda: one_by_one(few))
    before = peak_gb()
    for first in range(0, MONTH, PIECE):  # the same windows again and again: what counts is what stays in memory
        window_features(windows[first % MANY : first % MANY + PIECE])
    report(
        "features",
        [
            (f"{MANY} windows at once, {threads_each(1)} threads", MANY / many, "windows/s"),
            (f"{FEW} windows at once", FEW / ours, "windows/s"),
            (f"{FEW} windows one by one with scipy", FEW / theirs, "windows/s"),
            ("one by one / ours", ratio, "x"),
            (f"a month in pieces of {PIECE} windows: peak memory beyond one pass", peak_gb() - before, "GB"),
        ],
    )
