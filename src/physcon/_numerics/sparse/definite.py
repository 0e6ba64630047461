"""Matrices that are known to be positive definite: one pass, no search for rows."""

import jax.numpy as jnp

from physcon._numerics.sparse.analysis import Pattern
from physcon._numerics.sparse.factor import Factored, refactor, scaled
from physcon._typing import Array, Float


def factorise_definite(pattern: Pattern, entries: Float[Array, " s"]) -> Factored:
    """The factor of a positive definite matrix, or NaN if it is not one.

    It compiles in a fraction of the time of `factorise`, and has derivatives.
    """
    diagonal = entries[: pattern.size]
    exponent = jnp.round(-0.5 * jnp.log2(diagonal))
    scale = jnp.exp2(jnp.where(jnp.isfinite(exponent), exponent, 0))
    kept = jnp.ones(pattern.size, bool)
    empty = Factored(pattern, (), scale, kept, jnp.ones((), bool))
    fronts = refactor(empty, scaled(empty, entries))
    return Factored(pattern, fronts, scale, kept, jnp.ones((), bool))
