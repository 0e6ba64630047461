"""Weights of a field's value and derivative at a side of its grid.

They are functions of the spacings only, not of the coordinates, so that they are right
for grids that lie far from the origin, and in any unit of length.
"""

from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import at_trace_time, require
from physcon._numerics.safe import power_of_two
from physcon._typing import Array, Float
from physcon.grid import Grid

#: How ∂u/∂x is approximated: by a polynomial of this degree, or "spectral".
Order: TypeAlias = int | Literal["spectral"]


class SideWeights(NamedTuple):
    """Weights that give a polynomial's value and derivative at a side."""

    value: Float[Array, " s"]
    slope: Float[Array, " s"]


def value_at_side(
    grid: Grid, axis: int, upper: bool, order: Order
) -> Float[Array, " s"]:
    """Weights of the value at a side: on nodes, the first point alone, ``(1,)``."""
    if grid.location == "nodes":
        with at_trace_time():
            return jnp.ones(1, grid.spacings[axis].dtype)
    return weights_at_side(grid, axis, upper, order).value


def weights_at_side(grid: Grid, axis: int, upper: bool, order: Order) -> SideWeights:
    """Weights of the value and of ∂u/∂x at a side, for the points counted inwards."""
    n = grid.shape[axis]
    if order == "spectral":
        slope = _spectral_slope(grid, axis, upper)
        return SideWeights(jnp.eye(1, n, dtype=slope.dtype)[0], slope)
    require(
        isinstance(order, int) and 1 <= order < n,
        f"1 <= order < {n}, the number of points on axis {axis}",
        repr(order),
        "lower the order or refine the grid",
    )
    with at_trace_time(grid.spacings[axis]):
        inwards = _inward_distances(grid, axis, upper, order + 1)
        return side_weights(-inwards if upper else inwards)


def _inward_distances(
    grid: Grid, axis: int, upper: bool, count: int
) -> Float[Array, " count"]:
    """Distances of the first `count` points from the side, from the spacings alone."""
    if grid.is_uniform(axis):
        spacing = grid.spacings[axis]
        first = 0.5 if grid.location == "cells" else 0.0
        return spacing * (np.arange(count) + first).astype(spacing.dtype)
    gaps = grid.gaps(axis)
    inwards = jnp.flip(gaps) if upper else gaps
    margin = grid.margin(axis, -1 if upper else 0)
    return jnp.cumsum(jnp.append(margin, inwards[: count - 1]))


@jax.jit  # one program where it is evaluated eagerly
def side_weights(distances: Float[Array, " s"]) -> SideWeights:
    """Value and derivative at 0 of the polynomial through points at these distances.

    Shapes: s >= 2 distinct numbers, of either sign, in any unit. The first weight is
    the complement of the others, so that a constant field of any size has its own value
    and a zero derivative up to rounding.

    Source: Lagrange's form of the interpolating polynomial (Berrut and Trefethen, SIAM
    Review 46 (2004) 501, eq. 2.1), differentiated term by term.

    >>> side_weights(jnp.array([0.5, 1.5])).value.tolist()
    [1.5, -0.5]
    """
    count = distances.shape[0]
    unit = power_of_two(jnp.max(jnp.abs(distances)))
    scaled = distances / unit
    zeros = scaled[_all_but_each(count)[1:]]
    gaps = scaled[1:, None] - zeros
    factors = -zeros / gaps
    products = jnp.prod(factors[:, _all_but_each(count - 1)], axis=-1)
    value = jnp.prod(factors, axis=1)
    slope = jnp.sum(products / gaps, axis=1) / unit
    first_value = 1 - jnp.sum(value)
    first_slope = -jnp.sum(slope)
    return SideWeights(
        jnp.concatenate([first_value[None], value]),
        jnp.concatenate([first_slope[None], slope]),
    )


def _all_but_each(count: int) -> np.ndarray:
    """Row i holds 0 .. count - 1 without i: ``(count, count - 1)``."""
    numbers = np.arange(count)
    rows = [np.delete(numbers, i) for i in range(count)]
    return np.stack(rows)


def one_sided_derivative(positions: Float[Array, " s"]) -> Float[Array, " s"]:
    """Coefficients c of the one-sided difference u'(x_0) ≈ Σ c_s u(x_s).

    Shapes: q + 1 distinct positions, the first one at the boundary; in decreasing order
    for an upper side. Exact for polynomials of degree q.

    >>> one_sided_derivative(jnp.array([0.0, 1.0, 2.0])).tolist()
    [-1.5, 2.0, -0.5]
    """
    count = positions.shape[0]
    require(count >= 2, "2 or more positions", count, "add points to the stencil")
    return side_weights(positions - positions[0]).slope


def _spectral_slope(grid: Grid, axis: int, upper: bool) -> Float[Array, " n"]:
    require(
        grid.location == "nodes" and grid.is_uniform(axis),
        f"equally spaced nodes on axis {axis} for order='spectral'",
        f"{grid.location} with other spacings",
        "use order=2, which takes unequal gaps",
    )
    with at_trace_time(grid.spacings[axis]):
        slope = spectral_derivative(grid.shape[axis]) / grid.spacings[axis]
        return -slope if upper else slope


def spectral_derivative(n: int) -> Float[Array, " n"]:
    """d with h u'(x_0) = Σ_s d_s u(x_s) for a trigonometric polynomial through n nodes.

    d_s = -(π/n) (-1)ˢ cot(π s / n) for even n (the Nyquist mode has no slope), 1 / sin
    for odd n.

    Source: Trefethen, Spectral methods in MATLAB (2000), eqs. 3.10 and exercise 3.2.
    """
    s = np.arange(1, n)
    wave = 1 / (np.tan if n % 2 == 0 else np.sin)(np.pi * s / n)
    return jnp.asarray(np.r_[0.0, -np.pi / n * (-1.0) ** s * wave], dtype=float)
