"""From one person to a cohort: recordings in, a folder per recording and tables over all of them out."""

from selfpab.cohorts.folders import PredictConfig, embed_folder, predict_folder

__all__ = ["PredictConfig", "embed_folder", "predict_folder"]
