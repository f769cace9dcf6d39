"""A model that answers at once; what it answers does not matter here."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A model folder of two classes whose weights are random."""
    import torch

    from selfpab.activities import Activities
    from selfpab.downstream.finetuning import FinetuneConfig
    from selfpab.downstream.head import Head
    from selfpab.features.normalisation import Normalisation
    from selfpab.features.spectrograms import SpectrogramConfig
    from selfpab.upstream.checkpoint import Upstream, save_model
    from selfpab.upstream.encoder import EncoderConfig

    torch.manual_seed(0)
    shape = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    numbers = Normalisation(np.full(156, 2, np.float32), np.full(156, 3, np.float32))
    return save_model(
        tmp_path_factory.mktemp("model") / "tiny",
        Upstream.fresh(shape, SpectrogramConfig(), numbers),
        card="",
        head=Head(2, 12, 9, 2).state_dict(),
        activities=Activities("two", (7, 1), ("sitting", "walking")),
        downstream={"finetune": asdict(FinetuneConfig(hidden=9))},
    )
