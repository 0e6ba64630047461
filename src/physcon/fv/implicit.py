"""Implicit steps for diffusion: no step limit, tridiagonal solves only."""

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._mesh import largest
from physcon._numerics.float64 import cast
from physcon._typing import Array, Float, Scalar
from physcon.fv.diffusion import Diffusion, diffusive_flux
from physcon.fv.ghost import along, is_periodic, mesh_axis, outer_sides, take
from physcon.fv.semidiscrete import Problem
from physcon.fv.stepping import ssp_rk2
from physcon.fv.tridiagonal import bands, solve_bands

#: γ of the L-stable two-stage method.
GAMMA = 1 - 2**-0.5
#: Newton iterations of one step; convergence is quadratic, and monotone for a convex
#: potential.
ITERATIONS = 30


def implicit_euler(
    problem: Problem, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """A `Scheme.step` for a `Diffusion`: backward Euler, axis after axis.

    Each axis solves v - dt ∂_axis(k(v) ∂_axis v) = u by Newton's method with a
    tridiagonal Jacobian. Order 1 in time; keeps the maximum principle for any dt;
    conserves to the rounding of the last iteration. In 2-D and 3-D the axes are split
    (locally one-dimensional method). Derivatives are those of the solved equation (one
    linear solve), not of the iterations.

    A source is taken at the old time.
    Raises: ValueError for a hyperbolic law or a periodic axis.
    Source: Yanenko, The Method of Fractional Steps (1971), ch. 2 (splitting).
    """
    if problem.source is not None:
        u = u + dt * problem.source(u, t)
    for axis in range(problem.grid.ndim):
        u = _axis_step(problem, u, axis, t + dt, dt)
    return u


def sdirk2(
    problem: Problem, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """A `Scheme.step` for a `Diffusion`: two backward Euler steps that make order 2,
    L-stable.

    v₁ = u + γ dt f(v₁) and v₂ = u + (1 - γ) dt f(v₁) + γ dt f(v₂), γ = 1 - 1/√2, where
    dt f(v₁) = (v₁ - u)/γ is known. Conserves as `implicit_euler` does; monotone only
    for moderate dt. In 2-D and 3-D the axes are split symmetrically (Strang), a source
    likewise.

    Raises: ValueError for a hyperbolic law or a periodic axis.
    Source: Alexander, SIAM J. Numer. Anal. 14 (1977) 1006, theorem 5 (the method of two
        stages).
    """

    def along_axis(u: Array, axis: int, t: Array, dt: Array) -> Array:
        first = _axis_step(problem, u, axis, t + GAMMA * dt, GAMMA * dt)
        known = u + (1 - GAMMA) / GAMMA * (first - u)
        return _axis_step(problem, known, axis, t + dt, GAMMA * dt)

    def forced(u: Array, t: Array, dt: Array) -> Array:
        return u if problem.source is None else ssp_rk2(problem.source, u, t, dt)

    half, last = 0.5 * dt, problem.grid.ndim - 1
    u = forced(u, t, half)
    for axis in range(last):
        u = along_axis(u, axis, t, half)
    u = along_axis(u, last, t, dt)
    for axis in reversed(range(last)):
        u = along_axis(u, axis, t + half, half)
    return forced(u, t + half, half)


def _axis_step(problem: Problem, u: Array, axis: int, t: Array, dt: Array) -> Array:
    """Backward Euler along one axis, with the conditions on its sides at time t.

    The derivative rule: the converged v is taken as constant, and one more Newton step,
    whose residual knows the live arguments, carries dv = -J⁻¹ ∂residual (implicit
    function theorem).
    """
    law, sides = problem.law, cast(problem.boundary.at(t), u.dtype).sides[axis]
    require(
        isinstance(law, Diffusion),
        "a Diffusion",
        type(law).__name__,
        "use an explicit step",
    )
    require(
        not is_periodic(outer_sides(sides)),
        "no periodic axis",
        f"axis {axis}",
        "use an explicit step there: its Jacobian is not tridiagonal",
    )
    widths, n = problem.grid.spacings[axis], u.shape[1 + axis]
    name, seams = mesh_axis(sides), problem.boundary.seams()

    def residual(v: Array, u: Array, law: Diffusion, sides: tuple, dt: Array) -> Array:
        flux = diffusive_flux(v, law, widths, sides, axis)
        leaving = take(flux, 1, n + 1, axis) - take(flux, 0, n, axis)
        return v - u + dt * leaving / along(widths, u.ndim, axis)

    fixed = jax.lax.stop_gradient((u, law, sides, dt))

    def correction(v: Array, residual_at_v: Array) -> Array:
        def jacobian(w: Array) -> Array:
            return jax.jvp(lambda v: residual(v, *fixed), (v,), (w,))[1]

        return solve_bands(bands(jacobian, v, axis, name), residual_at_v, axis, name)

    def iterate(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        v, _, count = state
        change = correction(v, residual(v, *fixed))
        return v - change, largest(jnp.abs(change), seams), count + 1

    def unsettled(state: tuple[Array, Array, Array]) -> Array:
        v, change, count = state
        enough = 4 * jnp.finfo(v.dtype).eps * (1 + largest(jnp.abs(v), seams))
        return (change > enough) & (count < ITERATIONS)

    start = (fixed[0], jnp.full((), jnp.inf, u.dtype), jnp.zeros((), jnp.int32))
    v = jax.lax.stop_gradient(jax.lax.while_loop(unsettled, iterate, start)[0])
    return v - correction(v, residual(v, u, law, sides, dt))
