"""A trained model meets a new recording."""

from selfpab.inference.columns import column_dictionary
from selfpab.inference.folders import PredictConfig, embed_folder, predict_folder
from selfpab.inference.model import Model, load
from selfpab.inference.prediction import Prediction

__all__ = ["Model", "PredictConfig", "Prediction", "column_dictionary", "embed_folder", "load", "predict_folder"]
