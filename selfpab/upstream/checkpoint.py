"""A model is a folder: weights, settings, normalisation, card (DESIGN 2). No pickle, ever.

weights.safetensors    encoder (and, fine-tuned, head) by the names of our modules
config.json            what the network is and how it came about
normalisation.json     mean and deviation of its training corpus
classes.json           fine-tuned: code and name of every output
README.md              the card
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from selfpab.activities import Activities
from selfpab.config import ConfigError, build
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.upstream.encoder import Encoder, EncoderConfig

FORM = 1
RATE_HZ = 50.0


@dataclass(frozen=True, eq=False)
class Upstream:
    """A pre-trained encoder and all that is needed to use it.

    trained : how it came about: corpora, people, hours, steps, seed, ...; free form, kept in config.json.
    """

    encoder: Encoder
    encoder_config: EncoderConfig
    spectrogram: SpectrogramConfig
    normalisation: Normalisation
    trained: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def fresh(
        encoder_config: EncoderConfig,
        spectrogram: SpectrogramConfig,
        normalisation: Normalisation,
        trained: Mapping[str, Any] | None = None,
    ) -> Upstream:
        """With an encoder of untrained weights, from torch's global generator."""
        features = len(normalisation.mean)
        return Upstream(
            Encoder(features, **asdict(encoder_config)), encoder_config, spectrogram, normalisation, trained or {}
        )

    @property
    def sha256(self) -> str:
        """Of the encoder's weights, by name."""
        return weights_sha256(self.encoder.state_dict())


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """One hash of all names, shapes and bytes."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_model(
    folder: Path,
    upstream: Upstream,
    *,
    card: str,
    head: Mapping[str, Tensor] | None = None,
    activities: Activities | None = None,
    downstream: Mapping[str, Any] | None = None,
) -> Path:
    """Write a model folder; `config.json`, without which it does not load, comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in ("config.json", "classes.json", "calibration.json"):  # of a model that is being replaced
        (folder / old).unlink(missing_ok=True)
    weights = {f"encoder.{name}": value.detach().contiguous() for name, value in upstream.encoder.state_dict().items()}
    weights |= {f"head.{name}": value.detach().contiguous() for name, value in (head or {}).items()}
    save_file(weights, folder / "weights.safetensors")
    upstream.normalisation.save(folder / "normalisation.json")
    if activities is not None:
        classes = [{"code": c, "name": n} for c, n in zip(activities.codes, activities.names, strict=True)]
        merge = {str(code): to for code, to in activities.merge.items()}
        text = json.dumps({"name": activities.name, "classes": classes, "merge": merge}, indent=1)
        (folder / "classes.json").write_text(text + "\n")
    (folder / "README.md").write_text(card)
    config = {
        "form": FORM,
        "kind": "upstream" if head is None else "classifier",
        "rate_hz": RATE_HZ,
        "spectrogram": asdict(upstream.spectrogram),
        "encoder": asdict(upstream.encoder_config),
        "trained": dict(upstream.trained),
        "encoder_sha256": upstream.sha256,
    }
    if downstream is not None:
        config["downstream"] = dict(downstream)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    return folder


@dataclass(frozen=True, eq=False)
class ModelFolder:
    """What `open_model` found."""

    upstream: Upstream
    head: dict[str, Tensor]
    activities: Activities | None
    config: dict[str, Any]


def open_model(folder: str | Path) -> ModelFolder:
    """Read a model folder; anything missing or left over is an error that names it."""
    folder = Path(folder)
    for name in ("config.json", "weights.safetensors", "normalisation.json"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} is no model folder: it has no {name}. Wanted config.json, weights.safetensors and "
                "normalisation.json, as `selfpab pretrain` and `selfpab import-checkpoint` write them"
            )
    config = json.loads((folder / "config.json").read_text())
    if config.get("form") != FORM:
        raise ValueError(f"{folder / 'config.json'} has form {config.get('form')}, this selfpab reads form {FORM}")
    try:
        weights = load_file(folder / "weights.safetensors")
    except SafetensorError as error:
        raise ValueError(f"{folder / 'weights.safetensors'} cannot be read (cut off?): {error}") from error
    encoder_weights = {k.removeprefix("encoder."): v for k, v in weights.items() if k.startswith("encoder.")}
    head = {k.removeprefix("head."): v for k, v in weights.items() if k.startswith("head.")}
    try:
        shapes = build(EncoderConfig, config["encoder"]), build(SpectrogramConfig, config["spectrogram"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder / 'config.json'} is of another version, or damaged: {error}") from error
    numbers = Normalisation.load(folder / "normalisation.json")
    upstream = Upstream.fresh(*shapes, numbers, config.get("trained", {}))
    load_strictly(upstream.encoder, encoder_weights, f"{folder / 'weights.safetensors'}")
    upstream.encoder.eval()
    activities = None
    if (folder / "classes.json").is_file():
        read = json.loads((folder / "classes.json").read_text())
        codes, names = zip(*((c["code"], c["name"]) for c in read["classes"]), strict=True)
        activities = Activities(read["name"], codes, names, {int(a): b for a, b in read.get("merge", {}).items()})
    return ModelFolder(upstream, head, activities, config)


def open_upstream(folder: str | Path) -> Upstream:
    """The encoder of a model folder that `pretrain` or `import-checkpoint` wrote, to build on.

    ConfigError for a fine-tuned model: its encoder has learnt from the labels of people who would then be left out.
    """
    found = open_model(folder)
    if found.config.get("kind") == "classifier" or found.head:
        raise ConfigError(
            f"upstream={folder} is a fine-tuned model, whose encoder has learnt from labels, perhaps of the test people; "
            "wanted the encoder that `selfpab pretrain` or `import-checkpoint` wrote, before `finetune`"
        )
    return found.upstream


def load_strictly(module: torch.nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """All keys, all shapes, or an error that lists what does not fit."""
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    problems = [f"missing {name} {wanted[name]}" for name in wanted if name not in found]
    problems += [f"unexpected {name} {found[name]}" for name in found if name not in wanted]
    problems += [
        f"{name} has shape {found[name]}, wanted {wanted[name]}"
        for name in wanted
        if name in found and found[name] != wanted[name]
    ]
    if problems:
        raise ValueError(f"{where} does not fit the network:\n  " + "\n  ".join(problems))
    module.load_state_dict(dict(weights))
