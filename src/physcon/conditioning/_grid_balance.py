"""Local balances on a grid: differences along its axes; called by `balance`."""

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, require, require_shape
from physcon._typing import Array, ArrayLike, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.grid import Grid
from physcon.linear_map import Difference, LinearMap, Sum

#: The known values at the (lower, upper) boundary faces of one space axis; None where
#: the values are part of the state.
Ends = tuple[ArrayLike | None, ArrayLike | None]


def time_steps(times: ArrayLike) -> Float[Array, " t"]:
    """Lengths of the windows between times, from NumPy times in float64.

    The difference of two dates in seconds keeps its digits only before it is rounded
    to float32.
    """
    exact = concrete(times)
    shape = np.shape(times)
    require(
        len(shape) == 1 and shape[0] >= 2,
        "2 or more times",
        shape,
        "pass one time for each level",
    )
    if exact is None:
        return jnp.diff(jnp.asarray(times))
    return jnp.asarray(np.diff(exact), jnp.result_type(float))


def grid_balance(
    grid: Grid,
    steps: Float[Array, " t"],
    fluxes: tuple[Float[Array, "..."], ...] | None,
    boundary: tuple[Ends, ...] | None,
    source: ArrayLike,
    noise_std: ArrayLike | None,
) -> LinearConstraint:
    """|cell| (u^{n+1} - u^n) + Δt Σ_faces ± |face| F = source."""
    require(
        grid.location == "cells",
        "a grid of cells",
        grid.location,
        "use Grid.uniform or Grid.cells",
    )
    volumes = grid.weights()
    cells = (steps.size, *grid.shape)
    storage = Difference(jnp.broadcast_to(volumes, (steps.size + 1, *grid.shape)))
    value = jnp.broadcast_to(jnp.asarray(source, volumes.dtype), cells)
    if fluxes is None:
        ends = boundary or ((None, None),) * grid.ndim
        axes = [
            along_axis(axis + 1, face_areas(grid, axis, steps), cells, *pair)
            for axis, pair in enumerate(checked_ends(ends, grid))
        ]
        operator: LinearMap = Sum(storage, *(part for part, _ in axes))
        known = [inflow for _, inflow in axes]
    else:
        operator = storage
        known = _known_inflow(grid, steps, fluxes, boundary)
    return LinearConstraint(operator, sum(known, value), _noise(noise_std, cells))


def _known_inflow(
    grid: Grid,
    steps: Float[Array, " t"],
    fluxes: tuple[Float[Array, "..."], ...],
    boundary: tuple[Ends, ...] | None,
) -> list[Float[Array, "t *x"]]:
    """The amounts that known fluxes carry into each cell, for each axis."""
    require(
        boundary is None,
        "no boundary together with known fluxes",
        boundary,
        "pass the fluxes, which include the faces of the boundary, or the boundary",
    )
    require(
        len(fluxes) == grid.ndim,
        f"{grid.ndim} flux arrays",
        len(fluxes),
        "pass one flux array for each axis",
    )
    inflow = []
    for axis, flux in enumerate(fluxes):
        through = Difference(face_areas(grid, axis, steps), axis + 1)
        require_shape(flux, through.in_shape, f"the flux along axis {axis}")
        inflow.append(-through.mv(flux))
    return inflow


def _noise(noise_std: ArrayLike | None, shape: tuple[int, ...]) -> Array | None:
    return (
        None if noise_std is None else jnp.broadcast_to(jnp.asarray(noise_std), shape)
    )


def grid_divergence_free(
    grid: Grid,
    boundary: tuple[Ends, ...] | None,
    periodic: bool,
    noise_std: ArrayLike | None,
) -> LinearConstraint:
    """Σ_k |face_k| (v_k at the upper face - v_k at the lower face) = 0."""
    require(
        grid.location == "cells" and grid.ndim >= 2,
        "a grid of cells in 2 or 3 dimensions",
        f"{grid.location} in {grid.ndim}",
        "one dimension leaves constants only",
    )
    value = jnp.zeros(grid.shape)
    parts = []
    for axis, pair in enumerate(
        checked_ends(boundary or ((None, None),) * grid.ndim, grid)
    ):
        areas = face_areas(grid, axis, None)
        if periodic:
            require(
                pair == (None, None),
                "no boundary values",
                pair,
                "a torus has no boundary",
            )
            whole = jax.lax.slice_in_dim(areas, 0, grid.shape[axis], axis=axis)
            parts.append(Difference(whole, axis, periodic=True))
            continue
        part, inflow = along_axis(axis, areas, grid.shape, *pair)
        parts.append(part)
        value = value + inflow
    return LinearConstraint(Sum(*parts), value, _noise(noise_std, grid.shape))


def checked_ends(ends: tuple[Ends, ...], grid: Grid) -> tuple[Ends, ...]:
    require(
        len(ends) == grid.ndim and all(len(pair) == 2 for pair in ends),
        f"a (lower, upper) pair for each of {grid.ndim} axes",
        ends,
        "None marks an unknown side",
    )
    return ends


def face_areas(grid: Grid, axis: int, steps: Array | None) -> Array:
    """Areas of the faces across `axis`, multiplied by Δt if `steps` is given.

    Shapes:
        The result is ``([t,] ..., n_axis + 1, ...)``.
    """
    areas = jnp.ones(())
    for k in range(grid.ndim):
        row = jnp.ones(grid.shape[k] + 1) if k == axis else grid.widths(k)
        areas = areas[..., None] * row.reshape((1,) * k + (-1,))
    if steps is None:
        return areas
    return steps.reshape((-1,) + (1,) * grid.ndim) * areas[None]


def along_axis(
    axis: int,
    areas: Array,
    cells: tuple[int, ...],
    lower: ArrayLike | None,
    upper: ArrayLike | None,
) -> tuple[Difference, Array]:
    """The divergence along one axis, and the inflow per cell through known sides."""
    n = cells[axis]
    inflow = jnp.zeros(cells)
    for side, known, sign in ((0, lower, 1.0), (n, upper, -1.0)):
        if known is not None:
            through = jax.lax.slice_in_dim(areas, side, side + 1, axis=axis)
            shape = through.shape[:axis] + through.shape[axis + 1 :]
            flux = jnp.broadcast_to(jnp.asarray(known), shape)
            amount = sign * through * jnp.expand_dims(flux, axis)
            cell = jnp.arange(n).reshape(
                [-1 if k == axis else 1 for k in range(len(cells))]
            )
            inflow = inflow + jnp.where(cell == min(side, n - 1), amount, 0)
    first = int(lower is not None)
    last = n + 1 - int(upper is not None)
    inside = jax.lax.slice_in_dim(areas, first, last, axis=axis)
    return Difference(inside, axis, (lower is None, upper is None)), inflow
