"""The command line: what it takes, what it says, how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer

from selfpab import __version__, cli, command_words
from selfpab.evaluation.results import read_results
from selfpab.inference.model import load
from selfpab.recording import CHANNELS

COMMANDS = ["demo", "download", "simulate", "ingest", "pretrain", "evaluate", "finetune", "calibrate"]
COMMANDS += ["predict", "embed", "reproduce", "import-checkpoint", "push", "pull", "export-onnx", "export"]
WITHOUT_SETTINGS = {"pull", "export-onnx"}
QUICK = ["preset=tiny", "precision=fp32"]


@pytest.fixture
def call(capsys, monkeypatch):
    """Run a command: (exit code, standard output, standard error)."""
    monkeypatch.delenv("SELFPAB_TRACEBACK", raising=False)

    def run(*words):
        with pytest.raises(SystemExit) as end:
            cli.main([str(word) for word in words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err + said.out
        return end.value.code, said.out, said.err

    return run


def process(*words, **environment):
    """The same in a fresh interpreter; only commands that need no torch, whose import takes seconds."""
    return subprocess.run(
        (sys.executable, "-m", "selfpab", *map(str, words)),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Simulate, ingest and pre-train, once for all tests of this file."""
    folder = tmp_path_factory.mktemp("story")
    codes = []
    for words in (
        ["simulate", folder / "people", "people=3", "hours=0.1", "scenario=protocol"],
        ["ingest", folder / "people", folder / "corpus"],
        ["pretrain", folder / "corpus", folder / "run", *QUICK, "steps=2", "batch=2"],
    ):
        with pytest.raises(SystemExit) as end:
            cli.main([str(word) for word in words])
        codes.append(end.value.code)
    assert codes == [0, 0, 0]
    return folder


def test_from_people_to_an_encoder(story):
    assert sorted(path.name for path in (story / "people").glob("*.parquet")) == [f"P00{i}.parquet" for i in (1, 2, 3)]
    assert (story / "corpus" / "index.parquet").is_file()
    assert load(story / "run" / "model").config["trained"]["steps"] == 2
    assert load(story / "run" / "model").config["encoder"]["d_model"] == 48
    assert "steps: 2" in (story / "run" / "config.yaml").read_text()


def test_ingest_says_what_there_is_and_what_failed(call, story, tmp_path):
    code, out, err = call("ingest", story / "people", tmp_path / "corpus")
    assert code == 0
    assert out.endswith("corpus: 3 recordings of 3 people, 0.3 h\n")
    bad = tmp_path / "more" / "bad.csv"
    bad.parent.mkdir()
    bad.write_text("hello\n")
    code, out, err = call("ingest", story / "people" / "P001.parquet", bad, tmp_path / "corpus")
    assert code == 1
    assert "3 recordings" in out
    assert f"failed: {bad}: " in err


def test_from_an_encoder_to_scores_and_predictions(call, story, tmp_path):
    upstream = f"upstream={story / 'run' / 'model'}"
    quick = [*QUICK, upstream, "finetune.steps=5", "finetune.batch=2"]
    code, out, _ = call("evaluate", "selfpab,spectr-mlp", story / "people", tmp_path / "scores", *quick)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["method", "selfpab", "spectr-mlp"]
    assert out.splitlines()[-1] == f"open {tmp_path / 'scores' / 'report.html'}"
    results = read_results(tmp_path / "scores" / "selfpab" / "seed-0" / "results.json")
    assert results["config"]["steps"] == 5
    assert results["config"]["hidden"] == 128  # of the preset

    code, out, _ = call("finetune", story / "people", tmp_path / "model", *quick)
    assert (code, out) == (0, f"wrote {tmp_path / 'model'}\n")

    code, out, _ = call("calibrate", tmp_path / "model", tmp_path / "scores" / "selfpab", "accuracy=0.5")
    assert code == 0
    assert out.startswith("Fitted on 3 people")
    assert load(tmp_path / "model").trust is not None

    model = f"model={tmp_path / 'model'}"
    code, out, _ = call("predict", story / "people", tmp_path / "predicted", model)
    assert (code, len(out.splitlines())) == (0, 3)
    assert len(pl.read_parquet(tmp_path / "predicted" / "P002" / "seconds.parquet")) == 360

    words = (story / "people" / "P001.parquet", tmp_path / "vectors", "form=npy")
    for chosen in (model, f"model={story / 'run' / 'model'}"):
        assert call("embed", *words, chosen)[0] == 0
        assert np.load(tmp_path / "vectors" / "P001" / "embedding.npy").shape == (360, 48)


