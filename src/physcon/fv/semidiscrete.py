"""The method of lines: cell averages, face fluxes, and the tendency that they make.

du_i/dt = - Σ_axis (F_{i+1/2} - F_{i-1/2}) / h_axis + source, with exactly the fluxes of
`face_flux`: the total of a conserved quantity changes by what passes the sides, to
rounding.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from physcon._typing import Array, ArrayLike, Float
from physcon.boundary import Boundary
from physcon.fv.problem import Problem as Problem
from physcon.fv.protocols import Source as Source
from physcon.fv.scheme import DEFAULT as DEFAULT
from physcon.fv.scheme import Scheme as Scheme
from physcon.fv.stated import stated
from physcon.grid import Grid
from physcon.mesh import Mesh


def face_flux(
    u: ArrayLike,
    law: Any,
    grid: Grid | Mesh,
    boundary: Boundary | Mapping[str, Any],
    scheme: Scheme = DEFAULT,
    axis: int = 0,
    t: ArrayLike = 0.0,
) -> Float[Array, "c *f"]:
    """Numerical fluxes through the faces normal to `axis`, per area, along the axis.

    Args:
        u: cell averages.
        law: a `Law`, a `Diffusion`, or a `Mixed` of both.
        grid: of cells; or a `Mesh`, whose faces have no axis: all of them are returned,
            with fluxes from the owner to the neighbour.
        boundary: conditions on the sides of a grid; or patch name -> condition.
        scheme: reconstruction and Riemann solver; its time step is not used.
        axis: the space axis whose faces are meant.
        t: time, for conditions that depend on it.

    Shapes: u ``(c, *x)``; the result has one more entry along `axis`. On a mesh
    ``(c, cells)`` and ``(c, faces)``.

    Raises:
        ValueError: the state does not lie on the grid.
    """
    u = jnp.asarray(u)
    problem = stated(law, grid, boundary, scheme).at(u, t)
    return problem.face_flux(u, axis)


def tendency(
    u: ArrayLike,
    law: Any,
    grid: Grid | Mesh,
    boundary: Boundary | Mapping[str, Any],
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
    problem = stated(law, grid, boundary, scheme, source)
    problem.require_state(u)
    return problem(u, jnp.asarray(t, u.dtype))


def rate(
    u: ArrayLike,
    law: Any,
    grid: Grid | Mesh,
    boundary: Boundary | Mapping[str, Any],
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
    return stated(law, grid, boundary, DEFAULT).at(u, t).rates(u)
