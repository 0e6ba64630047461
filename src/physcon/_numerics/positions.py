"""Positions that are large compared with their differences, in two parts.

A float64 position is the sum of two numbers of the default dtype: the rounded position
and the rest. Differences of such positions are as accurate as differences of float64
numbers.
"""

import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete
from physcon._numerics.float64 import float64_primal
from physcon._typing import Array, ArrayLike, Float


@float64_primal
def cumulative(gaps: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.cumsum(gaps)


@float64_primal
def distance(a: Float[Array, "2 *s"], b: Float[Array, " 2"]) -> Float[Array, "*s"]:
    return difference(a, b)


def difference(a: Float[Array, "2 *s"], b: Float[Array, " 2"]) -> Float[Array, "*s"]:
    """a - b of positions in two parts; call it in float64."""
    return (a[0] - b[0]) + (a[1] - b[1])


def two_parts(position: ArrayLike) -> Float[Array, "2 *s"]:
    """A float64 position as the sum of two numbers of the default dtype."""
    exact = concrete(position)
    if exact is None:
        position = jnp.asarray(position, dtype=float)
        return jnp.stack([position, jnp.zeros_like(position)])
    high = np.asarray(exact, jnp.zeros(()).dtype)
    return jnp.asarray(np.stack([high, exact - high]), dtype=float)
