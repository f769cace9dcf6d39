"""The forms there are, and one way into them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selfpab.cohorts.people import VALID_DAY_MINUTES
from selfpab.config import ConfigError

FORMS = ("ggir", "oxwearables")


@dataclass(frozen=True)
class ExportConfig:
    valid_day_minutes: float = VALID_DAY_MINUTES  # ggir: wear that makes a day count in the person summary


def export_tables(form: str, predicted: Path, destination: Path, config: ExportConfig) -> list[Path]:
    """Write the finished predictions in the folder `predicted` in another program's form; the files that were written.

    Shapes and names are theirs, numbers are ours: docs/how-to/exports.md says what each column holds, and which are empty.

    Raises ConfigError for a form that is not known, ValueError where nothing is finished.
    """
    if form not in FORMS:
        raise ConfigError(f"wanted the form {' or '.join(FORMS)}, got {form!r}")
    if form == "ggir":
        from selfpab.exports.ggir import write_part5

        written = write_part5(predicted, destination, config.valid_day_minutes)
    else:
        from selfpab.exports.oxwearables import write_summaries

        written = write_summaries(predicted, destination)
    if not written:
        raise ValueError(f"{predicted} has no finished prediction; wanted the OUT of selfpab predict")
    return written
