"""Boundary conditions as linear rows of the field next to a side.

A condition on one side of an axis is a linear functional of the field along that axis,

    l(u) = Σ_s w_s u_s = value,     s = 0 next to the side, counted inwards,

where w are the weights of the value (Dirichlet), of the derivative (Neumann) or of both
(Robin) of a polynomial through the nearest points. On nodes the point s = 0 lies on the
side itself; averages of cells count as values at their centres, which is exact up to
order 2. A periodic axis has one row, which states that the values at both ends agree.

Operators and `condition` both use these rows. Weights depend on the spacings only, not
on the coordinates, so that they are exact for grids that lie far from the origin.
"""

from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import at_trace_time, require
from physcon._typing import Array, Float, Shape
from physcon.boundary import (
    Boundary,
    Condition,
    Dirichlet,
    Neumann,
    Outflow,
    Robin,
    Value,
)
from physcon.boundary_stencils import Order, value_at_side, weights_at_side
from physcon.grid import Grid


class SideRow(eqx.Module):
    """One row: Σ_s weights_s u_s = value on a side, s counted inwards from it.

    Attributes:
        weights: the coefficients ``(k,)`` of the points next to the side.
        value: the right-hand side, broadcastable to the face ``(c, *face)``.
        opposite: for a periodic axis, the coefficients at its other end, which are
            subtracted; else None.
        axis: the space axis that ends at the side.
        upper: whether the side is the upper end of the axis.
        is_local: whether the row sees a few points only, the first of them included.
            The row of a spectral derivative sees all points of the axis but the first.
    """

    weights: Float[Array, " k"]
    value: Float[Array, "..."]
    opposite: Float[Array, " k"] | None
    axis: int = eqx.field(static=True)
    upper: bool = eqx.field(static=True)
    is_local: bool = eqx.field(static=True, default=True)

    def __call__(self, u: Float[Array, "c *x"]) -> Float[Array, "c *f"]:
        """l(u) on the face: the result has no axis for the space axis of the row."""
        lines = jnp.moveaxis(u, self.axis + 1, -1)
        near = _sum_at_end(lines, self.weights, self.upper)
        if self.opposite is None:
            return near
        return near - _sum_at_end(lines, self.opposite, not self.upper)

    def target(self, u: Float[Array, "c *x"]) -> Float[Array, "c *f"]:
        """The value on the whole face of a field with u's shape and dtype."""
        face = (u.shape[0], *u.shape[1 : self.axis + 1], *u.shape[self.axis + 2 :])
        return broadcast_value(self.value, face, self.name).astype(u.dtype)

    def dense(self, n: int) -> Float[Array, " n"]:
        """The row over all n points of the axis."""
        row = _at_end(self.weights, n, self.upper)
        if self.opposite is None:
            return row
        return row - _at_end(self.opposite, n, not self.upper)

    @property
    def periodic(self) -> bool:
        """Whether the row closes a periodic axis."""
        return self.opposite is not None

    @property
    def name(self) -> str:
        """The side in words, for messages."""
        return side_name(self.axis, self.upper)


#: Per axis the rows of its sides: two, one (a free side, or periodic), or none.
Rows: TypeAlias = tuple[tuple[SideRow, ...], ...]


def side_rows(boundary: Boundary, grid: Grid, order: Order = 2) -> Rows:
    """The rows of every axis of `boundary`.

    Args:
        boundary: conditions on the first `boundary.ndim` axes of the grid. Sides under
            `Outflow` have no row.
        grid: cells, or nodes that include both ends of every axis with a condition.
        order: degree of the polynomial, which is the order of accuracy of derivatives.
            "spectral" (uniform nodes only) is the derivative of the trigonometric
            interpolant whose period is n spacings.

    Raises:
        ValueError: more axes than the grid has, a condition without a row (Flux,
            Reflective), a value that is a function of time, too few points.
    """
    require(
        boundary.ndim <= grid.ndim,
        f"conditions on at most {grid.ndim} axes, as the grid has",
        boundary.ndim,
        "drop the surplus axes of the boundary",
    )
    return tuple(
        _axis_rows(boundary, grid, axis, order) for axis in range(boundary.ndim)
    )


