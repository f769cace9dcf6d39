"""Training head and encoder: sections 3.2 and 4.2 on a toy."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from selfpab.downstream import finetuning
from selfpab.downstream.finetuning import FinetuneConfig, frame_cross_entropy, train
from selfpab.downstream.pool import Pool
from selfpab.upstream.encoder import Encoder

QUICK = FinetuneConfig(steps=8, batch=4, hidden=16, rate=0.01, pool_step=5)  # frozen in steps 0 to 5


@pytest.fixture(scope="module")
def people(toy):
    return [toy.person("a", ((0, 1500, 0.0),), seed=1), toy.person("b", toy.short, seed=2)]


@pytest.fixture
def steps(monkeypatch):
    """What Adam was given, update by update."""
    seen = []
    real = torch.optim.Adam.step

    def spy(self, *arguments, **settings):
        parameters = [group["params"] for group in self.param_groups]
        seen.append(
            SimpleNamespace(
                rates=[group["lr"] for group in self.param_groups],
                betas={(group["betas"], group["eps"], group["weight_decay"]) for group in self.param_groups},
                before=[[p.detach().clone() for p in group] for group in parameters],
                gradients=[[None if p.grad is None else p.grad.clone() for p in group] for group in parameters],
                moments=[{int(self.state[p]["step"]) for p in group if p in self.state} for group in parameters],
            )
        )
        return real(self, *arguments, **settings)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    return seen


@pytest.fixture
def modes(monkeypatch):
    """Whether the encoder was in training mode, forward by forward."""
    seen = []
    real = Encoder.hidden_states
    monkeypatch.setattr(
        Encoder, "hidden_states", lambda self, *given: (seen.append(self.training), real(self, *given))[1]
    )
    return seen


def fitted(toy, people, config, tmp_path=None, *, seed=0, encoder=True):
    network, material, extractor = toy.parts(config, people, encoder=encoder)
    before = toy.weights(network)
    pool = Pool(tmp_path, extractor) if tmp_path else None
    torch.seed()  # what happened before must not matter, to dropout neither
    losses = train(network, material, extractor, config, seed, pool=pool)
    return SimpleNamespace(network=network, before=before, after=toy.weights(network), losses=losses)


def changed(run):
    return {name for name in run.before if not torch.equal(run.before[name], run.after[name])}


@pytest.mark.parametrize("pooled", [True, False])
def test_the_encoder_is_frozen_bit_for_bit_and_then_trained(toy, people, steps, tmp_path, pooled):
    run = fitted(toy, people, QUICK, tmp_path if pooled else None)
    assert len(steps) == len(run.losses) == 8
    assert [len(step.rates) for step in steps] == [1] * 6 + [2] * 2
    encoder = [value for name, value in run.before.items() if name.startswith("encoder.")]
    assert all(torch.equal(a, b) for a, b in zip(steps[6].before[1], encoder, strict=True))  # at the first thawed step
    assert not torch.equal(steps[7].before[1][0], encoder[0])
    unused = {"encoder.reconstruction.weight", "encoder.reconstruction.bias"}
    assert changed(run) == set(run.before) - unused  # the head, every layer and the projection
    assert all(parameter.requires_grad for parameter in run.network.parameters())
    assert not run.network.training


def test_moments_of_the_encoder_are_fresh_and_those_of_the_head_go_on(toy, people, steps, tmp_path):
    fitted(toy, people, QUICK, tmp_path)
    assert [step.moments[0] for step in steps] == [set(), *({k} for k in range(1, 8))]
    assert [step.moments[1] for step in steps[6:]] == [set(), {1}]


def test_gradients_reach_the_whole_encoder_and_the_weights_of_the_layers_from_the_start(toy, people, steps, tmp_path):
    run = fitted(toy, people, QUICK, tmp_path)
    names = [name for name, _ in run.network.head.named_parameters()]
    layers = names.index("layer_weights")
    assert all((step.gradients[0][layers] != 0).all() for step in steps)
    torch.testing.assert_close(steps[0].before[0][layers], torch.tensor([0.5, 0.5]), rtol=0, atol=0)
    assert (steps[1].before[0][layers] != 0.5).all()
    names = [name for name, _ in run.network.encoder.named_parameters()]
    for step in steps[6:]:
        for name, gradient in zip(names, step.gradients[1], strict=True):
            if name.startswith("reconstruction"):
                assert gradient is None
            else:
                assert gradient.abs().max() > 0, name
    assert "projection.weight" in names


def test_the_rate_falls_to_a_tenth_over_all_steps_for_head_and_encoder(toy, people, steps):
    fitted(toy, people, FinetuneConfig(steps=8, batch=1, hidden=4))
    for k, step in enumerate(steps):
        np.testing.assert_allclose(step.rates, 1e-4 * 0.1 ** (k / 8), rtol=1e-9)
        assert step.betas == {((0.9, 0.98), 1e-8, 0)}


def test_the_rate_of_the_release_falls_by_a_fifth_in_two_hundred_steps(toy, people, steps, golden):
    fitted(toy, people, FinetuneConfig(steps=8, batch=1, hidden=4, decay=0.8, decay_steps=200))
    with np.load(golden / "g5_lr_used_per_step.npz") as g5:
        np.testing.assert_allclose([step.rates[0] for step in steps], g5["exp_tf_2000"][:8], rtol=1e-9)


def test_no_dropout_while_it_is_frozen(toy, people, modes, tmp_path):
    fitted(toy, people, QUICK)
    assert modes == [False] * 6 + [True] * 2
    modes.clear()
    fitted(toy, people, QUICK, tmp_path)
    assert modes == [False] * 2 + [True] * 2  # two people's pools


def test_nothing_is_computed_backwards_through_what_is_frozen(toy, people, monkeypatch):
    seen, real = [], Encoder.hidden_states
    monkeypatch.setattr(
        Encoder, "hidden_states", lambda *given: (seen.append(torch.is_grad_enabled()), real(*given))[1]
    )
    fitted(toy, people, QUICK)
    assert seen == [False] * 6 + [True] * 2


def test_the_release_leaves_dropout_on(toy, people, modes):
    quiet = fitted(toy, people, replace(QUICK, unfreeze_at=1.0))
    modes.clear()
    loud = fitted(toy, people, replace(QUICK, unfreeze_at=1.0, frozen_dropout=True))
    assert modes == [True] * 8
    assert quiet.losses[0] != loud.losses[0]
    assert {name for name in changed(loud) if name.startswith("encoder.")} == set()


def test_never_and_always_frozen(toy, people, steps, modes, tmp_path):
    always = fitted(toy, people, replace(QUICK, unfreeze_at=1.0), tmp_path)
    assert {name.split(".")[0] for name in changed(always)} == {"head"}
    assert modes == [False] * 2
    modes.clear()
    steps.clear()
    never = fitted(toy, people, replace(QUICK, unfreeze_at=0.0), tmp_path / "none")
    assert [len(step.rates) for step in steps] == [2] * 8
    assert not torch.equal(steps[1].before[1][0], never.before["encoder.projection.weight"])
    assert modes == [True] * 8
    assert not (tmp_path / "none").exists()  # nothing to keep


def test_without_an_encoder_the_head_alone_is_trained(toy, people, steps):
    run = fitted(toy, people, replace(QUICK, steps=30, rate=0.003), encoder=False)
    assert [len(step.rates) for step in steps] == [1] * 30
    assert changed(run) == {name for name in run.before if name.startswith("head.")} == set(run.before)
    assert np.mean(run.losses[-10:]) < run.losses[0] / 1.5


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(toy, people, tmp_path):
    for pool in (tmp_path, None):
        first = fitted(toy, people, QUICK, pool)
        again = fitted(toy, people, QUICK, pool)
        assert first.losses == again.losses
        assert toy.same(first.after, again.after)
        assert fitted(toy, people, QUICK, pool, seed=1).losses != first.losses


def test_with_and_without_a_pool_a_head_learns_the_same(toy, people, tmp_path):
    config = replace(QUICK, steps=60, batch=8, rate=0.02, unfreeze_at=1.0, pool_step=2)
    pooled, fresh = (fitted(toy, people, config, pool) for pool in (tmp_path, None))
    assert min(pooled.losses[0], fresh.losses[0]) > 0.9
    for run in (pooled, fresh):  # each head on the same fresh cuts
        network, material, extractor = toy.parts(config, [*people, toy.person("c", seed=8)])
        network.load_state_dict(run.after)
        network.eval()
        spectra, valid, truth = material.spectra(material.windows(replace(config, batch=40), 9, 0), extractor)
        run.found = frame_cross_entropy(network(spectra, valid), truth).item()
    assert max(pooled.found, fresh.found) < 0.4
    assert pooled.found == pytest.approx(fresh.found, abs=0.1)


def test_unlabelled_frames_have_no_influence(toy, people):
    """Beyond what the encoder's attention makes of them: here there is no encoder."""
    spoiled = []
    for factor in (1, 9):
        one = replace(people[0], samples=people[0].samples.copy(), labels=people[0].labels.copy())
        one.labels[600:900] = -1
        one.samples[650:850] *= factor  # within frames that are mostly unlabelled
        spoiled.append(fitted(toy, [one], QUICK, encoder=False))
    assert toy.same(spoiled[0].after, spoiled[1].after)
    assert spoiled[0].losses == spoiled[1].losses


