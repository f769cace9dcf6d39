"""What stands on a command line: names, then settings as key=value (DESIGN 3); and the --help that lists these."""

from __future__ import annotations

import importlib
import re
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from selfpab import config

C = TypeVar("C")
Words = Annotated[list[str], typer.Argument(metavar="ARGUMENTS... [key=value]...", show_default=False)]


SETTINGS = {  # command -> where its settings are declared; imported only for its --help
    "demo": "selfpab.reproduce.demonstration:DemoConfig",
    "simulate": "selfpab.data.simulated_dataset:SimulateConfig",
    "ingest": "selfpab.upstream.corpus:IngestConfig",
    "pretrain": "selfpab.upstream:PretrainConfig",
    "evaluate": "selfpab.methods:EvaluateConfig",
    "finetune": "selfpab.final_models:FinalConfig",
    "calibrate": "selfpab.inference.left_out_people:CalibrateConfig",
    "predict": "selfpab.cohorts:PredictConfig",
    "embed": "selfpab.cohorts:EmbedConfig",
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


def split(words: list[str], *wanted: str) -> tuple[list[str], list[str]]:
    """Names and settings; a name is whatever does not begin with key=.

    Capitals and hyphens count as a key, too: TZ= and t-z= are typing errors to be told, no folders to be written.

    >>> split(["a/", "svm.C=2", "./b=c"], "DATASET", "MODEL")
    (['a/', './b=c'], ['svm.C=2'])
    >>> split(["thigh=a.cwa", "out/"], "SOURCE...", "OUT")
    (['out/'], ['thigh=a.cwa'])
    """
    settings = [word for word in words if re.match(r"[A-Za-z_][\w.-]*=", word, re.ASCII)]
    names = [word for word in words if word not in settings]
    many = any(w.startswith("SOURCE") for w in wanted)
    if many and any(setting.startswith(("back=", "thigh=")) for setting in settings):
        wanted = tuple(w for w in wanted if not w.startswith("SOURCE"))  # these are one, or each by itself
    if len(names) < len(wanted) or (len(names) > len(wanted) and not many):
        raise WrongCall(
            f"wanted {' '.join(wanted)} and then key=value settings, got {' '.join(words)}; {_what_is_wrong(names, wanted)}"
        )
    return names, settings


def _what_is_wrong(names: list[str], wanted: tuple[str, ...]) -> str:
    if len(names) < len(wanted):
        return f"{' and '.join(wanted[len(names) :])} missing"
    strange = [name for name in names if "=" in name.partition("/")[0]]
    if strange:
        return f"{strange[0]!r} is no setting: a key begins with a letter"
    return f"{' '.join(map(repr, names[len(wanted) :]))} not wanted"


def no_settings(settings: list[str]) -> None:
    if settings:
        raise WrongCall(f"there are no settings here, got {' '.join(settings)}")


def chosen_config(kind: type[C], section: str, settings: list[str]) -> C:
    """preset= comes before the other settings, wherever it stands."""
    chosen = [s.partition("=")[2] for s in settings if s.startswith("preset=")]
    rest = [s for s in settings if not s.startswith("preset=")]
    return config.load(kind, preset=(chosen or ["paper"])[-1], section=section, settings=rest)
