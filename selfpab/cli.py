"""One short function per command; no logic.

Positional arguments are paths and names; settings are key=value (DESIGN 3). Exit 0 done, 1 failed, 2 wrong call.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

import typer

from selfpab import __version__
from selfpab.command_words import Command, Words, WrongCall, chosen_config, no_settings, split
from selfpab.config import ConfigError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Activities from two accelerometers (lower back, thigh): pre-train, evaluate, predict.",
)


@app.command(cls=Command)
def demo(words: Words) -> None:
    """OUT: simulate people, pre-train `tiny`, evaluate, predict a day, and show it; some minutes on a laptop."""
    (out,), settings = split(words, "OUT")
    from selfpab.reproduce.demonstration import DemoConfig, demonstrate

    for line in demonstrate(Path(out), chosen_config(DemoConfig, "demo", settings)):
        print(line)


@app.command(cls=Command)
def download(words: Words) -> None:
    """harth|har70plus DEST [sha256= url=]: a data set from the UCI repository; goes on after a break; DEST may be data."""
    (name, destination), settings = split(words, "harth|har70plus", "DEST")
    from selfpab.data.download import DownloadConfig, fetch

    dataset = fetch(name, Path(destination), chosen_config(DownloadConfig, "download", settings))
    print(f"{dataset.folder}: {dataset.name} {dataset.version}, {len(dataset.files)} people")


@app.command(cls=Command)
def simulate(words: Words) -> None:
    """OUT [people= hours= labelled= seed=]: recordings of simulated people whose labels, gaps and faults are known."""
    (out,), settings = split(words, "OUT")
    from selfpab.data.simulated_dataset import SimulateConfig, simulate_folder

    print(f"wrote {simulate_folder(Path(out), chosen_config(SimulateConfig, 'simulate', settings))}")


@app.command(cls=Command)
def ingest(words: Words) -> None:
    """SOURCE... CORPUS [windows= pairs= tz= workers= ...]: anything `read` reads becomes, or joins, a corpus."""
    (*sources, corpus), settings = split(words, "SOURCE...", "CORPUS")
    from selfpab.upstream.corpus import IngestConfig, ingest

    made, failed = ingest([Path(s) for s in sources], Path(corpus), chosen_config(IngestConfig, "ingest", settings))
    print(f"{corpus}: {len(made)} recordings of {len(made.people)} people, {made.hours:.1f} h")
    for path, reason in failed:
        print(f"failed: {reason}" if reason.startswith(str(path)) else f"failed: {path}: {reason}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


@app.command(cls=Command)
def pretrain(words: Words) -> None:
    """CORPUS RUN [preset= hours= steps= ...]: train an encoder; the same command goes on after a stop; also under torchrun."""
    (corpus, run), settings = split(words, "CORPUS", "RUN")
    from selfpab.upstream import PretrainConfig, TooLong, make_fabric, open_corpus
    from selfpab.upstream import pretrain as train

    chosen = chosen_config(PretrainConfig, "pretrain", settings)
    try:
        train(open_corpus(corpus), chosen, Path(run), make_fabric(chosen.precision))
    except TooLong as error:
        _stop(2, str(error))


@app.command(cls=Command)
def evaluate(words: Words) -> None:
    """METHOD[,METHOD] DATASET RUN [upstream= seeds= workers= ...]: leave one subject out; scores, tables and a page."""
    (names, dataset, run), settings = split(words, "METHOD[,METHOD]", "DATASET", "RUN")
    from selfpab.cross_validation import FoldsFailed
    from selfpab.methods import EvaluateConfig
    from selfpab.reproduce.evaluation_run import evaluate_and_report
    from selfpab.upstream import TooLong

    chosen = chosen_config(EvaluateConfig, "evaluate", settings)
    try:
        lines = evaluate_and_report(names.split(","), dataset, Path(run), chosen)
    except TooLong as error:
        _stop(2, str(error))
    except FoldsFailed as error:
        print(*error.lines, sep="\n")
        _stop(1, str(error))
    print(*lines, sep="\n")


@app.command(cls=Command)
def finetune(words: Words) -> None:
    """DATASET[,DATASET] MODEL [upstream= ...]: one classifier from all subjects, as a model folder."""
    (datasets, model), settings = split(words, "DATASET[,DATASET]", "MODEL")
    from selfpab.final_models import FinalConfig, finetune

    chosen = chosen_config(FinalConfig, "evaluate", settings)
    print(f"wrote {finetune(datasets.split(','), Path(model), chosen, chosen.method)}")


@app.command(cls=Command)
def calibrate(words: Words) -> None:
    """MODEL RUN[,RUN] [accuracy=]: probabilities that can be believed, by the people whom evaluations of it left out."""
    (model, runs), settings = split(words, "MODEL", "RUN[,RUN]")
    from selfpab.inference.left_out_people import CalibrateConfig
    from selfpab.inference.left_out_people import calibrate as fit

    print(
        *fit(
            Path(model), [Path(run) for run in runs.split(",")], chosen_config(CalibrateConfig, "calibrate", settings)
        ),
        sep="\n",
    )


@app.command(cls=Command)
def predict(words: Words) -> None:
    """SOURCE... OUT [model= tz= pairs= workers= ...]: one activity per second; or back=FILE thigh=FILE OUT, or one of them."""
    (*sources, out), settings = split(words, "SOURCE...", "OUT")
    from selfpab.cohorts import PredictConfig, predict_folder

    chosen = chosen_config(PredictConfig, "predict", settings)
    _report(predict_folder([Path(s) for s in sources], Path(out), chosen))


@app.command(cls=Command)
def export(words: Words) -> None:
    """ggir|oxwearables PREDICTED DEST: what predict wrote, in tables of the shape that those programs give."""
    (form, predicted, destination), settings = split(words, "ggir|oxwearables", "PREDICTED", "DEST")
    from selfpab.exports import ExportConfig, export_tables

    for path in export_tables(
        form, Path(predicted), Path(destination), chosen_config(ExportConfig, "export", settings)
    ):
        print(f"wrote {path}")


@app.command(cls=Command)
def embed(words: Words) -> None:
    """SOURCE... OUT [model= form= ...]: one vector per second for every recording; model= is the one in the box."""
    (*sources, out), settings = split(words, "SOURCE...", "OUT")
    from selfpab.cohorts import EmbedConfig, embed_folder

    chosen = chosen_config(EmbedConfig, "embed", settings)
    _report(embed_folder([Path(s) for s in sources], Path(out), chosen))


@app.command(cls=Command)
def reproduce(words: Words) -> None:
    """table1|figure2|figure3 OUT [results=FOLDER,FOLDER without=PERSON,...]: the paper's, from results.json files alone."""
    (what, out), settings = split(words, "table1|figure2|figure3", "OUT")
    from selfpab.reproduce.collected_results import ReproduceConfig
    from selfpab.reproduce.paper_results import write

    for path in write(what, Path(out), chosen_config(ReproduceConfig, "reproduce", settings)):
        print(f"wrote {path}")


