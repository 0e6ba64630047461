"""Slope limiters φ(backward, forward) of the two differences of a cell.

All are homogeneous, φ(c a, c b) = c φ(a, b); consistent, φ(a, a) = a; and total
variation diminishing: φ = 0 at extrema and |φ| <= 2 min(|a|, |b|). The value at the
face that the forward difference crosses is u + φ(backward, forward)/2. At the other
face it is u - φ(forward, backward)/2.
"""

from collections.abc import Callable

import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Bool, Float

Limiter = Callable[[Array, Array], Array]


def symmetric(limiter: Limiter) -> Limiter:
    """Declare that φ(a, b) = φ(b, a): the slope is then computed once per cell.

    The declaration is the attribute ``limiter.symmetric``.
    """
    try:
        limiter.symmetric = True  # type: ignore[attr-defined]
    except AttributeError as error:
        raise ValueError(
            f"expected a function, got {limiter!r}, which takes no attributes; "
            "set `symmetric = True` in its class"
        ) from error
    return limiter


@symmetric
def minmod(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The smaller of two differences of equal sign, else zero (Roe 1986).

    >>> minmod(jnp.array([1.0, -1.0]), jnp.array([3.0, 2.0])).tolist()
    [1.0, 0.0]
    """
    # Selections rather than minimum and maximum, which propagate NaN and so cost twice
    # as much on a CPU.
    return jnp.where(_same_sign(a, b), jnp.where(jnp.abs(a) < jnp.abs(b), a, b), 0)


@symmetric
def van_leer(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The harmonic mean of two differences of equal sign.

    Source: van Leer, J. Comput. Phys. 14 (1974) 361.
    """
    smooth = _same_sign(a, b)
    # a b may underflow where a does not.
    share = safe.quotient(a, jnp.where(smooth, a + b, 1))
    return jnp.where(smooth, 2 * share * b, 0)


@symmetric
def mc(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Monotonized central: the central slope within twice the one-sided ones.

    Source: van Leer, J. Comput. Phys. 23 (1977) 276.
    """
    return _within(0.5 * (a + b), a, b)


@symmetric
def superbee(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The largest TVD slope: it steepens smooth waves, so use it for contacts only.

    Source: Roe, Annu. Rev. Fluid Mech. 18 (1986) 337.
    """
    first = minmod(2 * a, b)
    second = minmod(a, 2 * b)
    return jnp.where(jnp.abs(first) > jnp.abs(second), first, second)


def koren(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The third-order upwind-biased slope (a + 2 b)/3 within the TVD bounds.

    Source: Koren, in Numerical Methods for Advection-Diffusion Problems (1993) 117.
    """
    return _within((a + 2 * b) / 3, a, b)


#: The limiters of this module with φ(a, b) = φ(b, a).
SYMMETRIC: frozenset[Limiter] = frozenset({minmod, van_leer, mc, superbee})


def _same_sign(a: Array, b: Array) -> Bool[Array, "*s"]:
    """Whether a b > 0, without the product, which underflows in small units.

    At a = 0 it may hold: there every slope is zero by the bound.
    """
    return jnp.where(a > 0, b, -b) > 0


def _within(slope: Array, a: Array, b: Array) -> Array:
    """A slope cut to twice the smaller of a and b; zero at an extremum."""
    bound = 2 * jnp.where(jnp.abs(a) < jnp.abs(b), a, b)
    limited = jnp.where(jnp.abs(bound) < jnp.abs(slope), bound, slope)
    return jnp.where(_same_sign(a, b), limited, 0)
