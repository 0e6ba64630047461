"""Rows that see the field at places: boundary conditions and sensors."""

import math

import jax
import jax.numpy as jnp

from physcon._checks import concrete, require
from physcon._numerics.float64 import floating
from physcon._typing import Array, ArrayLike, Float, Scalar
from physcon.boundary import (
    Boundary,
    Condition,
    Dirichlet,
    Neumann,
    Outflow,
    Periodic,
    Robin,
)
from physcon.conditioning.constraint import LinearConstraint
from physcon.grid import Grid
from physcon.linear_map import Rows


def boundary_values(
    grid: Grid,
    boundary: Boundary,
    *,
    order: int = 2,
    noise_std: ArrayLike | None = None,
) -> LinearConstraint:
    """The field obeys its boundary conditions: one row per boundary point and side.

    Value and derivative at the side are those of the polynomial through the `order` + 1
    nearest points, so derivatives have an error of that order; a Dirichlet value on
    nodes is the node itself, on cells it is extrapolated to the face (cell averages
    count as values at the centres, which is right up to order 2). A side under
    `Outflow` is free. A periodic axis has equal values at its two ends. A corner node
    gets the rows of both axes: equal ones are merged by `condition`, contradicting ones
    refused.

    Shapes: scalar fields of the grid's shape; values broadcast to the side. Dense rows:
    n numbers for each boundary point.

    Raises:
        ValueError: Flux or Reflective (no row on values), Outflow on all sides, functions of time,
            too few points, other number of axes.

    >>> grid = Grid.uniform(0.0, 1.0, 3, location="nodes")
    >>> law = boundary_values(grid, Boundary((Dirichlet(1.0), Neumann(0.0))))
    >>> law.operator.rows()[1].tolist()  # the derivative at x = 1
    [1.0, -4.0, 3.0]
    """
    require(
        boundary.ndim == grid.ndim,
        f"{grid.ndim} axes",
        boundary.ndim,
        "one pair per axis",
    )
    weights, values = [], []
    for axis, sides in enumerate(boundary.sides):
        face = tuple(n for a, n in enumerate(grid.shape) if a != axis)
        if isinstance(sides[0], Periodic):
            lower, upper = (_side(grid, axis, end, order)[0] for end in (0, -1))
            rows = [(lower - upper, jnp.zeros(()))]
        else:
            ends = zip(sides, (0, -1), strict=True)
            known = [(c, end) for c, end in ends if not isinstance(c, Outflow)]
            rows = [_row(c, *_side(grid, axis, end, order)) for c, end in known]
        for line, value in rows:
            weights.append(_along_face(line, axis, face))
            values.append(jnp.broadcast_to(value, face).ravel())
    require(
        len(values) > 0,
        "a condition on some side",
        "Outflow on all",
        "name what is known",
    )
    value = jnp.concatenate(values)
    noise = (
        None
        if noise_std is None
        else jnp.broadcast_to(jnp.asarray(noise_std), value.shape)
    )
    return LinearConstraint(Rows(jnp.concatenate(weights)), value, noise)


def _row(condition: Condition, value: Array, slope: Array) -> tuple[Array, Array]:
    """Weights along the axis, and the right-hand side, of one condition."""
    require(
        not any(
            callable(leaf) for leaf in jax.tree.leaves(condition, is_leaf=callable)
        ),
        "boundary values at one time",
        "a function of time",
        "use boundary.at(t)",
    )
    match condition:
        case Dirichlet():
            return value, jnp.asarray(condition.value)
        case Neumann():
            return slope, jnp.asarray(condition.derivative)
        case Robin():
            a, b = jnp.asarray(condition.a), jnp.asarray(condition.b)
            require(
                a.ndim == b.ndim == 0,
                "scalar Robin coefficients",
                "arrays",
                "use from_fn",
            )
            return a * value + b * slope, jnp.asarray(condition.value)
    raise ValueError(
        f"expected Dirichlet, Neumann, Robin, Periodic or Outflow (free), got "
        f"{type(condition).__name__}; a flux is a row of `balance`, Reflective is for ghost cells"
    )


def _side(grid: Grid, axis: int, end: int, order: int) -> tuple[Array, Array]:
    """Weights along the axis of the value and of the derivative at a side (end 0 or
    -1).
    """
    x = grid.coordinates[axis]
    require(
        1 <= order < x.size,
        f"1 <= order < {x.size}, the points",
        order,
        "lower the order",
    )
    place = grid.faces(axis)[end] if grid.location == "cells" else x[end]
    nearest = slice(0, order + 1) if end == 0 else slice(x.size - order - 1, x.size)
    found = jax.jvp(
        lambda p: _lagrange(x[nearest], p), (place,), (jnp.ones_like(place),)
    )
    value, slope = (jnp.zeros_like(x).at[nearest].set(w) for w in found)
    return value, slope


