"""The three probabilistic models of the article, each as prior draws at new points.

Source: Hansen et al. (2023), step 1 of ProbConserv: a Gaussian process, a neural
process, or an ensemble gives the mean and covariance that step 2 constrains.
"""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray, PyTree
from physcon.conditioning import Gaussian
from physcon.models.anp import ANP, predict_samples
from physcon.models.ensemble import SetRegressor, ensemble_prior
from physcon.models.gp import Hyperparameters, gp_fit, gp_posterior
from physcon.models.predictor import Observations, Prediction, mixture_moments
from physcon.studies.probconserv.settings import APPLICABLE, Method


class Model(eqx.Module):
    """A trained model; `methods` are those of the article that apply to its covariance."""

    methods: eqx.AbstractClassVar[tuple[Method, ...]]

    @abc.abstractmethod
    def observe(self, contexts: Observations) -> PyTree:
        """What is computed once per function, whatever points are asked for."""

    @abc.abstractmethod
    def draws(
        self,
        seen: PyTree,
        points: Float[Array, "n dim"],
        key: PRNGKeyArray,
        number: int,
    ) -> Gaussian:
        """Equally probable Gaussians over the n points, with a leading axis on every
        leaf.
        """


class NeuralProcess(Model):
    """One independent-error Gaussian per draw of the latent variable."""

    network: ANP
    dropout: bool = eqx.field(static=True)
    methods: ClassVar[tuple[Method, ...]] = APPLICABLE["anp"]

    def observe(self, contexts: Observations) -> Observations:
        return contexts

    def draws(
        self,
        seen: Observations,
        points: Float[Array, "n dim"],
        key: PRNGKeyArray,
        number: int,
    ) -> Gaussian:
        mean, std = predict_samples(
            self.network, seen, points, key, num_samples=number, dropout=self.dropout
        )
        return jax.vmap(Gaussian.diagonal)(mean[..., 0], std[..., 0])


class GaussianProcess(Model):
    """One Gaussian with the full covariance; its kernel is fitted to each function's
    contexts.
    """

    methods: ClassVar[tuple[Method, ...]] = APPLICABLE["gp"]

    def observe(self, contexts: Observations) -> tuple[Observations, Hyperparameters]:
        return contexts, gp_fit(contexts)

    def draws(
        self,
        seen: tuple[Observations, Hyperparameters],
        points: Float[Array, "n dim"],
        key: PRNGKeyArray,
        number: int,
    ) -> Gaussian:
        contexts, hyperparameters = seen
        return _alone(gp_posterior(hyperparameters, contexts, points))


class Ensemble(Model):
    """One Gaussian: low-rank covariance between members plus their own errors."""

    members: SetRegressor
    methods: ClassVar[tuple[Method, ...]] = APPLICABLE["ensemble"]

    def observe(self, contexts: Observations) -> Observations:
        return contexts

    def draws(
        self,
        seen: Observations,
        points: Float[Array, "n dim"],
        key: PRNGKeyArray,
        number: int,
    ) -> Gaussian:
        return _alone(
            ensemble_prior(self.members, seen, points, shape=points.shape[:1])
        )


def _alone(gaussian: Gaussian) -> Gaussian:
    return jax.tree.map(lambda leaf: leaf[None], gaussian)


def moments(draws: Gaussian) -> Prediction:
    """Mean and standard deviation of the equal mixture of all draws, ``(n)``."""
    number = draws.mean.shape[0]
    require(number >= 1, "1 or more draws", number, "ask for some")
    stds = jax.vmap(Gaussian.std)(draws)
    if number == 1:
        return Prediction(draws.mean[0], stds[0])
    return mixture_moments(draws.mean, stds, ddof=1)


def points_at(t: Array, x: Float[Array, " n"]) -> Float[Array, "n 2"]:
    """Rows (t, x) at one time."""
    return jnp.stack([jnp.full_like(x, t), x], axis=-1)
