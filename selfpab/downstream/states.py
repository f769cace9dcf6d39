"""What a head is given: the layer outputs of an encoder, or the bare spectrogram, window by window.

Legend: W windows, B of them at once, T frames of a window, L layers, D width, CF features (156).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from selfpab.core_threads import one_core_each
from selfpab.downstream.cuts import Cuts, frame_pieces, frames_by_run
from selfpab.downstream.head import Head, Network
from selfpab.downstream.spans import Spans, side_by_side, those_between
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig, frame_magnitudes
from selfpab.features.statistics import frame_statistics
from selfpab.features.uprightness import Turns, upright_turns
from selfpab.recording import Recording
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.engine import Precision, autocast, resolved_precision
from selfpab.upstream.packed_products import with_packed_products

AT_ONCE = 16  # windows per forward pass
FRAMES_AT_ONCE = {"cpu": 2048, "cuda": 1 << 16}  # in prediction, a thread: what a layer makes of them fits into a cache


@dataclass(frozen=True, eq=False)
class States:
    """Outputs for the windows of one recording, for one pass.

    values : W arrays (L, T, D), made as they are asked for; what stands behind the end of a shorter window means nothing.
    between : further windows, for who looks a second time where the first look leaves doubt (`Pass.looks`).
    sure : the probability from which on a frame is not doubtful.
    """

    values: Iterable[np.ndarray]
    spans: Spans
    between: Spans | None = None
    sure: float = 1.0


@dataclass(frozen=True, eq=False)
class Extractor:
    """From recordings to states, without gradients; whether dropout acts is up to the mode of the network.

    attend_padding : let frames attend to the zeros behind the end of a window, as the release does in tests.
    """

    network: Network
    shape: SpectrogramConfig
    normalisation: Normalisation
    precision: Precision = "auto"
    attend_padding: bool = False

    @staticmethod
    def of_encoder(upstream: Upstream, precision: Precision = "auto") -> Extractor:
        """The layer outputs of a pre-trained encoder, without dropout."""
        network = Network(upstream.encoder.eval(), Head(1, 1, 0, 1))
        return Extractor(network, upstream.spectrogram, upstream.normalisation, precision)

    @property
    def width(self) -> int:
        """D of what it gives."""
        encoder = self.network.encoder
        return len(self.normalisation.mean) if encoder is None else encoder.d_model

    @property
    def layers(self) -> int:
        """L of what it gives."""
        return 1 if self.network.encoder is None else len(self.network.encoder.layers)

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def lazily(self, recording: Recording, cuts: Cuts | Spans) -> Iterable[np.ndarray]:
        """float32 (L, T, D) window by window: the memory of a week is that of an hour."""
        return Pass(self, recording, cuts)

    def spans(self, recording: Recording, *, step: int) -> Spans:
        """The windows over a recording for prediction, `step` frames apart in every run, last samples and segments under a
        second taken in."""
        runs = frames_by_run(recording, self.shape, to_the_end=True)
        return side_by_side(runs, length=self.shape.window_frames, step=step)

    def two_looks(self, recording: Recording, *, step: int) -> tuple[Spans, Spans]:
        """Every other one of such windows, and for each the one between it and the next (`spans.those_between`)."""
        runs = frames_by_run(recording, self.shape, to_the_end=True)
        tiles = side_by_side(runs, length=self.shape.window_frames, step=2 * step)
        return tiles, those_between(tiles, runs, step=step)

    def span_states(self, recording: Recording, spans: Spans) -> States:
        """States for one pass over the windows that `spans` gave."""
        return States(self.lazily(recording, spans), spans)

    @torch.no_grad()
    def states(self, spectra: Float[Tensor, "B T CF"], valid: Bool[Tensor, "B T"]) -> Float[Tensor, "L B T D"]:
        """Of a batch of normalised spectra."""
        with autocast(self.precision, self.device):
            seen = None if self.attend_padding else valid
            return self.network.states(spectra, seen).float()

    def turns(self, recording: Recording) -> Turns | None:
        """How the recording's back sensor is made upright; None where the encoder does not want it so."""
        encoder = self.network.encoder
        share = encoder.upright_share if encoder is not None else 0
        return upright_turns(recording, share) if share else None

    def spectra(
        self, recording: Recording, cuts: Cuts, turns: Turns | None = None
    ) -> tuple[Float[Tensor, "B T CF"], Bool[Tensor, "B T"]]:
        """Normalised spectra of windows, zero behind their ends, and which frames are real; on the network's device.

        turns : what `turns` said of the recording; found again where it is not given.
        """
        turns = self.turns(recording) if turns is None else turns
        pieces = torch.from_numpy(frame_pieces(recording, cuts, self.shape.frame_samples, turns))
        return self.inputs(pieces, cuts.starts >= 0)

    def inputs(
        self, pieces: Float[Tensor, "N S C"], real: np.ndarray
    ) -> tuple[Float[Tensor, "B T CF"], Bool[Tensor, "B T"]]:
        """The same of the samples, in g, of the N real frames; real is bool (B, T)."""
        return normalised(pieces.to(self.device), real, self.normalisation, statistics=self.statistics)

    @property
    def statistics(self) -> bool:
        """Whether the encoder wants them beside the spectra."""
        return self.network.encoder is not None and self.network.encoder.statistics

    def features(self, pieces: Float[Tensor, "N S C"]) -> Float[Tensor, "N CF"]:
        """Of frames by themselves: normalised spectra and, where the encoder wants them, statistics."""
        return frame_features(pieces, self.normalisation, statistics=self.statistics)


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
            where one of its frames has no value of at least `sure` from the first look; at the end of a block always.
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
            cuts = [looked[rows] for looked in (spans, between) if looked is not None]
            features, bare, places = self._features(network, Cuts.joined(cuts), turns)

            def through(chosen: np.ndarray) -> Iterator[np.ndarray]:
                for at in range(0, len(chosen), few):
                    part = chosen[at : at + few]
                    # for every new number of windows products would be made ready anew, and kept
                    whole = np.pad(part, (0, -len(part) % step), mode="edge")
                    yield from of_logits(self._logits(network, features, bare, places[whole]))[: len(part)]

            firsts, counts = spans.firsts[rows], spans.counts[rows]
            tiles = through(np.arange(len(firsts)))
            found = [(int(a), values[:n]) for a, n, values in zip(firsts, counts, tiles, strict=True)]
            if between is not None:
                chosen = np.flatnonzero(_doubtful(found, between.firsts[rows], between.counts[rows], sure))
                again = through(len(firsts) + chosen)
                found += zip(between.firsts[rows][chosen].tolist(), again, strict=True)
            return found

        begins = range(0, len(spans), many)
        blocks = one_core_each(of_block, begins) if extractor.device.type == "cpu" else map(of_block, begins)
        return chain.from_iterable(blocks)

    @torch.inference_mode()
    def _features(self, network: Network, cuts: Cuts, turns: Turns | None) -> tuple[Tensor, Tensor, Tensor]:
        """What the encoder projects distinct frames to, then zeros' (F + 1, D); the frames themselves, (F + 1, CF); which
        each window holds, (B, T)."""
        extractor, real = self.extractor, cuts.starts >= 0
        starts, first, inverse = np.unique(cuts.starts[real], return_index=True, return_inverse=True)
        stops = cuts.stops[real][first]
        places = np.full(cuts.starts.shape, len(starts))
        places[real] = inverse
        parts = []
        for begin in range(0, len(starts), FRAMES_AT_ONCE[extractor.device.type] // 2):
            rows = slice(begin, begin + FRAMES_AT_ONCE[extractor.device.type] // 2)
            here = Cuts(starts[None, rows], stops[None, rows])
            pieces = frame_pieces(self.recording, here, extractor.shape.frame_samples, turns)
            parts.append(extractor.features(torch.from_numpy(pieces).to(extractor.device)))
        parts.append(torch.zeros_like(parts[0][:1]))
        with autocast(extractor.precision, extractor.device):
            spectra = torch.cat(parts)
            features = spectra if network.encoder is None else network.encoder.projection(spectra)
        return features, spectra, torch.from_numpy(places).to(extractor.device)

    @torch.inference_mode()
    def _logits(self, network: Network, features: Tensor, bare: Tensor, places: Tensor) -> Tensor:
        head, nothing = network.head, len(features) - 1
        assert isinstance(head, Head)
        valid = None if self.extractor.attend_padding else places != nothing
        with autocast(self.extractor.precision, self.extractor.device):
            windows = features[places]
            layers = [windows] if network.encoder is None else network.encoder.layer_outputs(windows, valid)
            logits = head.classified(head.summed(layers))
            return logits if head.context is None else head.beside_context(logits, bare[places], valid)


def _doubtful(
    found: Sequence[tuple[int, np.ndarray]], firsts: np.ndarray, counts: np.ndarray, sure: float
) -> np.ndarray:
    """Which windows have a frame that was not found, or without a value of at least `sure`: bool (W,)."""
    lowest = found[0][0]
    best = np.full(max(found[-1][0] + len(found[-1][1]), int((firsts + counts).max())) - lowest, -np.inf)
    for first, values in found:
        here = best[first - lowest :][: len(values)]
        np.maximum(here, values.max(axis=1), out=here)
    unsure = np.cumsum(np.append(0, best < sure))
    places = np.where(counts > 0, firsts - lowest, 0)
    return unsure[places + counts] > unsure[places]


def for_prediction(network: Network, precision: Precision, device: torch.device) -> Network:
    """A network that computes the same without gradients, sooner: in bf16 its products' weights are made ready once."""
    half = half_precision(network, precision, device)
    return half if half is network else with_packed_products(half)


def half_precision(network: Network, precision: Precision, device: torch.device) -> Network:
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


def normalised(
    pieces: Float[Tensor, "N S C"], real: np.ndarray, normalisation: Normalisation, *, statistics: bool = False
) -> tuple[Float[Tensor, "B T CF"], Bool[Tensor, "B T"]]:
    """Spectra of the N real frames of windows, in their places: real is bool (B, T). statistics : and those behind."""
    valid = torch.from_numpy(real).to(pieces.device)
    values = frame_features(pieces, normalisation, statistics=statistics)
    result = torch.zeros(*valid.shape, values.shape[1], device=pieces.device)
    result[valid] = values
    return result, valid


def frame_features(
    pieces: Float[Tensor, "N S C"], normalisation: Normalisation, *, statistics: bool
) -> Float[Tensor, "N CF"]:
    """Normalised spectra of frames and, if wanted, their statistics behind them."""
    values = normalisation(frame_magnitudes(pieces).flatten(1))
    return torch.cat([values, frame_statistics(pieces)], dim=1) if statistics else values
