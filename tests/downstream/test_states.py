"""Spectra and states of windows, against slow and independent computations."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from selfpab.downstream.cuts import Cuts, frames_by_run
from selfpab.downstream.head import Head, Network
from selfpab.downstream.states import FRAMES_AT_ONCE, Extractor, Pass, for_prediction, half_precision
from selfpab.features.normalisation import Normalisation
from selfpab.recording import Recording
from selfpab.upstream.encoder import Encoder
from selfpab.upstream.packed_products import packed


def looks_of(extractor, recording, spans, head, *again):
    """First frames of the windows looked through, and their logits, in the order in which they come."""
    return list(extractor.lazily(recording, spans).looks(head, lambda logits: logits.float().numpy(), *again))


@pytest.fixture(scope="module")
def gapped(toy):
    return toy.person(segments=((0, 203, 0.0), (203, 230, 5.0), (230, 700, 7.0), (700, 1100, 200.0)))


@pytest.fixture(scope="module")
def normalisation():
    chance = np.random.default_rng(5)
    return Normalisation(*(chance.uniform(1, 3, 156).astype(np.float32) for _ in range(2)))


@pytest.fixture(scope="module")
def encoder(toy, normalisation):
    return Extractor.of_encoder(toy.upstream(normalisation=normalisation), "fp32")


def test_windows_of_a_gapped_recording(encoder, gapped):
    """The first three segments are one run; the fourth is behind a gap of minutes."""
    spans = encoder.spans(gapped, step=11)
    starts, stops = spans[:].starts, spans[:].stops
    first = [0, 25, 50, 75, 100, 125, 150, 153]
    run = [*first, 203, *range(230, 651, 25), 650]
    other = list(range(700, 1051, 25))
    assert starts.tolist() == [run[0:11], run[11:22], run[-11:], other[0:11], other[-11:]]
    assert set(stops[0].tolist()) == {203, 230, 700}
    assert set(stops[3].tolist()) == {1100}
    bounds = [(s.first, s.stop) for s in gapped.segments]
    for start, stop in zip(starts.flatten(), stops.flatten(), strict=True):
        assert any(a <= start < b == stop for a, b in bounds)


def test_training_leaves_out_tails_and_pieces_under_a_second(encoder, gapped):
    starts, stops = (np.concatenate(sides) for sides in zip(*frames_by_run(gapped, encoder.shape), strict=True))
    assert (starts + 50 <= stops).all()
    assert not {153, 203, 650} & set(starts.tolist())


def test_a_short_recording_is_one_window_padded_behind(encoder, toy):
    spans = encoder.spans(toy.person(segments=((0, 110, 0.0),)), step=11)
    assert spans[:].starts.tolist() == [[0, 25, 50, 60] + [-1] * 7]
    assert spans[:].stops.tolist() == [[110] * 4 + [-1] * 7]


def test_an_empty_recording_has_no_windows(encoder):
    empty = Recording("p", None, 50.0, np.zeros((0, 6), np.float32))
    spans = encoder.spans(empty, step=11)
    assert spans[:].starts.shape == spans[:].stops.shape == (0, 11)
    assert list(encoder.lazily(empty, spans)) == []


def test_spectra_are_those_of_torch_stft_frame_by_frame(encoder, gapped, toy, normalisation):
    for recording in (gapped, toy.person(segments=((0, 110, 0.0),))):
        cuts = encoder.spans(recording, step=7)[:]
        spectra, valid = encoder.spectra(recording, cuts)
        assert (valid.numpy() == (cuts.starts >= 0)).all()
        for window, real, start, stop in zip(spectra, valid, cuts.starts, cuts.stops, strict=True):
            slow = toy.slow_spectra(recording, start[real.numpy()], stop[real.numpy()], normalisation)
            np.testing.assert_allclose(window[real].numpy(), slow, rtol=1e-4, atol=1e-4)
            assert not window[~real].any()


def test_states_are_the_layer_outputs_of_the_encoder(toy, gapped, normalisation):
    upstream = toy.upstream(1, normalisation=normalisation)
    upstream.encoder.train()  # dropout must be off all the same
    extractor = Extractor.of_encoder(upstream, "fp32")
    assert (extractor.layers, extractor.width) == (2, 12)
    cuts = extractor.spans(gapped, step=11)[:]
    values = list(extractor.lazily(gapped, cuts))
    assert len(values) == len(cuts)
    for window, states in enumerate(values):
        assert (states.shape, states.dtype) == ((2, 11, 12), np.float32)
        slow = toy.slow_spectra(gapped, cuts.starts[window], cuts.stops[window], normalisation)
        with torch.no_grad():
            layers = upstream.encoder.hidden_states(torch.from_numpy(slow)[None])
        for layer in range(2):
            np.testing.assert_allclose(states[layer], layers[layer][0].numpy(), rtol=1e-4, atol=1e-4)


def test_padding_reaches_the_states_of_real_frames_only_where_the_release_lets_it(encoder, toy):
    short = toy.person(segments=((0, 110, 0.0),))
    cuts = encoder.spans(short, step=11)[:]
    (padded,) = encoder.lazily(short, cuts)
    (alone,) = encoder.lazily(short, Cuts(cuts.starts[:, :4], cuts.stops[:, :4]))
    np.testing.assert_allclose(padded[:, :4], alone, rtol=1e-4, atol=1e-5)
    attending = replace(encoder, attend_padding=True)
    (values,) = attending.lazily(short, cuts)
    spectra, _ = attending.spectra(short, cuts)
    with torch.no_grad():
        layers = torch.stack(encoder.network.encoder.hidden_states(spectra))
    np.testing.assert_allclose(values, layers[:, 0].numpy(), rtol=1e-5, atol=1e-6)
    assert abs(values[:, :4] - alone).max() > 1e-2


def test_lazily_is_the_same_a_few_windows_at_a_time(encoder, gapped, monkeypatch):
    cuts = encoder.spans(gapped, step=2)[:]
    whole = np.stack(list(encoder.lazily(gapped, cuts)))
    assert len(whole) == len(cuts) > 6
    monkeypatch.setattr("selfpab.downstream.states.AT_ONCE", 3)
    np.testing.assert_allclose(np.stack(list(encoder.lazily(gapped, cuts))), whole, rtol=1e-5, atol=1e-6)
    lazy = encoder.span_states(gapped, encoder.spans(gapped, step=2))
    assert not isinstance(lazy.values, list | np.ndarray)
    np.testing.assert_allclose(next(iter(lazy.values)), whole[0], rtol=1e-5, atol=1e-6)


def test_counts_and_g_give_the_same_states(encoder, gapped):
    counts = (gapped.samples * 1024).astype(np.int16)
    stored = replace(gapped, samples=counts, counts_per_g=1024)
    in_g = replace(gapped, samples=counts.astype(np.float32) / 1024)
    cuts = encoder.spans(stored, step=11)[:]
    for one, other in zip(encoder.lazily(stored, cuts), encoder.lazily(in_g, cuts), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_bare_spectrogram_is_one_layer(toy, gapped, normalisation):
    extractor = Extractor(Network(None, Head(1, 156, 4, 3)), toy.shape, normalisation, "fp32")
    assert (extractor.layers, extractor.width) == (1, 156)
    cuts = extractor.spans(gapped, step=11)[:]
    spectra, _ = extractor.spectra(gapped, cuts)
    np.testing.assert_array_equal(np.stack(list(extractor.lazily(gapped, cuts)))[:, 0], spectra.numpy())


def test_no_gradient_and_no_change_of_mode(encoder, toy):
    """Whether dropout acts is up to the network: the release leaves it on in the frozen encoder."""
    spectra, valid = torch.randn(1, 11, 156), torch.ones(1, 11, dtype=torch.bool)
    network = Network(toy.upstream().encoder, Head(2, 12, 4, 3))
    extractor = Extractor(network, toy.shape, toy.numbers, "fp32")
    network.train()
    assert not torch.equal(extractor.states(spectra, valid), extractor.states(spectra, valid))
    assert not extractor.states(spectra, valid).requires_grad
    assert network.encoder.training
    network.eval()
    torch.testing.assert_close(extractor.states(spectra, valid), extractor.states(spectra, valid), rtol=0, atol=0)


def test_bf16_gives_the_same_to_its_precision(encoder, gapped):
    cuts = encoder.spans(gapped, step=11)[:]
    exact = np.stack(list(encoder.lazily(gapped, cuts)))
    coarse = np.stack(list(replace(encoder, precision="bf16").lazily(gapped, cuts)))
    assert coarse.dtype == np.float32
    assert 0 < abs(coarse - exact).max() < 0.1


def slow_logits(extractor, recording, spans, head):
    """Window by window, every layer kept."""
    with torch.no_grad():
        for window, count in zip(extractor.lazily(recording, spans), spans.counts, strict=True):
            yield head(torch.from_numpy(window[:, None, :count]))[0]


@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("attend_padding", [False, True])
def test_a_pass_gives_what_the_head_makes_of_the_states(toy, gapped, normalisation, statistics, attend_padding):
    """Also of runs that are shorter than a window, and with a back that is made upright."""
    torch.manual_seed(3)
    upstream = toy.upstream(1, normalisation=normalisation)
    settings = replace(upstream.encoder_config, statistics=statistics, upright_share=0.5 * statistics)
    encoder = Encoder(156, **asdict(settings)).eval()
    extractor = replace(
        Extractor.of_encoder(upstream, "fp32"),
        network=Network(encoder, Head(1, 1, 0, 1)),
        attend_padding=attend_padding,
    )
    head = Head(2, 12, 9, 3)
    with torch.no_grad():
        head.layer_weights.copy_(torch.tensor([0.3, 1.1]))
    short = toy.person(segments=((0, 110, 0.0), (110, 122, 100.0), (122, 900, 200.0)))
    for recording in (gapped, short):
        spans = extractor.spans(recording, step=4)
        fast, slow = looks_of(extractor, recording, spans, head), list(slow_logits(extractor, recording, spans, head))
        assert len(fast) == len(slow) == len(spans) > 2
        for (first, one), other, wanted in zip(fast, slow, spans.firsts, strict=True):
            assert first == wanted
            np.testing.assert_allclose(one, other.numpy(), rtol=1e-5, atol=1e-5)
    assert min(spans.counts) < 11 == max(spans.counts)


def test_a_pass_without_an_encoder_and_with_the_last_layer_alone(toy, gapped, normalisation, encoder):
    bare = Extractor(Network(None, Head(1, 156, 4, 3)), toy.shape, normalisation, "fp32")
    for extractor, head in ((bare, bare.network.head), (encoder, Head(2, 12, 0, 3, weighted=False))):
        spans = extractor.spans(gapped, step=7)
        fast = looks_of(extractor, gapped, spans, head)
        for (_, one), other in zip(fast, slow_logits(extractor, gapped, spans, head), strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("at_once", "share"), [(2, 2), (4, 16)])  # windows; of long ones fewer share their frames
def test_a_pass_takes_a_few_windows_at_a_time_and_every_frame_once_for_them(
    encoder, gapped, monkeypatch, at_once, share
):
    """What it holds in between is that of a few windows; their common frames are computed once."""
    head, spans = Head(2, 12, 5, 3), encoder.spans(gapped, step=2)
    whole = looks_of(encoder, gapped, spans, head)
    counted, together, real, logits = [], [], Extractor.features, Pass._logits
    monkeypatch.setattr(
        Pass, "_logits", lambda self, *given: (together.append(len(given[-1])), logits(self, *given))[1]
    )
    monkeypatch.setattr(Extractor, "features", lambda self, p: (counted.append(len(p)), real(self, p))[1])
    monkeypatch.setitem(FRAMES_AT_ONCE, "cpu", at_once * 11)
    few = looks_of(encoder, gapped, spans, head)
    assert max(together) == at_once
    assert [first for first, _ in few] == [first for first, _ in whole] == spans.firsts.tolist()
    for (_, one), (_, other) in zip(few, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert max(counted) <= at_once * 11 // 2
    blocks = [spans[first : first + share].starts for first in range(0, len(spans), share)]
    assert sum(counted) == sum(len(np.unique(block[block >= 0])) for block in blocks)


@pytest.mark.parametrize("few", [1, 2, 1000])
@pytest.mark.parametrize("doubtful", [0, 1, 2])
def test_a_second_look_is_taken_where_the_first_leaves_doubt(encoder, gapped, monkeypatch, few, doubtful):
    monkeypatch.setitem(FRAMES_AT_ONCE, "cpu", 11 * few)
    torch.manual_seed(6)
    head = Head(2, 12, 5, 3)
    tiles, between = encoder.two_looks(gapped, step=5)
    assert tiles.firsts.tolist() == [0, 10, 16, 27, 31]  # three windows of the first run, two of the second
    assert (between.firsts.tolist(), between.counts.tolist()) == ([5, 15, 0, 0, 0], [11, 11, 0, 0, 0])
    there = between.counts > 0
    again = replace(between, firsts=between.firsts[there], counts=between.counts[there])
    first_look = dict(zip(tiles.firsts.tolist(), slow_logits(encoder, gapped, tiles, head), strict=True))
    second_look = dict(zip(again.firsts.tolist(), slow_logits(encoder, gapped, again, head), strict=True))
    best = {}
    for first, rows in first_look.items():
        for place, row in enumerate(rows):
            best[first + place] = max(row.max().item(), best.get(first + place, -np.inf))
    worst = {first: min(best[first + place] for place in range(11)) for first in second_look}
    sure = [*sorted(worst.values()), max(worst.values()) + 2e-3][doubtful] - 1e-3
    in_doubt = {first for first in second_look if worst[first] < sure}
    assert len(in_doubt) == doubtful
    found = looks_of(encoder, gapped, tiles, head, between, sure)
    seen = {first for first, _ in found}
    assert len(seen) == len(found)
    assert first_look.keys() | in_doubt <= seen <= first_look.keys() | second_look.keys()
    assert few < 1000 or seen == first_look.keys() | in_doubt  # at the end of a block the next window is not known yet
    for first, rows in found:
        np.testing.assert_allclose(rows, (first_look | second_look)[first].numpy(), rtol=1e-5, atol=1e-5)


def test_bf16_weights_are_made_once_and_the_rest_is_shared(encoder):
    network = encoder.network
    assert half_precision(network, "fp32", torch.device("cpu")) is network
    half = half_precision(network, "bf16", torch.device("cpu"))
    before, after = network.state_dict(), half.state_dict()
    layer = "encoder.layers.1."
    assert after[layer + "widen.weight"].dtype == after[layer + "widen.bias"].dtype == torch.bfloat16
    torch.testing.assert_close(after[layer + "widen.weight"], before[layer + "widen.weight"].bfloat16(), rtol=0, atol=0)
    assert half.encoder.layers[1].norm_attention.weight is network.encoder.layers[1].norm_attention.weight
    assert {value.dtype for value in before.values()} == {torch.float32}  # the one given is as it was
    assert not half.training or network.training


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_value_that_is_not_finite_is_an_error(encoder, gapped, precision):
    """A product with a ReLU in it may give 0 for NaN, and so an answer."""
    extractor, head = replace(encoder, precision=precision), Head(2, 12, 5, 3)
    samples = gapped.samples.copy()
    samples[412, 4] = np.nan
    wrong = replace(gapped, samples=samples)
    with pytest.raises(
        ValueError, match="p has a value that is not finite within the second that begins at sample 380"
    ):
        looks_of(extractor, wrong, extractor.spans(wrong, step=7), head)
    with pytest.raises(ValueError, match="begins at sample 380"):
        list(extractor.span_states(wrong, extractor.spans(wrong, step=7)).values)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_comes_out_does_not_depend_on_the_number_of_threads(encoder, gapped, monkeypatch, precision):
    monkeypatch.setitem(FRAMES_AT_ONCE, "cpu", 11)
    extractor, head = replace(encoder, precision=precision), Head(2, 12, 5, 3)
    spans, before = extractor.spans(gapped, step=2), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(looks_of(extractor, gapped, spans, head))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for (first, rows), (same, wanted) in zip(other, found[0], strict=True):
            assert first == same
            np.testing.assert_array_equal(rows, wanted)


def test_prediction_takes_packed_products_where_there_are_some(encoder):
    network = for_prediction(encoder.network, "bf16", torch.device("cpu"))
    assert network is not encoder.network
    assert isinstance(network.encoder.layers[0].widen, type(packed(torch.nn.Linear(2, 2).bfloat16())))
    assert for_prediction(encoder.network, "fp32", torch.device("cpu")) is encoder.network
