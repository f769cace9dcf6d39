"""From one person to a cohort: recordings in, a folder per recording and tables over all of them out."""

from selfpab.cohorts.folders import embed_folder, predict_folder
from selfpab.cohorts.settings import EmbedConfig, PredictConfig

__all__ = ["EmbedConfig", "PredictConfig", "embed_folder", "predict_folder"]
