"""svm and xgb on simulated movements that a few windows tell apart."""

import builtins
import itertools
from dataclasses import replace

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from selfpab.activities import Activities
from selfpab.baselines.feature_classifier import FeatureClassifier, SvmConfig, XgbConfig
from selfpab.baselines.windows import prediction_windows, training_windows, window_samples
from selfpab.features.handcrafted import window_features
from selfpab.recording import Recording, Segment

CODES = (70, 3, 140)  # neither in order nor side by side
ACTIVITIES = Activities("toy", CODES, ("lying", "walking", "running"), {17: 3})
POSES = {70: (0.0, 0.0, 1.0), 3: (-1.0, 0.1, 0.0), 140: (-1.0, 0.1, 0.3), 17: (0.4, -0.9, 0.0)}
SHAKES = {70: 0.02, 3: 0.2, 140: 0.8, 17: 0.2}
SVM, XGB = SvmConfig(), XgbConfig(n_estimators=8)
BOTH = pytest.mark.parametrize("config", [SVM, XGB], ids=["svm", "xgb"])


def recording(codes, seed, *, samples=1000, segments=()):
    """`samples` of each activity, one after the other."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(len(codes) * samples, 6))
    poses = np.repeat([POSES[code] * 2 for code in codes], samples, axis=0)
    shakes = np.repeat([SHAKES[code] for code in codes], samples)[:, None]
    labels = np.repeat(np.array(codes, np.int16), samples)
    return Recording(f"P{seed}", None, 50.0, (poses + shakes * noise).astype(np.float32), labels, segments)


def fitted(config, recordings, *, activities=ACTIVITIES, seed=0):
    classifier = FeatureClassifier(activities, config, seed)
    classifier.fit(recordings)
    return classifier


TRAINING = [recording(CODES, 1, samples=1500), recording(CODES[::-1], 2, samples=1500)]


@pytest.fixture(scope="module", params=[SVM, XGB], ids=["svm", "xgb"])
def learnt(request):
    return fitted(request.param, TRAINING)


def test_what_differs_is_told_apart(learnt):
    unseen = recording((3, 140, 70), 7)
    truth = ACTIVITIES.indices(unseen.labels)
    found, chances = learnt.predict(unseen), learnt.probabilities(unseen)
    assert found.dtype == np.int64
    assert (found == truth).all()
    assert chances.dtype == np.float64
    assert chances.shape == (3000, 3)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=0, atol=1e-15)
    assert chances[np.arange(3000), truth].mean() > 0.7
    assert learnt.facts["training_windows"] == 36
    assert learnt.facts["windows_per_class"] == {"70": 12, "3": 12, "140": 12}


def test_every_sample_gets_the_answer_of_its_window(learnt):
    """A tail gets that of one more window; a segment shorter than a window that of itself, its last sample repeated."""
    edges = [0, 730, 1500, 1590, 3000]
    segments = tuple(Segment(a, b, 10.0 + a) for a, b in itertools.pairwise(edges))
    unseen = recording((3, 140, 70), 8, segments=segments)
    chances = learnt.probabilities(unseen)
    changes = (np.flatnonzero((np.diff(chances, axis=0) != 0).any(axis=1)) + 1).tolist()
    wanted = [250, 500, 730, 980, 1230, 1480, 1500, 1590, 1840, 2090, 2340, 2590, 2840]
    if isinstance(learnt.config, SvmConfig):
        assert changes == wanted
    assert changes
    assert set(changes) <= set(wanted)  # of eight trees, neighbours may have the same answer
    assert prediction_windows(unseen).tolist()[:3] == [0, 250, 480]
    alone = Recording("alone", None, 50.0, unseen.samples[1500:1590])
    np.testing.assert_allclose(learnt.probabilities(alone), chances[1500:1590], rtol=1e-6)
    assert (learnt.predict(alone) == 1).all() or (learnt.predict(alone) == 2).all()


def test_framing_of_the_release_ignores_gaps():
    segments = (Segment(0, 730, 0.0), Segment(730, 2750, 100.0))
    unseen = recording((3, 140), 9, samples=1375, segments=segments)
    chances = fitted(replace(XGB, framing="release"), TRAINING).probabilities(unseen)
    changes = np.flatnonzero((np.diff(chances, axis=0) != 0).any(axis=1)) + 1
    assert set(changes.tolist()) <= set(range(250, 2750, 250))
    assert 1500 in changes.tolist()


@BOTH
def test_a_class_that_training_lacks_has_no_probability(config):
    """The middle one, so that what the estimator numbers 0, 1 is 0, 2 here."""
    classifier = fitted(config, [recording((140, 70), 3, samples=1500)])
    unseen = recording((70, 140, 3), 4)
    chances = classifier.probabilities(unseen)
    assert (chances[:, 1] == 0).all()
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(classifier.predict(unseen)[:2000], [0] * 1000 + [2] * 1000)
    assert classifier.facts["windows_per_class"] == {"70": 6, "3": 0, "140": 6}


@BOTH
def test_a_single_class_is_certain(config):
    classifier = fitted(config, [recording((140,), 3)])
    unseen = recording((70, 3), 4)
    assert (classifier.predict(unseen) == 2).all()
    assert (classifier.probabilities(unseen) == [0, 0, 1]).all()


@pytest.mark.parametrize("windows", [1, 2, 4])
@BOTH
def test_classes_with_few_windows(config, windows):
    few = recording((140,), 5, samples=250 * windows)
    classifier = fitted(config, [recording((70, 3), 1, samples=5000), few])
    assert classifier.facts["windows_per_class"]["140"] == windows
    assert (classifier.predict(few) == 2).mean() >= (0.5 if isinstance(config, SvmConfig) else 0)
    unseen = recording((70, 3), 6)
    np.testing.assert_array_equal(classifier.predict(unseen), ACTIVITIES.indices(unseen.labels))


def mixed(seed):
    """Movements so alike that probability and votes, and one seed and another, can differ."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(15_000, 6)).astype(np.float32)
    labels = np.repeat(rng.choice(CODES, 60), 250).astype(np.int16)
    spreads = np.select([labels == 70, labels == 3], [1.0, 1.04], 1.08)[:, None].astype(np.float32)
    return Recording(f"M{seed}", None, 50.0, samples * spreads, labels)


