"""The diagonal of S = G Σ Gᵀ + N: what the prior expects of each row."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.solvers.refined import independent_std
from physcon.linear_map import (
    Disjoint,
    LinearMap,
    Pointwise,
    Root,
    Rows,
    Sparse,
    Stack,
)


def row_variance(law: LinearConstraint, root: Root) -> Float[Array, "*y"] | None:
    """The diagonal of S; None unless errors are independent and entries are known."""
    squares = squared(law.operator)
    if squares is None or independent_std(root) is None:
        return None
    seen = squares.mv(root.gram_diagonal().reshape(squares.in_shape))
    return seen.reshape(law.value.shape) + law.noise() ** 2


def sampled_row_variance(
    law: LinearConstraint, root: Root, draws: int
) -> Float[Array, "*y"]:
    """An estimate of the diagonal of S for any operator and any prior.

    The mean of (G R z)² over `draws` vectors z of white noise, always the same ones.
    Its relative standard deviation is (2 / draws)^½.
    """
    key = jax.random.wrap_key_data(jnp.zeros(2, jnp.uint32), impl="threefry2x32")
    dtype = law.value.dtype

    def add(k: Array, total: Array) -> Array:
        # Random numbers are 32 bits wide: wider ones don't work in local float64.
        z = jax.random.normal(jax.random.fold_in(key, k), root.in_shape, jnp.float32)
        return total + law.operator.mv(root.mv(z.astype(dtype))) ** 2

    total = jax.lax.fori_loop(0, draws, add, jnp.zeros_like(law.value))
    return total / draws + law.noise() ** 2


def squared(operator: LinearMap) -> LinearMap | None:
    """The operator with its entries squared; None if its entries are not known."""
    return entrywise(operator, jnp.square)


def entrywise(operator: LinearMap, fn: Callable[[Array], Array]) -> LinearMap | None:
    """`fn` of every entry, with fn(0) = 0; None if the entries are not known."""
    if isinstance(operator, Stack):
        parts = [entrywise(part, fn) for part in operator.parts]
        known = tuple(part for part in parts if part is not None)
        return Stack(known, operator.layout) if len(known) == len(parts) else None
    if isinstance(operator, Sparse):
        return eqx.tree_at(lambda o: o.entries, operator, fn(operator.entries))
    if isinstance(operator, Disjoint):
        return eqx.tree_at(lambda o: o.weights, operator, fn(operator.weights))
    if isinstance(operator, Pointwise):
        return eqx.tree_at(lambda o: o.matrix, operator, fn(operator.matrix))
    return Rows(fn(operator.weights)) if isinstance(operator, Rows) else None
