"""Scores; knows no model: confusion matrices, leave one subject out, results.json."""

from selfpab.evaluation.folds import Fold
from selfpab.evaluation.loso import Classifier, leave_one_subject_out
from selfpab.evaluation.metrics import confusion, f1, macro_f1, mean_and_error
from selfpab.evaluation.results import assemble, read_results, write_results

__all__ = [
    "Classifier",
    "Fold",
    "assemble",
    "confusion",
    "f1",
    "leave_one_subject_out",
    "macro_f1",
    "mean_and_error",
    "read_results",
    "write_results",
]
