"""Figure 1, right: from a pre-trained encoder to a classifier."""

from selfpab.downstream.classifier import HeadClassifier
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head
from selfpab.downstream.states import Extractor, Shelf

__all__ = ["Extractor", "FinetuneConfig", "Head", "HeadClassifier", "Shelf"]
