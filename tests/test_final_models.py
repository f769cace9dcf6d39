"""One classifier from everybody, as a model folder."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpab import simulate
from selfpab.activities import HAR70PLUS, HARTH
from selfpab.config import ConfigError
from selfpab.data.datasets import known
from selfpab.data.simulation import NO_FAULTS, write_dataset
from selfpab.downstream import FinetuneConfig, FinetunedClassifier
from selfpab.features.normalisation import recording_moments
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.features.statistics import STATISTICS
from selfpab.final_models import finetune
from selfpab.inference.model import load
from selfpab.methods import PLUS, EvaluateConfig
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig

SMALL = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16, dropout=0.0)
SHAPE = SpectrogramConfig(window_frames=119)

FEW_STEPS = replace(PLUS.waveform, steps=6, batch=2)


@pytest.fixture(scope="module")
def people():
    return simulate(3, 0.1, seed=1, scenario="protocol", faults=NO_FAULTS)


@pytest.fixture(scope="module")
def place(tmp_path_factory, people):
    folder = tmp_path_factory.mktemp("final")
    write_dataset(folder / "people", people)
    torch.manual_seed(0)
    numbers = recording_moments(people[0], SHAPE).normalisation("the first person")
    upstream = Upstream.fresh(SMALL, SHAPE, numbers, {"steps": 7})
    save_model(folder / "encoder", upstream, card="")
    settings = FinetuneConfig(steps=12, batch=4, hidden=16, rate=0.01, overlap=24)
    return folder, EvaluateConfig(settings, upstream=str(folder / "encoder"), precision="fp32"), upstream


@pytest.fixture
def fits(monkeypatch):
    """Every classifier that was fitted, and on whom."""
    seen = []
    real = FinetunedClassifier.fit
    monkeypatch.setattr(
        FinetunedClassifier,
        "fit",
        lambda self, given: (seen.append((self, [r.subject for r in given])), real(self, given))[1],
    )
    return seen


def test_a_model_of_everybody_that_predicts_what_the_classifier_did(place, people, tmp_path, fits):
    folder, config, upstream = place
    finetune([str(folder / "people")], tmp_path / "model", config)
    ((classifier, who),) = fits
    assert who == ["P001", "P002", "P003"]
    model = load(tmp_path / "model", precision="fp32")
    assert model.activities == replace(HARTH, name="simulated")
    about = model.config["downstream"]
    assert (about["people"], about["seed"], about["finetune"]["hidden"]) == (3, 0, 16)
    assert about["datasets"][0]["name"] == "simulated"
    assert about["upstream_sha256"] == upstream.sha256
    assert model.upstream.sha256 != upstream.sha256  # it was thawed
    assert model.upstream.trained == {"steps": 7}
    prediction = model.predict(people[0])
    np.testing.assert_allclose(prediction.probabilities, classifier.probabilities(people[0]), atol=1e-5)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "3 people of simulated" in card
    assert "frozen for 75 % of the 12 steps" in card
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]  # no pool is left behind


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_with_selfpab_plus_the_model_knows_what_it_is_given(place, people, tmp_path, fits, precision):
    folder, config, _ = place
    quick = replace(PLUS, steps=12, batch=4, hidden=16, overlap=24, waveform=FEW_STEPS)
    finetune(
        [str(folder / "people")],
        tmp_path / "model",
        replace(config, selfpab_plus=quick, precision=precision),
        "selfpab-plus",
    )
    ((classifier, _),) = fits
    model = load(tmp_path / "model", precision="fp32")
    shape = model.upstream.encoder_config
    assert (shape.statistics, shape.upright_share) == (True, 0.5)
    assert model.upstream.encoder.projection.in_features == 156 + STATISTICS
    # what it was not pre-trained on has begun to count
    assert float(model.upstream.encoder.projection.weight[:, 156:].detach().abs().max()) > 0
    assert len(model.config["downstream"]["class_weights"]) == len(HARTH)
    # a person who leans is predicted by the model as by the classifier: both take half of it away
    leaning = people[0].acceleration_g.copy()
    leaning[:, :3] = leaning[:, :3] @ np.float32([[0.94, 0, 0.34], [0, 1, 0], [-0.34, 0, 0.94]])
    leaning = replace(people[0], samples=leaning, counts_per_g=None)
    prediction = model.predict(leaning)
    tolerance = 1e-5 if precision == "fp32" else 0.1
    np.testing.assert_allclose(prediction.probabilities, classifier.probabilities(leaning), atol=tolerance)
    again = model.predict(people[0])
    assert np.abs(again.probabilities - prediction.probabilities).max() < 0.3
    assert (len(model.head.context.members), model.head.waveform.to_tenths.out_channels) == (2, 64)


def test_rare_classes_get_the_benefit_of_the_doubt(place, people, fits, tmp_path):
    folder, config, _ = place
    quick = replace(PLUS, steps=12, batch=4, hidden=16, overlap=24, rare_power=1.0, waveform=FEW_STEPS)
    finetune([str(folder / "people")], tmp_path / "m", replace(config, selfpab_plus=quick), "selfpab-plus")
    ((classifier, _),) = fits
    weights = np.array(load(tmp_path / "m").config["downstream"]["class_weights"])
    counts = sum(np.bincount(HARTH.indices(p.labels)[p.labels >= 0], minlength=10) for p in people)
    assert (weights[counts == counts.max()] == weights.min()).all()
    named, chances = classifier.predict(people[0]), classifier.probabilities(people[0])
    assert (named == (chances * weights).argmax(axis=1)).all()
    assert (named != chances.argmax(axis=1)).any()


def test_several_data_sets_share_the_activities_of_the_first(place, people, tmp_path, fits):
    folder, config, _ = place
    write_dataset(tmp_path / "few", [replace(known(people[0], HAR70PLUS), subject="Q0")])
    classes = [{"code": code, "name": name} for code, name in zip(HAR70PLUS.codes, HAR70PLUS.names, strict=True)]
    (tmp_path / "few" / "dataset.json").write_text(json.dumps({"name": "few", "version": "1", "classes": classes}))
    finetune([str(tmp_path / "few"), str(folder / "people")], tmp_path / "model", config)
    assert fits[0][1] == ["Q0", "P001", "P002", "P003"]
    assert load(tmp_path / "model").activities.codes == HAR70PLUS.codes


def test_data_sets_that_give_a_code_different_names_are_not_joined(place, people, tmp_path, fits):
    folder, config, _ = place
    write_dataset(tmp_path / "few", [replace(people[0], subject="Q0")])
    manifest = tmp_path / "few" / "dataset.json"
    content = json.loads(manifest.read_text())
    content["classes"] = [one | {"name": "rowing"} if one["code"] == 2 else one for one in content["classes"]]
    manifest.write_text(json.dumps(content | {"name": "few"}))
    with pytest.raises(ConfigError, match="the code 2 is 'running' in simulated and 'rowing' in few"):
        finetune([str(folder / "people"), str(tmp_path / "few")], tmp_path / "model", config)
    assert not fits


def test_the_card_of_a_model_that_was_trained_in_epochs_says_epochs(place, tmp_path, fits):
    folder, config, _ = place
    settings = replace(config.finetune, epochs=2, cuts="grid", grid_step=60)
    finetune([str(folder / "people")], tmp_path / "model", replace(config, finetune=settings))
    assert "frozen for 75 % of the 2 epochs." in (tmp_path / "model" / "README.md").read_text()


def test_labels_outside_the_activities_are_taken_away(people):
    few = known(people[0], HAR70PLUS)
    kept = np.isin(people[0].labels, HAR70PLUS.codes)
    np.testing.assert_array_equal(few.labels, np.where(kept, people[0].labels, -1))
    assert not kept.all()


def test_what_cannot_be_done_is_said(place, tmp_path):
    folder, config, _ = place
    with pytest.raises(ConfigError, match="one model has one seed; got seeds=0,1"):
        finetune([str(folder / "people")], tmp_path / "m", replace(config, seeds="0,1"))
    with pytest.raises(ConfigError, match="selfpab needs upstream=MODEL"):
        finetune([str(folder / "people")], tmp_path / "m", replace(config, upstream=None))
    with pytest.raises(ConfigError, match="method=xgb makes no model folder; wanted one of selfpab, selfpab-unfrozen"):
        finetune([str(folder / "people")], tmp_path / "m", config, "xgb")
    assert not (tmp_path / "m").exists()
