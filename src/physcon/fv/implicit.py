"""Implicit steps for diffusion: no step limit, tridiagonal solves only."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float, Scalar
from physcon.boundary import Condition
from physcon.fv.diffusion import Diffusion, diffusive_flux
from physcon.fv.ghost import along, is_closed, take
from physcon.fv.semidiscrete import Problem

#: Newton iterations of one step; convergence is quadratic, and monotone for a convex potential.
ITERATIONS = 30


def implicit_euler(
    problem: Problem, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """A `Scheme.step` for a `Diffusion`: backward Euler, axis after axis.

    Each axis solves v - dt ∂_axis(k(v) ∂_axis v) = u by Newton's method with a tridiagonal
    Jacobian. Order 1 in time; keeps the maximum principle for any dt; conserves to the rounding of
    the last iteration. In 2-D and 3-D the axes are split (locally one-dimensional method).
    Derivatives are those of the solved equation (one linear solve), not of the iterations.

    A source is taken at the old time.
    Raises: ValueError for a hyperbolic law, a periodic axis, or one divided among devices.
    Source: Yanenko, The Method of Fractional Steps (1971), ch. 2 (splitting).
    """
    law, grid, boundary, _ = problem.parts()
    require(isinstance(law, Diffusion), "a Diffusion", type(law).__name__, "use an explicit step")
    sides_then = boundary.at(t + dt).sides
    if problem.source is not None:
        u = u + dt * problem.source(u, t)
    for axis, sides in enumerate(sides_then):
        require(
            not is_closed(sides),
            "no periodic axis, and none divided among devices",
            f"axis {axis}",
            "use an explicit step there: its Jacobian is not tridiagonal",
        )
        u = _axis_step(u, law, grid.spacings[axis], sides, axis, dt)
    return u


def _axis_step(
    u: Array,
    law: Diffusion,
    widths: Array,
    sides: tuple[Condition, Condition],
    axis: int,
    dt: Array,
) -> Array:
    """Backward Euler along one axis.

    The derivative rule: the converged v is taken as constant, and one more Newton step, whose
    residual knows the live arguments, carries dv = -J⁻¹ ∂residual (implicit function theorem).
    """
    n = u.shape[1 + axis]

    def residual(v: Array, u: Array, law: Diffusion, sides: tuple, dt: Array) -> Array:
        flux = diffusive_flux(v, law, widths, sides, axis)
        leaving = take(flux, 1, n + 1, axis) - take(flux, 0, n, axis)
        return v - u + dt * leaving / along(widths, u.ndim, axis)

    fixed = jax.lax.stop_gradient((u, law, sides, dt))

    def correction(v: Array, residual_at_v: Array) -> Array:
        lines = jnp.moveaxis(residual_at_v, 1 + axis, -1)[..., None]
        bands = _tridiagonal(lambda w: residual(w, *fixed), v, axis)
        return jnp.moveaxis(jax.lax.linalg.tridiagonal_solve(*bands, lines)[..., 0], -1, 1 + axis)

    def iterate(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        v, _, count = state
        change = correction(v, residual(v, *fixed))
        return v - change, jnp.max(jnp.abs(change)), count + 1

    def unsettled(state: tuple[Array, Array, Array]) -> Array:
        v, change, count = state
        enough = 4 * jnp.finfo(v.dtype).eps * (1 + jnp.max(jnp.abs(v)))
        return (change > enough) & (count < ITERATIONS)

    start = (fixed[0], jnp.full((), jnp.inf, u.dtype), jnp.zeros((), jnp.int32))
    v = jax.lax.stop_gradient(jax.lax.while_loop(unsettled, iterate, start)[0])
    return v - correction(v, residual(v, u, law, sides, dt))


def _tridiagonal(
    residual: Callable[[Array], Array], v: Array, axis: int
) -> tuple[Array, Array, Array]:
    """The three diagonals of the Jacobian, from three directional derivatives.

    Columns of one colour (index modulo 3) never meet in a row.
    """
    colour = jnp.arange(v.shape[1 + axis]) % 3
    hits = []
    for k in range(3):
        seed = jnp.broadcast_to(along((colour == k).astype(v.dtype), v.ndim, axis), v.shape)
        hits.append(jnp.moveaxis(jax.jvp(residual, (v,), (seed,))[1], 1 + axis, -1))

    def diagonal(offset: int) -> Array:
        wanted = (colour + offset) % 3
        wanted = wanted.reshape((1,) * (v.ndim - 1) + (-1,))
        return jnp.where(wanted == 0, hits[0], jnp.where(wanted == 1, hits[1], hits[2]))

    n = v.shape[1 + axis]
    row = jnp.arange(n).reshape((1,) * (v.ndim - 1) + (-1,))
    lower = jnp.where(row > 0, diagonal(-1), 0)
    upper = jnp.where(row < n - 1, diagonal(1), 0)
    return lower, diagonal(0), upper
