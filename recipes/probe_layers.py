r"""What a straight line can read from each layer: pre-trained encoder, untrained encoder, spectrum, spectrum with neighbours.

    python recipes/probe_layers.py harth MODEL OUT [without=S009] [frames=4000]

For every kind of feature, standardised, a logistic regression names each frame; three subject-wise folds; macro F1 per person
(BEHAVIOUR (f)) of frames. `frames` of every person are kept, evenly spread. The neighbours are the means of the frames up to
half a second, five and thirty seconds around: what context alone gives, without anything learned. OUT/results.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from selfpab.data.datasets import open_dataset
from selfpab.downstream.cuts import frames_by_run, side_by_side
from selfpab.downstream.material import labelled
from selfpab.downstream.states import Extractor
from selfpab.evaluation.metrics import confusion, f1, macro_f1, mean_and_error
from selfpab.provenance import environment
from selfpab.recording import Recording
from selfpab.search import people_by_fold
from selfpab.seeding import seed_of
from selfpab.upstream.checkpoint import Upstream, open_model
from selfpab.upstream.engine import seed_torch
from selfpab.writing import write_text

NEIGHBOURS = (1, 10, 60)  # frames on either side


def main(words: list[str]) -> None:
    name, model, out, *settings = words
    given = dict(setting.split("=", 1) for setting in settings)
    without, kept = given.get("without", ""), int(given.get("frames", 4000))
    data = open_dataset(name)
    recordings = list(data.recordings())
    upstream = open_model(model).upstream
    seed_torch(seed_of("random encoder", 0))
    untrained = Upstream.fresh(upstream.encoder_config, upstream.spectrogram, upstream.normalisation, {})
    truth: dict[str, list[np.ndarray]] = {}
    features: dict[str, dict[str, list[np.ndarray]]] = {}
    for recording in recordings:
        answer, values = features_of(recording, data.activities, upstream, untrained)
        chosen = np.linspace(0, len(answer) - 1, min(kept, len(answer))).astype(int)
        truth.setdefault(recording.subject, []).append(answer[chosen])
        for kind, value in values.items():
            features.setdefault(kind, {}).setdefault(recording.subject, []).append(value[chosen])
    folds = people_by_fold(recordings, without)
    everybody = sorted(truth)
    answers = {subject: np.concatenate(truth[subject]) for subject in everybody}
    names = data.activities.names
    found = {}
    for kind, by_subject in features.items():
        inputs = {subject: np.concatenate(by_subject[subject]) for subject in everybody}
        matrices = {}
        for fold in folds:
            training = [subject for subject in everybody if subject not in fold]
            scaler = StandardScaler().fit(np.concatenate([inputs[s] for s in training]))
            line = LogisticRegression(C=0.1, max_iter=300)
            line.fit(
                scaler.transform(np.concatenate([inputs[s] for s in training])),
                np.concatenate([answers[s] for s in training]),
            )
            for subject in fold:
                predicted = line.predict(scaler.transform(inputs[subject]))
                matrices[subject] = confusion(answers[subject], predicted, len(names))
        score = mean_and_error([macro_f1(m) for m in matrices.values()])
        pooled = f1(sum(matrices.values()))
        found[kind] = {
            "macro_f1": round(score.mean, 4),
            "sem": round(score.sem, 4),
            "pooled_f1": {n: None if np.isnan(v) else round(float(v), 3) for n, v in zip(names, pooled, strict=True)},
        }
        print(f"{kind:24} {100 * score.mean:.1f} ± {100 * score.sem:.1f}", flush=True)
    about = {
        "name": data.name,
        "version": data.version,
        "sha256": data.sha256,
        "folds": folds,
        "trained on only": without,
    }
    content = {
        "data": about,
        "frames": kept,
        "upstream": upstream.sha256,
        "macro_f1": found,
        "environment": environment(),
    }
    Path(out).mkdir(parents=True, exist_ok=True)
    write_text(Path(out) / "results.json", json.dumps(content, indent=1) + "\n")


def features_of(
    recording: Recording, activities: object, upstream: Upstream, untrained: Upstream
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Class index of every labelled frame (F,), and per kind of feature (F, D) of the same frames."""
    shape = upstream.spectrogram
    extractors = {"pre-trained": Extractor.of_encoder(upstream), "untrained": Extractor.of_encoder(untrained)}
    cuts = side_by_side(frames_by_run(recording, shape), length=shape.window_frames, step=shape.window_frames)
    answer = labelled(recording, activities, shape, 0.0).truth(cuts)  # type: ignore[arg-type]
    keep = answer >= 0
    values: dict[str, np.ndarray] = {}
    spectra, valid = extractors["pre-trained"].spectra(recording, cuts)
    values["spectrum"] = spectra.numpy()[keep]
    values["spectrum, neighbours"] = with_neighbours(spectra, valid).numpy()[keep]
    for kind, extractor in extractors.items():
        states = np.stack(list(extractor.lazily(recording, cuts)))  # (W, L, T, D)
        for layer in range(states.shape[1]):
            values[f"{kind}, layer {layer + 1}"] = states[:, layer][keep]
    return answer[keep], values


def with_neighbours(spectra: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Every frame beside the means of the frames around it: (W, T, CF) -> (W, T, (1 + len(NEIGHBOURS)) CF)."""
    parts = [spectra]
    for reach in NEIGHBOURS:
        box = torch.ones(1, 1, 2 * reach + 1)
        windows, frames, width = spectra.shape
        rows = spectra.transpose(1, 2).reshape(windows * width, 1, frames)
        total = torch.nn.functional.conv1d(rows, box, padding=reach).view(windows, width, frames).transpose(1, 2)
        count = torch.nn.functional.conv1d(valid.float()[:, None], box, padding=reach).transpose(1, 2)
        parts.append(total / count.clamp(min=1))
    return torch.cat(parts, -1)


if __name__ == "__main__":
    main(sys.argv[1:])
