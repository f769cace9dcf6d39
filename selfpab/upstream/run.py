"""A pre-training run is a folder (DESIGN 2): settings, environment, metrics, checkpoints.

A kill at any moment leaves a folder from which the same command goes on: everything is written beside its place and then
renamed, and `metrics.jsonl` is cut to the checkpoint.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from lightning_fabric import Fabric

from selfpab import config as settings
from selfpab.data.store import Corpus
from selfpab.provenance import environment
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.encoder import parameters_in
from selfpab.writing import write_text

if TYPE_CHECKING:
    from selfpab.upstream.pretraining import PretrainConfig

KEPT = 2  # newest checkpoints
FREE = {"log_every", "validate_every", "save_every", "long"}  # may change on resume: they do not touch the weights
HOW = {"accumulate": 1, "compile": False}  # may change too, with a warning: how the same is computed
BITS = ("machine", "precision", "threads", "processes", *HOW, "torch", "device")  # equal for equal bits


def open_run(run: Path, config: PretrainConfig, corpus: Corpus, fabric: Fabric) -> None:
    """Make the folder, or check that it holds the same run; warns where going on cannot be bit-equal."""
    new = yaml.safe_load(settings.dump("pretrain", config))["pretrain"]
    here = environment() | {
        "precision": str(fabric._precision.precision),
        "threads": torch.get_num_threads(),
        "processes": fabric.world_size,
        **{key: getattr(config, key) for key in HOW},
        "device": str(fabric.device.type),
        "corpus": corpus.checksum,
    }
    if (run / "config.yaml").is_file():
        old = yaml.safe_load((run / "config.yaml").read_text())["pretrain"]
        other = [key for key in new if key not in FREE | HOW.keys() and new[key] != old.get(key)]
        if other:
            changes = ", ".join(f"{key}: {old.get(key)} there, {new[key]} now" for key in other)
            raise ValueError(
                f"{run} holds a run with other settings ({changes}); take another folder, or the same settings"
            )
        before = HOW | json.loads((run / "environment.json").read_text())  # older runs do not say
        if before["corpus"] != here["corpus"]:
            raise ValueError(f"{run} was begun on another corpus; take another folder")
        for key in BITS if fabric.is_global_zero else ():
            if before.get(key) != here.get(key):
                warnings.warn(
                    f"{run} goes on with another {key} ({before.get(key)} -> {here.get(key)}): "
                    "the weights will not be bit-equal to those of a run never stopped",
                    stacklevel=2,
                )
    fabric.barrier()
    if fabric.is_global_zero:
        run.mkdir(parents=True, exist_ok=True)
        for left_over in run.glob(".step-*.part"):
            left_over.unlink()
        if not (run / "environment.json").is_file():
            write_text(run / "environment.json", json.dumps(here, indent=1) + "\n")
        write_text(run / "config.yaml", settings.dump("pretrain", config))
    fabric.barrier()


def checkpoints(run: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(run.glob("step-*.ckpt"))


def resume(run: Path, state: dict[str, Any], fabric: Fabric) -> int:
    """Fill `state` from the newest checkpoint; the step to go on with."""
    # the first process looks for all: on a network's disk, others may not see the newest file yet
    newest = fabric.broadcast(max((path.name for path in checkpoints(run)), default=""))
    if newest:
        fabric.load(run / newest, state, weights_only=True)
    return state["step"]


def how_to_go_on(run: Path) -> str:
    """A sentence for when a run ends too early.

    >>> how_to_go_on(Path("runs/a"))
    'runs/a has no checkpoint yet; the same command begins again'
    """
    found = checkpoints(run)
    if not found:
        return f"{run} has no checkpoint yet; the same command begins again"
    step = int(found[-1].stem.removeprefix("step-"))
    return f"{run} is whole up to step {step}; the same command goes on from there, with any number of processes"


def save_checkpoint(run: Path, state: dict[str, Any], fabric: Fabric) -> None:
    """Write beside, then rename: a kill while writing leaves the previous one."""
    name = f"step-{state['step']:08d}.ckpt"
    temporary = run / f".{name}.part"
    fabric.save(temporary, state)
    fabric.barrier()
    if fabric.is_global_zero:
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, run / name)
        for old in checkpoints(run)[:-KEPT]:
            old.unlink()
    fabric.barrier()


class Log:
    """metrics.jsonl, one object per logged step, and TensorBoard where it is installed."""

    def __init__(self, run: Path, first: int, fabric: Fabric) -> None:
        self.last: dict[str, float] = {}
        self.file = self.board = None
        if not fabric.is_global_zero:
            return
        path = run / "metrics.jsonl"
        if path.is_file():
            whole = [line for line in path.read_text().splitlines() if line.endswith("}")]
            kept = [line for line in whole if json.loads(line)["step"] <= first]
            for line in kept:
                self.last |= json.loads(line)
            write_text(path, "".join(line + "\n" for line in kept))
        self.file = open(path, "a")  # noqa: SIM115  closed by __exit__
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self.board = SummaryWriter(str(run / "tensorboard"), purge_step=first + 1)

    def __call__(self, step: int, **values: float) -> None:
        self.last |= {"step": step, **values}
        if self.file:
            self.file.write(json.dumps({"step": step, **values}) + "\n")
            self.file.flush()
        if self.board:
            for key, value in values.items():
                self.board.add_scalar(key, value, step)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        for open_thing in (self.file, self.board):
            if open_thing:
                open_thing.close()


def metrics(run: Path) -> list[dict[str, float]]:
    """All that was logged."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def card(upstream: Upstream, config: PretrainConfig, last: dict[str, float]) -> str:
    """The model card: what it is, what it has seen, how well it rebuilds, what it is not for."""
    trained = upstream.trained
    corpora = ", ".join(c["name"] for c in trained["corpora"])
    held_out = f"{last['validation_loss']:.4f}" if "validation_loss" in last else "not measured"
    shape, minutes = upstream.encoder_config, upstream.spectrogram.window_samples / 3000
    return f"""# SelfPAB encoder, {trained["hours"]:g} h

Pre-trained by `selfpab pretrain` to rebuild altered spectrograms of two accelerometers (lower back, thigh; 50 Hz; in g).

| | |
|---|---|
| network | {shape.layers} layers, width {shape.d_model}, {shape.heads} heads, {parameters_in([upstream.encoder]):,} parameters |
| data | {corpora}: {trained["hours"]:g} h of {trained["people"]} people; held out: {", ".join(trained["held_out"]) or "nobody"} |
| training | {config.steps:,} steps of {config.batch} windows of {minutes:.2g} min, seed {config.seed} |
| held-out masked L1 | {held_out} (normalised magnitudes; 0 is perfect) |

Not a classifier: `selfpab evaluate` and `selfpab finetune` build one on it. Magnitudes cannot see the sign of an axis.
Other placements, rates and devices were not tested. Not a medical device.
"""
