"""A law on a grid with its sides and its scheme, at one time."""

from dataclasses import replace
from typing import Any, TypeVar

import equinox as eqx
import jax.numpy as jnp

from physcon._arguments import check_fields
from physcon._checks import require, require_given
from physcon._numerics.float64 import cast
from physcon._typing import Array, ArrayLike, Float
from physcon.boundary import Boundary
from physcon.fv.ghost import Sides, beyond
from physcon.fv.law import require_channels
from physcon.fv.parameter import require_numbers
from physcon.fv.scheme import DEFAULT, Scheme
from physcon.grid import Grid

P = TypeVar("P")


class Discretisation(eqx.Module):
    """The arguments that the functions of this package share.

    Attributes:
        law: a `Law`, a `Diffusion`, or a `Mixed` of both.
        grid: of cells.
        boundary: the conditions on the sides of the grid.
        scheme: reconstruction, Riemann solver and time step.
    """

    law: Any
    grid: Grid
    boundary: Boundary
    scheme: Scheme = DEFAULT

    def __check_init__(self) -> None:
        check_fields(self)
        grid, boundary = self.grid, self.boundary
        require_given(grid, Grid, "grid")
        require(
            grid.location == "cells",
            "a grid of cells",
            grid.location,
            "pass location='cells'",
        )
        require(
            boundary.ndim == grid.ndim,
            f"boundary conditions for {grid.ndim} axes",
            boundary.ndim,
            "pass one condition or pair per axis",
        )
        require_law(self.law)

    def parts(self) -> tuple[Any, Grid, Boundary, Scheme]:
        """(law, grid, boundary, scheme), as `tendency` and `face_flux` take them."""
        return self.law, self.grid, self.boundary, self.scheme

    def widths(self, axis: int) -> Float[Array, "..."]:
        """Cell widths of an axis: a scalar where all are equal, else ``(n,)``."""
        return self.grid.spacings[axis]

    def sides(self, axis: int) -> Sides:
        """The conditions on both sides of an axis."""
        return self.boundary.sides[axis]

    def require_state(self, u: Array) -> None:
        """Raise ValueError unless `u` is a real state ``(c, *x)`` on the grid."""
        require_state(u, self.grid)
        require_channels_of(u, self.law, self.grid.ndim)

    def at(self: P, u: Array, t: ArrayLike) -> P:
        """The problem at time t, with every array in the dtype of the state `u`.

        Raises:
            ValueError: the state does not lie on the grid, is neither float32 nor
                float64, or the law holds an array where it takes one number.
        """
        problem: Any = self
        problem.require_state(u)
        require_numbers(problem.law)
        now = replace(problem, boundary=problem.boundary.at(t))
        return cast(now, u.dtype)


def require_law(law: Any) -> None:
    """Raise ValueError unless `law` is a law, and not a class of laws."""
    require(
        not isinstance(law, type)
        and hasattr(law, "hyperbolic")
        and hasattr(law, "diffusion"),
        "a law: a subclass of fv.Law or fv.Diffusion, or fv.Mixed of both",
        repr(law),
        "pass an instance of such a class",
    )


def require_real(u: Array) -> None:
    """Raise ValueError unless a state holds float32 or float64 numbers."""
    require(
        u.dtype in (jnp.float32, jnp.float64),
        "a state of float32 or float64",
        u.dtype,
        "convert it: u.astype(jnp.float32)",
    )


def require_channels_of(u: Array, law: Any, dimensions: int) -> None:
    """Raise ValueError if a state lacks channels that the law needs."""
    if hasattr(law.hyperbolic, "least_channels"):  # not of a diffusion alone
        require_channels(u, law.hyperbolic, dimensions)


def require_state(u: Array, grid: Grid) -> None:
    """Raise ValueError unless `u` is a real state ``(c, *x)`` on the grid."""
    require_real(u)
    require(
        u.ndim == grid.ndim + 1 and u.shape[1:] == grid.shape,
        f"a state (channels, {', '.join(map(str, grid.shape))})",
        u.shape,
        "pass cell averages, channels first; batch with jax.vmap",
    )


def surrounded(
    problem: Discretisation, u: Float[Array, "c *x"], ghosts: int
) -> Float[Array, "c *p"]:
    """The state with ghost cells beyond all sides, of which corners have no meaning.

    Every condition meets the state itself, so that it may vary along its side.
    """
    cells, law = u, problem.law.hyperbolic
    for axis in range(problem.grid.ndim):
        widths, sides = problem.widths(axis), problem.sides(axis)
        ends = beyond(u, widths, sides, ghosts, law, axis)
        corners = [ghosts if 0 < k <= axis else 0 for k in range(u.ndim)]
        before, after = (jnp.pad(end, [(k, k) for k in corners]) for end in ends)
        cells = jnp.concatenate([before, cells, after], axis=1 + axis)
    return cells
