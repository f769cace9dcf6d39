"""Methods that cost nothing, for tests of the harness; worker processes import them, so they are no part of a test.

`nearest`: the class whose mean is nearest, in the channel that the seed says. What stands behind an @ happens when
that subject is tested: `broken@P002` raises, `killed@P002` kills its process always, `once@P002` the first time.
"""

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from selfpab import methods


class Nearest:
    def __init__(self, name, activities, seed, pool: Path):
        self.mode, _, self.target = name.partition("@")
        self.activities, self.channel, self.pool = activities, seed % 6, pool
        self.facts = {}

    def fit(self, recordings):
        note(self.pool, f"fit {os.getpid()} {' '.join(sorted({r.subject for r in recordings}))}")
        values = np.concatenate([r.acceleration_g[:, self.channel] for r in recordings])
        classes = np.concatenate([self.activities.indices(r.labels) for r in recordings])
        sums = [values[classes == k].mean() if (classes == k).any() else np.inf for k in range(len(self.activities))]
        self.means = np.array(sums)
        weights = [float(len(recordings)), float(np.abs(values).mean())]
        self.facts = {"layer_weights": weights, "validation": {"loss": weights[1], "macro_f1": 0.5}}

    def predict(self, recording):
        if recording.subject == self.target:
            self.misbehave()
        if self.mode == "slow":
            time.sleep(0.3)
        values = recording.acceleration_g[:, self.channel, None]
        return np.abs(values - np.where(np.isfinite(self.means), self.means, 1e9)).argmin(axis=1)

    def probabilities(self, recording):
        classes = len(self.activities)
        return np.eye(classes)[self.predict(recording)] * 0.5 + 0.5 / classes

    def misbehave(self):
        if self.mode == "broken":
            raise ValueError("a string of the lyre broke")
        if self.mode == "killed" or (self.mode == "once" and not (self.pool / "died").exists()):
            self.pool.mkdir(parents=True, exist_ok=True)
            (self.pool / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Recipe(SimpleNamespace):
    def __call__(self):
        return self.build()


def make(name, activities, config, seed, pool):
    if name in methods.METHODS:
        return methods.method(name, activities, config, seed, pool)
    note(pool, f"make {os.getpid()} {name} {seed}")
    settings = {"method": name, "seed": seed, "steps": config.finetune.steps}
    return Recipe(
        build=lambda: Nearest(name, activities, seed, pool), settings=settings, protocol="nearest mean", upstream=None
    )


def note(pool: Path, line: str) -> None:
    """What was done, across processes; nowhere else, so that a folder stays empty unless somebody asked."""
    if book := os.environ.get("CHEAP_METHODS_BOOK"):
        with open(book, "a") as file:
            file.write(line + "\n")
