"""The rounding errors of float64 in rows whose terms vanish or cancel.

The mean μ' = μ + Σ Gᵀ λ is the sum of terms that may be much larger than itself. The
flow into a dead end of a network is zero, but the sum that gives it leaves 1e-16 of its
terms. Compared with |G| |μ'| alone, such a row would never count as met.
"""

import jax
import jax.numpy as jnp

from physcon._numerics.float64 import in_float64
from physcon._typing import Array, Float
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.gram_verdict import FARTHEST
from physcon.conditioning.solvers.refined import independent_std
from physcon.linear_map import Disjoint, LinearMap, Pointwise, Rows, Sparse, Stack

#: The rounding error of float64, in which the means are computed.
EPS64 = 2.0**-52


def terms_of_rows(
    prior: Gaussian, operator: LinearMap, multiplier: Float[Array, "*y"]
) -> Float[Array, "*y"]:
    """|G| (|μ| + |Σ Gᵀ| |λ|), roughly: what the rows of μ' are made of."""
    return in_float64(_terms)(prior, operator, multiplier)


def _terms(prior: Gaussian, operator: LinearMap, multiplier: Array) -> Array:
    root = prior.root
    std = independent_std(root)
    moved = root.magnitude(root.rmv(operator.rmv(multiplier)))
    if std is not None and _is_entrywise(operator):
        std = std.reshape(moved.shape)
        entries = jax.tree.map(_absolute, operator)
        pulls = std**2 * entries.rmv(jnp.abs(multiplier))
        moved = jnp.minimum(pulls, FARTHEST * jnp.abs(std))
    found = operator.magnitude(jnp.abs(prior.mean) + moved)
    return jnp.where(jnp.isfinite(found), found, 0)


def _is_entrywise(operator: LinearMap) -> bool:
    """Whether the floating arrays of an operator are its entries."""
    if isinstance(operator, Stack):
        return all(map(_is_entrywise, operator.parts))
    return isinstance(operator, Sparse | Disjoint | Pointwise | Rows)


def _absolute(x: Array) -> Array:
    return jnp.abs(x) if jnp.issubdtype(x.dtype, jnp.inexact) else x
