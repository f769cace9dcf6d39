"""Seconds per predicted hour with a loaded model (`small` and paper size, random weights), and peak memory.

python benchmarks/bench_predict.py [hours]
"""

import sys

import numpy as np
from timing import median_s, peak_gb, report

from selfpab.activities import HARTH
from selfpab.allocator import keep_freed_memory
from selfpab.config import load
from selfpab.data.simulation import simulate
from selfpab.downstream.head import Head
from selfpab.features.normalisation import Normalisation
from selfpab.inference.model import Model
from selfpab.upstream import PretrainConfig
from selfpab.upstream.checkpoint import Upstream

if __name__ == "__main__":
    keep_freed_memory()
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    (recording,) = simulate(1, hours, seed=1)
    rows = []
    for preset in ("small", "paper"):
        config = load(PretrainConfig, preset=preset, section="pretrain")
        identity = Normalisation(np.zeros(156, np.float32), np.ones(156, np.float32))
        upstream = Upstream.fresh(config.encoder, config.spectrogram, identity)
        upstream.encoder.eval()
        head = Head(config.encoder.layers, config.encoder.d_model, 1028, len(HARTH))
        for precision in ("bf16", "fp32"):
            model = Model(upstream, head, HARTH, {}, precision)
            taken = median_s(lambda m=model: m.predict(recording), repeat=3) / hours
            rows.append((f"{preset}, {precision}: one hour of a recording of {hours:g} h", taken, "s"))
        rows.append((f"{preset}: peak memory of the process so far", peak_gb(), "GB"))
    report("predict", rows)
