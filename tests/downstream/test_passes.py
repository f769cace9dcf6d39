"""One pass over a recording's windows: what a head makes of them, and which are looked at twice."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from selfpab.downstream.frame_inputs import FrameInputs
from selfpab.downstream.head import Head, Network
from selfpab.downstream.passes import FRAMES_AT_ONCE, comfortable_length, for_prediction, half_precision
from selfpab.downstream.states import Extractor
from selfpab.upstream.encoder import Encoder
from selfpab.upstream.packed_products import packed


def looks_of(extractor, recording, spans, head, *again):
    """First frames of the windows looked through, and their logits, in the order in which they come."""
    return list(extractor.lazily(recording, spans).looks(head, lambda logits: logits.float().numpy(), *again))


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


@pytest.mark.parametrize("padded", [False, True])
def test_windows_made_longer_for_tiles_say_the_same(encoder, gapped, monkeypatch, padded):
    """Frames added behind the end are looked past, and where the release attends to the end none is added."""
    monkeypatch.setattr("selfpab.downstream.passes.multiplies_tiles", lambda: True)
    seen, layers = [], Encoder.layer_outputs
    monkeypatch.setattr(
        Encoder, "layer_outputs", lambda self, x, valid: (seen.append(x.shape[1]), layers(self, x, valid))[1]
    )
    extractor = replace(encoder, precision="bf16", attend_padding=padded)
    head = Head(2, 12, 5, 3)
    spans = extractor.spans(gapped, step=4)
    found = looks_of(extractor, gapped, spans, head)
    assert set(seen) == {11 if padded else 32}
    assert comfortable_length(32, "bf16", torch.device("cpu")) == 32
    assert comfortable_length(33, "bf16", torch.device("cpu")) == 64
    for (_, one), other in zip(found, slow_logits(extractor, gapped, spans, head), strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=0.02)


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
    counted, together, real, layers = [], [], FrameInputs.of, Encoder.layer_outputs
    monkeypatch.setattr(
        Encoder, "layer_outputs", lambda self, x, valid: (together.append(len(x)), layers(self, x, valid))[1]
    )
    monkeypatch.setattr(FrameInputs, "of", lambda self, p, n: (counted.append(len(p)), real(self, p, n))[1])
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
