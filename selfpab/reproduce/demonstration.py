"""The whole story on simulated people, in a few minutes on a laptop: simulate, pre-train, evaluate, predict, look."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from selfpab.config import load
from selfpab.data.simulated_dataset import SimulateConfig, simulate_folder
from selfpab.data.simulation import simulate
from selfpab.data.windows import Windows
from selfpab.evaluation.metrics import confusion, macro_f1
from selfpab.final_models import finetune
from selfpab.inference import load as load_model
from selfpab.inference.pictures import draw_day
from selfpab.methods import EvaluateConfig
from selfpab.progress import duration
from selfpab.reproduce.evaluation_run import evaluate_and_report
from selfpab.upstream import PretrainConfig, ingest, make_fabric, pretrain
from selfpab.upstream.pictures import draw_losses, draw_reconstructions
from selfpab.upstream.reconstruction import reconstruction_losses
from selfpab.upstream.run import metrics
from selfpab.writing import write_text

METHODS = ("selfpab", "spectr-mlp", "random-encoder")


@dataclass(frozen=True)
class DemoConfig:
    people: int = 6
    hours: float = 1.0  # per person
    day_hours: float = 12.0  # of the person whose day is predicted, whom no model has seen
    seed: int = 0


def demonstrate(out: Path, config: DemoConfig) -> Iterator[str]:
    """Run it all into the folder `out`; yields lines to show, the last ones say what to open."""
    began = time.monotonic()
    people = simulate_folder(out / "people", SimulateConfig(config.people, config.hours, seed=config.seed))
    yield f"1  simulated {config.people} people of {config.hours:g} h: {people}"
    corpus, _ = ingest([people], out / "corpus")
    settings = load(PretrainConfig, preset="tiny", section="pretrain")
    upstream = pretrain(corpus, settings, out / "pretraining", make_fabric(settings.precision))

    shape = asdict(settings.spectrogram)
    windows = Windows(corpus, people=upstream.trained["held_out"], **shape)
    losses, examples = reconstruction_losses(
        upstream, windows, settings.masking, count=len(windows), examples=2, precision=settings.precision
    )
    whole = {name: parts["all"] for name, parts in losses.items()}
    rivals = {name: loss for name, loss in whole.items() if name != "encoder"}
    curve = draw_losses(metrics(out / "pretraining"), rivals, out / "loss.png")
    rebuilt = draw_reconstructions(examples, out / "reconstructions.png")
    yield f"2  pre-trained `tiny`; held-out loss {whole['encoder']:.3f}, best simple rival {min(rivals.values()):.3f}"

    chosen = load(
        EvaluateConfig,
        preset="tiny",
        section="evaluate",
        settings=[f"upstream={out / 'pretraining' / 'model'}", f"seeds={config.seed}"],
    )
    *table, page = evaluate_and_report(METHODS, str(people), out / "evaluation", chosen)
    yield "3  leave one subject out, at 50 Hz; simulated people are easier than real ones, and the encoder has seen them"
    yield "   all, without their labels:"
    yield from (f"     {line}" for line in table)

    model = load_model(finetune([str(people)], out / "model", chosen))
    (stranger,) = simulate(1, config.day_hours, seed=config.seed + 1)
    prediction = model.predict(stranger)
    prediction.write(out / "day")
    assert stranger.labels is not None
    matrix = confusion(prediction.activities.indices(stranger.labels), prediction.classes, len(prediction.activities))
    day = draw_day(prediction, out / "day.png", title=f"{stranger.subject}: a simulated day of a person never seen")
    right = float(np.trace(matrix) / matrix.sum())
    yield f"4  predicted {config.day_hours:g} h of a person never seen: {100 * right:.1f} % of the samples right"
    summary = {
        "reconstruction": losses,
        "day": {"accuracy": right, "macro_f1": macro_f1(matrix)},
        "seconds": round(time.monotonic() - began, 1),
    }
    write_text(out / "summary.json", json.dumps(summary, indent=1) + "\n")
    yield f"done in {duration(time.monotonic() - began)}. Open:"
    for path in (curve, rebuilt, day, page.removeprefix("open ")):
        yield f"     {path}"
    yield f"   and {out / 'day'}: daily.csv, bouts.csv, and seconds.parquet for pandas, polars or R (arrow)."
