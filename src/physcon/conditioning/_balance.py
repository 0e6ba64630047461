"""Local conservation: one row per cell, for finite volumes in time and for solenoidal
fields.

A balance in space and time is the statement that (u, F) has no divergence in
space-time: cell averages u live on the time faces of the cells of a space-time grid,
fluxes F on the space faces. What leaves one cell enters its neighbour, so the sum of
local balances is the global one, exactly.
"""

import jax
import jax.numpy as jnp

from physcon._checks import require, require_shape
from physcon._typing import Array, ArrayLike, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.grid import Grid
from physcon.linear_map import BlockDiagonal, Difference, LinearMap, Sum

#: Per space axis what is known at the (lower, upper) boundary faces; None: part of the
#: state.
Ends = tuple[ArrayLike | None, ArrayLike | None]


def balance(
    grid: Grid,
    times: Float[Array, " levels"],
    fluxes: tuple[Float[Array, "..."], ...] | None = None,
    *,
    boundary: tuple[Ends, ...] | None = None,
    source: ArrayLike = 0.0,
    noise_std: ArrayLike | None = None,
) -> LinearConstraint:
    """Finite-volume balance of every cell in every time window; t windows on a grid of
    cells.

        |cell| (u^{n+1} - u^n) + Δt Σ_faces ± |face| F = source

    Shapes: u ``(t + 1, *x)`` cell averages at `times`; F on axis k ``(t, ..., n_k + 1,
    ...)``, the mean over the window, positive along the axis; source ``(t, *x)`` or
    scalar, the amount that appears in the cell during the window.

    Args:
        fluxes: known fluxes, one array per space axis; the field is u. None: the fluxes
            are unknown as well, and the field is the concatenation of u and of the
            fluxes of every axis, flattened (`join_fields` makes its prior from separate
            ones, `split_fields` cuts it).
        boundary: with unknown fluxes, per axis the known fluxes ``(t, *other axes)``,
            or scalars, through the (lower, upper) boundary; a known side has no face in
            the state. None leaves a side unknown.
        noise_std: None: exact; else a scalar, or one per cell and window.

    Source: Hansen et al. (2023), eq. 4, over one cell and one step; LeVeque (2002), eq.
        4.3.

    >>> grid, times = Grid.uniform(0.0, 1.0, 2), jnp.array([0.0, 0.5])
    >>> flux = jnp.array([[0.0, 1.0, 0.0]])  # from the left to the right cell
    >>> law = balance(grid, times, (flux,))
    >>> law.residual(jnp.array([[2.0, 2.0], [1.0, 3.0]])).tolist()
    [[0.0, 0.0]]
    """
    require(
        grid.location == "cells",
        "a grid of cells",
        grid.location,
        "use Grid.uniform or Grid.cells",
    )
    times = jnp.asarray(times)
    require(
        times.ndim == 1 and times.size >= 2,
        "2 or more times",
        times.shape,
        "one per level",
    )
    volumes, steps = grid.weights(), jnp.diff(times)
    cells = (steps.size, *grid.shape)
    storage = Difference(jnp.broadcast_to(volumes, (times.size, *grid.shape)))
    value = jnp.broadcast_to(jnp.asarray(source, volumes.dtype), cells)
    if fluxes is None:
        ends = boundary or ((None, None),) * grid.ndim
        axes = [
            _axis(axis + 1, _face_areas(grid, axis, steps), cells, *pair)
            for axis, pair in enumerate(_checked(ends, grid))
        ]
        operator: LinearMap = Sum(storage, *(part for part, _ in axes))
        known = [inflow for _, inflow in axes]
    else:
        require(
            boundary is None,
            "no boundary beside known fluxes",
            boundary,
            "drop one of them",
        )
        require(
            len(fluxes) == grid.ndim,
            f"{grid.ndim} flux arrays",
            len(fluxes),
            "one per axis",
        )
        operator = storage
        known = []
        for axis, flux in enumerate(fluxes):
            through = Difference(_face_areas(grid, axis, steps), axis + 1)
            require_shape(flux, through.in_shape, f"the flux along axis {axis}")
            known.append(-through.mv(flux))
    value = sum(known, value)
    noise = (
        None if noise_std is None else jnp.broadcast_to(jnp.asarray(noise_std), cells)
    )
    return LinearConstraint(operator, value, noise)


def divergence_free(
    grid: Grid,
    *,
    boundary: tuple[Ends, ...] | None = None,
    periodic: bool = False,
    noise_std: ArrayLike | None = None,
) -> LinearConstraint:
    """No cell is a source of a vector field given by its normal components on the
    faces.

        Σ_k |face_k| (v_k at the upper face - v_k at the lower face) = 0

    Shapes: component k ``(..., n_k + 1, ...)``; the field is their concatenation,
    flattened (`join_fields`, `split_fields`). With `periodic` n_k faces on axis k, face
    0 closing the torus.

    Args:
        boundary: per axis the known normal components at the (lower, upper) boundary,
            as in `balance`; walls are ``(0.0, 0.0)``. With all sides known their net
            flow must vanish.

    Source: the staggered divergence of Harlow and Welch, Phys. Fluids 8 (1965) 2182.
    """
    require(
        grid.location == "cells" and grid.ndim >= 2,
        "a grid of cells in 2 or 3 dimensions",
        f"{grid.location} in {grid.ndim}",
        "one dimension leaves constants only",
    )
    value = jnp.zeros(grid.shape)
    parts = []
    for axis, pair in enumerate(
        _checked(boundary or ((None, None),) * grid.ndim, grid)
    ):
        areas = _face_areas(grid, axis, None)
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
        part, inflow = _axis(axis, areas, grid.shape, *pair)
        parts.append(part)
        value = value + inflow
    noise = (
        None
        if noise_std is None
        else jnp.broadcast_to(jnp.asarray(noise_std), grid.shape)
    )
    return LinearConstraint(Sum(*parts), value, noise)


def join_fields(*priors: Gaussian) -> Gaussian:
    """Independent priors of several fields as one, on their flat concatenation."""
    mean = jnp.concatenate([p.mean.reshape(-1) for p in priors])
    return Gaussian(mean, BlockDiagonal(*(p.root for p in priors)))


def _checked(ends: tuple[Ends, ...], grid: Grid) -> tuple[Ends, ...]:
    require(
        len(ends) == grid.ndim and all(len(pair) == 2 for pair in ends),
        f"a (lower, upper) pair for each of {grid.ndim} axes",
        ends,
        "None marks an unknown side",
    )
    return ends


def _face_areas(grid: Grid, axis: int, steps: Array | None) -> Array:
    """Areas of the faces across `axis`, times Δt if given: ``([t,] ..., n_axis + 1,
    ...)``.
    """
    areas = jnp.ones(())
    for k in range(grid.ndim):
        row = jnp.ones(grid.shape[k] + 1) if k == axis else grid.widths(k)
        areas = areas[..., None] * row.reshape((1,) * k + (-1,))
    if steps is None:
        return areas
    return steps.reshape((-1,) + (1,) * grid.ndim) * areas[None]


def _axis(
    axis: int,
    areas: Array,
    cells: tuple[int, ...],
    lower: ArrayLike | None,
    upper: ArrayLike | None,
) -> tuple[Difference, Array]:
    """The divergence along one axis, and what flows in through its known sides, per
    cell.
    """
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
    first, last = int(lower is not None), n + 1 - int(upper is not None)
    inside = jax.lax.slice_in_dim(areas, first, last, axis=axis)
    return Difference(inside, axis, (lower is None, upper is None)), inflow
