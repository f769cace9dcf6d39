"""Outputs of a frozen encoder over a seeded pool of cuts, on disk, shared by all folds, methods' heads and processes.

A frozen encoder gives the same for the same window whoever is left out, so its outputs are computed once per recording; a
fold takes those of its training subjects. Files are memory-mapped, float16 (W, L, T, D); they can be deleted at any time.
Legend: W windows, T frames of a window, L layers, D width.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from selfpab.downstream.cuts import Cuts
from selfpab.downstream.states import Extractor
from selfpab.recording import Recording
from selfpab.upstream.checkpoint import weights_sha256
from selfpab.upstream.engine import resolved_precision
from selfpab.writing import write_whole


class Pool:
    """Frozen outputs in `folder`, by what they depend on: encoder, normalisation, precision, samples, cuts."""

    def __init__(self, folder: Path, extractor: Extractor) -> None:
        encoder = extractor.network.encoder
        if encoder is None:
            raise ValueError("without an encoder there are no outputs worth keeping")
        self.folder, self.extractor = folder, extractor
        # what the network is beyond its weights: heads and the place of the norms, and what it is given
        layer = encoder.layers[0]
        precision = resolved_precision(extractor.precision, extractor.device)
        about = (layer.heads, layer.norm_first, asdict(extractor.shape), extractor.attend_padding, precision)
        inputs = {"statistics": encoder.statistics, "upright_share": encoder.upright_share}
        given = {key: value for key, value in inputs.items() if value}
        # what is off is not told: outputs of a time before it was there still count
        self._about = repr((weights_sha256(encoder.state_dict()), about, *([given] if given else [])))

    def of(self, recording: Recording, cuts: Cuts) -> np.ndarray:
        """float16 (W, L, T, D), mapped; computed if no process has done it yet."""
        path = self.folder / f"{self._key(recording, cuts)}.npy"
        if not path.is_file():
            write_whole(path, lambda part: self._compute(part, recording, cuts))
        return np.load(path, mmap_mode="r")

    def _compute(self, path: Path, recording: Recording, cuts: Cuts) -> None:
        shape = (len(cuts), self.extractor.layers, cuts.starts.shape[1], self.extractor.width)
        mapped = np.lib.format.open_memmap(path, "w+", np.float16, shape)
        for place, window in enumerate(self.extractor.lazily(recording, cuts)):
            mapped[place] = window
        mapped.flush()

    def _key(self, recording: Recording, cuts: Cuts) -> str:
        digest = hashlib.blake2b(f"{self._about}{fingerprint(recording)}".encode(), digest_size=16)
        numbers = self.extractor.normalisation
        for array in (numbers.mean, numbers.std, cuts.starts, cuts.stops):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def fingerprint(recording: Recording) -> str:
    """A hash of samples and segments, whatever the labels and the name."""
    digest = hashlib.blake2b(repr((recording.rate_hz, recording.segments)).encode(), digest_size=16)
    for _, piece in recording.blocks(600):
        digest.update(np.ascontiguousarray(piece).tobytes())
    return digest.hexdigest()
