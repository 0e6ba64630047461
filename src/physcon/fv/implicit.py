"""Implicit steps for diffusion: no limit on the step.

On a grid they need tridiagonal solves only, on a mesh sparse factorisations.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._mesh import largest
from physcon._numerics.float64 import cast
from physcon._typing import Array, Float, Scalar
from physcon.boundary import Condition
from physcon.fv.diffusion.fluxes import diffusive_flux
from physcon.fv.diffusion.law import Diffusion
from physcon.fv.ghost import along, difference, is_periodic, mesh_axis, outer_sides
from physcon.fv.problem import Problem
from physcon.fv.stepping import ssp_rk2
from physcon.fv.tridiagonal import bands, solve_bands
from physcon.fv.unstructured import MeshProblem
from physcon.fv.unstructured.implicit import mesh_stage

F = TypeVar("F", bound=Callable)

#: γ of the L-stable two-stage method.
GAMMA = 1 - 2**-0.5
#: Newton iterations of one step. Convergence is quadratic, and monotone for a convex
#: potential.
ITERATIONS = 30


def _solves(step: F) -> F:
    """Decorator: declare that a step solves equations on a mesh."""
    step.implicit = True  # type: ignore[attr-defined]
    return step


@_solves
def implicit_euler(
    problem: Problem | MeshProblem, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """A `Scheme.step` for a `Diffusion`: backward Euler, axis after axis.

    Each axis solves v - dt ∂_axis(k(v) ∂_axis v) = u by Newton's method with a
    tridiagonal Jacobian. Order 1 in time; keeps the maximum principle for any dt;
    conserves to the rounding of the last iteration. In 2-D and 3-D the axes are split
    (locally one-dimensional method). Derivatives follow from the solved equation (one
    linear solve), not from the iterations. A source is evaluated at the old time.

    On a mesh nothing is split: v - dt (div(k(v) grad v) + source(v)) = u is solved with
    the non-orthogonal correction. One step with a very large dt is a steady solution.

    Raises:
        ValueError: a hyperbolic law or, on a grid, a periodic axis.

    Source: Yanenko, The Method of Fractional Steps (1971), ch. 2 (splitting).
    """
    parts = problem.parts_of_step
    if parts[0] is not None and problem.source is not None:
        u = u + dt * problem.forcing(u, t)
    for part in parts:
        u = _stage(problem, u, part, t + dt, dt)
    return u


@_solves
def sdirk2(
    problem: Problem | MeshProblem, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """A `Scheme.step` for a `Diffusion`: two implicit stages, order 2, L-stable.

    v₁ = u + γ dt f(v₁) and v₂ = u + (1 - γ) dt f(v₁) + γ dt f(v₂), γ = 1 - 1/√2, where
    dt f(v₁) = (v₁ - u)/γ is known. Conserves as `implicit_euler` does; monotone only
    for moderate dt. In 2-D and 3-D the axes are split symmetrically (Strang), and so is
    a source. On a mesh nothing is split.

    Raises:
        ValueError: a hyperbolic law or, on a grid, a periodic axis.

    Source: Alexander, SIAM J. Numer. Anal. 14 (1977) 1006, theorem 5 (two stages).
    """
    *before, last = problem.parts_of_step
    split = last is not None and problem.source is not None

    def two_stages(u: Array, part: int | None, t: Array, dt: Array) -> Array:
        first = _stage(problem, u, part, t + GAMMA * dt, GAMMA * dt)
        known = u + (1 - GAMMA) / GAMMA * (first - u)
        return _stage(problem, known, part, t + dt, GAMMA * dt)

    def forced(u: Array, t: Array, dt: Array) -> Array:
        return ssp_rk2(problem.forcing, u, t, dt) if split else u

    half = 0.5 * dt
    u = forced(u, t, half)
    for part in before:
        u = two_stages(u, part, t, half)
    u = two_stages(u, last, t, dt)
    for part in reversed(before):
        u = two_stages(u, part, t + half, half)
    return forced(u, t + half, half)


def _stage(problem: Any, u: Array, axis: int | None, t: Array, dt: Array) -> Array:
    """Backward Euler along one axis, with the conditions on its sides at time t.

    None: in all directions at once, on a mesh.
    """
    if axis is None:
        return mesh_stage(problem, u, t, dt)
    law = problem.law
    require(
        isinstance(law, Diffusion),
        "a Diffusion",
        type(law).__name__,
        "use an explicit step",
    )
    sides = cast(problem.boundary.at(t), u.dtype).sides[axis]
    require(
        not is_periodic(outer_sides(sides)),
        "no periodic axis",
        f"axis {axis}",
        "use an explicit step there: its Jacobian is not tridiagonal",
    )
    seams = problem.boundary.seams()
    return _solved(u, law, sides, dt, problem.widths(axis), axis, seams)


@eqx.filter_jit  # one program for all calls outside of jit
def _solved(
    u: Array,
    law: Diffusion,
    sides: tuple[Condition, Condition],
    dt: Array,
    widths: Array,
    axis: int,
    seams: tuple[str, ...],
) -> Array:
    """The solution v of v - u = dt div flux(v), by Newton's method.

    Derivatives of every order follow from the solved equation, dv = -J⁻¹ ∂residual
    (implicit function theorem), not from the iterations.
    """
    name = mesh_axis(sides)

    def residual(v: Array) -> Array:
        leaving = difference(diffusive_flux(v, law, widths, sides, axis), axis)
        return v - u + dt * leaving / along(widths, u.ndim, axis)

    def linear_solve(jacobian: Callable[[Array], Array], right: Array) -> Array:
        return solve_bands(bands(jacobian, right, axis, name), right, axis, name)

    def newton(residual: Callable[[Array], Array], start: Array) -> Array:
        def iterate(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            v, _, count = state
            missing, jacobian = jax.linearize(residual, v)
            change = linear_solve(jacobian, missing)
            return v - change, largest(jnp.abs(change), seams), count + 1

        def unsettled(state: tuple[Array, Array, Array]) -> Array:
            v, change, count = state
            enough = 4 * jnp.finfo(v.dtype).eps * largest(jnp.abs(v), seams)
            return (change > enough) & (count < ITERATIONS)

        first = (start, jnp.full((), jnp.inf, start.dtype), jnp.zeros((), jnp.int32))
        return iterate(jax.lax.while_loop(unsettled, iterate, first))[0]

    return jax.lax.custom_root(residual, u, newton, linear_solve)