def _lagrange(positions: Float[Array, " q"], x: Scalar) -> Float[Array, " q"]:
    """Weights of the interpolating polynomial's value at x."""
    q = positions.shape[0]
    others = [[r for r in range(q) if r != s] for s in range(q)]
    far = positions[jnp.array(others)]
    return jnp.prod((x - far) / (positions[:, None] - far), axis=1)


def _along_face(
    line: Float[Array, " n"], axis: int, face: tuple[int, ...]
) -> Float[Array, "m *x"]:
    """The line's weights at each point of the face, one row each."""
    basis = jnp.eye(math.prod(face), dtype=line.dtype).reshape(-1, *face)
    shape = [1] * (len(face) + 2)
    shape[axis + 1] = line.size
    return jnp.expand_dims(basis, axis + 1) * line.reshape(shape)


def sensors(
    grid: Grid,
    positions: ArrayLike,
    values: ArrayLike,
    noise_std: ArrayLike | None = None,
    *,
    width: ArrayLike | None = None,
) -> LinearConstraint:
    """What k sensors read: the field at their positions, or its average over a box
    around each.

    A point reading is the multilinear interpolant between nodes or cell centres
    (constant beyond the last centre); a box average integrates what the array
    represents, exactly: the multilinear interpolant for nodes, the piecewise constant
    one for cell averages.

    Shapes: positions ``(k, d)`` for d axes, or ``(k)`` for one; values ``(k)``;
    noise_std scalar or ``(k)``; width scalar or ``(d)``. Dense rows: n numbers for each
    sensor. Differentiable in positions, almost everywhere.

    Raises:
        ValueError: positions (boxes) outside of the domain; where they are traced, the rows are
            NaN, which `condition` reports.

    >>> grid = Grid.uniform(0.0, 1.0, 3, location="nodes")
    >>> sensors(grid, jnp.array([[0.25]]), jnp.array([7.0])).operator.rows().tolist()
    [[0.5, 0.5, 0.0]]
    """
    positions = floating(positions)
    positions = positions[:, None] if positions.ndim == 1 == grid.ndim else positions
    values = floating(values)
    require(
        positions.ndim == 2 and positions.shape[1] == grid.ndim,
        f"positions of shape (k, {grid.ndim})",
        positions.shape,
        "one row per sensor, one column per axis",
    )
    half = 0.5 * jnp.broadcast_to(
        jnp.asarray(0.0 if width is None else width), (grid.ndim,)
    )
    rows = jnp.ones((positions.shape[0],) + (1,) * grid.ndim)
    for axis in range(grid.ndim):
        faces = grid.faces(axis)
        low, high = positions[:, axis] - half[axis], positions[:, axis] + half[axis]
        slack = 1e-6 * (faces[-1] - faces[0])
        inside = (low >= faces[0] - slack) & (high <= faces[-1] + slack)
        known = concrete(inside)
        require(
            known is None or bool(known.all()),
            f"positions (boxes) within [{faces[0]}, {faces[-1]}] on axis {axis}",
            positions[:, axis],
            "drop the sensors outside, or extend the grid",
        )
        if width is None:
            line = _hats(grid.coordinates[axis], positions[:, axis])
        else:
            box = (high - low)[:, None]
            line = (_primitive(grid, axis, high) - _primitive(grid, axis, low)) / box
        line = jnp.where(inside[:, None], line, jnp.nan)
        rows = rows * line.reshape(
            (-1,) + (1,) * axis + (grid.shape[axis],) + (1,) * (grid.ndim - axis - 1)
        )
    noise = (
        None
        if noise_std is None
        else jnp.broadcast_to(jnp.asarray(noise_std), values.shape)
    )
    return LinearConstraint(Rows(rows), values, noise)


def _hats(x: Float[Array, " n"], p: Float[Array, " k"]) -> Float[Array, "k n"]:
    """Piecewise linear interpolation weights."""
    return jax.vmap(lambda unit: jnp.interp(p, x, unit), out_axes=1)(
        jnp.eye(x.size, dtype=x.dtype)
    )


def _primitive(grid: Grid, axis: int, p: Float[Array, " k"]) -> Float[Array, "k n"]:
    """Integral from the lower end to p of each point's share in what the array
    represents.
    """
    if grid.location == "cells":
        return jnp.clip(
            p[:, None] - grid.faces(axis)[None, :-1], 0, grid.widths(axis)[None]
        )
    x = grid.coordinates[axis]
    gaps = (x[1:] - x[:-1])[None]
    s = jnp.clip(p[:, None] - x[None, :-1], 0, gaps)
    right = s**2 / (2 * gaps)
    return jnp.pad(s - right, ((0, 0), (0, 1))) + jnp.pad(right, ((0, 0), (1, 0)))
