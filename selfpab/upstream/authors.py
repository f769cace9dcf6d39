"""The authors' Lightning checkpoint and normalisation files become a model folder (BEHAVIOUR, "Official checkpoint").

Every key has one place; a key too few or too many is an error that lists the keys. `pe` is recomputed, optimiser state and
hyper-parameters are left behind.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.upstream.checkpoint import Upstream, load_strictly, save_model
from selfpab.upstream.encoder import EncoderConfig, positions

OUTSIDE = {
    "emb.lin_proj_layer": "projection",
    "prediction_head.mlp.out_layer": "reconstruction",
}
INSIDE = {
    "self_attn.in_proj_": "query_key_value.",
    "self_attn.out_proj.": "attended.",
    "linear1.": "widen.",
    "linear2.": "narrow.",
    "norm1.": "norm_attention.",
    "norm2.": "norm_feedforward.",
}
POSITIONS = "emb.pos_encoder.pe"
POSITION_TOLERANCE = 1e-5  # the table must be the one that we recompute
CARD = """# {name}

Pre-trained SelfPAB encoder, converted from the authors' Lightning checkpoint `{name}` by `selfpab import-checkpoint`.
Method and weights: Logacjov, Herland, Ustad, Bach, "Large-Scale Pre-Training for Dual-Accelerometer Human Activity
Recognition" (MIT). Two three-axis accelerometers, lower back and thigh, 50 Hz, in g. The normalisation is the authors' own:
its deviations are those of five-minute means. Not a medical device.
"""


def our_name(theirs: str) -> str | None:
    """Our name of one of their keys; None where we know none.

    >>> our_name("transformer_encoder.layers.3.self_attn.in_proj_weight"), our_name("prediction_head.mlp.out_layer.bias")
    ('layers.3.query_key_value.weight', 'reconstruction.bias')
    """
    for prefix, name in OUTSIDE.items():
        if theirs in (f"{prefix}.weight", f"{prefix}.bias"):
            return theirs.replace(prefix, name)
    if found := re.fullmatch(r"transformer_encoder\.layers\.(\d+)\.(.+?)(weight|bias)", theirs):
        layer, part, kind = found.groups()
        if part in INSIDE:
            return f"layers.{layer}.{INSIDE[part]}{kind}"
    return None


def import_checkpoint(checkpoint: Path, folder: Path, *, normalisation: Path, heads: int | None = None) -> Upstream:
    """Convert `checkpoint` with the `mean.csv` and `std.csv` of the folder `normalisation` into the model folder `folder`.

    Raises ValueError, listing keys, for a file that is no such checkpoint, is cut off, or has keys missing or left over.
    """
    weights, found_heads = read_weights(checkpoint, heads)
    numbers = authors_normalisation(normalisation, weights["projection.weight"].shape[1])
    trained = {"imported": checkpoint.name}
    upstream = Upstream.fresh(encoder_shape(weights, found_heads), SpectrogramConfig(), numbers, trained)
    load_strictly(upstream.encoder, weights, str(checkpoint))
    upstream.encoder.eval()
    save_model(folder, upstream, card=CARD.format(name=checkpoint.name))
    return upstream


def read_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """The content of a Lightning checkpoint, `state_dict` in it; nothing in the file is run.

    Raises FileNotFoundError, or ValueError for a Git LFS pointer and whatever else is no such checkpoint.
    """
    if not checkpoint.is_file():
        raise FileNotFoundError(f"no checkpoint {checkpoint}")
    with open(checkpoint, "rb") as file:
        if file.read(7) == b"version":
            raise ValueError(f"{checkpoint} is a Git LFS pointer, not the checkpoint: fetch it with `git lfs pull`")
    try:
        read: Any = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise ValueError(f"{checkpoint} cannot be read as a torch checkpoint (cut off?): {error}") from error
    if not isinstance(read, dict) or "state_dict" not in read:
        keys = sorted(map(str, read)) if isinstance(read, dict) else type(read).__name__
        raise ValueError(f"{checkpoint} is no Lightning checkpoint: wanted a key state_dict, got {keys}")
    return read


def read_weights(checkpoint: Path, heads: int | None = None) -> tuple[dict[str, Tensor], int]:
    """The encoder's weights under our names, and the number of heads."""
    read = read_checkpoint(checkpoint)
    state: dict[str, Tensor] = dict(read["state_dict"])
    table = state.pop(POSITIONS, None)
    names = {theirs: our_name(theirs) for theirs in state}
    if unknown := [theirs for theirs, ours in names.items() if ours is None]:
        raise ValueError(f"{checkpoint} has keys that are not of an upstream encoder:\n  " + "\n  ".join(unknown))
    weights = {ours: state[theirs] for theirs, ours in names.items() if ours is not None}
    needed = {"projection.weight", "layers.0.widen.weight", "reconstruction.weight"}
    if missing := needed - set(weights):
        raise ValueError(f"{checkpoint} misses {sorted(missing)}; it has:\n  " + "\n  ".join(sorted(state)))
    check_positions(table, checkpoint)
    return weights, heads_of(read, checkpoint, heads)


def check_positions(table: Tensor | None, checkpoint: Path) -> None:
    """ValueError where a table of positions (1, T, D) is not the sine table that we compute; there may be none."""
    if table is None:
        return
    ours = positions(table.shape[1], table.shape[2], torch.device("cpu"))
    if (worst := (table[0] - ours).abs().max().item()) > POSITION_TOLERANCE:
        raise ValueError(f"{checkpoint}: {POSITIONS} differs from the sine table by {worst:.2g}; another encoding?")


def heads_of(read: Mapping[str, Any], checkpoint: Path, given: int | None) -> int:
    """How many attention heads it has, by itself or, where it does not say, as `given`: no shape tells."""
    try:
        said = int(read["hyper_parameters"]["args"]["nhead"])
    except (KeyError, TypeError) as error:
        if given is None:
            raise ValueError(
                f"{checkpoint} does not say how many heads it has (hyper_parameters.args.nhead): say heads=6, if it is of "
                "the released encoder"
            ) from error
        return given
    if given not in (None, said):
        raise ValueError(f"{checkpoint} says that it has {said} heads, got heads={given}: leave it out")
    return said


def authors_normalisation(folder: Path, features: int) -> Normalisation:
    """The numbers of `mean.csv` and `std.csv`, as many as the network's inputs."""
    mean, std = (_column(folder / name) for name in ("mean.csv", "std.csv"))
    if len(mean) != features or len(std) != features:
        raise ValueError(f"{folder} has {len(mean)} means and {len(std)} deviations, the network {features} inputs")
    return Normalisation(mean, std, f"the authors' files, {folder.name}")


def encoder_shape(weights: Mapping[str, Tensor], heads: int) -> EncoderConfig:
    """The network that such weights, by our names, belong to."""
    return EncoderConfig(
        d_model=weights["projection.weight"].shape[0],
        layers=1 + max(int(name.split(".")[1]) for name in weights if name.startswith("layers.")),
        heads=heads,
        d_feedforward=weights["layers.0.widen.weight"].shape[0],
    )


def _column(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: normalisation= wants the folder with the authors' mean.csv and std.csv")
    try:
        return np.loadtxt(path, dtype=np.float32, ndmin=1)
    except ValueError as error:
        raise ValueError(f"{path} must hold one number per line: {error}") from error
