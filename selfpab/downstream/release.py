"""How the authors' release cuts, pads and averages (BEHAVIOUR (e)), and what it calls the weights of a classifier.

Preset `authors` alone. Legend: N samples, W windows, T frames of a window, F frames of a recording, K classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from selfpab.downstream.spans import Spans, every_frame, to_the_last_frame
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.recording import Recording, Segment
from selfpab.upstream.authors import our_name

ENCODER = {"upstream_models.0.upstream_model.0.": "emb.", "upstream_models.0.upstream_model.1.": "transformer_encoder."}
HEAD = {
    "prediction_head.mlp.layer0.linear_relu.0.": "hidden.",
    "prediction_head.mlp.out_layer.": "output.",
}
LAYER_WEIGHT = r"upstream_models\.0\.weighted_sum\.weights\.\d+"
POSITIONS = "upstream_models.0.upstream_model.0.pos_encoder.pe"


def without_gaps(recording: Recording) -> Recording:
    """The samples one after the other, as if no time had passed between them."""
    return replace(recording, segments=(Segment(0, len(recording), 0.0),) if len(recording) else ())


def padded(recording: Recording, shape: SpectrogramConfig) -> Recording:
    """Without gaps, and with zeros behind the end, so that it has ceil(N / hop) frames; without labels."""
    frames = -(-len(recording) // shape.hop_samples)
    more = (frames - 1) * shape.hop_samples + shape.frame_samples - len(recording)
    samples = np.concatenate([recording.acceleration_g, np.zeros((max(0, more), 6), np.float32)])
    return replace(
        recording, samples=samples, counts_per_g=None, labels=None, segments=(Segment(0, len(samples), 0.0),)
    )


def prediction_windows(recording: Recording, shape: SpectrogramConfig, *, step: int) -> Spans:
    """Windows every `step` frames of a `padded` recording, to the last frame: those near the end are mostly padding.

    A recording shorter than a window has one, of its own length, and the release's others are not counted.
    """
    return to_the_last_frame(every_frame(recording, shape), length=shape.window_frames, step=step)


def our_weights(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights of a released classifier as those of our encoder and our head; the table of positions is left out.

    Raises ValueError that lists the keys we know no place for.
    """
    encoder, head, weights, unknown = {}, {}, [], []
    for name, value in state.items():
        if name == POSITIONS:
            continue
        known = False
        for theirs, prefix in ENCODER.items():
            if name.startswith(theirs) and (ours := our_name(prefix + name.removeprefix(theirs))):
                encoder[ours], known = value, True
        for theirs, ours in HEAD.items():
            if name.startswith(theirs):
                head[name.replace(theirs, ours)], known = value, True
        if re.fullmatch(LAYER_WEIGHT, name):  # one scalar per layer, in order
            weights.append(value.reshape(()))
        elif not known:
            unknown.append(name)
    if unknown:
        raise ValueError("keys that are not of a released classifier:\n  " + "\n  ".join(unknown))
    if weights:
        head["layer_weights"] = torch.stack(weights)
    return encoder, head
