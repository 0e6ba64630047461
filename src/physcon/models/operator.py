"""Neural operators as probabilistic models: a Gaussian that `condition` can use.

There are three sources of variance, which can be combined:

    head      the network gives a mean and a log-variance per point: independent errors
    ensemble  networks from several starts: `eqx.filter_vmap` over keys, then
              `ensemble_prior`
    latent    additional inputs z ~ N(0, I), of which the answer is a mixture

The disagreement of members or latents is correlated over the field: a low-rank
covariance.

Source: Nix and Weigend, ICNN 1994, eqs. 1 to 4 (head); Lakshminarayanan, Pritzel and
Blundell, NeurIPS 2017 (ensemble); Burda, Grosse and Salakhutdinov, ICLR 2016, eq. 8,
with the prior of z as proposal (latent).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._arguments import check_fields
from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.conditioning import Gaussian
from physcon.models.predictor import Prediction
from physcon.models.scores import standardized_log_density
from physcon.operators.boon import BoundaryFNO
from physcon.operators.fno import FNO
from physcon.operators.normaliser import mean_and_std


class OperatorRegressor(eqx.Module):
    """A network with 2 c output channels as ``(in, *x) -> Prediction``.

    Shapes: mean and std ``(c, *x)`` each.

    Attributes:
        network: an `FNO`, or a `BoundaryFNO`, whose mean then meets its conditions and
            whose variance is zero on Dirichlet sides. Its inputs are the channels of
            the field, then the latent channels (an input normaliser must have mean 0
            and std 1 for these).
        latents: number of latent channels, which are constant over the field.
        max_std: upper bound of the std, in units of the network's output normaliser;
            None for no bound. See `physcon.operators.mean_and_std`.
    """

    network: FNO | BoundaryFNO
    latents: int = eqx.field(static=True, default=0)
    max_std: float | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        check_fields(self)

    def __call__(
        self,
        u: Float[Array, "i *x"],
        *where: Any,
        z: Float[Array, " l"] | None = None,
        throw: bool | None = None,
    ) -> Prediction:
        """The prediction at latent `z`, or at its mean 0.

        Args:
            where: the boundary and the grid, for a `BoundaryFNO`.
            throw: as in a call of a `BoundaryFNO`.
        """
        z = jnp.zeros(self.latents, u.dtype) if z is None else z
        require(
            z.shape == (self.latents,),
            f"{self.latents} latents",
            z.shape,
            "pass one number per latent channel",
        )
        column = z.reshape(-1, *(1,) * (u.ndim - 1))
        planes = jnp.broadcast_to(column, (z.shape[0], *u.shape[1:]))
        u = jnp.concatenate([u, planes.astype(u.dtype)])
        if isinstance(self.network, BoundaryFNO):
            found = self.network.mean_and_std(
                u, *where, throw=throw, max_std=self.max_std
            )
        else:
            found = mean_and_std(
                self.network.raw(u), self.network.outputs, max_std=self.max_std
            )
        return Prediction(*found)


def operator_prior(
    model: OperatorRegressor, u: Float[Array, "i *x"], *where: Any
) -> Gaussian:
    """The head's prediction with independent errors, over the field ``(c, *x)``."""
    return Gaussian.diagonal(*model(u, *where))


def latent_prior(
    model: OperatorRegressor,
    u: Float[Array, "i *x"],
    *where: Any,
    key: PRNGKeyArray,
    samples: int = 16,
) -> Gaussian:
    """The mixture over draws of the latents: low rank, plus the head's variance."""
    return Gaussian.from_mixture(*_drawn(model, u, where, key, samples))


def operator_loss(
    model: OperatorRegressor,
    u: Float[Array, "i *x"],
    answer: Float[Array, "c *x"],
    *where: Any,
) -> Scalar:
    """Mean over points of -log N(answer; mean, std²), without points of std zero.

    For an ensemble, minimise the sum of ``eqx.filter_vmap(lambda m: operator_loss(m,
    ...))(members)``.
    """
    prediction = model(u, *where)
    density = _log_densities(answer, prediction)
    return -jnp.sum(density) / _uncertain(prediction.std)


def latent_loss(
    model: OperatorRegressor,
    u: Float[Array, "i *x"],
    answer: Float[Array, "c *x"],
    *where: Any,
    key: PRNGKeyArray,
    samples: int = 16,
) -> Scalar:
    """-log (1/k) Σ_k N(answer; mean_k, std_k²) for k draws of the latent, per point."""
    drawn = _drawn(model, u, where, key, samples)
    density = jax.vmap(lambda p: jnp.sum(_log_densities(answer, p)))(drawn)
    evidence = jax.nn.logsumexp(density) - jnp.log(float(samples))
    return -evidence / _uncertain(drawn.std[0])


def _uncertain(std: Array) -> Scalar:
    """The number of points whose std is not zero."""
    return jnp.sum((std > 0).astype(std.dtype))


def _drawn(
    model: OperatorRegressor, u: Array, where: tuple, key: PRNGKeyArray, samples: int
) -> Prediction:
    require(
        model.latents > 0,
        "a model with latent channels",
        "none",
        "use operator_prior for other models",
    )
    z = jax.random.normal(key, (samples, model.latents), u.dtype)
    return jax.vmap(lambda z: model(u, *where, z=z))(z)


def _log_densities(answer: Array, prediction: Prediction) -> Array:
    """Elementwise, and zero where the value is known."""
    mean, std = prediction
    unknown = std > 0
    density = standardized_log_density(answer, mean, jnp.where(unknown, std, 1))
    return jnp.where(unknown, density, 0)
