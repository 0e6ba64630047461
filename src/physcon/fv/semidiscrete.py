"""The method of lines: cell averages, face fluxes, and the tendency that they make.

du_i/dt = - Σ_axis (F_{i+1/2} - F_{i-1/2}) / h_axis + source, with exactly the fluxes of
`face_flux`: the total of a conserved quantity changes by what passes the sides, to
rounding.
"""

from typing import Any

import jax.numpy as jnp

from physcon._typing import Array, ArrayLike, Float
from physcon.boundary import Boundary
from physcon.fv._stage import resolved, storing_stages
from physcon.fv.discretisation import Discretisation, require_state
from physcon.fv.problem import Problem as Problem
from physcon.fv.protocols import Source as Source
from physcon.fv.scheme import DEFAULT as DEFAULT
from physcon.fv.scheme import Scheme as Scheme
from physcon.fv.sweep import crossing_rate, sweep
from physcon.grid import Grid


def face_flux(
    u: ArrayLike,
    law: Any,
    grid: Grid,
    boundary: Boundary,
    scheme: Scheme = DEFAULT,
    axis: int = 0,
    t: ArrayLike = 0.0,
) -> Float[Array, "c *f"]:
    """Numerical fluxes through the faces normal to `axis`, per area, along the axis.

    Args:
        u: cell averages.
        law: a `Law`, a `Diffusion`, or a `Mixed` of both.
        grid: of cells.
        boundary: conditions on the sides.
        scheme: reconstruction and Riemann solver; its time step is not used.
        axis: the space axis whose faces are meant.
        t: time, for conditions that depend on it.

    Shapes: u ``(c, *x)``; the result has one more entry along `axis`.

    Raises:
        ValueError: the state does not lie on the grid.
    """
    u = jnp.asarray(u)
    problem = Discretisation(law, grid, boundary, scheme).at(u, t)
    with storing_stages(resolved(scheme.evaluate) == "staged"):
        return sweep(problem, u, axis)[0]


def tendency(
    u: ArrayLike,
    law: Any,
    grid: Grid,
    boundary: Boundary,
    scheme: Scheme = DEFAULT,
    t: ArrayLike = 0.0,
    source: Source | None = None,
) -> Float[Array, "c *x"]:
    """du/dt of the cell averages: minus differences of `face_flux` over the widths.

    ``sum(volumes * tendency) = flux in - flux out`` to rounding, with any scheme.

    Args:
        u, law, grid, boundary, scheme, t: as in `face_flux`.
        source: ``source(u, t)``, a tendency that is added, of the shape of u.

    Shapes: as `u`.

    Raises:
        ValueError: the state does not lie on the grid.

    >>> from physcon.boundary import Periodic
    >>> from physcon.fv import Advection, tendency
    >>> grid = Grid.uniform(0.0, 1.0, 4)
    >>> u = jnp.array([[1.0, 2.0, 3.0, 2.0]])
    >>> float(jnp.abs(jnp.sum(tendency(u, Advection(1.0), grid, Boundary(Periodic())))))
    0.0
    """
    u = jnp.asarray(u)
    problem = Problem(law, grid, boundary, scheme, source)
    require_state(u, grid)
    return problem(u, jnp.asarray(t, u.dtype))


def rate(
    u: ArrayLike,
    law: Any,
    grid: Grid,
    boundary: Boundary,
    t: ArrayLike = 0.0,
) -> Float[Array, "*x"]:
    """Per cell, cell widths crossed per unit time, summed over the axes.

    A time step of CFL number c is ``c / max(rate)``. A diffusion adds its coefficients
    over widths squared.

    Args:
        u, law, grid, boundary, t: as in `face_flux`.

    Shapes: the grid's shape.
    """
    u = jnp.asarray(u)
    return crossing_rate(Discretisation(law, grid, boundary).at(u, t), u)
