"""Methods x seeds x subjects: what is written, what is not made twice, what happens when something breaks."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from selfpab import cross_validation as module
from selfpab import fold_jobs, leave_one_subject_out, simulate
from selfpab.activities import HARTH
from selfpab.config import ConfigError, load
from selfpab.cross_validation import FoldsFailed, evaluate, expected_s, seed_list
from selfpab.data.datasets import open_dataset
from selfpab.data.simulation import NO_FAULTS, write_dataset
from selfpab.downstream import FinetuneConfig
from selfpab.evaluation.results import read_results
from selfpab.features.normalisation import recording_moments
from selfpab.features.spectrograms import SpectrogramConfig
from selfpab.methods import EvaluateConfig
from selfpab.upstream.checkpoint import Upstream, save_model
from selfpab.upstream.encoder import EncoderConfig
from selfpab.upstream.pretraining import TooLong

HERE = Path(__file__).parent
PEOPLE = ["P001", "P002", "P003"]
CONFIG = EvaluateConfig(FinetuneConfig(steps=12, batch=4, hidden=16, rate=0.01), precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people") / "people"
    write_dataset(folder, simulate(3, 0.1, seed=1, scenario="protocol", faults=NO_FAULTS))
    return str(folder)


@pytest.fixture
def cheap(monkeypatch, tmp_path_factory):
    """`make` of the cheap methods, importable by worker processes, and the book of what was done."""
    monkeypatch.syspath_prepend(str(HERE))
    import cheap_methods

    path = tmp_path_factory.mktemp("book") / "book"
    monkeypatch.setenv("CHEAP_METHODS_BOOK", str(path))

    def lines(word):
        written = path.read_text().splitlines() if path.exists() else []
        return [line.split()[1:] for line in written if line.startswith(word + " ")]

    return SimpleNamespace(
        make=cheap_methods.make,
        forget=lambda: path.unlink(missing_ok=True),
        fits=lambda: lines("fit"),
        made=lambda: lines("make"),
    )


def left_out(fits):
    return [next(iter({*PEOPLE} - {*subjects})) for _, *subjects in fits]


def results_in(run):
    return {path.parent.relative_to(run).as_posix(): read_results(path) for path in sorted(run.rglob("results.json"))}


def test_every_method_and_seed_gets_a_folder_with_all_that_design_2_lists(dataset, tmp_path, cheap):
    lines = evaluate(["nearest", "other"], dataset, tmp_path, replace(CONFIG, seeds="0,2"), make=cheap.make)
    found = results_in(tmp_path)
    assert list(found) == ["nearest/seed-0", "nearest/seed-2", "other/seed-0", "other/seed-2"]
    first = found["nearest/seed-2"]
    assert (first["schema"], first["method"], first["dataset"], first["seed"]) == (1, "nearest", "simulated", 2)
    assert (first["protocol"], first["upstream"]) == ("nearest mean", None)
    assert set(first["data"]) == {"version", "sha256", "samples_scored", "samples_unlabelled"}
    assert first["data"]["sha256"] == open_dataset(dataset).sha256
    assert first["data"]["samples_scored"] + first["data"]["samples_unlabelled"] == 3 * 18_000
    assert [row["code"] for row in first["classes"]] == list(HARTH.codes)
    assert list(first["subjects"]) == PEOPLE
    assert first["validation"]["macro_f1"] == 0.5
    assert {"macro_f1", "macro_f1_present", "accuracy", "per_class_f1", "calibration", "environment", "seconds"} <= {
        *first
    }
    mean, sem = (100 * first["macro_f1"][key] for key in ("mean", "sem"))
    assert lines[1] == f"nearest, seed 2: macro F1 {mean:.1f} ± {sem:.1f} % (3 people)"
    assert found["nearest/seed-0"]["subjects"] != first["subjects"]
    config = tmp_path / "nearest" / "seed-2" / "config.yaml"
    assert load(EvaluateConfig, preset=config, section="evaluate") == replace(CONFIG, seeds="2")
    tables = sorted((tmp_path / "other" / "seed-0" / "seconds").iterdir())
    assert [path.stem for path in tables] == PEOPLE
    assert pl.read_parquet(tables[0]).height == 360


def test_who_reads_one_sensor_alone_is_scored_on_each_too(dataset, tmp_path, cheap):
    def make(name, *rest):
        recipe = cheap.make(name, *rest)
        plain = recipe.build

        def single():
            classifier = plain()
            classifier.reads_single = name == "nearest"
            return classifier

        recipe.build = single
        return recipe

    lines = evaluate(["nearest", "other"], dataset, tmp_path, CONFIG, make=make)
    found = results_in(tmp_path)
    assert list(found) == [
        "nearest/seed-0",
        "nearest/seed-0/single-back",
        "nearest/seed-0/single-thigh",
        "other/seed-0",
    ]
    assert [line.rpartition(", ")[2] for line in lines[1:3]] == ["back alone", "thigh alone"]
    assert (
        found["nearest/seed-0/single-thigh"]["protocol"]
        == "nearest mean; of the tested person the thigh's sensor alone"
    )
    both, back, thigh, _ = (results["subjects"] for results in found.values())
    assert both == back != thigh  # the nearest mean is that of an axis of the back
    cheap.forget()
    assert evaluate(["nearest", "other"], dataset, tmp_path, CONFIG, make=make) == lines
    assert cheap.fits() == []


def test_folds_of_a_method_and_seed_are_beside_each_other_and_it_is_built_once(dataset, tmp_path, cheap):
    evaluate(["nearest", "other"], dataset, tmp_path, replace(CONFIG, seeds="0,1"), make=cheap.make)
    assert left_out(cheap.fits()) == PEOPLE * 4
    assert Counter(tuple(words[1:]) for words in cheap.made()) == {
        (name, seed): 2  # once to ask for its settings, once to work
        for name in ("nearest", "other")
        for seed in "01"
    }


def test_it_says_the_same_as_leave_one_subject_out(dataset, tmp_path, cheap):
    evaluate(["nearest"], dataset, tmp_path, CONFIG, make=cheap.make)
    data = open_dataset(dataset)
    build = cheap.make("nearest", data.activities, CONFIG, 0, tmp_path)
    folds = leave_one_subject_out(build, list(data.recordings()), data.activities)
    subjects = results_in(tmp_path)["nearest/seed-0"]["subjects"]
    assert {subject: fold.confusion.tolist() for subject, fold in folds.items()} == {
        subject: content["confusion"] for subject, content in subjects.items()
    }


def test_two_workers_say_the_same_as_one(dataset, tmp_path, cheap, monkeypatch):
    """Of a method that costs nothing and of one with a network, each worker with as many threads as this process."""
    names, config = ["nearest", "broken@P003", "spectr-mlp"], replace(CONFIG, seeds="0,1")
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    told = []
    for run, settings in (("one", config), ("two", replace(config, workers=2))):
        cheap.forget()
        with pytest.raises(FoldsFailed) as caught:
            evaluate(names, dataset, tmp_path / run, settings, make=cheap.make)
        told.append((sorted(caught.value.failures), caught.value.lines))
    assert told[0] == told[1]
    one, two = (results_in(tmp_path / name) for name in ("one", "two"))
    assert list(one) == list(two) == [f"{name}/seed-{seed}" for name in ("nearest", "spectr-mlp") for seed in (0, 1)]
    for part, results in one.items():
        for subject, content in results["subjects"].items():
            np.testing.assert_array_equal(two[part]["subjects"][subject]["confusion"], content["confusion"])
        assert two[part]["calibration"]["nll"] == pytest.approx(results["calibration"]["nll"], rel=1e-6)
        assert two[part]["validation"] == pytest.approx(results["validation"], abs=1e-6)
        assert two[part].get("layer_weights") == results.get("layer_weights")
    assert sorted(left_out(cheap.fits())) == sorted(PEOPLE * 4)
    processes = {pid for pid, *_ in cheap.fits()}
    assert str(os.getpid()) not in processes
    built = Counter(tuple(words) for words in cheap.made() if words[0] in processes)
    assert set(built.values()) == {1}  # each worker builds a method and seed once, for all its folds


def test_a_restart_makes_the_missing_folds_only(dataset, tmp_path, cheap):
    evaluate(["nearest", "other"], dataset, tmp_path, CONFIG, make=cheap.make)
    before = results_in(tmp_path)
    for name in ("folds/P002.json", "results.json"):
        (tmp_path / "other" / "seed-0" / name).unlink()
    kept = tmp_path / "nearest" / "seed-0" / "results.json"
    kept.write_text(kept.read_text().replace('"python": "3', '"python": "2'))
    cheap.forget()
    evaluate(["nearest", "other"], dataset, tmp_path, replace(CONFIG, seeds="0,3"), make=cheap.make)
    assert left_out(cheap.fits()) == [*PEOPLE, "P002", *PEOPLE]
    after = results_in(tmp_path)
    for key in ("subjects", "layer_weights", "validation"):  # none of it is lost with the process that trained
        assert after["other/seed-0"][key] == before["other/seed-0"][key]
    assert after["nearest/seed-0"]["environment"]["python"].startswith("2")  # the one that it was made in
    assert "nearest/seed-3" in after


def test_other_settings_or_data_in_any_folder_are_refused_before_anything_is_done(dataset, tmp_path, cheap):
    run = tmp_path / "run"
    evaluate(["other"], dataset, run, replace(CONFIG, seeds="1"), make=cheap.make)
    cheap.forget()
    changed = replace(CONFIG, seeds="0,1", finetune=replace(CONFIG.finetune, steps=13))
    with pytest.raises(ValueError, match=r"P001.json was made with other settings \(steps: 12 there, 13 now\)"):
        evaluate(["nearest", "other"], dataset, run, changed, make=cheap.make)
    write_dataset(tmp_path / "people", simulate(3, 0.1, seed=2, scenario="protocol", faults=NO_FAULTS))
    with pytest.raises(ValueError, match=r"other settings \(data_sha256: "):
        evaluate(["nearest", "other"], str(tmp_path / "people"), run, replace(CONFIG, seeds="0,1"), make=cheap.make)
    assert cheap.fits() == []
    assert [path.name for path in run.iterdir()] == ["other"]
    written = yaml.safe_load((run / "other" / "seed-1" / "config.yaml").read_text())["evaluate"]
    assert written["finetune"]["steps"] == 12


def test_nothing_is_begun_where_one_method_is_unknown_or_lacks_its_encoder(dataset, tmp_path):
    for names, message in (
        (["spectr-mlp", "svn"], "no method 'svn'; there are svm, xgb, "),
        (["spectr-mlp", "selfpab"], "selfpab needs upstream=MODEL, a folder that `selfpab pretrain`"),
        (["spectr-mlp", "spectr-mlp"], "each once, got spectr-mlp, spectr-mlp"),
        ([], "each once, got none"),
    ):
        with pytest.raises(ConfigError, match=message):
            evaluate(names, dataset, tmp_path, CONFIG)
    with pytest.raises(ConfigError, match="workers must be at least 1"):
        evaluate(["spectr-mlp"], dataset, tmp_path, replace(CONFIG, workers=0))
    assert not list(tmp_path.iterdir())


def test_workers_get_whole_paths_one_precision_and_look_whether_the_data_are_the_same(dataset):
    given = module._for_workers(replace(CONFIG, precision="auto", upstream="model", pool=None))
    assert given.precision in ("fp32", "bf16")
    assert (given.upstream, given.pool) == (str(Path.cwd() / "model"), None)
    call = module.Call("key", dataset, "another", "pool", None, {}, make=lambda *_: pytest.fail("built"))
    with pytest.raises(ValueError, match="holds other data here than where the evaluation was started"):
        module.opened(call)


def test_workers_that_outlive_a_call_open_everything_anew(dataset, tmp_path, cheap, monkeypatch):
    real, calls = module.make_fold, []
    monkeypatch.setattr(module, "make_fold", lambda job: (calls.append(job.call), real(job))[1])
    for run in ("a", "b"):  # the files may have changed in between
        evaluate(["nearest"], dataset, tmp_path / run, replace(CONFIG, pool=None), make=cheap.make)
    assert len(calls) == 6
    assert len({replace(call, pool="") for call in calls}) == 2


def test_a_scheduler_that_is_there_does_the_folds(dataset, tmp_path, cheap):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", protocol="tcp"
    ) as cluster:
        config = replace(CONFIG, scheduler=cluster.scheduler_address)
        assert evaluate(["nearest"], dataset, tmp_path, config, make=cheap.make)[0].startswith("nearest: macro F1")


def test_a_fold_that_a_worker_saved_elsewhere_is_missed(dataset, tmp_path, cheap, monkeypatch):
    monkeypatch.setattr(fold_jobs, "save_fold", lambda *_: None)
    with pytest.raises(
        FoldsFailed, match=r"nearest, seed 0, P001: it is not in .*; do all workers write to the folder"
    ):
        evaluate(["nearest"], dataset, tmp_path, CONFIG, make=cheap.make)
    assert fold_jobs.opened.cache_info().currsize == fold_jobs.built.cache_info().currsize == 0


@pytest.mark.parametrize("text", ["", "0,", "a", "-1", "1.5", "0 1", "²"])
def test_seeds_that_are_no_whole_numbers_are_refused(text):
    with pytest.raises(ConfigError, match=r"seeds must be whole numbers with commas between them, as 0,1,2; got "):
        seed_list(EvaluateConfig(seeds=text))


def test_seeds_differ():
    with pytest.raises(ConfigError, match="seeds must differ, got '1,01'"):
        seed_list(EvaluateConfig(seeds="1,01"))
    assert seed_list(EvaluateConfig(seeds="7, 0")) == (7, 0)


def test_a_fold_that_fails_stops_no_other_and_is_told_at_the_end(dataset, tmp_path, cheap, capsys):
    with pytest.raises(FoldsFailed, match="2 folds failed; the same command tries them again") as caught:
        evaluate(["broken@P002", "nearest"], dataset, tmp_path, replace(CONFIG, seeds="0,1"), make=cheap.make)
    assert caught.value.failures == tuple(
        f"broken@P002, seed {seed}, P002: a string of the lyre broke" for seed in (0, 1)
    )
    assert isinstance(caught.value.__cause__, ValueError)
    assert [line.split(":")[0] for line in caught.value.lines] == ["nearest, seed 0", "nearest, seed 1"]
    assert sorted(results_in(tmp_path)) == ["nearest/seed-0", "nearest/seed-1"]
    assert sorted(p.name for p in (tmp_path / "broken@P002" / "seed-0" / "folds").iterdir()) == [
        "P001.json",
        "P003.json",
    ]
    assert "failed: broken@P002, seed 0, P002: a string of the lyre broke" in capsys.readouterr().err


@pytest.mark.slow
def test_a_worker_that_dies_costs_no_fold_and_one_that_always_dies_one(dataset, tmp_path, cheap, capsys):
    with pytest.raises(FoldsFailed) as caught:
        evaluate(["once@P001", "killed@P003"], dataset, tmp_path, replace(CONFIG, workers=2), make=cheap.make)
    assert len(caught.value.failures) == 1
    assert caught.value.failures[0].startswith("killed@P003, seed 0, P003: its worker died 3 times")
    assert sorted(results_in(tmp_path)) == ["once@P001/seed-0"]
    assert "a worker died (killed, or out of memory?) at once@P001, seed 0, P001" in capsys.readouterr().err


def test_the_expected_duration_leaves_out_the_first_fold_of_each_process():
    assert expected_s([], 9) is None
    assert expected_s([("a", 90.0), ("b", 80.0), ("b", 10.0)], 9) is None
    assert expected_s([("a", 90.0), ("b", 80.0), ("b", 10.0), ("a", 30.0)], 9) == 20.0 * 9 / 2


def test_more_than_two_days_are_refused_after_three_folds_unless_asked_for(
    dataset, tmp_path, cheap, monkeypatch, capsys
):
    monkeypatch.setattr(module, "LONGEST_S", 0.0)
    config = replace(CONFIG, seeds="0,1")
    with pytest.raises(
        TooLong, match=r"would take about \d+ s; take preset=small, fewer seeds or methods, more workers="
    ):
        evaluate(["nearest"], dataset, tmp_path, config, make=cheap.make)
    assert left_out(cheap.fits()) == PEOPLE
    evaluate(["nearest"], dataset, tmp_path, replace(config, long=True), make=cheap.make)
    assert left_out(cheap.fits()) == PEOPLE * 2
    evaluate(["nearest", "a", "b"], dataset, tmp_path, replace(config, long=True), make=cheap.make)
    assert capsys.readouterr().err.count("expected duration") == 1


@pytest.mark.slow
def test_an_evaluation_that_was_killed_goes_on_with_the_missing_folds(dataset, tmp_path, cheap):
    """SIGKILL, so nothing can be tidied; its workers end by themselves."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "import cheap_methods\nfrom selfpab.cross_validation import evaluate\nfrom selfpab.methods import EvaluateConfig\n"
        "if __name__ == '__main__':\n"
        f"    config = EvaluateConfig(seeds='0,1,2,3', workers=2, precision='fp32', device='cpu')\n"
        f"    evaluate(['slow'], {dataset!r}, Path({str(tmp_path / 'run')!r}), config, make=cheap_methods.make)\n"
    )
    child = subprocess.Popen((sys.executable, program), start_new_session=True)
    end = time.monotonic() + 240
    while len(folds := list((tmp_path / "run").rglob("folds/*.json"))) < 4:
        assert time.monotonic() < end, "no folds came"
        assert child.poll() is None
        time.sleep(0.05)
    child.kill()
    child.wait()
    while pids := [pid for pid, *_ in cheap.fits() if alive(int(pid))]:
        assert time.monotonic() < end, f"workers {pids} outlive their evaluation"
        time.sleep(0.1)
    folds = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("folds/*.json")}
    assert 4 <= len(folds) < 12
    assert not results_in(tmp_path / "run") or len(results_in(tmp_path / "run")) < 4
    cheap.forget()
    config = EvaluateConfig(seeds="0,1,2,3", workers=2, precision="fp32", device="cpu")
    evaluate(["slow"], dataset, tmp_path / "run", config, make=cheap.make)
    assert len(cheap.fits()) == 12 - len(folds)
    assert all(path.stat().st_mtime_ns == written for path, written in folds.items())
    evaluate(["slow"], dataset, tmp_path / "whole", replace(config, workers=1), make=cheap.make)
    again, whole = (results_in(tmp_path / name) for name in ("run", "whole"))
    assert [again[part]["subjects"] for part in again] == [whole[part]["subjects"] for part in whole]
    json.dumps(again, allow_nan=False)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.fixture(scope="module")
