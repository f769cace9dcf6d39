"""A trained model meets a new recording."""

from selfpab.inference.folders import PredictConfig, embed_folder, predict_folder
from selfpab.inference.model import Model, Prediction, load

__all__ = ["Model", "PredictConfig", "Prediction", "embed_folder", "load", "predict_folder"]
