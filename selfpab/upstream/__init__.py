"""Figure 1, left: from a corpus to a pre-trained encoder."""

from selfpab.data.store import open_corpus
from selfpab.upstream.authors import import_checkpoint
from selfpab.upstream.checkpoint import Upstream, open_model, save_model
from selfpab.upstream.corpus import ingest
from selfpab.upstream.engine import make_fabric
from selfpab.upstream.pretraining import PretrainConfig, TooLong, pretrain

__all__ = [
    "PretrainConfig",
    "TooLong",
    "Upstream",
    "import_checkpoint",
    "ingest",
    "make_fabric",
    "open_corpus",
    "open_model",
    "pretrain",
    "save_model",
]
