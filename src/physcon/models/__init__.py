"""Probabilistic models: from observations of a function to a Gaussian over points."""

from physcon._arguments import name_wrong_arguments
from physcon.models.anp import ANP, predict, predict_samples
from physcon.models.model import (
    Ensemble,
    GaussianProcess,
    Model,
    NeuralProcess,
    moments,
)
from physcon.models.operator import (
    OperatorRegressor,
    latent_loss,
    latent_prior,
    operator_loss,
    operator_prior,
)
from physcon.models.predictor import (
    Observations,
    Prediction,
    Predictor,
    mixture_moments,
)

__all__ = [
    "ANP",
    "Ensemble",
    "GaussianProcess",
    "Model",
    "NeuralProcess",
    "Observations",
    "OperatorRegressor",
    "Prediction",
    "Predictor",
    "latent_loss",
    "latent_prior",
    "mixture_moments",
    "moments",
    "operator_loss",
    "operator_prior",
    "predict",
    "predict_samples",
]

name_wrong_arguments(globals())
