"""Fluxes through the faces of one axis, and the tendency from whole arrays of them."""

from typing import Any

import jax.numpy as jnp

from physcon._typing import Array, Float
from physcon.fv import _gas_flux
from physcon.fv.diffusion.fluxes import diffusive_flux, diffusive_rate
from physcon.fv.discretisation import Discretisation
from physcon.fv.ghost import along, difference, impose_flux, pad, pad_widths
from physcon.fv.protocols import ghosts_of


def padded(
    problem: Discretisation, u: Float[Array, "c *x"], axis: int
) -> tuple[Float[Array, "c *p"], Float[Array, "..."]]:
    """The state and the widths with the cells that a reconstruction reads beyond."""
    widths, sides = problem.widths(axis), problem.sides(axis)
    ghosts = ghosts_of(problem.scheme.reconstruct)
    cells = pad(u, widths, sides, ghosts, problem.law.hyperbolic, axis)
    return cells, pad_widths(widths, sides, ghosts)


def hyperbolic_flux(
    problem: Discretisation, u: Float[Array, "c *x"], axis: int
) -> tuple[Float[Array, "c *f"], Float[Array, "c *x"] | None]:
    """Numerical fluxes of one axis, and the law's force on the cells."""
    flux, force = numerical_flux(problem, *padded(problem, u, axis), axis)
    return impose_flux(flux, problem.sides(axis), axis), force


def numerical_flux(
    problem: Discretisation,
    cells: Float[Array, "c *p"],
    widths: Float[Array, "..."],
    axis: int,
) -> tuple[Float[Array, "c *f"], Float[Array, "c *x"] | None]:
    """Fluxes and force from a state and widths with ghost cells along the axis."""
    law, scheme = problem.law.hyperbolic, problem.scheme
    if _gas_flux.applies(scheme, law):
        reconstruct: Any = scheme.reconstruct
        w_left, w_right = reconstruct.primitive_faces(cells, law, axis, widths)
        return _gas_flux.gas_flux(scheme, w_left, w_right, law, axis), None
    u_left, u_right = scheme.reconstruct(cells, law, axis, widths)
    flux = law.numerical_flux(scheme.riemann, u_left, u_right, axis)
    return flux, law.cell_force(u_left, u_right, axis)


def sweep(
    problem: Discretisation, u: Float[Array, "c *x"], axis: int
) -> tuple[Float[Array, "c *f"], Float[Array, "c *x"] | None]:
    """Fluxes of one axis, advective and diffusive, and the law's force on the cells."""
    law, sides = problem.law, problem.sides(axis)
    if law.diffusion is None:
        return hyperbolic_flux(problem, u, axis)
    diffusive = diffusive_flux(u, law.diffusion, problem.widths(axis), sides, axis)
    if law.hyperbolic is None:
        return diffusive, None
    flux, force = hyperbolic_flux(problem, u, axis)
    return impose_flux(flux + diffusive, sides, axis), force


def by_axis(problem: Discretisation, u: Float[Array, "c *x"]) -> Float[Array, "c *x"]:
    """The tendency from whole arrays of fluxes: for any law, boundary and grid."""
    total = jnp.zeros_like(u)
    for axis in range(problem.grid.ndim):
        flux, force = sweep(problem, u, axis)
        total = total + net_change(flux, force, problem.widths(axis), axis)
    return total


def net_change(
    flux: Float[Array, "c *f"],
    force: Float[Array, "c *x"] | None,
    widths: Float[Array, "..."],
    axis: int,
) -> Float[Array, "c *x"]:
    """The change of cells per time by the fluxes of one axis and the force on them."""
    change = -difference(flux, axis)
    change = change if force is None else change + force
    return change / along(widths, flux.ndim, axis)


def crossing_rate(
    problem: Discretisation, u: Float[Array, "c *x"]
) -> Float[Array, "*x"]:
    """Per cell, cell widths crossed per unit time, summed over the axes."""
    law = problem.law
    total = jnp.zeros(u.shape[1:], u.dtype)
    for axis in range(problem.grid.ndim):
        widths = problem.widths(axis)
        if law.hyperbolic is not None:
            speed = law.hyperbolic.max_speed(u, axis)
            total = total + speed / along(widths, u.ndim - 1, axis - 1)
        if law.diffusion is not None:
            sides = problem.sides(axis)
            total = total + diffusive_rate(u, law.diffusion, widths, sides, axis)
    return total
