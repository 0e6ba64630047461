"""Boundary conditions as rows: what a condition says about the nodal values next to a
side.

A condition on one side of an axis is a linear functional of the field along that axis,

    l(u) = Σ_s c_s u(x_s) = α,     s = 0 at the side, counted inwards,

with c = (1) for Dirichlet, the one-sided difference for Neumann (or, for fields that
are periodic over the axis, the exact derivative of their trigonometric interpolant), a
e_0 + b c for Robin, and u(x_0) - u(x_{N-1}) = 0 for a periodic axis whose last node
repeats the first. Everything else in `physcon.operators` (overwriting, lifting,
elimination) is written in these rows.
"""

from typing import Literal, TypeAlias

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._typing import Array, Float, Shape
from physcon.boundary import (
    Boundary,
    Condition,
    Dirichlet,
    Neumann,
    Outflow,
    Robin,
    Value,
    one_sided_derivative,
)
from physcon.grid import Grid

#: How ∂u/∂x is taken: a one-sided difference of order 1 to 4, or "spectral".
Order: TypeAlias = int | Literal["spectral"]


class Trace(eqx.Module):
    """One row: Σ_s row_s u(x_s) = value on a side, s counted inwards from it.

    Attributes:
        row: the coefficients, ``(k,)``, next to the side.
        value: the right-hand side, broadcastable to the face ``(c, *face)``.
        axis: the space axis that ends at the side.
        upper: whether it is the upper end.
        periodic: the row is u(x_0) - u(x_{N-1}); `row` is then ``(1,)``.
    """

    row: Float[Array, " k"]
    value: Float[Array, "..."]
    axis: int = eqx.field(static=True)
    upper: bool = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)

    def __call__(self, u: Float[Array, "c *x"]) -> Float[Array, "c *f"]:
        """l(u) on the face: the space axis is summed away."""
        lines = jnp.moveaxis(u, self.axis + 1, -1)
        if self.periodic:
            return lines[..., 0] - lines[..., -1]
        k = self.row.shape[0]
        near = jnp.flip(lines[..., -k:], -1) if self.upper else lines[..., :k]
        return sum_last(near, self.row.astype(u.dtype))

    def target(self, u: Float[Array, "c *x"]) -> Float[Array, "c *f"]:
        """The value on the whole face of a field of u's shape and type."""
        face = (u.shape[0], *u.shape[1 : self.axis + 1], *u.shape[self.axis + 2 :])
        return broadcast_value(self.value, face, self.name).astype(u.dtype)

    def dense(self, n: int) -> Float[Array, " n"]:
        """The row over all n points of the axis."""
        if self.periodic:
            return jnp.zeros(n, self.row.dtype).at[0].set(1).at[-1].set(-1)
        row = jnp.pad(self.row, (0, n - self.row.shape[0]))
        return jnp.flip(row) if self.upper else row

    @property
    def is_local(self) -> bool:
        """Whether the row ends a few nodes from the side, so that its node can be
        solved for.
        """
        return self.row.shape[0] <= 5

    @property
    def name(self) -> str:
        """The side in words, for messages."""
        return f"the {'upper' if self.upper else 'lower'} side of axis {self.axis}"


def traces(
    boundary: Boundary, grid: Grid, order: Order = 2
) -> tuple[tuple[Trace, ...], ...]:
    """Per axis the rows of its sides: two, one (a free side, or periodic), or none.

    Args:
        boundary: on the first `boundary.ndim` axes of the grid; further axes (time) are free, and
            so is a side under `Outflow`.
        grid: nodes that include both ends of every axis with a condition.
        order: of the one-sided differences in Neumann and Robin conditions, 1 to 4; or "spectral":
            the derivative of the trigonometric interpolant of all n nodes, whose period is n
            spacings. Exact for what a spectral convolution without padding computes. The row does
            not hold the boundary node itself (c_0 = 0): only a lift can meet it.

    Raises:
        ValueError: cells instead of nodes, a condition that has no row, an order out of range, an
            axis too short for its stencils, a value that is still a function of time.
    """
    require(
        order in (1, 2, 3, 4, "spectral"),
        "a stencil order from 1 to 4, or 'spectral'",
        repr(order),
        "2 is the default",
    )
    require(
        boundary.ndim <= grid.ndim,
        f"conditions on at most {grid.ndim} axes, as the grid has",
        boundary.ndim,
        "drop the surplus axes of the boundary",
    )
    require(
        grid.location == "nodes",
        "nodal values, with nodes on the boundary",
        grid.location,
        'build the grid by Grid.uniform(..., location="nodes") or Grid.nodes',
    )
    rows = []
    for axis, (lower, upper) in enumerate(boundary.sides):
        if boundary.is_periodic(axis):
            rows.append((Trace(jnp.ones(1), jnp.zeros(()), axis, False, True),))
            continue
        sides = [
            _trace(c, grid, axis, up, order) for up, c in enumerate((lower, upper))
        ]
        found = tuple(t for t in sides if t is not None)
        longest = max((t.row.shape[0] for t in found if t.is_local), default=1)
        require(
            grid.shape[axis] > longest,
            f"more than {longest} nodes on axis {axis} for stencils of order {order}",
            grid.shape[axis],
            "refine the grid or lower the order",
        )
        rows.append(found)
    return tuple(rows)


