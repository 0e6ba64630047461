"""MUSCL-Hancock: second order in space and time from one Riemann solve per face."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._derivative_rules import WithDerivative
from physcon._typing import Array, Float, PyTree, Scalar
from physcon.fv._half_step import keeps_sense, require_no_force, state_outside
from physcon.fv._hancock_cells import is_by_cell, step_by_cell
from physcon.fv._stage import resolved, stage, storing_stages
from physcon.fv.ghost import (
    Sides,
    along,
    beyond_sides,
    difference,
    impose_flux,
    pad,
    pad_widths,
    take,
)
from physcon.fv.law import Law
from physcon.fv.problem import Problem
from physcon.fv.reconstruction import MUSCL
from physcon.fv.stepping import explicit


@explicit(waves=1.0, diffusion=1.0)
def muscl_hancock(
    problem: Problem, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """A `Scheme.step` for hyperbolic laws and `MUSCL`: half a step inside each cell.

    The face states of each cell move half a step by the fluxes at its own faces, along
    all axes together; the Riemann solver then gives the fluxes of the whole step.
    Stable for CFL <= 1. Where half a step would leave a negative density, pressure or
    depth at a face of a cell, the cell's average is used at both of its faces.

    Raises:
        ValueError: a diffusion, a bed or another force on cells, or a reconstruction
            other than MUSCL.

    Source: van Leer, SIAM J. Sci. Stat. Comput. 5 (1984) 1; Toro (2009), secs. 14.4 and
    16.5; for the averages, Waagan, J. Comput. Phys. 228 (2009) 8609.
    """
    _require_muscl(problem)
    evaluate = resolved(problem.scheme.evaluate)
    if evaluate == "cells" and is_by_cell(problem, u):
        return _cells(problem, u, t, dt)
    with storing_stages(evaluate != "fused"):
        return _step(problem, u, t, dt)


def _cells(problem: Problem, u: Array, t: Scalar, dt: Scalar) -> Array:
    """One kernel; its derivative is the one of whole arrays, which compiles sooner."""
    arrays, rest = eqx.partition((problem, u, t, dt), eqx.is_inexact_array)

    def whole(arrays: PyTree) -> Array:
        with storing_stages(True):
            return _step(*eqx.combine(arrays, rest))

    @WithDerivative
    def step(arrays: PyTree) -> Array:
        return step_by_cell(*eqx.combine(arrays, rest))

    step.defjvp(partial(jax.jvp, whole))
    return step(arrays)


def _step(problem: Problem, u: Array, t: Scalar, dt: Scalar) -> Array:
    middle = t + 0.5 * dt
    before = problem.at(u, t)
    after = problem.at(u, middle)
    law = before.law.hyperbolic
    axes = range(problem.grid.ndim)
    states = [_within_cells(before, u, axis) for axis in axes]
    half = 0.5 * dt * problem.forcing(u, t)
    for axis, (lower, upper) in enumerate(states):
        change = law.flux(lower, axis) - law.flux(upper, axis)
        half = half + 0.5 * dt * change / along(before.widths(axis), u.ndim, axis)
    total = problem.forcing(u + half, middle)
    for axis, (lower, upper) in enumerate(states):
        sides = after.sides(axis)
        sound = keeps_sense(lower, upper, half, law)
        inside = lower, upper
        u_left, u_right = _face_pairs(u, inside, half, sound, sides, law, axis)
        flux = law.numerical_flux(problem.scheme.riemann, u_left, u_right, axis)
        require_no_force(law.cell_force(u_left, u_right, axis), law)
        flux = impose_flux(flux, sides, axis)
        widths = along(before.widths(axis), u.ndim, axis)
        total = total - difference(flux, axis) / widths
    return u + dt * total


def _within_cells(problem: Problem, u: Array, axis: int) -> tuple[Array, Array]:
    """States inside each cell at its lower and its upper face."""
    widths, sides = problem.widths(axis), problem.sides(axis)
    n, law = u.shape[1 + axis], problem.law.hyperbolic
    padded = pad(u, widths, sides, 2, law, axis)
    reconstruct: Any = problem.scheme.reconstruct
    lower, upper = reconstruct.cell_faces(
        padded, law, axis, pad_widths(widths, sides, 2)
    )
    return take(lower, 1, n + 1, axis), take(upper, 1, n + 1, axis)


@stage
def _face_pairs(
    u: Array,
    states: tuple[Array, Array],
    half: Array,
    sound: Array | None,
    sides: Sides,
    law: Law,
    axis: int,
) -> tuple[Array, Array]:
    """Left and right states of all faces, half a step later."""
    lower, upper = states[0] + half, states[1] + half
    if sound is not None:
        lower = jnp.where(sound > 0, lower, u)
        upper = jnp.where(sound > 0, upper, u)
    n = lower.shape[1 + axis]
    first = take(lower, 0, 1, axis)
    last = take(upper, n - 1, n, axis)

    def outside(sides: Sides) -> tuple[Array, Array]:
        return (
            state_outside(first, sides[0], law, axis),
            state_outside(last, sides[1], law, axis),
        )

    before, beyond = beyond_sides(first, last, sides, outside)
    left = jnp.concatenate([before, upper], axis=1 + axis)
    return left, jnp.concatenate([lower, beyond], axis=1 + axis)


def _require_muscl(problem: Problem) -> None:
    law, reconstruct = problem.law, problem.scheme.reconstruct
    require(
        isinstance(reconstruct, MUSCL) and law.diffusion is None,
        "MUSCL and a hyperbolic law without diffusion",
        f"{type(reconstruct).__name__} and {type(law).__name__}",
        "use ssp_rk2",
    )
