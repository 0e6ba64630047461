"""Make a field meet its boundary conditions, by overwriting or by a smooth lift.

Both are conditioning: u + φ (value - l(u)) with the gain φ = P lᵀ (l P lᵀ)⁻¹ of a prior
covariance P. Overwriting is the gain of a prior that varies at the boundary nodes only.
The lift is the gain of a smooth prior of correlation length `reach`. Axes are treated
in turn; the corrections of two axes commute where the data agree in the corners, which
`check_corners` verifies.
"""

from typing import NamedTuple

import jax.numpy as jnp

from physcon._checks import at_trace_time, error_if, require
from physcon._deprecation import accepts_old_positions
from physcon._show import shown
from physcon._typing import Array, Float
from physcon.boundary import Boundary
from physcon.boundary_rows import Rows, SideRow
from physcon.boundary_stencils import Order
from physcon.grid import Grid
from physcon.operators.corners import check_corners
from physcon.operators.gains import Gains, lift_gains, smooth_lift
from physcon.operators.rows import node_rows


class Residual(NamedTuple):
    """l(u) - value on one face."""

    axis: int
    upper: bool
    value: Float[Array, "c *f"]

    __repr__ = shown


@accepts_old_positions
def overwrite(
    u: Float[Array, "c *x"],
    boundary: Boundary,
    grid: Grid,
    order: Order = 2,
    *,
    throw: bool = True,
) -> Float[Array, "c *x"]:
    """`u` with its boundary nodes solved from the conditions; no other node changes.

    l(overwrite(u)) == value to rounding: u_0 = (value - Σ_{s>0} w_s u_s) / w_0. On a
    periodic axis both ends become their mean.

    Shapes: u ``(c, *x)`` on the grid's nodes; boundary values broadcast to
        ``(c, *face)``.

    Args:
        order: of the one-sided differences in Neumann and Robin conditions, 1 to 4.
        throw: whether corner data that contradict each other, and a Robin condition
            that leaves the boundary node undetermined, raise an error. With False the
            later axis wins, and an undetermined node is not finite.

    Raises:
        ValueError: shapes; see also `physcon.operators.rows.node_rows`.
        RuntimeError: under `throw`, as above.
    """
    check_shape(u, grid)
    return complete_overwrite(u, node_rows(boundary, grid, order), throw)


@accepts_old_positions
def lift(
    u: Float[Array, "c *x"],
    boundary: Boundary,
    grid: Grid,
    order: Order = 2,
    *,
    reach: float | None = None,
    throw: bool = True,
) -> Float[Array, "c *x"]:
    """`u` plus smooth functions times its boundary residual.

    The result is u + Σ_r φ_r(x) (value_r - l_r(u)) with l_r(φ_s) = δ_rs, so that the
    conditions hold. The size of φ depends on the conditions and on the stretching of
    the grid only. A final `overwrite` removes rounding, except for spectral
    derivatives, where overwriting a node would change the slope at the other end.

    Shapes: u ``(c, *x)`` on the grid's nodes; boundary values broadcast to
        ``(c, *face)``.

    Args:
        order: as in `overwrite`, or "spectral".
        reach: correlation length as a fraction of the axis. A long one spreads a misfit
            of slopes over the whole field; a short one leaves a boundary value isolated
            from its neighbours. None takes 0.3 on an axis with values only, and 0.03 on
            an axis with a slope.
        throw: as in `overwrite`.

    Raises: as `overwrite`.

    Source: Derivation in the module's docstring; in two and three dimensions the axes
    combine as the Boolean sum of Gordon and Hall, Numer. Math. 21 (1973) 109, eq. 2.5.
    """
    check_shape(u, grid)
    rows = node_rows(boundary, grid, order)
    return complete_lift(u, rows, lift_gains(rows, grid, reach), throw)


def residuals(
    u: Float[Array, "c *x"], boundary: Boundary, grid: Grid, order: Order = 2
) -> tuple[Residual, ...]:
    """l(u) - value for every side with a condition, axis by axis."""
    return tuple(
        Residual(row.axis, row.upper, row(u) - row.target(u))
        for axis_rows in node_rows(boundary, grid, order)
        for row in axis_rows
    )


def complete_overwrite(
    u: Float[Array, "c *x"], rows: Rows, throw: bool
) -> Float[Array, "c *x"]:
    """`overwrite` for rows that have been built already."""
    return overwrite_rows(check_corners(u, rows, throw), rows, throw)


def complete_lift(
    u: Float[Array, "c *x"], rows: Rows, gains: Gains, throw: bool
) -> Float[Array, "c *x"]:
    """`lift` for rows and lift functions that have been computed already."""
    u = check_corners(u, rows, throw)
    u = smooth_lift(u, rows, gains)
    local = tuple(tuple(row for row in r if row.is_local) for r in rows)
    return overwrite_rows(u, local, throw)


def overwrite_rows(
    u: Float[Array, "c *x"], rows: Rows, throw: bool = False
) -> Float[Array, "c *x"]:
    """Solve every row for its boundary node; corners are not checked."""
    for row in (row for axis_rows in rows for row in axis_rows):
        require(
            row.is_local,
            f"a one-sided difference on {row.name}",
            "order='spectral'",
            "use form='lift': the row does not contain the boundary node",
        )
        # Masks instead of scatters: they fuse with the elementwise work around them.
        axis = row.axis + 1
        n = u.shape[axis]
        shape = (1,) * axis + (-1,) + (1,) * (u.ndim - axis - 1)
        index = jnp.arange(n).reshape(shape)
        if row.periodic:
            ends = jnp.take(u, jnp.array([0, -1]), axis=axis)
            node = jnp.mean(ends, axis=axis)
            at = (index == 0) | (index == n - 1)
        else:
            at = index == (n - 1 if row.upper else 0)
            rest = row(jnp.where(at, jnp.zeros((), u.dtype), u))
            node = (row.target(u) - rest) / _pivot(row, throw).astype(u.dtype)
        u = jnp.where(at, jnp.expand_dims(node, axis), u)
    return u


def check_shape(u: Float[Array, "c *x"], grid: Grid) -> None:
    """Raise unless the space axes of `u` have the shape of the grid."""
    require(
        u.shape[1:] == grid.shape,
        f"a field (channels, {', '.join(map(str, grid.shape))}) on the grid's nodes",
        u.shape,
        "functions act on one sample: batch with jax.vmap",
    )


def _pivot(row: SideRow, throw: bool) -> Float[Array, ""]:
    """w_0, which must not vanish next to the other weights (it can in Robin rows)."""
    if row.weights.shape[0] == 1:
        return row.weights[0]
    with at_trace_time(row.weights):
        size = jnp.sum(jnp.abs(row.weights))
        wrong = jnp.abs(row.weights[0]) < 1e-6 * size
    return error_if(
        row.weights[0],
        wrong,
        f"expected a row that determines the boundary node on {row.name}, got "
        "a + b c_0 = 0; change the Robin coefficients, the order or the grid",
        throw,
    )
