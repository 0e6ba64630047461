"""Local conservation laws with one row per control volume.

They cover finite volumes in time and solenoidal vector fields, on grids, on meshes of
any shape and on networks.

A balance states that (u, F) has zero divergence in space-time: the cell averages u live
on the time faces of the space-time cells, and the fluxes F live on the space faces. The
flow out of one cell enters its neighbour, so the local balances add up to the global
balance exactly.
"""

from typing import Any

import jax.numpy as jnp

from physcon._checks import require, require_given
from physcon._typing import ArrayLike
from physcon.conditioning._grid_balance import (
    Ends,
    grid_balance,
    grid_divergence_free,
    time_steps,
)
from physcon.conditioning._mesh_laws import mesh_balance, mesh_divergence_free
from physcon.conditioning._mesh_rows import Known, Volumes
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.grid import Grid
from physcon.linear_map import BlockDiagonal


def balance(
    grid: Grid | Volumes,
    times: ArrayLike,
    fluxes: Any = None,
    *,
    boundary: tuple[Ends, ...] | Known | None = None,
    source: ArrayLike = 0.0,
    where: ArrayLike | None = None,
    noise_std: ArrayLike | None = None,
) -> LinearConstraint:
    """Finite-volume balance of every cell in every time window.

        |cell| (u^{n+1} - u^n) + Δt Σ_faces ± |face| F = source

    Shapes:
        The t windows lie between the t + 1 `times`. u holds cell averages at `times`,
        ``(t + 1, *x)``. F is the mean over each window. On a grid there is one array
        per axis, ``(t, ..., n_k + 1, ...)``, positive along the axis; on a mesh or a
        network F is ``(t, f)``, positive from the owner to the neighbour. The source is
        the amount that appears in the cell during the window, ``(t, *x)`` or a scalar.

    Args:
        grid: a `Grid`, a `Mesh` with c cells ``(*x) = (c)``, or a `Network` of c nodes.
        times: pass dates in seconds as NumPy float64: windows are subtracted before
            they are rounded.
        fluxes: known fluxes, one array per space axis of a grid, or one array
            ``(t, f)``; the field is then u. With None the fluxes are unknown as well,
            and the field is the flattened concatenation of u and all fluxes.
            `join_fields` builds the prior of such a field from separate priors, and
            `split_fields` cuts it into its parts.
        boundary: with unknown fluxes, the known ones on the boundary. On a grid: the
            fluxes through the (lower, upper) side of each axis, ``(t, *other axes)`` or
            scalars; the state then has no faces on a known side; None leaves a side
            unknown. On a mesh: patch name -> flux out of the domain per unit area, a
            scalar, ``(faces of the patch)`` or ``(t, faces of the patch)``; the state
            keeps these faces, and one exact row for each sets its value.
        where: on a mesh, the cells that have a balance, ``(c)`` of bool; None: all.
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
    steps = time_steps(times)
    if isinstance(grid, Grid):
        _refuse(where is None, "where", "mesh.from_grid(grid) with `where`")
        _refuse(not isinstance(boundary, dict), "patches", "one pair per axis")
        ends: Any = boundary
        return grid_balance(grid, steps, fluxes, ends, source, noise_std)
    _require_cells(grid)
    known: Any = boundary
    return mesh_balance(grid, steps, fluxes, known, source, where, noise_std)


def _require_cells(grid: object) -> None:
    """Raise ValueError unless `grid` is one of the three kinds."""
    require(
        hasattr(grid, "owner"),
        "grid: a Grid, a Mesh or a Network",
        f"a {type(grid).__name__}",
        "look at the order of the arguments",
    )


def divergence_free(
    grid: Grid | Volumes,
    *,
    boundary: tuple[Ends, ...] | Known | None = None,
    periodic: bool = False,
    where: ArrayLike | None = None,
    noise_std: ArrayLike | None = None,
) -> LinearConstraint:
    """Require that a vector field has no source in any cell.

    The field is given by its normal components on the faces; on a network it is the
    flow along each edge.

        Σ_faces ± |face| v = 0

    Shapes:
        On a grid component k has shape ``(..., n_k + 1, ...)``, and the field is the
        flattened concatenation of the components (see `join_fields` and
        `split_fields`). With `periodic`, axis k has n_k faces, and face 0 closes the
        torus. On a mesh the field is ``(f)``, positive from the owner to the neighbour.

    Args:
        grid: a `Grid` of cells, a `Mesh` or a `Network`.
        boundary: the known normal components on the boundary, as in `balance`. Walls
            are ``(0.0, 0.0)`` on a grid and ``{"wall": 0.0}`` on a mesh. If all sides
            are known, their net flow must vanish.
        where: on a mesh, the cells that have no source, ``(c)`` of bool; None: all.
        noise_std: a scalar, or one value per cell. None: the law is exact.

    Source:
        The staggered divergence of Harlow and Welch, Phys. Fluids 8 (1965) 2182.
    """
    if isinstance(grid, Grid):
        _refuse(where is None, "where", "mesh.from_grid(grid) with `where`")
        _refuse(not isinstance(boundary, dict), "patches", "one pair per axis")
        ends: Any = boundary
        return grid_divergence_free(grid, ends, periodic, noise_std)
    require(
        not periodic,
        "periodic sides that the mesh itself joins",
        "periodic=True",
        "build the mesh with periodic=True",
    )
    known: Any = boundary
    return mesh_divergence_free(grid, known, where, noise_std)


def join_fields(*priors: Gaussian) -> Gaussian:
    """Join independent priors of several fields into one, on their concatenation."""
    for prior in priors:
        require_given(prior, Gaussian, "prior")
    mean = jnp.concatenate([p.mean.reshape(-1) for p in priors])
    return Gaussian(mean, BlockDiagonal(*(p.root for p in priors)))


def _refuse(holds: bool, what: str, remedy: str) -> None:
    require(holds, "a mesh or a network", f"{what} with a Grid", f"pass {remedy}")
