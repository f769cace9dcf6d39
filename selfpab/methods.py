"""The methods by name, and their evaluation (paper, Table 1).

`selfpab` and `spectr-mlp` are rows of the paper's table; `random-encoder` is ours: the head of `selfpab` on an encoder of
the same shape that was never trained. The other rows of the table are not built yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selfpab.activities import Activities
from selfpab.allocator import keep_freed_memory
from selfpab.config import ConfigError, dump
from selfpab.data.datasets import open_dataset
from selfpab.downstream import Extractor, FinetuneConfig, HeadClassifier, Shelf
from selfpab.evaluation.loso import leave_one_subject_out
from selfpab.evaluation.results import assemble, write_results
from selfpab.features.normalisation import Moments, recording_moments
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.progress import Progress
from selfpab.provenance import environment
from selfpab.recording import Recording
from selfpab.seeding import seed_of
from selfpab.upstream.checkpoint import Upstream, open_model, save_model
from selfpab.upstream.engine import Precision, resolved_precision, seed_torch
from selfpab.writing import write_text

CPU = torch.device("cpu")  # where models are opened; a GPU is used for pre-training only
METHODS = ("selfpab", "spectr-mlp", "random-encoder")


@dataclass(frozen=True)
class EvaluateConfig:
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    upstream: str | None = None  # model folder of the pre-trained encoder; also gives every method its normalisation
    seed: int = 0
    precision: Precision = "auto"  # of the frozen encoder


@dataclass(eq=False)
class Method:
    """How to build a classifier of one method, and what is known of it afterwards."""

    build: Callable[[], HeadClassifier]
    upstream: Upstream | None
    last: HeadClassifier | None = None  # the one of the current fold; older ones hold memory for nothing

    def __call__(self) -> HeadClassifier:
        self.last = self.build()
        return self.last


def method(name: str, activities: Activities, config: EvaluateConfig) -> Method:
    """The method of this name, ready for `leave_one_subject_out`; states are shared by its folds."""
    _check(name, config)
    upstream = open_model(config.upstream).upstream if config.upstream else None
    shelf: Shelf | Callable[[Sequence[Recording]], Shelf]
    if name == "spectr-mlp":
        if upstream is None:
            shelf = training_spectrograms
        else:
            shelf = Shelf(Extractor.of_spectrogram(upstream.normalisation, upstream.spectrogram))
    else:
        assert upstream is not None
        if name == "random-encoder":
            seed_torch(seed_of("random encoder", config.seed))
            upstream = Upstream.fresh(upstream.encoder_config, upstream.spectrogram, upstream.normalisation)
        shelf = Shelf(Extractor.of_encoder(upstream, config.precision))
    return Method(lambda: HeadClassifier(shelf, activities, config.finetune, config.seed), upstream)


def _check(name: str, config: EvaluateConfig) -> None:
    if name not in METHODS:
        raise ConfigError(f"no method {name!r}; there are {', '.join(METHODS)}")
    if not config.upstream and name != "spectr-mlp":
        raise ConfigError(f"{name} needs upstream=MODEL, a folder that `selfpab pretrain` or `import-checkpoint` wrote")


def training_spectrograms(recordings: Sequence[Recording]) -> Shelf:
    """Bare spectrograms under the normalisation of the training recordings alone."""
    shape = SpectrogramConfig()
    moments = Moments.joined(recording_moments(recording, shape) for recording in recordings)
    return Shelf(Extractor.of_spectrogram(moments.normalisation("training subjects"), shape))


def evaluate(names: Sequence[str], dataset: str, run: Path, config: EvaluateConfig) -> list[str]:
    """Leave one subject out with each method; writes `run/<method>/results.json`, and says in a line each what came out.

    A killed evaluation goes on with the folds that are missing.
    """
    for name in names:  # before an hour is spent on the first
        _check(name, config)
    keep_freed_memory()
    data = open_dataset(dataset)
    recordings = list(data.recordings())
    lines = []
    for name in names:
        chosen = method(name, data.activities, config)
        folder = run / name
        folder.mkdir(parents=True, exist_ok=True)
        if not any((folder / "folds").glob("*.json")):  # else it may turn out that the folds have other settings
            write_text(folder / "config.yaml", dump("evaluate", config))
        upstream = upstream_facts(name, chosen.upstream)
        people = len({recording.subject for recording in recordings})
        weights = LayerWeights(folder / "layer_weights.json")
        with Progress(name, people) as progress:
            folds = leave_one_subject_out(
                chosen,
                recordings,
                data.activities,
                folder=folder,
                settings={"method": name, "upstream": upstream, **_what_counts(config, chosen.upstream)},
                save=partial(_keep_weights, weights, chosen),
                progress=lambda subject, done, of: progress.advance(note=subject),
            )
        results = assemble(
            folds,
            data.activities,
            method=name,
            dataset=data.name,
            protocol=_protocol(config, chosen.upstream.spectrogram if chosen.upstream else SpectrogramConfig()),
            data={"version": data.version, "sha256": data.sha256},
            seed=config.seed,
            precision=resolved_precision(config.precision, CPU),
            upstream=upstream,
            config=asdict(config.finetune),
            environment=environment(),
            **(
                {}
                if name == "spectr-mlp" or set(weights.by_subject) != set(folds)
                else {"layer_weights": weights.mean()}
            ),
        )
        write_results(folder / "results.json", results)
        score = results["macro_f1"]
        lines.append(f"{name}: macro F1 {100 * score['mean']:.1f} ± {100 * score['sem']:.1f} % ({people} people)")
    return lines


def finetune(dataset: str, model: Path, config: EvaluateConfig) -> Path:
    """One classifier from all subjects of a data set, as a model folder that `predict` and `embed` take."""
    keep_freed_memory()
    data = open_dataset(dataset)
    chosen = method("selfpab", data.activities, config)
    recordings = list(data.recordings())
    classifier = chosen()
    classifier.fit(recordings)
    assert chosen.upstream is not None
    assert classifier.head is not None
    downstream = {
        "dataset": data.name,
        "version": data.version,
        "sha256": data.sha256,
        "people": len({recording.subject for recording in recordings}),
        "layer_weights": classifier.layer_weights,
        "finetune": asdict(config.finetune),
        "seed": config.seed,
    }
    card = f"""# Activities of {data.name}

