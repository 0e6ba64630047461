"""Which points of a bounded field sit on their bounds: the dual of a projection onto
laws in a box.

    minimise Σ (u - μ)² / (2 V)   subject to   G u + N λ = b,   l <= u <= h

has the solution u(λ) = clip(μ + V Gᵀ λ, l, h), where the multipliers λ make F(λ) = G
u(λ) + N λ - b vanish. F is the gradient of a convex, piecewise quadratic function, so
Newton's method on it with an exact line search converges from everywhere, in a handful
of steps.

Source: one row is the continuous quadratic knapsack (Cominetti, Mascarenhas and Silva,
Math. Prog. Comput. 6 (2014) 151); several: semismooth Newton on the dual (Qi and Sun,
SIAM J. Matrix Anal. Appl. 28 (2006) 360).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics.products import combine, gram, inner
from physcon._typing import Array, Bool, Float, Int, Scalar


class Problem(NamedTuple):
    """A bounded projection; every array of one dtype."""

    mean: Float[Array, "*x"]
    variance: Float[Array, "*x"]
    rows: Float[Array, "m *x"]
    value: Float[Array, " m"]
    noise_variance: Float[Array, " m"]
    lower: Float[Array, "*x"]
    upper: Float[Array, "*x"]


class ActiveSet(NamedTuple):
    """Where the solution sits on its bounds, and what holds it there."""

    below: Bool[Array, "*x"]
    above: Bool[Array, "*x"]
    multiplier: Float[Array, " m"]
    dependent: Bool[Array, " m"]
    converged: Bool[Array, ""]
    iterations: Int[Array, ""]


def nondecreasing_root(
    fn: Callable[[Scalar], tuple[Scalar, Scalar, Scalar]], start: Scalar, reach: Scalar
) -> Scalar:
    """t with fn(t) = 0 for a nondecreasing, piecewise linear function: safeguarded
    Newton.

    `fn` returns value, slope, and the size below which a value counts as zero. Newton's
    step is taken where it stays inside the bracket and the value halves; else the
    bracket is bisected, or, while a side is open, left by twice the last `reach`.
    """
    rounding = 4 * jnp.finfo(start.dtype).eps

    class State(NamedTuple):
        t: Scalar
        below: Scalar
        above: Scalar
        reach: Scalar
        size: Scalar
        count: Int[Array, ""]
        done: Bool[Array, ""]

    def body(s: State) -> State:
        value, slope, zero = fn(s.t)
        below = jnp.where(value < 0, s.t, s.below)
        above = jnp.where(value > 0, s.t, s.above)
        newton = s.t - value / jnp.where(slope > 0, slope, 1)
        closed = jnp.isfinite(below) & jnp.isfinite(above)
        slow = closed & (jnp.abs(value) > 0.5 * s.size)
        trusted = (slope > 0) & (below < newton) & (newton < above) & ~slow
        middle = 0.5 * jnp.where(closed, below + above, 0)
        outward = jnp.where(closed, middle, s.t - jnp.sign(value) * s.reach)
        following = jnp.where(trusted, newton, outward)
        exhausted = closed & (above - below <= rounding * jnp.maximum(-below, above))
        found = (jnp.abs(value) <= zero) | ~jnp.isfinite(value)
        done = found | (following == s.t) | exhausted
        return State(
            t=jnp.where(found, s.t, following),
            below=below,
            above=above,
            reach=jnp.where(trusted, s.reach, 2 * s.reach),
            size=jnp.abs(value),
            count=s.count + 1,
            done=done,
        )

    infinity = jnp.full_like(start, jnp.inf)
    first = State(
        start, -infinity, infinity, reach, infinity, jnp.int32(0), jnp.array(False)
    )
    return jax.lax.while_loop(
        lambda s: ~s.done & (s.count < _LINE_STEPS), body, first
    ).t


def find_active_set(problem: Problem) -> ActiveSet:
    """Solve F(λ) = 0 by Newton's method in multipliers of unit row variance, λ = d ν."""
    mean, variance, rows, value, noise, lower, upper = problem
    space = tuple(range(1, rows.ndim))
    total = jnp.sum(variance[None] * rows**2, axis=space) + noise
    d = jnp.where(total > 0, total, 1) ** -0.5
    size = jnp.abs(rows)

    def field(v: Array) -> tuple[Array, Array]:
        """Solution of the multipliers v, and where it is free to move."""
        y = mean + variance * combine(d * v, rows)
        return jnp.clip(y, lower, upper), (lower < y) & (y < upper)

    def misfit(v: Array, u: Array, free: Array) -> tuple[Array, Array]:
        """(d F, size of the terms of d F). A point that moves is a sum with its mean."""
        bound = inner(size, jnp.abs(u) + jnp.where(free, jnp.abs(mean), 0)) + jnp.abs(
            value
        )
        return d * (inner(rows, u) + noise * d * v - value), d * (
            bound + noise * jnp.abs(d * v)
        )

    def jacobian(free: Array) -> Array:
        moving = jnp.where(free, jnp.sqrt(variance), 0)[None] * rows
        return d[:, None] * (gram(moving) + jnp.diag(noise)) * d[None]

    def newton_step(state: tuple) -> tuple:
        v, _, count, last = state
        u, free = field(v)
        f, terms = misfit(v, u, free)
        error = jnp.max(jnp.abs(f) / jnp.where(terms > 0, terms, 1))
        # Regularised in proportion to the error: points on their bounds may hide a row
        # entirely.
        shift = jnp.clip(_SHIFT * jnp.sqrt(jnp.sum(f**2)), 1e-12, _SHIFT)
        factor = jnp.linalg.cholesky(
            jacobian(free) + shift * jnp.eye(f.size, dtype=f.dtype)
        )
        step = -jax.scipy.linalg.cho_solve((factor, True), f)
        along = combine(d * step, rows)
        several = float(f.size > 1)  # one row is solved by its first line search
        coarse = 0.1 * several * jnp.abs(jnp.sum(step * f))
        proximal = (
            several * shift * jnp.sum(step**2)
        )  # no escape along rows that contradict

        def slope_along(t: Scalar) -> tuple[Scalar, Scalar, Scalar]:
            """Of the dual function, at v + t step: (d/dt, d²/dt², rounding of the
            former).
            """
            y = u_start + t * (variance * along)
            u = jnp.clip(y, lower, upper)
            free = (lower < y) & (y < upper)
            gained = along * u
            terms = (gained, jnp.where(free, variance * along**2, 0), jnp.abs(gained))
            zeros = (jnp.zeros((), y.dtype),) * 3
            axes = tuple(range(y.ndim))
            total, curvature, magnitude = jax.lax.reduce(terms, zeros, _add, axes)
            penalty = noise * d * d
            first = (
                total
                + jnp.sum(step * (penalty * (v + t * step) - d * value))
                + t * proximal
            )
            magnitude = magnitude + jnp.sum(jnp.abs(step * d * value))
            second = curvature + jnp.sum(penalty * step**2) + proximal
            return first, second, jnp.maximum(_ROUNDING * magnitude, coarse)

        u_start = mean + variance * combine(d * v, rows)
        one = jnp.ones((), f.dtype)
        t = nondecreasing_root(slope_along, one, one)
        # Repeated rows whose values differ by rounding leave an error that no step
        # reduces.
        done = (error <= _ROUNDING) | ((error <= _TOLERANCE) & (error > 0.5 * last))
        done = done | ~jnp.isfinite(error)
        return jnp.where(done, v, v + t * step), done, count + 1, error

    start = (
        jnp.zeros_like(value),
        jnp.array(False),
        jnp.int32(0),
        jnp.array(jnp.inf, mean.dtype),
    )
    running = lambda s: ~s[1] & (s[2] < _NEWTON_STEPS)  # noqa: E731
    v, _, count, _ = jax.lax.while_loop(running, newton_step, start)
    u, free = field(v)
    f, terms = misfit(v, u, free)
    y = mean + variance * combine(d * v, rows)
    return ActiveSet(
        below=(y < lower) | (lower == upper),
        above=y > upper,
        multiplier=d * v,
        dependent=_dependent(
            jacobian(free | ((y == lower) | (y == upper)) & (lower < upper))
        ),
        converged=jnp.all(jnp.abs(f) <= _TOLERANCE * terms),
        iterations=count,
    )


def _dependent(s: Float[Array, "m m"]) -> Bool[Array, " m"]:
    """Rows of a Gram matrix that the earlier ones already imply."""
    diagonal = jnp.diag(s)
    scale = jnp.where(diagonal > 0, diagonal, 1) ** -0.5
    eye = jnp.eye(s.shape[0], dtype=s.dtype)
    factor = jnp.linalg.cholesky(scale[:, None] * s * scale[None] + 1e-11 * eye)
    return ~(jnp.diag(factor) ** 2 > 1e-9)


def _add(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))


_LINE_STEPS = 200
_NEWTON_STEPS = 60
_SHIFT = 1e-3
#: Relative to the sum of absolute terms, in float64: zero; and met to the rounding of
#: float32.
_ROUNDING = 1e-13
_TOLERANCE = 5e-7
