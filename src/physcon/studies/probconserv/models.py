"""The methods of the article that apply to each probabilistic model.

Source:
    Hansen et al. (2023), step 1 of ProbConserv: a Gaussian process, a neural process,
    or an ensemble gives the mean and covariance that step 2 constrains.
"""

import jax.numpy as jnp

from physcon._typing import Array, Float
from physcon.models import Ensemble, GaussianProcess, Model, NeuralProcess
from physcon.models.front_model import FrontModel
from physcon.studies.probconserv.settings import APPLICABLE, Method

_NAMES: dict[type[Model], str] = {
    NeuralProcess: "anp",
    GaussianProcess: "gp",
    Ensemble: "ensemble",
    FrontModel: "front",
}


def applicable(model: Model) -> tuple[Method, ...]:
    """The methods of the article that apply to the covariance of a model."""
    return APPLICABLE[_NAMES[type(model)]]


def points_at(t: Array, x: Float[Array, " n"]) -> Float[Array, "n 2"]:
    """Rows (t, x) at one time."""
    return jnp.stack([jnp.full_like(x, t), x], axis=-1)
