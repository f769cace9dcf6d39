"""Settings from a search on people who are not the test people (paper, section 4.2: "a hyperparameter optimization with
following LOSO for each baseline method").

The paper does not say on which people its settings were chosen; the release scores them on the test people. Here (ours) they
are chosen once per method on ANOTHER data set, `search=harth`, or, `search=nested`, in every fold anew on its training
people. Three subject-wise folds, Optuna's tree-structured Parzen estimator, the mean over people of the macro F1.

Every trial is written as soon as it is known, so that the same call goes on after a stop; what a trial proposes depends on
the trials before it alone, so that a search that was stopped ends as one that was not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from selfpab.activities import Activities
from selfpab.config import ConfigError, changed, words
from selfpab.evaluation.loso import Classifier, held_out
from selfpab.evaluation.metrics import macro_f1
from selfpab.methods import ENCODERS, METHODS, EvaluateConfig, Method, method, own_settings
from selfpab.recording import UNLABELLED, Recording
from selfpab.seeding import seed_of
from selfpab.writing import write_text

if TYPE_CHECKING:
    import optuna

FOLDS = 3
FIRST_RANDOM = 6  # trials before the estimator begins to model; of 20
FACTORS_OF_RATE = (0.3, 1.0, 3.0)  # networks: of the rate and the steps that the settings say
FACTORS_OF_STEPS = (1, 2, 4)
Space = Mapping[str, Sequence[Any]]  # setting -> its choices

GRIDS: Mapping[str, Space] = {  # the release's (BEHAVIOUR (g))
    "svm": {
        "svm.C": (1.0, 10.0, 100.0, 1000.0),
        "svm.gamma": ("scale", 1e-4, 1e-3),
        "svm.class_weight": ("none", "balanced"),
    },
    "xgb": {
        "xgb.eta": (0.1, 0.3, 0.5),
        "xgb.max_depth": (3, 5, 10, 20, 25),
        "xgb.n_estimators": (20, 50, 100, 256, 512, 1024),
    },
}


def space_of(name: str, config: EvaluateConfig) -> Space:
    """What is searched for a method: the release's grid, and rate and steps of a network (ours; of epochs the rate alone).

    >>> space_of("spectr-mlp", EvaluateConfig())["spectr_mlp.steps"]
    (2000, 4000, 8000)
    """
    if name in GRIDS:
        return GRIDS[name]
    if name in ENCODERS or name == "deepconvlstm-ts":
        key = name.replace("-", "_")
        settings = own_settings(name, config) if name in ENCODERS else config.deepconvlstm_ts
        rates = {f"{key}.rate": tuple(float(f"{settings.rate * factor:.3g}") for factor in FACTORS_OF_RATE)}
        if getattr(settings, "epochs", None) is not None:  # they say how long
            return rates
        return rates | {f"{key}.steps": tuple(settings.steps * factor for factor in FACTORS_OF_STEPS)}
    raise ConfigError(f"{name} has no settings to search; those that have: {', '.join(METHODS)}")


def find_settings(
    name: str,
    recordings: Sequence[Recording],
    activities: Activities,
    config: EvaluateConfig,
    scratch: Path,
    *,
    file: Path | None = None,
    about: Mapping[str, Any] | None = None,
    space: Space | None = None,
    make: Callable[..., Method] = method,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """The study of a method: {"data", "folds", "space", "trials", "best"}, plain values.

    Parameters
    ----------
    recordings : labelled, of at least three people beside those of `config.search_without`, who are trained on and
        not scored.
    scratch : folder for outputs of frozen encoders.
    file : where the study is kept; one that is there goes on. about : what it says of the data.
    say : called with a line for each trial.

    `best` holds the settings of the best trial, the first of equals, as {key of EvaluateConfig: value}.

    Raises ConfigError for a method that has nothing to search, too few people, and a file of another search.
    """
    space = space or space_of(name, config)
    folds = people_by_fold(recordings, config.search_without)
    unlabelled = {recording.subject for recording in recordings} - {subject for fold in folds for subject in fold}
    question: dict[str, Any] = {
        "method": name,
        "data": dict(about or {}),
        "folds": folds,
        "trained on only": list(dict.fromkeys([*words(config.search_without), *sorted(unlabelled)])),
        "space": {key: list(choices) for key, choices in space.items()},
        "score": "mean over people of macro F1",
    }
    if file is not None:  # what else the scores depend on, as JSON would have it
        told = {**make(name, activities, config, 0, scratch).settings, "classes": activities.codes}
        question["settings"] = json.loads(json.dumps(told, sort_keys=True, default=str))
    trials = _trials_of(file, question)
    while len(trials) < config.search_trials:
        settings = proposal(space, trials, seed_of("search", name, len(trials)))
        known = [trial for trial in trials if trial["settings"] == settings]  # the same again gives the same score
        began = time.perf_counter()
        scores = (
            known[0]["people"]
            if known
            else _scores(name, settings, recordings, folds, activities, config, scratch, make)
        )
        score = float(np.mean(list(scores.values())))
        trials.append(
            {
                "settings": settings,
                "macro_f1": score,
                "people": scores,
                "seconds": round(time.perf_counter() - began, 1),
            }
        )
        if file is not None:
            write_text(file, json.dumps({**question, "trials": trials, "best": _best(trials)}, indent=1) + "\n")
        if say:
            say(f"search {name}, trial {len(trials)} of {config.search_trials}: {100 * score:.1f} with {settings}")
    return {**question, "trials": trials, "best": _best(trials)}


def proposal(space: Space, trials: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """What to try next, given what was found: a function of the two and the seed."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError("search= needs optuna: pip install 'selfpab[baselines]'") from error

    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        key: optuna.distributions.CategoricalDistribution(tuple(range(len(choices)))) for key, choices in space.items()
    }
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed % 2**32, n_startup_trials=FIRST_RANDOM)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in trials:
        places = {key: list(choices).index(trial["settings"][key]) for key, choices in space.items()}
        study.add_trial(optuna.trial.create_trial(params=places, distributions=distributions, value=trial["macro_f1"]))
    asked = study.ask(distributions)
    return {key: space[key][place] for key, place in asked.params.items()}