def test_repeated_windows_weigh_as_much_as_one():
    """The machine itself is the one that a single copy gives, where C binds."""
    person, unseen = mixed(1), mixed(14)
    labels = person.labels.copy()
    labels[labels == 140] = -1
    labels[np.flatnonzero(person.labels == 140)[:1000]] = 140  # four windows of it are left
    person = replace(person, labels=labels)
    votes = fitted(replace(SVM, C=1.0, decision="votes"), [person])
    assert votes.facts["windows_per_class"]["140"] == 4
    starts = training_windows(person)[labels[::250] != -1]
    features = window_features(window_samples(person, starts))
    scaler = MinMaxScaler().fit(features)
    plain = SVC(C=1.0).fit(scaler.transform(features), ACTIVITIES.indices(labels[starts]))
    rows = scaler.transform(window_features(window_samples(unseen, training_windows(unseen))))
    np.testing.assert_array_equal(votes.predict(unseen)[::250], plain.predict(rows))
    assert votes.facts["gamma"] == pytest.approx(plain._gamma, rel=1e-12)


def test_balanced_classes():
    """The weights are scikit-learn's own."""
    people, unseen = [mixed(1), recording((70,), 3, samples=2500)], mixed(14)
    votes = fitted(replace(SVM, C=1.0, class_weight="balanced", decision="votes"), people)
    features = np.concatenate([window_features(window_samples(r, training_windows(r))) for r in people])
    labels = ACTIVITIES.indices(np.concatenate([r.labels[::250] for r in people]))
    scaler = MinMaxScaler().fit(features)
    rows = scaler.transform(window_features(window_samples(unseen, training_windows(unseen))))
    wanted, other = (
        SVC(C=1.0, class_weight=weight).fit(scaler.transform(features), labels).predict(rows)
        for weight in ("balanced", None)
    )
    assert (wanted != other).any()
    np.testing.assert_array_equal(votes.predict(unseen)[::250], wanted)


def test_trees_of_the_release():
    """Exact splits lie elsewhere than those of histograms."""
    unseen = mixed(4)
    exact, hist = (fitted(replace(XGB, trees=how), [mixed(3)]).probabilities(unseen) for how in ("exact", "hist"))
    np.testing.assert_allclose(exact.sum(axis=1), 1, rtol=0, atol=1e-15)
    assert (exact != hist).any()


def test_the_svm_decides_by_probability_or_by_votes():
    unseen = mixed(14)
    by_chance, by_votes = (fitted(replace(SVM, decision=how), [mixed(4)]) for how in ("probability", "votes"))
    np.testing.assert_array_equal(by_chance.predict(unseen), by_chance.probabilities(unseen).argmax(axis=1))
    np.testing.assert_array_equal(by_chance.probabilities(unseen), by_votes.probabilities(unseen))
    assert (by_votes.predict(unseen) != by_chance.predict(unseen)).any()


