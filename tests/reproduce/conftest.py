"""A small evaluation run folder of made-up people, scored by the real code; no model is trained."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from selfpab.activities import KNOWN, Activities
from selfpab.evaluation.calibration import calibration_sums, nothing_counted
from selfpab.evaluation.clock import per_second
from selfpab.evaluation.folds import Fold, save_fold
from selfpab.evaluation.metrics import confusion
from selfpab.evaluation.results import assemble, write_results
from selfpab.recording import Recording, Segment

ODD = "<b>&\"x\"/$y$ 'é'"  # a subject's name may be anything
LABELS = Activities("har70plus", (7, 6, 1), ("sitting", "standing", "walking & <running>"))  # least comes first


def recording(subject: str, number: int, blocks: int = 12) -> Recording:
    """Blocks of ten seconds, each of one activity, with a gap of a minute in the middle."""
    generator = np.random.default_rng(number)
    places = np.arange(blocks) % 3 if number else 1 + np.arange(blocks) % 2  # the first person never sits
    places = generator.permutation(places)
    labels = np.repeat(np.array(LABELS.codes, np.int16)[places], 500)
    labels[:75] = -1
    half = len(labels) // 2
    segments = (Segment(0, half, 0.0), Segment(half, len(labels), half / 50 + 60))
    samples = generator.normal(0, 0.3, (len(labels), 6)).astype(np.float32)
    start = datetime(2021, 3, 4, 10, 0, number, 300_000)
    return Recording(subject, start, 50.0, samples, labels, segments)


@pytest.fixture(scope="session")
def activities():
    return LABELS


@pytest.fixture(scope="session")
def people():
    """{subject: recordings}; the second has two."""
    return {
        ODD: [recording(ODD, 0)],
        "502": [recording("502", 1), recording("502", 2)],
        "503": [recording("503", 3)],
        "504": [recording("504", 4)],
    }


@pytest.fixture(scope="session")
def write_run(people):
    """Write RUN/<method>/seed-<n>/ for {method: how often it is right}."""

    def _write(run, methods, seeds=(0,), with_seconds=True, **told):
        for place, (method, right) in enumerate(methods.items()):
            for seed in seeds:
                folder, folds = run / method / f"seed-{seed}", {}
                for number, (subject, own) in enumerate(people.items()):
                    generator = np.random.default_rng([place, seed, number])
                    counts, sums, tables = 0, None, []
                    for part, piece in enumerate(own):
                        truth = LABELS.indices(piece.labels)
                        chances = generator.dirichlet([0.3] * 3, len(truth) // 50).repeat(50, axis=0)
                        hit = (generator.random(len(truth) // 50) < right).repeat(50) & (truth >= 0)
                        chances[hit] = 0.25 * chances[hit] + 0.75 * np.eye(3)[truth[hit]]
                        chosen = chances.argmax(axis=1)
                        counts = counts + confusion(truth, chosen, 3)
                        added = calibration_sums(truth, chosen, chances)
                        sums = added if sums is None else sums + added
                        table = per_second(piece, truth, chances, LABELS)
                        tables.append(table.with_columns(pl.lit(part, dtype=pl.Int32).alias("recording")))
                    fold = Fold(subject, counts, int(counts.sum()), 75 * len(own), sums, 1.5)
                    folds[subject] = fold
                    if with_seconds:
                        save_fold(folder, fold, pl.concat(tables), {})
                facts = {
                    "dataset": "har70plus",
                    "data": {"version": "1.0", "sha256": "ab12"},
                    "protocol": "paper & <all>",
                }
                content = assemble(folds, LABELS, method=method, seed=seed, **(facts | told))
                write_results(folder / "results.json", content)
        return run

    return _write


@pytest.fixture(scope="session")
def run(write_run, tmp_path_factory):
    """Three methods, two seeds each."""
    methods = {"selfpab": 0.9, "svm": 0.6, "random-encoder": 0.3}
    told = {
        "layer_weights": [0.25, 0.75],
        "validation": {"macro_f1": 0.912, "loss": 0.3456},
        "upstream": {
            "sha256": "c" * 64,
            "corpora": [{"name": "a corpus", "sha256": "d"}],
            "hours": 21.5,
            "steps": 3000,
        },
        "config": {"steps": 7, "note": "</pre><script>"},
        "environment": {"selfpab": "0.1.0"},
    }
    return write_run(tmp_path_factory.mktemp("evaluation"), methods, (0, 1), **told)


@pytest.fixture(scope="session")
def put_results():
    """Write FOLDER/<method>/seed-<n>/results.json of made-up people; {method: share right}; `told` goes to `assemble`.

    The people's truth depends on data set and name alone, so folders written apart may stand side by side.
    """

    def _put(
        folder, methods, dataset="har70plus", seeds=(0, 1), people=None, version="1.0", hours=None, samples=1000, **told
    ):
        labels = KNOWN[dataset]
        people = people or [str(number) for number in range(501, 519)]
        for method, right in methods.items():
            for seed in seeds:
                folds = {}
                for subject in people:
                    spread = np.geomspace(30, 1, len(labels))
                    truth = (samples * np.random.default_rng(int(subject.strip("S"))).dirichlet(spread)).astype(int)
                    generator = np.random.default_rng([seed, int(subject.strip("S")), int(1000 * right)])
                    counts = np.zeros((len(labels), len(labels)), np.int64)
                    for place, total in enumerate(truth):
                        hits = generator.binomial(total, right)
                        counts[place, place] += hits
                        counts[place, generator.integers(len(labels))] += total - hits
                    folds[subject] = Fold(subject, counts, int(counts.sum()), 75, nothing_counted(), 1.5)
                upstream = None
                if hours is not None and method.startswith("selfpab"):
                    upstream = {"sha256": f"{int(100 * hours):064d}", "people": 3, "hours": hours, "steps": 3000}
                    upstream["corpora"] = [{"name": "made-up", "sha256": "d" * 64}]
                content = {
                    "data": {"version": version, "sha256": f"{version}-{dataset}".ljust(64, "0")},
                    "protocol": "leave one subject out",
                    "upstream": upstream,
                    "config": {"steps": 7, "rate": 0.01, "epochs": None},
                    "environment": {"selfpab": "0.1.0", "commit": f"{seed}abcdef0123456789", "clean": seed == 0},
                }
                results = assemble(folds, labels, method=method, dataset=dataset, seed=seed, **(content | told))
                write_results(folder / method / f"seed-{seed}" / "results.json", results)
        return folder

    return _put
