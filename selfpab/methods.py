"""The methods by name (paper, Table 1), and their settings.

The paper's rows are `svm`, `xgb`, `deepconvlstm-ts`, `deepconvlstm-spectr`, `spectr-mlp`, `spectr-te` and `selfpab`; the last
four are settings of the same parts. Ours are `selfpab-unfrozen`, which trains the pre-trained encoder from the first step,
`selfpab-plus`, which does so with what helped beyond the paper (`PLUS`; the model in the box is one), and
`random-encoder`: `selfpab` on an encoder of the same shape that was never trained. A name with a colon, as
`my_file:MyMethod`, is a class of the user's own (docs/how-to/new-method.md).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from selfpab.activities import Activities
from selfpab.baselines.feature_classifier import FeatureClassifier, SvmConfig, XgbConfig
from selfpab.config import ConfigError
from selfpab.downstream import FinetuneConfig, FinetunedClassifier
from selfpab.downstream.augmentation import AugmentConfig
from selfpab.downstream.signal_classifier import SignalClassifier, SignalConfig
from selfpab.downstream.waveform import WaveformConfig
from selfpab.evaluation.loso import Classifier
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.upstream.checkpoint import Upstream, open_upstream
from selfpab.upstream.encoder import EncoderConfig
from selfpab.upstream.engine import Device, Precision, chosen_device, resolved_precision

ENCODERS: dict[str, Literal["pretrained", "random", "none"]] = {  # of the methods that are FinetunedClassifiers
    "selfpab": "pretrained",
    "selfpab-unfrozen": "pretrained",
    "selfpab-plus": "pretrained",
    "spectr-te": "random",
    "spectr-mlp": "none",
    "random-encoder": "random",
    "deepconvlstm-spectr": "none",
}
WITHOUT_UPSTREAM = ("spectr-te", "spectr-mlp", "deepconvlstm-spectr")  # may do without one
PLUS = FinetuneConfig(  # how each of these was found to help: docs/log.md
    steps=800,
    batch=16,
    hidden=256,
    rate=1e-3,
    unfreeze_at=0.0,
    validation_share=0.0,
    overlap=12,
    statistics=True,
    upright_share=0.5,
    schedule="cosine",
    encoder_rate=5e-4,
    weight_decay=0.01,
    clip=1.0,
    mlp_dropout=0.1,
    augment=AugmentConfig(tilt_deg=4.0, gain=0.03),
    context_members=2,
    waveform=WaveformConfig(width=64, single=True),
    rare_power=0.2,
)
OFF = FinetuneConfig()
OURS = (
    "statistics",
    "upright_share",
    "augment",
    "schedule",
    "warmup_steps",
    "encoder_rate",
    "weight_decay",
    "clip",
    "mlp_dropout",
    "context_members",
    "context_hidden",
    "waveform",
    "balanced_share",
    "rare_power",
)


@dataclass(frozen=True)
class OwnSettings:
    """Where a method's training differs from `finetune`; none: it does not."""

    steps: int | None = None
    rate: float | None = None


@dataclass(frozen=True)
class EvaluateConfig:
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    selfpab: OwnSettings = field(default_factory=OwnSettings)
    selfpab_unfrozen: OwnSettings = field(default_factory=OwnSettings)
    selfpab_plus: FinetuneConfig = PLUS  # all of its own
    random_encoder: OwnSettings = field(default_factory=OwnSettings)
    spectr_mlp: OwnSettings = field(default_factory=OwnSettings)
    spectr_te: OwnSettings = field(default_factory=OwnSettings)
    deepconvlstm_spectr: OwnSettings = field(default_factory=OwnSettings)
    deepconvlstm_ts: SignalConfig = field(default_factory=SignalConfig)
    svm: SvmConfig = field(default_factory=SvmConfig)
    xgb: XgbConfig = field(default_factory=XgbConfig)
    upstream: str | None = None  # model folder of the pre-trained encoder; also gives every method its normalisation
    train_with: str | None = None  # data set whose people are also trained on, in every fold
    classes: str | None = None  # whose classes are told apart, as harth (ten); none: the data set's own
    search: str | None = None  # data set on which settings are searched first, once a method; `nested`: in every fold
    search_trials: int = 20
    search_without: str = ""  # people of that data set who are trained on and not scored, as S009,S010
    seeds: str = "0"  # one evaluation for each, as 0,1,2
    precision: Precision = "auto"
    device: Device = "auto"
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

    build: Callable[[], Classifier]
    upstream: Mapping[str, Any] | None
    protocol: str
    settings: Mapping[str, Any]

    def __call__(self) -> Classifier:
        return self.build()


def check(name: str, config: EvaluateConfig) -> None:
    """ConfigError for a method that does not exist, or lacks its encoder."""
    if ":" in name:
        outside(name)
    elif name not in METHODS:
        raise ConfigError(f"no method {name!r}; there are {', '.join(METHODS)}, and your own as file:Class")
    elif ENCODERS.get(name) is not None and not config.upstream and name not in WITHOUT_UPSTREAM:
        raise ConfigError(f"{name} needs upstream=MODEL, a folder that `selfpab pretrain` or `import-checkpoint` wrote")


def method(name: str, activities: Activities, config: EvaluateConfig, seed: int, scratch: Path) -> Method:
    """The method of this name. scratch : where outputs of the frozen encoder are kept, unless `config.pool` says."""
    check(name, config)
    return METHODS.get(name, _outside_method)(name, activities, config, seed, scratch)


