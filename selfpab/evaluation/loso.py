"""Leave one subject out, for anything with fit, predict and probabilities (paper, section 4.2; STYLE 7.4).

A fold is one subject: a fresh classifier is fitted on all recordings of all other subjects, and every labelled sample
of the subject's own is scored. Nothing is chosen on the test subject: it reaches `predict` and `probabilities` only,
and without its labels. Legend: N samples, K classes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from selfpab.activities import Activities
from selfpab.evaluation.calibration import calibration_sums, nothing_counted
from selfpab.evaluation.clock import per_second
from selfpab.evaluation.folds import Fold, finished_folds, plain, save_fold
from selfpab.evaluation.metrics import confusion
from selfpab.recording import SENSORS, UNLABELLED, Recording
from selfpab.sensors import check_both, without

if TYPE_CHECKING:
    import polars as pl

ROW_SUM_TOLERANCE = 1e-3  # ours; softmax in bfloat16 is off by less


@runtime_checkable
class Classifier(Protocol):
    """What is evaluated. The test recordings it is given have no labels."""

    def fit(self, recordings: Sequence[Recording]) -> None:
        """Learn from labelled recordings; forget what was learned before."""
        ...

    def predict(self, recording: Recording) -> np.ndarray:
        """One class index per sample, integers (N,)."""
        ...

    def probabilities(self, recording: Recording) -> np.ndarray:
        """One row per sample, float (N, K), each adding up to 1."""
        ...


def leave_one_subject_out(
    build: Callable[[], Classifier],
    recordings: Sequence[Recording],
    activities: Activities,
    *,
    folder: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    save: Callable[[str, Fold, "pl.DataFrame"], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Fold]:
    """Every subject's fold, in the order of their names, from a classifier that saw all the others.

    Parameters
    ----------
    build : makes a fresh classifier, once per fold.
    recordings : all labelled, all at one rate; a subject may have several.
    activities : the classes; labels are their codes, merged codes, or -1.
    folder : where finished folds are kept (`folds/`, `seconds/`); the same call goes on after a kill.
    settings : whatever the scores depend on (method, seed, configuration), plain values. Together with the classes and
        a checksum of the data it must agree with that of the folds in `folder`.
    save : called with (subject, fold, table of seconds) after each new fold.
    progress : called with (subject, folds done, folds in all) after each fold, old or new.

    Raises ValueError for fewer than two subjects, a recording without labels or with labels that are no class, and a
    classifier that leaves a labelled sample without a prediction.
    """
    subjects = checked_subjects(recordings, activities)
    # reading every sample for the checksum takes a moment, and only folds on disk need it
    known = fold_settings(settings or {}, activities, recordings) if folder is not None else {}
    folds = finished_folds(folder, subjects, known) if folder is not None else {}  # all, before an hour is spent
    for done, subject in enumerate(folds, start=1):
        if progress:
            progress(subject, done, len(subjects))

    for subject in [subject for subject in subjects if subject not in folds]:
        fold, seconds = one_fold(build, recordings, activities, subject)
        if folder is not None:
            save_fold(folder, fold, seconds, known)
        if save:
            save(subject, fold, seconds)
        folds[subject] = fold
        if progress:
            progress(subject, len(folds), len(subjects))
    return {subject: folds[subject] for subject in subjects}


def one_fold(
    build: Callable[[], Classifier],
    recordings: Sequence[Recording],
    activities: Activities,
    subject: str,
    *,
    train_with: Sequence[Recording] = (),
) -> tuple[Fold, "pl.DataFrame"]:
    """Train without the subject and score it: its fold, and the table of `per_second` with a column `recording`.

    train_with : labelled recordings of other people, who are trained on in every fold and never tested.

    A classifier may have `facts`, a mapping of plain values known after `fit` (layer_weights, validation {loss,
    macro_f1}, losses ...); they become those of the fold.
    """
    return every_fold(build, recordings, activities, subject, train_with=train_with, single=False)[None]


def every_fold(
    build: Callable[[], Classifier],
    recordings: Sequence[Recording],
    activities: Activities,
    subject: str,
    *,
    train_with: Sequence[Recording] = (),
    single: bool = True,
) -> dict[str | None, tuple[Fold, "pl.DataFrame"]]:
    """The same by what the subject is scored on: None, all of it; and by the name of a sensor, that sensor alone, where the
    classifier says that it can do so (an attribute `reads_single` that is true) and it is wanted (`single`)."""
    began = time.perf_counter()
    classifier = build()
    classifier.fit([recording for recording in [*recordings, *train_with] if recording.subject != subject])
    facts = plain(dict(getattr(classifier, "facts", {})))  # now: predicting could not add to them honestly
    own = [recording for recording in recordings if recording.subject == subject]
    found: dict[str | None, tuple[Fold, "pl.DataFrame"]] = {}
    for sensor in (None, *(SENSORS if single and getattr(classifier, "reads_single", False) else ())):
        others = [other for other in SENSORS if sensor not in (None, other)]
        fold, seconds = _scored(classifier, own, activities, others)
        found[sensor] = replace(fold, took_s=time.perf_counter() - began, facts=facts), seconds
        began = time.perf_counter()
    return found


def _scored(
    classifier: Classifier, recordings: Sequence[Recording], activities: Activities, lacking: Sequence[str]
) -> tuple[Fold, "pl.DataFrame"]:
    """A subject's fold, of recordings as if these sensors had not been there."""
    import polars as pl

    counts = np.zeros((len(activities), len(activities)), np.int64)
    calibration, unlabelled, tables = nothing_counted(), 0, []
    for number, recording in enumerate(recordings):
        truth = activities.indices(_labels(recording))
        question = replace(recording, labels=None)
        for sensor in lacking:
            question = without(question, sensor)
        predicted = np.asarray(classifier.predict(question))
        counts += confusion(truth, predicted, len(activities))
        probabilities = _checked(np.asarray(classifier.probabilities(question)), recording, len(activities))
        calibration += calibration_sums(truth, predicted, probabilities)
        unlabelled += int(np.count_nonzero(truth == UNLABELLED))
        table = per_second(recording, truth, probabilities, activities)
        tables.append(table.with_columns(pl.lit(number, dtype=pl.Int32).alias("recording")))
    subject = recordings[0].subject
    return Fold(subject, counts, int(counts.sum()), unlabelled, calibration, took_s=0.0), pl.concat(tables)


