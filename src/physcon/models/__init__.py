"""Probabilistic predictors: functions (params, contexts, points, key) -> mean and std."""

from physcon.models.anp import ANP as ANP
from physcon.models.anp import predict as predict
from physcon.models.anp import predict_samples as predict_samples
from physcon.models.operator import OperatorRegressor as OperatorRegressor
from physcon.models.operator import latent_loss as latent_loss
from physcon.models.operator import latent_prior as latent_prior
from physcon.models.operator import operator_loss as operator_loss
from physcon.models.operator import operator_prior as operator_prior
from physcon.models.predictor import Observations as Observations
from physcon.models.predictor import Prediction as Prediction
from physcon.models.predictor import Predictor as Predictor
from physcon.models.predictor import mixture_moments as mixture_moments
