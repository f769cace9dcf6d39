"""The seconds of an evaluation, read back: what was true and what was said, per person.

Legend: R rows, one per clock second in order; K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from selfpab.evaluation.results import read_results
from selfpab.recording import UNLABELLED


class Answers(NamedTuple):
    """Seconds of one person, in order.

    truth : class indices, int64 (R,); -1 where nothing is known.
    probabilities : float64 (R, K), rows adding up to 1; NaN in gaps and between two recordings.
    """

    truth: np.ndarray
    probabilities: np.ndarray

    @property
    def scored(self) -> np.ndarray:
        """Rows that have a truth and an answer, bool (R,)."""
        return (self.truth != UNLABELLED) & np.isfinite(self.probabilities[:, 0])


def read_answers(run: Path) -> dict[str, Answers]:
    """The people of an evaluation: a folder with `results.json` and `seconds/<subject>.parquet` (DESIGN 2).

    Raises FileNotFoundError where there are no seconds (they are not committed), ValueError where the tables' classes
    are not those of results.json.
    """
    import polars as pl

    codes = [entry["code"] for entry in read_results(run / "results.json")["classes"]]
    files = sorted((run / "seconds").glob("*.parquet"))
    if not files:
        raise FileNotFoundError(f"{run / 'seconds'} has no tables of seconds; evaluate again: selfpab evaluate ...")
    place = {code: index for index, code in enumerate(codes)}
    people: dict[str, Answers] = {}
    for file in files:
        table = pl.read_parquet(file)
        columns = [name for name in table.columns if name.startswith("p_")]
        strange = set(table["truth"].drop_nulls().unique()) - set(codes)
        if len(columns) != len(codes) or strange:
            raise ValueError(
                f"{file} has {len(columns)} classes and the unknown codes {sorted(strange)}, "
                f"results.json has {len(codes)} classes; they are not of one evaluation"
            )
        truth = np.array([UNLABELLED if code is None else place[code] for code in table["truth"]], np.int64)
        values = table.select(pl.col(columns).cast(pl.Float64)).to_numpy()
        values = values / values.sum(axis=1, keepdims=True)  # stored in single precision
        people[unquote(file.stem)] = _apart(truth, values, table["recording"].to_numpy())
    return people


def checked_people(people: Mapping[str, Answers]) -> int:
    """Number of classes K; ValueError where shapes disagree, nobody is there, or somebody has nothing to score."""
    if not people:
        raise ValueError("there is nobody to learn from; pass {person: Answers(truth, probabilities)}")
    widths = {answers.probabilities.shape[1] for answers in people.values() if answers.probabilities.ndim == 2}
    fit = all(answers.probabilities.shape[:1] == answers.truth.shape for answers in people.values())
    if len(widths) != 1 or not fit:
        shapes = {name: (answers.truth.shape, answers.probabilities.shape) for name, answers in people.items()}
        raise ValueError(f"truth must have shape (rows,) and probabilities (rows, K), one K for all, got {shapes}")
    if nothing := [name for name, answers in people.items() if not answers.scored.any()]:
        raise ValueError(f"no row of {', '.join(nothing)} has both a truth and probabilities; leave them out")
    return widths.pop()


def _apart(truth: np.ndarray, values: np.ndarray, recording: np.ndarray) -> Answers:
    """A row without answer between recordings: a bout does not go on from one into the next."""
    edges = 1 + np.flatnonzero(np.diff(recording))
    return Answers(np.insert(truth, edges, UNLABELLED), np.insert(values, edges, np.nan, axis=0))
