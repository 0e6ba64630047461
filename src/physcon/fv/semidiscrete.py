"""The method of lines: cell averages, face fluxes, and the tendency that they make.

du_i/dt = - Σ_axis (F_{i+1/2} - F_{i-1/2}) / h_axis + source, with the very fluxes of
`face_flux`: the total of a conserved quantity changes by what passes the sides, to
rounding.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require, require_given
from physcon._numerics.float64 import cast
from physcon._typing import Array, ArrayLike, Float, Scalar
from physcon.boundary import Boundary, Flux
from physcon.fv._cellwise import NotCellwise, cellwise, stencil
from physcon.fv._materialise import fuses, materialised
from physcon.fv.diffusion import Diffusion, Mixed, diffusive_flux, diffusive_rate
from physcon.fv.ghost import along, impose_flux, outer_sides, pad, pad_widths, take
from physcon.fv.law import Law
from physcon.fv.reconstruction import MUSCL
from physcon.fv.riemann import rusanov
from physcon.fv.stepping import Step, ssp_rk3
from physcon.grid import Grid

#: `source(u, t)`, a tendency of the shape of u.
Source = Callable[[Array, Scalar], Array]


def _leafless(fn: Any) -> Any:
    """A plain function as a pytree without leaves, so that a `Scheme` passes through
    `jax.jit`.
    """
    made = callable(fn) and not isinstance(fn, type)
    require(
        made, "functions in a Scheme", repr(fn), "e.g. Scheme(MUSCL(), hllc, ssp_rk3)"
    )
    return (
        fn
        if isinstance(fn, eqx.Module | jax.tree_util.Partial)
        else jax.tree_util.Partial(fn)
    )


class Scheme(eqx.Module):
    """The three choices of a finite-volume method, each a function of your own if you
    like.

    Attributes:
        reconstruct: ``(u, law, axis, widths) -> (u_left, u_right)``; see `reconstruction`.
        riemann: ``(u_left, u_right, law, axis) -> flux``; see `riemann`. Whatever it is, a learned
            function included, the scheme conserves.
        step: ``(problem, u, t, dt) -> u``; see `stepping`.
    """

    reconstruct: Callable[..., Any] = eqx.field(converter=_leafless, default=MUSCL())
    riemann: Callable[..., Array] = eqx.field(converter=_leafless, default=rusanov)
    step: Step = eqx.field(converter=_leafless, default=ssp_rk3)


#: MUSCL with rusanov and SSP-RK3: for every law.
DEFAULT = Scheme()


class Problem(eqx.Module):
    """All that a step needs: ``problem(u, t)`` is the tendency."""

    law: Any
    grid: Grid
    boundary: Boundary
    scheme: Scheme = DEFAULT
    source: Source | None = None

    def __check_init__(self) -> None:
        grid, boundary = self.grid, self.boundary
        require_given(grid, Grid, "grid")
        require(
            grid.location == "cells",
            "a grid of cells",
            grid.location,
            "location='cells'",
        )
        require(
            boundary.ndim == grid.ndim,
            f"boundary conditions for {grid.ndim} axes",
            boundary.ndim,
            "pass one condition or pair per axis",
        )

    def __call__(self, u: Float[Array, "c *x"], t: Scalar) -> Float[Array, "c *x"]:
        return tendency(u, *self.parts(), t=t, source=self.source)

    def parts(self) -> tuple[Any, Grid, Boundary, Scheme]:
        """(law, grid, boundary, scheme), the arguments of `tendency` and `face_flux`."""
        return self.law, self.grid, self.boundary, self.scheme


def face_flux(
    u: Float[Array, "c *x"],
    law: Any,
    grid: Grid,
    boundary: Boundary,
    scheme: Scheme = DEFAULT,
    axis: int = 0,
    t: ArrayLike = 0.0,
) -> Float[Array, "c *f"]:
    """Numerical fluxes through the faces normal to `axis`, per area, along the
    coordinate.

    Shapes: the grid's shape with one more entry along `axis`.
    Raises: ValueError if the state does not lie on the grid.
    """
    law, grid, boundary, scheme = _prepare(u, law, grid, boundary, scheme, t)
    return _sweep(u, law, grid, boundary, scheme, axis)[0]


def tendency(
    u: Float[Array, "c *x"],
    law: Any,
    grid: Grid,
    boundary: Boundary,
    scheme: Scheme = DEFAULT,
    t: ArrayLike = 0.0,
    source: Source | None = None,
) -> Float[Array, "c *x"]:
    """du/dt of the cell averages: minus the differences of `face_flux`, over the
    widths.

    ``sum(volumes * tendency) = flux in - flux out`` to rounding, whatever the scheme.

    Shapes: as `u`.
    Raises: ValueError if the state does not lie on the grid.

    >>> from physcon.boundary import Periodic
    >>> from physcon.fv import Advection, tendency
    >>> grid = Grid.uniform(0.0, 1.0, 4)
    >>> u = jnp.array([[1.0, 2.0, 3.0, 2.0]])
    >>> float(jnp.abs(jnp.sum(tendency(u, Advection(1.0), grid, Boundary(Periodic())))))
    0.0
    """
    t = jnp.asarray(t, u.dtype)
    forced = None if source is None else _forcing(source, u, t)
    parts = _prepare(u, law, grid, boundary, scheme, t)
    total = by_cell(u, *parts) if fuses() else None
    total = by_axis(u, *parts) if total is None else total
    return total if forced is None else total + forced


def by_axis(
    u: Array, law: Any, grid: Grid, boundary: Boundary, scheme: Scheme
) -> Array:
    """The tendency, whole arrays of fluxes at a time: any law, boundary and grid."""
    total = jnp.zeros_like(u)
    for axis in range(grid.ndim):
        flux, force = _sweep(u, law, grid, boundary, scheme, axis)
        n = grid.shape[axis]
        change = take(flux, 0, n, axis) - take(flux, 1, n + 1, axis)
        change = change if force is None else change + force
        total = total + change / along(grid.spacings[axis], u.ndim, axis)
    return total


def by_cell(
    u: Array, law: Any, grid: Grid, boundary: Boundary, scheme: Scheme
) -> Array | None:
    """The tendency, each cell from its own stencil: two fluxes per axis, none of them
    stored.

    None where it doesn't apply: diffusion, stretched axes, prescribed fluxes, fields in
    the law, or functions of the user that mix numbers in other ways than stencils do.
    """
    uniform = all(h.ndim == 0 for h in grid.spacings)
    numbers = all(jnp.ndim(leaf) == 0 for leaf in jax.tree.leaves((law, scheme)))
    fluxes = any(
        isinstance(c, Flux) for sides in boundary.sides for c in outer_sides(sides)
    )
    if not isinstance(law, Law) or not uniform or not numbers or fluxes:
        return None
    ghosts, padded = _ghosts(scheme.reconstruct), u
    for axis in range(grid.ndim):
        padded = pad(
            padded, grid.spacings[axis], boundary.sides[axis], ghosts, law, axis
        )

    def change(line: Array, axis: int) -> Array:
        left, right = scheme.reconstruct(line, law, axis, grid.spacings[axis])
        flux = law.numerical_flux(scheme.riemann, left, right, axis)
        force = law.cell_force(left, right, axis)
        change = take(flux, 0, 1, axis) - take(flux, 1, 2, axis)
        change = change if force is None else change + force
        return change.reshape(-1) / grid.spacings[axis]

    def total_change(padded: Array) -> list[Array]:
        total = [jnp.zeros(grid.shape, u.dtype)] * u.shape[0]
        for axis in range(grid.ndim):
            lines = stencil(padded, grid.shape, ghosts, axis)
            changes = cellwise(partial(change, axis=axis), lines)
            total = [t + c for t, c in zip(total, changes, strict=True)]
        return total

    try:
        # Backwards, too, nothing of the way is stored: it is computed again.
        return jnp.stack(
            materialised(jax.checkpoint(total_change)(materialised(padded)))
        )
    except NotCellwise:
        return None


def _forcing(source: Source, u: Array, t: Array) -> Array:
    """The source in the dtype of the state, which arrays in its closure need not have."""
    forced = jnp.asarray(source(u, t))
    require(
        forced.shape == u.shape,
        f"source(u, t) of shape {u.shape}",
        forced.shape,
        "as u",
    )
    return forced.astype(u.dtype)


def rate(
    u: Float[Array, "c *x"],
    law: Any,
    grid: Grid,
    boundary: Boundary,
    t: ArrayLike = 0.0,
) -> Float[Array, "*x"]:
    """Per cell, cell widths crossed per unit time, summed over the axes: dt = CFL /
    max(rate).

    A diffusion adds its coefficients over widths squared (`diffusive_rate`).
    """
    law, grid, boundary, _ = _prepare(u, law, grid, boundary, DEFAULT, t)
    total = jnp.zeros(u.shape[1:], u.dtype)
    hyperbolic, diffusion = _split(law)
    for axis in range(grid.ndim):
        h = grid.spacings[axis]
        if hyperbolic is not None:
            total = total + hyperbolic.max_speed(u, axis) / along(
                h, u.ndim - 1, axis - 1
            )
        if diffusion is not None:
            total = total + diffusive_rate(u, diffusion, h, boundary.sides[axis], axis)
    return total


def _sweep(
    u: Array, law: Any, grid: Grid, boundary: Boundary, scheme: Scheme, axis: int
) -> tuple[Array, Array | None]:
    """Face fluxes of one axis, and the law's force on the cells."""
    widths, sides = grid.spacings[axis], boundary.sides[axis]
    hyperbolic, diffusion = _split(law)
    flux, force = None, None
    if hyperbolic is not None:
        left, right = face_states(u, hyperbolic, widths, sides, scheme, axis)
        flux = hyperbolic.numerical_flux(scheme.riemann, left, right, axis)
        flux = impose_flux(flux, sides, axis)
        force = hyperbolic.cell_force(left, right, axis)
    if diffusion is not None:
        diffusive = diffusive_flux(u, diffusion, widths, sides, axis)
        flux = diffusive if flux is None else impose_flux(flux + diffusive, sides, axis)
    return flux, force  # type: ignore[return-value]


