"""One classifier from all subjects of labelled data sets: what `predict` and `embed` are given (DESIGN 3)."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from selfpab.allocator import keep_freed_memory
from selfpab.config import ConfigError
from selfpab.data.datasets import Dataset, check_names, known, open_dataset, with_classes
from selfpab.downstream import FinetunedClassifier
from selfpab.methods import ENCODERS, EvaluateConfig, method
from selfpab.recording import Recording
from selfpab.upstream.checkpoint import save_model

CARD = """# Activities of {names}

An encoder and a head of {hidden} hidden units, trained by `selfpab finetune` on all {people} people of {versions}: {classes}.
The encoder was frozen for {frozen:g} % of the {length}. Two accelerometers, lower back and thigh, 50 Hz, in g.
Its scores come from `selfpab evaluate` with the same settings, never from this model, which has seen everybody.
Probabilities are not calibrated. Not a medical device.
"""


@dataclass(frozen=True)
class FinalConfig(EvaluateConfig):
    method: str = "selfpab"  # or another that begins with a pre-trained encoder


def finetune(datasets: Sequence[str], model: Path, config: EvaluateConfig, name: str = "selfpab") -> Path:
    """Train on everybody with the method `name`; writes the model folder `model`.

    datasets : names or folders. The activities are those of `config.classes`, else of the first; a code of another set
        that it does not know is left unlabelled (running has no place among the seven classes of HAR70+).

    Raises ConfigError for several seeds, without `upstream`, for a method that does not begin with one, and where data sets
    give one code different names.
    """
    keep_freed_memory()
    if ENCODERS.get(name) != "pretrained":
        fitting = ", ".join(other for other, start in ENCODERS.items() if start == "pretrained")
        raise ConfigError(f"method={name} makes no model folder; wanted one of {fitting}")
    if not config.seeds.strip().isdigit():
        raise ConfigError(f"one model has one seed; got seeds={config.seeds}")
    opened = [open_dataset(name) for name in datasets]
    activities = with_classes(opened[0], config.classes).activities
    for data in opened:
        check_names(activities, data.activities)
    recordings = [known(r, activities) for data in opened for r in data.recordings()]
    seed = int(config.seeds)
    with tempfile.TemporaryDirectory() as scratch:
        classifier = method(name, activities, config, seed, Path(scratch))()
        assert isinstance(classifier, FinetunedClassifier)
        classifier.fit(recordings)
    return save(classifier, model, opened, recordings, seed)


def save(
    classifier: FinetunedClassifier, model: Path, data: Sequence[Dataset], recordings: Sequence[Recording], seed: int
) -> Path:
    """The fitted classifier as a model folder."""
    assert classifier.extractor is not None
    assert classifier.upstream is not None
    network, config = classifier.extractor.network, classifier.config
    assert network.encoder is not None
    people = len({recording.subject for recording in recordings})
    facts = {
        "datasets": [{"name": d.name, "version": d.version, "sha256": d.sha256} for d in data],
        "people": people,
        "upstream_sha256": classifier.upstream.sha256,
        **classifier.facts,
        "finetune": asdict(config),
        "seed": seed,
    }
    card = CARD.format(
        names=", ".join(d.name for d in data),
        hidden=config.hidden,
        people=people,
        versions=" and ".join(f"{d.name} {d.version}" for d in data),
        classes=", ".join(classifier.activities.names),
        frozen=100 * config.unfreeze_at,
        length=f"{config.steps} steps" if config.epochs is None else f"{config.epochs} epochs",
    )
    shape = replace(
        classifier.upstream.encoder_config,
        statistics=network.encoder.statistics,
        upright_share=network.encoder.upright_share,
    )
    trained = replace(classifier.upstream, encoder=network.encoder.cpu(), encoder_config=shape)
    return save_model(
        model,
        trained,
        card=card,
        head=network.head.cpu().state_dict(),
        activities=classifier.outputs,
        downstream=facts,
    )
