"""Where and how exactly a loop runs."""

import subprocess
import sys
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from selfpab.upstream import engine
from selfpab.upstream.engine import autocast, make_fabric, resolved_precision, seed_torch, tiniest_as_zero
from selfpab.upstream.lost_processes import LOST_S

CPU = torch.device("cpu")


@pytest.fixture
def processor(monkeypatch):
    """A processor that can, or cannot, compute in bf16; no GPU."""

    def pretend(bf16=False, amx=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)

    return pretend


@pytest.mark.parametrize(
    ("bf16", "amx", "expected"),
    [(False, False, "fp32"), (True, False, "bf16"), (False, True, "bf16")],
)
def test_auto_is_what_the_processor_computes_in(processor, bf16, amx, expected):
    processor(bf16, amx)
    assert resolved_precision("auto") == expected
    assert resolved_precision("auto", CPU) == expected


def test_a_torch_that_cannot_tell_means_fp32(processor, monkeypatch):
    processor()
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name)
    assert resolved_precision("auto") == "fp32"


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_on_a_gpu(processor, monkeypatch, supported, expected):
    processor(bf16=not supported)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: supported and not including_emulation
    )
    assert resolved_precision("auto") == expected
    assert resolved_precision("auto", torch.device("cuda")) == expected
    assert resolved_precision("auto", CPU) != expected  # the device decides, where it is known


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_is_asked_for_is_done(processor, asked):
    processor(bf16=True)
    assert resolved_precision(asked) == asked
    with autocast(asked, CPU):
        made = torch.ones(2, 2) @ torch.ones(2, 2)
    assert made.dtype == {"fp32": torch.float32, "bf16": torch.bfloat16}[asked]


@pytest.mark.parametrize(("asked", "kind"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_fabric_computes_in_it_and_keeps_the_weights_in_fp32(asked, kind):
    fabric = make_fabric(asked)
    assert fabric.world_size == 1
    model = fabric.setup_module(torch.nn.Linear(3, 2))
    seen = []
    model.module.register_forward_hook(lambda module, given, made: seen.append(made.dtype))
    model(torch.ones(1, 3))
    assert seen == [kind]
    assert model.weight.dtype == torch.float32


def test_processes_of_torchrun_share_the_cores_and_do_not_wait_for_ever(monkeypatch):
    asked, threads = {}, []
    monkeypatch.setattr(engine, "Fabric", lambda **given: (asked.update(given), create_autospec(Fabric))[1])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(engine, "threads_each", lambda processes: {4: 2}[processes])
    for name, value in (("TORCHELASTIC_RUN_ID", "a"), ("LOCAL_WORLD_SIZE", "4"), ("WORLD_SIZE", "12")):
        monkeypatch.setenv(name, value)
    make_fabric("fp32")
    assert threads == [2]
    assert (asked["devices"], asked["num_nodes"]) == (4, 3)
    assert asked["strategy"]._timeout.total_seconds() == LOST_S == 300


def test_freed_memory_is_kept(monkeypatch):
    asked = []
    monkeypatch.setattr(engine, "keep_freed_memory", lambda: asked.append(True))
    make_fabric("fp32")
    assert asked == [True]


def test_a_seed_repeats():
    seed_torch(2**62)
    first = torch.rand(3)
    seed_torch(2**62)
    torch.testing.assert_close(torch.rand(3), first, rtol=0, atol=0)


def subnormals_that_stay():
    """Of a product that all threads of torch share in: the share of numbers below 1e-38 that are kept."""
    tiny = torch.full((1 << 20,), 1e-20)
    return float((tiny.mul(1e-20).numpy().view(np.int32) != 0).mean())


needs_flushing = pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor cannot treat subnormal numbers as zero"
)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@needs_flushing
def test_within_the_tiniest_numbers_are_zero_and_then_as_before(two_threads):
    assert subnormals_that_stay() == 1
    with tiniest_as_zero():
        assert subnormals_that_stay() == 0
        with tiniest_as_zero():
            pass
        assert subnormals_that_stay() == 0  # it was so before the inner one
    assert subnormals_that_stay() == 1
    assert torch.get_num_threads() == 2


@needs_flushing
def test_threads_that_begin_later_know_nothing_of_it():
    """In a process of its own: torch's other threads begin with the first product that is shared out."""
    code = (
        "import torch, tests.upstream.test_engine as here; torch.set_num_threads(2)\n"
        "with here.tiniest_as_zero(): here.subnormals_that_stay()\n"
        "print(here.subnormals_that_stay())"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert float(said.stdout) == 1


@needs_flushing
def test_an_error_within_leaves_it_as_before():
    with pytest.raises(RuntimeError), tiniest_as_zero():
        raise RuntimeError
    assert subnormals_that_stay() == 1
