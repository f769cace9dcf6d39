"""The pre-training loop (paper, sections 3.1 and 4.1; Figure 1, left).

A batch is a function of the step: windows by their place, masks and dropout by addressed seeds. A run that is killed at
any moment goes on from its newest checkpoint to the same weights. Legend: B windows, T frames, C channels, F bins.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from lightning_fabric import Fabric
from torch import Tensor

from selfpab.data.store import Corpus
from selfpab.data.windows import Batch, Windows, validation_people
from selfpab.features.normalisation import Moments, Normalisation
from selfpab.features.spectrograms import SpectrogramConfig, window_spectra
from selfpab.progress import Progress, duration
from selfpab.seeding import seed_of
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig
from selfpab.upstream.engine import Precision, seed_torch
from selfpab.upstream.masking import MaskingConfig, alter, draw, masked_l1
from selfpab.upstream.run import Log, card, open_run, resume, save_checkpoint
from selfpab.upstream.schedule import warmup_then_linear

LONGEST_S = 48 * 3600.0  # beyond, a run must be asked for with long=yes (DESIGN 3)


@dataclass(frozen=True)
class PretrainConfig:
    spectrogram: SpectrogramConfig = field(default_factory=SpectrogramConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    hours: float | None = None  # unlabelled hours used, as nested subsets; none: all
    shift: bool = False  # ours: windows lie elsewhere in every epoch; more variety where a corpus is small
    steps: int = 937_500  # section 4.1: 50 epochs of 100,000 h, 12 windows an hour, 64 a step
    batch: int = 64  # section 4.1; over all processes
    peak_rate: float = 1e-4  # section 4.1
    final_rate: float = 1e-6  # section 4.1
    warmup: float = 0.07  # section 4.1, fraction of the steps
    first_at_peak: bool = False  # the release does its first update at the peak rate
    weight_decay: float = 1e-5  # section 4.1
    beta1: float = 0.9  # not in the paper; from the release, as the next
    beta2: float = 0.98
    validation_share: float = 0.1  # ours: of the people; the paper does not say
    validation_windows: int = 64  # ours; at most, with the same masks every time
    validate_every: int = 1000
    log_every: int = 50
    save_every: int = 1000
    seed: int = 0
    precision: Precision = "auto"
    long: bool = False  # run even if it is expected to take more than 48 h


class TooLong(RuntimeError):
    """The run would take more than 48 hours, and nobody said long=yes."""


def pretrain(corpus: Corpus, config: PretrainConfig, run: Path, fabric: Fabric, *, quiet: bool = False) -> Upstream:
    """Train until `config.steps`, from the newest checkpoint in the folder `run` if there is one.

    Writes config.yaml, environment.json, metrics.jsonl, checkpoints, and at the end `model/`. Raises ValueError for a
    folder that holds a run with other settings, TooLong, and FloatingPointError when the loss is no longer finite.
    """
    training, validation, normalisation = training_data(corpus, config)
    if config.batch % fabric.world_size:
        raise ValueError(f"batch must be a multiple of the {fabric.world_size} processes, got {config.batch}")
    share = config.batch // fabric.world_size
    own = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)
    open_run(run, config, corpus, fabric)

    seed_torch(seed_of("weights", config.seed))
    upstream = Upstream.fresh(config.encoder, config.spectrogram, normalisation, _trained(corpus, config, training))
    optimizer = torch.optim.AdamW(
        upstream.encoder.parameters(),
        lr=config.peak_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
    )
    model, optimizer = fabric.setup(upstream.encoder, optimizer)
    state = {"model": model, "optimizer": optimizer, "step": 0}
    first = resume(run, state, fabric)
    progress = Progress("pre-training", config.steps, done=first, quiet=quiet or not fabric.is_global_zero)
    watch = Stopwatch(config, first)

    with Log(run, first, fabric) as log, progress:
        for step in range(first, config.steps):
            seed_torch(seed_of("dropout", config.seed, step, fabric.global_rank))
            noise = torch.Generator(fabric.device).manual_seed(seed_of("mask", config.seed, step))
            draws = draw(config.batch, config.spectrogram.window_frames, config.spectrogram.bins, noise)[own]
            batch = training.take(step * config.batch + own.start, share)

            clean, valid = spectra(batch, normalisation, config.spectrogram, fabric.device)
            altered, mask = alter(clean, valid, draws, config.masking)
            loss = masked_l1(model(altered.flatten(2), valid), clean.flatten(2), mask.flatten(2))
            fabric.backward(loss)

            rate = learning_rate(step, config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
            state["step"] = step + 1

            note = ""
            if due(step, config.log_every, config.steps):
                mean = float(fabric.all_reduce(loss.detach()))  # type: ignore[arg-type]
                if not math.isfinite(mean):
                    raise FloatingPointError(f"the loss became {mean} by step {step + 1}; the last checkpoint is sound")
                log(step + 1, loss=mean, rate=rate, seconds_per_step=watch.per_step(step))
                note = f"loss {mean:.4f}"
            if due(step, config.validate_every, config.steps) and validation is not None:
                held_out = validation_loss(upstream, validation, config, fabric)
                log(step + 1, validation_loss=held_out)
                progress.say(f"step {step + 1}: held-out loss {held_out:.4f}")
            if due(step, config.save_every, config.steps):
                check_finite(upstream.encoder, step)
                save_checkpoint(run, state, fabric)
            if expected := watch.expected(step):
                progress.say(f"expected duration {duration(expected)}")
            progress.advance(note=note)
    upstream.encoder.eval().cpu()
    if fabric.is_global_zero and not (first == config.steps and (run / "model" / "config.json").is_file()):
        save_model(run / "model", upstream, card=card(upstream, config, log.last))
    fabric.barrier()
    return upstream


def training_data(corpus: Corpus, config: PretrainConfig) -> tuple[Windows, Windows | None, Normalisation]:
    """Windows of the training people, of the people held out, and the normalisation of the training people."""
    held_out = validation_people(corpus.people, config.validation_share, config.seed)
    people = [person for person in corpus.people if person not in held_out]
    shape = config.spectrogram
    cut: dict[str, Any] = {
        "window_frames": shape.window_frames,
        "frame_samples": shape.frame_samples,
        "hop_samples": shape.hop_samples,
        "seed": config.seed,
    }
    training = Windows(corpus, people=people, hours=config.hours, shift=config.shift, **cut)
    validation = Windows(corpus, people=held_out, **cut) if held_out else None
    sums = [Moments(e.frames, e.spectrum_sum, e.spectrum_squares) for e in corpus.entries if e.subject in set(people)]
    return training, validation, Moments.joined(sums).normalisation(f"{len(people)} people of {corpus.folder.name}")


def spectra(
    batch: Batch, normalisation: Normalisation, shape: SpectrogramConfig, device: torch.device
) -> tuple[Float[Tensor, "B T C F"], Bool[Tensor, "B T"]]:
    """Normalised spectrograms of a batch, made on the device, and which frames are real; padding is zero."""
    counts, scale, frames = (
        torch.from_numpy(array).to(device, non_blocking=True)
        for array in (batch.counts, batch.counts_per_g, batch.frames)
    )
    raw, valid = window_spectra(counts, scale, frames, shape)
    clean = normalisation(raw) * valid[..., None]
    return clean.unflatten(2, (-1, shape.bins)), valid


def learning_rate(step: int, config: PretrainConfig) -> float:
    """Rate of update `step`, from 0."""
    return warmup_then_linear(
        step,
        config.steps,
        warmup=config.warmup,
        peak=config.peak_rate,
        final=config.final_rate,
        first_at_peak=config.first_at_peak,
    )


@torch.no_grad()
def validation_loss(
    upstream: Upstream, windows: Windows, config: PretrainConfig, fabric: Fabric, *, batch: int = 16
) -> float:
    """Masked L1 on the first windows of the people held out, under masks that never change."""
    count = min(len(windows), config.validation_windows)
    shape, total = config.spectrogram, 0.0
    noise = torch.Generator(fabric.device).manual_seed(seed_of("validation masks", config.seed))
    draws = draw(count, shape.window_frames, shape.bins, noise)
    upstream.encoder.eval()
    for first in range(0, count, batch):
        here = min(batch, count - first)
        clean, valid = spectra(windows.take(first, here), upstream.normalisation, shape, fabric.device)
        altered, mask = alter(clean, valid, draws[first : first + here], config.masking)
        with fabric.autocast():
            rebuilt = upstream.encoder(altered.flatten(2), valid)
        total += here * masked_l1(rebuilt, clean.flatten(2), mask.flatten(2)).item()
    upstream.encoder.train()
    return total / count


def check_finite(encoder: torch.nn.Module, step: int) -> None:
    """A checkpoint with a NaN in it would be worse than none."""
    if not all(bool(parameter.isfinite().all()) for parameter in encoder.parameters()):
        raise FloatingPointError(f"weights are no longer finite after step {step + 1}; the last checkpoint is sound")


def due(step: int, every: int, steps: int) -> bool:
    """Is it time? Always on the last step.

    >>> [step for step in range(10) if due(step, 4, 10)]
    [3, 7, 9]
    """
    return (step + 1) % every == 0 or step + 1 == steps


class Stopwatch:
    """Seconds per step, and after three steps how long the whole will take."""

    def __init__(self, config: PretrainConfig, first: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.config, self.first, self.clock = config, first, clock
        self.began = self.mark = clock()
        self.marked = first

    def per_step(self, step: int) -> float:
        """Mean since the last call."""
        now = self.clock()
        mean = (now - self.mark) / max(1, step + 1 - self.marked)
        self.mark, self.marked = now, step + 1
        return mean

    def expected(self, step: int) -> float | None:
        """Seconds for what is left, once, after three steps (the first, slow, does not count); or TooLong."""
        if step == self.first:
            self.began = self.clock()
        if step != self.first + 3:
            return None
        left = (self.clock() - self.began) / 3 * (self.config.steps - step - 1)
        if left > LONGEST_S and not self.config.long:
            raise TooLong(
                f"this would take about {duration(left)}; take preset=small, fewer steps=, a GPU, or say long=yes"
            )
        return left


def _trained(corpus: Corpus, config: PretrainConfig, training: Windows) -> dict[str, object]:
    return {
        "corpora": [{"name": corpus.folder.name, "sha256": corpus.checksum}],
        "people": len(training.people()),
        "held_out": list(validation_people(corpus.people, config.validation_share, config.seed)),
        "hours": round(training.hours, 3),
        "steps": config.steps,
        "batch": config.batch,
        "seed": config.seed,
        "masking": asdict(config.masking),
    }