@BOTH
def test_the_same_seed_gives_the_same_answer(config, monkeypatch):
    unseen = mixed(4)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    first = fitted(config, [mixed(3)], seed=5)
    chances = first.probabilities(unseen)
    np.testing.assert_array_equal(fitted(config, [mixed(3)], seed=5).probabilities(unseen), chances)
    for module in ("baselines.feature_classifier", "features.handcrafted"):
        monkeypatch.setattr(f"selfpab.{module}.threads_each", lambda workers: 3)
    np.testing.assert_array_equal(fitted(config, [mixed(3)], seed=5).probabilities(unseen), chances)
    first.fit([mixed(6)])  # nothing is left of the first time
    np.testing.assert_array_equal(first.probabilities(unseen), fitted(config, [mixed(6)], seed=5).probabilities(unseen))
    if isinstance(config, SvmConfig):
        assert (fitted(config, [mixed(3)], seed=6).probabilities(unseen) != chances).any()


@BOTH
def test_merged_codes_are_one_class_from_the_start_or_afterwards(config):
    people = [recording((70, 3, 17), 1, samples=5000), recording((17, 3, 70), 2, samples=5000)]
    unseen = recording((17, 70, 3), 7)
    truth = ACTIVITIES.indices(unseen.labels)
    early, late = fitted(config, people), fitted(replace(config, merge="confusion"), people)
    assert early.facts["windows_per_class"] == {"70": 40, "3": 80, "140": 0}
    assert late.facts["windows_per_class"] == {"70": 40, "3": 40, "140": 0, "17": 40}
    for classifier in (early, late):
        found = classifier.predict(unseen)
        assert (found == truth).mean() > 0.9
        chances = classifier.probabilities(unseen)
        assert chances.shape == (3000, 3)
        np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=0, atol=1e-15)
        assert chances[np.arange(3000), truth].mean() > 0.8


@BOTH
def test_windows_without_labels_are_left_out(config):
    one = recording(CODES, 1)
    labels = one.labels.copy()
    labels[:2126] = -1  # the ninth window begins at 2000: 126 of its samples
    kept = Recording("U", None, 50.0, one.samples, labels)
    assert fitted(config, [*TRAINING, kept]).facts["training_windows"] == 36 + 3


def test_nothing_to_learn_from():
    short = Recording("S", None, 50.0, np.zeros((249, 6), np.float32), np.full(249, 3, np.int16))
    with pytest.raises(
        ValueError, match="1 recordings hold no window of 250 samples of which at least half are labelled"
    ):
        fitted(XGB, [short])
    with pytest.raises(ValueError, match="P9 has no labels"):
        fitted(XGB, [Recording("P9", None, 50.0, np.zeros((500, 6), np.float32))])


def test_wrong_use():
    with pytest.raises(RuntimeError, match="fit before predict"):
        FeatureClassifier(ACTIVITIES, SVM, 0).predict(TRAINING[0])
    with pytest.raises(ValueError, match="windows of 250 samples, got length=100"):
        FeatureClassifier(ACTIVITIES, replace(XGB, length=100), 0)
    empty = Recording("E", None, 50.0, np.zeros((0, 6), np.float32))
    with pytest.raises(ValueError, match="the recording of E is empty"):
        fitted(XGB, TRAINING).predict(empty)


@pytest.mark.parametrize(("config", "package"), [(SVM, "sklearn"), (XGB, "xgboost")])
def test_without_the_extra_it_says_what_to_install(config, package, monkeypatch):
    real = builtins.__import__

    def no_package(name, *rest, **named):
        if name.split(".")[0] == package:
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", no_package)
    with pytest.raises(ImportError, match=r"pip install 'selfpab\[baselines\]'"):
        fitted(config, TRAINING)


def test_the_settings_of_the_release():
    """BEHAVIOUR (g), typed a second time."""
    assert (SVM.C, SVM.gamma, SVM.class_weight, SVM.decision) == (10, "scale", "none", "probability")
    xgb = XgbConfig()
    assert (xgb.eta, xgb.max_depth, xgb.n_estimators) == (0.3, 5, 1024)
    assert (xgb.reg_lambda, xgb.reg_alpha, xgb.gamma) == (1, 0, 0)
    assert {SVM.length, xgb.length} == {250}