@app.command("import-checkpoint", cls=Command)
def import_checkpoint(words: Words) -> None:
    """CKPT MODEL normalisation=DIR: a Lightning checkpoint of the authors' code becomes a model folder."""
    (checkpoint, model), settings = split(words, "CKPT", "MODEL")
    from selfpab.sharing.released_models import ImportConfig, import_released

    chosen = chosen_config(ImportConfig, "import-checkpoint", settings)
    print(f"wrote {import_released(Path(checkpoint), Path(model), chosen)}")


@app.command(cls=Command)
def push(words: Words) -> None:
    """MODEL OWNER/NAME [private= license= ...]: a model folder onto the Hugging Face hub."""
    (model, repository), settings = split(words, "MODEL", "OWNER/NAME")
    from selfpab.sharing.hub import PushConfig
    from selfpab.sharing.hub import push as upload

    print(f"pushed {upload(Path(model), repository, chosen_config(PushConfig, 'push', settings))}")


@app.command()
def pull(words: Words) -> None:
    """OWNER/NAME[@REVISION] MODEL: a model of the Hugging Face hub as a folder."""
    (reference, model), settings = split(words, "OWNER/NAME[@REVISION]", "MODEL")
    no_settings(settings)
    from selfpab.sharing.hub import pull as download

    print(f"pulled {download(reference, Path(model))} into {model}")


@app.command("export-onnx")
def export_onnx(words: Words) -> None:
    """MODEL FILE.onnx: a fine-tuned model for other languages, from acceleration to probabilities."""
    (model, path), settings = split(words, "MODEL", "FILE.onnx")
    no_settings(settings)
    from selfpab.inference.model import load
    from selfpab.sharing.onnx_export import export_onnx as export

    worst = export(load(model, precision="fp32"), Path(path))
    print(f"wrote {path}; onnxruntime and torch differ by at most {worst:.1g} in a probability")


@app.command()
def version() -> None:
    """The version of selfpab."""
    print(__version__)


def main(arguments: list[str] | None = None) -> NoReturn:
    """The command line; errors are sentences, not tracebacks (`SELFPAB_TRACEBACK=1` shows them)."""
    import os

    if os.environ.get("SELFPAB_TRACEBACK"):
        app(arguments)
    try:
        app(arguments)
    except (ConfigError, WrongCall) as error:
        _stop(2, str(error))
    except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
        _stop(1, str(error))
    except SystemExit as end:
        if end.code == 130:  # typer's word for an interrupt
            _stop(130, "stopped; download, ingest, pretrain and evaluate go on from here with the same command")
        raise
    raise SystemExit(0)


def _stop(code: int, text: str) -> NoReturn:
    print(f"selfpab: {text}", file=sys.stderr)
    raise SystemExit(code)


def _report(outcome: Any) -> None:
    """What was written, and what failed; exit 1 if anything did."""
    for name, problem in outcome:
        told = problem if problem and problem.startswith(str(name)) else f"{name}: {problem}"
        print(f"failed: {told}" if problem else f"wrote {name}", file=sys.stderr if problem else sys.stdout)
    if any(problem for _, problem in outcome):
        raise typer.Exit(1)
