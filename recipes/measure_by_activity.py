"""What a pre-trained encoder fails to rebuild: masked L1 per activity and per frequency, beside linear interpolation.

python recipes/measure_by_activity.py har70plus MODEL OUT.json [OTHER_MODEL ...]

All windows side by side of all recordings, five draws of masks; only frames altered in time count for an activity (bands
lie in all frames of a window).
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from selfpab.allocator import keep_freed_memory
from selfpab.data.datasets import open_dataset
from selfpab.downstream.cuts import frames_by_run, side_by_side
from selfpab.downstream.material import labelled
from selfpab.downstream.states import Extractor
from selfpab.seeding import seed_of
from selfpab.upstream import open_model
from selfpab.upstream.engine import autocast
from selfpab.upstream.masking import MaskingConfig, alter, draw
from selfpab.upstream.reconstruction import interpolated
from selfpab.writing import write_text

REPEATS = 5
BANDS = {"0-1 Hz": slice(0, 2), "2-5 Hz": slice(2, 6), "6-12 Hz": slice(6, 13), "13-25 Hz": slice(13, 26)}


@torch.no_grad()
def measure(dataset: str, model: str) -> dict[str, object]:
    """Mean absolute error on frames altered in time, per activity, and per activity and band of frequencies."""
    data, upstream = open_dataset(dataset), open_model(model).upstream
    extractor, shape = Extractor.of_encoder(upstream), upstream.spectrogram
    classes = len(data.activities)
    sums = {name: np.zeros((classes, shape.bins)) for name in ("encoder", "linear interpolation")}
    frames = np.zeros(classes)
    for recording in data.recordings():
        runs = frames_by_run(recording, shape)
        cuts = side_by_side(runs, length=shape.window_frames, step=shape.window_frames)
        truth = torch.from_numpy(labelled(recording, data.activities, shape, 0.0).truth(cuts))
        spectra, valid = extractor.spectra(recording, cuts)
        clean = spectra.unflatten(2, (6, -1))
        for again in range(REPEATS):
            noise = torch.Generator().manual_seed(seed_of("by activity", recording.subject, again))
            altered, mask = alter(clean, valid, draw(*clean.shape[:2], shape.bins, noise), MaskingConfig())
            with autocast("auto", torch.device("cpu")):
                rebuilt = upstream.encoder(altered.flatten(2), valid).float().unflatten(2, (6, -1))
            hit = mask.all(3).all(2)
            for name, guess in (("encoder", rebuilt), ("linear interpolation", interpolated(altered, mask, valid))):
                error = (guess - clean).abs().mean(2)[hit].double().numpy()
                for index in range(classes):
                    sums[name][index] += error[truth[hit].numpy() == index].sum(0)
            frames += np.bincount(truth[hit & (truth >= 0)].numpy(), minlength=classes)
    return {
        "steps": upstream.trained.get("steps"),
        "encoder_sha256": upstream.sha256,
        "activities": {
            activity: {"frames": int(frames[i])}
            | {
                name: {"all": round(total[i].mean() / frames[i], 4)}
                | {band: round(total[i, bins].mean() / frames[i], 4) for band, bins in BANDS.items()}
                for name, total in sums.items()
            }
            for i, activity in enumerate(data.activities.names)
            if frames[i]
        },
    }


if __name__ == "__main__":
    keep_freed_memory()
    dataset, first, out, *others = sys.argv[1:]
    found = [measure(dataset, model) for model in (first, *others)]
    write_text(Path(out), json.dumps({"draws of masks": REPEATS, "models": found}, indent=1) + "\n")
    for model in found:
        print(model["steps"])
        for activity, row in model["activities"].items():  # type: ignore[union-attr]
            print(f"  {activity:22s} {row['frames']:7d}", row["encoder"], row["linear interpolation"])
