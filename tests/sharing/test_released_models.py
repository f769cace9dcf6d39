"""A classifier of the authors' code becomes a model folder that gives what their code gives."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpab.activities import HAR70PLUS, HARTH
from selfpab.config import ConfigError
from selfpab.downstream.release import POSITIONS
from selfpab.inference.frame_windows import chosen_windows
from selfpab.inference.model import load
from selfpab.recording import Recording
from selfpab.sharing.released_models import ImportConfig, activities_of, import_released
from selfpab.upstream.encoder import positions

BEFORE = "upstream_models.0."
ENCODER = f"{BEFORE}upstream_model."
OUTPUT = "prediction_head.mlp.out_layer.weight"


@pytest.fixture
def numbers(tmp_path):
    folder = tmp_path / "normalisation"
    folder.mkdir()
    np.savetxt(folder / "mean.csv", np.zeros(156))
    np.savetxt(folder / "std.csv", np.ones(156))
    return folder


@pytest.fixture
def config(numbers):
    return ImportConfig(normalisation=str(numbers), heads=6)


@pytest.fixture
def state(golden):
    """Of golden g8: the encoder of g2 and the head of g8, by the names that g8 lists."""
    theirs = torch.load(golden / "g2_small_upstream.ckpt", weights_only=True)["state_dict"]
    listed = json.loads((golden / "g8_downstream_keys.json").read_text())["downstream"]
    found = {}
    with np.load(golden / "g8_downstream_model.npz") as g8:
        for name, shape in listed:
            if name == POSITIONS:
                found[name] = positions(shape[1], shape[2], torch.device("cpu")).clone()[None]
            elif name.startswith(ENCODER):
                place = name.removeprefix(ENCODER)
                prefix = {"0": "emb", "1": "transformer_encoder"}[place[0]]
                found[name] = theirs[prefix + place[1:]]
            else:
                found[name] = torch.from_numpy(g8["head." + name.removeprefix("prediction_head.")])
    return found


@pytest.fixture
def checkpoint(state, tmp_path):
    """What Lightning writes of it: hyper-parameters that do not say how many heads the encoder has."""

    def write(change=lambda content: None, **args):
        content = {
            "epoch": 15,
            "pytorch-lightning_version": "1.6.4",
            "state_dict": dict(state),
            "hyper_parameters": {"args": {"output_dim": 12, "rmv_upstream_layers": 4, "lr": "1e-4", **args}},
        }
        change(content)
        torch.save(content, tmp_path / "theirs.ckpt")
        return tmp_path / "theirs.ckpt"

    return write


def test_it_becomes_a_folder_that_computes_the_same(checkpoint, config, golden, tmp_path):
    folder = import_released(checkpoint(), tmp_path / "model", config)
    model = load(folder, precision="fp32")
    assert model.activities.codes == (1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 130, 140)
    assert chosen_windows("auto", model.finetune) == "authors"
    assert model.upstream.trained == {"imported": "theirs.ckpt", "reconstruction": "none: zeros"}
    with np.load(golden / "g2_small_io.npz") as g2, np.load(golden / "g8_downstream_model.npz") as g8, torch.no_grad():
        states = torch.stack(model.upstream.encoder.hidden_states(torch.from_numpy(g2["x"])))
        logits = model.head(states)
        np.testing.assert_allclose(logits.numpy(), g8["logits"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(model.chances(logits).numpy(), g8["probs"], rtol=0, atol=1e-5)
    card = (folder / "README.md").read_text()
    assert "`theirs.ckpt`" in card
    assert "cycling (stand, inactive)" in card
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".json", ".json", ".md", ".safetensors"]


def test_it_predicts_through_their_windows(checkpoint, config, tmp_path):
    model = load(import_released(checkpoint(), tmp_path / "model", config), precision="fp32")
    shape = replace(model.upstream.spectrogram, window_frames=21)
    small = replace(model, upstream=replace(model.upstream, spectrogram=shape), config={})
    values = np.random.default_rng(0).normal(0, 1, (1310, 6)).astype(np.float32)
    given = Recording("p", None, 50.0, values)
    one, theirs = (small.predict(given, windows=windows) for windows in ("ours", "authors"))
    assert one.seconds.height == theirs.seconds.height == 27
    assert np.abs(one.probabilities - theirs.probabilities).max() > 1e-3
    short = model.predict(given).probabilities  # shorter than a window: one, of its own length
    assert short.shape == (1310, 12)


def test_a_weighted_sum_and_a_single_layer_are_read_too(checkpoint, config, tmp_path):
    def weighted(content):
        content["state_dict"] |= {f"{BEFORE}weighted_sum.weights.{i}": torch.tensor(0.5 + i) for i in range(2)}

    head = load(import_released(checkpoint(weighted), tmp_path / "a", config)).head
    assert head.layer_weights.tolist() == [0.5, 1.5]

    def linear(content):
        kept = {k: v for k, v in content["state_dict"].items() if "layer0.linear_relu" not in k}
        content["state_dict"] = kept | {OUTPUT: torch.ones(12, 60)}

    assert load(import_released(checkpoint(linear), tmp_path / "b", config)).head.hidden is None


def test_an_encoder_is_imported_as_before(golden, config, tmp_path):
    ours = import_released(golden / "g2_small_upstream.ckpt", tmp_path / "model", replace(config, heads=None))
    assert load(ours).head is None
    with pytest.raises(ConfigError, match="is an encoder without a head: leave classes= out"):
        import_released(golden / "g2_small_upstream.ckpt", tmp_path / "model", replace(config, classes="1,2"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop(OUTPUT), r"misses \['output.weight'\]; it has:"),
        (lambda s: s.pop(f"{ENCODER}0.lin_proj_layer.weight"), r"misses \['projection.weight'\]"),
        (lambda s: s.pop(f"{ENCODER}1.layers.1.norm2.weight"), r"missing layers.1.norm_feedforward.weight \(60,\)"),
        (lambda s: s.pop("prediction_head.mlp.layer0.linear_relu.0.bias"), r"the head in .* missing hidden.bias"),
        (lambda s: s.update({"upstream_models.1.x": torch.ones(1)}), "not of a released classifier:\n  upstream_models.1"),
        (lambda s: s.update({POSITIONS: s[POSITIONS] + 0.01}), "differs from the sine table by 0.01"),
    ],
    ids=["output", "projection", "layer", "hidden", "branches", "positions"],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_says_what_is_wrong(checkpoint, config, tmp_path, change, message):
    path = checkpoint(lambda content: change(content["state_dict"]))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        import_released(path, tmp_path / "model", config)
    assert not (tmp_path / "model" / "config.json").exists()


def test_heads_are_as_the_checkpoint_says_or_as_given(checkpoint, config, tmp_path):
    with pytest.raises(
        ValueError, match=r"does not say how many heads it has .*: say heads=6, if it is of the released"
    ):
        import_released(checkpoint(), tmp_path / "model", replace(config, heads=None))
    said = import_released(checkpoint(nhead=3), tmp_path / "model", replace(config, heads=None))
    assert load(said).upstream.encoder_config.heads == 3
    with pytest.raises(ValueError, match="says that it has 3 heads, got heads=6: leave it out"):
        import_released(checkpoint(nhead=3), tmp_path / "model", config)


def test_classes_are_those_of_the_release_or_as_given():
    assert activities_of("", 12).names[-1] == "cycling (stand, inactive)"
    assert activities_of("", 7) == HAR70PLUS
    assert activities_of("", 12).codes == HARTH.unmerged().codes
    assert activities_of("8, 7,1", 3).names == ("lying", "sitting", "walking")
    for codes, outputs, message in (
        ("", 10, "the head has 10 outputs: say which, as classes=6,3,1"),
        ("1,2", 3, "the head has 3 outputs, and classes=1,2 names 2"),
        ("walking", 1, "classes must be codes with commas between them, as 6,3,1, got 'walking'"),
    ):
        with pytest.raises(ConfigError, match=message):
            activities_of(codes, outputs)


def test_without_normalisation_it_says_what_is_wanted(checkpoint, tmp_path):
    with pytest.raises(ConfigError, match=r"wanted normalisation=DIR \(the folder with mean.csv and std.csv\)"):
        import_released(checkpoint(), tmp_path / "model", ImportConfig())
