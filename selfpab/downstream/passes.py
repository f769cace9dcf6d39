"""One pass over the windows of a recording: their states, or what a head makes of them, as fast as can be.

Legend: W windows, B of them at once, T frames of a window, F distinct frames, L layers, D width, I inputs of a frame, K classes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from selfpab.core_threads import one_core_each
from selfpab.downstream.cuts import Cuts, frame_pieces
from selfpab.downstream.head import Head, Network
from selfpab.downstream.spans import Spans
from selfpab.features.uprightness import Turns
from selfpab.recording import Recording
from selfpab.upstream.encoder import multiplies_tiles
from selfpab.upstream.engine import Precision, autocast, resolved_precision
from selfpab.upstream.packed_products import Part, with_packed_products

if TYPE_CHECKING:
    from selfpab.downstream.states import Extractor

AT_ONCE = 16  # windows per forward pass
TILE = 32  # frames
FRAMES_AT_ONCE = {"cpu": 2048, "cuda": 1 << 16}  # in prediction, a thread: what a layer makes of them fits into a cache


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass over windows of a recording: the states of each, or what a head makes of them."""

    extractor: Extractor
    recording: Recording
    cuts: Cuts | Spans

    def __iter__(self) -> Iterator[np.ndarray]:
        """float32 (L, T, D) for each window."""
        turns = self.extractor.turns(self.recording)
        for first in range(0, len(self.cuts), AT_ONCE):
            spectra, valid = self.extractor.spectra(self.recording, self.cuts[first : first + AT_ONCE], turns)
            yield from self.extractor.states(spectra, valid).transpose(0, 1).cpu().numpy()

    def looks(
        self, head: Head, of_logits: Callable[[Tensor], np.ndarray], between: Spans | None = None, sure: float = 1.0
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(first frame, what `of_logits` makes of the logits of its frames (count, K)) of window after window.

        There are no gradients, and each frame's features are computed once for some windows. In bf16 also the head
        computes in it.

        between : for each window one that lies between it and the next, or one without frames. It is looked through only
            where the network leaves one of its frames without a value of at least `sure`; at the end of a block always.
        """
        spans, extractor = self.cuts, self.extractor
        assert isinstance(spans, Spans)
        network = for_prediction(Network(extractor.network.encoder, head), extractor.precision, extractor.device)
        turns = extractor.turns(self.recording)
        few = max(1, FRAMES_AT_ONCE[extractor.device.type] // max(1, spans.length))
        step = max(1, few // 4) if extractor.device.type == "cpu" else 1
        few -= few % step
        # these share the features of their frames; of long windows fewer, so that an hour has work for all cores
        many = few * (1 if few < 4 else 4 if between is None else 2)

        @torch.inference_mode()
        def of_block(begin: int) -> list[tuple[int, np.ndarray]]:
            rows = slice(begin, begin + many)
            cuts = Cuts.joined([looked[rows] for looked in (spans, between) if looked is not None])
            block = Block.of(self.recording, cuts, turns, extractor, network, few, step)
            firsts, counts = spans.firsts[rows], spans.counts[rows]
            logits = block.logits(np.arange(len(firsts)))
            if between is not None:
                best = of_logits(logits).max(axis=2)
                unsure = [values[:count] < sure for values, count in zip(best, counts, strict=True)]
                more_firsts, more_counts = between.firsts[rows], between.counts[rows]
                again = np.flatnonzero(_doubtful(firsts, unsure, more_firsts, more_counts))
                if len(again):
                    logits = torch.cat([logits, block.logits(len(firsts) + again)])
                firsts, counts = np.append(firsts, more_firsts[again]), np.append(counts, more_counts[again])
            values = of_logits(logits)
            return [(int(a), one[:count]) for a, count, one in zip(firsts, counts, values, strict=True)]

        begins = range(0, len(spans), many)
        blocks = one_core_each(of_block, begins) if extractor.device.type == "cpu" else map(of_block, begins)
        return chain.from_iterable(blocks)


@dataclass(frozen=True, eq=False)
class Block:
    """Windows that are looked through together, by one thread: F distinct frames, made once, and a last one of zeros.

    features : what the encoder projects the frames to, (F + 1, D).
    bare : what the network is given of them, (F + 1, I).
    places : which frames each window holds, (B, T); the encoder's windows are made longer with the last one, where it is
        faster so (`comfortable_length`).
    length : T.
    few, step : windows in one call of the network, and what their number is a multiple of: for every new number products
        would be made ready anew, and kept.
    """

    network: Network
    extractor: Extractor
    features: Tensor
    bare: Tensor
    places: Tensor
    length: int
    few: int
    step: int

    @staticmethod
    @torch.inference_mode()
    def of(
        recording: Recording,
        cuts: Cuts,
        turns: Turns | None,
        extractor: Extractor,
        network: Network,
        few: int,
        step: int,
    ) -> Block:
        real = cuts.starts >= 0
        starts, first, inverse = np.unique(cuts.starts[real], return_index=True, return_inverse=True)
        stops = cuts.stops[real][first]
        windows, length = cuts.starts.shape
        # the release lets frames attend to what stands behind the end: there must be no more of it
        whole = (
            length if extractor.attend_padding else comfortable_length(length, extractor.precision, extractor.device)
        )
        places = np.full((windows, whole), len(starts))
        places[:, :length][real] = inverse
        parts = []
        for begin in range(0, len(starts), FRAMES_AT_ONCE[extractor.device.type] // 2):
            rows = slice(begin, begin + FRAMES_AT_ONCE[extractor.device.type] // 2)
            here = Cuts(starts[None, rows], stops[None, rows])
            pieces = frame_pieces(recording, here, extractor.shape.frame_samples, turns)
            parts.append(network.given.of(torch.from_numpy(pieces).to(extractor.device), extractor.normalisation))
        parts.append(torch.zeros_like(parts[0][:1]))
        with autocast(extractor.precision, extractor.device):
            bare = torch.cat(parts)
            encoder = network.encoder
            features = bare if encoder is None else encoder.projection(bare[:, : encoder.inputs])
        where = torch.from_numpy(places).to(extractor.device)
        return Block(network, extractor, features, bare, where, length, few, step)

    def logits(self, windows: np.ndarray) -> Float[Tensor, "B T K"]:
        """Of the encoder, its head and what stands beside them, a few windows at a time."""
        head, encoder = self.network.head, self.network.encoder
        assert isinstance(head, Head)
        found = []
        with autocast(self.extractor.precision, self.extractor.device):
            for at in range(0, len(windows), self.few):
                part = windows[at : at + self.few]
                whole = np.pad(part, (0, -len(part) % self.step), mode="edge")
                places = self.places[torch.from_numpy(whole).to(self.places.device)]
                frames = self.features[places]
                layers = [frames] if encoder is None else encoder.layer_outputs(frames, self._valid(places))
                own = head.classified(head.summed(layers))[:, : self.length].float()
                places = places[:, : self.length]
                found.append(head.beside(own, self.bare[places], self._valid(places))[: len(part)])
        return torch.cat(found)

    def _valid(self, places: Tensor) -> Tensor | None:
        return None if self.extractor.attend_padding else places != len(self.features) - 1


def comfortable_length(frames: int, precision: Precision, device: torch.device) -> int:
    """So many frames, or a few more that are looked past: attention in tiles is half as slow again where its maps end in the
    middle of one (119 frames take 2.9 ms, 128 with a mask 1.9; `benchmarks/bench_pretrain.py attention`).

    >>> comfortable_length(119, "fp32", torch.device("cpu"))
    119
    """
    tiles = device.type == "cpu" and resolved_precision(precision, device) == "bf16" and multiplies_tiles()
    return -(-frames // TILE) * TILE if tiles else frames


def _doubtful(starts: np.ndarray, unsure: Sequence[np.ndarray], firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Which further windows have a frame that was not looked at, or that every window left in doubt: bool (W,).

    starts, unsure : of the windows that were looked at, the first frame and, for each of its frames, whether it is in doubt.
    firsts, counts : of the further ones.
    """
    lowest = int(starts[0])
    doubt = np.ones(max(int(starts[-1]) + len(unsure[-1]), int((firsts + counts).max())) - lowest, bool)
    for first, values in zip(starts, unsure, strict=True):
        doubt[first - lowest :][: len(values)] &= values
    before = np.cumsum(np.append(0, doubt))
    places = np.where(counts > 0, firsts - lowest, 0)
    return before[places + counts] > before[places]


def for_prediction(network: Part, precision: Precision, device: torch.device) -> Part:
    """A network, or a part of one, that computes the same without gradients, sooner: in bf16 weights are made ready once."""
    half = half_precision(network, precision, device)
    return half if half is network else with_packed_products(half)


def half_precision(network: Part, precision: Precision, device: torch.device) -> Part:
    """A network with the weights of its products in bf16, where that is the precision: autocast would convert every time.

    What is not converted is shared with the one given.
    """
    if resolved_precision(precision, device) == "fp32":
        return network
    kept = {id(values): values for values in network.parameters()}
    for part in network.modules():
        if isinstance(part, nn.Linear):
            for values in part.parameters():
                kept[id(values)] = nn.Parameter(values.detach().bfloat16(), requires_grad=False)
    return copy.deepcopy(network, kept)
