"""A folder of simulated people: what `selfpab simulate` makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selfpab.data.simulated_devices import write_cohort
from selfpab.data.simulation import simulate, write_dataset


@dataclass(frozen=True)
class SimulateConfig:
    people: int = 4
    hours: float = 1.0  # per person
    labelled: bool = True
    seed: int = 0
    scenario: str = "free-living"  # protocol: every activity for some seconds, over and over; days: with nights
    devices: bool = False  # a pair of .cwa files per person, with clocks, sensors and blocks that are off


def simulate_folder(folder: Path, config: SimulateConfig) -> Path:
    """A data set folder: a parquet file per person, dataset.json, truth.json. With `devices`: raw pairs, truth.json."""
    if not config.devices:
        kept = {"labelled": config.labelled, "scenario": config.scenario}
        return write_dataset(folder, simulate(config.people, config.hours, seed=config.seed, **kept))
    return write_cohort(folder, config.people, config.hours, seed=config.seed, scenario=config.scenario)
