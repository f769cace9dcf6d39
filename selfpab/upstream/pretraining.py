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
from lightning_fabric import Fabric

from selfpab.config import ConfigError
from selfpab.data.store import Corpus
from selfpab.data.windows import Windows, validation_people
from selfpab.features.normalisation import Moments, Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.progress import Progress, duration
from selfpab.seeding import seed_of
from selfpab.upstream.batches import all_real, spectra
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig
from selfpab.upstream.engine import Precision, seed_torch, settle
from selfpab.upstream.lost_processes import others_watched
from selfpab.upstream.masking import MaskingConfig, alter, draw, masked_l1
from selfpab.upstream.padded_encoder import fast_form
from selfpab.upstream.run import Log, card, how_to_go_on, open_run, resume, save_checkpoint
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
    accumulate: int = 1  # parts, one after the other, of a process's share of the batch: memory of one, the same step
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
    compile: bool = False  # ours: torch.compile, for GPUs; the first step takes minutes
    long: bool = False  # run even if it is expected to take more than 48 h


def check_inputs(config: PretrainConfig) -> None:
    """ConfigError for what an encoder is given in fine-tuning only, and pre-training would pass over."""
    encoder = config.encoder
    if wrong := [key for key in ("statistics", "upright_share") if getattr(encoder, key)]:
        key = wrong[0]
        raise ConfigError(
            f"encoder.{key}={getattr(encoder, key)}: pre-training rebuilds bare spectra of the signals as they are; leave it "
            f"out, and say finetune.{key} or method selfpab-plus on the finished encoder"
        )


class TooLong(RuntimeError):
    """The run would take more than 48 hours, and nobody said long=yes."""


def pretrain(corpus: Corpus, config: PretrainConfig, run: Path, fabric: Fabric, *, quiet: bool = False) -> Upstream:
    """Train until `config.steps`, from the newest checkpoint in the folder `run` if there is one.

    Writes config.yaml, environment.json, metrics.jsonl, checkpoints, and at the end `model/`. Raises ConfigError for
    inputs that belong to fine-tuning, ValueError for a folder that holds a run with other settings, TooLong,
    FloatingPointError when the loss is no longer finite, and ProcessLost when another process of the run is gone.
    """
    check_inputs(config)
    own = own_parts(config, fabric)
    training, validation, normalisation = training_data(corpus, config)
    open_run(run, config, corpus, fabric)

    seed_torch(seed_of("weights", config.seed))
    upstream = Upstream.fresh(config.encoder, config.spectrogram, normalisation, _trained(corpus, config, training))
    optimizer = torch.optim.AdamW(
        upstream.encoder.parameters(),
        lr=config.peak_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        fused=True,  # one pass over the weights instead of ten: a quarter of the time, on CPU as well
    )
    model, optimizer = fabric.setup(fast_form(upstream.encoder, fabric.device, compiled=config.compile), optimizer)
    state = {"model": upstream.encoder, "optimizer": optimizer, "step": 0}
    first = resume(run, state, fabric)
    if fabric.world_size > 1:
        # DDP lays gradients out anew after its first pass, and of three numbers or more the sum depends on where they lie
        empty = torch.zeros(1, config.spectrogram.window_frames, len(normalisation.mean), device=fabric.device)
        fabric.backward(model(empty).sum())
        optimizer.zero_grad()
    progress = Progress("pre-training", config.steps, done=first, quiet=quiet or not fabric.is_global_zero)
    watch = Stopwatch(config, first)

    watched = others_watched(fabric.world_size, lambda: how_to_go_on(run))
    with watched, Log(run, first, fabric) as log, progress:
        for step in range(first, config.steps):
            noise = torch.Generator(fabric.device).manual_seed(seed_of("mask", config.seed, step))
            draws = draw(config.batch, config.spectrogram.window_frames, config.spectrogram.bins, noise)
            loss = torch.zeros((), device=fabric.device)
            for part, rows in own.items():
                seed_torch(seed_of("dropout", config.seed, step, part))
                batch = training.take(step * config.batch + rows.start, rows.stop - rows.start)
                clean, valid = spectra(batch, normalisation, config.spectrogram, fabric.device)
                altered, mask = alter(clean, valid, draws[rows], config.masking)
                with fabric.no_backward_sync(model, enabled=part != max(own)):  # type: ignore[arg-type]
                    rebuilt = model(altered.flatten(2), None if all_real(batch) else valid)
                    share = masked_l1(rebuilt, clean.flatten(2), mask.flatten(2)) / len(own)
                    fabric.backward(share)
                loss += share.detach()

            rate = learning_rate(step, config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
            state["step"] = step + 1

            note = ""
            if due(step, config.log_every, config.steps):
                mean = float(fabric.all_reduce(loss))  # type: ignore[arg-type]
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
            if step - first in (0, 3):  # what has only been handed to a GPU is not done yet
                settle(fabric.device)
            if expected := watch.expected(step):
                progress.say(f"expected duration {duration(expected)}")
            progress.advance(note=note)
    upstream.encoder.eval().cpu()
    if fabric.is_global_zero and not (first == config.steps and (run / "model" / "config.json").is_file()):
        save_model(run / "model", upstream, card=card(upstream, config, log.last))
    fabric.barrier()
    return upstream


def own_parts(config: PretrainConfig, fabric: Fabric) -> dict[int, slice]:
    """The parts of every batch that this process computes: number of the part in the batch, rows of the batch.

    Windows and masks belong to rows, dropout to parts: a run of two processes and one of `accumulate=2` are the same.
    """
    if config.accumulate < 1:
        raise ValueError(f"accumulate must be at least 1, got {config.accumulate}")
    size, rest = divmod(config.batch, fabric.world_size * config.accumulate)
    if rest or not size:
        times = f" times accumulate={config.accumulate}" if config.accumulate > 1 else ""
        raise ValueError(f"batch must be a multiple of the {fabric.world_size} processes{times}, got {config.batch}")
    first = fabric.global_rank * config.accumulate
    return {part: slice(part * size, (part + 1) * size) for part in range(first, first + config.accumulate)}


def training_data(corpus: Corpus, config: PretrainConfig) -> tuple[Windows, Windows | None, Normalisation]:
    """Windows of the training people, of the people held out, and the normalisation of the training people."""
    held_out = validation_people(corpus.people, config.validation_share, config.seed)
    people = sorted(set(corpus.people) - set(held_out))
    shape = config.spectrogram
    cut: dict[str, Any] = {
        "window_frames": shape.window_frames,
        "frame_samples": shape.frame_samples,
        "hop_samples": shape.hop_samples,
        "seed": config.seed,
    }
    training = Windows(corpus, people=people, hours=config.hours, shift=config.shift, **cut)
    validation = Windows(corpus, people=held_out, **cut) if held_out else None
    sums = (Moments(*own) for own in corpus.sums(people))
    return training, validation, Moments.joined(sums).normalisation(f"{len(people)} people of {corpus.folder.name}")


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
