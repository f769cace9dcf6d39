"""A loaded model on a recording: one row and one vector per clock second."""

import json
from dataclasses import asdict
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch

import selfpab
from selfpab.activities import Activities
from selfpab.data.simulation import simulate
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head
from selfpab.downstream.states import Extractor
from selfpab.features.normalisation import Normalisation
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.inference.frame_windows import OVERLAP
from selfpab.inference.model import load
from selfpab.recording import Recording, Segment
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig

THREE = Activities("three", (30, 10, 20), ("lie down", "sit", "walk (fast)"))
SMALL = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
FINETUNE = FinetuneConfig(hidden=9)
START = datetime(2024, 1, 1, 8, 0, 0, 600_000)


def recording(segments=((0, 1010, 0.0), (1010, 1030, 25.0), (1030, 22_000, 100.0)), start=START, rate_hz=50.0):
    values = np.random.default_rng(4).normal(0, 1, (segments[-1][1], 6)).astype(np.float32)
    values *= (1 + np.arange(len(values)) // 700 % 3)[:, None]
    return Recording("p", start, rate_hz, values, segments=tuple(Segment(*s) for s in segments))


@pytest.fixture(scope="module")
def upstream():
    torch.manual_seed(0)
    numbers = Normalisation(np.full(156, 2, np.float32), np.full(156, 3, np.float32))
    return Upstream.fresh(SMALL, SpectrogramConfig(), numbers)


@pytest.fixture(scope="module")
def encoder_folder(upstream, tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("encoder"), upstream, card="")


@pytest.fixture(scope="module")
def folder(upstream, tmp_path_factory):
    torch.manual_seed(1)
    head = Head(2, 12, 9, 3)
    with torch.no_grad():
        head.output.weight.mul_(5)
        head.layer_weights.copy_(torch.tensor([0.3, 1.1]))
    place = tmp_path_factory.mktemp("model")
    about = {"finetune": asdict(FINETUNE)}
    return save_model(place, upstream, card="", head=head.state_dict(), activities=THREE, downstream=about)


def test_one_row_per_clock_second_gaps_included(folder):
    model, given = load(folder, precision="fp32"), recording()
    prediction = model.predict(given)
    table = prediction.seconds
    moments = [START + timedelta(seconds=s) for s in given.sample_times_s()]
    seconds = [m.replace(microsecond=0) for m in (moments[0] + timedelta(seconds=i) for i in range(10**4))]
    last = moments[-1].replace(microsecond=0)
    assert table["time"].to_list() == seconds[: seconds.index(last) + 1]
    probabilities = ["p_lie_down", "p_sit", "p_walk_fast"]
    marked = ["uncertain", "wear", "gap", "enmo_back_mg", "enmo_thigh_mg", "flags", "sensors"]
    assert table.columns == ["time", "activity", "activity_name", "probability", *probabilities, *marked]
    covered = {m.replace(microsecond=0) for m in moments}
    assert table["gap"].to_list() == [time not in covered for time in table["time"]]
    gaps, rows = table.filter("gap"), table.filter(~table["gap"])
    assert len(gaps) > 50
    assert all(gaps[name].null_count() == len(gaps) for name in table.columns[1:] if name not in ("gap", "flags"))
    assert all(rows[name].null_count() == 0 for name in table.columns)
    np.testing.assert_allclose(rows.select(probabilities).to_numpy().sum(1), 1, rtol=1e-5)
    best = rows.select(probabilities).to_numpy().argmax(1)
    assert rows["activity"].to_list() == [THREE.codes[i] for i in best]
    assert rows["activity_name"].to_list() == [THREE.names[i] for i in best]
    np.testing.assert_allclose(rows["probability"], rows.select(probabilities).to_numpy().max(1))
    assert len(set(best.tolist())) > 1


def test_a_second_is_the_mean_of_its_samples(folder):
    given = recording()
    prediction = load(folder, precision="fp32").predict(given)
    assert prediction.probabilities.shape == (len(given), 3)
    np.testing.assert_allclose(prediction.probabilities.sum(1), 1, rtol=1e-9)
    np.testing.assert_array_equal(prediction.classes, prediction.probabilities.argmax(1))
    times = np.floor(given.sample_times_s() + 0.6 + 1e-9).astype(int)
    for second in (0, 1, 20, 25, 101, times[-1]):
        mean = prediction.probabilities[times == second].mean(0)
        np.testing.assert_allclose(prediction.seconds.row(second)[4:7], mean, rtol=1e-5)


def test_what_is_uncertain_can_be_asked_for(folder):
    model, given = load(folder, precision="fp32"), recording(((0, 1000, 0.0),))
    default, strict = model.predict(given).seconds, model.predict(given, uncertain_below=0.95).seconds
    assert default["uncertain"].to_list() == [p < 0.6 for p in default["probability"]]
    assert strict["uncertain"].to_list() == [p < 0.95 for p in strict["probability"]]
    assert default["uncertain"].sum() < strict["uncertain"].sum()


def test_overlapping_windows_are_averaged_frame_by_frame(folder):
    """Softmax of every frame in every window, averaged; by a loop."""
    model, given = load(folder, precision="fp32"), recording()
    extractor = Extractor.of_encoder(model.upstream, "fp32")
    spans = extractor.spans(given, step=599 - OVERLAP)
    found: dict[int, list[np.ndarray]] = {}
    for window, begins in zip(extractor.lazily(given, spans), spans[:].starts, strict=True):
        with torch.no_grad():
            logits = model.head(torch.from_numpy(window[:, None]).float())[0]
        for begin, each in zip(begins, logits.double().softmax(-1).numpy(), strict=True):
            if begin >= 0:
                found.setdefault(int(begin), []).append(each)
    frames = model.predict(given).frames
    assert frames.starts.tolist() == sorted(found)
    assert max(map(len, found.values())) > 1
    # a batch of another size is summed in another order
    np.testing.assert_allclose(frames.values, [np.mean(found[start], axis=0) for start in sorted(found)], atol=1e-6)


def test_an_empty_recording_is_an_error(folder):
    nothing = Recording("p", None, 50.0, np.zeros((0, 6), np.float32))
    with pytest.raises(ValueError, match="the recording is empty: there is nothing to predict"):
        load(folder).predict(nothing)


def test_a_recording_without_a_date_has_whole_seconds(folder):
    table = load(folder).predict(recording(((0, 130, 0.0),), start=None)).seconds
    assert table["time"].to_list() == [0, 1, 2]


def test_an_encoder_alone_says_what_to_do(encoder_folder):
    model = load(encoder_folder)
    assert (model.head, model.activities) == (None, None)
    with pytest.raises(ValueError, match="without activities; make a classifier of it: selfpab finetune DATASET MODEL"):
        model.predict(recording())


@pytest.mark.parametrize("call", ["predict", "embed"])
def test_another_rate_is_an_error(folder, call):
    with pytest.raises(ValueError, match="p has 100 Hz; the spectrograms need 50 Hz"):
        getattr(load(folder), call)(recording(rate_hz=100.0))


def slow_embedding(model, given, offset_s):
    """Sums and counts by loops over windows, frames and seconds."""
    extractor = Extractor.of_encoder(model.upstream, "fp32")
    spans = extractor.spans(given, step=599 - OVERLAP)
    starts, stops = spans[:].starts, spans[:].stops
    values = np.stack(list(extractor.lazily(given, spans))).astype(np.float64)
    second = np.floor(given.sample_times_s() + offset_s + 1e-9).astype(int)
    by_middle, by_touch = {}, {}
    for window in range(len(starts)):
        for frame in range(599):
            if starts[window, frame] < 0:
                continue
            layers = values[window, :, frame]
            vector = layers[-1] if model.head is None else 0.3 * layers[0] + 1.1 * layers[1]
            first, end = starts[window, frame], min(starts[window, frame] + 50, stops[window, frame])
            by_middle.setdefault(second[min(first + 25, end - 1)], []).append(vector)
            for touched in (second[first], second[end - 1]):
                by_touch.setdefault(touched, []).append(vector)
    result = np.full((second[-1] - second[0] + 1, 12), np.nan)
    for row in range(len(result)):
        vectors = by_middle.get(row) or by_touch.get(row)
        if vectors:
            result[row] = np.mean(vectors, axis=0)
    return result, second


@pytest.mark.parametrize("kind", ["encoder", "classifier"])
def test_an_embedding_is_the_mean_of_a_slow_loop(kind, folder, encoder_folder):
    model, given = load(folder if kind == "classifier" else encoder_folder, precision="fp32"), recording()
    found = model.embed(given)
    slow, second = slow_embedding(model, given, 0.6)
    assert found.dtype == np.float32
    assert found.shape == slow.shape == (second[-1] + 1, 12)
    np.testing.assert_allclose(found, slow, rtol=1e-3, atol=1e-4)


def test_an_embedding_is_missing_in_gaps_and_nowhere_else(encoder_folder):
    given = recording()
    found = load(encoder_folder).embed(given)
    seconds = np.floor(given.sample_times_s() + 0.6 + 1e-9).astype(int)
    there = np.isin(np.arange(len(found)), seconds)
    assert there[0]  # 0.4 s of samples: no frame's middle lies in it
    np.testing.assert_array_equal(np.isfinite(found).all(1), there)
    np.testing.assert_array_equal(np.isnan(found).any(1), ~there)


def test_what_was_saved_is_what_is_loaded(folder, upstream):
    for model in (load(folder), selfpab.load(str(folder))):
        assert model.activities == THREE
        assert model.head is not None
        assert not model.head.training
        assert model.upstream.sha256 == upstream.sha256
        np.testing.assert_allclose(model.head.layer_weights.detach().numpy(), [0.3, 1.1], rtol=1e-6)


def test_a_head_without_classes_or_of_another_shape_is_refused(folder, tmp_path):
    (tmp_path / "m").mkdir()
    for path in folder.iterdir():
        (tmp_path / "m" / path.name).write_bytes(path.read_bytes())
    classes = json.loads((folder / "classes.json").read_text())
    outputs = len(classes["classes"])
    classes["classes"] = classes["classes"][:-1]
    classes["merge"] = {}
    (tmp_path / "m" / "classes.json").write_text(json.dumps(classes))
    message = rf"the head in .* does not fit the network:\n  output.weight has shape \({outputs}, 9\)"
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "m")
    (tmp_path / "m" / "classes.json").unlink()
    with pytest.raises(ValueError, match=r"has a head but no classes.json; a fine-tuned model needs both"):
        load(tmp_path / "m")


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is no model folder: it has no config.json"):
        load(tmp_path)


def test_bf16_names_the_class_of_fp32_where_that_is_clear():
    """The model in the box on a person with nights and walks; clear: the two best differ by at least 0.2."""
    (given,) = simulate(1, 0.4, seed=3)
    exact, coarse = (load("default", precision=precision).predict(given) for precision in ("fp32", "bf16"))
    best = np.sort(exact.seconds.select(exact.activities.columns).to_numpy(), axis=1)
    clear = best[:, -1] - best[:, -2] >= 0.2
    assert clear.sum() > 1000
    assert exact.seconds["activity"].n_unique() > 2
    same = (exact.seconds["activity"] == coarse.seconds["activity"]).to_numpy()
    assert same[clear].mean() >= 0.999
    assert 0 < np.abs(exact.frames.values - coarse.frames.values).max() < 0.1
