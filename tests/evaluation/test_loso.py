"""Leave one subject out: who is trained on, what is scored, and going on after a kill."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from selfpab.activities import Activities
from selfpab.evaluation.loso import Classifier, checksum, leave_one_subject_out, one_fold
from selfpab.recording import Recording

THREE = Activities("three", (6, 1, 13), ("standing", "walking", "cycling"), {130: 13})
CODES = np.array([6, 1, 13, 130, -1], np.int16)


def recording(subject: str, seed: int, samples: int = 200) -> Recording:
    """Back_x holds the code, so that a perfect classifier needs no labels."""
    labels = np.random.default_rng(seed).choice(CODES, samples).astype(np.int16)
    values = np.zeros((samples, 6), np.float32)
    values[:, 0] = labels
    return Recording(subject, None, 50.0, values, labels)


@pytest.fixture
def recordings():
    return [recording(subject, seed) for seed, subject in enumerate(["S2", "S1", "S3", "S1"])]


class Reader:
    """Reads the class off the signal; knows whom it was fitted on."""

    def __init__(self) -> None:
        self.fitted: list[str] | None = None

    def fit(self, recordings):
        assert all(recording.labels is not None for recording in recordings)
        self.fitted = [recording.subject for recording in recordings]

    def predict(self, recording):
        return np.maximum(THREE.indices(recording.acceleration_g[:, 0].astype(np.int16)), 0)

    def probabilities(self, recording):
        return np.eye(3)[self.predict(recording)] * 0.7 + 0.1


class Spy(Reader):
    def predict(self, recording):
        assert self.fitted is not None, "never fitted"
        assert recording.subject not in self.fitted, "saw the test subject"
        assert recording.labels is None, "was given the truth"
        return super().predict(recording)


def test_the_test_subject_never_reaches_fit_and_its_labels_never_reach_predict(recordings):
    built = []

    def build():
        built.append(Spy())
        return built[-1]

    folds = leave_one_subject_out(build, recordings, THREE)
    assert [spy.fitted for spy in built] == [["S2", "S3"], ["S1", "S3", "S1"], ["S2", "S1", "S1"]]
    assert list(folds) == ["S1", "S2", "S3"]


class Nearest:
    """The class whose mean over the training samples is nearest; remembers all that training could have left in it."""

    def fit(self, recordings):
        values = np.concatenate([r.acceleration_g for r in recordings])
        classes = np.concatenate([THREE.indices(r.labels) for r in recordings])
        self.means = np.stack([values[classes == k].mean(axis=0) for k in range(3)])
        self.facts = {"means": self.means, "people": sorted({r.subject for r in recordings})}

    def predict(self, recording):
        self.asked = recording
        distance = np.abs(recording.acceleration_g[:, None] - self.means).sum(axis=2)
        return distance.argmin(axis=1)

    def probabilities(self, recording):
        return np.eye(3)[self.predict(recording)] * 0.7 + 0.1


def noisy(recording, seed):
    values = recording.acceleration_g + np.random.default_rng(seed).normal(size=(len(recording), 6)).astype(np.float32)
    return replace(recording, samples=values.astype(np.float32))


def test_the_labels_of_the_test_subject_change_nothing_that_is_predicted(recordings):
    people = [noisy(r, i) for i, r in enumerate(recordings)]
    poisoned = [replace(r, labels=np.roll(r.labels, 7)) if r.subject == "S1" else r for r in people]
    clean, other = (one_fold(Nearest, given, THREE, "S1") for given in (people, poisoned))
    assert not np.array_equal(clean[0].confusion, other[0].confusion)  # the truth did change
    assert clean[0].facts == other[0].facts
    for column in ("activity", "p_standing", "p_walking", "p_cycling"):
        assert clean[1][column].equals(other[1][column])


def test_the_samples_of_the_test_subject_change_nothing_that_is_trained(recordings):
    people = [noisy(r, i) for i, r in enumerate(recordings)]
    poisoned = [noisy(r, 99) if r.subject == "S1" else r for r in people]
    clean, other = (one_fold(Nearest, given, THREE, "S1")[0] for given in (people, poisoned))
    assert clean.facts == other.facts
    assert clean.facts["people"] == ["S2", "S3"]
    assert not np.array_equal(clean.confusion, other.confusion)  # the test did change
    assert one_fold(Nearest, poisoned, THREE, "S2")[0].facts != one_fold(Nearest, people, THREE, "S2")[0].facts


def test_what_a_classifier_says_of_its_training_is_kept_with_the_fold(tmp_path, recordings):
    class Talkative(Reader):
        def fit(self, recordings):
            super().fit(recordings)
            self.facts = {"layer_weights": np.array([0.5, len(recordings)], np.float32), "loss": float("nan")}

        def predict(self, recording):
            self.facts["asked"] = recording.subject
            return super().predict(recording)

    new = leave_one_subject_out(Talkative, recordings, THREE, folder=tmp_path)
    old = leave_one_subject_out(Talkative, recordings, THREE, folder=tmp_path)
    assert new["S1"].facts == old["S1"].facts == {"layer_weights": [0.5, 2.0], "loss": None}
    assert leave_one_subject_out(Reader, recordings, THREE)["S1"].facts == {}


def test_perfect_prediction_gives_a_diagonal_over_all_recordings_of_a_subject(recordings):
    folds = leave_one_subject_out(Reader, recordings, THREE)
    for subject, fold in folds.items():
        labels = np.concatenate([r.labels for r in recordings if r.subject == subject])
        expected = [np.count_nonzero(np.isin(labels, codes)) for codes in ([6], [1], [13, 130])]
        np.testing.assert_array_equal(fold.confusion, np.diag(expected))
        assert fold.samples_scored == np.count_nonzero(labels != -1) == fold.calibration.n.sum()
        assert fold.samples_unlabelled == np.count_nonzero(labels == -1) > 0
        assert fold.calibration.nll == pytest.approx(-np.log(0.8) * fold.samples_scored)
        assert fold.took_s > 0


def test_the_order_of_the_recordings_does_not_matter(recordings):
    here, there = (leave_one_subject_out(Reader, order, THREE) for order in (recordings, recordings[::-1]))
    assert list(here) == list(there)


def test_what_is_scored_is_predict_and_not_the_largest_probability(recordings):
    class Smoothed(Reader):
        def predict(self, recording):
            return np.ones(len(recording), np.int64)

        def probabilities(self, recording):
            return np.tile([0.6, 0.3, 0.1], (len(recording), 1))

    fold = leave_one_subject_out(Smoothed, recordings, THREE)["S2"]
    assert fold.confusion[:, 1].sum() == fold.samples_scored
    assert fold.calibration.n[int(0.3 * 15)] == fold.samples_scored


def test_the_protocol_is_checked_by_shape_and_not_by_inheritance():
    assert isinstance(Reader(), Classifier)
    assert not isinstance(object(), Classifier)


def test_seconds_of_all_recordings_are_one_table(recordings):
    table = one_fold(Reader, recordings, THREE, "S1")[1]
    assert table.height == 8
    assert table["recording"].to_list() == [0] * 4 + [1] * 4
    assert {"time", "truth", "activity", "p_cycling"} < set(table.columns)


class Killed(RuntimeError):
    pass


def test_a_killed_evaluation_goes_on_with_the_missing_folds(tmp_path, recordings):
    built = []

    def build_and_die():
        if len(built) == 2:
            raise Killed
        built.append(Reader())
        return built[-1]

    with pytest.raises(Killed):
        leave_one_subject_out(build_and_die, recordings, THREE, folder=tmp_path, settings={"seed": 0})
    saved, seen = [], []

    resumed = leave_one_subject_out(
        lambda: built.append(Reader()) or built[-1],
        recordings,
        THREE,
        folder=tmp_path,
        settings={"seed": 0},
        save=lambda subject, fold, seconds: saved.append((subject, seconds.height)),
        progress=lambda *state: seen.append(state),
    )
    assert len(built) == 3, "a finished fold was done again"
    assert saved == [("S3", 4)]
    assert seen == [("S1", 1, 3), ("S2", 2, 3), ("S3", 3, 3)]
    whole = leave_one_subject_out(Reader, recordings, THREE)
    for subject, fold in whole.items():
        np.testing.assert_array_equal(resumed[subject].confusion, fold.confusion)
        np.testing.assert_array_equal(resumed[subject].calibration.confidence, fold.calibration.confidence)
    assert sorted(path.name for path in (tmp_path / "seconds").iterdir()) == ["S1.parquet", "S2.parquet", "S3.parquet"]
    assert pl.read_parquet(tmp_path / "seconds" / "S1.parquet").height == 8


def test_folds_of_other_settings_data_or_classes_are_refused_before_any_training(tmp_path, recordings):
    run = {"folder": tmp_path, "settings": {"seed": 0}}
    leave_one_subject_out(Reader, recordings, THREE, **run)
    leave_one_subject_out(lambda: pytest.fail("nothing was missing"), recordings, THREE, **run)
    (tmp_path / "folds" / "S1.json").unlink()  # so that there is one to train, and it must not be

    def never():
        pytest.fail("trained before looking")

    with pytest.raises(ValueError, match="seed: 0 there, 1 now"):
        leave_one_subject_out(never, recordings, THREE, folder=tmp_path, settings={"seed": 1})
    with pytest.raises(ValueError, match="data_sha256"):
        leave_one_subject_out(never, [*recordings[:3], recording("S1", 99)], THREE, **run)
    with pytest.raises(ValueError, match="classes"):
        leave_one_subject_out(never, recordings, replace(THREE, codes=(1, 6, 13)), **run)


def test_the_checksum_sees_values_labels_subjects_and_gaps(recordings):
    one = recordings[0]
    turned, relabelled = one.samples.copy(), one.labels.copy()
    turned[7, 3], relabelled[7] = 0.5, -1 if one.labels[7] != -1 else 1
    others = [
        replace(one, samples=turned),
        replace(one, labels=relabelled),
        replace(one, subject="S9"),
        replace(one, segments=(replace(one.segments[0], start_s=1.0),)),
    ]
    assert len({checksum([other]) for other in [one, *others]}) == 5
    assert checksum(recordings[:2]) == checksum(recordings[:2][::-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rs: [replace(r, subject="S1") for r in rs], r"at least two subjects, got \['S1'\]"),
        (lambda rs: [replace(rs[0], labels=None), *rs[1:]], "recording of S2 has no labels"),
        (lambda rs: [replace(rs[0], labels=np.full(200, -1, np.int16)), *rs[1:]], "no sample of S2 is labelled"),
        (lambda rs: [replace(rs[0], labels=np.full(200, 4, np.int16)), *rs[1:]], "label 4 is no activity of three"),
        (lambda rs: [replace(rs[0], rate_hz=100.0), *rs[1:]], r"one rate, got \[50.0, 100.0\] Hz"),
    ],
)
def test_data_that_cannot_be_scored_are_refused_before_any_training(recordings, change, message):
    with pytest.raises(ValueError, match=message):
        leave_one_subject_out(lambda: pytest.fail("trained"), change(recordings), THREE)


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        (
            "predict",
            lambda r: np.zeros(len(r) - 1, np.int64),
            "every labelled sample is scored, or the evaluation fails",
        ),
        ("predict", lambda r: np.full(len(r), -1), "have no prediction"),
        ("predict", lambda r: np.full(len(r), 13), "codes instead of class indices"),
        ("probabilities", lambda r: np.zeros((len(r), 2)), r"must have shape \(200, 3\), got \(200, 2\)"),
        ("probabilities", lambda r: np.full((len(r), 3), 0.5), "add up to 1 in every row"),
        ("probabilities", lambda r: np.full((len(r), 3), np.nan), "add up to 1 in every row"),
        ("probabilities", lambda r: np.tile([1.5, -0.5, 0.0], (len(r), 1)), "at least 0"),
    ],
)
def test_a_classifier_that_breaks_the_contract_fails_the_evaluation(recordings, name, answer, message):
    broken = type("Broken", (Reader,), {name: lambda self, recording: answer(recording)})
    with pytest.raises(ValueError, match=message):
        leave_one_subject_out(broken, recordings, THREE)
