"""FinetunedClassifier with DeepConvLSTM in the place of the MLP: the paper's DeepConvLSTM (Spectr.)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpab.downstream import finetuning
from selfpab.downstream.classifier import FinetunedClassifier
from selfpab.downstream.cuts import Cuts
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Network, RecurrentHead

QUICK = FinetuneConfig(steps=40, batch=8, rate=0.005, head="deepconvlstm", head_dropout=0.2, overlap=4)
FEW = replace(QUICK, steps=3)


def fitted(toy, people, config=FEW, *, seed=0, upstream="toy", precision="fp32"):
    given = toy.upstream() if upstream == "toy" else upstream
    classifier = FinetunedClassifier("none", given, toy.three, config, seed, precision=precision)
    classifier.fit(people)
    return classifier


@pytest.fixture(scope="module")
def people(toy):
    return [toy.person("a", seed=1), toy.person("b", toy.short, seed=2)]


@pytest.fixture(scope="module")
def trained(toy, people):
    return fitted(toy, people, QUICK)


def test_it_learns(toy, trained):
    test = toy.person("c", seed=9)
    assert (trained.predict(test) == toy.three.indices(test.labels)).mean() > 0.9
    assert isinstance(trained.extractor.network.head, RecurrentHead)
    assert set(trained.facts) == {"loss", "validation"}  # it has no layers to weigh
    probabilities = trained.probabilities(test)
    assert probabilities.shape == (len(test), 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-12)


def test_a_seed_says_everything_and_bf16_learns_too(toy, people):
    one, again, other, coarse = (
        fitted(toy, people, seed=seed, precision=precision).extractor.network.state_dict()
        for seed, precision in ((3, "fp32"), (3, "fp32"), (4, "fp32"), (3, "bf16"))
    )
    assert toy.same(one, again)
    assert not toy.same(one, other)
    assert not toy.same(one, coarse)
    for name, value in one.items():
        torch.testing.assert_close(value, coarse[name], rtol=0, atol=3 * 2.1 * FEW.rate)  # Adam moves by `rate` a step


def test_dropout_is_that_of_the_settings(toy, people):
    heads = [fitted(toy, people, replace(FEW, head_dropout=p)).extractor.network.head for p in (0.0, 0.4)]
    assert [head.network.dropout.p for head in heads] == [0.0, 0.4]
    assert heads[1].network.lstm.dropout == 0.4
    assert not toy.same(*(head.state_dict() for head in heads))


def test_a_short_window_is_the_same_padded_and_alone(toy, trained):
    """In training and in the validation's facts windows are padded, in prediction they are not."""
    extractor, recording = trained.extractor, toy.person("c", ((0, 200, 0.0),), seed=5)  # 7 frames of 11
    whole = extractor.spans(recording, step=7)[:]
    starts, stops = whole.starts, whole.stops
    assert (starts >= 0).sum() == 7
    network = extractor.network
    with torch.no_grad():
        padded = network(*extractor.spectra(recording, Cuts(starts, stops)))[0, :7]
        alone = network(*extractor.spectra(recording, Cuts(starts[:, :7], stops[:, :7])))[0]
        torch.testing.assert_close(padded, alone, rtol=0, atol=1e-5)
        unmasked = network(extractor.spectra(recording, Cuts(starts, stops))[0])
        assert (unmasked[0, :7] - alone).abs().max() > 1e-4  # without the mask it would not be
        chances = alone.double().softmax(-1).numpy()
    np.testing.assert_allclose(trained.probabilities(recording)[:25], np.repeat(chances[:1], 25, axis=0), atol=1e-5)


def test_the_head_knows_the_padding_in_training_and_validation(toy, monkeypatch):
    seen, real = [], RecurrentHead.forward

    def spy(self, states, valid=None, inputs=None):
        seen.append((self.training, None if valid is None else bool(valid.all())))
        assert valid is None or bool((states[0][~valid] == 0).all())
        return real(self, states, valid)

    monkeypatch.setattr(RecurrentHead, "forward", spy)
    short = toy.person("b", ((0, 250, 0.0), (250, 500, 900.0)), seed=2)  # two runs of 9 frames, and windows are of 11
    fitted(toy, [short])
    assert len(seen) == FEW.steps + 1
    assert all(all_real is not None for _, all_real in seen)
    assert {training for training, all_real in seen if all_real is False} == {True, False}


def test_gradients_reach_every_parameter(toy, people, monkeypatch):
    real, norms = torch.optim.Adam.step, []
    monkeypatch.setattr(
        torch.optim.Adam,
        "step",
        lambda self: (norms.extend(float(p.grad.norm()) for g in self.param_groups for p in g["params"]), real(self))[
            1
        ],
    )
    head = fitted(toy, people, replace(FEW, steps=1)).extractor.network.head
    assert len(norms) == len(list(head.parameters())) == 18
    assert min(norms) > 0


def test_a_person_who_is_not_given_touches_nothing(toy, people):
    once = replace(FEW, steps=1, batch=2)  # of 599 frames
    fold, twice = fitted(toy, people, once, upstream=None), fitted(toy, people, once, upstream=None)
    twice.predict(toy.person("c", seed=3))
    np.testing.assert_array_equal(fold.extractor.normalisation.mean, twice.extractor.normalisation.mean)
    assert toy.same(fold.extractor.network.state_dict(), twice.extractor.network.state_dict())
    alone = fitted(toy, people[:1], once, upstream=None)
    assert not np.array_equal(fold.extractor.normalisation.mean, alone.extractor.normalisation.mean)


def test_the_first_fifth_is_never_trained_on(toy):
    """As in test_classifier: the first frame trained on begins at 23 * 25."""
    one = toy.person("a", seed=1)
    for place, differs in ((slice(0, 575), False), (slice(575, 1200), True)):
        other = replace(one, samples=one.samples.copy())
        other.samples[place] *= 7
        grid = replace(FEW, epochs=1, cuts="grid", grid_step=6)
        found = [fitted(toy, [given], grid).extractor.network.state_dict() for given in (one, other)]
        assert toy.same(*found) is not differs, place


@pytest.mark.parametrize("segments", [((0, 20, 0.0),), ((0, 50, 0.0),), ((0, 30, 0.0), (30, 400, 9.0))])
def test_short_recordings(toy, trained, segments):
    recording = replace(toy.person("c", segments, seed=4), labels=None)
    found = trained.probabilities(recording)
    assert found.shape == (segments[-1][1], 3)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)


def test_errors(toy):
    for start in ("pretrained", "random"):
        with pytest.raises(ValueError, match=f"head=deepconvlstm takes the spectrogram itself.*got a {start} encoder"):
            FinetunedClassifier(start, toy.upstream(), toy.three, QUICK, 0)
    with pytest.raises(ValueError, match="head_dropout and mlp_dropout from 0 to below 1, got 1, 0"):
        FinetuneConfig(head_dropout=1.0)


def test_a_fresh_head_is_the_one_asked_for():
    assert finetuning.fresh_head(FinetuneConfig(hidden=9), 3, 12, 5).hidden.out_features == 9
    head = finetuning.fresh_head(QUICK, 1, 156, 5)
    assert Network(None, head)(torch.zeros(2, 11, 156)).shape == (2, 11, 5)