def test_a_recording_that_fails_is_said_and_the_others_are_done(call, story, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("hello\n")
    words = (story / "people" / "P001.parquet", bad, tmp_path / "out", f"model={story / 'run' / 'model'}")
    code, out, err = call("embed", *words)
    assert (code, out) == (1, f"wrote {tmp_path / 'out' / 'P001'}\n")
    assert f"failed: {bad}: " in err
    code, out, err = call("predict", *words)
    assert (code, out) == (1, "")
    assert "make a classifier of it: selfpab finetune DATASET MODEL" in err


def test_the_papers_table_from_results_alone(call, tmp_path):
    committed = Path(__file__).resolve().parents[1] / "results" / "har70plus"
    code, out, _ = call("reproduce", "table1", tmp_path / "out", f"results={committed}", "without=501")
    assert code == 0
    assert out.splitlines() == [
        f"wrote {tmp_path / 'out' / name}"
        for name in ("table1.txt", "table1.md", "table1.tex", "table1.csv", "table1-differences.csv")
    ]
    assert "17 people, without 501" in (tmp_path / "out" / "table1.txt").read_text()


def test_a_data_set_that_is_there_is_told_and_not_fetched(call, tmp_path, monkeypatch):
    monkeypatch.setattr("selfpab.data.download.PEOPLE", {"har70plus": ("501",)})
    (tmp_path / "data" / "har70plus").mkdir(parents=True)
    table = pl.DataFrame({"timestamp": ["2021-03-24 14:42:03.839", "2021-03-24 14:42:03.859"]}).with_columns(
        *(pl.lit(1.0).alias(name) for name in CHANNELS), pl.lit(7).alias("label")
    )
    table.write_csv(tmp_path / "data" / "har70plus" / "501.csv")
    words = ("download", "har70plus", tmp_path / "data", "url=http://127.0.0.1:9/har70.zip")
    assert call(*words)[:2] == (0, f"{tmp_path / 'data' / 'har70plus'}: har70plus 1.0, 1 people\n")


def test_the_authors_checkpoint_from_end_to_end(call, golden, tmp_path):
    for name, value in (("mean", 1.0), ("std", 2.0)):
        np.savetxt(tmp_path / f"{name}.csv", np.full(156, value))
    ours = tmp_path / "model"
    code, out, _ = call("import-checkpoint", golden / "g2_small_upstream.ckpt", ours, f"normalisation={tmp_path}")
    assert (code, out) == (0, f"wrote {ours}\n")
    assert load(ours).upstream.normalisation.std.tolist() == [2.0] * 156
    for settings, message in (
        ([], "wanted normalisation=DIR (the folder with mean.csv and std.csv)"),
        ([f"normalisation={tmp_path}", "steps=3"], "no setting 'steps'"),
    ):
        code, _, err = call("import-checkpoint", golden / "g2_small_upstream.ckpt", ours, *settings)
        assert code == 2
        assert message in err
    code, _, err = call("import-checkpoint", tmp_path / "no.ckpt", ours, f"normalisation={tmp_path}")
    assert (code, err) == (1, f"selfpab: no checkpoint {tmp_path / 'no.ckpt'}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pretrain", "c", "r", "stepz=3"], "no setting 'stepz'; did you mean 'steps'?"),
        (["pretrain", "c", "r", "masking.time_widht=3"], "did you mean 'masking.time_width'?"),
        (["pretrain", "c", "r", "steps=many"], "steps must be int, got 'many'"),
        (["pretrain", "c", "r", "preset=smal"], "no preset 'smal'; did you mean 'small'?"),
        (["pretrain", "c"], "wanted CORPUS RUN and then key=value settings, got c"),
        (["pretrain", "c", "r", "x"], "wanted CORPUS RUN and then key=value settings, got c r x"),
        (["ingest", "c", "windows=3"], "wanted SOURCE... CORPUS and then"),
        (["evaluate", "selfpab", "d"], "wanted METHOD[,METHOD] DATASET RUN and then"),
        (["evaluate", "svn", "d", "r"], "no method 'svn'; there are svm, xgb, deepconvlstm-ts, selfpab, "),
        (["evaluate", "selfpab", "d", "r"], "selfpab needs upstream=MODEL"),
        (["predict", "s", "o", "model="], "wanted model=MODEL, a folder"),
        (["embed", "s", "o", "model=m", "form=csv"], "form must be parquet or npy, got 'csv'"),
        (["predict", "s", "o", "precision=fp16"], "precision must be auto | fp32 | bf16, got 'fp16'"),
        (["simulate", "o", "peple=3"], "did you mean 'people'?"),
        (["reproduce", "table2", "o"], "'table2'; there are table1, figure2, figure3"),
        (["reproduce", "table1"], "wanted table1|figure2|figure3 OUT and then"),
        (["predict", "s", "o", "form=npy"], "no setting 'form'"),
        (["embed", "s", "o", "diary=foo.csv"], "no setting 'diary'"),
        (["embed", "s", "o", "uncertain_below=0.5"], "no setting 'uncertain_below'"),
        (["predict", "s", "o", "TZ=Europe/Oslo"], "no setting 'TZ'; did you mean 'tz'?"),
        (["predict", "s", "o", "longest-offset-s=9"], "did you mean 'longest_offset_s'?"),
        (["evaluate", "svm", "d", "r", "SVM.c=2"], "no setting 'SVM'; did you mean 'svm.C'?"),
        (["evaluate", "svm", "d", "r", "svm.c=2"], "no setting 'svm.c'; did you mean 'svm.C'?"),
        (["predict", "s", "o", "windows=theirs"], "windows must be auto | ours | authors, got 'theirs'"),
        (["push", "m", "o/n", "privat=no"], "no setting 'privat'; did you mean 'private'?"),
        (["pull", "o/n", "m", "revision=v2"], "there are no settings here, got revision=v2"),
        (["export-onnx", "m", "f.onnx", "opset=20"], "there are no settings here, got opset=20"),
        (["export", "actipass", "o", "d"], "wanted the form ggir or oxwearables, got 'actipass'"),
        (["export", "ggir", "o"], "wanted ggir|oxwearables PREDICTED DEST and then"),
        (["reproduce", "table1", "o", "result=x"], "did you mean 'results'?"),
        (["download", "hunt4", "d"], "'hunt4' cannot be downloaded; there are harth, har70plus"),
        (["download", "harth"], "wanted harth|har70plus DEST and then"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_ends_with_2_and_says_what_was_wanted(call, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert err.startswith("selfpab: ")
    assert message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pretrain", "nowhere", "r"], "nowhere is no corpus (it has no index.parquet); make one: selfpab ingest"),
        (["ingest", "nowhere", "c"], "no nowhere"),
        (["embed", "nowhere", "o", "model=none"], "none is no model folder"),
        (["embed", "nowhere", "o", "model=some/one"], "is it a model on the Hugging Face hub? Then say hub:some/one"),
        (["push", "none", "some/one"], "none is no model folder"),
        (["pull", "one", "m"], "a model on the hub is hub:owner/name or hub:owner/name@revision, got 'hub:one'"),
        (["export-onnx", "none", "f.onnx"], "none is no model folder"),
        (["export", "ggir", "nowhere", "d"], "nowhere has no finished prediction; wanted the OUT of selfpab predict"),
        (["evaluate", "spectr-mlp", "nowhere", "r"], "nowhere"),
        (["reproduce", "figure2", "o"], "there is no folder results; wanted run folders of `selfpab evaluate`"),
        (
            ["download", "harth", "d", "url=http://127.0.0.1:9/harth.zip"],
            "Without internet: fetch that file on another",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_failure_ends_with_1_and_one_sentence(call, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = call(*words)
    assert code == 1
    assert err.startswith("selfpab: ")
    assert message in err


def test_a_run_with_other_settings_is_refused(call, story):
    code, _, err = call("pretrain", story / "corpus", story / "run", *QUICK, "steps=3", "batch=2")
    assert code == 1
    assert "steps: 2 there, 3 now" in err


def test_more_hours_than_there_are_say_how_much_there_is(call, story, tmp_path):
    code, _, err = call("pretrain", story / "corpus", tmp_path / "r", *QUICK, "hours=100")
    assert code == 1
    assert "for training" in err


def test_a_run_of_many_days_is_not_begun_unasked(call, story, tmp_path, monkeypatch):
    monkeypatch.setattr("selfpab.upstream.pretraining.LONGEST_S", 1e-9)
    words = ("pretrain", story / "corpus", tmp_path / "r", *QUICK, "steps=6", "batch=1")
    code, _, err = call(*words)
    assert code == 2
    assert "preset=small" in err
    assert call(*words, "long=yes")[0] == 0


def test_an_interrupt_says_how_to_go_on(call, monkeypatch, story, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("selfpab.upstream.corpus.ingest", interrupted)
    code, _, err = call("ingest", story / "people", tmp_path / "c")
    assert (code, err) == (
        130,
        "selfpab: stopped; download, ingest, pretrain and evaluate go on from here with the same command\n",
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(call, command):
    code, out, _ = call(command, "--help")
    assert code == 0
    kind = command_words.SETTINGS.get(command)
    assert ("Settings, as key=value" in out) is (kind is not None)
    if kind:
        assert "authors, paper, small, tiny" in out


def test_the_help_lists_every_command_and_every_command_is_tested_here(call):
    code, out, _ = call("--help")
    assert code == 0
    assert all(f"\n  {command} " in out for command in COMMANDS)
    names = {c.name or c.callback.__name__ for c in cli.app.registered_commands}
    assert names == {*COMMANDS, "version"}
    assert set(command_words.SETTINGS) == set(COMMANDS) - WITHOUT_SETTINGS
    assert issubclass(command_words.Command, typer.core.TyperCommand)


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("pretrain", ["steps=937500", "masking.time_width=3", "encoder.d_model=1500", "hours=None", "long=False"]),
        ("evaluate", ["finetune.hidden=1028", "upstream=None", "seeds=0"]),
        ("finetune", ["method=selfpab", "finetune.hidden=1028"]),
        ("ingest", ["windows=None", "rate_hz=None"]),
        ("predict", ["model=default", "precision=auto"]),
        ("simulate", ["people=4", "hours=1.0"]),
        ("reproduce", ["results=results", "without="]),
        ("download", ["url=", "sha256="]),
    ],
)
def test_the_help_of_a_command_lists_its_settings_with_their_defaults(call, command, settings):
    words = call(command, "--help")[1].split()
    assert set(settings) <= set(words)


def test_as_processes():
    assert (process("version").returncode, process("version").stdout) == (0, f"{__version__}\n")
    wrong = process("simulate", "o", "peple=3")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "selfpab: no setting 'peple'; did you mean 'people'?\n"
    failed = process("simulate", "o", "people=0")
    assert failed.returncode == 1
    assert failed.stderr == "selfpab: people, hours and rate_hz must be positive, got 0, 1.0 and 50.0\n"
    shown = process("simulate", "o", "people=0", SELFPAB_TRACEBACK="1")
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr


def test_a_help_needs_no_torch():
    code = "import sys, selfpab.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\nsys.exit('torch' in sys.modules)"
    assert subprocess.run((sys.executable, "-c", code), capture_output=True, check=False).returncode == 0


def test_settings_of_a_run_can_be_its_preset(call, story, tmp_path):
    again = ("pretrain", story / "corpus", tmp_path / "again", f"preset={story / 'run' / 'config.yaml'}")
    assert call(*again)[0] == 0
    shas = [
        json.loads((r / "model" / "config.json").read_text())["encoder_sha256"]
        for r in (story / "run", tmp_path / "again")
    ]
    assert shas[0] == shas[1]
