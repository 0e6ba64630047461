"""MUSCL-Hancock: second order in space and time from one Riemann solve per face and
step.
"""

import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float, Scalar
from physcon.boundary import Condition, Dirichlet, Reflective
from physcon.fv._materialise import separately
from physcon.fv.ghost import (
    Sides,
    along,
    at_face,
    beyond_sides,
    impose_flux,
    pad,
    pad_widths,
    take,
)
from physcon.fv.law import Law
from physcon.fv.reconstruction import MUSCL
from physcon.fv.semidiscrete import Problem


def muscl_hancock(
    problem: Problem, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """A `Scheme.step` for hyperbolic laws and `MUSCL`: half a step inside each cell,
    then one flux.

    The face states of each cell move half a step by the fluxes at its own faces, those
    of all axes together; the Riemann solver then gives the fluxes of the whole step.
    Stable for CFL <= 1.

    Raises: ValueError for a diffusion, a bed, or another reconstruction.
    Source: van Leer, SIAM J. Sci. Stat. Comput. 5 (1984) 1; Toro (2009), secs. 14.4 and
        16.5.
    """
    law, grid, boundary, scheme = problem.parts()
    require(
        isinstance(scheme.reconstruct, MUSCL)
        and isinstance(law, Law)
        and not getattr(law, "bed", False),
        "MUSCL and a hyperbolic law without a bed",
        f"{type(scheme.reconstruct).__name__} and {type(law).__name__}",
        "use ssp_rk2",
    )
    before, after = boundary.at(t), boundary.at(t + 0.5 * dt)
    half = (
        jnp.zeros_like(u) if problem.source is None else 0.5 * dt * problem.source(u, t)
    )
    faces = []
    for axis in range(grid.ndim):
        h, sides = grid.spacings[axis], before.sides[axis]
        n = grid.shape[axis]
        padded = pad(u, h, sides, 2, law, axis)
        lower, upper = scheme.reconstruct.cell_faces(
            padded, law, axis, pad_widths(h, sides, 2)
        )
        lower, upper = take(lower, 1, n + 1, axis), take(upper, 1, n + 1, axis)
        change = law.flux(lower, axis) - law.flux(upper, axis)
        half = half + 0.5 * dt * change / along(h, u.ndim, axis)
        faces.append((lower, upper))
    middle = t + 0.5 * dt
    total = (
        jnp.zeros_like(u)
        if problem.source is None
        else problem.source(u + half, middle)
    )
    for axis, (lower, upper) in enumerate(faces):
        h, sides = grid.spacings[axis], after.sides[axis]
        n = grid.shape[axis]
        left, right = separately(
            lambda lower, upper, half, sides=sides, axis=axis: _face_pairs(
                lower + half, upper + half, sides, law, axis
            ),
            lower,
            upper,
            half,
        )
        flux = law.numerical_flux(scheme.riemann, left, right, axis)
        flux = impose_flux(flux, sides, axis)
        change = take(flux, 0, n, axis) - take(flux, 1, n + 1, axis)
        total = total + change / along(h, u.ndim, axis)
    return u + dt * total


def _face_pairs(
    lower: Array, upper: Array, sides: Sides, law: Law, axis: int
) -> tuple[Array, Array]:
    """Left and right states of all faces from those inside the cells."""
    n = lower.shape[1 + axis]
    first, last = take(lower, 0, 1, axis), take(upper, n - 1, n, axis)

    def outside(sides: Sides) -> tuple[Array, Array]:
        return _outside(first, sides[0], law, axis), _outside(last, sides[1], law, axis)

    before, beyond = beyond_sides(first, last, sides, outside)
    left = jnp.concatenate([before, upper], axis=1 + axis)
    return left, jnp.concatenate([lower, beyond], axis=1 + axis)


def _outside(inner: Array, condition: Condition, law: Law, axis: int) -> Array:
    """The state beyond a side, at its face; a derivative already shaped the inner one."""
    if isinstance(condition, Reflective):
        return law.mirror(inner, axis)
    if isinstance(condition, Dirichlet):
        return jnp.broadcast_to(at_face(condition.value, inner, axis), inner.shape)
    return inner
