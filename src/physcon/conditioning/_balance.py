"""Local conservation laws with one row per cell.

They cover finite volumes in time and solenoidal vector fields.

A balance states that (u, F) has zero divergence in space-time: the cell averages u live
on the time faces of the space-time cells, and the fluxes F live on the space faces. The
flow out of one cell enters its neighbour, so the local balances add up to the global
balance exactly.
"""

import jax
import jax.numpy as jnp

from physcon._checks import require, require_shape
from physcon._typing import Array, ArrayLike, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.grid import Grid
from physcon.linear_map import BlockDiagonal, Difference, LinearMap, Sum

#: The known values at the (lower, upper) boundary faces of one space axis; None where
#: the values are part of the state.
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
    """Finite-volume balance of every cell in every time window.

        |cell| (u^{n+1} - u^n) + Δt Σ_faces ± |face| F = source

    Shapes:
        The t windows lie between the t + 1 `times`. u holds cell averages at `times`,
        ``(t + 1, *x)``. F on axis k is the mean over each window, positive along the
        axis, ``(t, ..., n_k + 1, ...)``. The source is the amount that appears in the
        cell during the window, ``(t, *x)`` or a scalar.

    Args:
        fluxes: known fluxes, one array per space axis; the field is then u. With None
            the fluxes are unknown as well, and the field is the flattened concatenation
            of u and the fluxes of every axis. `join_fields` builds the prior of such a
            field from separate priors, and `split_fields` cuts it into its parts.
        boundary: with unknown fluxes, the known fluxes through the (lower, upper)
            boundary of each axis, ``(t, *other axes)`` or scalars. The state has no
            faces on a known side. None leaves a side unknown.
        noise_std: a scalar, or one value per cell and window. With None the balance is
            exact.

    Source:
        Hansen et al. (2023), eq. 4, over one cell and one step; LeVeque (2002), eq.
        4.3.

    >>> grid, times = Grid.uniform(0.0, 1.0, 2), jnp.array([0.0, 0.5])
    >>> flux = jnp.array([[0.0, 1.0, 0.0]])  # from the left to the right cell
    >>> law = balance(grid, times, (flux,))
    >>> law.residual(jnp.array([[2.0, 2.0], [1.0, 3.0]])).tolist()
    [[0.0, 0.0]]
    """
    times = jnp.asarray(times)
    _check_levels(grid, times)
    volumes = grid.weights()
    steps = jnp.diff(times)
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
        operator = storage
        known = _known_inflow(grid, steps, fluxes, boundary)
    return LinearConstraint(operator, sum(known, value), _noise(noise_std, cells))


def _check_levels(grid: Grid, times: Float[Array, " levels"]) -> None:
    require(
        grid.location == "cells",
        "a grid of cells",
        grid.location,
        "use Grid.uniform or Grid.cells",
    )
    require(
        times.ndim == 1 and times.size >= 2,
        "2 or more times",
        times.shape,
        "pass the time of every level",
    )


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
        through = Difference(_face_areas(grid, axis, steps), axis + 1)
        require_shape(flux, through.in_shape, f"the flux along axis {axis}")
        inflow.append(-through.mv(flux))
    return inflow


def _noise(noise_std: ArrayLike | None, shape: tuple[int, ...]) -> Array | None:
    return (
        None if noise_std is None else jnp.broadcast_to(jnp.asarray(noise_std), shape)
    )


def divergence_free(
    grid: Grid,
    *,
    boundary: tuple[Ends, ...] | None = None,
    periodic: bool = False,
    noise_std: ArrayLike | None = None,
) -> LinearConstraint:
    """Require that a vector field has no source in any cell.

    The field is given by its normal components on the faces.

        Σ_k |face_k| (v_k at the upper face - v_k at the lower face) = 0

    Shapes:
        Component k has shape ``(..., n_k + 1, ...)``. The field is the flattened
        concatenation of the components (see `join_fields` and `split_fields`). With
        `periodic`, axis k has n_k faces, and face 0 closes the torus.

    Args:
        boundary: the known normal components at the (lower, upper) boundary of each
            axis, as in `balance`. Walls are ``(0.0, 0.0)``. If all sides are known,
            their net flow must vanish.

    Source:
        The staggered divergence of Harlow and Welch, Phys. Fluids 8 (1965) 2182.
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
    return LinearConstraint(Sum(*parts), value, _noise(noise_std, grid.shape))


def join_fields(*priors: Gaussian) -> Gaussian:
    """Join independent priors of several fields into one, on their concatenation."""
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


def _axis(
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
