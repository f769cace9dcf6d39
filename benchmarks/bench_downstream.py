"""Seconds per fold of `small`, and one pass of prediction beside the release's average over overlapping windows.

python benchmarks/bench_downstream.py folds|average [MODEL] [RECORDING]

folds : leave-one-subject-out folds of every method on 18 simulated people of 42 minutes (the size of HAR70+), random weights.
average : paper size with random weights: seconds per predicted hour by one pass (overlap of 120 frames) and by a window every
    12 frames. With MODEL (fine-tuned on real data) and RECORDING: share of the seconds on which both name the same class, of all
    and of those whose two best averaged probabilities differ by at least 0.2 (DESIGN 8).
"""

import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from timing import report

from selfpab.activities import HARTH
from selfpab.allocator import keep_freed_memory
from selfpab.config import load
from selfpab.data.reading import read
from selfpab.data.simulation import simulate
from selfpab.downstream.classifier import network_probabilities
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head, Network
from selfpab.downstream.states import Extractor
from selfpab.features.normalisation import Normalisation
from selfpab.inference.model import load as load_model
from selfpab.methods import EvaluateConfig, method
from selfpab.paper import TABLE_1
from selfpab.recording import Recording
from selfpab.upstream import PretrainConfig
from selfpab.upstream.checkpoint import Upstream, save_model

IDENTITY = Normalisation(np.zeros(156, np.float32), np.ones(156, np.float32))


def folds() -> list[tuple[str, float, str]]:
    """Fit on 17 people and predict the eighteenth; the pool is filled by the first fold, found by the second."""
    people = simulate(18, 0.7, seed=2)
    settings = load(PretrainConfig, preset="small", section="pretrain")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        encoder = Path(scratch) / "encoder"
        save_model(encoder, Upstream.fresh(settings.encoder, settings.spectrogram, IDENTITY), card="")
        config = load(EvaluateConfig, preset="small", section="evaluate", settings=[f"upstream={encoder}"])
        for name in TABLE_1:
            build = method(name, HARTH, config, 0, Path(scratch) / "pool")
            for which, test in (("first", 0), ("second", 1)):
                began = perf_counter()
                classifier = build()
                classifier.fit([person for place, person in enumerate(people) if place != test])
                classifier.predict(people[test])
                steps = getattr(getattr(classifier, "config", None), "steps", None)
                told = f"{name}, {which} fold" + (f", {steps} steps" if steps else "")
                rows.append((told, perf_counter() - began, "s"))
    return rows


def average(words: list[str]) -> list[tuple[str, float, str]]:
    """Both ways of prediction: cost at paper size, agreement with a real model."""
    shape = load(PretrainConfig, preset="paper", section="pretrain")
    upstream = Upstream.fresh(shape.encoder, shape.spectrogram, IDENTITY)
    network = Network(upstream.encoder, Head(shape.encoder.layers, shape.encoder.d_model, 1028, len(HARTH))).eval()
    hour, quarter = simulate(1, 1.0, seed=1)[0], simulate(1, 0.25, seed=1)[0]
    rows = []
    for precision in ("bf16", "fp32"):
        extractor = Extractor(network, shape.spectrogram, IDENTITY, precision)
        for what, recording, hours, overlap in (
            ("one pass", hour, 1.0, 120),
            ("average, a window every 12 frames (measured on a quarter of an hour)", quarter, 0.25, 587),
        ):
            began = perf_counter()
            network_probabilities(extractor, recording, FinetuneConfig(overlap=overlap))
            rows.append((f"paper size, {precision}, {what}: one hour", (perf_counter() - began) / hours, "s"))
    if words:
        rows += agreement(*words)
    return rows


def agreement(folder: str, file: str) -> list[tuple[str, float, str]]:
    """Share of seconds of the same class."""
    model, recording = load_model(folder), read(Path(file))
    assert model.head is not None
    frames = model.upstream.spectrogram.window_frames
    extractor = Extractor(
        Network(model.upstream.encoder, model.head), model.upstream.spectrogram, model.upstream.normalisation
    )
    once, often = (
        by_second(network_probabilities(extractor, recording, FinetuneConfig(overlap=overlap)), recording)
        for overlap in (frames // 5, frames - 12)
    )
    best = np.sort(often, axis=1)
    clear = best[:, -1] - best[:, -2] >= 0.2
    same = once.argmax(1) == often.argmax(1)
    name = f"{Path(folder).name}, windows of {frames} frames, overlap {frames // 5} and {frames - 12}"
    return [
        (f"{name}: same class, all {len(same)} seconds", 100 * float(same.mean()), "%"),
        (f"{name}: same class, the {int(clear.sum())} clear seconds", 100 * float(same[clear].mean()), "%"),
    ]


def by_second(probabilities: np.ndarray, recording: Recording) -> np.ndarray:
    """Mean over whole seconds, whatever the clock says."""
    rate = round(recording.rate_hz)
    whole = len(probabilities) // rate * rate
    return probabilities[:whole].reshape(-1, rate, probabilities.shape[1]).mean(1)


if __name__ == "__main__":
    keep_freed_memory()
    which, *rest = sys.argv[1:] or ["folds"]
    report(f"downstream, {which}", folds() if which == "folds" else average(rest))
