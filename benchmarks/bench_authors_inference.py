"""Our one pass against the authors' fifty-fold average: the same network, in fp32 and bf16; how often they agree, what they cost.

python benchmarks/bench_authors_inference.py MODEL RECORDING...     a fine-tuned model, trained on real data, and real recordings
python benchmarks/bench_authors_inference.py --speed                paper size, untrained: the time alone

Seconds are compared that both give a class, and above all those whose two best averaged probabilities differ by 0.2 and more
(DESIGN 8 asks for 99.9 % of these).
"""

import sys
from pathlib import Path

import numpy as np
from timing import paired_s, report

from selfpab.activities import HARTH
from selfpab.allocator import keep_freed_memory
from selfpab.data.reading import read
from selfpab.data.simulation import NO_FAULTS, simulate
from selfpab.downstream.head import Head
from selfpab.evaluation.clock import second_rows
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.inference.model import Model, load
from selfpab.recording import Recording
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.encoder import EncoderConfig

MARGIN = 0.2
TIMED_HOURS = 0.1


def agreement(model: Model, paths: list[str]) -> list[tuple[str, float, str]]:
    """Of the seconds of all recordings together."""
    same, named, sure, inside = [], [], [], []
    for path in paths:
        recording = read(Path(path))
        one, theirs = (model.predict(recording, windows=windows).seconds for windows in ("ours", "authors"))
        columns = [name for name in theirs.columns if name.startswith("p_")]
        both = (one["activity"].is_not_null() & theirs["activity"].is_not_null()).to_numpy()
        ours_p, theirs_p = (table.select(columns).to_numpy()[both] for table in (one, theirs))
        best = np.sort(theirs_p, axis=1)
        sure.append(best[:, -1] - best[:, -2] >= MARGIN)
        same.append(ours_p.argmax(1) == theirs_p.argmax(1))
        named.append((one["activity"] == theirs["activity"]).to_numpy()[both])
        inside.append(away_from_gaps(recording)[both])
    same, named, sure, inside = (np.concatenate(parts) for parts in (same, named, sure, inside))
    return [
        ("seconds compared", float(len(same)), ""),
        (f"share whose two best differ by {MARGIN} or more", 100 * sure.mean(), "%"),
        ("same class, of these", 100 * same[sure].mean(), "%"),
        ("same class, of these, a second and more from a gap", 100 * same[sure & inside].mean(), "%"),
        ("same class, of all", 100 * same.mean(), "%"),
        ("same activity named (by the model's decision rule), of all", 100 * named.mean(), "%"),
    ]


def away_from_gaps(recording: Recording) -> np.ndarray:
    """Which clock seconds have no end of a segment in them or in a neighbour: their frames lie over gaps, ours do not."""
    _, count, rows_of = second_rows(recording)
    near = np.zeros(count, bool)
    for segment in recording.segments:
        for row in rows_of(np.array([segment.first, segment.stop - 1])):
            near[max(0, row - 1) : row + 2] = True
    return ~near


def speed(model: Model, name: str) -> list[tuple[str, float, str]]:
    """Seconds per hour of a recording, in turn."""
    (recording,) = simulate(1, TIMED_HOURS, seed=1, faults=NO_FAULTS)
    one, fifty, ratio = paired_s(
        lambda: model.predict(recording, windows="ours"), lambda: model.predict(recording, windows="authors"), repeat=3
    )
    return [
        (f"{name}: one hour, one pass", one / TIMED_HOURS, "s"),
        (f"{name}: one hour, fifty-fold", fifty / TIMED_HOURS, "s"),
        (f"{name}: fifty-fold / one pass", ratio, ""),
    ]


def paper_size(precision: str) -> Model:
    identity = Normalisation(np.zeros(156, np.float32), np.ones(156, np.float32))
    upstream = Upstream.fresh(EncoderConfig(), SpectrogramConfig(), identity)
    upstream.encoder.eval()
    return Model(upstream, Head(4, 1500, 1028, len(HARTH)), HARTH, {}, precision)


if __name__ == "__main__":
    keep_freed_memory()
    if sys.argv[1:] == ["--speed"]:
        rows = [row for p in ("bf16", "fp32") for row in speed(paper_size(p), f"paper size, {p}")]
    elif len(sys.argv) > 2:
        folder, *paths = sys.argv[1:]
        rows = agreement(load(folder, precision="fp32"), paths) + speed(load(folder, precision="fp32"), "fp32")
        rows += [
            (f"{what}, bf16", value, unit) for what, value, unit in agreement(load(folder, precision="bf16"), paths)
        ]
    else:
        sys.exit(__doc__)
    report("authors_inference", rows)