def face_states(
    u: Array, law: Law, widths: Array, sides: Any, scheme: Scheme, axis: int
) -> tuple[Array, Array]:
    """Left and right states of all faces of one axis."""
    ghosts = _ghosts(scheme.reconstruct)
    padded = pad(u, widths, sides, ghosts, law, axis)
    return scheme.reconstruct(padded, law, axis, pad_widths(widths, sides, ghosts))


def _ghosts(reconstruct: Any) -> int:
    inner = (
        reconstruct.func
        if isinstance(reconstruct, jax.tree_util.Partial)
        else reconstruct
    )
    require(
        hasattr(inner, "ghosts"),
        "a reconstruction with an attribute `ghosts`",
        repr(inner),
        "set it to the number of cells that it reads beyond each side",
    )
    return inner.ghosts


def _split(law: Any) -> tuple[Law | None, Diffusion | None]:
    if isinstance(law, Mixed):
        return law.hyperbolic, law.diffusion
    return (None, law) if isinstance(law, Diffusion) else (law, None)


def _prepare(
    u: Array, law: Any, grid: Grid, boundary: Boundary, scheme: Scheme, t: ArrayLike
) -> tuple[Any, Grid, Boundary, Scheme]:
    """Conditions at time t, and every array in the dtype of the state."""
    require(
        u.ndim == grid.ndim + 1 and u.shape[1:] == grid.shape,
        f"a state (channels, {', '.join(map(str, grid.shape))})",
        u.shape,
        "cell averages, channels first; batch with jax.vmap",
    )
    return cast((law, grid, boundary.at(t), scheme), u.dtype)
