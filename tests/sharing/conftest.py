"""A small model, and a hub on this machine."""

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from selfpab.activities import Activities
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.inference.decisions import Decision
from selfpab.inference.doubt import Coverage
from selfpab.inference.minutes import Intervals
from selfpab.inference.model_names import CALIBRATION
from selfpab.inference.probability_maps import ProbabilityMap
from selfpab.inference.trust import Trust, write_trust
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig

sys.path.insert(0, str(Path(__file__).parent))
from hub_server import as_the_hub


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A fine-tuned model of two classes and few numbers."""
    torch.manual_seed(0)
    shape = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    numbers = Normalisation(np.full(156, 2, np.float32), np.full(156, 3, np.float32))
    upstream = Upstream.fresh(shape, SpectrogramConfig(window_frames=21), numbers)
    folder = save_model(
        tmp_path_factory.mktemp("models") / "two",
        upstream,
        card="# Two\n",
        head=Head(2, 12, 9, 2).state_dict(),
        activities=Activities("two", (7, 1), ("sitting", "walking")),
        downstream={"finetune": asdict(FinetuneConfig(hidden=9))},
    )
    sure = Coverage(0.55, 0.9, 0.95)
    decision, intervals = Decision((1.0, 0.8), (1, 2)), Intervals((2.0, 3.0), 0.9, 5, 30.0)
    write_trust(folder / CALIBRATION, Trust(ProbabilityMap(1.5, 0.02), decision, sure, intervals))
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub that huggingface_hub takes for the real one, with an empty cache and a token."""
    with as_the_hub(monkeypatch, tmp_path / "cache") as answers:
        yield answers
