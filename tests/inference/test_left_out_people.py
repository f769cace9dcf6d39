"""A model of one's own, calibrated by the people whom its evaluation left out."""

import json

import numpy as np
import polars as pl
import pytest

from selfpab.evaluation.answers import Answers
from selfpab.inference.left_out_people import CalibrateConfig, calibrate
from selfpab.inference.trust import fit_single, fit_trust, read_trust

NAMES = ("walking", "sitting", "lying")
CLASSES = [{"code": code, "name": name} for code, name in zip((1, 7, 8), NAMES, strict=True)]
SETTINGS = {"steps": 400, "rate": 0.001}


def overconfident(rng, seconds=600):
    """Bouts of ten seconds; the probabilities said are the squares of the true ones."""
    true = np.repeat(rng.dirichlet([0.6, 0.6, 0.3], seconds // 10), 10, axis=0)
    truth = (true.cumsum(axis=1) < rng.random((seconds, 1))).sum(axis=1).clip(0, 2)
    return Answers(truth, true**2 / (true**2).sum(axis=1, keepdims=True))


def write_run(run, people, *, dataset="mine", classes=CLASSES, settings=SETTINGS):
    (run / "seconds").mkdir(parents=True)
    results = {"schema": 1, "method": "selfpab", "dataset": dataset, "classes": classes, "config": settings}
    (run / "results.json").write_text(json.dumps(results | {"subjects": {name: {} for name in people}}))
    codes = np.array([entry["code"] for entry in classes])
    for name, answers in people.items():
        columns = {f"p_{k}": answers.probabilities[:, k] for k in range(len(codes))}
        table = pl.DataFrame({"truth": codes[answers.truth], **columns, "recording": np.zeros(len(answers.truth), int)})
        table.write_parquet(run / "seconds" / f"{name}.parquet")


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    return {name: overconfident(rng) for name in ("anna", "bo", "cy", "di", "eva")}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "classes.json").write_text(json.dumps({"name": "mine", "classes": CLASSES}))
    (folder / "config.json").write_text(json.dumps({"downstream": {"finetune": {**SETTINGS, "warmup_steps": 50}}}))
    (folder / "README.md").write_text("# Mine\n\nProbabilities are not calibrated. Not a medical device.\n")
    return folder


def test_fits_the_left_out_people_and_tells_in_the_card(people, model, tmp_path):
    write_run(tmp_path / "runs" / "selfpab" / "seed-0", people)
    lines = calibrate(model, [tmp_path / "runs"], CalibrateConfig(accuracy=0.8))
    stored = {f"mine/{name}": Answers(a.truth, a.probabilities) for name, a in people.items()}
    found, wanted = read_trust(model / "calibration.json"), fit_trust(stored, accuracy=0.8)
    assert found.map.temperature == pytest.approx(wanted.map.temperature, rel=1e-6) == pytest.approx(2, rel=0.15)
    assert found.uncertain.threshold == pytest.approx(wanted.uncertain.threshold)
    assert "on 5 people" in lines[0]
    card = (model / "README.md").read_text()
    assert all(line in card for line in lines)
    assert "not calibrated" not in card
    assert "Not a medical device." in card


def test_what_one_sensor_alone_gave_is_calibrated_by_itself(people, model, tmp_path):
    run = tmp_path / "run"
    alone = {
        name: Answers(a.truth, a.probabilities**0.25 / (a.probabilities**0.25).sum(1, keepdims=True))
        for name, a in people.items()
    }
    write_run(run, people)
    write_run(run / "single-thigh", alone)
    lines = calibrate(model, [run], CalibrateConfig(accuracy=0.8))
    trust = read_trust(model / "calibration.json")
    stored = {f"mine/{name}": answers for name, answers in alone.items()}
    assert list(trust.single) == ["thigh"]
    wanted = fit_single(stored, trust.decision, accuracy=0.8)
    assert trust.single["thigh"].map.temperature == pytest.approx(wanted.map.temperature, rel=1e-4)
    assert trust.single["thigh"].map.temperature == pytest.approx(
        0.5, rel=0.2
    )  # p ** (1/2) as it is, and p ** 2 before
    assert lines[-1].startswith("Where the thigh's sensor alone is read: macro F1 of seconds as `predict` decides")
    assert lines[-1] in (model / "README.md").read_text()


def test_some_people_with_one_sensor_alone_are_too_few(people, model, tmp_path):
    write_run(tmp_path / "run", people)
    write_run(tmp_path / "run" / "single-back", dict(list(people.items())[:4]))
    with pytest.raises(ValueError, match="back alone was evaluated for some of the people only"):
        calibrate(model, [tmp_path / "run"])
    assert not (model / "calibration.json").exists()


def test_a_second_time_takes_the_place_of_the_first(people, model, tmp_path):
    write_run(tmp_path / "run", people)
    calibrate(model, [tmp_path / "run"])
    once = (model / "README.md").read_text()
    calibrate(model, [tmp_path / "run"])
    assert (model / "README.md").read_text() == once


def test_evaluations_of_several_data_sets_are_put_together(people, model, tmp_path):
    write_run(tmp_path / "a", people, dataset="a")
    write_run(tmp_path / "b", people, dataset="b")
    assert "on 10 people" in calibrate(model, [tmp_path / "a", tmp_path / "b"])[0]


@pytest.mark.parametrize(
    ("different", "message"),
    [
        ({"settings": {**SETTINGS, "steps": 1600}}, r"steps=1600 \(the model: 400\).*evaluate with its settings"),
        ({"classes": [*CLASSES[:2], {"code": 9, "name": "lying"}]}, r"\(9, 'lying'\).*the model .*\(8, 'lying'\)"),
    ],
)
def test_another_method_s_people_tell_nothing(people, model, tmp_path, different, message):
    write_run(tmp_path / "run", people, **different)
    with pytest.raises(ValueError, match=message):
        calibrate(model, [tmp_path / "run"])
    assert not (model / "calibration.json").exists()


def test_the_same_people_twice(people, model, tmp_path):
    write_run(tmp_path / "a", people)
    write_run(tmp_path / "b", people)
    with pytest.raises(ValueError, match=r"mine/anna.*count twice"):
        calibrate(model, [tmp_path / "a", tmp_path / "b"])


def test_which_evaluation(people, model, tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / "runs" / f"seed-{seed}", people)
    with pytest.raises(FileNotFoundError, match=r"choose one of .*seed-0, .*seed-1"):
        calibrate(model, [tmp_path / "runs"])
    with pytest.raises(FileNotFoundError, match="it holds none"):
        calibrate(model, [tmp_path / "nothing"])


def test_what_is_no_model(people, tmp_path):
    write_run(tmp_path / "run", people)
    with pytest.raises(FileNotFoundError, match=r"no fine-tuned model.*selfpab finetune"):
        calibrate(tmp_path / "run", [tmp_path / "run"])


def test_too_few_people(people, model, tmp_path):
    write_run(tmp_path / "run", dict(list(people.items())[:2]))
    with pytest.raises(ValueError, match="at least three people"):
        calibrate(model, [tmp_path / "run"])
    assert not (model / "calibration.json").exists()


def test_accuracy_is_a_share():
    with pytest.raises(ValueError, match="between 0 and 1, got 95"):
        CalibrateConfig(accuracy=95)
