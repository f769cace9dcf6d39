"""Training the reader of samples: by itself, on pieces of other people's signals, before or after the network (ours).

Legend: B pieces, T frames, C channels (6).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpab.downstream.augmentation import AugmentConfig
from selfpab.downstream.balance import Seen
from selfpab.downstream.finetuning import finite, frame_cross_entropy
from selfpab.downstream.frame_inputs import FrameInputs, in_places
from selfpab.downstream.material import Material
from selfpab.downstream.states import Extractor
from selfpab.downstream.waveform import HOP, WaveformConfig, WaveformReader
from selfpab.features.batch_rows import rows_at
from selfpab.recording import CHANNELS, UNLABELLED
from selfpab.seeding import seed_of
from selfpab.upstream.engine import autocast, seed_torch

WARMUP = 0.1  # share of the steps in which the rate rises
CLIP = 1.0  # largest norm of the gradients
MIRRORED = 0.5  # share of the pieces
LATERAL = torch.tensor([name.endswith("_y") for name in CHANNELS])  # the other way round in a body's mirror image


def train_waveform(
    reader: WaveformReader,
    material: Material,
    extractor: Extractor,
    config: WaveformConfig,
    seed: int,
    *,
    upright: bool = True,
) -> list[float]:
    """Train `reader` in place; the loss of every step. A step depends on its number and `seed` alone.

    extractor : of the network it stands in: turns, precision, device.
    upright : with the back sensor turned as for the network. What reads one sensor is not: without the thigh's nobody knows
        when somebody stands.
    """
    longest = math.ceil(config.frames * math.exp(config.stretch)) + 1
    seen, augment = Seen(material.shares()), AugmentConfig(config.tilt_deg, config.gain)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=config.rate, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=config.rate, total_steps=max(2, config.steps), pct_start=WARMUP
    )
    for parameter in reader.parameters():
        parameter.requires_grad_(True)
    reader.train()
    losses = []
    for step in range(config.steps):
        chance = np.random.default_rng(seed_of("waveform pieces", seed, step))
        seed_torch(seed_of("waveform dropout", seed, step))
        factors = np.exp(chance.uniform(-config.stretch, config.stretch, config.batch))
        windows = []
        for place, factor in enumerate(factors.tolist()):
            number = material.frames.drawn(chance, balanced=place % 2 == 1)
            length = math.ceil(config.frames * factor) + 1
            windows.append(material.frames.window(number, chance, length=length, padded_to=longest))
        address = seed_of("waveform augment", seed, step)
        samples, real, truth = material.samples(windows, extractor, augment, address, upright=upright)
        (cells,) = FrameInputs(samples=HOP).beside(samples)
        cells, _ = in_places(cells, real)
        signals, counts = cells.unflatten(2, (HOP, -1)).flatten(1, 2), torch.from_numpy(real.sum(axis=1))
        given, valid, truth = stretched(
            signals, counts, torch.from_numpy(truth), torch.from_numpy(factors), config.frames
        )
        mirrored = torch.from_numpy(chance.random(config.batch) < MIRRORED)
        given = torch.where(mirrored[:, None, None, None] & LATERAL, -given, given).flatten(2)
        with autocast(extractor.precision, extractor.device):
            logits = reader(given.to(extractor.device), valid.to(extractor.device))
        seen.count(truth)
        loss = frame_cross_entropy(seen.corrected(logits.float()), truth.to(extractor.device))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(reader.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    reader.eval()
    return finite(losses)


def stretched(
    signals: Float[Tensor, "B P C"],
    counts: Int[Tensor, " B"],
    truth: Int[Tensor, "B L"],
    factors: Float[Tensor, " B"],
    frames: int,
) -> tuple[Float[Tensor, "B T H C"], Bool[Tensor, "B T"], Int[Tensor, "B T"]]:
    """The beginnings of signals, `factors` times as fast: `frames` frames of H samples, which are real, and their classes.

    signals : samples side by side, HOP for each of L frames, of which the first `counts` are real.
    truth : of these, -1 for no loss, as behind the end of what is made.

    >>> rising = torch.arange(75.0).view(1, 75, 1)
    >>> given, valid, truth = stretched(rising, torch.tensor([3]), torch.tensor([[0, 1, 2]]), torch.tensor([1.5]), 2)
    >>> given[0, 0, :3, 0].tolist(), valid.tolist(), truth.tolist()
    ([0.0, 1.5, 3.0], [[True, True]], [[0, 2]])
    """
    places = torch.arange(frames * HOP, dtype=torch.float64) * factors.double()[:, None]
    low = places.long()
    last = (counts * HOP - 1)[:, None]
    valid = (low < last).unflatten(1, (frames, HOP)).all(2)
    low = low.minimum(last - 1).clamp(min=0)
    share = (places - low).float()[..., None]
    values = torch.lerp(rows_at(signals, low), rows_at(signals, low + 1), share).unflatten(1, (frames, HOP))
    middles = ((torch.arange(frames) + 0.5) * factors.double()[:, None]).long().clamp(max=truth.shape[1] - 1)
    return values * valid[..., None, None], valid, torch.where(valid, truth.gather(1, middles), UNLABELLED)