A head of {config.finetune.hidden} hidden units on a frozen SelfPAB encoder, trained by `selfpab finetune` on all
{downstream["people"]} people of {data.name} {data.version}: {", ".join(data.activities.names)}.
Two accelerometers, lower back and thigh, 50 Hz, in g. Its scores come from `selfpab evaluate` with the same settings, never
from this model, which has seen everybody. Probabilities are not calibrated. Not a medical device.
"""
    return save_model(
        model,
        chosen.upstream,
        card=card,
        head=classifier.head.state_dict(),
        activities=data.activities,
        downstream=downstream,
    )


def upstream_facts(name: str, upstream: Upstream | None) -> Mapping[str, Any] | None:
    """What results.json says of the encoder; null where only its normalisation was used, or none."""
    if upstream is None or name == "spectr-mlp":
        return None
    trained = upstream.trained
    kept = {key: trained[key] for key in ("corpora", "people", "hours", "steps") if key in trained}
    return {"sha256": upstream.sha256, **kept}


def _what_counts(config: EvaluateConfig, upstream: Upstream | None) -> dict[str, Any]:
    """The settings that scores depend on; where the model folder lies is none, its weights and normalisation are."""
    counted = asdict(config)
    del counted["upstream"]
    counted["precision"] = resolved_precision(config.precision, CPU)
    if upstream is not None:
        counted["normalisation"] = [
            float(np.abs(upstream.normalisation.mean).sum()),
            float(upstream.normalisation.std.sum()),
        ]
        counted["shape"] = asdict(upstream.spectrogram) | {"heads": upstream.encoder_config.heads}
    return counted


def _protocol(config: EvaluateConfig, shape: SpectrogramConfig) -> str:
    overlap, trained = config.finetune.overlap, 100 * (1 - config.finetune.skip_share)
    return (
        f"leave one subject out; encoder frozen throughout; trained on the last {trained:g} % of each subject; last weights "
        f"tested; windows of {shape.window_frames} frames "
        f"{f'overlapping by {overlap} frames' if overlap else 'side by side'}; scored at 50 Hz"
    )


def _keep_weights(weights: LayerWeights, chosen: Method, subject: str, *_: object) -> None:
    assert chosen.last is not None
    weights.keep(subject, chosen.last.layer_weights)


class LayerWeights:
    """The layer weights of every fold, in a file, because a restarted evaluation no longer has the heads of old folds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.by_subject: dict[str, list[float]] = json.loads(path.read_text()) if path.is_file() else {}

    def keep(self, subject: str, weights: Sequence[float]) -> None:
        self.by_subject[subject] = [round(w, 5) for w in weights]
        write_text(self.path, json.dumps(self.by_subject, indent=1) + "\n")

    def mean(self) -> list[float]:
        """Over the folds, layer by layer."""
        return [round(float(w), 4) for w in np.mean(list(self.by_subject.values()), axis=0)]
