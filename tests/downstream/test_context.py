"""The perceptrons and trees that read the seconds around a frame, beside the encoder."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from selfpab.downstream.augmentation import AugmentConfig
from selfpab.downstream.classifier import FinetunedClassifier
from selfpab.downstream.context import ContextReader, in_doubt
from selfpab.downstream.finetuning import FinetuneConfig, fresh_head
from selfpab.downstream.forest import Forest
from selfpab.downstream.head import Head, Network, head_from
from selfpab.downstream.material import Material
from selfpab.downstream.passes import FRAMES_AT_ONCE
from selfpab.downstream.states import Extractor
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
    context_trees=3,
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


@pytest.mark.parametrize(("members", "trees"), [(2, 3), (2, 0), (0, 3)])
def test_encoder_perceptrons_and_trees_count_alike(members, trees):
    reader = ContextReader(156, 3, members=members, hidden=4, trees=trees, depth=2).eval()
    if trees:
        reader.forest.leaves.normal_()
        reader.forest.below.normal_()
    own, around = torch.randn(50, 3).softmax(-1), torch.randn(50, 507)
    with torch.no_grad():
        perceived = reader.perceived(own, around)
        judged = reader.judged(perceived, around)
        each = [own]
        if members:
            each.append(
                torch.stack([one(reader.standard(around).clamp(-5, 5)).softmax(-1) for one in reader.members]).mean(0)
            )
        torch.testing.assert_close(perceived, torch.stack(each).mean(0))
        if trees:
            each.append(reader.forest(around).softmax(-1))
            assert torch.abs(judged - perceived).max() > 0.01
    torch.testing.assert_close(judged, torch.stack(each).mean(0))
    assert torch.equal(in_doubt(own), own.max(1).values < 0.9)


def trained(toy, config, seed=3):
    classifier = FinetunedClassifier("pretrained", toy.upstream(), toy.three, config, seed, precision="fp32")
    classifier.fit([toy.person("a", seed=1), toy.person("b", toy.short, seed=2)])
    return classifier


@pytest.fixture(scope="module")
def both(toy):
    return trained(toy, QUICK), trained(toy, replace(QUICK, context_members=0, context_trees=0))


def test_encoder_and_head_learn_as_they_do_without(both):
    """The two sides share what they are given and nothing else; only then their errors differ."""
    beside, alone = (one.extractor.network.state_dict() for one in both)
    further = {name for name in beside if name.startswith("head.context.")}
    assert set(beside) - further == set(alone)
    for name, values in alone.items():
        torch.testing.assert_close(beside[name], values, rtol=0, atol=0)
    fresh = ContextReader(156, 3, members=2, hidden=7, trees=3).state_dict()
    assert {name.removeprefix("head.context.") for name in further} == set(fresh)


def test_every_member_learns_and_none_as_the_other(both, toy):
    reader = both[0].extractor.network.head.context
    first, second = (member[1].weight.detach() for member in reader.members)
    assert not torch.allclose(first, second, atol=1e-3)
    np.testing.assert_allclose(reader.mean, toy.numbers.mean)
    short = trained(toy, replace(QUICK, steps=1)).extractor.network.head.context
    for before, after in zip(short.parameters(), reader.parameters(), strict=True):
        assert not torch.equal(before, after)
    for name, values in short.forest.state_dict().items():  # which learn from frames, whatever the steps
        assert torch.equal(values, reader.forest.state_dict()[name])


def test_trees_grow_on_every_training_frame_of_a_rare_class(both, toy, monkeypatch):
    """And on every so manieth of a frequent one, which counts for those left out."""
    told = {}

    def noted(rows, truth, weights, **settings):
        told.update(rows=rows, truth=truth, weights=weights, **settings)
        return Forest(settings["trees"], settings["growth"].depth, settings["classes"])

    monkeypatch.setattr("selfpab.downstream.context.grown", noted)
    monkeypatch.setattr("selfpab.downstream.context.FRAMES_OF_A_CLASS", 12)
    classifier = both[0]
    people = [toy.person("a", seed=1), toy.person("b", toy.short, seed=2)]
    material = Material(people, toy.three, toy.shape, 0.0)
    counts = material.counts()
    every = np.maximum(1, counts // 12)
    assert every.max() > 1
    reader = classifier.extractor.network.head.context
    before = {name: values.clone() for name, values in reader.forest.state_dict().items()}
    reader.taught(material, classifier.extractor, AugmentConfig(), 7)
    reader.forest.load_state_dict(before)
    assert (told["trees"], told["classes"], told["seed"], told["growth"].depth) == (3, 3, 7, 6)
    assert np.bincount(told["truth"], minlength=3).tolist() == np.ceil(counts / every).astype(int).tolist()
    np.testing.assert_array_equal(told["weights"], every[told["truth"]])
    # each row is what stands around one labelled frame of somebody, and none is there twice
    assert len(np.unique(told["rows"], axis=0)) == len(told["rows"])
    possible = []
    for person in people:
        spans = classifier.extractor.spans(person, step=toy.shape.window_frames)
        spectra, valid = classifier.extractor.spectra(person, spans[:])
        possible.append(reader.around(spectra, valid)[valid].numpy())
    possible = np.concatenate(possible)
    nearest = [np.abs(possible - row).max(axis=1).min() for row in told["rows"]]
    assert np.median(nearest) < 1e-4


@pytest.mark.parametrize("sure", [0.0, "half", 1.1])
@pytest.mark.parametrize("few", [2, 1000])
def test_what_is_predicted_is_the_mean_and_trees_are_heard_where_there_is_doubt(both, toy, monkeypatch, sure, few):
    monkeypatch.setitem(FRAMES_AT_ONCE, "cpu", 11 * few)
    classifier = both[0]
    recording = toy.person("c", ((0, 203, 0.0), (203, 230, 5.0), (230, 1100, 7.0)), seed=4)
    network, extractor = classifier.extractor.network.eval(), classifier.extractor
    spans = extractor.spans(recording, step=5)
    spectra, valid = extractor.spectra(recording, spans[:])
    with torch.no_grad():
        own = network.head.classified(network.head.features(network.states(spectra, valid))).softmax(-1)
        context = network.head.context
        trees = context.forest(context.around(spectra, valid).flatten(0, 1)).unflatten(0, valid.shape).softmax(-1)
        perceptrons = context(spectra, valid).softmax(-1).mean(0)
        two, mean = (own + perceptrons) / 2, (own + perceptrons + trees) / 3
        best = two.amax(-1)
        sure = float(best[valid].median()) + 1e-4 if sure == "half" else sure
        monkeypatch.setattr("selfpab.downstream.context.SURE", sure)
        wanted = torch.where((best < sure)[..., None], mean, two)
        whole = network(spectra, valid).softmax(-1)
    assert min(torch.abs(mean - two).max(), torch.abs(two - own).max()) > 0.01
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
    recording, extractor = toy.person("c", seed=4), both[0].extractor
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
    assert model.head.context.forest.leaves.shape == (3, 64, 3)
    spans = model.predict(recording).frames
    wanted = both[0].probabilities(recording)
    np.testing.assert_allclose(spans.at(np.arange(len(recording))), wanted, rtol=1e-4, atol=1e-5)


def test_a_head_is_known_by_its_weights():
    readers = [
        ContextReader(156, 3, members=3, hidden=5),
        ContextReader(156, 3, members=0, trees=4, depth=2),
        ContextReader(156, 3, members=1, hidden=2, trees=1),
        None,
    ]
    for made in (Head(2, 12, 9, 3), Head(2, 12, 0, 3, weighted=False)):
        for made.context in readers:
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
    with pytest.raises(ValueError, match="wanted statistics=true, unfreeze_at=0 and head=mlp, got false"):
        FinetuneConfig(context_members=1)
    with pytest.raises(ValueError, match="and context_hidden of at least 1, got 1, 3, 0"):
        replace(QUICK, context_members=1, context_hidden=0)
    with pytest.raises(ValueError, match="context_trees of at least 0 and context_hidden of at least 1, got 1, -1, 7"):
        replace(QUICK, context_members=1, context_trees=-1)
    with pytest.raises(
        ValueError, match=r"context_trees= read the statistics.*unfreeze_at=0 and head=mlp, got true, 0.5"
    ):
        replace(QUICK, context_members=0, unfreeze_at=0.5)
    with pytest.raises(ValueError, match="stand beside an encoder, and this method has none"):
        FinetunedClassifier("none", toy.upstream(), toy.three, QUICK, 0)
    with pytest.raises(ValueError, match="wanted the normalisation of the network's inputs"):
        fresh_head(QUICK, 2, 12, 3)


def test_trees_that_cannot_grow_are_told_before_the_training(toy, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xgboost", None)
    with pytest.raises(RuntimeError, match=r"pip install 'selfpab\[baselines\]'"):
        FinetunedClassifier("pretrained", toy.upstream(), toy.three, QUICK, 0)
    FinetunedClassifier("pretrained", toy.upstream(), toy.three, replace(QUICK, context_trees=0), 0)


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