def test_the_loss_is_the_mean_over_labelled_frames():
    logits = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [9.0, 9.0]]])
    expected = (np.log(1 + np.exp(-2.0)) + np.log(1 + np.exp(1.0))) / 2
    found = frame_cross_entropy(logits, torch.tensor([[0, 0, -1]]))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_a_batch_without_any_label_is_no_loss_and_no_nan(toy, people):
    nothing = [replace(one, labels=np.full(len(one), -1, np.int16)) for one in people]
    run = fitted(toy, nothing, QUICK)
    assert run.losses == [0.0] * 8
    assert changed(run) == set()


def test_padding_is_attended_to_in_both_phases_or_in_none(toy, monkeypatch):
    """The release attends to the zeros behind a short recording."""
    seen = []
    real = Encoder.hidden_states
    monkeypatch.setattr(
        Encoder,
        "hidden_states",
        lambda self, spectra, valid=None: (seen.append(valid is None), real(self, spectra, valid))[1],
    )
    short = [toy.person(segments=((0, 200, 0.0),))]
    config = replace(QUICK, cuts="grid", validation_share=0.0)
    fitted(toy, short, config)
    assert seen == [False] * 8
    seen.clear()
    fitted(toy, short, replace(config, framing="release"))
    assert seen == [True] * 8