def short_name(name: str) -> str:
    """What results and folders call a method.

    >>> short_name("selfpab"), short_name("my_file:MyMethod")
    ('selfpab', 'MyMethod')
    """
    return name.rpartition(":")[2]


def outside(name: str) -> Callable[..., Classifier]:
    """The user's own class of `file:Class`, from the folder that the command runs in or wherever Python finds it."""
    place, _, attribute = name.rpartition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(place), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{name}: {error}; wanted file:Class, where `import file` works here and Class has fit, predict and probabilities"
        ) from error
    if lacking := [part for part in ("fit", "predict", "probabilities") if not hasattr(found, part)]:
        raise ConfigError(f"{name} has no {', '.join(lacking)}; a method needs fit, predict and probabilities")
    if short_name(name) in METHODS:
        raise ConfigError(f"{name}: selfpab has a method {short_name(name)} of its own; give yours another name")
    return found


def _outside_method(name: str, activities: Activities, config: EvaluateConfig, seed: int, scratch: Path) -> Method:
    kind = outside(name)
    settings = {"method": name, "seed": seed, **getattr(kind, "settings", {})}
    return Method(lambda: kind(activities, seed), None, "leave one subject out; scored at 50 Hz", settings)


def _network_method(name: str, activities: Activities, config: EvaluateConfig, seed: int, scratch: Path) -> Method:
    upstream = open_upstream(config.upstream) if config.upstream else None
    settings = own_settings(name, config)
    device = chosen_device(config.device)
    precision = resolved_precision(config.precision, device)
    pool = Path(config.pool) if config.pool else scratch

    def build() -> FinetunedClassifier:
        return FinetunedClassifier(
            ENCODERS[name], upstream, activities, settings, seed, precision=precision, device=device, pool=pool
        )

    # what is off is not told: folds made before it existed are still the same
    told = {key: value for key, value in asdict(settings).items() if key not in OURS or value != asdict(OFF)[key]}
    if settings.head == "mlp":  # of what is not there nothing depends
        told = {key: value for key, value in told.items() if key not in ("head", "head_dropout")}
    counted: dict[str, Any] = {"method": name, "finetune": told, "seed": seed, "precision": precision}
    if ENCODERS[name] == "random":  # of what was never trained there is its shape alone
        counted["encoder"] = asdict(upstream.encoder_config if upstream else EncoderConfig())
    if upstream is not None:  # where its folder lies does not count, what is in it does
        numbers = upstream.normalisation
        counted |= {
            "normalisation": [float(np.abs(numbers.mean).sum()), float(numbers.std.sum())],
            "shape": asdict(upstream.spectrogram) | {"heads": upstream.encoder_config.heads},
            "upstream": upstream_facts(name, upstream),
        }
    return Method(build, upstream_facts(name, upstream), protocol(name, settings, upstream), counted)


def _signal_method(name: str, activities: Activities, config: EvaluateConfig, seed: int, scratch: Path) -> Method:
    settings, device = config.deepconvlstm_ts, chosen_device(config.device)
    precision = resolved_precision(config.precision, device)
    counted = {"method": name, "config": asdict(settings), "seed": seed, "precision": precision}
    told = (
        f"leave one subject out; {settings.steps} steps of {settings.batch} windows of {settings.length} samples from the "
        f"last {100 * (1 - settings.validation_share):g} % of each subject; last weights tested; windows side by side"
        f"{_gaps(settings.framing)}; scored at 50 Hz"
    )
    return Method(
        lambda: SignalClassifier(activities, settings, seed, precision=precision, device=device), None, told, counted
    )


def _feature_method(name: str, activities: Activities, config: EvaluateConfig, seed: int, scratch: Path) -> Method:
    settings = config.svm if name == "svm" else config.xgb
    told = (
        f"leave one subject out; 161 features of windows of {settings.length} samples, side by side, all of each subject"
        f"{_gaps(settings.framing)}; scored at 50 Hz"
    )
    counted = {"method": name, "config": asdict(settings), "seed": seed}
    return Method(lambda: FeatureClassifier(activities, settings, seed), None, told, counted)


METHODS: Mapping[str, Callable[[str, Activities, EvaluateConfig, int, Path], Method]] = {
    "svm": _feature_method,
    "xgb": _feature_method,
    "deepconvlstm-ts": _signal_method,
    **dict.fromkeys(ENCODERS, _network_method),
}


def _gaps(framing: str) -> str:
    return "; gaps ignored" if framing == "release" else ""


def own_settings(name: str, config: EvaluateConfig) -> FinetuneConfig:
    """`finetune` as this method uses it: its own rate and steps, and for Spectrograms + TE one linear layer on the last
    layer of an encoder that is trained from the first step (section 4.2, setting 3)."""
    if name == "selfpab-plus":
        return config.selfpab_plus
    settings = config.finetune
    if name == "spectr-te":
        settings = replace(settings, hidden=0, weighted=False, unfreeze_at=0.0)
    elif name == "selfpab-unfrozen":
        settings = replace(settings, unfreeze_at=0.0)
    elif name == "deepconvlstm-spectr":
        settings = replace(settings, head="deepconvlstm")
    own: OwnSettings = getattr(config, name.replace("-", "_"))
    changes = {key: value for key, value in asdict(own).items() if value is not None}
    if "steps" in changes and settings.epochs is not None:
        raise ConfigError(
            f"{name} has steps={own.steps} of its own, and finetune.epochs={settings.epochs}: leave one out"
        )
    return replace(settings, **changes)


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
        encoder = "DeepConvLSTM on the spectrogram" if settings.head == "deepconvlstm" else "no encoder"
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
