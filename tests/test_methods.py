"""Methods by name: what each begins with, how it is trained, what it tells of itself; an evaluation as the release's."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from selfpab import simulate
from selfpab.activities import HARTH
from selfpab.baselines.feature_classifier import SvmConfig, XgbConfig
from selfpab.config import ConfigError, load
from selfpab.cross_validation import evaluate
from selfpab.data.simulation import NO_FAULTS, write_dataset
from selfpab.downstream import FinetuneConfig
from selfpab.downstream.head import Head, RecurrentHead
from selfpab.downstream.signal_classifier import SignalConfig
from selfpab.evaluation.results import read_results
from selfpab.features.normalisation import Moments, recording_moments
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.methods import (
    ENCODERS,
    METHODS,
    OURS,
    PLUS,
    EvaluateConfig,
    OwnSettings,
    check,
    method,
    own_settings,
    protocol,
)
from selfpab.paper import TABLE_1
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig

SMALL = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
MINUTE = SpectrogramConfig(window_frames=119)
TRAINED = {"corpora": [{"name": "c", "sha256": "0"}], "people": 5, "hours": 2.5, "steps": 7, "masking": {}}

QUICK_PLUS = replace(PLUS, steps=2, batch=2, hidden=8, waveform=replace(PLUS.waveform, steps=2, batch=2))


@pytest.fixture(scope="module")
def people():
    return simulate(2, 0.05, seed=1, scenario="protocol", faults=NO_FAULTS)


@pytest.fixture(scope="module")
def place(tmp_path_factory, people):
    """A data set and an untrained encoder with a normalisation of its own."""
    folder = tmp_path_factory.mktemp("methods")
    write_dataset(folder / "people", people)
    torch.manual_seed(0)
    numbers = recording_moments(people[0], MINUTE).normalisation("the first person")
    upstream = Upstream.fresh(SMALL, MINUTE, numbers, TRAINED)
    save_model(folder / "encoder", upstream, card="")
    settings = EvaluateConfig(
        FinetuneConfig(steps=4, batch=2, hidden=16, rate=0.01),
        upstream=str(folder / "encoder"),
        selfpab_plus=QUICK_PLUS,
        precision="fp32",
    )
    return SimpleNamespace(data=str(folder / "people"), config=settings, upstream=upstream, folder=folder)


@pytest.fixture
def build(place, tmp_path):
    return lambda name, config=place.config, seed=0: method(name, HARTH, config, seed, tmp_path / "pool")


def fitted(chosen, people):
    classifier = chosen()
    classifier.fit(people)
    return classifier


def test_an_unknown_name_and_a_missing_encoder_are_refused(place, build):
    names = "svm, xgb, deepconvlstm-ts, selfpab, selfpab-unfrozen, selfpab-plus, spectr-te, spectr-mlp, "
    names += "random-encoder, deepconvlstm-spectr"
    with pytest.raises(ConfigError, match=f"^no method 'svn'; there are {names}, and your own as file:Class$"):
        check("svn", place.config)
    alone = replace(place.config, upstream=None)
    for name in ("selfpab", "random-encoder"):
        with pytest.raises(ConfigError, match=f"{name} needs upstream=MODEL, a folder that `selfpab pretrain`"):
            build(name, alone)
    for name in ("spectr-te", "spectr-mlp"):
        check(name, alone)
    with pytest.raises(ConfigError, match="no method 'te'"):
        build("te")


def test_a_fine_tuned_model_is_refused_by_every_method_with_an_encoder(place, build):
    """It has learnt from the labels of people who are left out of an evaluation."""
    head = Head(2, SMALL.d_model, 4, len(HARTH)).state_dict()
    tuned = save_model(place.folder / "tuned", place.upstream, card="", head=head, activities=HARTH)
    for name in ENCODERS:
        with pytest.raises(ConfigError, match=r"upstream=.*tuned is a fine-tuned model"):
            build(name, replace(place.config, upstream=str(tuned)))


def test_every_row_of_the_papers_table_is_a_method():
    assert set(TABLE_1) <= set(METHODS)
    assert set(ENCODERS) <= set(METHODS)


def test_what_each_method_begins_with(place, build):
    """An encoder of the same shape where there is one; the trained weights with `selfpab` and `selfpab-unfrozen`."""
    begun = {name: build(name)() for name in ENCODERS}
    assert {name: classifier.start for name, classifier in begun.items()} == {
        "selfpab": "pretrained",
        "selfpab-unfrozen": "pretrained",
        "selfpab-plus": "pretrained",
        "spectr-te": "random",
        "spectr-mlp": "none",
        "random-encoder": "random",
        "deepconvlstm-spectr": "none",
    }
    wanted = {"sha256": place.upstream.sha256, **{k: TRAINED[k] for k in ("corpora", "people", "hours", "steps")}}
    assert {name: build(name).upstream for name in ENCODERS} == {
        **dict.fromkeys(ENCODERS),
        "selfpab": wanted,
        "selfpab-unfrozen": wanted,
        "selfpab-plus": wanted,
    }


def test_a_call_builds_a_fresh_classifier_and_none_is_shared(build, people):
    chosen = build("selfpab")
    one, other = chosen(), chosen()
    one.fit(people)
    assert one is not other
    assert other.extractor is None


def test_random_encoders_are_those_of_the_seed(place, build, people):
    """Frozen throughout, so that what comes out is what they began with."""
    config = replace(place.config, finetune=replace(place.config.finetune, unfreeze_at=1.0))

    def encoder(name, seed=0):
        return fitted(build(name, config, seed), people).extractor.network.encoder.state_dict()

    trained, one, again, other = (
        encoder("selfpab"),
        encoder("random-encoder"),
        encoder("random-encoder"),
        encoder("random-encoder", 1),
    )
    assert all(torch.equal(trained[name], value) for name, value in place.upstream.encoder.state_dict().items())
    assert all(torch.equal(one[name], again[name]) for name in one)
    weight = "layers.1.widen.weight"
    assert len({tuple(e[weight].flatten().tolist()) for e in (trained, one, other)}) == 3
    assert {n: v.shape for n, v in one.items()} == {n: v.shape for n, v in trained.items()}


def test_with_a_model_its_normalisation_and_windows_are_used_by_all(place, build, people):
    """Section 4.2: the labelled data are normalised by the moments of the pre-training data."""
    for name in ENCODERS:
        extractor = fitted(build(name), people[1:]).extractor
        np.testing.assert_array_equal(extractor.normalisation.mean, place.upstream.normalisation.mean)
        np.testing.assert_array_equal(extractor.normalisation.std, place.upstream.normalisation.std)
        assert extractor.shape == MINUTE


def test_without_a_model_the_moments_are_those_of_the_training_subjects(place, build, people):
    alone = replace(place.config, upstream=None)
    pair = fitted(build("spectr-mlp", alone), people).extractor
    single = fitted(build("spectr-mlp", alone), people[:1]).extractor
    assert pair.shape == SpectrogramConfig()
    for found, recordings in ((pair, people), (single, people[:1])):
        wanted = Moments.joined(recording_moments(r, SpectrogramConfig()) for r in recordings).normalisation()
        np.testing.assert_allclose(found.normalisation.mean, wanted.mean, rtol=1e-6)
        np.testing.assert_allclose(found.normalisation.std, wanted.std, rtol=1e-6)
    assert not np.allclose(pair.normalisation.mean, single.normalisation.mean)


def test_spectrograms_and_transformer_is_one_linear_layer_on_the_last_layer_trained_from_the_start(build, people):
    """Section 4.2, setting 3."""
    settings = build("spectr-te").settings["finetune"]
    assert (settings["hidden"], settings["weighted"], settings["unfreeze_at"]) == (0, False, 0.0)
    classifier = fitted(build("spectr-te"), people)
    head = classifier.extractor.network.head
    assert set(head.state_dict()) == {"output.weight", "output.bias"}
    assert head.output.in_features == SMALL.d_model
    assert not list(classifier.pool.glob("*"))  # nothing was ever frozen
    mlp = fitted(build("spectr-mlp"), people).extractor.network
    assert mlp.encoder is None
    assert (mlp.head.hidden.in_features, mlp.head.hidden.out_features) == (156, 16)


def test_deepconvlstm_on_spectrograms_takes_the_place_of_the_head(build, people):
    chosen = build("deepconvlstm-spectr")
    assert chosen.settings["finetune"]["head"] == "deepconvlstm"
    assert "head" not in build("spectr-mlp").settings["finetune"]  # folds of earlier versions have no such setting
    assert "; DeepConvLSTM on the spectrogram; " in chosen.protocol
    network = fitted(chosen, people).extractor.network
    assert network.encoder is None
    assert isinstance(network.head, RecurrentHead)


def test_methods_on_raw_windows_are_settings_of_their_own(place, build):
    """Nothing of `finetune` counts for them, nor the encoder; the seed does."""
    config = replace(
        place.config,
        deepconvlstm_ts=SignalConfig(steps=3, batch=4, rate=0.5),
        svm=SvmConfig(C=7.0),
        xgb=XgbConfig(n_estimators=5, framing="release"),
    )
    for name, told in (("deepconvlstm-ts", "steps"), ("svm", "C"), ("xgb", "n_estimators")):
        chosen = build(name, config)
        assert chosen.upstream is None
        assert chosen.settings["config"][told] == getattr(getattr(config, name.replace("-", "_")), told)
        other = replace(config, finetune=FinetuneConfig(steps=9), upstream=None)
        assert build(name, other).settings == chosen.settings
        assert build(name, config, seed=1).settings != chosen.settings
    assert (
        "161 features of windows of 250 samples, side by side, all of each subject; scored"
        in build("svm", config).protocol
    )
    assert "all of each subject; gaps ignored; scored" in build("xgb", config).protocol
    assert (
        "; 3 steps of 4 windows of 250 samples from the last 80 % of each" in build("deepconvlstm-ts", config).protocol
    )
    said = load(EvaluateConfig, section="evaluate", settings=["svm.gamma=0.001", "xgb.eta=1e-1"])
    assert (said.svm.gamma, said.xgb.eta) == (0.001, 0.1)
    assert load(EvaluateConfig, section="evaluate", settings=["svm.gamma=auto"]).svm.gamma == "auto"


@pytest.mark.parametrize("name", ["svm", "xgb", "deepconvlstm-ts", "deepconvlstm-spectr"])
def test_every_baseline_is_evaluated_as_any_other_method(name, place, tmp_path):
    small = [
        "deepconvlstm_ts.steps=3",
        "deepconvlstm_ts.batch=4",
        "xgb.n_estimators=3",
        "finetune.steps=3",
        "finetune.batch=2",
    ]
    config = load(EvaluateConfig, section="evaluate", settings=[*small, f"upstream={place.folder / 'encoder'}"])
    (line,) = evaluate([name], place.data, tmp_path, config)
    assert line.startswith(f"{name}: macro F1")
    results = read_results(tmp_path / name / "seed-0" / "results.json")
    assert results["upstream"] is None
    assert results["config"]


def test_own_settings_are_of_their_method_alone(place):
    config = replace(place.config, spectr_mlp=OwnSettings(rate=0.5), spectr_te=OwnSettings(steps=9, rate=0.25))
    common = place.config.finetune
    assert own_settings("selfpab", config) == own_settings("random-encoder", config) == common
    assert own_settings("selfpab-unfrozen", config) == replace(common, unfreeze_at=0.0)
    assert own_settings("spectr-mlp", config) == replace(common, rate=0.5)
    assert own_settings("selfpab-plus", config) == QUICK_PLUS
    te = own_settings("spectr-te", config)
    assert (te.steps, te.rate, te.batch, te.hidden) == (9, 0.25, common.batch, 0)
    said = load(EvaluateConfig, section="evaluate", settings=["spectr_te.steps=9", "spectr_mlp.rate=0.5"])
    assert (own_settings("spectr-te", said).steps, own_settings("spectr-mlp", said).rate) == (9, 0.5)
    assert own_settings("selfpab", said) == FinetuneConfig()
    grid = replace(said, finetune=FinetuneConfig(epochs=2, cuts="grid"))
    with pytest.raises(ConfigError, match=r"spectr-te has steps=9 of its own, and finetune.epochs=2: leave one out"):
        own_settings("spectr-te", grid)


def test_settings_tell_apart_what_scores_depend_on_and_nothing_else(place, build, tmp_path):
    same = build("selfpab").settings
    save_model(tmp_path / "moved", place.upstream, card="")
    for change in ({"upstream": str(tmp_path / "moved")}, {"workers": 3}, {"pool": str(tmp_path / "elsewhere")}):
        assert build("selfpab", replace(place.config, **change)).settings == same
    told = asdict(place.config.finetune)
    # nor what is off, so that folds of a time before it was there still count
    assert same["finetune"] == {key: told[key] for key in told if key not in ("head", "head_dropout", *OURS)}
    clipped = build("selfpab", replace(place.config, finetune=replace(place.config.finetune, clip=1.0))).settings
    assert clipped["finetune"] == same["finetune"] | {"clip": 1.0}
    torch.manual_seed(1)
    other = Upstream.fresh(SMALL, MINUTE, place.upstream.normalisation, TRAINED)
    save_model(tmp_path / "other", other, card="")
    normalised = replace(place.upstream, normalisation=recording_moments_of_noise())
    save_model(tmp_path / "normalised", normalised, card="")
    differing = [
        build("selfpab", seed=1),
        build("random-encoder"),
        build("selfpab", replace(place.config, upstream=str(tmp_path / "other"))),
        build("selfpab", replace(place.config, upstream=str(tmp_path / "normalised"))),
        build("selfpab", replace(place.config, precision="bf16")),
        build("selfpab", replace(place.config, finetune=replace(place.config.finetune, steps=5))),
    ]
    assert all(chosen.settings != same for chosen in differing)


@pytest.mark.parametrize("name", ["spectr-te", "random-encoder"])
def test_folds_of_an_untrained_encoder_are_those_of_its_shape(place, build, name):
    """Of weights that are drawn anew nothing else tells two networks apart."""
    assert build(name).settings["encoder"] == asdict(SMALL)
    wider = replace(SMALL, d_model=24)
    other = save_model(
        place.folder / "wider", Upstream.fresh(wider, MINUTE, place.upstream.normalisation, TRAINED), card=""
    )
    changed = build(name, replace(place.config, upstream=str(other))).settings
    assert changed.pop("encoder") == asdict(wider)
    assert changed == {key: value for key, value in build(name).settings.items() if key != "encoder"}


def test_the_shape_of_an_encoder_that_nobody_gave_is_told_and_a_trained_one_needs_none(place, build):
    assert build("spectr-te", replace(place.config, upstream=None)).settings["encoder"] == asdict(EncoderConfig())
    for name in ("selfpab", "selfpab-unfrozen", "spectr-mlp"):  # their old folds still count
        assert "encoder" not in build(name).settings


def recording_moments_of_noise():
    chance = np.random.default_rng(3)
    moments = Moments.zero(156)
    moments.add(torch.from_numpy(chance.uniform(1, 2, (50, 156))))
    return moments.normalisation("noise")


def test_protocols_in_words(place):
    tuned = place.config.finetune

    def text(name, **changes):
        config = replace(place.config, finetune=replace(tuned, **changes))
        return protocol(name, own_settings(name, config), place.upstream)

    assert text("selfpab") == (
        "leave one subject out; encoder frozen for 75 % of the steps; 4 steps of 2 windows from the last 80 % of each "
        "subject; last weights tested; windows of 119 frames side by side; scored at 50 Hz"
    )
    assert "; encoder trained from the first step; " in text("spectr-te")
    assert "; no encoder; " in text("spectr-mlp")
    assert "; encoder frozen throughout; " in text("random-encoder", unfreeze_at=1.0)
    assert "; 3 epochs of 2 windows from the last 50 % " in text("selfpab", epochs=3, cuts="grid", validation_share=0.5)
    assert "windows of 119 frames overlapping by 24 frames; scored" in text("selfpab", overlap=24)
    assert "side by side; gaps ignored, tail padded with zeros; scored" in text("selfpab", framing="release")
    assert "windows of 599 frames" in protocol("spectr-mlp", tuned, None)


def test_a_gpu_that_is_not_there_is_refused(place, build, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device=cuda: there is no GPU that this torch can use; say device=cpu"):
        build("selfpab", replace(place.config, device="cuda"))
    assert build("selfpab", replace(place.config, device="auto"))().device == torch.device("cpu")


def test_the_preset_of_the_release_runs_and_keeps_nothing_of_the_frozen_encoder(place, tmp_path):
    """Epochs, batch and units are smaller, windows a minute: the rest is what the release does."""
    changes = ["epochs=2", "batch=8", "hidden=16", "overlap=107"]
    settings = [f"upstream={place.folder / 'encoder'}", *(f"finetune.{change}" for change in changes)]
    config = load(EvaluateConfig, preset="authors", section="evaluate", settings=settings)
    (line,) = evaluate(["selfpab"], place.data, tmp_path, config)
    assert line.startswith("selfpab: macro F1")
    results = read_results(tmp_path / "selfpab" / "seed-42" / "results.json")
    assert (results["seed"], results["precision"]) == (42, "fp32")
    assert "2 epochs of 8 windows from the last 100 % of each subject" in results["protocol"]
    assert "overlapping by 107 frames; gaps ignored, tail padded with zeros" in results["protocol"]
    assert [row["code"] for row in results["classes"]] == list(HARTH.codes)  # 12 outputs, 10 classes
    assert {len(subject["confusion"]) for subject in results["subjects"].values()} == {10}
    assert not (tmp_path / "pool").exists()
    kept = replace(place.config, seeds="42", pool=str(tmp_path / "kept"))
    assert len(evaluate(["selfpab"], place.data, tmp_path / "ours", kept)) == 1
    assert len(list((tmp_path / "kept").iterdir())) == 2  # one for each person, and not for each fold