def _axis_rows(
    boundary: Boundary, grid: Grid, axis: int, order: Order
) -> tuple[SideRow, ...]:
    if boundary.is_periodic(axis):
        near, far = (
            weights_at_side(grid, axis, up, order).value for up in (False, True)
        )
        with at_trace_time():
            zero = jnp.zeros((), near.dtype)
        return (SideRow(near, zero, far, axis, upper=False),)
    return tuple(
        _side_row(condition, grid, axis, bool(upper), order)
        for upper, condition in enumerate(boundary.sides[axis])
        if not isinstance(condition, Outflow)
    )


def _side_row(
    condition: Condition, grid: Grid, axis: int, upper: bool, order: Order
) -> SideRow:
    side = side_name(axis, upper)
    if isinstance(condition, Dirichlet):
        weights = value_at_side(grid, axis, upper, order)
        value = condition.value
    elif isinstance(condition, Neumann):
        weights = weights_at_side(grid, axis, upper, order).slope
        value = condition.derivative
    elif isinstance(condition, Robin):
        at_side = weights_at_side(grid, axis, upper, order)
        a = _coefficient(condition.a, "a", side)
        b = _coefficient(condition.b, "b", side)
        with at_trace_time(a, b, at_side):
            dtype = at_side.slope.dtype
            weights = a.astype(dtype) * at_side.value + b.astype(dtype) * at_side.slope
        value = condition.value
    else:
        raise ValueError(
            "expected Dirichlet, Neumann, Robin, Periodic, or Outflow (a free side), "
            f"got {type(condition).__name__} on {side}; state a flux as a row of "
            "`balance`, and use Reflective for ghost cells only"
        )
    is_local = order != "spectral" or isinstance(condition, Dirichlet)
    return SideRow(weights, _array(value, side), None, axis, upper, is_local)


def side_name(axis: int, upper: bool) -> str:
    """A side in words, for messages."""
    return f"the {'upper' if upper else 'lower'} side of axis {axis}"


def broadcast_value(
    value: Float[Array, "..."], face: Shape, name: str
) -> Float[Array, "..."]:
    """A boundary value on its whole face.

    Raises: ValueError that names the face, for a value of another shape.
    """
    try:
        return jnp.broadcast_to(value, face)
    except ValueError:
        pass
    raise ValueError(
        f"expected a value that broadcasts to (channels, *face) = {face} on {name}, "
        f"got shape {value.shape}; add axes of length 1, or batch with jax.vmap"
    )


def _coefficient(x: Value, name: str, side: str) -> Array:
    value = _array(x, side)
    require(
        value.ndim == 0,
        f"scalar Robin coefficients on {side}",
        f"{name} of shape {value.shape}",
        "use from_fn for coefficients that vary along the side",
    )
    return value


def _array(x: Value, side: str) -> Array:
    require(
        not any(callable(leaf) for leaf in jax.tree.leaves(x, is_leaf=callable)),
        f"an array on {side}",
        "a function of time",
        "evaluate the boundary by boundary.at(t) first",
    )
    return x if isinstance(x, jax.Array) else jnp.asarray(x)


def _at_end(weights: Float[Array, " k"], n: int, upper: bool) -> Float[Array, " n"]:
    row = jnp.pad(weights, (0, n - weights.shape[0]))
    return jnp.flip(row) if upper else row


def _sum_at_end(
    lines: Float[Array, "*c n"], weights: Float[Array, " k"], upper: bool
) -> Float[Array, "*c"]:
    k = weights.shape[0]
    near = jnp.flip(lines[..., -k:], -1) if upper else lines[..., :k]
    return _sum_last(near, weights.astype(lines.dtype))


def _sum_last(u: Float[Array, "*c k"], row: Float[Array, " k"]) -> Float[Array, "*c"]:
    """Σ_s row_s u_s over the last axis; few terms are added one by one, to fuse."""
    if row.shape[0] > 5:
        return jnp.matmul(u, row, precision="highest")
    total = u[..., 0] * row[0]
    for s in range(1, row.shape[0]):
        total = total + u[..., s] * row[s]
    return total
