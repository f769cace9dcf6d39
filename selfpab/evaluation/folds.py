"""Finished folds on disk, so that an evaluation that was killed goes on with the missing ones.

    folder/
      folds/<subject>.json        confusion matrix, calibration sums, what the classifier says of its training, and the
                                  settings that the fold was made with
      seconds/<subject>.parquet   truth and probabilities of every clock second

Files are written beside their place and renamed; the .json comes last, so a fold that has one is complete.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from selfpab.evaluation.calibration import Calibration
from selfpab.writing import write_whole

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, eq=False)
class Fold:
    """What one test subject gave: all that scores are derived from.

    confusion : int64 (K, K), rows = truth, in samples.
    samples_scored, samples_unlabelled : how many samples had a label and how many had none.
    took_s : training and prediction, in seconds.
    facts : what the classifier says of its training, plain JSON values: layer_weights, validation ...
    """

    subject: str
    confusion: np.ndarray
    samples_scored: int
    samples_unlabelled: int
    calibration: Calibration
    took_s: float
    facts: Mapping[str, Any] = field(default_factory=dict)


def save_fold(folder: Path, fold: Fold, seconds: pl.DataFrame, settings: Mapping[str, Any]) -> None:
    """Write the table of seconds, then the fold, each whole or not at all."""
    table, record = _places(folder, fold.subject)
    calibration = fold.calibration
    content = {
        "settings": _as_json(settings),
        "subject": fold.subject,
        "confusion": fold.confusion.tolist(),
        "samples_scored": fold.samples_scored,
        "samples_unlabelled": fold.samples_unlabelled,
        "calibration": {
            "n": calibration.n.tolist(),
            "confidence": calibration.confidence.tolist(),
            "correct": calibration.correct.tolist(),
            "nll": calibration.nll,
        },
        "took_s": fold.took_s,
        "facts": plain(fold.facts),
    }
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_whole(table, lambda path: seconds.write_parquet(path))
    write_whole(record, lambda path: path.write_text(text, encoding="utf-8"))


def saved_fold(folder: Path, subject: str, settings: Mapping[str, Any]) -> Fold | None:
    """The finished fold of a subject, or None; ValueError where it was made with other settings."""
    record = _places(folder, subject)[1]
    if not record.is_file():
        return None
    content = json.loads(record.read_text(encoding="utf-8"))
    then, now = content["settings"], _as_json(settings)
    if then != now:
        other = [key for key in sorted({*then, *now}) if then.get(key) != now.get(key)]
        changes = ", ".join(f"{key}: {_short(then.get(key))} there, {_short(now.get(key))} now" for key in other)
        raise ValueError(
            f"{record} was made with other settings ({changes}); "
            f"take another folder, or remove {record.parent} to evaluate anew"
        )
    sums = content["calibration"]
    return Fold(
        subject=content["subject"],
        confusion=np.array(content["confusion"], np.int64),
        samples_scored=content["samples_scored"],
        samples_unlabelled=content["samples_unlabelled"],
        calibration=Calibration(
            np.array(sums["n"], np.int64),
            np.array(sums["confidence"]),
            np.array(sums["correct"], np.int64),
            sums["nll"],
        ),
        took_s=content["took_s"],
        facts=content.get("facts", {}),  # a fold of version 0.1 has none
    )


def finished_folds(folder: Path, subjects: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Fold]:
    """The folds in `folder` of those subjects that have one; ValueError where one was made with other settings."""
    found = {subject: saved_fold(folder, subject, settings) for subject in subjects}
    return {subject: fold for subject, fold in found.items() if fold is not None}


def plain(value: Any) -> Any:
    """Plain JSON values of arrays, numpy numbers, tuples, paths; a number that is not finite becomes None.

    >>> plain({"rate": np.float32("nan"), "weights": np.array([0.5, 0.25]), 3: (Path("a"), True)})
    {'rate': None, 'weights': [0.5, 0.25], '3': ['a', True]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def seconds_file(folder: Path, subject: str) -> Path:
    """Where the seconds of a subject lie; its name may hold any sign, even a/b."""
    return folder / "seconds" / f"{quote(subject, safe=' ')}.parquet"


def _places(folder: Path, subject: str) -> tuple[Path, Path]:
    table = seconds_file(folder, subject)
    return table, folder / "folds" / f"{table.stem}.json"


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(dict(settings), sort_keys=True, default=str))


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
