"""A model as one ONNX file: what onnxruntime makes of raw acceleration is what the model predicts."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from selfpab.activities import Activities
from selfpab.data.simulation import NO_FAULTS, simulate
from selfpab.downstream.context import ContextReader
from selfpab.downstream.head import Head
from selfpab.downstream.waveform import WaveformReader
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.features.uprightness import STANDING_BACK, upright_turns
from selfpab.inference.model import Model, load
from selfpab.inference.probability_maps import ProbabilityMap
from selfpab.recording import Recording, Segment
from selfpab.sharing import onnx_export as module
from selfpab.sharing.onnx_export import export_onnx
from selfpab.upstream.checkpoint import Upstream
from selfpab.upstream.encoder import EncoderConfig

THREE = Activities("three", (30, 10, 20), ("lie down", "sit", "walk (fast)"))
NUMBERS = ("rate_hz", "frame_samples", "hop_samples", "window_samples", "step_frames")
SHAPE = SpectrogramConfig(window_frames=21)


class Sharper(Model):
    """Whose probabilities are not the bare softmax."""

    def chances(self, logits):
        return (2.5 * logits).softmax(-1)


def model_of(kind=Model, *, norm_first, weighted, statistics, context=False):
    torch.manual_seed(0)
    shape = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16, norm_first=norm_first, statistics=statistics)
    std = np.linspace(1, 5, 156, dtype=np.float32)
    std[3] = 0  # becomes 1e-10, and what it divides is large
    numbers = Normalisation(np.linspace(0, 9, 156, dtype=np.float32), std)
    upstream = Upstream.fresh(shape, SHAPE, numbers)
    with torch.no_grad():
        upstream.encoder.projection.weight[:, 3] = 0
    upstream.encoder.eval()
    head = Head(2, 12, 9, 3, weighted).eval()
    with torch.no_grad():
        head.output.weight.mul_(5)
    if context:
        head.context = ContextReader(156, 3, members=2, hidden=6).told(numbers).eval()
        head.waveform = WaveformReader(3, width=16).eval()
    return kind(upstream, head, THREE, {"downstream": {"finetune": {"overlap": 0}}}, "fp32")


@pytest.fixture(scope="module")
def small():
    return model_of(Sharper, norm_first=True, weighted=True, statistics=True, context=True)


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    return path, export_onnx(small, path)


def windows_of(model, samples, count, seed=0):
    """Acceleration (count, samples, 6), and what the model says of the frames of each, (count, frames, 3)."""
    chance = np.random.default_rng(seed)
    values = chance.normal(0, 1, (count, samples, 6)).astype(np.float32)
    values *= chance.uniform(0.02, 2, (count, 1, 6)).astype(np.float32)
    made = [Recording("p", None, 50.0, one, segments=(Segment(0, samples, 0.0),)) for one in values]
    return values, np.stack([model.predict(one).frames.values for one in made])


@pytest.mark.parametrize(("samples", "count"), [(550, 3), (550, 1), (300, 2), (75, 4), (50, 1)])
def test_it_gives_what_the_model_predicts(small, written, samples, count):
    session = onnxruntime.InferenceSession(written[0])
    given, expected = windows_of(small, samples, count, seed=samples)
    (found,) = session.run(["probabilities"], {"acceleration": given})
    assert found.dtype == np.float32
    assert found.shape == expected.shape == (count, (samples - 50) // 25 + 1, 3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert np.ptp(found, axis=(0, 1)).max() > 0.05 or samples == 50


def test_what_stands_behind_the_last_frame_is_left_out(written):
    session = onnxruntime.InferenceSession(written[0])
    given = np.random.default_rng(1).normal(0, 1, (2, 124, 6)).astype(np.float32)
    whole, cut = (session.run(None, {"acceleration": values})[0] for values in (given, given[:, :100]))
    assert whole.shape == (2, 3, 3)
    np.testing.assert_allclose(whole, cut, atol=1e-6)


@pytest.mark.slow
def test_a_network_like_the_authors_is_exported(tmp_path):
    model = model_of(norm_first=False, weighted=False, statistics=False)
    worst = export_onnx(model, tmp_path / "m.onnx")
    given, expected = windows_of(model, 550, 2)
    (found,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {"acceleration": given})
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert 0 <= worst < 1e-5


@pytest.mark.slow
def test_the_model_in_the_box_needs_what_its_file_says(tmp_path):
    """Turned backs before, the calibration of seconds after: then it gives what `predict` gives."""
    model = load("default", precision="fp32")
    export_onnx(model, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    about = session.get_modelmeta().custom_metadata_map
    longest = json.loads(about["window_samples"])
    (given,) = simulate(1, longest / 50 / 3600, seed=1, faults=NO_FAULTS)
    given = replace(given, samples=given.acceleration_g @ lean(20.0), counts_per_g=None)
    turns = upright_turns(given, json.loads(about["upright_share"]))
    turned = turns.applied(given.acceleration_g[None], np.array([0]))
    assert json.loads(about["standing_back"]) == STANDING_BACK.tolist()
    expected = model.predict(given)
    found = {
        name: session.run(None, {"acceleration": np.ascontiguousarray(values)})[0][0]
        for name, values in (("turned", turned), ("as it was", given.acceleration_g[None]))
    }
    np.testing.assert_allclose(found["turned"], expected.frames.values, rtol=0, atol=1e-4)
    assert np.abs(found["as it was"] - expected.frames.values).max() > 1e-2
    halves = np.concatenate(
        [found["turned"][:1], (found["turned"][1:] + found["turned"][:-1]) / 2, found["turned"][-1:]]
    )
    seconds = halves.reshape(-1, 2, halves.shape[1]).mean(1)
    believed = ProbabilityMap.from_json(json.loads(about["calibration"])["map"])(seconds)
    columns = list(model.activities.columns)
    np.testing.assert_allclose(believed, expected.seconds.select(columns).to_numpy(), rtol=0, atol=1e-4)


def lean(degrees):
    """A rotation of the back about y, for rows of six axes."""
    turn = np.eye(6, dtype=np.float32)
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn[0, 0], turn[0, 2], turn[2, 0], turn[2, 2] = c, s, -s, c
    return turn


def test_the_file_says_what_it_is(written, small):
    session = onnxruntime.InferenceSession(written[0])
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape[2]) == ("acceleration", "tensor(float)", 6)
    assert (made.name, made.type, made.shape[2]) == ("probabilities", "tensor(float)", 3)
    assert all(isinstance(size, str) for size in given.shape[:2])  # any number of windows, and of samples
    about = session.get_modelmeta().custom_metadata_map
    classes = [{"code": 30, "name": "lie down"}, {"code": 10, "name": "sit"}, {"code": 20, "name": "walk (fast)"}]
    assert json.loads(about["classes"]) == classes
    assert json.loads(about["channels"]) == ["back_x", "back_y", "back_z", "thigh_x", "thigh_y", "thigh_z"]
    numbers = {key: json.loads(about[key]) for key in NUMBERS}
    assert numbers == {"rate_hz": 50, "frame_samples": 50, "hop_samples": 25, "window_samples": 550, "step_frames": 21}
    assert (about["unit"], about["encoder_sha256"]) == ("g", small.upstream.sha256)
    assert (
        json.loads(about["standing_back"])
        is json.loads(about["upright_share"])
        is json.loads(about["calibration"])
        is None
    )


def test_a_longer_window_than_the_models_is_refused(written):
    session = onnxruntime.InferenceSession(written[0])
    with pytest.raises(Exception, match=r"Non-zero status code returned while running Add node"):
        session.run(None, {"acceleration": np.zeros((1, 575, 6), np.float32)})


def test_a_file_that_does_not_agree_is_not_written(written, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_exported", lambda graph: onnx.load(written[0]))
    other = model_of(norm_first=True, weighted=True, statistics=True)  # without `Sharper`
    with pytest.raises(RuntimeError, match=r"differ by 0\.\d+ in a probability: nothing was written"):
        export_onnx(other, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_has_nothing_to_export(small, tmp_path):
    with pytest.raises(ValueError, match="only a fine-tuned model has classes to export: selfpab finetune"):
        export_onnx(replace(small, head=None), tmp_path / "m.onnx")


def test_without_the_extra_it_says_how_to_get_it(small, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(RuntimeError, match=r"pip install 'selfpab\[export\]'"):
        export_onnx(small, tmp_path / "m.onnx")
