"""One short function per command; no logic.

Positional arguments are paths and names; settings are key=value (DESIGN 3). Exit 0 done, 1 failed, 2 wrong call.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from typer.core import TyperCommand

from selfpab import __version__, config

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Activities from two accelerometers (lower back, thigh): pre-train, evaluate, predict.",
)
C = TypeVar("C")
Words = Annotated[list[str], typer.Argument(metavar="ARGUMENTS... [key=value]...", show_default=False)]


SETTINGS = {  # command -> where its settings are declared; imported only for its --help
    "demo": "selfpab.reproduce.demonstration:DemoConfig",
    "simulate": "selfpab.data.simulated_dataset:SimulateConfig",
    "ingest": "selfpab.upstream.corpus:IngestConfig",
    "pretrain": "selfpab.upstream:PretrainConfig",
    "evaluate": "selfpab.methods:EvaluateConfig",
    "finetune": "selfpab.methods:EvaluateConfig",
    "predict": "selfpab.cohorts:PredictConfig",
    "embed": "selfpab.cohorts:PredictConfig",
    "export": "selfpab.exports:ExportConfig",
    "download": "selfpab.data.download:DownloadConfig",
    "reproduce": "selfpab.reproduce.collected_results:ReproduceConfig",
    "import-checkpoint": "selfpab.sharing.released_models:ImportConfig",
    "push": "selfpab.sharing.hub:PushConfig",
}


class WrongCall(ValueError):
    """Too few or too many names on the command line."""


class Command(TyperCommand):
    """Whose --help ends with its settings and the presets."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        home, _, kind = SETTINGS.get(self.name or "", "").partition(":")
        if not kind:
            return
        rows = config.describe(getattr(importlib.import_module(home), kind))
        with formatter.section("Settings, as key=value (defaults: preset=paper)"):
            formatter.write_dl([(f"{key}={default}", type_) for key, default, type_ in rows])
        with formatter.section("Presets, as preset=NAME or preset=FILE.yaml"):
            formatter.write_text(", ".join(config.preset_names()))


@app.command(cls=Command)
def demo(words: Words) -> None:
    """OUT: simulate people, pre-train `tiny`, evaluate, predict a day, and show it; some minutes on a laptop."""
    (out,), settings = _split(words, "OUT")
    from selfpab.reproduce.demonstration import DemoConfig, demonstrate

    for line in demonstrate(Path(out), _config(DemoConfig, "demo", settings)):
        print(line)


@app.command(cls=Command)
def download(words: Words) -> None:
    """harth|har70plus DEST [sha256= url=]: a data set from the UCI repository; goes on after a break; DEST may be data."""
    (name, destination), settings = _split(words, "harth|har70plus", "DEST")
    from selfpab.data.download import DownloadConfig, fetch

    dataset = fetch(name, Path(destination), _config(DownloadConfig, "download", settings))
    print(f"{dataset.folder}: {dataset.name} {dataset.version}, {len(dataset.files)} people")


@app.command(cls=Command)
def simulate(words: Words) -> None:
    """OUT [people= hours= labelled= seed=]: recordings of simulated people whose labels, gaps and faults are known."""
    (out,), settings = _split(words, "OUT")
    from selfpab.data.simulated_dataset import SimulateConfig, simulate_folder

    print(f"wrote {simulate_folder(Path(out), _config(SimulateConfig, 'simulate', settings))}")