def _trace(
    condition: Condition, grid: Grid, axis: int, upper: int, order: Order
) -> Trace | None:
    side = f"{'upper' if upper else 'lower'} side of axis {axis}"
    if isinstance(condition, Outflow):
        return None
    if isinstance(condition, Dirichlet):
        row, value = jnp.ones(1), condition.value
    elif isinstance(condition, Neumann):
        row, value = _difference(grid, axis, upper, order), condition.derivative
    elif isinstance(condition, Robin):
        a, b = (
            _number(x, name, side)
            for x, name in ((condition.a, "a"), (condition.b, "b"))
        )
        row, value = (
            (b * _difference(grid, axis, upper, order)).at[0].add(a),
            condition.value,
        )
    else:
        raise ValueError(
            "expected Dirichlet, Neumann, Robin, Periodic, or Outflow (free) for an operator, got "
            f"{type(condition).__name__} on the {side}; state it as one of these"
        )
    return Trace(row, _array(value, side), axis, bool(upper), False)


def _difference(grid: Grid, axis: int, upper: int, order: Order) -> Float[Array, " _"]:
    if order == "spectral":
        require(
            grid.is_uniform(axis),
            f"equal spacings on axis {axis}",
            "others",
            "use order=2",
        )
        row = spectral_derivative(grid.shape[axis]) / grid.spacings[axis]
        return -row if upper else row
    gaps = jnp.broadcast_to(grid.spacings[axis], (grid.shape[axis] - 1,))
    gaps = jnp.flip(gaps)[:order] if upper else gaps[:order]
    inwards = jnp.concatenate([jnp.zeros(1, gaps.dtype), jnp.cumsum(gaps)])
    return one_sided_derivative(-inwards if upper else inwards)


def spectral_derivative(n: int) -> Float[Array, " _"]:
    """d_s with h u'(x_0) = Σ_s d_s u(x_s) for a trigonometric polynomial through n
    nodes.

    d_s = -(π/n) (-1)ˢ cot(π s / n) for even n (the Nyquist mode has no slope), 1 / sin
    for odd n.

    Source: Trefethen, Spectral methods in MATLAB (2000), eqs. 3.10 and exercise 3.2.
    """
    s = np.arange(1, n)
    wave = 1 / (np.tan if n % 2 == 0 else np.sin)(np.pi * s / n)
    return jnp.asarray(np.r_[0.0, -np.pi / n * (-1.0) ** s * wave], dtype=float)


def _number(x: Value, name: str, side: str) -> Array:
    value = _array(x, side)
    require(
        value.ndim == 0,
        f"a number {name} in Robin",
        value.shape,
        f"one per side ({side})",
    )
    return value


def _array(x: Value, side: str) -> Array:
    require(
        not callable(x),
        f"an array on the {side}",
        "a function of time",
        "use boundary.at(t)",
    )
    return jnp.asarray(x)


def broadcast_value(
    value: Float[Array, "..."], face: Shape, name: str
) -> Float[Array, "..."]:
    """A boundary value on its whole face, with a message that says which face."""
    try:
        return jnp.broadcast_to(value, face)
    except ValueError:
        pass
    raise ValueError(
        f"expected a value that broadcasts to (channels, *face) = {face} on {name}, got shape "
        f"{value.shape}; add axes of length 1, or batch with jax.vmap"
    )


def sum_last(u: Float[Array, "*c k"], row: Float[Array, " k"]) -> Float[Array, "*c"]:
    """Σ_s row_s u_s over the last axis; term by term while they are few, since these
    fuse.
    """
    if row.shape[0] > 5:
        return jnp.matmul(u, row, precision="highest")
    total = u[..., 0] * row[0]
    for s in range(1, row.shape[0]):
        total = total + u[..., s] * row[s]
    return total
