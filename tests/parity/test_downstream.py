"""The downstream half agrees with numbers made by the authors' code (tests/golden/README.md)."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpab.activities import HARTH
from selfpab.config import load
from selfpab.downstream import release
from selfpab.downstream.classifier import mean_over_windows
from selfpab.downstream.cuts import frame_pieces, on_a_grid
from selfpab.downstream.finetuning import frame_cross_entropy
from selfpab.downstream.frame_inputs import FrameInputs
from selfpab.downstream.head import Head, Network
from selfpab.downstream.material import Material
from selfpab.features.framing import frame_labels, samples_from_frames
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.methods import EvaluateConfig
from selfpab.recording import Recording, Segment
from selfpab.upstream.authors import read_weights
from selfpab.upstream.checkpoint import load_strictly
from selfpab.upstream.encoder import Encoder
from selfpab.upstream.schedule import exponential

PAPER = SpectrogramConfig()
TWELVE = HARTH.unmerged()
SUBJECTS = ("S906", "S907", "S908", "S909")  # the last is shorter than a window
TUNED = load(EvaluateConfig, preset="authors", section="evaluate").finetune
STEP = PAPER.window_frames - TUNED.overlap


@pytest.fixture(scope="module")
def g6(golden):
    with np.load(golden / "g6_downstream.npz") as file:
        return dict(file)


def recording_of(g6, subject):
    """With a gap in the middle, which the release does not see."""
    samples, middle = g6[f"{subject}_signal"], len(g6[f"{subject}_signal"]) // 2
    segments = (Segment(0, middle, 0.0), Segment(middle, len(samples), 9e3))
    return Recording(subject, None, 50.0, samples, g6[f"{subject}_labels"].astype(np.int16), segments)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_g6_frames_and_windows_of_training(g6, subject):
    recording = release.without_gaps(recording_of(g6, subject))
    (one,) = Material([recording], TWELVE, PAPER, TUNED.validation_share).people
    assert one.validation == []
    starts = np.concatenate([run[0] for run in one.training])
    np.testing.assert_array_equal(one.label_at[starts], g6[f"{subject}_train_frame_labels"])
    cuts = on_a_grid(one.training, length=599, step=TUNED.grid_step)
    assert len(cuts) == int(g6[f"{subject}_n_train_windows"])
    truth = one.truth(cuts)
    for window, labels in enumerate(truth):
        wanted = g6[f"{subject}_train_frame_labels"][12 * window :][:599]
        np.testing.assert_array_equal(labels[: len(wanted)], wanted)
        assert (labels[len(wanted) :] == -1).all()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_g6_frame_labels_and_windows_of_tests(g6, subject):
    recording = recording_of(g6, subject)
    padded = release.padded(release.without_gaps(recording), PAPER)
    wanted = g6[f"{subject}_infer_frame_labels"]
    starts = np.arange(len(wanted)) * 25
    assert len(padded) == starts[-1] + 50
    labels = np.full(len(padded), -1)
    labels[: len(recording)] = TWELVE.indices(recording.labels)
    ours = frame_labels(labels, starts, classes=12, frame_samples=50)
    whole = starts + 25 <= len(recording)  # at least half of the frame is real; else we give it no label
    np.testing.assert_array_equal(ours[whole], wanted[whole])
    assert (ours[~whole] == -1).all()
    assert (~whole).sum() <= 1
    cuts = release.prediction_windows(padded, PAPER, step=STEP)[:]
    counted = int(g6[f"{subject}_n_infer_windows"]) if subject != "S909" else 1  # the release counts the first only
    assert len(cuts) == counted
    assert len(np.unique(cuts.starts[cuts.starts >= 0])) == len(wanted) == -(-len(recording) // 25)


@pytest.mark.shared
@pytest.mark.parametrize("subject", SUBJECTS)
def test_g6_last_frames_of_tests(g6, subject, shared):
    with np.load(shared / "golden" / "g1_norm.npz") as norm:
        numbers = Normalisation(norm["mean"].astype(np.float32), norm["std"].astype(np.float32))
    padded = release.padded(release.without_gaps(recording_of(g6, subject)), PAPER)
    cuts = release.prediction_windows(padded, PAPER, step=STEP)[-1:]
    pieces = torch.from_numpy(frame_pieces(padded, cuts, 50))
    spectra, valid = FrameInputs().in_windows(pieces, cuts.starts >= 0, numbers)
    last = spectra[0][valid[0]][-3:].numpy()
    wanted = g6[f"{subject}_last_infer_frames"]
    assert 1 <= len(last) <= 3
    np.testing.assert_allclose(last, wanted[-len(last) :], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("subject", SUBJECTS[:3])  # of the last, this window is not counted
def test_g6_tails_of_the_last_windows_are_zero_after_normalisation(g6, subject):
    numbers = Normalisation(np.full(156, 3, np.float32), np.full(156, 5, np.float32))
    padded = release.padded(release.without_gaps(recording_of(g6, subject)), PAPER)
    cuts = release.prediction_windows(padded, PAPER, step=STEP)[-1:]
    spectra, _ = FrameInputs().in_windows(torch.from_numpy(frame_pieces(padded, cuts, 50)), cuts.starts >= 0, numbers)
    np.testing.assert_array_equal(spectra[0, -3:].numpy(), g6[f"{subject}_last_window_tail"])


@pytest.mark.parametrize("subject", SUBJECTS)
def test_g6_predictions_at_fifty_hertz(g6, subject):
    recording = recording_of(g6, subject)
    padded = release.padded(release.without_gaps(recording), PAPER)
    cuts = release.prediction_windows(padded, PAPER, step=STEP)
    frames = len(g6[f"{subject}_infer_frame_labels"])
    chance = np.random.RandomState(800 + SUBJECTS.index(subject))
    size = (int(g6[f"{subject}_n_infer_windows"]), min(599, frames))
    made = chance.dirichlet(0.3 * np.ones(12), size=size).astype(np.float32)
    windows = (values[real] for values, real in zip(made[: len(cuts)], cuts[:].starts >= 0, strict=True))
    values = mean_over_windows(zip(cuts.firsts.tolist(), windows, strict=True), frames)
    starts, stops = cuts.frame_starts, cuts.frame_stops
    assert len(values) == frames
    np.testing.assert_allclose(values[:5], g6[f"{subject}_frame_probs_first5"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(values[-5:], g6[f"{subject}_frame_probs_last5"], rtol=1e-6, atol=1e-9)
    samples = samples_from_frames(values, starts, stops, len(padded), frame_samples=50)[: len(recording)]
    np.testing.assert_array_equal(samples.argmax(1), g6[f"{subject}_pred50"])


@pytest.fixture(scope="module")
def g2_encoder(golden):
    weights, heads = read_weights(golden / "g2_small_upstream.ckpt")
    encoder = Encoder(156, d_model=60, layers=2, heads=heads, d_feedforward=64, dropout=0.1, attention_dropout=0.1)
    load_strictly(encoder, weights, "g2")
    return encoder.eval(), weights


@pytest.fixture(scope="module")
def keys(golden):
    return json.loads((golden / "g8_downstream_keys.json").read_text())


@pytest.mark.parametrize("kind", ["downstream", "with_weighted_sum"])
def test_g8_every_key_has_a_place(keys, g2_encoder, kind):
    """All but the reconstruction, which the release cuts off and our encoder keeps."""
    shapes = dict(keys["downstream"])
    listed = [row if isinstance(row, str) else row[0] for row in keys[kind]]
    chance = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shapes.get(name, []), generator=chance) for name in listed}
    encoder, head = release.our_weights(state)
    weighted = kind != "downstream"
    network = Network(g2_encoder[0], Head(2, 60, 1028, 12, weighted=weighted))
    assert len(encoder) + len(head) == len(listed) - 1 - weighted  # no table of positions, one vector for two scalars
    wanted = {name for name in network.encoder.state_dict() if not name.startswith("reconstruction.")}
    assert set(encoder) == wanted
    for name, value in encoder.items():
        assert value.shape == network.encoder.state_dict()[name].shape, name
    load_strictly(network.head, head, "g8")
    values = [v for v in state.values() if v.ndim == 0 or v.shape[0] != 1]  # all that is no table
    ours = [v for part in (encoder, head) for name, v in part.items() if name != "layer_weights"]
    assert {v.data_ptr() for v in ours} == {v.data_ptr() for v in values if v.ndim}  # each in one place
    if weighted:
        scalars = [state[f"upstream_models.0.weighted_sum.weights.{layer}"] for layer in range(2)]
        torch.testing.assert_close(network.head.layer_weights.detach(), torch.stack(scalars), rtol=0, atol=0)


def test_g8_encoder_keys_are_those_of_the_checkpoint(keys, g2_encoder):
    """Renamed twice, by the importer of encoders and by that of classifiers: the same weights at the same names."""
    _, weights = g2_encoder
    shapes = dict(keys["downstream"])
    encoder, _ = release.our_weights({name: torch.empty(shape) for name, shape in shapes.items()})
    assert set(weights) - set(encoder) == {"reconstruction.weight", "reconstruction.bias"}
    assert {name: value.shape for name, value in encoder.items()} == {name: weights[name].shape for name in encoder}


def test_g8_logits_probabilities_and_loss(golden, g2_encoder):
    with np.load(golden / "g8_downstream_model.npz") as g8, np.load(golden / "g2_small_io.npz") as g2:
        theirs = {
            f"prediction_head.{name.removeprefix('head.')}": torch.from_numpy(g8[name])
            for name in g8.files
            if name.startswith("head.")
        }
        _, head = release.our_weights(theirs)
        network = Network(g2_encoder[0], Head(2, 60, 1028, 12, weighted=False)).eval()
        load_strictly(network.head, head, "g8")
        x = torch.from_numpy(g2["x"])
        with torch.no_grad():
            features = network.head.features(network.states(x))
            logits = network(x)
            np.testing.assert_allclose(features[:, :20].numpy(), g8["features"], rtol=0, atol=1e-5)
            np.testing.assert_allclose(logits.numpy(), g8["logits"], rtol=0, atol=1e-5)
            np.testing.assert_allclose(logits.softmax(-1).numpy(), g8["probs"], rtol=0, atol=1e-5)
            truth = torch.from_numpy(np.where(g8["mask"] > 0, g8["y"], -1))
            assert (truth < 0).any()
            assert frame_cross_entropy(logits, truth).item() == pytest.approx(float(g8["masked_ce"]), abs=1e-5)
            weighted = Head(2, 60, 1028, 12)
            found = weighted.features(network.states(x))[:, :20]
            np.testing.assert_allclose(found.numpy(), g8["weighted_sum_features"], rtol=0, atol=1e-5)


def test_g5_learning_rates_of_the_preset(golden):
    with np.load(golden / "g5_lr_used_per_step.npz") as g5:
        for steps in (2000, 3000):
            ours = [exponential(k, start=TUNED.rate, factor=TUNED.decay, over=TUNED.decay_steps) for k in range(steps)]
            np.testing.assert_allclose(ours, g5[f"exp_tf_{steps}"], rtol=1e-12, atol=0)


def test_a_gap_changes_nothing_in_the_release(g6):
    recording = recording_of(g6, "S909")
    moved = replace(recording, segments=(Segment(0, len(recording), 0.0),))
    one, other = (release.padded(release.without_gaps(r), PAPER) for r in (recording, moved))
    np.testing.assert_array_equal(one.samples, other.samples)
    assert one.segments == other.segments
