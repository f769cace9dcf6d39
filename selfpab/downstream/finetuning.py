"""Training the head on states of a frozen encoder (paper, section 4.2); the encoder stays frozen for now.

Legend: B windows, T frames, K classes. Adam, rate falling exponentially by `decay` over all steps, plain cross-entropy
over the labelled frames, no class weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selfpab.downstream.head import Head
from selfpab.downstream.states import Kept
from selfpab.seeding import seed_of
from selfpab.upstream.engine import seed_torch
from selfpab.upstream.schedule import exponential


@dataclass(frozen=True)
class FinetuneConfig:
    steps: int = 2000  # section 4.2
    batch: int = 32  # section 4.2
    hidden: int = 1028  # section 4.2
    rate: float = 1e-4  # section 4.2
    decay: float = 0.1  # section 4.2: over all steps
    beta1: float = 0.9  # not in the paper; from the release, as the next
    beta2: float = 0.98
    skip_share: float = 0.2  # section 4.2: the first fifth of every subject is not trained on
    pool_step: int = 240  # ours, frames between the cuts among which a batch chooses
    overlap: int = 0  # frames that neighbouring windows share in prediction; 0: side by side, section 4.2


def train_head(
    pool: Sequence[Kept], labels: Sequence[np.ndarray], head: Head, config: FinetuneConfig, seed: int
) -> list[float]:
    """Train `head` in place; the loss of every step.

    pool, labels : per recording its states and the class index of every frame, int64 (W, T), -1 for no loss.
    """
    places = [(i, w) for i, states in enumerate(pool) for w in range(len(states.values))]
    if not places:
        raise ValueError(
            "no training windows: every recording is shorter than a second after the first fifth is left out"
        )
    if config.steps < 1 or config.batch < 1:
        raise ValueError(f"steps and batch must be at least 1, got {config.steps} and {config.batch}")
    optimizer = torch.optim.Adam(head.parameters(), lr=config.rate, betas=(config.beta1, config.beta2))
    losses = []
    head.train()
    for step in range(config.steps):
        chance = np.random.default_rng(seed_of("cuts", seed, step))
        chosen = [places[i] for i in chance.integers(len(places), size=config.batch)]
        values = torch.from_numpy(np.stack([pool[i].values[w] for i, w in chosen], axis=1)).float()
        truth = torch.from_numpy(np.stack([labels[i][w] for i, w in chosen]))
        for group in optimizer.param_groups:
            group["lr"] = exponential(step, start=config.rate, factor=config.decay, over=config.steps)
        loss = frame_cross_entropy(head(values), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if not np.isfinite(losses[-1]):
        raise FloatingPointError(f"the loss of the head became {losses[-1]}; lower rate=")
    head.eval()
    return losses


def frame_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean over the labelled frames: logits (B, T, K), truth (B, T) with -1 for none; 0 if there is none at all."""
    known = truth >= 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    return F.cross_entropy(logits[known], truth[known])


def fresh_head(layers: int, width: int, classes: int, config: FinetuneConfig, seed: int) -> Head:
    """An untrained head, the same for the same seed."""
    seed_torch(seed_of("head", seed))
    return Head(layers, width, config.hidden, classes)
