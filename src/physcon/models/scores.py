"""Scores as training objectives, for a prediction or for its posterior.

If predictions will be conditioned on a law, train on the score of the *posterior*: the
network then need not learn what the law already determines. Scores are sums over points
and smaller is better, so they can replace a negative log-likelihood.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp

from physcon import metrics
from physcon._checks import require_choice, require_shape
from physcon._numerics.safe import power_of_two
from physcon._typing import Array, ArrayLike, Float, Scalar
from physcon.conditioning import Gaussian, condition, integral
from physcon.models.predictor import Prediction

#: A function of (truth, mean, std), all of one shape, that returns a sum over points.
Score: TypeAlias = Callable[[Array, Array, Array], Scalar]


def gaussian_log_density(u: Array, mean: Array, variance: Array) -> Array:
    """log N(u; mean, variance), elementwise."""
    return -0.5 * ((u - mean) ** 2 / variance + jnp.log(2 * jnp.pi * variance))


def standardized_log_density(u: Array, mean: Array, std: Array) -> Array:
    """log N(u; mean, std²), elementwise, for values in any unit.

    A certain value (std 0) has probability one: 0 if it is met to rounding, else -inf.
    """
    certain = std == 0
    scale = jnp.where(certain, 1, std)
    unit = power_of_two(scale)  # the derivative of a division squares its denominator
    z = ((u - mean) / unit) / (scale / unit)
    density = -0.5 * (z**2 + jnp.log(2 * jnp.pi)) - jnp.log(scale)
    rounding = 4 * float(jnp.finfo(std.dtype).eps)
    met = jnp.abs(u - mean) <= rounding * jnp.maximum(jnp.abs(u), jnp.abs(mean))
    return jnp.where(certain, jnp.where(met, 0, -jnp.inf), density)


def negative_log_likelihood(u: Array, mean: Array, std: Array) -> Scalar:
    """-Σ log N(u; mean, std²) over points."""
    return -jnp.sum(standardized_log_density(u, mean, std))


def crps(u: Array, mean: Array, std: Array, *, scale: ArrayLike = 1.0) -> Scalar:
    """Σ CRPS / scale over points.

    Args:
        scale: the CRPS, in the units of u, that counts as one nat of likelihood.
    """
    return u.size * metrics.gaussian_crps(mean, std, u) / jnp.asarray(scale, u.dtype)


def conditioned_log_density(
    u: Float[Array, "k n"],
    mean: Float[Array, "k n"],
    std: Float[Array, "k n"],
    rows: Float[Array, "k n"],
    noise_std: ArrayLike,
) -> Float[Array, " k"]:
    """log p(u | b) of N(mean, std²) conditioned on b = g·u + noise, for k groups.

    Bayes' rule gives it without forming the posterior:

        log p(u | b) = log N(u; mean, std²) + log N(b; g·u, s²) - log N(b; g·mean, S),

    where S = Σ g² std² + s². Here b is the integral of u itself, as in training on data
    that obey the law.

    Args:
        noise_std: s > 0, scalar or ``(k,)``. As s -> 0 the density concentrates on g·u
            = b, and its logarithm grows as -log s.

    Source:
        Hansen et al. 2023, eq. 8 (posterior); the evidence follows from Bayes' rule.
    """
    noise = jnp.broadcast_to(jnp.asarray(noise_std, u.dtype), u.shape[:1])
    # The row is in units of its own spread, in which squares are of order one.
    spread = rows * std
    unit = power_of_two(jnp.maximum(jnp.max(jnp.abs(spread), axis=-1), noise))
    seen = jnp.sum(rows * (u - mean), axis=-1) / unit
    variance = jnp.sum((spread / unit[:, None]) ** 2, axis=-1) + (noise / unit) ** 2
    prior = jnp.sum(standardized_log_density(u, mean, std), axis=-1)
    gained = 0.5 * (seen**2 / variance + jnp.log(variance)) - jnp.log(noise / unit)
    return prior + gained


def conditioned_moments(
    u: Float[Array, "k n"],
    mean: Float[Array, "k n"],
    std: Float[Array, "k n"],
    rows: Float[Array, "k n"],
    noise_std: ArrayLike,
) -> Prediction:
    """Mean and std per point of the posterior given b = g·u, for k groups."""

    def one(u: Array, mean: Array, std: Array, row: Array) -> tuple[Array, Array]:
        law = integral(row, jnp.sum(row * u), noise_std)
        posterior = condition(Gaussian.diagonal(mean, std), law, throw=False).posterior
        return posterior.mean, posterior.std()

    return Prediction(*jax.vmap(one)(u, mean, std, rows))


def make_score(
    kind: Literal["nll", "crps"],
    rows: Float[Array, "k n"] | None = None,
    *,
    noise_std: ArrayLike = 1e-3,
    crps_scale: ArrayLike = 1.0,
) -> Score:
    """Return the objective `kind`; with `rows`, it scores the conditioned prediction.

    Args:
        kind: "nll" for the joint density of each group (`conditioned_log_density`);
            "crps" for the sum over points of the CRPS of the marginals
            (`conditioned_moments`).
        rows: k laws over n points each. The truth, mean and std are k n values in this
            order; each law has the value of the truth.
        noise_std: noise of the rows. An exact row has no joint density.
        crps_scale: see `crps`.

    Raises:
        ValueError: another `kind`.
    """
    require_choice(kind, Literal["nll", "crps"], "kind")
    plain = (
        negative_log_likelihood if kind == "nll" else partial(crps, scale=crps_scale)
    )
    if rows is None:
        return plain

    def through(u: Array, mean: Array, std: Array) -> Scalar:
        require_shape(u, (rows.size, 1), "the targets")
        u, mean, std = (x.reshape(rows.shape) for x in (u, mean, std))
        if kind == "nll":
            return -jnp.sum(conditioned_log_density(u, mean, std, rows, noise_std))
        return plain(u, *conditioned_moments(u, mean, std, rows, noise_std))

    return through
