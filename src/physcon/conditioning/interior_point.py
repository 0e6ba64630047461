"""A primal-dual interior point for the projection onto rows in a box.

    minimise Σ (u - μ)² / (2 V)   subject to   G u + N λ = b,   l <= u <= h

Each step is a conditioning with other variances, D = 1 / (1/V + p/(u - l) + q/(h - u)),
where p and q are the multipliers of the bounds. It converges where Newton's method on
the dual function is slow: for boxes so narrow, or so far from the mean, that hardly any
point is free.

Source: Mehrotra's predictor and corrector, as in Nocedal and Wright (2006), alg. 16.4.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics.products import combine, inner
from physcon._typing import Array, Bool, Float, Int, Scalar
from physcon.conditioning.optimality import Problem, Proposal, gram_of, row_scale


class _Setting(NamedTuple):
    """The problem, with everything that is the same in all steps."""

    problem: Problem
    moving: Bool[Array, "*x"]
    has_lower: Bool[Array, "*x"]
    has_upper: Bool[Array, "*x"]
    bounds: Int[Array, ""]  # their number, at least 1
    safe_variance: Float[Array, "*x"]
    scale: Float[Array, " m"]  # of the rows
    eye: Float[Array, "m m"]

    def slack(self, u: Array) -> tuple[Array, Array]:
        """Distances from the lower and the upper bounds; 1 where there is none."""
        left = jnp.where(self.has_lower, u - self.problem.lower, 1)
        right = jnp.where(self.has_upper, self.problem.upper - u, 1)
        return jnp.maximum(left, _LEAST), jnp.maximum(right, _LEAST)


class _State(NamedTuple):
    u: Float[Array, "*x"]
    multiplier: Float[Array, " m"]
    p: Float[Array, "*x"]
    q: Float[Array, "*x"]
    gap: Scalar
    first_gap: Scalar
    count: Int[Array, ""]
    done: Bool[Array, ""]


class _Direction(NamedTuple):
    u: Float[Array, "*x"]
    multiplier: Float[Array, " m"]
    p: Float[Array, "*x"]
    q: Float[Array, "*x"]


def interior_point(problem: Problem, wanted: Bool[Array, ""]) -> Proposal:
    """The solution and its active set; nothing is done unless `wanted`."""
    setting = _setting(problem)

    def running(s: _State) -> Bool[Array, ""]:
        return wanted & ~s.done & (s.count < _STEPS)

    def step(s: _State) -> _State:
        return _step(setting, s)

    s = jax.lax.while_loop(running, step, _start(setting))
    below, above = _touching(setting, s)
    return Proposal(s.multiplier, below | (problem.lower == problem.upper), above)


def _setting(problem: Problem) -> _Setting:
    moving = (problem.variance > 0) & (problem.lower < problem.upper)
    has_lower = moving & jnp.isfinite(problem.lower)
    has_upper = moving & jnp.isfinite(problem.upper)
    bounds = jnp.maximum(jnp.sum(has_lower) + jnp.sum(has_upper), 1)
    safe_variance = jnp.where(moving, problem.variance, 1)
    scale = row_scale(problem)
    eye = jnp.eye(problem.value.size, dtype=problem.value.dtype)
    return _Setting(
        problem, moving, has_lower, has_upper, bounds, safe_variance, scale, eye
    )


def _start(setting: _Setting) -> _State:
    """A point inside the box, with equal complementarity products."""
    mean, *_, lower, upper = setting.problem
    has_lower = setting.has_lower
    has_upper = setting.has_upper
    rest = jnp.clip(mean, lower, upper)
    std = jnp.sqrt(setting.safe_variance)
    inset = jnp.where(has_lower & has_upper, 0.1 * (upper - lower), 0.1 * std)
    inside = jnp.where(has_lower, jnp.maximum(mean, lower + inset), mean)
    inside = jnp.where(has_upper, jnp.minimum(inside, upper - inset), inside)
    u = jnp.where(setting.moving, inside, rest)
    left, right = setting.slack(u)
    far = jnp.abs(u - mean)
    products = has_lower * left * (far + left) + has_upper * right * (far + right)
    products = jnp.where(setting.moving, products / setting.safe_variance, 0)
    gap = jnp.sum(products) / setting.bounds
    p = jnp.where(has_lower, gap / left, 0)
    q = jnp.where(has_upper, gap / right, 0)
    multiplier = jnp.zeros_like(setting.problem.value)
    return _State(u, multiplier, p, q, gap, gap, jnp.int32(0), jnp.array(False))


class _Newton(NamedTuple):
    """The optimality conditions, linearised at a point, and their factor."""

    setting: _Setting
    state: _State
    left: Float[Array, "*x"]
    right: Float[Array, "*x"]
    slope: Float[Array, "*x"]  # of the Lagrangian
    missing: Float[Array, " m"]  # errors of the rows
    softened: Float[Array, "*x"]  # variances with the barriers of the bounds
    unit: Float[Array, " m"]
    factor: Float[Array, "m m"]

    def direction(self, gap_p: Array, gap_q: Array) -> _Direction:
        """Newton's step that removes the given complementarity products."""
        rows = self.setting.problem.rows
        s = self.state
        force = -self.slope - gap_p / self.left + gap_q / self.right
        scale = self.setting.scale * self.unit
        rhs = scale * (self.missing - inner(rows, self.softened * force))
        d_multiplier = scale * jax.scipy.linalg.cho_solve((self.factor, True), rhs)
        du = self.softened * (force + combine(d_multiplier, rows))
        dp = -(gap_p + s.p * du) / self.left
        dq = -(gap_q - s.q * du) / self.right
        dp = jnp.where(self.setting.has_lower, dp, 0)
        dq = jnp.where(self.setting.has_upper, dq, 0)
        return _Direction(du, d_multiplier, dp, dq)

    def step_length(self, direction: _Direction) -> Scalar:
        """The largest step, at most 1, that stays strictly inside all bounds."""

        def until(x: Array, dx: Array, exists: Array) -> Scalar:
            falls = exists & (dx < 0)
            return jnp.min(jnp.where(falls, -x / jnp.where(falls, dx, -1), jnp.inf))

        du, _, dp, dq = direction
        ends = (
            until(self.left, du, self.setting.has_lower),
            until(self.right, -du, self.setting.has_upper),
            until(self.state.p, dp, self.setting.has_lower),
            until(self.state.q, dq, self.setting.has_upper),
        )
        return jnp.minimum(1.0, 0.995 * jnp.min(jnp.stack(ends)))

    def gap_after(self, t: Scalar, direction: _Direction) -> Scalar:
        """The sum of all complementarity products after a step."""
        du, _, dp, dq = direction
        lower = (self.left + t * du) * (self.state.p + t * dp)
        upper = (self.right - t * du) * (self.state.q + t * dq)
        after = jnp.where(self.setting.has_lower, lower, 0)
        return jnp.sum(after + jnp.where(self.setting.has_upper, upper, 0))