def encoder(dataset, tmp_path_factory):
    """An untrained encoder with a normalisation of its own."""
    torch.manual_seed(0)
    person = next(open_dataset(dataset).recordings())
    numbers = recording_moments(person, SpectrogramConfig()).normalisation("the first person")
    shape = EncoderConfig(d_model=12, layers=2, heads=2, d_feedforward=16)
    upstream = Upstream.fresh(
        shape, SpectrogramConfig(), numbers, {"corpora": [{"name": "c", "sha256": "0"}], "people": 5}
    )
    save_model(tmp_path_factory.mktemp("encoder") / "encoder", upstream, card="")
    return SimpleNamespace(upstream=upstream, save=lambda folder: save_model(folder, upstream, card=""))


def test_real_methods_and_what_they_say_of_their_encoder_wherever_it_lies(dataset, encoder, tmp_path, monkeypatch):
    encoder.save(tmp_path / "encoder")
    config = replace(CONFIG, upstream=str(tmp_path / "encoder"))
    lines = evaluate(["selfpab", "spectr-mlp"], dataset, tmp_path / "run", config)
    found = results_in(tmp_path / "run")
    first = found["selfpab/seed-0"]
    assert lines[0].startswith("selfpab: macro F1 ")
    assert (first["precision"], first["config"]["steps"]) == ("fp32", 12)
    assert first["upstream"] == {
        "sha256": encoder.upstream.sha256,
        "corpora": [{"name": "c", "sha256": "0"}],
        "people": 5,
    }
    assert len(first["layer_weights"]) == 2
    assert max(abs(w - 0.5) for w in first["layer_weights"]) > 1e-3
    assert set(first["validation"]) == {"loss", "macro_f1"}
    assert "layer_weights" not in found["spectr-mlp/seed-0"]
    encoder.save(tmp_path / "moved")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("folds/*.json")}
    monkeypatch.chdir(tmp_path)
    evaluate(["selfpab"], dataset, tmp_path / "run", replace(config, upstream="moved"))
    kept = load(EvaluateConfig, preset=tmp_path / "run" / "selfpab" / "seed-0" / "config.yaml", section="evaluate")
    assert kept.upstream == "moved"  # as given: no folder of this machine
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("folds/*.json")} == before


