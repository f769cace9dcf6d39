"""Where one sensor says nothing, the other one alone is read (ours; not in the paper).

Encoder, perceptrons and the convolutions beside them know both sensors together, and a network that is now and then given
zeros for one of them pays for it where it has both (docs/log.md, 2026-12-01). So there is a small network of convolutions for
each sensor by itself, trained on its axes alone; it answers where the recording's marks say that the other one measured
nothing or was not worn. Legend: W windows, B of them at once, T frames of a window, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from selfpab.core_threads import one_core_each
from selfpab.downstream.cuts import frame_pieces
from selfpab.downstream.frame_inputs import FrameInputs, in_places
from selfpab.downstream.passes import FRAMES_AT_ONCE, for_prediction
from selfpab.downstream.spans import Spans
from selfpab.downstream.waveform import HOP, WaveformReader
from selfpab.recording import Recording
from selfpab.upstream.engine import autocast

if TYPE_CHECKING:
    from selfpab.downstream.states import Extractor


def single_windows(
    reader: WaveformReader,
    extractor: Extractor,
    recording: Recording,
    spans: Spans,
    of_logits: Callable[[Tensor], np.ndarray],
) -> Iterator[tuple[int, np.ndarray]]:
    """(first frame, what `of_logits` makes of the logits of its frames (count, K)) of window after window.

    reader : of one sensor, in evaluation mode. extractor : of the network that it stands in: shapes, precision, device.
    """
    reader = for_prediction(reader, extractor.precision, extractor.device)
    few = max(1, FRAMES_AT_ONCE[extractor.device.type] // max(1, spans.length))

    @torch.inference_mode()
    def of_block(begin: int) -> list[tuple[int, np.ndarray]]:
        rows = slice(begin, begin + few)
        cuts, firsts, counts = spans[rows], spans.firsts[rows], spans.counts[rows]
        pieces = torch.from_numpy(frame_pieces(recording, cuts, extractor.shape.frame_samples))
        (samples,) = FrameInputs(samples=HOP).beside(pieces.to(extractor.device))
        inputs, valid = in_places(samples, cuts.starts >= 0)
        with autocast(extractor.precision, extractor.device):
            values = of_logits(reader(inputs, valid).float())
        return [(int(a), one[:count]) for a, count, one in zip(firsts, counts, values, strict=True)]

    begins = range(0, len(spans), few)
    blocks = one_core_each(of_block, begins) if extractor.device.type == "cpu" else map(of_block, begins)
    return chain.from_iterable(blocks)