def held_out(
    build: Callable[[], Classifier],
    recordings: Sequence[Recording],
    folds: Sequence[Sequence[str]],
    activities: Activities,
) -> Iterator[tuple[Classifier, dict[str, np.ndarray]]]:
    """Fold by fold a classifier that saw nobody of it, and of everybody in it the confusion matrix, int64 (K, K)."""
    for fold in folds:
        classifier = build()
        classifier.fit([recording for recording in recordings if recording.subject not in fold])
        counts: dict[str, np.ndarray] = {}
        for recording in recordings:
            if recording.subject in fold:
                predicted = np.asarray(classifier.predict(replace(recording, labels=None)))
                matrix = confusion(activities.indices(_labels(recording)), predicted, len(activities))
                counts[recording.subject] = counts.get(recording.subject, 0) + matrix
        yield classifier, counts


def fold_settings(
    settings: Mapping[str, Any], activities: Activities, recordings: Sequence[Recording]
) -> dict[str, Any]:
    """What a fold on disk must agree with before it is taken for one's own: settings, classes and the data's checksum."""
    merge = {str(code): to for code, to in activities.merge.items()}
    return {**settings, "classes": list(activities.codes), "merge": merge, "data_sha256": checksum(recordings)}


def checksum(recordings: Sequence[Recording]) -> str:
    """SHA-256 of what is evaluated: subjects, rates, segments, values in g and labels, in a fixed order.

    The order of `recordings` does not matter across subjects; neither does whether values are in memory or mapped.
    """
    total = hashlib.sha256()
    for recording in sorted(recordings, key=lambda recording: recording.subject):
        shape = [(s.first, s.stop, s.start_s, s.part) for s in recording.segments]
        total.update(repr((recording.subject, float(recording.rate_hz), shape, recording.labels is not None)).encode())
        for _, piece in recording.blocks(600.0):
            total.update(np.ascontiguousarray(piece).tobytes())
        if recording.labels is not None:
            total.update(np.ascontiguousarray(recording.labels).tobytes())
    return total.hexdigest()


def checked_subjects(recordings: Sequence[Recording], activities: Activities) -> list[str]:
    """The subjects in order, once everything that can be wrong with the data is known not to be; else ValueError."""
    subjects = sorted({recording.subject for recording in recordings})
    if len(subjects) < 2:
        raise ValueError(
            f"leaving one subject out needs at least two subjects, got {subjects}; "
            "are several people's recordings given one name?"
        )
    if len(rates := sorted({float(recording.rate_hz) for recording in recordings})) > 1:
        raise ValueError(f"all recordings must have one rate, got {rates} Hz; resample them first")
    labelled = dict.fromkeys(subjects, 0)
    for recording in recordings:
        check_both(recording, "an evaluation")
        labelled[recording.subject] += int(np.count_nonzero(activities.indices(_labels(recording)) != UNLABELLED))
    if nothing := [subject for subject, count in labelled.items() if not count]:
        raise ValueError(f"no sample of {', '.join(nothing)} is labelled, so nothing can be scored; leave them out")
    return subjects


def _labels(recording: Recording) -> np.ndarray:
    if recording.labels is None:
        raise ValueError(f"a recording of {recording.subject} has no labels, so it cannot be scored; leave it out")
    return recording.labels


def _checked(probabilities: np.ndarray, recording: Recording, classes: int) -> np.ndarray:
    if probabilities.shape != (len(recording), classes):
        raise ValueError(f"probabilities must have shape ({len(recording)}, {classes}), got {probabilities.shape}")
    # written so that NaN fails too
    if len(probabilities) and not (
        probabilities.min() >= 0 and np.abs(probabilities.sum(axis=1, dtype=np.float64) - 1).max() <= ROW_SUM_TOLERANCE
    ):
        raise ValueError(
            f"probabilities of {recording.subject} must be at least 0 and add up to 1 in every row, "
            f"got sums of {probabilities.sum(axis=1).min()} ... {probabilities.sum(axis=1).max()}"
        )
    return probabilities
