"""Structured rows under any covariance: the Gram matrix column by column.

Column j of S = G Σ Gᵀ + N is one product of the covariance with the pattern of row j,
G Σ (Gᵀ e_j). No array holds all rows over all points: memory is O(m² + n).
"""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.gram import GramFactor, factor_gram
from physcon.conditioning.solvers.dense import dense_bytes, tangent_of
from physcon.conditioning.solvers.factor import gram_apply
from physcon.conditioning.solvers.interface import PriorAndLaw
from physcon.conditioning.solvers.refined import Refined
from physcon.linear_map import (
    Disjoint,
    LinearMap,
    LowRank,
    Pointwise,
    Root,
    Rows,
    Sparse,
    Stack,
)
from physcon.linear_map.basic import size

#: Rows up to which an m-by-m factor is cheaper than an iteration.
ROWS = 2**13
#: Bytes of dense rows from which the columns of S are computed without them.
DENSE = 2**23
#: Numbers in the fields that are computed at the same time.
TOGETHER = 2**20
#: Share of a row's variance below which it is redundant.
REDUNDANT = 1e-13


class ColumnFactor(GramFactor):
    """The factor of S; the rows are not stored."""

    def variance_removed(self, root: Root, operator: LinearMap) -> Float[Array, "*x"]:
        shape = tuple(operator.out_shape)

        def removed(row: Array) -> Array:
            pulled = operator.rmv((self.scale * row).reshape(shape))
            return root.mv(root.rmv(pulled)) ** 2

        @jax.checkpoint
        def add(total: Array, rows: Array) -> tuple[Array, None]:
            return total + jnp.sum(jax.vmap(removed)(rows), axis=0), None

        pieces = _pieces(self.whitener, size(root.out_shape))
        start = jnp.zeros(root.out_shape, self.whitener.dtype)
        return jax.lax.scan(add, start, pieces)[0]


class ColumnGram(Refined):
    """Structured rows under any prior: m products with the covariance.

    For a coarse field, totals or sparse rows next to a smooth prior, such as a Gaussian
    process on a grid: up to some thousand rows and one m-by-m factor, without an array
    of m n or n² numbers. No density under a prior that was conditioned before.
    """

    scales: ClassVar[bool] = True

    @classmethod
    def suits(cls, prior: Gaussian, law: LinearConstraint) -> "ColumnGram | None":
        """If the rows are structured, and too long to be written out."""
        operator = law.operator
        moderate = size(operator.out_shape) <= ROWS
        long = dense_bytes(operator) > DENSE and not isinstance(prior.root, LowRank)
        return cls() if _structured(operator) and moderate and long else None

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> ColumnFactor:
        rows = size(law.operator.out_shape)
        require(
            rows <= 2 * ROWS,
            f"at most {2 * ROWS} rows for ColumnGram",
            rows,
            "pass solver=ConjugateGradient(), or a prior with independent errors",
        )
        s = _columns(prior.root, law)
        before = None
        known = prior.root.undiminished()
        if known is not prior.root:
            before = jnp.diagonal(_columns(known, law))
        factor, _ = factor_gram(s, before, law.noise().reshape(-1), REDUNDANT)
        return ColumnFactor(
            factor.scale, factor.whitener, factor.order, factor.log_determinant
        )

    def tangent(self, factor: Any, primals: PriorAndLaw, tangents: PriorAndLaw) -> Any:
        def scaled_gram(root: Root, law: LinearConstraint) -> Array:
            return _columns(root, law, factor.scale)

        return tangent_of(factor, scaled_gram, primals, tangents)


def _structured(operator: LinearMap) -> bool:
    """Whether some rows are neither dense nor an operator without known entries."""
    known = Disjoint | Pointwise | Sparse
    if isinstance(operator, Stack):
        return all(isinstance(part, known | Rows) for part in operator.parts)
    return isinstance(operator, known)


def _columns(
    root: Root, law: LinearConstraint, scale: Float[Array, " m"] | None = None
) -> Float[Array, "m m"]:
    """G Σ Gᵀ, or d (G Σ Gᵀ + N) d for a given `scale` d."""
    shape = tuple(law.operator.out_shape)
    dtype = law.value.dtype
    eye = jnp.eye(size(shape), dtype=dtype)
    bare = LinearConstraint(law.operator, law.value)

    @jax.checkpoint
    def product(unit: Array) -> Array:
        return gram_apply(root, bare, unit.reshape(shape)).reshape(-1)

    found = _mapped(product, eye if scale is None else jnp.diag(scale), root)
    if scale is not None:
        found = found * scale[None, :]
    s = 0.5 * (found + found.T)
    if scale is None or law.noise_std is None:
        return s
    return s + eye * ((scale * law.noise_std.reshape(-1)) ** 2)[:, None]


def _mapped(fn: Callable[[Array], Array], rows: Array, root: Root) -> Array:
    """`fn` of every row, for a few rows at the same time."""
    pieces = _pieces(rows, max(size(root.out_shape), size(root.in_shape)))
    found = jax.lax.map(jax.vmap(fn), pieces)
    return found.reshape(-1, *found.shape[2:])[: rows.shape[0]]


def _pieces(rows: Float[Array, "m k"], points: int) -> Float[Array, "p b k"]:
    """The rows in pieces of equal size, the last one padded with zeros."""
    count = rows.shape[0]
    together = min(count, max(TOGETHER // points, 1))
    missing = -count % together
    padded = jnp.pad(rows, ((0, missing), (0, 0)))
    return padded.reshape(-1, together, rows.shape[1])
