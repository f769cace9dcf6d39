"""`selfpab evaluate`: the folds, then everything that is made of their results.json files: tables and the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfpab.cross_validation import FoldsFailed, evaluate
from selfpab.data.datasets import open_dataset
from selfpab.evaluation.comparison import gather, table_lines, write_tables
from selfpab.methods import EvaluateConfig
from selfpab.recording import Recording
from selfpab.reproduce.evaluation_page import write_page


def evaluate_and_report(names: Sequence[str], dataset: str, run: Path, config: EvaluateConfig) -> list[str]:
    """Leave one subject out with each method and seed; what came out, in lines.

    Writes, beside what `cross_validation.evaluate` does, RUN/table.csv, RUN/differences.csv and RUN/report.html, over all
    methods and seeds that the folder `run` holds, of earlier calls too.

    Raises what `evaluate` raises; where folds failed, the complete methods are reported first.
    """
    try:
        evaluate(names, dataset, run, config)
    except FoldsFailed as error:
        if error.lines:
            error.lines = tuple(report(run, dataset))
        raise
    return report(run, dataset)


def report(run: Path, dataset: str) -> list[str]:
    """Tables and page of what the folder `run` holds; the lines of the table, and where the page is."""
    runs = gather(run)
    write_tables(runs, run)
    data = open_dataset(dataset)

    def of(subject: str) -> list[Recording]:
        return [data.load(file) for file in data.files if data.subjects.get(file.stem, file.stem) == subject]

    return [*table_lines(runs), f"open {write_page(run, of)}"]
