"""A trained model meets a new recording."""

from selfpab.inference.columns import column_dictionary
from selfpab.inference.model import Model, load
from selfpab.inference.prediction import Prediction

__all__ = ["Model", "Prediction", "column_dictionary", "load"]
