"""Probabilistic predictors: functions (params, contexts, points, key) -> mean and std."""

from physcon.models.anp import ANP, predict, predict_samples
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
    "Observations",
    "OperatorRegressor",
    "Prediction",
    "Predictor",
    "latent_loss",
    "latent_prior",
    "mixture_moments",
    "operator_loss",
    "operator_prior",
    "predict",
    "predict_samples",
]
