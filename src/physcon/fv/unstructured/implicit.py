"""Backward Euler steps of a diffusion on a mesh, by Newton's and Krylov's methods.

The Jacobian has the two-point coupling of neighbours and the non-orthogonal correction,
which reaches their neighbours. The first is inverted exactly, by sparse Cholesky
factorisation, and preconditions conjugate residuals for both. On an orthogonal mesh one
iteration suffices.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._extremes import largest_of
from physcon._numerics.krylov import conjugate_residuals
from physcon._typing import Array, Float, Scalar
from physcon.fv.diffusion.law import Diffusion
from physcon.fv.unstructured.two_point import inverse

#: Newton iterations of one step.
_ITERATIONS = 30
#: Iterations of conjugate residuals for one of them.
_KRYLOV = 200


def mesh_stage(
    problem: Any, u: Float[Array, "c n"], t: Scalar, dt: Scalar
) -> Float[Array, "c n"]:
    """The solution v of v - dt (div flux(v) + source(v)) = u, all at time t.

    It is NaN where Newton's method does not converge.

    Raises:
        ValueError: a hyperbolic law.
    """
    require(
        isinstance(problem.law, Diffusion),
        "a Diffusion",
        type(problem.law).__name__,
        "use an explicit step, or Strang for waves with diffusion",
    )
    return _solved(problem, u, jnp.asarray(t, u.dtype), jnp.asarray(dt, u.dtype))


def _solved(problem: Any, u: Array, t: Array, dt: Array) -> Array:
    """The solution, with derivatives of every order by `_tangent`."""
    by_newton = eqx.filter_custom_jvp(_newton)
    by_newton.def_jvp(_tangent)
    return by_newton(problem, u, t, dt)


def _newton(problem: Any, u: Array, t: Array, dt: Array) -> Array:
    eps = jnp.finfo(u.dtype).eps

    def iterate(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        v, _, count = state
        missing, jacobian = jax.linearize(lambda v: _residual(v, problem, u, t, dt), v)
        change = _linear_solve(jacobian, missing, v, problem, t, dt)
        return v - change, largest_of(jnp.abs(change)), count + 1

    def unsettled(state: tuple[Array, Array, Array]) -> Array:
        v, change, count = state
        enough = 4 * eps * largest_of(jnp.abs(v))
        return (change > enough) & (count < _ITERATIONS)

    first = (u, jnp.full((), jnp.inf, u.dtype), jnp.zeros((), jnp.int32))
    v, change, _ = jax.lax.while_loop(unsettled, iterate, first)
    close = change <= jnp.sqrt(eps) * largest_of(jnp.abs(v))
    return jnp.where(close, v, jnp.nan)


def _tangent(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """dv = -J⁻¹ ∂residual: from the solved equation, not from the iterations."""
    v = _solved(*primals)
    problem, _, t, dt = primals
    _, missing = eqx.filter_jvp(lambda *given: _residual(v, *given), primals, tangents)
    _, jacobian = jax.linearize(lambda v: _residual(v, *primals), v)
    return v, -_linear_solve(jacobian, missing, v, problem, t, dt)


def _residual(v: Array, problem: Any, u: Array, t: Array, dt: Array) -> Array:
    """v - u - dt times the tendency at v."""
    now = problem.at(v, t)
    return v - u - dt * (now.change(v) + now.forcing(v, t))


def _linear_solve(
    jacobian: Any, right: Array, v: Array, problem: Any, t: Array, dt: Array
) -> Array:
    """J⁻¹ right; NaN where the iterations miss it by more than half of the digits."""
    arrays, rest = eqx.partition((problem.at(v, t), v, dt), eqx.is_inexact_array)
    approximate = inverse(*eqx.combine(jax.lax.stop_gradient(arrays), rest))
    eps = float(jnp.finfo(v.dtype).eps)

    def by(precondition: Any) -> Any:
        def solve(apply: Any, b: Array) -> Array:
            x, missed = conjugate_residuals(
                apply,
                b,
                rtol=4 * eps,
                max_steps=_KRYLOV,
                precondition=precondition,
            )
            return jnp.where(missed <= eps**0.5, x, jnp.nan)

        return solve

    return jax.lax.custom_linear_solve(
        jacobian, right, by(approximate.apply), by(approximate.transposed)
    )
