"""Rows for values at given places: boundary conditions and sensors."""

import math
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, require, require_given
from physcon._numerics.float64 import floating
from physcon._numerics.positions import two_parts
from physcon._typing import Array, ArrayLike, Bool, Float, Scalar, Shape
from physcon.boundary import Boundary
from physcon.boundary_rows import SideRow, broadcast_value, side_rows
from physcon.conditioning._interpolation import line_weights
from physcon.conditioning._mesh_boundary import Condition, mesh_boundary_values
from physcon.conditioning.constraint import LinearConstraint
from physcon.grid import Grid
from physcon.linear_map import Rows, Sparse
from physcon.mesh import Mesh

#: Entries of dense rows from which the rows of a boundary are stored sparsely.
DENSE = 2**14


def boundary_values(
    grid: Grid | Mesh,
    boundary: Boundary | Mapping[str, Condition],
    *,
    order: int = 2,
    noise_std: ArrayLike | None = None,
) -> LinearConstraint:
    """The field obeys its boundary conditions: one row per boundary point and side.

    The value and the derivative at a side are taken from the polynomial through the
    `order` + 1 nearest points, so derivatives have an error of that order. A Dirichlet
    value on nodes is the node itself; on cells it is extrapolated to the face (cell
    averages count as values at the centres, which is right up to order 2). A side under
    `Outflow` is free. A periodic axis has equal values at its two ends. A corner node
    gets the rows of both axes: `condition` merges equal rows and refuses contradicting
    ones.

    On a mesh `boundary` maps the names of patches to conditions, or to the value of the
    field. There is one row per face; value and slope are taken from the linear fit
    through the cell and its nearest neighbours (`order` has no effect), and slopes are
    along the outward normal, since a mesh has no axes.

    Shapes: scalar fields of the grid's shape; values broadcast to the side. The rows
    are a `Sparse` operator in two and more dimensions, except on small grids, where
    they are dense, as in one dimension.

    Raises:
        ValueError: Flux or Reflective (which don't constrain values), Outflow on all
            sides, functions of time, too few points, or another number of axes.

    >>> grid = Grid.uniform(0.0, 1.0, 3, location="nodes")
    >>> from physcon.boundary import Dirichlet, Neumann
    >>> law = boundary_values(grid, Boundary((Dirichlet(1.0), Neumann(0.0))))
    >>> law.operator.rows()[1].tolist()  # the derivative at x = 1
    [1.0, -4.0, 3.0]
    """
    if isinstance(grid, Mesh):
        return mesh_boundary_values(grid, _by_patch(grid, boundary), noise_std)
    require_given(grid, Grid, "grid")
    boundary = _by_axis(grid, boundary)
    rows = [row for of_axis in side_rows(boundary, grid, order) for row in of_axis]
    require(
        len(rows) > 0,
        "a condition on some side",
        "Outflow on all",
        "pass a condition for every side whose values are known",
    )
    faces = [_face(grid, row) for row in rows]
    values = [
        broadcast_value(row.value, face, row.name).ravel()
        for row, face in zip(rows, faces, strict=True)
    ]
    value = jnp.concatenate(values)
    if noise_std is not None:
        noise_std = jnp.broadcast_to(jnp.asarray(noise_std), value.shape)
    if value.size * grid.size > DENSE:
        return LinearConstraint(_sparse(grid, rows), value, noise_std)
    weights = [
        _along_face(row.dense(grid.shape[row.axis]), row.axis, face)
        for row, face in zip(rows, faces, strict=True)
    ]
    return LinearConstraint(Rows(jnp.concatenate(weights)), value, noise_std)


def _by_patch(grid: Mesh, boundary: object) -> Mapping:
    require(
        isinstance(boundary, Mapping),
        f"conditions by patch: {{name: condition}} with names {grid.patches}",
        f"a {type(boundary).__name__}",
        "use for example {name: Dirichlet(0.0)}",
    )
    assert isinstance(boundary, Mapping)
    return boundary


def _by_axis(grid: Grid, boundary: object) -> Boundary:
    require(
        isinstance(boundary, Boundary),
        "a Boundary for a Grid",
        f"a {type(boundary).__name__}",
        "use for example Boundary((Dirichlet(1.0), Neumann(0.0)))",
    )
    assert isinstance(boundary, Boundary)
    require(
        boundary.ndim == grid.ndim,
        f"conditions on {grid.ndim} axes",
        boundary.ndim,
        "pass one pair of conditions for each axis",
    )
    return boundary


def _face(grid: Grid, row: SideRow) -> Shape:
    """The shape of the grid's side at which a row is stated."""
    return tuple(n for axis, n in enumerate(grid.shape) if axis != row.axis)


