"""Newton's method for the dual of a projection onto rows in a box.

    minimise Σ (u - μ)² / (2 V)   subject to   G u + N λ = b,   l <= u <= h

has the solution u(λ) = clip(μ + V Gᵀ λ, l, h), where the multipliers λ make F(λ) = G
u(λ) + N λ - b vanish. F is the gradient of a convex, piecewise quadratic function, so
Newton's method on it with an exact line search converges in a handful of steps, unless
the box is so narrow that almost no point is free: see `interior_point` for that.

Source: one row is the continuous quadratic knapsack (Cominetti, Mascarenhas and Silva,
Math. Prog. Comput. 6 (2014) 151); several: semismooth Newton on the dual (Qi and Sun,
SIAM J. Matrix Anal. Appl. 28 (2006) 360).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from physcon._extremes import largest_of
from physcon._numerics.products import combine, inner
from physcon._typing import Array, Scalar
from physcon.conditioning._root import nondecreasing_root
from physcon.conditioning.optimality import (
    Problem,
    Proposal,
    gram_of,
    proposal_of,
    row_scale,
)


def find_active_set(problem: Problem, tolerance: float) -> Proposal:
    """Solve F(λ) = 0 by Newton's method in multipliers of unit row variance, λ = d ν.

    Args:
        tolerance: relative error of the rows at which a stalled iteration ends; pass
            the caller's rounding, by which the values of repeated rows may differ.
    """
    mean, variance, rows, value, noise, lower, upper = problem
    d = row_scale(problem)
    size = jnp.abs(rows)
    several = float(value.size > 1)  # one row is solved by its first line search

    def field(v: Array) -> tuple[Array, Array]:
        """Solution of the multipliers v, and where it is free to move."""
        y = mean + variance * combine(d * v, rows)
        return jnp.clip(y, lower, upper), (lower < y) & (y < upper)

    def misfit(v: Array, u: Array, free: Array) -> tuple[Array, Array]:
        """(d F, size of its terms); a point that moves is a sum with its mean."""
        bound = inner(size, jnp.abs(u) + jnp.where(free, jnp.abs(mean), 0))
        terms = d * (bound + jnp.abs(value) + noise * jnp.abs(d * v))
        return d * (inner(rows, u) + noise * d * v - value), terms

    def newton_step(state: tuple) -> tuple:
        v, _, count, last = state
        u, free = field(v)
        f, terms = misfit(v, u, free)
        error = largest_of(jnp.abs(f) / jnp.where(terms > 0, terms, 1))
        # Regularised in proportion to the error: points on their bounds may hide a row
        # entirely.
        shift = jnp.clip(_SHIFT * jnp.sqrt(jnp.sum(f**2)), 1e-12, _SHIFT)
        s = gram_of(problem, d, jnp.where(free, variance, 0))
        factor = jnp.linalg.cholesky(s + shift * jnp.eye(f.size, dtype=f.dtype))
        step = -jax.scipy.linalg.cho_solve((factor, True), f)
        coarse = 0.1 * several * jnp.abs(jnp.sum(step * f))
        # No escape along rows that contradict each other:
        proximal = several * shift * jnp.sum(step**2)
        slope = _slope_along(problem, d, (v, step), proximal, coarse)
        one = jnp.ones((), f.dtype)
        t = nondecreasing_root(slope, one, one)
        # Repeated rows whose values differ by rounding leave an error that no step
        # reduces.
        stalled = (error <= tolerance) & (error > 0.5 * last)
        done = (error <= _ROUNDING) | stalled | ~jnp.isfinite(error)
        return jnp.where(done, v, v + t * step), done, count + 1, error

    infinite = jnp.array(jnp.inf, mean.dtype)
    start = (jnp.zeros_like(value), jnp.array(False), jnp.int32(0), infinite)
    running = lambda s: ~s[1] & (s[2] < _NEWTON_STEPS)  # noqa: E731
    v, *_ = jax.lax.while_loop(running, newton_step, start)
    return proposal_of(problem, d * v)


def _slope_along(
    problem: Problem,
    d: Array,
    line: tuple[Array, Array],
    proximal: Scalar,
    coarse: Scalar,
) -> Callable[[Scalar], tuple[Scalar, Scalar, Scalar]]:
    """Slope and curvature of the dual function at v + t step, and their rounding.

    Args:
        d: scales of the rows.
        line: v and step.
        proximal: a curvature that is added.
        coarse: a size below which a slope counts as zero.
    """
    mean, variance, rows, value, noise, lower, upper = problem
    v, step = line
    start = mean + variance * combine(d * v, rows)
    along = combine(d * step, rows)
    penalty = noise * d * d

    def slope(t: Scalar) -> tuple[Scalar, Scalar, Scalar]:
        y = start + t * (variance * along)
        u = jnp.clip(y, lower, upper)
        free = (lower < y) & (y < upper)
        gained = along * u
        terms = (gained, jnp.where(free, variance * along**2, 0), jnp.abs(gained))
        zeros = (jnp.zeros((), y.dtype),) * 3
        total, curvature, magnitude = jax.lax.reduce(
            terms, zeros, _add, tuple(range(y.ndim))
        )
        pull = jnp.sum(step * (penalty * (v + t * step) - d * value))
        magnitude = magnitude + jnp.sum(jnp.abs(step * d * value))
        second = curvature + jnp.sum(penalty * step**2) + proximal
        first = total + pull + t * proximal
        return first, second, jnp.maximum(_ROUNDING * magnitude, coarse)

    return slope


def _add(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))


_NEWTON_STEPS = 60
_SHIFT = 1e-3
#: Relative to the sum of absolute terms, in float64.
_ROUNDING = 1e-13
