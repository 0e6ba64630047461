"""Slope limiters φ(backward, forward) of the two differences of a cell.

All are homogeneous, φ(c a, c b) = c φ(a, b); consistent, φ(a, a) = a; and total
variation diminishing, φ = 0 at extrema and |φ| <= 2 min(|a|, |b|). The value at the
face that the forward difference crosses is u + φ(backward, forward)/2, at the other one
u - φ(forward, backward)/2.
"""

from collections.abc import Callable

import jax.numpy as jnp

from physcon._typing import Array, Float

Limiter = Callable[[Array, Array], Array]

#: Limiters with φ(a, b) = φ(b, a), whose slope serves both faces of a cell.
SYMMETRIC: set[Limiter] = set()


def symmetric(limiter: Limiter) -> Limiter:
    """Declare φ(a, b) = φ(b, a): the slope is then computed once per cell."""
    SYMMETRIC.add(limiter)
    return limiter


@symmetric
def minmod(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The smaller of two differences of equal sign, else zero (Roe 1986).

    >>> minmod(jnp.array([1.0, -1.0]), jnp.array([3.0, 2.0])).tolist()
    [1.0, 0.0]
    """
    # Selections, not minimum and maximum: those pass NaN on, which costs twice as much
    # on a CPU.
    return jnp.where(a * b > 0, jnp.where(jnp.abs(a) < jnp.abs(b), a, b), 0)


@symmetric
def van_leer(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The harmonic mean of two differences of equal sign (van Leer, J. Comput. Phys.
    14, 1974).
    """
    product = a * b
    smooth = product > 0
    return jnp.where(smooth, 2 * product / jnp.where(smooth, a + b, 1), 0)


@symmetric
def mc(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Monotonized central: the central slope within twice the one-sided ones (van Leer
    1977).
    """
    return _within(0.5 * (a + b), a, b)


@symmetric
def superbee(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The largest TVD slope (Roe 1986): squares waves up, for contacts only."""
    first, second = minmod(2 * a, b), minmod(a, 2 * b)
    return jnp.where(jnp.abs(first) > jnp.abs(second), first, second)


def koren(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The third-order upwind-biased slope (a + 2 b)/3 within the TVD bounds (Koren
    1993).
    """
    return _within((a + 2 * b) / 3, a, b)


def _within(slope: Array, a: Array, b: Array) -> Array:
    """A slope between a and b, cut to twice the smaller of them; zero at an extremum."""
    bound = 2 * jnp.where(jnp.abs(a) < jnp.abs(b), a, b)
    return jnp.where(
        a * b > 0, jnp.where(jnp.abs(bound) < jnp.abs(slope), bound, slope), 0
    )
