"""What reads beside the encoder: the perceptrons and the seconds around a frame, and how all answers become one."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from selfpab.downstream.augmentation import AugmentConfig
from selfpab.downstream.classifier import FinetunedClassifier
from selfpab.downstream.context import ContextReader
from selfpab.downstream.finetuning import FinetuneConfig, fresh_head
from selfpab.downstream.head import Head, Network, head_from
from selfpab.downstream.passes import FRAMES_AT_ONCE
from selfpab.downstream.states import Extractor
from selfpab.downstream.waveform import WaveformConfig, WaveformReader
from selfpab.features.normalisation import Normalisation
from selfpab.final_models import save
from selfpab.inference.model import load
from selfpab.upstream.encoder import Encoder

NUMBERS = Normalisation(np.linspace(0.5, 3, 156, dtype=np.float32), np.linspace(0, 4, 156, dtype=np.float32))
QUICK = FinetuneConfig(
    steps=6,
    batch=4,
    hidden=9,
    rate=0.01,
    unfreeze_at=0.0,
    overlap=6,
    statistics=True,
    upright_share=0.5,
    augment=AugmentConfig(tilt_deg=4.0),
    weight_decay=0.01,
    clip=0.1,
    mlp_dropout=0.1,
    context_members=2,
    context_hidden=7,
    waveform=WaveformConfig(width=16, steps=5, batch=2, frames=9),
)


def inputs_of(windows=2, frames=60, seed=0):
    """Normalised spectra as real ones are, magnitudes not negative, and statistics."""
    chance = np.random.default_rng(seed)
    magnitudes = chance.gamma(1.0, 2.0, (windows, frames, 156)).astype(np.float32)
    magnitudes[..., 0] = NUMBERS.mean[0]  # which never changes: its deviation is 0
    spectra = NUMBERS(torch.from_numpy(magnitudes))
    return torch.cat([spectra, torch.from_numpy(chance.normal(size=(windows, frames, 45)).astype(np.float32))], dim=2)


def slow_around(inputs):
    """(frames, 507) of one window without padding, frame by frame."""
    magnitudes = inputs[:, :156].double().numpy() * NUMBERS.std + NUMBERS.mean
    spectrum = np.log(magnitudes.reshape(-1, 6, 26)[:, :, :16] + 0.1).reshape(-1, 96)
    statistics = inputs[:, 156:].double().numpy()
    last, rows = len(inputs) - 1, []
    for place in range(len(inputs)):
        around = [slice(max(0, place - reach), place + reach + 1) for reach in (5, 20, 2)]
        shifted = [statistics[min(max(place + shift, 0), last)] for shift in (-4, -2, 2, 4)]
        rows.append(
            np.concatenate(
                [
                    statistics[place],
                    spectrum[place],
                    *shifted,
                    statistics[around[0]].mean(0),
                    statistics[around[1]].mean(0),
                    spectrum[around[2]].mean(0),
                ]
            )
        )
    return np.stack(rows)


def test_a_frame_is_read_with_the_seconds_around_it():
    reader, inputs = ContextReader(156, 3, members=1, hidden=4).told(NUMBERS), inputs_of()
    found = reader.around(inputs, None).numpy()
    for window, one in enumerate(inputs):
        np.testing.assert_allclose(found[window], slow_around(one), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [1, 3, 24, 60])
def test_padding_is_as_if_it_were_not_there(count):
    reader, inputs = ContextReader(156, 3, members=2, hidden=4).told(NUMBERS).eval(), inputs_of()
    valid = torch.ones(2, 60, dtype=torch.bool)
    valid[1, count:] = False
    inputs[1, count:] = 77.0
    found = reader(inputs, valid)
    alone = reader(inputs[1:, :count])
    torch.testing.assert_close(found[:, 1:, :count], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[:, 0], reader(inputs[:1])[:, 0], rtol=1e-4, atol=1e-5)
    reader.train()
    reader(inputs, valid)
    seen = np.concatenate([slow_around(inputs[0]), slow_around(inputs[1, :count])])
    np.testing.assert_allclose(reader.standard.running_mean, 0.01 * seen.mean(0), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("members", "width"), [(2, 16), (2, 0), (0, 16)])
def test_encoder_perceptrons_and_convolutions_count_alike(members, width):
    inputs = torch.cat([inputs_of(), torch.randn(2, 60, 150)], dim=2)
    context = ContextReader(156, 3, members=members, hidden=4).told(NUMBERS).eval() if members else None
    waveform = WaveformReader(3, width=width).eval() if width else None
    head = Head(2, 12, 9, 3, context=context, waveform=waveform).eval()
    logits = torch.randn(2, 60, 3)
    with torch.no_grad():
        each = [logits.softmax(-1)]
        if members:
            each.append(torch.stack([one.softmax(-1) for one in context(inputs)]).mean(0))
        if width:
            each.append(waveform(inputs).softmax(-1))
        found = head.beside(logits, inputs, None)
    torch.testing.assert_close(found.softmax(-1), torch.stack(each).mean(0))
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(2, 60))
    assert min(torch.abs(one - each[0]).max() for one in each[1:]) > 0.01


def trained(toy, config, seed=3):
    classifier = FinetunedClassifier("pretrained", toy.upstream(), toy.three, config, seed, precision="fp32")
    classifier.fit([toy.person("a", seed=1), toy.person("b", toy.short, seed=2)])
    return classifier


@pytest.fixture(scope="module")
def both(toy):
    return trained(toy, QUICK), trained(toy, replace(QUICK, context_members=0, waveform=WaveformConfig()))


def test_encoder_and_head_learn_as_they_do_without(both):
    """The two sides share what they are given and nothing else; only then their errors differ."""
    beside, alone = (one.extractor.network.state_dict() for one in both)
    further = {name for name in beside if name.startswith(("head.context.", "head.waveform."))}
    assert set(beside) - further == set(alone)
    for name, values in alone.items():
        torch.testing.assert_close(beside[name], values, rtol=0, atol=0)
    readers = {"context": ContextReader(156, 3, members=2, hidden=7), "waveform": WaveformReader(3, width=16)}
    assert further == {f"head.{name}.{key}" for name, one in readers.items() for key in one.state_dict()}


def test_every_member_learns_and_none_as_the_other(both, toy):
    reader = both[0].extractor.network.head.context
    first, second = (member[1].weight.detach() for member in reader.members)
    assert not torch.allclose(first, second, atol=1e-3)
    np.testing.assert_allclose(reader.mean, toy.numbers.mean)
    short = trained(toy, replace(QUICK, steps=1)).extractor.network.head.context
    for before, after in zip(short.parameters(), reader.parameters(), strict=True):
        assert not torch.equal(before, after)


@pytest.mark.parametrize("few", [2, 1000])
def test_what_is_predicted_is_the_mean_of_all(both, toy, monkeypatch, few):
    monkeypatch.setitem(FRAMES_AT_ONCE, "cpu", 11 * few)
    classifier = both[0]
    recording = toy.person("c", ((0, 203, 0.0), (203, 330, 5000.0), (330, 1100, 9000.0)), seed=4)
    network, extractor = classifier.extractor.network.eval(), classifier.extractor
    spans = extractor.spans(recording, step=5)
    inputs, valid = extractor.spectra(recording, spans[:])
    assert not valid.all()
    with torch.no_grad():
        own = network.head.classified(network.head.features(network.states(inputs, valid))).softmax(-1)
        perceptrons = network.head.context(inputs, valid).softmax(-1).mean(0)
        waveform = network.head.waveform(inputs, valid).softmax(-1)
        wanted = (own + perceptrons + waveform) / 3
        whole = network(inputs, valid).softmax(-1)
    assert min(torch.abs(wanted - one)[valid].max() for one in (own, perceptrons, waveform)) > 0.01
    torch.testing.assert_close(whole[valid], wanted[valid])
    looks = extractor.lazily(recording, spans).looks(network.head, lambda logits: logits.softmax(-1).numpy())
    for row, (_, values) in enumerate(looks):
        np.testing.assert_allclose(values, wanted[row][: len(values)], rtol=1e-4, atol=1e-5)
    assert row == len(spans) - 1
    tiles, between = extractor.two_looks(recording, step=5)
    looks = extractor.lazily(recording, tiles).looks(
        network.head, lambda logits: logits.softmax(-1).numpy(), between, 1.1
    )
    there = {first: row for row, first in enumerate(spans.firsts.tolist())}
    for first, values in looks:
        if first in there and spans.counts[there[first]] == len(values):
            np.testing.assert_allclose(values, wanted[there[first]][: len(values)], rtol=1e-4, atol=1e-5)


def test_bf16_gives_nearly_the_same(both, toy):
    recording, extractor = toy.person("c", toy.short, seed=4), both[0].extractor  # runs shorter than a window, too
    spans = extractor.spans(recording, step=5)
    head = extractor.network.head
    found = [
        np.concatenate(
            [
                values
                for _, values in replace(extractor, precision=precision)
                .lazily(recording, spans)
                .looks(head, lambda logits: logits.softmax(-1).numpy())
            ]
        )
        for precision in ("fp32", "bf16")
    ]
    assert 0 < np.abs(found[0] - found[1]).max() < 0.02


def test_a_saved_model_has_it(both, toy, tmp_path):
    recording = toy.person("c", seed=4)
    save(both[0], tmp_path, [], [recording], 3)
    model = load(tmp_path, precision="fp32")
    assert len(model.head.context.members) == 2
    assert model.head.waveform.to_tenths.out_channels == 16
    spans = model.predict(recording).frames
    wanted = both[0].probabilities(recording)
    np.testing.assert_allclose(spans.at(np.arange(len(recording))), wanted, rtol=1e-4, atol=1e-5)


def test_a_head_is_known_by_its_weights():
    readers = [
        {"context": ContextReader(156, 3, members=3, hidden=5), "waveform": WaveformReader(3, width=16)},
        {"waveform": WaveformReader(3, width=32)},
        {"context": ContextReader(156, 3, members=1, hidden=2)},
        {},
    ]
    for beside in readers:
        for made in (Head(2, 12, 9, 3, **beside), Head(2, 12, 0, 3, weighted=False, **beside)):
            found = head_from(made.state_dict(), 2, 12, 156, 3)
            found.load_state_dict(made.state_dict())
            assert (found.hidden is None, found.layer_weights is None) == (
                made.hidden is None,
                made.layer_weights is None,
            )


def test_layers_alone_are_not_enough():
    head = Head(2, 12, 9, 3, context=ContextReader(156, 3, members=1, hidden=5))
    with pytest.raises(ValueError, match="also reads what the encoder was given, and got its layers alone"):
        head(torch.zeros(2, 1, 5, 12))


def test_settings_that_do_not_fit_are_refused(toy):
    with pytest.raises(
        ValueError, match=r"wanted statistics=true, unfreeze_at=0 and head=mlp, got false, 0.75 and mlp"
    ):
        FinetuneConfig(context_members=1)
    with pytest.raises(ValueError, match="context_members of at least 0 and context_hidden of at least 1, got 1, 0"):
        replace(QUICK, context_members=1, context_hidden=0)
    with pytest.raises(ValueError, match=r"waveform.width= stands beside.*unfreeze_at=0 and head=mlp, got true, 0.5"):
        replace(QUICK, context_members=0, unfreeze_at=0.5)
    with pytest.raises(ValueError, match="stand beside an encoder, and this method has none"):
        FinetunedClassifier("none", toy.upstream(), toy.three, QUICK, 0)
    with pytest.raises(ValueError, match="wanted the normalisation of the network's inputs"):
        fresh_head(QUICK, 2, 12, 3)


def test_padded_windows_train(toy):
    """Runs shorter than a window: frames behind the end reach neither the means nor the loss."""
    upstream = toy.upstream()
    encoder = Encoder(156, **asdict(replace(upstream.encoder_config, statistics=True)))
    head = Head(2, 12, 9, 3, context=ContextReader(156, 3, members=1, hidden=5).told(toy.numbers))
    extractor = Extractor(Network(encoder, head), toy.shape, toy.numbers, "fp32")
    recording = toy.person("a", ((0, 110, 0.0),))
    spectra, valid = extractor.spectra(recording, extractor.spans(recording, step=11)[:])
    own, other = extractor.network.members(spectra, valid)
    assert own.shape == other.shape == (1, 11, 3)
    assert torch.isfinite(other).all()
