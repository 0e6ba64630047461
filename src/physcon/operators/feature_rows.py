"""Boundary rows of a network's features, which carry the boundary data into it.

Feature j takes the (normalised) condition of output channel j modulo the number of
outputs.
"""

import equinox as eqx
import jax.numpy as jnp

from physcon._typing import Array, Shape
from physcon.boundary_rows import Rows, SideRow, broadcast_value
from physcon.operators.fno import FNO
from physcon.operators.normaliser import Normaliser


def feature_rows(fno: FNO, rows: Rows, space: Shape, closed: list[int]) -> Rows:
    """The boundary rows for the features, on the distinct nodes of periodic axes.

    Feature j takes the normalised value of channel j modulo the channels.
    """
    width = fno.lift.weight.shape[0]
    outputs = fno.outputs
    channels = fno.projection.second.weight.shape[0]
    if outputs is not None:
        channels = outputs.mean.shape[0]
    feature = jnp.arange(width) % channels

    def for_features(row: SideRow) -> SideRow:
        axis = row.axis
        face = (channels, *space[:axis], *space[axis + 1 :])
        cut = [c if c < axis else c - 1 for c in closed]
        value = broadcast_value(row.value, face, row.name)
        value = _normalised(value, jnp.sum(row.weights), outputs)
        value = without_last(value, cut)[feature]
        return eqx.tree_at(lambda r: r.value, row, value)

    return tuple(
        () if axis in closed else tuple(map(for_features, axis_rows))
        for axis, axis_rows in enumerate(rows)
    )


def _normalised(value: Array, of_one: Array, outputs: Normaliser | None) -> Array:
    """The value of l((u - mean) / std) = (l(u) - mean l(1)) / std; l(1) is `of_one`."""
    if outputs is None:
        return value
    mean, std = outputs.along(value)
    return (value - mean * of_one.astype(value.dtype)) / std


def without_last(u: Array, axes: list[int]) -> Array:
    """The array without the last entry of these axes."""
    limits = [n - (i - 1 in axes) if i else n for i, n in enumerate(u.shape)]
    return u[tuple(slice(0, n) for n in limits)]