def _newton(setting: _Setting, s: _State) -> _Newton:
    """The linearised conditions at a point, with a Cholesky factor."""
    problem = setting.problem
    moving = setting.moving
    rows = problem.rows
    variance = problem.variance
    left, right = setting.slack(s.u)
    pull = combine(s.multiplier, rows)
    slope = (s.u - problem.mean) / setting.safe_variance - pull - s.p + s.q
    slope = jnp.where(moving, slope, 0)
    missing = problem.value - inner(rows, s.u) - problem.noise_variance * s.multiplier
    stiffness = s.p / left + s.q / right
    softened = jnp.where(moving, variance / (1 + variance * stiffness), 0)
    scaled = gram_of(problem, setting.scale, softened)
    unit = jnp.maximum(jnp.diag(scaled), _LEAST) ** -0.5
    matrix = unit[:, None] * scaled * unit[None] + _JITTER * setting.eye
    factor = jnp.linalg.cholesky(matrix)
    return _Newton(setting, s, left, right, slope, missing, softened, unit, factor)


def _step(setting: _Setting, s: _State) -> _State:
    """One step; the iterate is kept, and the iteration ends, if it is not finite."""
    has_lower = setting.has_lower
    has_upper = setting.has_upper
    newton = _newton(setting, s)
    gap_p = jnp.where(has_lower, newton.left * s.p, 0)
    gap_q = jnp.where(has_upper, newton.right * s.q, 0)
    gap = (jnp.sum(gap_p) + jnp.sum(gap_q)) / setting.bounds
    predicted = newton.direction(gap_p, gap_q)
    after = newton.gap_after(newton.step_length(predicted), predicted)
    centring = jnp.minimum((after / setting.bounds / gap) ** 3, 1) * gap
    gap_p = jnp.where(has_lower, gap_p + predicted.u * predicted.p - centring, 0)
    gap_q = jnp.where(has_upper, gap_q - predicted.u * predicted.q - centring, 0)
    direction = newton.direction(gap_p, gap_q)
    t = newton.step_length(direction)
    new = _State(
        u=s.u + t * direction.u,
        multiplier=s.multiplier + t * direction.multiplier,
        p=s.p + t * direction.p,
        q=s.q + t * direction.q,
        gap=gap,
        first_gap=s.first_gap,
        count=s.count + 1,
        done=(gap <= _GAP * s.first_gap) | (t < 1e-8) | _decided(setting, s),
    )
    finite = jnp.all(jnp.isfinite(new.u)) & jnp.all(jnp.isfinite(new.multiplier))
    kept = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, s)
    return kept._replace(done=new.done | ~finite)


def _decided(setting: _Setting, s: _State) -> Bool[Array, ""]:
    """Whether every point is clearly on its bound or clearly off it."""
    _, variance, rows, value, noise, lower, upper = setting.problem
    left, right = setting.slack(s.u)

    def clear(distance: Array, pull: Array, exists: Array) -> Array:
        apart = jnp.minimum(distance, pull) <= _CLEAR * jnp.maximum(distance, pull)
        return jnp.all(~exists | apart)

    below, above = _touching(setting, s)
    snapped = jnp.where(below, lower, jnp.where(above, upper, s.u))
    missing = value - inner(rows, snapped) - noise * s.multiplier
    pulls = noise * jnp.abs(s.multiplier)
    terms = inner(jnp.abs(rows), jnp.abs(s.u)) + jnp.abs(value) + pulls
    return (
        jnp.all(jnp.abs(missing) <= 1e-7 * terms)
        & ~jnp.any(below & above)
        & clear(left, variance * s.p, setting.has_lower)
        & clear(right, variance * s.q, setting.has_upper)
    )


def _touching(setting: _Setting, s: _State) -> tuple[Array, Array]:
    """Points on a bound: u - V (p - q) lies beyond it."""
    variance = setting.problem.variance
    left, right = setting.slack(s.u)
    below = setting.has_lower & (variance * s.p > left)
    above = setting.has_upper & (variance * s.q > right)
    return below, above


_STEPS = 100
#: Complementarity gap at the end, relative to the gap at the start.
_GAP = 1e-60
#: A bound is decided if its distance and its multiplier's pull have this ratio.
_CLEAR = 1e-6
_JITTER = 1e-14
_LEAST = 1e-290
