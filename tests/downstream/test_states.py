"""Spectra and states of windows, against slow and independent computations."""

from dataclasses import replace

import numpy as np
import torch

from selfpab.downstream.cuts import Cuts, frames_by_run
from selfpab.downstream.head import Head, Network
from selfpab.downstream.states import Extractor
from selfpab.recording import Recording


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
    monkeypatch.setattr("selfpab.downstream.passes.AT_ONCE", 3)
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
