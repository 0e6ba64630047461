"""Models: anything that turns observations of a function into a Gaussian over points.

    seen = model.observe(contexts)  # once per function
    priors = model.draws(seen, points, key, 16)  # for any points
    posteriors = jax.vmap(lambda prior: condition(prior, law).posterior)(priors)

Three models implement it; a model of your own is a subclass with the same two methods.
"""

import abc

import equinox as eqx
import jax

from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray, PyTree
from physcon.conditioning import Gaussian
from physcon.models.anp import ANP, predict_samples
from physcon.models.ensemble import SetRegressor, ensemble_prior
from physcon.models.gp import Hyperparameters, gp_fit, gp_posterior
from physcon.models.predictor import Prediction, mixture_moments
from physcon.problems.observations import Observations


class Model(eqx.Module):
    """A trained probabilistic model of functions of one channel."""

    @abc.abstractmethod
    def observe(self, contexts: Observations) -> PyTree:
        """Compute what all points of one function share, such as an encoding."""

    @abc.abstractmethod
    def draws(
        self,
        seen: PyTree,
        points: Float[Array, "n dim"],
        key: PRNGKeyArray,
        number: int,
    ) -> Gaussian:
        """Equally probable Gaussians over the points.

        Args:
            seen: result of `observe`.
            number: of draws of the model's latent variables. A model without any
                returns one Gaussian.

        Returns:
            A `Gaussian` over ``(n,)`` with a leading axis of draws on every array; use
            `jax.vmap` to condition each.
        """


class NeuralProcess(Model):
    """One Gaussian with independent errors per draw of the latent variable.

    Attributes:
        dropout: whether each draw drops weights at random, as the published code does.
    """

    network: ANP
    dropout: bool = eqx.field(static=True, default=False)

    def observe(self, contexts: Observations) -> Observations:
        """The contexts themselves."""
        return contexts

    def draws(
        self,
        seen: Observations,
        points: Float[Array, "n dim"],
        key: PRNGKeyArray,
        number: int,
    ) -> Gaussian:
        """`number` draws; see `Model.draws`."""
        mean, std = predict_samples(
            self.network, seen, points, key, num_samples=number, dropout=self.dropout
        )
        return jax.vmap(Gaussian.diagonal)(mean[..., 0], std[..., 0])


class GaussianProcess(Model):
    """One Gaussian with the full covariance; its kernel is fitted to the contexts."""

    def observe(self, contexts: Observations) -> tuple[Observations, Hyperparameters]:
        """The contexts and the fitted hyper-parameters."""
        return contexts, gp_fit(contexts)

    def draws(
        self,
        seen: tuple[Observations, Hyperparameters],
        points: Float[Array, "n dim"],
        key: PRNGKeyArray,
        number: int,
    ) -> Gaussian:
        """One draw; see `Model.draws`."""
        contexts, hyperparameters = seen
        return _single(gp_posterior(hyperparameters, contexts, points))


class Ensemble(Model):
    """One Gaussian: low-rank covariance between members, plus their own errors."""

    members: SetRegressor

    def observe(self, contexts: Observations) -> Observations:
        """The contexts themselves."""
        return contexts

    def draws(
        self,
        seen: Observations,
        points: Float[Array, "n dim"],
        key: PRNGKeyArray,
        number: int,
    ) -> Gaussian:
        """One draw; see `Model.draws`."""
        shape = points.shape[:1]
        return _single(ensemble_prior(self.members, seen, points, shape=shape))


def _single(gaussian: Gaussian) -> Gaussian:
    return jax.tree.map(lambda leaf: leaf[None], gaussian)


def moments(draws: Gaussian) -> Prediction:
    """Mean and standard deviation ``(n)`` of the equal mixture of all draws."""
    number = draws.mean.shape[0]
    require(
        number >= 1, "1 or more draws", number, "ask the model for one draw or more"
    )
    stds = jax.vmap(Gaussian.std)(draws)
    if number == 1:
        return Prediction(draws.mean[0], stds[0])
    return mixture_moments(draws.mean, stds, ddof=1)
