"""Where and how exactly a loop runs: one CPU, one GPU, or the processes that `torchrun` started (DESIGN 7)."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from selfpab.allocator import keep_freed_memory
from selfpab.config import ConfigError
from selfpab.upstream.lost_processes import LOST_S
from selfpab.workers import threads_each

Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda"]  # auto: a GPU where there is one


def chosen_device(device: Device) -> torch.device:
    """The device that `device=` means here; ConfigError where it is not there.

    >>> chosen_device("cpu")
    device(type='cpu')
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device=cuda: there is no GPU that this torch can use; say device=cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def resolved_precision(precision: Precision, device: torch.device | None = None) -> Literal["fp32", "bf16"]:
    """`auto` is bf16 where the processor computes in it (measured 2 to 4 times fp32), fp32 elsewhere.

    >>> resolved_precision("fp32")
    'fp32'
    """
    if precision != "auto":
        return precision
    if (device is not None and device.type == "cuda") or (device is None and torch.cuda.is_available()):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return "bf16" if any(check() for check in checks if check is not None) else "fp32"


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """For code outside Fabric."""
    wanted = resolved_precision(precision, device) == "bf16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


@contextmanager
def tiniest_as_zero() -> Iterator[None]:
    """Within, numbers below 1e-38 count as 0 on the CPU, for which a processor takes a hundred times as long as for others.

    Where only the last of 234 steps of a recurrent network is asked for, gradients of the first ones are such numbers: a
    training step of `deepconvlstm-ts` in fp32 took 2.5 times as long, on noise 12 times. The setting is a thread's own, and
    others of torch would take it over and keep it: so within there is one thread, which for such a network is nearly as fast
    as two.
    """
    threads = torch.get_num_threads()
    before = not torch.tensor([1e-40]).mul(1.0).any()  # torch can be told, but not asked
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
        torch.set_num_threads(threads)


def make_fabric(precision: Precision) -> Fabric:
    """A launched Fabric: alone, or one of the processes of `torchrun` (DDP; gloo on CPU, nccl on GPUs).

    The processes on one machine share out its cores; torchrun itself gives each one thread where OMP_NUM_THREADS is unset.
    """
    keep_freed_memory()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # config.yaml and environment.json say it all
    kind = "bf16-mixed" if resolved_precision(precision) == "bf16" else "32-true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning about unused accelerators and environments
        # never accelerator="auto": it would take Apple's MPS, which has no float64
        kind_of_device = "cuda" if torch.cuda.is_available() else "cpu"
        if "TORCHELASTIC_RUN_ID" in os.environ:
            local, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
            torch.set_num_threads(min(torch.get_num_threads(), threads_each(local)))
            # views: gradients lie in memory once, not twice
            strategy = DDPStrategy(timeout=timedelta(seconds=LOST_S), gradient_as_bucket_view=True)
            fabric = Fabric(
                accelerator=kind_of_device, devices=local, num_nodes=world // local, strategy=strategy, precision=kind
            )
        else:
            fabric = Fabric(accelerator=kind_of_device, devices=1, precision=kind)
        fabric.launch()
    return fabric


def seed_torch(seed: int) -> None:
    """Torch's global generators, which initialisation and dropout use."""
    torch.manual_seed(seed)


def settle(device: torch.device) -> None:
    """Wait until a GPU has done what it was given; elsewhere everything is done at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