def people_by_fold(recordings: Sequence[Recording], without: str) -> list[list[str]]:
    """Three groups of people, by an order that is the same every time and has nothing to do with their names.

    Who has no labelled sample has no score, and is in none of them.
    """
    everybody = {recording.subject for recording in recordings}
    known = {r.subject for r in recordings if r.labels is not None and (r.labels != UNLABELLED).any()}
    left_out = words(without)
    if strange := sorted(set(left_out) - everybody):
        raise ConfigError(f"search_without names {', '.join(strange)}, there are {', '.join(sorted(everybody))}")
    people = sorted(known - set(left_out), key=lambda subject: seed_of("search fold", subject))
    if len(people) < FOLDS:
        raise ConfigError(f"a search needs {FOLDS} labelled people or more to score, got {', '.join(people) or 'none'}")
    return [people[i::FOLDS] for i in range(FOLDS)]


class Nested:
    """A classifier that searches on its training people, then trains with what it found (`search=nested`)."""

    def __init__(
        self,
        name: str,
        activities: Activities,
        config: EvaluateConfig,
        seed: int,
        scratch: Path,
        make: Callable[..., Method] = method,
    ) -> None:
        self.name, self.activities, self.config, self.seed = name, activities, config, seed
        self.scratch, self.make = scratch, make
        self.facts: dict[str, Any] = {}
        self._classifier: Classifier | None = None

    def fit(self, recordings: Sequence[Recording]) -> None:
        """Search in three subject-wise folds of `recordings`, then train on all of them."""
        here = {recording.subject for recording in recordings}
        without = ",".join(subject for subject in words(self.config.search_without) if subject in here)
        asked = replace(self.config, search_without=without)  # one of them may be the test subject
        study = find_settings(self.name, recordings, self.activities, asked, self.scratch, make=self.make)
        config = changed(self.config, study["best"])
        self._classifier = self.make(self.name, self.activities, config, self.seed, self.scratch)()
        self._classifier.fit(recordings)
        self.facts = {**getattr(self._classifier, "facts", {}), "search": study["best"]}

    def predict(self, recording: Recording) -> np.ndarray:
        return self._fitted().predict(recording)

    def probabilities(self, recording: Recording) -> np.ndarray:
        return self._fitted().probabilities(recording)

    def _fitted(self) -> Classifier:
        if self._classifier is None:
            raise RuntimeError("fit before predict")
        return self._classifier


def nested_method(
    name: str,
    activities: Activities,
    config: EvaluateConfig,
    seed: int,
    scratch: Path,
    make: Callable[..., Method] = method,
) -> Method:
    """The method with a search in every fold."""
    space = {key: list(choices) for key, choices in space_of(name, config).items()}
    plain = make(name, activities, config, seed, scratch)
    trials = {"search": "nested", "search_trials": config.search_trials, "search_without": config.search_without}
    return replace(
        plain,
        build=lambda: Nested(name, activities, config, seed, scratch, make),
        settings={**plain.settings, **trials, "space": space},
    )


def named_study(study: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """What results.json says of a study."""
    best = _best_trial(study["trials"])
    return {
        "file": file.name,
        "data": study["data"],
        "trials": len(study["trials"]),
        "best": study["best"],
        "macro_f1": best["macro_f1"],
    }


def _scores(
    name: str,
    settings: Mapping[str, Any],
    recordings: Sequence[Recording],
    folds: Sequence[Sequence[str]],
    activities: Activities,
    config: EvaluateConfig,
    scratch: Path,
    make: Callable[..., Method],
) -> dict[str, float]:
    """Every person's macro F1, from the classifier that saw nobody of the fold."""
    build = make(name, activities, changed(config, settings), 0, scratch)
    counts: dict[str, np.ndarray] = {}
    for _, matrices in held_out(build, recordings, folds, activities):
        counts |= matrices
    return {subject: macro_f1(matrix) for subject, matrix in sorted(counts.items())}


def _trials_of(file: Path | None, question: Mapping[str, Any]) -> list[dict[str, Any]]:
    if file is None or not file.is_file():
        return []
    content = json.loads(file.read_text(encoding="utf-8"))
    asked = {
        key: value for key, value in question.items() if key != "settings" or key in content
    }  # older ones lack them
    if other := [key for key, value in asked.items() if content.get(key) != value]:
        raise ConfigError(
            f"{file} is a search of other {', '.join(other)}; remove it to search anew, or take another RUN"
        )
    return content["trials"]


def _best(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return dict(_best_trial(trials)["settings"])


def _best_trial(trials: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return max(trials, key=lambda trial: trial["macro_f1"])
