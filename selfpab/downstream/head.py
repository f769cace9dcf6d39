"""Weighted layer sum and MLP, and the network they make with an encoder (paper, section 3.2; BEHAVIOUR (c)).

Legend: L layers, B windows, T frames, I inputs of a frame, D width, K classes. The weights of the layers are raw scalars,
1/L at the start and trained from the first step; the head has one hidden layer and no dropout; softmax is left to the loss
and to prediction. In its place may stand DeepConvLSTM, for the paper's DeepConvLSTM on spectrograms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from selfpab.baselines.deepconvlstm import DeepConvLSTM
from selfpab.downstream.context import ContextReader
from selfpab.downstream.frame_inputs import FrameInputs
from selfpab.downstream.waveform import HOP, WaveformReader
from selfpab.recording import SENSORS
from selfpab.upstream.encoder import Encoder
from selfpab.upstream.packed_products import rectified

Valid = Bool[Tensor, "B T"] | None  # which frames are real; None: all
Inputs = Float[Tensor, "B T I"] | None  # normalised spectra, and what stands beside them (`FrameInputs`)
SMALLEST = 1e-30  # probability that has a logarithm


class Head(nn.Module):
    """Hidden states (L, B, T, D) -> logits (B, T, K).

    hidden : units of the MLP; 0: one linear layer, the "prediction head" of Spectrograms + TE (section 4.2).
    weighted : sum up all layers; else take the last one, as the release does.
    dropout : of the sum and of the hidden units, in training; ours.
    context, waveform : read what the network is given beside it; the mean of all their probabilities is the answer. Ours.
    single : by sensor, what answers by itself where the other sensor says nothing (`downstream.single_sensor`). Ours.

    >>> Head(4, 192, 1028, 7)(torch.zeros(4, 2, 599, 192)).shape
    torch.Size([2, 599, 7])
    """

    def __init__(
        self,
        layers: int,
        width: int,
        hidden: int,
        classes: int,
        weighted: bool = True,
        dropout: float = 0.0,
        context: ContextReader | None = None,
        waveform: WaveformReader | None = None,
        single: Mapping[str, WaveformReader] | None = None,
    ) -> None:
        super().__init__()
        self.layer_weights = nn.Parameter(torch.full((layers,), 1.0 / layers)) if weighted else None
        self.hidden = nn.Linear(width, hidden) if hidden else None
        self.output = nn.Linear(hidden or width, classes)
        self.dropout = nn.Dropout(dropout)
        self.context, self.waveform = context, waveform
        self.single = nn.ModuleDict(single or {})

    def forward(
        self, states: Float[Tensor, "L B T D"], valid: Valid = None, inputs: Inputs = None
    ) -> Float[Tensor, "B T K"]:
        """Of every frame by itself, whichever are `valid`. inputs : of the network, for what stands `beside`."""
        return self.beside(self.classified(self.features(states)), inputs, valid)

    def beside(self, logits: Float[Tensor, "B T K"], inputs: Inputs, valid: Valid) -> Float[Tensor, "B T K"]:
        """The logarithm of the mean of these logits' probabilities and those of each reader, where there is one."""
        if self.context is None and self.waveform is None:
            return logits
        if inputs is None:
            raise ValueError("this head also reads what the encoder was given, and got its layers alone")
        chances = [logits.float().softmax(-1)]
        if self.context is not None:
            chances.append(self.context(inputs, valid).float().softmax(-1).mean(0))
        if self.waveform is not None:
            chances.append(self.waveform(inputs, valid).float().softmax(-1))
        return (sum(chances[1:], chances[0]) / len(chances)).clamp(min=SMALLEST).log()

    def reader_of(self, sensor: str) -> WaveformReader:
        """What reads this sensor alone; KeyError where there is none."""
        reader = self.single[sensor]
        assert isinstance(reader, WaveformReader)
        return reader

    def classified(self, features: Float[Tensor, "B T D"]) -> Float[Tensor, "B T K"]:
        """Logits of what `features` or `summed` gave."""
        features = self.dropout(features)
        return self.output(features if self.hidden is None else self.dropout(rectified(self.hidden, features)))

    def features(self, states: Float[Tensor, "L B T D"]) -> Float[Tensor, "B T D"]:
        """What the head makes of the layers: their weighted sum, or the last one."""
        if self.layer_weights is None:
            return states[-1]
        return torch.einsum("l,lbtd->btd", self.layer_weights.to(states.dtype), states)

    def summed(self, layers: Iterable[Float[Tensor, "B T D"]]) -> Float[Tensor, "B T D"]:
        """The same as `features` of layers that come one after the other, for prediction: none of them is kept."""
        total = None
        for place, layer in enumerate(layers):
            if self.layer_weights is None or total is None:
                total = layer if self.layer_weights is None else layer * self.layer_weights[place]
            else:
                total.addcmul_(layer, self.layer_weights[place])
        if total is None:
            raise ValueError("there is no layer to take")
        return total


