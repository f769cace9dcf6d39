"""The methods by name (paper, Table 1).

`selfpab`, `spectr-te` and `spectr-mlp` are rows of the paper's table and settings of the same parts. Ours are
`selfpab-unfrozen`, which trains the pre-trained encoder from the first step, and `random-encoder`: `selfpab` on an encoder of
the same shape that was never trained. The other rows of the table are not built yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from selfpab.activities import Activities
from selfpab.config import ConfigError
from selfpab.downstream import FinetuneConfig, FinetunedClassifier
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.upstream.checkpoint import Upstream, open_model
from selfpab.upstream.engine import Precision, resolved_precision

METHODS = ("selfpab", "spectr-te", "spectr-mlp", "selfpab-unfrozen", "random-encoder")
ENCODERS: dict[str, Literal["pretrained", "random", "none"]] = {
    "selfpab": "pretrained",
    "selfpab-unfrozen": "pretrained",
    "spectr-te": "random",
    "spectr-mlp": "none",
    "random-encoder": "random",
}


@dataclass(frozen=True)
class OwnSettings:
    """Where a method's training differs from `finetune`; none: it does not."""

    steps: int | None = None
    rate: float | None = None


@dataclass(frozen=True)
class EvaluateConfig:
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    spectr_mlp: OwnSettings = field(default_factory=OwnSettings)
    spectr_te: OwnSettings = field(default_factory=OwnSettings)
    upstream: str | None = None  # model folder of the pre-trained encoder; also gives every method its normalisation
    seeds: str = "0"  # one evaluation for each, as 0,1,2
    precision: Precision = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a GPU where there is one
    pool: str | None = None  # folder for outputs of the frozen encoder; none: RUN/pool
    workers: int = 1  # processes among which the folds are shared out
    scheduler: str | None = None  # of an existing Dask cluster, tcp://...; RUN must then be on a shared disk
    long: bool = False  # run even if it is expected to take more than 48 h


@dataclass(frozen=True, eq=False)
class Method:
    """How to build a classifier of one method; a call builds one.

    upstream : the encoder that it begins with, as results.json tells it; null where there is none.
    protocol : how it is trained and tested, in words.
    settings : plain values that its scores depend on.
    """

    build: Callable[[], FinetunedClassifier]
    upstream: Mapping[str, Any] | None
    protocol: str
    settings: Mapping[str, Any]

    def __call__(self) -> FinetunedClassifier:
        return self.build()


def check(name: str, config: EvaluateConfig) -> None:
    """ConfigError for a method that does not exist, or lacks its encoder."""
    if name not in METHODS:
        raise ConfigError(f"no method {name!r}; there are {', '.join(METHODS)}")
    if not config.upstream and name not in ("spectr-te", "spectr-mlp"):
        raise ConfigError(f"{name} needs upstream=MODEL, a folder that `selfpab pretrain` or `import-checkpoint` wrote")


def method(name: str, activities: Activities, config: EvaluateConfig, seed: int, scratch: Path) -> Method:
    """The method of this name. scratch : where outputs of the frozen encoder are kept, unless `config.pool` says."""
    check(name, config)
    upstream = open_model(config.upstream).upstream if config.upstream else None
    settings = own_settings(name, config)
    device = chosen_device(config)
    precision = resolved_precision(config.precision, device)
    pool = Path(config.pool) if config.pool else scratch

    def build() -> FinetunedClassifier:
        return FinetunedClassifier(
            ENCODERS[name], upstream, activities, settings, seed, precision=precision, device=device, pool=pool
        )

    counted: dict[str, Any] = {"method": name, "finetune": asdict(settings), "seed": seed, "precision": precision}
    if upstream is not None:  # where its folder lies does not count, what is in it does
        numbers = upstream.normalisation
        counted |= {
            "normalisation": [float(np.abs(numbers.mean).sum()), float(numbers.std.sum())],
            "shape": asdict(upstream.spectrogram) | {"heads": upstream.encoder_config.heads},
            "upstream": upstream_facts(name, upstream),
        }
    return Method(build, upstream_facts(name, upstream), protocol(name, settings, upstream), counted)


def own_settings(name: str, config: EvaluateConfig) -> FinetuneConfig:
    """`finetune` as this method uses it: its own rate and steps, and for Spectrograms + TE one linear layer on the last
    layer of an encoder that is trained from the first step (section 4.2, setting 3)."""
    settings = config.finetune
    if name == "spectr-te":
        settings = replace(settings, hidden=0, weighted=False, unfreeze_at=0.0)
    elif name == "selfpab-unfrozen":
        settings = replace(settings, unfreeze_at=0.0)
    own = {"spectr-mlp": config.spectr_mlp, "spectr-te": config.spectr_te}.get(name, OwnSettings())
    changes = {key: value for key, value in asdict(own).items() if value is not None}
    if "steps" in changes and settings.epochs is not None:
        raise ConfigError(
            f"{name} has steps={own.steps} of its own, and finetune.epochs={settings.epochs}: leave one out"
        )
    return replace(settings, **changes)


def chosen_device(config: EvaluateConfig) -> torch.device:
    """The device that `device=` means here; ConfigError where it is not there."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device=cuda: there is no GPU that this torch can use; say device=cpu")
    return torch.device("cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu")


def upstream_facts(name: str, upstream: Upstream | None) -> Mapping[str, Any] | None:
    """What results.json says of the encoder; null where only its normalisation and shape were used, or none."""
    if upstream is None or ENCODERS[name] != "pretrained":
        return None
    kept = {key: upstream.trained[key] for key in ("corpora", "people", "hours", "steps") if key in upstream.trained}
    return {"sha256": upstream.sha256, **kept}


def protocol(name: str, settings: FinetuneConfig, upstream: Upstream | None) -> str:
    """How a method is trained and tested, in words."""
    length = (upstream.spectrogram if upstream else SpectrogramConfig()).window_frames
    if ENCODERS[name] == "none":
        encoder = "no encoder"
    elif settings.unfreeze_at == 0:
        encoder = "encoder trained from the first step"
    elif settings.unfreeze_at == 1:
        encoder = "encoder frozen throughout"
    else:
        encoder = f"encoder frozen for {100 * settings.unfreeze_at:g} % of the steps"
    steps = f"{settings.steps} steps" if settings.epochs is None else f"{settings.epochs} epochs"
    beside = f"overlapping by {settings.overlap} frames" if settings.overlap else "side by side"
    gaps = "; gaps ignored, tail padded with zeros" if settings.framing == "release" else ""
    return (
        f"leave one subject out; {encoder}; {steps} of {settings.batch} windows from the last "
        f"{100 * (1 - settings.validation_share):g} % of each subject; last weights tested; windows of {length} frames "
        f"{beside}{gaps}; scored at 50 Hz"
    )