def test_grid_epochs_are_trained_to_their_end(toy, people):
    config = replace(QUICK, cuts="grid", grid_step=10, epochs=2)
    windows = len(toy.parts(config, people)[1].grid(10))
    assert len(fitted(toy, people, config).losses) == 2 * -(-windows // 4)


def test_bf16_trains_as_fp32_does(toy, people):
    config = replace(QUICK, steps=20, unfreeze_at=0.5)
    exact, coarse = (toy.parts(config, people) for _ in range(2))
    losses = train(*exact, config, 0, pool=None)
    network, material, extractor = coarse
    about = train(network, material, replace(extractor, precision="bf16"), config, 0, pool=None)
    assert np.mean(about[-5:]) == pytest.approx(np.mean(losses[-5:]), abs=0.1)
    assert np.mean(losses[-5:]) < losses[0]


def test_a_loss_that_is_not_finite_is_an_error(toy, people, monkeypatch):
    monkeypatch.setattr(finetuning, "frame_cross_entropy", lambda logits, _: logits.sum() * float("nan"))
    with pytest.raises(FloatingPointError, match="the loss became nan; lower rate="):
        fitted(toy, people, QUICK)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "wanted steps and batch of at least 1"),
        ({"batch": 0}, "wanted steps and batch of at least 1"),
        ({"unfreeze_at": 1.1}, "unfreeze_at from 0 to 1"),
        ({"validation_share": 1.0}, "validation_share from 0 to below 1"),
        ({"epochs": 3}, "epochs= counts passes over the grid: say cuts=grid"),
        ({"epochs": 0, "cuts": "grid"}, "wanted epochs of at least 1, got 0"),
        ({"grid_step": 0}, "wanted grid_step and pool_step of at least 1"),
        ({"pool_step": 0}, "wanted grid_step and pool_step of at least 1"),
        ({"overlap": -1}, "overlap and hidden of at least 0"),
        ({"hidden": -1}, "overlap and hidden of at least 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        FinetuneConfig(**settings)