class RecurrentHead(nn.Module):
    """DeepConvLSTM on the bare spectrum: states (1, B, T, D) -> logits (B, T, K)."""

    layer_weights = None

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.network = DeepConvLSTM(width, classes, per_frame=True, dropout=dropout)

    def forward(
        self, states: Float[Tensor, "1 B T D"], valid: Valid = None, inputs: Inputs = None
    ) -> Float[Tensor, "B T K"]:
        return self.network(states[0], valid)


class Network(nn.Module):
    """What is given of frames (B, T, I) -> logits (B, T, K): an encoder and a head; without an encoder the head alone."""

    def __init__(self, encoder: Encoder | None, head: Head | RecurrentHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    @property
    def given(self) -> FrameInputs:
        """What encoder and head want to be given."""
        reads = isinstance(self.head, Head) and self.head.waveform is not None
        return FrameInputs(self.encoder is not None and self.encoder.statistics, HOP if reads else 0)

    def states(self, inputs: Float[Tensor, "B T I"], valid: Valid = None) -> Float[Tensor, "L B T D"]:
        """What the head is given: every layer's output, or the spectrum itself as the only layer."""
        if self.encoder is None:
            return inputs[None]
        return torch.stack(self.encoder.hidden_states(inputs[..., : self.encoder.inputs], valid))

    def forward(self, inputs: Float[Tensor, "B T I"], valid: Valid = None) -> Float[Tensor, "B T K"]:
        return self.head(self.states(inputs, valid), valid, inputs)

    def members(self, inputs: Float[Tensor, "B T I"], valid: Valid = None) -> list[Float[Tensor, "B T K"]]:
        """Logits of each part that learns in the same steps: encoder and head, then every perceptron of the `context`."""
        states, head = self.states(inputs, valid), self.head
        if not isinstance(head, Head):
            return [head(states, valid)]
        own = head.classified(head.features(states))
        return [own, *(() if head.context is None else head.context(inputs, valid))]

    def parts(self) -> list[list[nn.Parameter]]:
        """The parameters that gradients are held back together for: those of encoder and head, and of each further member."""
        head = self.head if isinstance(self.head, Head) else None
        others = [list(member.parameters()) for member in head.context.members] if head and head.context else []
        readers = [head.waveform, *head.single.values()] if head and head.waveform else []
        apart = [*others, *(list(reader.parameters()) for reader in readers)]
        known = {id(one) for part in apart for one in part}
        return [[one for one in self.parameters() if id(one) not in known], *others]


def head_from(weights: Mapping[str, Tensor], layers: int, width: int, spectrum: int, classes: int) -> Head:
    """The untrained head that these weights are of, by their names and shapes.

    spectrum : CF of the encoder's spectra.

    >>> head_from(Head(2, 12, 5, 3, weighted=False).state_dict(), 2, 12, 156, 3).hidden
    Linear(in_features=12, out_features=5, bias=True)
    """
    hidden = len(weights["hidden.weight"]) if "hidden.weight" in weights else 0
    context = waveform = None
    if "context.members.0.1.bias" in weights:
        members = {name.split(".")[2] for name in weights if name.startswith("context.members.")}
        within = len(weights["context.members.0.1.bias"])
        context = ContextReader(spectrum, classes, members=len(members), hidden=within)
    if "waveform.to_tenths.bias" in weights:
        waveform = WaveformReader(classes, width=len(weights["waveform.to_tenths.bias"]))
    single = {
        sensor: WaveformReader(classes, width=len(weights[name]), sensor=sensor)
        for sensor in SENSORS
        if (name := f"single.{sensor}.to_tenths.bias") in weights
    }
    weighted = "layer_weights" in weights
    return Head(layers, width, hidden, classes, weighted, context=context, waveform=waveform, single=single)
