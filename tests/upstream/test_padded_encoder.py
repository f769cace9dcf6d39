"""Padding changes where numbers lie, not what comes out: outputs, gradients, updates, checkpoints."""

import copy

import pytest
import torch

from selfpab.config import load
from selfpab.upstream import PretrainConfig, make_fabric, pretrain, pretraining
from selfpab.upstream.encoder import Encoder
from selfpab.upstream.padded_encoder import HEAD, ROW, PaddedEncoder, fast_form
from selfpab.upstream.run import checkpoints

SHAPES = {
    "heads of 25, like 250 of 1500": {"d_model": 150, "layers": 2, "heads": 6, "d_feedforward": 204},
    "norms before": {"d_model": 66, "layers": 2, "heads": 2, "d_feedforward": 100, "norm_first": True},
    "aligned already": {"d_model": 128, "layers": 1, "heads": 4, "d_feedforward": 64},
}
CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(params=list(SHAPES))
def encoder(request) -> Encoder:
    torch.manual_seed(0)
    made = Encoder(156, **SHAPES[request.param], dropout=0.1, attention_dropout=0.1)
    for name, parameter in made.named_parameters():  # biases and norms begin at 0 and 1, where faults would not show
        if name.endswith("bias") or "norm" in name:
            torch.nn.init.normal_(parameter, 0.5, 0.2)
    return made


def batch(short: bool):
    spectra = torch.randn(3, 61, 156)
    valid = torch.arange(61).expand(3, 61) < torch.tensor([[61], [40], [61]])
    return spectra, valid if short else None


def run(form, encoder, spectra, valid):
    """Output and gradients, with the same dropout each time."""
    encoder.zero_grad()
    torch.manual_seed(3)
    output = form(spectra, valid)
    output.square().mean().backward()
    return output.detach(), {name: p.grad.clone() for name, p in encoder.named_parameters()}


@pytest.mark.parametrize("short", [False, True], ids=["whole windows", "a short window"])
def test_outputs_and_gradients_are_those_of_the_encoder(encoder, short):
    given = batch(short)
    (one, wanted), (other, found) = run(encoder, encoder, *given), run(PaddedEncoder(encoder), encoder, *given)
    assert one.shape == other.shape == (3, 61, 156)
    torch.testing.assert_close(other, one, rtol=1e-5, atol=5e-6)
    for name in wanted:
        scale = wanted[name].abs().max()
        torch.testing.assert_close(found[name] / scale, wanted[name] / scale, rtol=0, atol=5e-6, msg=name)


def test_bf16_stays_as_close_to_fp32_as_the_encoder_does(encoder):
    encoder.eval()
    spectra, _ = batch(short=False)
    exact = encoder(spectra)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, padded = encoder(spectra), PaddedEncoder(encoder)(spectra)
    assert padded.dtype == rough.dtype == torch.bfloat16
    allowed = 1.5 * (rough.float() - exact).square().mean().sqrt()
    assert 0 < (padded.float() - exact).square().mean().sqrt() < allowed


def test_products_are_aligned_and_parameters_are_not(encoder, monkeypatch):
    import torch.nn.functional as F

    seen = []
    for name in ("linear", "scaled_dot_product_attention"):
        real = getattr(F, name)
        monkeypatch.setattr(
            F, name, lambda *a, real=real, **k: (seen.append([t.shape for t in a[:2]]), real(*a, **k))[1]
        )
    before = {name: p.shape for name, p in encoder.named_parameters()}
    PaddedEncoder(encoder)(torch.randn(1, 20, 156))
    layers = len(encoder.layers)
    assert len(seen) == 2 + 5 * layers
    for rows, weight in seen:
        if len(rows) == 4:
            assert rows[-1] % HEAD == 0
        else:
            assert rows[-1] == weight[1]
            assert weight[1] % ROW == 0
            assert weight[0] % (3 * HEAD if weight[0] > weight[1] and weight[0] % ROW else ROW) == 0
    assert {name: p.shape for name, p in encoder.named_parameters()} == before


def test_a_step_of_the_optimiser_ends_in_the_same_weights(encoder):
    other = copy.deepcopy(encoder)
    for form, trained in ((encoder, encoder), (PaddedEncoder(other), other)):
        optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
        torch.manual_seed(1)
        for _ in range(3):
            optimizer.zero_grad()
            form(torch.randn(2, 30, 156)).square().mean().backward()
            optimizer.step()
    for (name, one), two in zip(encoder.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-5, msg=name)


def test_only_a_gpu_and_only_odd_widths_are_padded():
    shape = {"layers": 1, "d_feedforward": 32, "dropout": 0.0, "attention_dropout": 0.0}
    odd_row, odd_head, even = (Encoder(156, d_model=d, heads=h, **shape) for d, h in ((40, 5), (64, 16), (64, 8)))
    assert all(fast_form(encoder, CPU) is encoder for encoder in (odd_row, odd_head, even))
    assert fast_form(even, GPU) is even
    for encoder in (odd_row, odd_head):
        form = fast_form(encoder, GPU)
        assert isinstance(form, PaddedEncoder)
        assert list(form.parameters()) == list(encoder.parameters())


def test_a_gpu_that_trains_is_not_asked_whether_frames_are_real():
    """Torch's `meta` device has no values: there, a question such as bool(tensor) is an error."""
    encoder = Encoder(156, **SHAPES["aligned already"], dropout=0.0, attention_dropout=0.0)
    valid = torch.ones(2, 5, dtype=torch.bool)
    assert encoder.train().all_of(valid)
    assert not encoder.all_of(valid.to("meta"))
    with pytest.raises(RuntimeError, match="meta"):
        encoder.eval().all_of(valid.to("meta"))


def test_training_padded_keeps_checkpoints_in_the_true_shape(small_corpus, tmp_path, monkeypatch):
    """A run begun padded goes on without, and the other way round, to the weights of a run never padded."""
    settings = ["encoder.d_model=30", "encoder.heads=2", "batch=4", "steps=4", "save_every=2", "precision=fp32"]
    config = load(PretrainConfig, preset="tiny", section="pretrain", settings=[*settings, "validation_share=0.0"])
    real = pretraining.fast_form
    ends = []
    for first, second in ((CPU, CPU), (GPU, CPU), (CPU, GPU)):
        run = tmp_path / f"{first}-{second}"
        for device in (first, second):
            monkeypatch.setattr(pretraining, "fast_form", lambda e, _, d=device, **k: real(e, d, **k))
            ends.append(pretrain(small_corpus, config, run, make_fabric("fp32"), quiet=True))
            if device is first:
                checkpoints(run)[-1].unlink()
        shapes = {k: v.shape for k, v in torch.load(checkpoints(run)[-1], weights_only=True)["model"].items()}
        assert shapes == {k: v.shape for k, v in ends[0].encoder.state_dict().items()}
    spectra = torch.randn(
        2, 50, 156
    )  # not the weights: Adam makes steps of the noise in a key's bias, which does nothing
    for end in ends:
        torch.testing.assert_close(end.encoder(spectra), ends[0].encoder(spectra), rtol=1e-3, atol=1e-4)
