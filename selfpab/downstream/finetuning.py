"""Training a head on a frozen encoder, then both (paper, sections 3.2 and 4.2).

Legend: B windows, T frames, K classes. Adam, rate falling exponentially, plain cross-entropy over the labelled frames, no
class weights. Until `unfreeze_at` of the steps the encoder is a fixed function, and its outputs come from a pool of cuts;
after that every step draws fresh cuts and the gradients reach the encoder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfpab.downstream.augmentation import AugmentConfig
from selfpab.downstream.balance import Seen
from selfpab.downstream.context import ContextReader
from selfpab.downstream.head import Head, Network, RecurrentHead
from selfpab.downstream.material import Material
from selfpab.downstream.pool import Pool
from selfpab.downstream.states import Extractor
from selfpab.downstream.waveform import WaveformConfig, WaveformReader
from selfpab.features.normalisation import Normalisation
from selfpab.recording import SENSORS
from selfpab.seeding import seed_of
from selfpab.upstream.engine import autocast, seed_torch
from selfpab.upstream.schedule import exponential


@dataclass(frozen=True)
class FinetuneConfig:
    steps: int = 2000  # section 4.2
    epochs: int | None = None  # instead of steps, with cuts=grid: passes over the grid
    batch: int = 32  # section 4.2
    hidden: int = 1028  # section 4.2; 0: one linear layer
    head: Literal["mlp", "deepconvlstm"] = "mlp"  # deepconvlstm: in the MLP's place, on the spectrogram alone (Table 1)
    head_dropout: float = 0.5  # of deepconvlstm: Ordonez and Roggen, 2016; the MLP has none
    weighted: bool = True  # section 3.2: weighted sum of all layers; the release takes the last layer
    rate: float = 1e-4  # section 4.2
    decay: float = 0.1  # section 4.2
    decay_steps: int | None = None  # steps for one `decay`; none: all (section 4.2)
    beta1: float = 0.9  # not in the paper; from the release, as the next
    beta2: float = 0.98
    unfreeze_at: float = 0.75  # section 3.2: share of the steps with a frozen encoder; 0: never frozen, 1: always
    frozen_dropout: bool = False  # the release leaves dropout on in the frozen encoder
    validation_share: float = 0.2  # section 4.2: the first fifth of every subject is not trained on
    cuts: Literal["random", "grid"] = "random"  # section 4.2; the release shuffles a grid
    grid_step: int = 12  # frames between the windows of the grid (BEHAVIOUR (e))
    pool_step: int = 120  # ours: frozen outputs are kept of one random cut in so many frames
    overlap: int = 0  # frames that neighbouring windows share in prediction; 0: side by side, section 4.2
    framing: Literal["runs", "release"] = "runs"  # the release ignores gaps, pads with zeros (BEHAVIOUR (e))
    merge: Literal["labels", "confusion"] = "labels"  # the release merges classes after prediction (BEHAVIOUR (i) 7)
    # all that follows is ours, and off but in `selfpab-plus`
    statistics: bool = False  # 45 numbers of every frame beside its spectrum (features/statistics.py)
    upright_share: float = 0.0  # of the back sensor's lean in standing, taken away (features/uprightness.py)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    schedule: Literal["exponential", "cosine"] = "exponential"  # cosine: up in `warmup_steps`, down to zero at the end
    warmup_steps: int = 50
    encoder_rate: float | None = None  # of the encoder; none: `rate`
    weight_decay: float = 0.0  # of AdamW
    clip: float | None = None  # largest norm of the gradients
    mlp_dropout: float = 0.0  # of the head's input and of its hidden layer
    context_members: int = 0  # perceptrons that read the seconds around a frame (downstream/context.py)
    context_hidden: int = 256  # units of each of their two layers
    waveform: WaveformConfig = field(default_factory=WaveformConfig)  # convolutions that read the samples beside
    balanced_share: float = 0.0  # of a batch's windows, drawn around a frame of any class (downstream/balance.py)
    rare_power: float = 0.0  # named is the class of largest p / share ** rare_power, share: of the training frames

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or not 0 <= self.unfreeze_at <= 1 or not 0 <= self.validation_share < 1:
            raise ValueError(
                "wanted steps and batch of at least 1, unfreeze_at from 0 to 1 and validation_share from 0 to below 1, "
                f"got {self.steps}, {self.batch}, {self.unfreeze_at:g}, {self.validation_share:g}"
            )
        if min(self.grid_step, self.pool_step) < 1 or min(self.overlap, self.hidden) < 0:
            raise ValueError(
                "wanted grid_step and pool_step of at least 1, overlap and hidden of at least 0, "
                f"got {self.grid_step}, {self.pool_step}, {self.overlap}, {self.hidden}"
            )
        if not (0 <= self.head_dropout < 1 and 0 <= self.mlp_dropout < 1):
            raise ValueError(
                f"wanted head_dropout and mlp_dropout from 0 to below 1, got {self.head_dropout:g}, {self.mlp_dropout:g}"
            )
        if not 0 <= self.balanced_share <= 1 or (self.balanced_share and (self.cuts != "random" or self.unfreeze_at)):
            raise ValueError(
                "wanted a balanced_share from 0 to 1, above 0 only with cuts=random and unfreeze_at=0, "
                f"got {self.balanced_share:g}, {self.cuts}, {self.unfreeze_at:g}"
            )
        if not 0 <= self.upright_share <= 1:
            raise ValueError(f"wanted an upright_share from 0 to 1, got {self.upright_share:g}")
        if self.context_members < 0 or self.context_hidden < 1:
            raise ValueError(
                "wanted context_members of at least 0 and context_hidden of at least 1, "
                f"got {self.context_members}, {self.context_hidden}"
            )
        if self.read_beside and (not self.statistics or self.unfreeze_at or self.head != "mlp"):
            raise ValueError(
                "context_members= reads the statistics of frames and learns with the encoder, and waveform.width= stands "
                f"beside such a network: wanted statistics=true, unfreeze_at=0 and head=mlp, got "
                f"{str(self.statistics).lower()}, {self.unfreeze_at:g} and {self.head}"
            )
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"wanted epochs of at least 1, got {self.epochs}")
        if self.epochs is not None and self.cuts != "grid":
            raise ValueError("epochs= counts passes over the grid: say cuts=grid, or steps= instead")

    @property
    def read_beside(self) -> bool:
        """Whether something else reads what the encoder is given, or the samples."""
        return self.context_members > 0 or self.waveform.width > 0


def fresh_head(
    config: FinetuneConfig, layers: int, width: int, classes: int, normalisation: Normalisation | None = None
) -> Head | RecurrentHead:
    """The untrained head that the settings ask for, for states (layers, B, T, width).

    normalisation : of the network's inputs, for what reads the context.
    """
    if config.head == "deepconvlstm":
        return RecurrentHead(width, classes, config.head_dropout)
    head = Head(layers, width, config.hidden, classes, config.weighted, config.mlp_dropout)
    if config.context_members:  # after the rest, which begins as it does without
        if normalisation is None:
            raise ValueError(
                "what reads the context reads magnitudes: wanted the normalisation of the network's inputs"
            )
        members, hidden = config.context_members, config.context_hidden
        head.context = ContextReader(len(normalisation.mean), classes, members=members, hidden=hidden).told(
            normalisation
        )
    if config.waveform.width:
        shape = {"width": config.waveform.width, "dropout": config.waveform.dropout}
        head.waveform = WaveformReader(classes, **shape)
        if config.waveform.single:
            head.single = nn.ModuleDict({sensor: WaveformReader(classes, **shape, sensor=sensor) for sensor in SENSORS})
    return head


def train(
    network: Network,
    material: Material,
    extractor: Extractor,
    config: FinetuneConfig,
    seed: int,
    *,
    pool: Pool | None,
) -> list[float]:
    """Train `network` in place, all but a reader of samples (`train_waveform`); the loss of every step.

    extractor : of the same network; makes spectra and frozen states.
    pool : where outputs of the frozen encoder are kept; None: they are computed afresh in every step.
    """
    total = material.steps(config)
    frozen_until = total * config.unfreeze_at if network.encoder is not None else 0
    betas = (config.beta1, config.beta2)
    if config.weight_decay:
        head = network.head.parameters()
        optimizer = torch.optim.AdamW(head, lr=config.rate, betas=betas, weight_decay=config.weight_decay, fused=True)
    else:
        optimizer = torch.optim.Adam(network.head.parameters(), lr=config.rate, betas=betas, fused=True)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    network.train()
    if network.encoder is not None:
        network.encoder.train(config.frozen_dropout)
    kept = material.pooled(pool, config.pool_step, seed) if pool is not None and frozen_until > 0 else None
    thawed, losses = network.encoder is None, []
    seen = Seen(material.shares()) if config.balanced_share else None
    for step in range(total):
        seed_torch(seed_of("downstream dropout", seed, step))
        if not thawed and step >= frozen_until:
            assert network.encoder is not None
            optimizer.add_param_group({"params": network.encoder.parameters()})  # with fresh moments, as the release
            network.encoder.train()
            thawed = True
        share = share_of_rate(step, total, config)
        peaks = (config.rate, config.encoder_rate or config.rate)  # of the head; of the encoder, once it is there
        for group, peak in zip(optimizer.param_groups, peaks, strict=False):
            group["lr"] = peak * share
        with autocast(extractor.precision, extractor.device):
            if kept is not None and not thawed:
                states, truth = kept.batch(config.batch, seed_of("pool", seed, step), extractor.device)
                logits = [network.head(states)]
            else:
                windows, alteration = material.windows(config, seed, step), seed_of("augment", seed, step)
                spectra, valid, truth = material.spectra(windows, extractor, config.augment, alteration)
                attended = None if extractor.attend_padding else valid
                frozen = None if thawed else extractor.states(spectra, valid)
                logits = network.members(spectra, attended) if frozen is None else [network.head(frozen)]
        if seen is not None:
            seen.count(truth)
            logits = [seen.corrected(member.float()) for member in logits]
        loss, *others = [frame_cross_entropy(member.float(), truth) for member in logits]
        optimizer.zero_grad()
        sum(others, loss).backward()
        if config.clip is not None:
            for part in network.parts():
                torch.nn.utils.clip_grad_norm_(part, config.clip)
        optimizer.step()
        losses.append(loss.detach())
    network.eval()
    return finite(losses)


def share_of_rate(step: int, total: int, config: FinetuneConfig) -> float:
    """What part of its rate update `step` (from 0) of `total` is done with.

    >>> cosine = FinetuneConfig(schedule="cosine", warmup_steps=2)
    >>> [round(share_of_rate(step, 4, cosine), 3) for step in range(4)]
    [0.5, 0.854, 0.5, 0.146]
    """
    if config.schedule == "exponential":
        return exponential(step, start=1.0, factor=config.decay, over=config.decay_steps or total)
    return min(1.0, (step + 1) / max(1, config.warmup_steps)) * 0.5 * (1 + math.cos(math.pi * step / total))


def finite(losses: Sequence[Tensor]) -> list[float]:
    """The loss of every step as a number; FloatingPointError where training ended without one."""
    values = [float(loss) for loss in losses]
    if not math.isfinite(values[-1]):
        raise FloatingPointError(f"the loss became {values[-1]}; lower rate=")
    return values


def frame_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean over the labelled frames: logits (B, T, K), truth (B, T) with -1 for none; 0 if there is none at all."""
    known = truth >= 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    return F.cross_entropy(logits[known], truth[known])
