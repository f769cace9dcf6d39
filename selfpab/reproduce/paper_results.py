"""The paper's table and figures by name, for `selfpab reproduce`."""

from __future__ import annotations

from pathlib import Path

from selfpab.config import ConfigError
from selfpab.reproduce.collected_results import ReproduceConfig, collect, find
from selfpab.reproduce.figure2 import write_figure as write_figure2
from selfpab.reproduce.figure3 import write_figure as write_figure3
from selfpab.reproduce.table1 import write_table

NAMES = ("table1", "figure2", "figure3")


def write(name: str, out: Path, config: ReproduceConfig) -> list[Path]:
    """Write `table1`, `figure2` or `figure3` into the folder `out`; the paths, ConfigError for any other name.

    Raises ValueError where results are missing or may not stand side by side; `collected_results` says which are taken.
    """
    if name not in NAMES:
        raise ConfigError(f"nothing to reproduce is called {name!r}; there are {', '.join(NAMES)}")
    if name == "figure3":
        return write_figure3(find(config, hours=True), out)
    return (write_table if name == "table1" else write_figure2)(collect(config), out)
