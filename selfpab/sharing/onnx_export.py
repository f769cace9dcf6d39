"""A fine-tuned model as one ONNX file, for other languages (extra `export`): acceleration in g in, probabilities out.

Inside the graph: the spectrogram as a matrix product, the normalisation, the encoder, the head, the probabilities. Outside,
left to who runs it: cutting a recording into windows, and averaging where windows and frames overlap
(docs/how-to/onnx.md). Legend: B windows, N samples, T frames, K classes.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from selfpab import __version__
from selfpab.downstream.head import Network
from selfpab.downstream.states import Extractor
from selfpab.features.normalisation import ZERO_STD
from selfpab.features.spectrograms import frame_magnitudes
from selfpab.features.uprightness import STANDING_BACK
from selfpab.inference.frame_windows import step_of
from selfpab.inference.model import Model
from selfpab.recording import CHANNELS
from selfpab.upstream.checkpoint import RATE_HZ
from selfpab.upstream.encoder import positions
from selfpab.writing import write_whole

INPUT, OUTPUT = "acceleration", "probabilities"
TOLERANCE = 1e-4  # of probabilities, in onnxruntime against torch


class Graph(nn.Module):
    """Acceleration in g (B, N, 6) at 50 Hz -> probabilities (B, T, K) of its frames.

    N from one frame to one window; T = (N - frame_samples) // hop_samples + 1.
    """

    mean: Tensor
    std: Tensor
    table: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        if model.head is None or model.activities is None:
            raise ValueError("only a fine-tuned model has classes to export: selfpab finetune DATASET MODEL")
        upstream = model.upstream
        self.encoder, self.head, self.shape, self.chances = (
            upstream.encoder,
            model.head,
            upstream.spectrogram,
            model.chances,
        )
        self.given = Network(self.encoder, self.head).given
        std = np.where(upstream.normalisation.std == 0, ZERO_STD, upstream.normalisation.std).astype(np.float32)
        self.register_buffer("mean", torch.from_numpy(upstream.normalisation.mean.copy()))
        self.register_buffer("std", torch.from_numpy(std))
        # of its own, and not made for the length at hand: that is not known in the graph
        table = positions(self.shape.window_frames, self.encoder.d_model, torch.device("cpu"))
        self.register_buffer("table", table.clone())

    def forward(self, acceleration: Float[Tensor, "B N 6"]) -> Float[Tensor, "B T K"]:
        frames = acceleration.unfold(1, self.shape.frame_samples, self.shape.hop_samples).transpose(2, 3)  # B T S C
        pieces = frames.flatten(0, 1)
        inputs = (frame_magnitudes(pieces).flatten(1) - self.mean) / self.std
        inputs = torch.cat([inputs, *self.given.beside(pieces)], dim=1).unflatten(0, frames.shape[:2])
        hidden = self.encoder.projection(inputs[..., : self.encoder.inputs]) + self.table[: frames.shape[1]]
        states = []
        for layer in self.encoder.layers:
            hidden = layer(hidden, None)
            states.append(hidden)
        return self.chances(self.head(torch.stack(states), None, inputs))


def export_onnx(model: Model, path: Path) -> float:
    """Write `model` as `path`, whole or not at all, after onnxruntime has given the same as torch.

    The file says of itself, in its metadata: classes, channels, unit, rate_hz, frame_samples, hop_samples, window_samples
    (the longest input), step_frames (between the windows of our prediction), standing_back and upright_share (the back's
    samples are to be turned before, by this share of the rotation that takes gravity while standing quietly to that
    direction; null where they are to be left), calibration (of the probabilities of seconds, as in calibration.json; null
    without), encoder_sha256, selfpab.

    Returns
    -------
    The largest difference of a probability between onnxruntime and torch, on noise of three lengths.

    Raises RuntimeError without the extra `export`, and where the two differ by more than `TOLERANCE`; ValueError for a
    model without classes.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  (torch.onnx needs it)
    except ImportError as error:
        raise RuntimeError(
            f"export-onnx needs onnx, onnxscript and onnxruntime: pip install 'selfpab[export]' ({error})"
        ) from error
    graph = Graph(model).eval()
    made = _exported(graph)
    onnx.helper.set_model_props(made, metadata(model))
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    worst = _difference(graph, session)
    if not worst <= TOLERANCE:
        raise RuntimeError(f"onnxruntime and torch differ by {worst:.2g} in a probability: nothing was written")
    write_whole(path, lambda temporary: onnx.save(made, temporary))
    return worst


def metadata(model: Model) -> dict[str, str]:
    """What the file says of itself; lists as JSON."""
    assert model.activities is not None
    shape, classes = model.upstream.spectrogram, zip(model.activities.codes, model.activities.names, strict=True)
    told = {
        "classes": [{"code": code, "name": name} for code, name in classes],
        "channels": CHANNELS,
        "unit": "g",
        "rate_hz": RATE_HZ,
        "frame_samples": shape.frame_samples,
        "hop_samples": shape.hop_samples,
        "window_samples": shape.window_samples,
        "step_frames": step_of(Extractor.of_encoder(model.upstream), model.finetune, "ours"),
        "standing_back": STANDING_BACK.tolist() if model.upstream.encoder.upright_share else None,
        "upright_share": model.upstream.encoder.upright_share or None,
        "calibration": model.trust.to_json() if model.trust else None,
        "encoder_sha256": model.upstream.sha256,
        "selfpab": __version__,
    }
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}


@torch.no_grad()
def _exported(graph: Graph):  # an onnx.ModelProto
    example = torch.zeros(2, graph.shape.window_samples, len(CHANNELS))
    graph(example)  # what is kept between calls, as the Fourier basis, must be real before it is traced
    dynamic = torch.export.Dim.DYNAMIC
    with _quietly():
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            dynamic_shapes={INPUT: {0: dynamic, 1: dynamic}},
            input_names=[INPUT],
            output_names=[OUTPUT],
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


@torch.no_grad()
def _difference(graph: Graph, session) -> float:  # an onnxruntime.InferenceSession
    noise = torch.Generator().manual_seed(0)
    worst = 0.0
    for windows, share in ((1, 1.0), (3, 0.5), (2, 0.0)):
        samples = max(graph.shape.frame_samples, int(share * graph.shape.window_samples))
        given = torch.randn(windows, samples, len(CHANNELS), generator=noise)
        (found,) = session.run([OUTPUT], {INPUT: given.numpy()})
        worst = max(worst, float(np.abs(found - graph(given).numpy()).max()))
    return worst


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says of packages that are not there and of its own future."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