def _sparse(grid: Grid, rows: Sequence[SideRow]) -> Sparse:
    """The rows of all sides by their entries, whose places depend on shapes only."""
    points = np.arange(grid.size).reshape(grid.shape)
    entries = []
    row_numbers = []
    columns = []
    count = 0
    for row in rows:
        n = grid.shape[row.axis]
        places = _places(row, n)
        seen = np.moveaxis(points, row.axis, -1).reshape(-1, n)[:, places]
        numbers = count + np.arange(seen.shape[0])
        line = row.dense(n)[places]
        entries.append(jnp.broadcast_to(line, seen.shape).ravel())
        row_numbers.append(np.repeat(numbers, places.size))
        columns.append(seen.ravel())
        count += seen.shape[0]
    return Sparse.of(
        jnp.concatenate(entries),
        np.concatenate(row_numbers),
        np.concatenate(columns),
        grid.shape,
        count,
    )


def _places(row: SideRow, n: int) -> np.ndarray:
    """Which points of a line of n a row sees."""
    near = np.arange(row.weights.shape[0])
    far = np.arange(0 if row.opposite is None else row.opposite.shape[0])
    lower, upper = (far, near) if row.upper else (near, far)
    return np.unique(np.concatenate([lower, n - 1 - upper]))


def _along_face(
    line: Float[Array, " n"], axis: int, face: tuple[int, ...]
) -> Float[Array, "m *x"]:
    """The weights of one line at each point of the face, one row for each point."""
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
    """Readings of k sensors: the field at a position, or its average over a box.

    A point reading is the multilinear interpolant between nodes or cell centres
    (constant beyond the last centre). A box average integrates what the array
    represents, exactly: the multilinear interpolant for nodes, the piecewise constant
    function for cell averages.

    Shapes: positions ``(k, d)`` for d axes, or ``(k)`` for one; values ``(k)``;
    noise_std scalar or ``(k)``; width scalar or ``(d)``. The rows are dense: n numbers
    for each sensor. They are differentiable in the positions almost everywhere.

    Positions far from zero (map coordinates in metres) should come as NumPy float64:
    they are subtracted from the grid's positions before they are rounded.

    Raises:
        ValueError: positions or boxes outside of the domain. Where positions are
            traced, the rows are NaN instead, which `condition` reports.

    >>> grid = Grid.uniform(0.0, 1.0, 3, location="nodes")
    >>> sensors(grid, jnp.array([[0.25]]), jnp.array([7.0])).operator.rows().tolist()
    [[0.5, 0.5, 0.0]]
    """
    require_given(grid, Grid, "grid")
    at = positions_on(grid, positions)
    values = floating(values)
    size = jnp.broadcast_to(jnp.asarray(0.0 if width is None else width), grid.ndim)
    rows = jnp.ones((at.shape[0],) + (1,) * grid.ndim)
    for axis in range(grid.ndim):
        inside = _inside(grid, axis, at[:, axis], 0.5 * size[axis])
        line = line_weights(
            two_parts(at[:, axis]),
            grid.lower_end(axis),
            grid.margin(axis),
            grid.gaps(axis),
            grid.widths(axis) if grid.location == "cells" else None,
            None if width is None else 0.5 * size[axis],
            jnp.asarray(jnp.finfo(rows.dtype).eps, rows.dtype),
        )
        line = jnp.where(inside[:, None], line, jnp.nan)
        others = (1,) * (grid.ndim - axis - 1)
        rows = rows * line.reshape(-1, *(1,) * axis, grid.shape[axis], *others)
    if noise_std is not None:
        noise_std = jnp.broadcast_to(jnp.asarray(noise_std), values.shape)
    return LinearConstraint(Rows(rows), values, noise_std)


def positions_on(grid: Grid, positions: ArrayLike) -> Array | np.ndarray:
    """Positions on a grid as ``(k, axes)``; known ones in float64."""
    at = concrete(positions)
    at = floating(positions) if at is None else at
    at = at[:, None] if at.ndim == 1 == grid.ndim else at
    require(
        at.ndim == 2 and at.shape[1] == grid.ndim,
        f"positions of shape (k, {grid.ndim})",
        at.shape,
        "pass one row per position and one column per axis",
    )
    return at


def _inside(grid: Grid, axis: int, at: ArrayLike, half: Scalar) -> Bool[Array, " k"]:
    """Whether boxes lie within the domain; an error for known ones that don't."""
    place = grid.relative(at, axis)
    length = jnp.sum(grid.widths(axis))
    slack = 1e-6 * length
    inside = (place - half >= -slack) & (place + half <= length + slack)
    known = concrete(inside)
    faces = grid.faces(axis)
    require(
        known is None or bool(known.all()),
        f"positions (boxes) within [{faces[0]}, {faces[-1]}] on axis {axis}",
        at,
        "drop the sensors outside, or extend the grid",
    )
    return inside