def test_people_can_be_told_apart_under_the_classes_of_another_set(tmp_path, cheap):
    # labels of seven activities, ten classes: a class that nobody did can be named, and then counts as wrong
    folder = tmp_path / "seven"
    seven = [1, 3, 4, 5, 6, 7, 8]
    people = simulate(3, 0.1, seed=1, scenario="protocol", faults=NO_FAULTS)
    few = [np.where(np.isin(p.labels, seven), p.labels, -1).astype(np.int16) for p in people]
    write_dataset(folder, [replace(p, labels=labels) for p, labels in zip(people, few, strict=True)])
    manifest = json.loads((folder / "dataset.json").read_text())
    manifest["classes"], manifest["merge"] = [c for c in manifest["classes"] if c["code"] in seven], {}
    (folder / "dataset.json").write_text(json.dumps(manifest))

    evaluate(["nearest"], str(folder), tmp_path / "own", CONFIG, make=cheap.make)
    evaluate(["nearest"], str(folder), tmp_path / "ten", replace(CONFIG, classes="harth"), make=cheap.make)

    own, ten = (read_results(tmp_path / run / "nearest/seed-0/results.json") for run in ("own", "ten"))
    assert [one["code"] for one in ten["classes"]] == list(HARTH.codes)
    assert own["data"] == ten["data"]
    assert (len(own["classes"]), len(ten["subjects"]["P001"]["confusion"])) == (7, 10)
    # a run of other classes is no part of this one
    with pytest.raises(ValueError, match="classes"):
        evaluate(["nearest"], str(folder), tmp_path / "own", replace(CONFIG, classes="harth"), make=cheap.make)


def test_a_label_outside_the_classes_asked_for_is_an_error_with_its_line(dataset, tmp_path, cheap):
    with pytest.raises(ValueError, match="is no activity of har70plus"):
        evaluate(["nearest"], dataset, tmp_path, replace(CONFIG, classes="har70plus"), make=cheap.make)
