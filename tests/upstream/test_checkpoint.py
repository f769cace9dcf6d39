"""A model folder is written and read back, or refused by name."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from selfpab.activities import Activities
from selfpab.config import ConfigError
from selfpab.downstream.head import Head
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.upstream.checkpoint import (
    Upstream,
    load_strictly,
    open_model,
    open_upstream,
    save_model,
    weights_sha256,
)
from selfpab.upstream.encoder import EncoderConfig

SMALL = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16, identical_layers=True)
SHAPE = SpectrogramConfig(window_frames=21)
TWO = Activities("mine", (3, 1), ("jump", "walk fast"), {9: 1})
TRAINED = {"corpora": [{"name": "c", "sha256": "0"}], "hours": 1.5, "people": 2}


def made(seed=0):
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    moments = (chance.uniform(0.1, 3, 156).astype(np.float32) for _ in range(2))
    return Upstream.fresh(SMALL, SHAPE, Normalisation(*moments, "somebody"), TRAINED)


@pytest.fixture
def folder(tmp_path):
    return save_model(tmp_path / "model", made(), card="# a card\n")


def test_an_upstream_model_comes_back_whole(folder):
    wanted, found = made(), open_model(folder)
    assert weights_sha256(wanted.encoder.state_dict()) == found.upstream.sha256 == found.config["encoder_sha256"]
    for name, value in wanted.encoder.state_dict().items():
        torch.testing.assert_close(found.upstream.encoder.state_dict()[name], value, rtol=0, atol=0)
    np.testing.assert_array_equal(found.upstream.normalisation.mean, wanted.normalisation.mean)
    np.testing.assert_array_equal(found.upstream.normalisation.std, wanted.normalisation.std)
    assert found.upstream.normalisation.source == "somebody"
    assert (found.upstream.encoder_config, found.upstream.spectrogram) == (SMALL, SHAPE)
    assert found.upstream.trained == TRAINED
    assert (found.head, found.activities, found.config["kind"]) == ({}, None, "upstream")
    assert not found.upstream.encoder.training
    assert (folder / "README.md").read_text() == "# a card\n"
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "normalisation.json",
        "weights.safetensors",
    ]


def test_a_classifier_comes_back_with_its_classes(tmp_path):
    head = Head(2, 12, 5, 2)
    about = {"people": 7}
    save_model(tmp_path, made(), card="", head=head.state_dict(), activities=TWO, downstream=about)
    found = open_model(str(tmp_path))
    assert found.activities == TWO
    assert found.config["kind"] == "classifier"
    assert found.config["downstream"] == about
    assert set(found.head) == set(head.state_dict())
    torch.testing.assert_close(found.head["hidden.weight"], head.hidden.weight.detach(), rtol=0, atol=0)
    assert json.loads((tmp_path / "classes.json").read_text())["classes"][0] == {"code": 3, "name": "jump"}


def test_a_fine_tuned_model_is_no_encoder_to_build_on(tmp_path):
    save_model(tmp_path / "encoder", made(), card="")
    assert open_upstream(tmp_path / "encoder").sha256 == made().sha256
    save_model(tmp_path / "tuned", made(), card="", head=Head(2, 12, 5, 2).state_dict(), activities=TWO)
    with pytest.raises(ConfigError, match=r"tuned is a fine-tuned model, .*wanted the encoder that `selfpab pretrain`"):
        open_upstream(tmp_path / "tuned")


def test_a_model_that_replaces_a_classifier_keeps_nothing_of_it(tmp_path):
    save_model(tmp_path, made(), card="", head=Head(2, 12, 5, 2).state_dict(), activities=TWO)
    save_model(tmp_path, made(1), card="")
    found = open_model(tmp_path)
    assert (found.activities, found.head) == (None, {})


def test_a_kill_while_replacing_leaves_nothing_that_loads(folder, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("selfpab.upstream.checkpoint.save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        save_model(folder, made(1), card="")
    with pytest.raises(FileNotFoundError, match=r"it has no config.json"):
        open_model(folder)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "normalisation.json"])
def test_what_is_missing_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"is no model folder: it has no {name}. Wanted .*selfpab pretrain"):
        open_model(folder)


def test_another_form_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"form": 7}))
    with pytest.raises(ValueError, match="has form 7, this selfpab reads form 1"):
        open_model(folder)


@pytest.mark.parametrize("change", [{"encoder": {"d_model": 12, "depth": 3}}, {"spectrogram": None}])
def test_settings_that_are_not_known_are_an_error_that_names_the_file(folder, change):
    config = json.loads((folder / "config.json").read_text()) | change
    config = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"config.json is of another version, or damaged: .*(depth|spectrogram)"):
        open_model(folder)


def test_settings_that_came_later_have_their_defaults(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["encoder"]["identical_layers"]
    (folder / "config.json").write_text(json.dumps(config))
    assert open_model(folder).upstream.encoder_config.identical_layers is False


def test_weights_that_are_cut_off_are_an_error_that_names_the_file(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"weights.safetensors cannot be read"):
        open_model(folder)


def test_keys_that_do_not_fit_are_all_listed(folder):
    path = folder / "weights.safetensors"
    weights = load_file(path)
    del weights["encoder.layers.1.widen.bias"], weights["encoder.projection.bias"]
    weights["encoder.extra"] = torch.zeros(2)
    weights["encoder.reconstruction.bias"] = torch.zeros(4)
    save_file(weights, path)
    with pytest.raises(ValueError, match="does not fit the network") as error:
        open_model(folder)
    lines = str(error.value).splitlines()
    assert sorted(line.strip() for line in lines[1:]) == [
        "missing layers.1.widen.bias (16,)",
        "missing projection.bias (12,)",
        "reconstruction.bias has shape (4,), wanted (156,)",
        "unexpected extra (2,)",
    ]
    assert "weights.safetensors" in lines[0]


def test_nothing_is_loaded_where_something_does_not_fit():
    module = torch.nn.Linear(2, 2)
    before = module.weight.detach().clone()
    with pytest.raises(ValueError, match="missing bias"):
        load_strictly(module, {"weight": torch.zeros(2, 2)}, "here")
    torch.testing.assert_close(module.weight.detach(), before, rtol=0, atol=0)


def test_the_hash_sees_names_shapes_and_values():
    one = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    others = [
        {"a": torch.zeros(3, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "c": torch.ones(1)},
        {"a": torch.zeros(2, 3), "b": torch.ones(1) * 2},
        {"a": torch.zeros(2, 3).double(), "b": torch.ones(1)},
    ]
    assert len({weights_sha256(w) for w in (one, *others)}) == 5
    assert weights_sha256(dict(reversed(one.items()))) == weights_sha256(one)
    assert weights_sha256({"a": one["a"], "b": one["b"].bfloat16()}) != weights_sha256(one)
