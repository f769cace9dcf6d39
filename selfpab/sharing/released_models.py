"""What the authors' code trained becomes a model folder: an encoder, or a classifier with its head (BEHAVIOUR (c)).

Their scripts keep no classifier; one is there where somebody called Lightning's `trainer.save_checkpoint` after training.
It holds the encoder without its reconstruction, and the head, but neither its classes nor the number of attention heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from selfpab.activities import HAR70PLUS, HARTH, NAMES, Activities
from selfpab.config import ConfigError, words
from selfpab.downstream.head import head_from
from selfpab.downstream.release import ENCODER, POSITIONS, our_weights
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.upstream import import_checkpoint
from selfpab.upstream.authors import authors_normalisation, check_positions, encoder_shape, heads_of, read_checkpoint
from selfpab.upstream.checkpoint import Upstream, load_strictly, save_model

ORDERS = {len(known): known for known in (HARTH.unmerged(), HAR70PLUS)}  # of the release's two configurations
OVERLAP = 587  # frames: a window every 12 of 599 (BEHAVIOUR (e))
CARD = """# {name}

A classifier that was fine-tuned with the code of the SelfPAB authors, converted from the Lightning checkpoint `{name}` by
`selfpab import-checkpoint`: {classes}. Method: Logacjov, Herland, Ustad, Bach, "Large-Scale Pre-Training for
Dual-Accelerometer Human Activity Recognition". Two three-axis accelerometers, lower back and thigh, 50 Hz, in g. It predicts
through their windows (`windows=authors`) unless told otherwise. The checkpoint does not tell whom it was trained on.
Its encoder has no reconstruction: the weights of that name are zeros. Probabilities are not calibrated. Not a medical device.
"""


@dataclass(frozen=True)
class ImportConfig:
    normalisation: str = ""  # folder with the authors' mean.csv and std.csv
    heads: int | None = None  # of attention, where the checkpoint does not say; the released encoder has 6
    classes: str = (
        ""  # of a classifier: codes in the order of its outputs, as 6,3,1; none: HARTH's twelve, HAR70+'s seven
    )


def import_released(checkpoint: Path, folder: Path, config: ImportConfig) -> Path:
    """Convert an encoder's or a classifier's Lightning checkpoint into the model folder `folder`.

    Raises ConfigError without `normalisation`, FileNotFoundError, and ValueError that lists keys for a file that is no
    such checkpoint, is cut off, or has keys missing or left over.
    """
    if not config.normalisation:
        raise ConfigError("wanted normalisation=DIR (the folder with mean.csv and std.csv)")
    numbers = Path(config.normalisation)
    read = read_checkpoint(checkpoint)
    if not any(str(key).startswith(tuple(ENCODER)) for key in read["state_dict"]):
        if config.classes:
            raise ConfigError(f"{checkpoint} is an encoder without a head: leave classes= out")
        import_checkpoint(checkpoint, folder, normalisation=numbers, heads=config.heads)
        return folder
    state: Mapping[str, Tensor] = read["state_dict"]
    encoder, head = our_weights(state)
    needed = {"projection.weight", "layers.0.widen.weight"} - set(encoder) | {"output.weight"} - set(head)
    if needed:
        raise ValueError(f"{checkpoint} misses {sorted(needed)}; it has:\n  " + "\n  ".join(sorted(state)))
    check_positions(state.get(POSITIONS), checkpoint)
    width, features = encoder["projection.weight"].shape
    encoder |= {"reconstruction.weight": torch.zeros(features, width), "reconstruction.bias": torch.zeros(features)}
    upstream = Upstream.fresh(
        encoder_shape(encoder, heads_of(read, checkpoint, config.heads)),
        SpectrogramConfig(),
        authors_normalisation(numbers, features),
        {"imported": checkpoint.name, "reconstruction": "none: zeros"},
    )
    load_strictly(upstream.encoder, encoder, str(checkpoint))
    place = head_from(head, upstream.encoder_config.layers, width, features, len(head["output.weight"]))
    load_strictly(place, head, f"the head in {checkpoint}")
    activities = activities_of(config.classes, len(head["output.weight"]))
    finetune: dict[str, Any] = {"framing": "release", "overlap": OVERLAP}
    save_model(
        folder,
        upstream,
        card=CARD.format(name=checkpoint.name, classes=", ".join(activities.names)),
        head=head,
        activities=activities,
        downstream={"imported": checkpoint.name, "finetune": finetune},
    )
    return folder


def activities_of(codes: str, outputs: int) -> Activities:
    """The classes of a head with so many outputs: of these codes, or as in the release's configurations.

    >>> activities_of("", 7).codes, activities_of("7,99", 2).names
    ((6, 3, 1, 7, 8, 5, 4), ('sitting', 'code 99'))
    """
    if not codes:
        if outputs not in ORDERS:
            raise ConfigError(f"the head has {outputs} outputs: say which, as classes=6,3,1 (codes in their order)")
        return ORDERS[outputs]
    try:
        found = tuple(int(code) for code in words(codes))
    except ValueError as error:
        raise ConfigError(f"classes must be codes with commas between them, as 6,3,1, got {codes!r}") from error
    if len(found) != outputs:
        raise ConfigError(f"the head has {outputs} outputs, and classes={codes} names {len(found)}")
    return Activities("imported", found, tuple(NAMES.get(code, f"code {code}") for code in found))
