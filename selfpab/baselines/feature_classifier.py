"""`svm` and `xgb`: the 161 features of five-second windows and a classifier (paper, section 4.2; BEHAVIOUR (g)).

Defaults are the settings of the authors' release. A window's answer is that of all its samples.
Legend: N samples, W windows, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from selfpab.activities import Activities
from selfpab.baselines.windows import (
    LENGTH,
    Framing,
    prediction_windows,
    sample_values,
    training_windows,
    window_labels,
    window_pieces,
)
from selfpab.features.handcrafted import FEATURES, window_features
from selfpab.recording import UNLABELLED, Recording
from selfpab.seeding import seed_of
from selfpab.workers import threads_each

Merge = Literal["labels", "confusion"]
INSTALL = "pip install 'selfpab[baselines]'"
CALIBRATION_FOLDS = 5  # as in libsvm


@dataclass(frozen=True)
class SvmConfig:
    C: float = 10.0  # this and the next three: the release
    gamma: Literal["scale", "auto"] | float = "scale"
    class_weight: Literal["none", "balanced"] = "none"
    decision: Literal["probability", "votes"] = "probability"  # votes: the class that wins most pairs
    length: int = LENGTH  # samples, section 4.2
    framing: Framing = "runs"  # ours; the release ignores gaps
    merge: Merge = "labels"  # or confusion, as in the release: one output for every code, merged afterwards


@dataclass(frozen=True)
class XgbConfig:
    eta: float = 0.3  # this and the next five: the release
    max_depth: int = 5
    n_estimators: int = 1024
    reg_lambda: float = 1.0
    reg_alpha: float = 0.0
    gamma: float = 0.0
    trees: Literal["hist", "exact"] = (
        "hist"  # ours: of xgboost 3; the release's xgboost 1.5 took exact for so few windows
    )
    length: int = LENGTH  # samples, section 4.2
    framing: Framing = "runs"  # ours; the release ignores gaps
    merge: Merge = "labels"  # or confusion, as in the release: one output for every code, merged afterwards


class FeatureClassifier:
    """Features of windows and `svm` or `xgb`, as the configuration says, as fit / predict / probabilities on recordings.

    A class that the training recordings do not hold has probability 0; where they hold a single one, it has 1.
    The same seed gives the same answers, with any number of threads.

    SVM. The release answers with the argmax of libsvm's probabilities, which come from an unseeded cross-validation, so
    that its answers change from run to run (BEHAVIOUR (g)). `decision="probability"` does the same with a seeded
    cross-validation, by scikit-learn's CalibratedClassifierCV, the successor of what the release calls: five stratified
    folds, one sigmoid for each class against the others, rows divided by their sums. libsvm has a sigmoid for each pair of
    classes and couples the pairs. `decision="votes"` answers with the class that wins most pairs, as SVC.predict; its
    probabilities are the same.

    Where a class has fewer windows than there are folds, they are repeated so that each fold holds one, with a weight
    that makes them count as before. Its sigmoid is then too sure of itself.
    """

    def __init__(self, activities: Activities, config: SvmConfig | XgbConfig, seed: int) -> None:
        if config.length != LENGTH:
            raise ValueError(f"the features are those of windows of {LENGTH} samples, got length={config.length}")
        self.activities, self.config, self.seed = activities, config, seed
        self.outputs = activities.unmerged() if config.merge == "confusion" else activities
        self.seen: np.ndarray | None = None
        self.facts: dict[str, Any] = {}
        self._fitted: _Fitted | None = None
        self._answer: tuple[Recording, np.ndarray, np.ndarray] | None = None

    def fit(self, recordings: Sequence[Recording]) -> None:
        """Learn from all labelled windows; ValueError where there are none."""
        self._answer = None
        pairs = [self._training(recording) for recording in recordings]
        features = np.concatenate([np.empty((0, len(FEATURES))), *(pair[0] for pair in pairs)])
        labels = np.concatenate([np.empty(0, np.int64), *(pair[1] for pair in pairs)])
        if not len(labels):
            raise ValueError(
                f"nothing to learn from: {len(recordings)} recordings hold no window of {self.config.length} samples of "
                "which at least half are labelled"
            )
        self.seen, places = np.unique(labels, return_inverse=True)
        seed = seed_of("feature classifier", self.seed) % 2**31
        if len(self.seen) == 1:
            self._fitted = _Fitted(lambda rows: (np.zeros(len(rows), np.int64), np.ones((len(rows), 1))), {})
        elif isinstance(self.config, SvmConfig):
            self._fitted = _fitted_svm(self.config, features, places, seed)
        else:
            self._fitted = _fitted_xgb(self.config, features, places, seed)
        self.facts = {
            "training_windows": len(labels),
            "windows_per_class": {
                str(self.outputs.codes[index]): int((labels == index).sum()) for index in range(len(self.outputs))
            },
            **self._fitted.facts,
        }

    def predict(self, recording: Recording) -> np.ndarray:
        """One class index per sample, int64 (N,); where classes are merged late, the merged index of the best output."""
        return self.activities.places_of(self.outputs)[self._answers(recording)[0]]

    def probabilities(self, recording: Recording) -> np.ndarray:
        """float64 (N, K), rows adding up to 1."""
        return self.activities.merged(self._answers(recording)[1], self.outputs)

    def _training(self, recording: Recording) -> tuple[np.ndarray, np.ndarray]:
        """(features, labels) of the labelled windows of a recording."""
        if recording.labels is None:
            raise ValueError(f"{recording.subject} has no labels to learn from")
        config = self.config
        starts = training_windows(recording, length=config.length, step=config.length, framing=config.framing)
        indices = self.outputs.indices(recording.labels)
        labels = window_labels(indices, starts, classes=len(self.outputs), length=config.length)
        known = labels != UNLABELLED
        return _features(recording, starts[known], config), labels[known]

    def _answers(self, recording: Recording) -> tuple[np.ndarray, np.ndarray]:
        """(output, int64 (N,); probabilities of the outputs, float64 (N, outputs)) of every sample."""
        if self._fitted is None or self.seen is None:
            raise RuntimeError("fit before predict")
        if self._answer is None or self._answer[0] is not recording:  # evaluation asks for classes, then for chances
            config = self.config
            starts = prediction_windows(recording, length=config.length, step=config.length, framing=config.framing)
            if not len(starts):
                raise ValueError(f"the recording of {recording.subject} is empty: there is nothing to predict")
            best, chances = self._fitted.answer(_features(recording, starts, config))
            values = np.zeros((len(starts), len(self.outputs)))
            values[:, self.seen] = chances / chances.sum(axis=1, keepdims=True)

            def of_samples(found: np.ndarray) -> np.ndarray:
                return sample_values(found, starts, recording, length=config.length, framing=config.framing)

            self._answer = recording, of_samples(self.seen[best]), of_samples(values)
        return self._answer[1:]


def _features(recording: Recording, starts: np.ndarray, config: SvmConfig | XgbConfig) -> np.ndarray:
    pieces = window_pieces(recording, starts, length=config.length, framing=config.framing)
    return np.concatenate([np.empty((0, len(FEATURES))), *(window_features(piece) for piece in pieces)])


class _Fitted(NamedTuple):
    """What was learnt of classes 0, 1, 2 ..., all of them seen."""

    answer: Callable[
        [np.ndarray], tuple[np.ndarray, np.ndarray]
    ]  # features -> (class, (W,); probabilities, (W, classes))
    facts: dict[str, Any]


def _fitted_svm(config: SvmConfig, features: np.ndarray, places: np.ndarray, seed: int) -> _Fitted:
    try:
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.model_selection import StratifiedKFold
        from sklearn.preprocessing import MinMaxScaler
        from sklearn.svm import SVC
    except ImportError as error:
        raise ImportError(f"svm needs scikit-learn: {INSTALL}") from error
    scaler = MinMaxScaler().fit(features)
    scaled = scaler.transform(features)
    counts = np.bincount(places)
    # both are those of all windows, as in libsvm: scikit-learn would take each fold's own, repeated windows included
    gamma = 1 / (scaled.shape[1] * scaled.var()) if config.gamma == "scale" and scaled.var() else config.gamma
    balanced = dict(enumerate((len(places) / (len(counts) * counts)).tolist()))
    weights_of_classes = balanced if config.class_weight == "balanced" else None
    machine = SVC(**{"C": config.C, "gamma": gamma, "class_weight": weights_of_classes})
    folds = StratifiedKFold(CALIBRATION_FOLDS, shuffle=True, random_state=seed)
    repeated, weights = _enough_of_each(places, CALIBRATION_FOLDS)
    how: dict[str, Any] = {"method": "sigmoid", "cv": folds, "ensemble": False}
    calibrated: Any = CalibratedClassifierCV(machine, **how)
    calibrated.fit(scaled[repeated], places[repeated], sample_weight=weights)
    fitted = calibrated.calibrated_classifiers_[0].estimator

    def answer(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = scaler.transform(rows)
        chances = calibrated.predict_proba(rows)
        return fitted.predict(rows) if config.decision == "votes" else chances.argmax(axis=1), chances

    return _Fitted(answer, {"support_vectors": int(fitted.n_support_.sum()), "gamma": float(fitted._gamma)})


def _enough_of_each(places: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, weights): all of them, those of a class with fewer than `least` repeated, with the same weight together.

    >>> _enough_of_each(np.array([0, 0, 0, 1]), 2)
    (array([0, 1, 2, 3, 3]), array([1. , 1. , 1. , 0.5, 0.5]))
    """
    times = -(-least // np.bincount(places))[places]
    return np.repeat(np.arange(len(places)), times), np.repeat(1.0 / times, times)


def _fitted_xgb(config: XgbConfig, features: np.ndarray, places: np.ndarray, seed: int) -> _Fitted:
    try:
        import xgboost
    except ImportError as error:
        raise ImportError(f"xgb needs xgboost: {INSTALL}") from error
    settings = {
        "objective": "multi:softprob",
        "num_class": int(places.max()) + 1,
        "eta": config.eta,
        "max_depth": config.max_depth,
        "lambda": config.reg_lambda,
        "alpha": config.reg_alpha,
        "gamma": config.gamma,
        "tree_method": config.trees,
        "base_score": 0.5,  # no prior knowledge of how frequent a class is, as before xgboost 3.1
        "seed": seed,  # of no effect as long as all rows and features are used
        "nthread": threads_each(1),
        "verbosity": 1,
    }
    booster = xgboost.train(settings, xgboost.DMatrix(features, places), config.n_estimators)

    def answer(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chances = booster.predict(xgboost.DMatrix(rows)).astype(np.float64)
        return chances.argmax(axis=1), chances

    return _Fitted(answer, {"trees": config.n_estimators * settings["num_class"]})
