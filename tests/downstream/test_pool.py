"""Outputs of the frozen encoder on disk: right, computed once, told apart, never cut off."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpab.downstream.cuts import frames_by_run, scattered
from selfpab.downstream.head import Head, Network
from selfpab.downstream.pool import Pool, fingerprint
from selfpab.downstream.states import Extractor
from selfpab.features.normalisation import Normalisation
from selfpab.recording import Segment


@pytest.fixture(scope="module")
def extractor(toy):
    return Extractor.of_encoder(toy.upstream(), "fp32")


@pytest.fixture(scope="module")
def recording(toy):
    return toy.person(segments=toy.short)


@pytest.fixture(scope="module")
def cuts(toy, recording):
    return scattered(frames_by_run(recording, toy.shape), length=11, step=4, seed=1)


def test_values_are_the_outputs_of_the_encoder_at_those_windows(toy, extractor, recording, cuts, tmp_path):
    found = Pool(tmp_path, extractor).of(recording, cuts)
    assert (found.shape, found.dtype) == ((len(cuts), 2, 11, 12), np.float16)
    assert isinstance(found, np.memmap)
    for window, (start, stop) in enumerate(zip(cuts.starts, cuts.stops, strict=True)):
        slow = toy.slow_spectra(recording, start[start >= 0], stop[start >= 0])
        with torch.no_grad():
            layers = extractor.network.encoder.hidden_states(torch.from_numpy(slow)[None])
        for layer in range(2):
            kept = found[window, layer, : len(slow)].astype(np.float32)
            np.testing.assert_allclose(kept, layers[layer][0].numpy(), rtol=2e-3, atol=2e-3)


def test_it_is_computed_once_for_all_folds_and_processes(toy, extractor, recording, cuts, tmp_path, monkeypatch):
    first = Pool(tmp_path, extractor).of(recording, cuts)
    monkeypatch.setattr(Extractor, "lazily", lambda *_: pytest.fail("computed again"))
    network = Network(toy.upstream().encoder, Head(2, 12, 77, 5))  # another head, opened anew
    again = Pool(tmp_path, Extractor(network.eval(), toy.shape, toy.numbers, "fp32"))
    relabelled = replace(
        recording, subject="q", labels=np.full(len(recording), 20, np.int16), samples=recording.samples.copy()
    )
    np.testing.assert_array_equal(again.of(relabelled, cuts), first)
    assert len(list(tmp_path.iterdir())) == 1


def test_whatever_changes_an_output_changes_the_key(toy, extractor, recording, cuts, tmp_path):
    """Nothing of another encoder, recording or cut is ever taken for one's own."""
    mean, std = toy.numbers.mean.copy(), toy.numbers.std.copy()
    mean[7] += 0.5
    std[9] += 0.5
    nudged = toy.upstream()
    with torch.no_grad():
        nudged.encoder.layers[1].norm_feedforward.bias[3] += 1e-3
    heads, first = (toy.upstream(shape=replace(toy.small, **change)) for change in ({"heads": 3}, {"norm_first": True}))
    for other in (heads, first):
        other.encoder.load_state_dict(extractor.network.encoder.state_dict())
    upright = toy.upstream(shape=replace(toy.small, upright_share=0.5))
    upright.encoder.load_state_dict(extractor.network.encoder.state_dict())
    samples = recording.samples.copy()
    samples[500, 2] += 0.01
    variants = {
        "as it is": (extractor, recording, cuts),
        "weights": (Extractor.of_encoder(nudged, "fp32"), recording, cuts),
        "heads": (Extractor.of_encoder(heads, "fp32"), recording, cuts),
        "norms before": (Extractor.of_encoder(first, "fp32"), recording, cuts),
        "upright": (Extractor.of_encoder(upright, "fp32"), recording, cuts),
        "mean": (replace(extractor, normalisation=Normalisation(mean, toy.numbers.std)), recording, cuts),
        "std": (replace(extractor, normalisation=Normalisation(toy.numbers.mean, std)), recording, cuts),
        "precision": (replace(extractor, precision="bf16"), recording, cuts),
        "padding": (replace(extractor, attend_padding=True), recording, cuts),
        "hop": (replace(extractor, shape=replace(toy.shape, hop_samples=10)), recording, cuts),
        "a sample": (extractor, replace(recording, samples=samples), cuts),
        "a window less": (extractor, recording, cuts[1:]),
        "other windows": (extractor, recording, type(cuts)(cuts.starts[::-1], cuts.stops[::-1])),
        "other stops": (extractor, recording, type(cuts)(cuts.starts, np.minimum(cuts.stops, 690))),
    }
    seen = {}
    for what, (by, person, windows) in variants.items():
        before = set(tmp_path.iterdir())
        Pool(tmp_path, by).of(person, windows)
        (new,) = set(tmp_path.iterdir()) - before or {None}
        assert new is not None, what
        seen[what] = new
    assert len(set(seen.values())) == len(variants)


def test_a_fingerprint_is_of_samples_and_segments(recording):
    moved = replace(recording, segments=(*recording.segments[:-1], Segment(712, 1100, 901.0)))
    assert fingerprint(moved) != fingerprint(recording)
    assert fingerprint(replace(recording, subject="z", labels=None)) == fingerprint(recording)
    assert fingerprint(replace(recording, rate_hz=100.0)) != fingerprint(recording)


def test_a_kill_leaves_nothing_under_the_name(extractor, recording, cuts, tmp_path, monkeypatch):
    real = Extractor.lazily

    def killed(self, *arguments):
        for place, window in enumerate(real(self, *arguments)):
            assert not list(tmp_path.glob("[!.]*"))  # never seen half
            if place == 3:
                raise KeyboardInterrupt
            yield window

    pool = Pool(tmp_path, extractor)
    monkeypatch.setattr(Extractor, "lazily", killed)
    with pytest.raises(KeyboardInterrupt):
        pool.of(recording, cuts)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Extractor, "lazily", real)
    whole = pool.of(recording, cuts)
    windows = list(extractor.lazily(recording, cuts))
    np.testing.assert_allclose(whole[-1].astype(np.float32), windows[-1], rtol=2e-3, atol=2e-3)


def test_without_an_encoder_there_is_no_pool(toy, tmp_path):
    with pytest.raises(ValueError, match="without an encoder there are no outputs worth keeping"):
        Pool(tmp_path, Extractor(Network(None, Head(1, 156, 4, 3)), toy.shape, toy.numbers))
