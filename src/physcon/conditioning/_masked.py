"""Observation operators with some of their rows set to zero."""

import jax.numpy as jnp

from physcon._typing import Array, Bool
from physcon.linear_map import Disjoint, LinearMap, Pointwise, Rows, Sparse, Stack


def masked(operator: LinearMap, kept: Bool[Array, "*y"]) -> LinearMap:
    """The operator with all rows except the ones `kept` set to zero."""
    if isinstance(operator, Stack):
        pieces = operator.layout.split(kept)
        pairs = zip(operator.parts, pieces, strict=True)
        parts = tuple(masked(part, piece) for part, piece in pairs)
        return Stack(parts, operator.layout)
    if isinstance(operator, Sparse):
        keep = kept.at[operator.row].get(mode="promise_in_bounds")
        entries = jnp.where(keep, operator.entries, 0)
        return Sparse(
            entries,
            operator.row,
            operator.column,
            operator.shape,
            operator.count,
            operator.gram,
        )
    if isinstance(operator, Disjoint):
        keep = operator.groups.spread(kept.astype(operator.weights.dtype))
        return Disjoint(operator.weights * keep, operator.groups)
    if isinstance(operator, Pointwise):
        r, c, *_ = operator.matrix.shape
        per_point = operator.matrix.reshape(r, c, *operator.matrix.shape[2:])
        if operator.matrix.ndim == 2:
            per_point = operator.matrix.reshape(r, c, *(1,) * len(operator.space))
        whole = jnp.broadcast_to(per_point, (r, c, *operator.space))
        return Pointwise(jnp.where(kept[:, None], whole, 0), operator.space)
    rows = operator.rows()
    keep = kept.reshape((-1,) + (1,) * (rows.ndim - 1))
    return Rows(jnp.where(keep, rows, 0))
