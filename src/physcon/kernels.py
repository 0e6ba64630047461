"""Stationary kernels: covariance as a function of scaled distance."""

from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp

from physcon._typing import Array, Float

#: Correlation at a squared scaled distance, 1 at 0. The square, because it is smooth at
#: 0.
Kernel: TypeAlias = Callable[[Float[Array, "*s"]], Float[Array, "*s"]]


def _distance(squared: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """√squared with zero derivative at 0, where plain autodiff gives NaN."""
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1)), 0)


def matern12(squared: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """exp(-r): continuous, rough paths (Ornstein-Uhlenbeck).

    Source: Rasmussen and Williams (2006), eq. 4.14, ν = 1/2.

    >>> matern12(jnp.zeros(())).item()
    1.0
    """
    return jnp.exp(-_distance(squared))


def matern32(squared: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(1 + √3 r) exp(-√3 r): paths with one derivative.

    Source: Rasmussen and Williams (2006), eq. 4.17.
    """
    r = _distance(3 * squared)
    return (1 + r) * jnp.exp(-r)


def matern52(squared: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(1 + √5 r + 5 r² / 3) exp(-√5 r): paths with two derivatives.

    Source: Rasmussen and Williams (2006), eq. 4.17.
    """
    r = _distance(5 * squared)
    return (1 + r + 5 * squared / 3) * jnp.exp(-r)


def squared_exponential(squared: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """exp(-r² / 2): analytic paths; its matrices are singular to rounding. Prefer a
    Matérn.

    Source: Rasmussen and Williams (2006), eq. 4.9.
    """
    return jnp.exp(-0.5 * squared)


def covariance(
    kernel: Kernel,
    x: Float[Array, "n dim"],
    y: Float[Array, "m dim"],
    std: Float[Array, ""],
    length: Float[Array, "*dim"],
) -> Float[Array, "n m"]:
    """std² k(|x_i - y_j|² / length²), one length or one per coordinate.

    Differences are taken before the squares: no cancellation for close points.
    """
    gaps = x[:, None, :] - y[None, :, :]
    gaps = gaps / jnp.broadcast_to(length, gaps.shape)
    return std**2 * kernel(jnp.sum(gaps**2, axis=-1))
