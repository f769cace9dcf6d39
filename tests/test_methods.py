"""Methods by name, evaluated and fine-tuned on simulated people with an untrained encoder."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from selfpab import methods as module
from selfpab import simulate
from selfpab.activities import HARTH
from selfpab.config import ConfigError, load
from selfpab.data.simulation import NO_FAULTS, write_dataset
from selfpab.downstream import FinetuneConfig, HeadClassifier
from selfpab.evaluation.results import read_results
from selfpab.features.normalisation import Moments, recording_moments
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.inference.model import load as load_model
from selfpab.methods import METHODS, EvaluateConfig, LayerWeights, evaluate, finetune, method
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig

SMALL = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
TRAINED = {"corpora": [{"name": "c", "sha256": "0"}], "people": 5, "hours": 2.5, "steps": 7, "masking": {}}


@pytest.fixture(scope="module")
def people():
    return simulate(3, 0.1, seed=1, scenario="protocol", faults=NO_FAULTS)


@pytest.fixture(scope="module")
def place(tmp_path_factory, people):
    """A data set and an untrained encoder with a normalisation of its own."""
    folder = tmp_path_factory.mktemp("methods")
    write_dataset(folder / "people", people)
    torch.manual_seed(0)
    numbers = recording_moments(people[0], SpectrogramConfig()).normalisation("the first person")
    upstream = Upstream.fresh(SMALL, SpectrogramConfig(), numbers, TRAINED)
    save_model(folder / "encoder", upstream, card="")
    settings = EvaluateConfig(
        FinetuneConfig(steps=12, batch=4, hidden=16, rate=0.01),
        upstream=str(folder / "encoder"),
        precision="fp32",
    )
    return SimpleNamespace(data=str(folder / "people"), config=settings, upstream=upstream)


@pytest.fixture
def fits(monkeypatch):
    """Who was trained on, fit by fit."""
    seen = []
    real = HeadClassifier.fit
    monkeypatch.setattr(
        HeadClassifier, "fit", lambda self, given: (seen.append([r.subject for r in given]), real(self, given))[1]
    )
    return seen


@pytest.fixture(scope="module")
def finished(place, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    return run, evaluate(["selfpab", "spectr-mlp", "random-encoder"], place.data, run, place.config)


def test_results_hold_all_that_design_2_lists(finished, place):
    run, lines = finished
    results = {name: read_results(run / name / "results.json") for name in METHODS}
    first = results["selfpab"]
    assert (first["schema"], first["method"], first["dataset"], first["seed"]) == (1, "selfpab", "simulated", 0)
    assert set(first["data"]) == {"version", "sha256", "samples_scored", "samples_unlabelled"}
    assert first["data"]["samples_scored"] + first["data"]["samples_unlabelled"] == 3 * 18_000
    assert [row["code"] for row in first["classes"]] == list(HARTH.codes)
    assert first["precision"] == "fp32"
    trained = {key: TRAINED[key] for key in ("corpora", "people", "hours", "steps")}
    assert first["upstream"] == {"sha256": place.upstream.sha256, **trained}
    assert sorted(first["subjects"]) == ["P001", "P002", "P003"]
    scores = [subject["macro_f1"] for subject in first["subjects"].values()]
    assert first["macro_f1"]["mean"] == pytest.approx(np.mean(scores))
    assert first["macro_f1"]["sem"] == pytest.approx(np.std(scores, ddof=1) / 3**0.5)
    total = sum(np.sum(subject["confusion"]) for subject in first["subjects"].values())
    assert total == first["data"]["samples_scored"]
    assert first["config"]["steps"] == 12
    assert len(first["layer_weights"]) == 2
    assert "trained on the last 80 % of each subject" in first["protocol"]
    assert "windows of 599 frames side by side" in first["protocol"]
    assert {"macro_f1_present", "accuracy", "per_class_f1", "calibration", "environment", "seconds"} <= set(first)
    assert results["spectr-mlp"]["upstream"] is None
    assert "layer_weights" not in results["spectr-mlp"]
    assert set(results["random-encoder"]["upstream"]) == {"sha256"}
    assert results["random-encoder"]["upstream"]["sha256"] != place.upstream.sha256
    mean, sem = (100 * first["macro_f1"][key] for key in ("mean", "sem"))
    assert lines[0] == f"selfpab: macro F1 {mean:.1f} ± {sem:.1f} % (3 people)"
    assert load(EvaluateConfig, preset=run / "selfpab" / "config.yaml", section="evaluate") == place.config


def test_the_same_seed_gives_the_same_scores(finished, place, tmp_path):
    evaluate(["selfpab"], place.data, tmp_path, place.config)
    one, other = (read_results(run / "selfpab" / "results.json") for run in (finished[0], tmp_path))
    assert one["subjects"] == other["subjects"]
    assert one["layer_weights"] == other["layer_weights"]


def test_the_protocol_says_how_windows_were_cut(place, tmp_path):
    minute = replace(place.upstream, spectrogram=SpectrogramConfig(window_frames=119))
    save_model(tmp_path / "minute", minute, card="")
    tuned = replace(place.config.finetune, steps=1, overlap=24, skip_share=0.5)
    evaluate(
        ["spectr-mlp"], place.data, tmp_path, replace(place.config, upstream=str(tmp_path / "minute"), finetune=tuned)
    )
    protocol = read_results(tmp_path / "spectr-mlp" / "results.json")["protocol"]
    assert "the last 50 % of each subject" in protocol
    assert "windows of 119 frames overlapping by 24 frames" in protocol


def test_a_restart_makes_the_missing_folds_only(place, tmp_path, fits):
    evaluate(["selfpab"], place.data, tmp_path, place.config)
    assert fits == [["P002", "P003"], ["P001", "P003"], ["P001", "P002"]]
    results = tmp_path / "selfpab" / "results.json"
    before = read_results(results)
    results.unlink()
    (tmp_path / "selfpab" / "folds" / "P002.json").unlink()
    fits.clear()
    evaluate(["selfpab"], place.data, tmp_path, place.config)
    assert fits == [["P001", "P003"]]
    after = read_results(results)
    assert after["subjects"] == before["subjects"]
    assert after["layer_weights"] == before["layer_weights"]
    kept = json.loads((tmp_path / "selfpab" / "layer_weights.json").read_text())
    assert sorted(kept) == ["P001", "P002", "P003"]
    assert after["layer_weights"] == pytest.approx(np.mean(list(kept.values()), axis=0), abs=1e-4)
    assert max(abs(w - 0.5) for w in after["layer_weights"]) > 1e-3


def test_other_settings_in_the_same_folder_are_refused(place, tmp_path, fits):
    evaluate(["spectr-mlp"], place.data, tmp_path, place.config)
    fits.clear()
    for other, named in (
        (replace(place.config, seed=1), "seed: 0 there, 1 now"),
        (replace(place.config, upstream=None), "normalisation: .* there, null now"),
        (replace(place.config, finetune=FinetuneConfig(steps=13)), "finetune: .*"),
    ):
        with pytest.raises(ValueError, match=rf"made with other settings \({named}"):
            evaluate(["spectr-mlp"], place.data, tmp_path, other)
    assert fits == []
    written = yaml.safe_load((tmp_path / "spectr-mlp" / "config.yaml").read_text())["evaluate"]
    assert (written["seed"], written["finetune"]["steps"]) == (0, 12)  # that of the folds which are there


def test_a_model_folder_may_move(place, tmp_path, fits):
    save_model(tmp_path / "moved", place.upstream, card="")
    evaluate(["selfpab"], place.data, tmp_path / "run", place.config)
    fits.clear()
    evaluate(["selfpab"], place.data, tmp_path / "run", replace(place.config, upstream=str(tmp_path / "moved")))
    assert fits == []


def test_nothing_is_begun_where_one_method_is_unknown_or_lacks_its_encoder(place, tmp_path, fits):
    with pytest.raises(ConfigError, match="no method 'svn'; there are selfpab, spectr-mlp, random-encoder"):
        evaluate(["spectr-mlp", "svn"], place.data, tmp_path, place.config)
    with pytest.raises(ConfigError, match="selfpab needs upstream=MODEL, a folder that `selfpab pretrain`"):
        evaluate(["spectr-mlp", "selfpab"], place.data, tmp_path, replace(place.config, upstream=None))
    with pytest.raises(ConfigError, match="no method 'te'"):
        method("te", HARTH, place.config)
    assert fits == []
    assert not list(tmp_path.iterdir())


def test_without_an_encoder_the_test_subject_never_reaches_the_normalisation(place, people, tmp_path, monkeypatch):
    seen, real = [], module.training_spectrograms

    def spy(recordings):
        shelf = real(recordings)
        seen.append(([r.subject for r in recordings], shelf.extractor.normalisation.mean))
        return shelf

    monkeypatch.setattr(module, "training_spectrograms", spy)
    evaluate(["spectr-mlp"], place.data, tmp_path, replace(place.config, upstream=None))
    assert [subjects for subjects, _ in seen] == [["P002", "P003"], ["P001", "P003"], ["P001", "P002"]]
    for (subjects, mean), (a, b) in zip(seen, ((1, 2), (0, 2), (0, 1)), strict=True):
        assert len(subjects) == 2
        pair = Moments.joined(recording_moments(people[i], SpectrogramConfig()) for i in (a, b)).normalisation()
        np.testing.assert_allclose(mean, pair.mean, rtol=1e-3)


def test_with_an_encoder_its_normalisation_is_used(place):
    """Section 4.2: the labelled data are normalised by the moments of the pre-training data."""
    for name in METHODS:
        shelf = method(name, HARTH, place.config)()._shelf
        np.testing.assert_array_equal(shelf.extractor.normalisation.mean, place.upstream.normalisation.mean)


def test_a_random_encoder_has_the_shape_and_nothing_else_of_the_trained_one(place):
    trained, one, again = (
        method(name, HARTH, place.config) for name in ("selfpab", "random-encoder", "random-encoder")
    )
    other = method("random-encoder", HARTH, replace(place.config, seed=1))
    assert trained.upstream.sha256 == place.upstream.sha256
    assert one.upstream.sha256 == again.upstream.sha256
    assert len({m.upstream.sha256 for m in (trained, one, other)}) == 3
    assert one.upstream.encoder_config == SMALL
    assert one.upstream.trained == {}


def test_folds_share_their_states_and_nothing_else(place, people):
    chosen = method("selfpab", HARTH, place.config)
    one, other = chosen(), chosen()
    assert one is not other
    assert one._shelf is other._shelf
    one.fit(people[:2])
    assert other.head is None
    assert chosen.last is other  # older ones are not kept: they hold memory


def test_finetune_makes_a_model_of_everybody_that_predicts(place, people, tmp_path, fits):
    finetune(place.data, tmp_path / "model", place.config)
    assert fits == [["P001", "P002", "P003"]]
    model = load_model(tmp_path / "model", precision="fp32")
    assert model.activities == replace(HARTH, name="simulated")
    about = model.config["downstream"]
    assert (about["dataset"], about["people"], about["seed"], about["finetune"]["hidden"]) == ("simulated", 3, 0, 16)
    assert model.upstream.trained == TRAINED
    prediction = model.predict(people[0])
    assert len(prediction.seconds) == 360
    assert set(prediction.seconds["activity"]) <= set(HARTH.codes)
    np.testing.assert_allclose(model.head.layer_weights.detach().numpy(), about["layer_weights"], rtol=1e-6)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "3 people of simulated" in card
    assert "cycling (stand)" in card


def test_weights_of_layers_are_kept_fold_by_fold(tmp_path):
    weights = LayerWeights(tmp_path / "w.json")
    weights.keep("a", [0.1, 0.5])
    LayerWeights(tmp_path / "w.json").keep("b", [0.3, 0.9])
    assert LayerWeights(tmp_path / "w.json").mean() == [0.2, 0.7]
