"""How well a pre-trained encoder rebuilds, beside three simple rivals: results.json, curve, pictures.

python recipes/measure_pretraining.py CORPUS RUN results/pretrain-small [OTHER_CORPUS]

OTHER_CORPUS: people of whom nothing was used for pre-training, not even for the normalisation.
"""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from selfpab.allocator import keep_freed_memory
from selfpab.config import load
from selfpab.data.store import open_corpus
from selfpab.data.windows import Windows
from selfpab.provenance import environment
from selfpab.upstream import PretrainConfig, open_model
from selfpab.upstream.pictures import draw_losses, draw_reconstructions
from selfpab.upstream.pretraining import training_data
from selfpab.upstream.reconstruction import reconstruction_losses
from selfpab.upstream.run import metrics

REPEATS = 5  # draws of masks

if __name__ == "__main__":
    corpus_folder, run, out, *others = map(Path, sys.argv[1:])
    keep_freed_memory()
    out.mkdir(parents=True, exist_ok=True)
    corpus = open_corpus(corpus_folder)
    config = load(PretrainConfig, preset=run / "config.yaml", section="pretrain")
    upstream = open_model(run / "model").upstream
    _, validation, _ = training_data(corpus, config)
    assert validation is not None
    same, _ = reconstruction_losses(upstream, validation, config.masking, count=len(validation), seed=config.seed)
    losses, _ = reconstruction_losses(upstream, validation, config.masking, count=len(validation), repeats=REPEATS)
    by_person = {}
    for person in upstream.trained["held_out"]:
        own = Windows(corpus, people=[person], **asdict(config.spectrogram), seed=config.seed)
        found, examples = reconstruction_losses(
            upstream, own, config.masking, count=len(own), examples=2, repeats=REPEATS
        )
        by_person[person] = {"windows": len(own), "masked_l1": found}
        draw_reconstructions(examples, out / f"reconstructions-{person.replace('/', '-')}.png")
    elsewhere = {}
    for other in others:
        everybody = Windows(open_corpus(other), **asdict(config.spectrogram), seed=config.seed)
        found, examples = reconstruction_losses(
            upstream, everybody, config.masking, count=len(everybody), examples=2, repeats=REPEATS
        )
        elsewhere[other.name] = {"windows": len(everybody), "masked_l1": found}
        draw_reconstructions(examples, out / f"reconstructions-{other.name}.png")
    rivals = {name: parts["all"] for name, parts in same.items() if name != "encoder"}
    draw_losses(metrics(run), rivals, out / "loss.png")
    shutil.copy(run / "config.yaml", out / "config.yaml")
    shutil.copy(run / "metrics.jsonl", out / "metrics.jsonl")
    before = json.loads((run / "environment.json").read_text())
    about = {
        "what": f"masked L1 on the people held out, all their windows, {REPEATS} draws of masks; the curve has the first draw",
        "command": "python recipes/measure_pretraining.py CORPUS RUN results/pretrain-small [OTHER_CORPUS]",
        "pretraining": {
            key: before[key] for key in ("torch", "machine", "threads", "precision", "commit") if key in before
        },
        "trained": dict(upstream.trained),
        "encoder_sha256": upstream.sha256,
        "windows": len(validation),
        "masked_l1": losses,
        "by_person": by_person,
        "other_corpora": elsewhere,
        "environment": {key: environment().get(key) for key in ("python", "torch", "machine", "commit", "clean")},
    }
    (out / "results.json").write_text(json.dumps(about, indent=1) + "\n")
    for where, found in [("held out", losses), *((name, other["masked_l1"]) for name, other in elsewhere.items())]:
        print(where)
        for name, parts in found.items():
            print(f"  {name:24s} all {parts['all']:.4f}  frames {parts['frames']:.4f}  bands {parts['bands']:.4f}")
