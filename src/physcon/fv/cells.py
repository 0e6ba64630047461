"""The tendency of each cell from its own stencil, in one elementwise kernel.

On an accelerator this stores no fluxes: each cell computes both of its own.
"""

from functools import partial

import jax
import jax.numpy as jnp

from physcon._typing import Array, Float
from physcon.boundary import Flux
from physcon.fv._cellwise import NotCellwise, cellwise, stencil
from physcon.fv._stage import storing_stages
from physcon.fv.discretisation import Discretisation
from physcon.fv.ghost import difference, outer_sides, pad
from physcon.fv.protocols import ghosts_of


def by_cell(
    problem: Discretisation, u: Float[Array, "c *x"]
) -> Float[Array, "c *x"] | None:
    """The tendency, cell by cell; None where that does not apply.

    It applies to hyperbolic laws without fields on uniform axes without prescribed
    fluxes, if the scheme mixes the numbers of a cell only as stencils do.
    """
    if not _applies(problem):
        return None
    law, scheme, grid = problem.law, problem.scheme, problem.grid
    ghosts = ghosts_of(scheme.reconstruct)
    padded = u
    for axis in range(grid.ndim):
        padded = pad(
            padded, problem.widths(axis), problem.sides(axis), ghosts, law, axis
        )

    def change(line: Array, axis: int) -> Array:
        width = problem.widths(axis)
        u_left, u_right = scheme.reconstruct(line, law, axis, width)
        flux = law.numerical_flux(scheme.riemann, u_left, u_right, axis)
        force = law.cell_force(u_left, u_right, axis)
        change = -difference(flux, axis)
        change = change if force is None else change + force
        return change.reshape(-1) / width

    def total_change(padded: Array) -> list[Array]:
        total = [jnp.zeros(grid.shape, u.dtype)] * u.shape[0]
        for axis in range(grid.ndim):
            lines = stencil(padded, grid.shape, ghosts, axis)
            changes = cellwise(partial(change, axis=axis), lines)
            total = [t + c for t, c in zip(total, changes, strict=True)]
        return total

    stored = jax.lax.optimization_barrier
    try:
        with storing_stages(False):
            # The derivative computes everything again rather than storing it.
            changes = jax.checkpoint(total_change)(stored(padded))
        return jnp.stack(stored(changes))
    except NotCellwise:
        return None


def _applies(problem: Discretisation) -> bool:
    uniform = all(h.ndim == 0 for h in problem.grid.spacings)
    leaves = jax.tree.leaves((problem.law, problem.scheme))
    numbers_only = all(jnp.ndim(leaf) == 0 for leaf in leaves)
    prescribed = any(
        isinstance(condition, Flux)
        for sides in problem.boundary.sides
        for condition in outer_sides(sides)
    )
    hyperbolic_only = problem.law.diffusion is None
    return hyperbolic_only and uniform and numbers_only and not prescribed
