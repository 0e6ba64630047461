"""Stationary kernels: covariance as a function of scaled distance."""

from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp

from physcon._derivative_rules import WithDerivative
from physcon._numerics import safe
from physcon._typing import Array, Float

#: Correlation at a squared scaled distance, 1 at 0. The square is smooth at 0.
Kernel: TypeAlias = Callable[[Float[Array, "*s"]], Float[Array, "*s"]]


# Matérn kernels as functions of q = r². As functions of r they have even power series
# up to the order in which they are smooth, so their derivatives in q exist at zero;
# autodiff through r = √q does not find them. With e(q) = exp(-r):
#     d/dq (1 + r + q/3) e = -(1 + r) e / 6      d/dq (1 + r) e = -e / 2


def _exponential(q: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """exp(-r): a kink at zero, where the derivative is taken as zero."""
    return jnp.exp(-safe.sqrt(q))


@WithDerivative
def _once_smooth(q: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(1 + r) exp(-r)."""
    r = safe.sqrt(q)
    return (1 + r) * jnp.exp(-r)


@_once_smooth.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    return _once_smooth(*primals), -_exponential(*primals) / 2 * tangents[0]


@WithDerivative
def _twice_smooth(q: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(1 + r + q/3) exp(-r)."""
    r = safe.sqrt(q)
    return (1 + r + q / 3) * jnp.exp(-r)


@_twice_smooth.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    return _twice_smooth(*primals), -_once_smooth(*primals) / 6 * tangents[0]


def matern12(squared: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """exp(-r): continuous, rough paths (Ornstein-Uhlenbeck).

    Source: Rasmussen and Williams (2006), eq. 4.14, ν = 1/2.

    >>> matern12(jnp.zeros(())).item()
    1.0
    """
    return _exponential(squared)


def matern32(squared: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(1 + √3 r) exp(-√3 r): paths with one derivative.

    Source: Rasmussen and Williams (2006), eq. 4.17.
    """
    return _once_smooth(3 * squared)


def matern52(squared: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(1 + √5 r + 5 r² / 3) exp(-√5 r): paths with two derivatives.

    Source: Rasmussen and Williams (2006), eq. 4.17.
    """
    return _twice_smooth(5 * squared)


def squared_exponential(squared: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """exp(-r² / 2): analytic paths.

    Its matrices are singular to rounding: prefer a Matérn kernel.

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
    """std² k(|x_i - y_j|² / length²), with one length or one per coordinate.

    Differences are taken before the squares, so close points lose no digits.
    """
    gaps = x[:, None, :] - y[None, :, :]
    gaps = gaps / jnp.broadcast_to(length, gaps.shape)
    return std**2 * kernel(jnp.sum(gaps**2, axis=-1))
