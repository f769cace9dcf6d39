"""A folder of simulated people: what `selfpab simulate` makes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from selfpab.data.simulation import simulate, write_dataset


@dataclass(frozen=True)
class SimulateConfig:
    people: int = 4
    hours: float = 1.0  # per person
    labelled: bool = True
    seed: int = 0
    scenario: str = "free-living"  # or protocol: every activity for some seconds, over and over


def simulate_folder(folder: Path, config: SimulateConfig) -> Path:
    """A data set folder: a parquet file per person, dataset.json, truth.json."""
    return write_dataset(folder, simulate(**asdict(config)))
