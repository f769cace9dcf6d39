"""Figure 1, right: from a pre-trained encoder to a classifier."""

from selfpab.downstream.classifier import FinetunedClassifier
from selfpab.downstream.finetuning import FinetuneConfig
from selfpab.downstream.head import Head, Network
from selfpab.downstream.states import Extractor

__all__ = ["Extractor", "FinetuneConfig", "FinetunedClassifier", "Head", "Network"]