@app.command(cls=Command)
def ingest(words: Words) -> None:
    """SOURCE... CORPUS [windows= pairs= tz= workers= ...]: anything `read` reads becomes, or joins, a corpus."""
    (*sources, corpus), settings = _split(words, "SOURCE...", "CORPUS")
    from selfpab.upstream.corpus import IngestConfig, ingest

    made, failed = ingest([Path(s) for s in sources], Path(corpus), _config(IngestConfig, "ingest", settings))
    print(f"{corpus}: {len(made)} recordings of {len(made.people)} people, {made.hours:.1f} h")
    for path, reason in failed:
        print(f"failed: {reason}" if reason.startswith(str(path)) else f"failed: {path}: {reason}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


@app.command(cls=Command)
def pretrain(words: Words) -> None:
    """CORPUS RUN [preset= hours= steps= ...]: train an encoder; the same command goes on after a stop; also under torchrun."""
    (corpus, run), settings = _split(words, "CORPUS", "RUN")
    from selfpab.upstream import PretrainConfig, TooLong, make_fabric, open_corpus
    from selfpab.upstream import pretrain as train

    chosen = _config(PretrainConfig, "pretrain", settings)
    try:
        train(open_corpus(corpus), chosen, Path(run), make_fabric(chosen.precision))
    except TooLong as error:
        _stop(2, str(error))


@app.command(cls=Command)
def evaluate(words: Words) -> None:
    """METHOD[,METHOD] DATASET RUN [upstream= seeds= workers= ...]: leave one subject out; scores, tables and a page."""
    (names, dataset, run), settings = _split(words, "METHOD[,METHOD]", "DATASET", "RUN")
    from selfpab.cross_validation import FoldsFailed
    from selfpab.methods import EvaluateConfig
    from selfpab.reproduce.evaluation_run import evaluate_and_report
    from selfpab.upstream import TooLong

    chosen = _config(EvaluateConfig, "evaluate", settings)
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
    (datasets, model), settings = _split(words, "DATASET[,DATASET]", "MODEL")
    from selfpab.final_models import FinalConfig, finetune

    chosen = _config(FinalConfig, "evaluate", settings)
    print(f"wrote {finetune(datasets.split(','), Path(model), chosen, chosen.method)}")


@app.command(cls=Command)
def predict(words: Words) -> None:
    """SOURCE... OUT model=MODEL [tz= pairs= workers= ...]: one activity per second; or back=FILE thigh=FILE OUT for one pair."""
    (*sources, out), settings = _split(words, "SOURCE...", "OUT")
    from selfpab.cohorts import PredictConfig, predict_folder

    chosen = _config(PredictConfig, "predict", settings)
    _report(predict_folder([Path(s) for s in sources], Path(out), chosen))


@app.command(cls=Command)
def export(words: Words) -> None:
    """ggir|oxwearables PREDICTED DEST: what predict wrote, in tables of the shape that those programs give."""
    (form, predicted, destination), settings = _split(words, "ggir|oxwearables", "PREDICTED", "DEST")
    from selfpab.exports import ExportConfig, export_tables

    for path in export_tables(form, Path(predicted), Path(destination), _config(ExportConfig, "export", settings)):
        print(f"wrote {path}")


@app.command(cls=Command)
def embed(words: Words) -> None:
    """SOURCE... OUT model=MODEL: one vector per second for every recording."""
    (*sources, out), settings = _split(words, "SOURCE...", "OUT")
    from selfpab.cohorts import PredictConfig, embed_folder

    chosen = _config(PredictConfig, "predict", settings)
    _report(embed_folder([Path(s) for s in sources], Path(out), chosen))


@app.command(cls=Command)
def reproduce(words: Words) -> None:
    """table1|figure2|figure3 OUT [results=FOLDER,FOLDER without=PERSON,...]: the paper's, from results.json files alone."""
    (what, out), settings = _split(words, "table1|figure2|figure3", "OUT")
    from selfpab.reproduce.collected_results import ReproduceConfig
    from selfpab.reproduce.paper_results import write

    for path in write(what, Path(out), _config(ReproduceConfig, "reproduce", settings)):
        print(f"wrote {path}")


@app.command("import-checkpoint", cls=Command)
def import_checkpoint(words: Words) -> None:
    """CKPT MODEL normalisation=DIR: a Lightning checkpoint of the authors' code becomes a model folder."""
    (checkpoint, model), settings = _split(words, "CKPT", "MODEL")
    from selfpab.sharing.released_models import ImportConfig, import_released

    chosen = _config(ImportConfig, "import-checkpoint", settings)
    print(f"wrote {import_released(Path(checkpoint), Path(model), chosen)}")


@app.command(cls=Command)
def push(words: Words) -> None:
    """MODEL OWNER/NAME [private= license= ...]: a model folder onto the Hugging Face hub."""
    (model, repository), settings = _split(words, "MODEL", "OWNER/NAME")
    from selfpab.sharing.hub import PushConfig
    from selfpab.sharing.hub import push as upload

    print(f"pushed {upload(Path(model), repository, _config(PushConfig, 'push', settings))}")


@app.command()
def pull(words: Words) -> None:
    """OWNER/NAME[@REVISION] MODEL: a model of the Hugging Face hub as a folder."""
    (reference, model), settings = _split(words, "OWNER/NAME[@REVISION]", "MODEL")
    _no(settings)
    from selfpab.sharing.hub import pull as download

    print(f"pulled {download(reference, Path(model))} into {model}")


@app.command("export-onnx")
def export_onnx(words: Words) -> None:
    """MODEL FILE.onnx: a fine-tuned model for other languages, from acceleration to probabilities."""
    (model, path), settings = _split(words, "MODEL", "FILE.onnx")
    _no(settings)
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
    except (config.ConfigError, WrongCall) as error:
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


def _split(words: list[str], *wanted: str) -> tuple[list[str], list[str]]:
    """Names and settings; a name is whatever does not begin with key=."""
    settings = [word for word in words if re.match(r"[a-z_][a-z0-9_.]*=", word)]
    names = [word for word in words if word not in settings]
    many = any(w.startswith("SOURCE") for w in wanted)
    if many and any(setting.startswith("back=") for setting in settings):
        wanted = tuple(w for w in wanted if not w.startswith("SOURCE"))  # back= and thigh= are one
    if len(names) < len(wanted) or (len(names) > len(wanted) and not many):
        raise WrongCall(f"wanted {' '.join(wanted)} and then key=value settings, got {' '.join(words)}")
    return names, settings


def _no(settings: list[str]) -> None:
    if settings:
        raise WrongCall(f"there are no settings here, got {' '.join(settings)}")


def _config(kind: type[C], section: str, settings: list[str]) -> C:
    """preset= comes before the other settings, wherever it stands."""
    chosen = [s.partition("=")[2] for s in settings if s.startswith("preset=")]
    rest = [s for s in settings if not s.startswith("preset=")]
    return config.load(kind, preset=(chosen or ["paper"])[-1], section=section, settings=rest)


def _report(outcome: Any) -> None:
    """What was written, and what failed; exit 1 if anything did."""
    for name, problem in outcome:
        told = problem if problem and problem.startswith(str(name)) else f"{name}: {problem}"
        print(f"failed: {told}" if problem else f"wrote {name}", file=sys.stderr if problem else sys.stdout)
    if any(problem for _, problem in outcome):
        raise typer.Exit(1)
