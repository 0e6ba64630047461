"""Probabilistic predictors: functions (params, contexts, points, key) -> mean and std."""

from physcon.models.anp import ANP as ANP
from physcon.models.anp import predict as predict
from physcon.models.anp import predict_samples as predict_samples
from physcon.models.predictor import Observations as Observations
from physcon.models.predictor import Prediction as Prediction
from physcon.models.predictor import Predictor as Predictor
from physcon.models.predictor import mixture_moments as mixture_moments
