"""How the release cuts and pads, case by case; against its own numbers: tests/parity/test_downstream.py."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpab.activities import HARTH
from selfpab.config import load
from selfpab.downstream import release
from selfpab.downstream.classifier import FinetunedClassifier
from selfpab.downstream.cuts import frames_by_run
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.methods import EvaluateConfig
from selfpab.recording import Recording

PAPER = SpectrogramConfig()
FEW = FinetuneConfig(steps=6, batch=8, hidden=32, rate=0.01, framing="release", validation_share=0.0)
AUTHORS = load(EvaluateConfig, preset="authors", section="evaluate")


def recording_of(samples):
    return Recording("p", None, 50.0, np.ones((samples, 6), np.float32))


def windows_of(samples, step=12):
    return release.prediction_windows(release.padded(recording_of(samples), PAPER), PAPER, step=step)[:]


def test_without_gaps_is_one_segment_with_all_samples_and_labels(toy):
    gapped = toy.person(segments=toy.short)
    whole = release.without_gaps(gapped)
    assert [(s.first, s.stop) for s in whole.segments] == [(0, 1100)]
    np.testing.assert_array_equal(whole.samples, gapped.samples)
    np.testing.assert_array_equal(whole.labels, gapped.labels)
    assert len(frames_by_run(whole, toy.shape)[0][0]) == (1100 - 50) // 25 + 1  # frames cross what was a gap
    assert release.without_gaps(recording_of(0)).segments == ()


@pytest.mark.parametrize("samples", [1, 24, 25, 26, 49, 50, 51, 75, 613, 15_000])
def test_there_is_a_frame_for_every_half_second_begun(samples):
    padded = release.padded(recording_of(samples), PAPER)
    frames = -(-samples // 25)
    assert len(frames_by_run(padded, PAPER)[0][0]) == frames
    assert (padded.samples[:samples] == 1).all()
    assert not padded.samples[samples:].any()
    assert padded.labels is None


def test_counts_are_padded_in_g(toy):
    stored = replace(
        toy.person(), samples=(toy.person().samples * 1024).astype(np.int16), counts_per_g=1024, segments=()
    )
    padded = release.padded(stored, toy.shape)
    assert (padded.counts_per_g, padded.samples.dtype) == (None, np.float32)
    np.testing.assert_array_equal(padded.samples[:3000], stored.acceleration_g)


def test_windows_go_on_to_the_last_frame():
    cuts = windows_of(15_000 + 25)  # 601 frames
    assert len(cuts) == 51
    sizes = (cuts.starts >= 0).sum(1)
    assert sizes.tolist() == [min(599, 601 - first) for first in range(0, 601, 12)]
    assert cuts.starts[50].tolist() == [600 * 25] + [-1] * 598
    assert (cuts.starts[1] == np.where(np.arange(12, 611) < 601, np.arange(12, 611) * 25, -1)).all()
    assert len(windows_of(15_000 + 25, step=599)) == 2


def test_a_recording_shorter_than_a_window_has_one_that_is_not_padded():
    assert windows_of(9000).starts.shape == (1, 360)
    assert windows_of(598 * 25).starts.shape == (1, 598)
    assert windows_of(599 * 25).starts.shape == (50, 599)  # as long as a window: as any other
    assert (windows_of(9000).starts >= 0).all()


def test_a_key_that_is_not_of_a_classifier_is_named():
    with pytest.raises(ValueError, match=r"keys that are not of a released classifier:\n  loss\.weight\n  other"):
        release.our_weights({"loss.weight": torch.zeros(1), "other": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"weighted_sum\.weights\.x"):
        release.our_weights({"upstream_models.0.weighted_sum.weights.x": torch.zeros(1)})


def test_the_preset_says_what_the_release_does():
    """Rows of BEHAVIOUR (i); docs/fidelity.md."""
    tuned = AUTHORS.finetune
    assert (tuned.epochs, tuned.batch, tuned.cuts, tuned.grid_step, tuned.overlap) == (15, 100, "grid", 12, 599 - 12)
    assert (tuned.rate, tuned.decay, tuned.decay_steps, tuned.beta1, tuned.beta2) == (1e-4, 0.8, 200, 0.9, 0.98)
    assert (tuned.weighted, tuned.frozen_dropout, tuned.validation_share, tuned.unfreeze_at) == (False, True, 0, 0.75)
    assert (tuned.framing, tuned.merge, tuned.hidden) == ("release", "confusion", 1028)
    assert (AUTHORS.seeds, AUTHORS.precision) == ("42", "fp32")


def test_the_preset_trains_and_predicts_and_keeps_nothing(toy, tmp_path):
    """All of it on toy windows; the steps and the batch alone are others."""
    tuned = replace(AUTHORS.finetune, epochs=2, batch=8, hidden=16, overlap=11 - 3, grid_step=3)
    people = [toy.person(name, ((0, 1310, 0.0),), seed=seed) for name, seed in (("a", 1), ("b", 2))]
    for one in people:
        one.labels[:] = np.array([13, 130, 14], np.int16)[np.arange(1310) // 500]
    classifier = FinetunedClassifier(
        "pretrained", toy.upstream(), HARTH, tuned, 42, precision="fp32", pool=tmp_path / "pool"
    )
    classifier.fit(people)
    frames = (1310 - 50) // 25 + 1
    windows = 2 * -(-(frames + 1 - 11) // 3)
    assert len(classifier.losses) == 2 * -(-windows // 8)
    assert classifier.extractor.network.head.output.out_features == 12
    assert set(classifier.facts) == {"loss"}
    assert not (tmp_path / "pool").exists()
    chances = classifier.probabilities(people[0])
    assert chances.shape == (1310, 10)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert set(classifier.predict(people[0]).tolist()) <= set(range(10))


def trained(toy, config, person):
    classifier = FinetunedClassifier("pretrained", toy.upstream(), toy.three, config, 0, precision="fp32")
    classifier.fit([person])
    return classifier


def weights(classifier):
    return classifier.extractor.network.state_dict()


def test_gaps_are_ignored_as_in_the_release(toy):
    """Two halves with an hour between them are one recording; so are their windows."""
    tuned = replace(FEW, cuts="grid", merge="confusion")
    whole = toy.person("a", ((0, 1310, 0.0),), seed=1)
    apart = replace(whole, segments=toy.person(segments=((0, 613, 0.0), (613, 1310, 3600.0))).segments)
    one, other = (trained(toy, tuned, given) for given in (whole, apart))
    assert toy.same(weights(one), weights(other))
    np.testing.assert_array_equal(one.probabilities(whole), other.probabilities(apart))
    ours = trained(toy, replace(tuned, framing="runs"), apart)
    assert not toy.same(weights(one), weights(ours))


def test_prediction_of_the_release_is_a_slow_loop_over_padded_windows(toy):
    classifier = trained(toy, replace(FEW, overlap=8), toy.person("a", seed=1))
    test = toy.person("c", ((0, 613, 0.0),), seed=4)
    frames = 25  # 613 / 25, rounded up
    samples = np.concatenate([test.samples, np.zeros((50, 6), np.float32)])
    padded = replace(test, samples=samples, labels=None, segments=())
    places = np.arange(frames) * 25
    spectra = np.concatenate([toy.slow_spectra(padded, places, places + 50), np.zeros((11, 156), np.float32)])
    rows = [[] for _ in range(frames)]
    for first in range(0, frames, 3):
        with torch.no_grad():
            logits = classifier.extractor.network(torch.from_numpy(spectra[first : first + 11])[None])[0].double()
        for place, row in zip(range(first, min(first + 11, frames)), logits.softmax(-1).numpy(), strict=False):
            rows[place].append(row)
    means = [np.mean(row, axis=0) for row in rows]
    slow = [
        np.mean([means[t] for t in range(frames) if 25 * t <= sample < 25 * t + 50], axis=0) for sample in range(613)
    ]
    np.testing.assert_allclose(classifier.probabilities(test), slow, rtol=1e-4, atol=1e-6)
