"""A primal-dual interior point for the projection onto rows in a box.

    minimise Σ (u - μ)² / (2 V)   subject to   G u + N λ = b,   l <= u <= h

Each step is a conditioning with other variances, D = 1 / (1/V + p/(u - l) + q/(h - u)),
where p and q are the multipliers of the bounds. It converges where Newton's method on
the dual function creeps: for boxes so narrow, or so far from the mean, that hardly any
point is free.

Source: Mehrotra's predictor and corrector, as in Nocedal and Wright (2006), alg. 16.4.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics.products import combine, inner
from physcon._typing import Array, Bool, Float, Int, Scalar
from physcon.conditioning.optimality import Problem, Proposal, gram_of, row_scale


class _State(NamedTuple):
    u: Float[Array, "*x"]
    multiplier: Float[Array, " m"]
    p: Float[Array, "*x"]
    q: Float[Array, "*x"]
    gap: Scalar
    first_gap: Scalar
    count: Int[Array, ""]
    done: Bool[Array, ""]


def interior_point(problem: Problem, wanted: Bool[Array, ""]) -> Proposal:
    """The solution and its active set; nothing is done unless `wanted`."""
    mean, variance, rows, value, noise, lower, upper = problem
    moving = (variance > 0) & (lower < upper)
    rest = jnp.clip(mean, lower, upper)
    has_lower = moving & jnp.isfinite(lower)
    has_upper = moving & jnp.isfinite(upper)
    bounds = jnp.maximum(jnp.sum(has_lower) + jnp.sum(has_upper), 1)
    safe_variance = jnp.where(moving, variance, 1)
    d = row_scale(problem)
    eye = jnp.eye(value.size, dtype=value.dtype)

    def slack(u: Array) -> tuple[Array, Array]:
        left = jnp.where(has_lower, u - lower, 1)
        right = jnp.where(has_upper, upper - u, 1)
        return jnp.maximum(left, _LEAST), jnp.maximum(right, _LEAST)

    def decided(s: _State) -> Array:
        """Whether every point is clearly on its bound or clearly off it."""
        left, right = slack(s.u)

        def clear(distance: Array, pull: Array, exists: Array) -> Array:
            less, more = jnp.minimum(distance, pull), jnp.maximum(distance, pull)
            return jnp.all(jnp.where(exists, less <= _CLEAR * more, True))

        below, above = sides(s)
        snapped = jnp.where(below, lower, jnp.where(above, upper, s.u))
        missing = value - inner(rows, snapped) - noise * s.multiplier
        terms = inner(jnp.abs(rows), jnp.abs(s.u)) + jnp.abs(value)
        terms = terms + noise * jnp.abs(s.multiplier)
        return (
            jnp.all(jnp.abs(missing) <= 1e-7 * terms)
            & ~jnp.any(below & above)
            & clear(left, variance * s.p, has_lower)
            & clear(right, variance * s.q, has_upper)
        )

    def sides(s: _State) -> tuple[Array, Array]:
        """Points on their bounds.

        y = u - V (p - q) lies below a bound if V p exceeds the distance to it.
        """
        left, right = slack(s.u)
        return has_lower & (variance * s.p > left), has_upper & (variance * s.q > right)

    def start() -> _State:
        std = jnp.sqrt(safe_variance)
        inset = jnp.where(has_lower & has_upper, 0.1 * (upper - lower), 0.1 * std)
        inside = jnp.where(has_lower, jnp.maximum(mean, lower + inset), mean)
        inside = jnp.where(has_upper, jnp.minimum(inside, upper - inset), inside)
        u = jnp.where(moving, inside, rest)
        left, right = slack(u)
        far = jnp.abs(u - mean)
        products = has_lower * left * (far + left) + has_upper * right * (far + right)
        gap = jnp.sum(jnp.where(moving, products / safe_variance, 0)) / bounds
        p = jnp.where(has_lower, gap / left, 0)
        q = jnp.where(has_upper, gap / right, 0)
        return _State(
            u, jnp.zeros_like(value), p, q, gap, gap, jnp.int32(0), jnp.array(False)
        )

    def step(s: _State) -> _State:
        left, right = slack(s.u)
        pull = combine(s.multiplier, rows)
        slope = jnp.where(moving, (s.u - mean) / safe_variance - pull - s.p + s.q, 0)
        missing = value - inner(rows, s.u) - noise * s.multiplier
        stiffness = s.p / left + s.q / right
        softened = jnp.where(moving, variance / (1 + variance * stiffness), 0)
        scaled = gram_of(problem, d, softened)
        unit = jnp.maximum(jnp.diag(scaled), _LEAST) ** -0.5
        matrix = unit[:, None] * scaled * unit[None] + _JITTER * eye
        factor = jnp.linalg.cholesky(matrix)

        def direction(gap_p: Array, gap_q: Array) -> tuple[Array, Array, Array, Array]:
            """Newton's step towards complementarity gaps that are given per point."""
            force = -slope - gap_p / left + gap_q / right
            rhs = d * unit * (missing - inner(rows, softened * force))
            du_dual = d * unit * jax.scipy.linalg.cho_solve((factor, True), rhs)
            du = softened * (force + combine(du_dual, rows))
            dp = jnp.where(has_lower, -(gap_p + s.p * du) / left, 0)
            dq = jnp.where(has_upper, -(gap_q - s.q * du) / right, 0)
            return du, du_dual, dp, dq

        def longest(du: Array, dp: Array, dq: Array) -> Scalar:
            """The largest step, at most 1, that stays inside."""

            def until(x: Array, dx: Array, exists: Array) -> Scalar:
                falls = exists & (dx < 0)
                return jnp.min(jnp.where(falls, -x / jnp.where(falls, dx, -1), jnp.inf))

            ends = (
                until(left, du, has_lower),
                until(right, -du, has_upper),
                until(s.p, dp, has_lower),
                until(s.q, dq, has_upper),
            )
            return jnp.minimum(1.0, 0.995 * jnp.min(jnp.stack(ends)))

        gap_p = jnp.where(has_lower, left * s.p, 0)
        gap_q = jnp.where(has_upper, right * s.q, 0)
        gap = (jnp.sum(gap_p) + jnp.sum(gap_q)) / bounds
        du, _, dp, dq = direction(gap_p, gap_q)
        t = longest(du, dp, dq)
        after = jnp.sum(jnp.where(has_lower, (left + t * du) * (s.p + t * dp), 0))
        after += jnp.sum(jnp.where(has_upper, (right - t * du) * (s.q + t * dq), 0))
        centring = jnp.minimum((after / bounds / gap) ** 3, 1) * gap
        gap_p = jnp.where(has_lower, gap_p + du * dp - centring, 0)
        gap_q = jnp.where(has_upper, gap_q - du * dq - centring, 0)
        du, d_multiplier, dp, dq = direction(gap_p, gap_q)
        t = longest(du, dp, dq)
        new = _State(
            u=s.u + t * du,
            multiplier=s.multiplier + t * d_multiplier,
            p=s.p + t * dp,
            q=s.q + t * dq,
            gap=gap,
            first_gap=s.first_gap,
            count=s.count + 1,
            done=(gap <= _GAP * s.first_gap) | (t < 1e-8) | decided(s),
        )
        finite = jnp.all(jnp.isfinite(new.u)) & jnp.all(jnp.isfinite(new.multiplier))
        kept = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, s)
        return kept._replace(done=new.done | ~finite)

    running = lambda s: wanted & ~s.done & (s.count < _STEPS)  # noqa: E731
    s = jax.lax.while_loop(running, step, start())
    below, above = sides(s)
    return Proposal(s.multiplier, below | (lower == upper), above)


_STEPS = 100
#: Complementarity gap at the end, relative to that of the start.
_GAP = 1e-60
#: Ratio of the distance from a bound and the pull of its multiplier that is clear.
_CLEAR = 1e-6
_JITTER = 1e-14
_LEAST = 1e-290
