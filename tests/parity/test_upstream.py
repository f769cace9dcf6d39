"""Agreement with numbers made by the authors' code (tests/golden/README.md)."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from selfpab.config import load
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import spectrogram
from selfpab.upstream.authors import POSITIONS, our_name, read_weights
from selfpab.upstream.checkpoint import load_strictly
from selfpab.upstream.encoder import Encoder, EncoderConfig, positions
from selfpab.upstream.masking import alter, draw, masked_l1
from selfpab.upstream.pretraining import PretrainConfig, learning_rate
from selfpab.upstream.schedule import exponential

AUTHORS = load(PretrainConfig, preset="authors", section="pretrain")


def test_g1_spectrogram(golden):
    with np.load(golden / "g1_stft.npz") as g1:
        ours = spectrogram(torch.from_numpy(g1["signal"])[None], frame_samples=50, hop_samples=25)[0].flatten(1)
        assert ours.shape == (599, 156)
        np.testing.assert_allclose(ours.numpy(), g1["spec_raw"], rtol=1e-5, atol=1e-5 * g1["spec_raw"].max())


@pytest.mark.shared
def test_g1_normalised_with_the_authors_numbers(golden, shared):
    with np.load(golden / "g1_stft.npz") as g1, np.load(shared / "golden" / "g1_norm.npz") as norm:
        normalise = Normalisation(norm["mean"].astype(np.float32), norm["std"].astype(np.float32))
        ours = normalise(spectrogram(torch.from_numpy(g1["signal"])[None], frame_samples=50, hop_samples=25).flatten(2))
        np.testing.assert_allclose(ours[0].numpy(), norm["spec_norm"], rtol=1e-5, atol=1e-5 * norm["spec_norm"].max())


def test_g2_every_layer_of_a_genuine_checkpoint(golden):
    weights, heads = read_weights(golden / "g2_small_upstream.ckpt")
    shape = {"d_model": 60, "layers": 2, "heads": heads, "d_feedforward": 64, "dropout": 0.1, "attention_dropout": 0.1}
    encoder = Encoder(156, **shape)
    load_strictly(encoder, weights, "g2")
    encoder.eval()
    with np.load(golden / "g2_small_io.npz") as g2, torch.no_grad():
        x = torch.from_numpy(g2["x"])
        states = encoder.hidden_states(x)
        embedded = encoder.projection(x) + positions(599, 60, torch.device("cpu"))
        pairs = {"emb": embedded, "layer0": states[0], "layer1": states[1], "encoder": states[1], "y": encoder(x)}
        for name, ours in pairs.items():
            np.testing.assert_allclose(ours.numpy(), g2[name], rtol=0, atol=5e-6, err_msg=name)
        np.testing.assert_allclose(encoder(x[:, :37]).numpy(), g2["y_short37"], rtol=0, atol=5e-6)


def test_g2_padding_does_not_change_what_is_real(golden):
    weights, heads = read_weights(golden / "g2_small_upstream.ckpt")
    encoder = Encoder(156, d_model=60, layers=2, heads=heads, d_feedforward=64, dropout=0.1, attention_dropout=0.1)
    load_strictly(encoder, weights, "g2")
    encoder.eval()
    with np.load(golden / "g2_small_io.npz") as g2, torch.no_grad():
        x = torch.from_numpy(g2["x"]).clone()
        x[:, 37:] = 1e3
        valid = torch.arange(599).expand(2, 599) < 37
        np.testing.assert_allclose(encoder(x, valid)[:, :37].numpy(), g2["y_short37"], rtol=0, atol=5e-6)


def test_g3_every_key_and_shape_of_the_paper_size_checkpoint(golden):
    listed = json.loads((golden / "g3_state_dict_full.json").read_text())
    with torch.device("meta"):
        encoder = Encoder(156, **asdict(EncoderConfig()))
    ours = {name: list(value.shape) for name, value in encoder.state_dict().items()}
    theirs = {our_name(row["key"]): row["shape"] for row in listed["state_dict"] if row["key"] != POSITIONS}
    assert len(listed["state_dict"]) == len(ours) + 1 == 53
    assert theirs == ours
    assert sum(p.numel() for p in encoder.parameters()) == listed["n_parameters"]


def test_g5_masking_statistics(golden):
    """2,000 windows; every tolerance is at least four standard errors of our own and the golden's draw together."""
    g5 = json.loads((golden / "g5_mask_stats.json").read_text())
    clean = torch.ones(2000, 599, 1, 26)
    noise = draw(2000, 599, 26, torch.Generator().manual_seed(11))
    altered, mask = alter(clean, torch.ones(2000, 599, dtype=torch.bool), noise, AUTHORS.masking)
    frames, bins = mask[:, :, 0].all(2), mask[:, :, 0].all(1)
    touched = frames.sum(1)[frames.any(1)].double()
    wanted = g5["frames_altered_given_altered"]
    assert touched.mean().item() == pytest.approx(wanted["mean"], abs=4 * 2.41 * (1 / 900 + 1 / 1800) ** 0.5)
    assert touched.std().item() == pytest.approx(wanted["std"], abs=0.35)
    assert touched.max().item() <= 87
    assert frames.any(1).double().mean().item() == pytest.approx(0.9, abs=0.04)
    assert bins.any(1).double().mean().item() == pytest.approx(g5["freq_applied_fraction"], abs=0.04)
    assert set(bins.sum(1).tolist()) == set(g5["freq_bins_altered_values"])
    assert mask.double().mean().item() == pytest.approx(g5["mask_M_mean"], abs=0.008)
    zeroed = ((altered[:, :, 0] == 0).all(2) & frames).any(1).double().mean().item()
    assert zeroed == pytest.approx(g5["time_kind_fraction"]["zero"], abs=0.05)
    hits = bins.sum(0)
    assert hits[25] == 0 == g5["freq_index_hits"][25]
    shares = hits.double() / 2000
    assert torch.allclose(shares, torch.tensor(g5["freq_index_hits"]).double() / 1000, atol=0.06)
    assert frames.sum(0)[598] == 0 == g5["time_index_hits"]["598"]
    assert frames.sum(0)[0] / 2000 == pytest.approx(g5["time_index_hits"]["0"] / 1000, abs=0.03)


def test_g5_masked_l1(golden):
    with np.load(golden / "g5_masked_l1.npz") as g5:
        chance = np.random.RandomState(int(g5["seed"]))
        clean, rebuilt = (torch.from_numpy(chance.standard_normal((4, 599, 156)).astype(np.float32)) for _ in range(2))
        mask = torch.from_numpy(g5["mask"]).bool()
        assert masked_l1(rebuilt, clean, mask).item() == pytest.approx(float(g5["loss"]), rel=1e-6)
        for window in range(4):
            one = slice(window, window + 1)
            each = masked_l1(rebuilt[one], clean[one], mask[one]).item()
            assert each == pytest.approx(float(g5["per_sample"][window]), rel=1e-6)


def test_g5_learning_rates(golden):
    with np.load(golden / "g5_lr_used_per_step.npz") as g5:
        config = load(PretrainConfig, preset="authors", section="pretrain", settings=["steps=1000"])
        ours = [learning_rate(step, config) for step in range(1000)]
        np.testing.assert_allclose(ours, g5["linear_wu_1000"], rtol=1e-12, atol=0)
        for steps in (2000, 3000):
            rates = [exponential(step, start=1e-4, factor=0.8, over=200) for step in range(steps)]
            np.testing.assert_allclose(rates, g5[f"exp_tf_{steps}"], rtol=1e-12, atol=0)
