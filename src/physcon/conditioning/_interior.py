"""A primal-dual interior point whose steps are conditionings with other variances.

    minimise ½ (u - μ)ᵀ Σ⁻¹ (u - μ)
    subject to  A u + N λ = s,  l <= u <= h,  c <= s <= d

An equality is a row with c = d. Each step factors A D Aᵀ + N + D_s, where D is the
prior covariance with the barriers of the bounds added and D_s is that of the row
values, which have no prior. Any solver of `condition` does this, whatever the structure
of A.

Source: Mehrotra's predictor and corrector, as in Nocedal and Wright (2006), alg. 16.4.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._typing import Array, Bool, Float, Int, Scalar
from physcon.conditioning._metric import Metric
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.interface import Solver
from physcon.linear_map import LinearMap


class Boxed(NamedTuple):
    """The problem, in float64."""

    mean: Float[Array, "*x"]
    metric: Metric
    operator: LinearMap
    noise: Float[Array, "*y"]  # variances
    lower: Float[Array, "*x"]
    upper: Float[Array, "*x"]
    row_lower: Float[Array, "*y"]
    row_upper: Float[Array, "*y"]


class Interior(NamedTuple):
    """The last iterate; `below` and `above` are the bounds that it touches."""

    field: Float[Array, "*x"]
    multiplier: Float[Array, "*y"]
    below: Bool[Array, "*x"]
    above: Bool[Array, "*x"]
    row_below: Bool[Array, "*y"]
    row_above: Bool[Array, "*y"]
    steps: Int[Array, ""]


class _Side(NamedTuple):
    """A box of the field or of the row values: where it has a bound."""

    lower: Array
    upper: Array
    has_lower: Array
    has_upper: Array

    def slack(self, x: Array) -> tuple[Array, Array]:
        left = jnp.where(self.has_lower, x - self.lower, 1)
        right = jnp.where(self.has_upper, self.upper - x, 1)
        return jnp.maximum(left, _LEAST), jnp.maximum(right, _LEAST)

    def inside(self, x: Array, size: Array) -> Array:
        """x moved off the bounds, by a tenth of the box or of `size`."""
        both = self.has_lower & self.has_upper
        width = jnp.where(both, self.upper - self.lower, size)
        inset = 0.1 * jnp.minimum(width, jnp.where(size > 0, size, width))
        x = jnp.where(self.has_lower, jnp.maximum(x, self.lower + inset), x)
        return jnp.where(self.has_upper, jnp.minimum(x, self.upper - inset), x)


class _State(NamedTuple):
    x: tuple[Array, Array]  # u and s
    p: tuple[Array, Array]  # multipliers of the lower bounds
    q: tuple[Array, Array]  # of the upper ones
    multiplier: Array
    first_gap: Scalar
    count: Int[Array, ""]
    done: Bool[Array, ""]


def _side(lower: Array, upper: Array, moving: Array) -> _Side:
    return _Side(
        lower, upper, moving & jnp.isfinite(lower), moving & jnp.isfinite(upper)
    )


def interior_point(problem: Boxed, solver: Solver) -> Interior:
    """The minimiser, and which bounds are active."""
    mean, metric, operator = problem.mean, problem.metric, problem.operator
    lower, upper = problem.lower, problem.upper
    spread = metric.std
    if metric.vectors is not None:
        spread = jnp.sqrt(spread**2 + jnp.sum(metric.vectors**2, axis=0))
    row_size = operator.magnitude(spread) + jnp.sqrt(problem.noise)
    moving = (spread > 0) & (lower < upper)
    row_moving = problem.row_lower < problem.row_upper
    sides = (
        _side(lower, upper, moving),
        _side(problem.row_lower, problem.row_upper, row_moving),
    )
    sizes = (spread, jnp.where(row_size > 0, row_size, 1))
    has = [m for side in sides for m in (side.has_lower, side.has_upper)]
    count = sum(jnp.sum(m, dtype=mean.dtype) for m in has)
    bounds = jnp.maximum(count, 1)
    zeros = jnp.zeros_like(mean)

    def total_gap(x: tuple, p: tuple, q: tuple) -> Scalar:
        gap = jnp.zeros((), mean.dtype)
        for side, x_, p_, q_ in zip(sides, x, p, q, strict=True):
            left, right = side.slack(x_)
            gap += jnp.sum(jnp.where(side.has_lower, left * p_, 0))
            gap += jnp.sum(jnp.where(side.has_upper, right * q_, 0))
        return gap / bounds

    def start() -> _State:
        rest = jnp.clip(mean, lower, upper)
        u = jnp.where(moving, sides[0].inside(mean, spread), rest)
        s = sides[1].inside(operator.mv(u), sizes[1])
        s = jnp.where(row_moving, s, problem.row_lower)
        # Complementarity products of a typical deviation from the mean.
        away = jnp.where(moving, (u - mean) / jnp.where(moving, spread, 1), 0)
        missed = (s - operator.mv(u)) / sizes[1]
        gap = 1 + jnp.mean(away**2) + jnp.mean(missed**2)
        p, q = [], []
        for side, x in zip(sides, (u, s), strict=True):
            left, right = side.slack(x)
            p.append(jnp.where(side.has_lower, gap / left, 0))
            q.append(jnp.where(side.has_upper, gap / right, 0))
        return _State(
            (u, s),
            tuple(p),
            tuple(q),
            jnp.zeros_like(s),
            gap,
            jnp.int32(0),
            jnp.array(False),
        )

    def decided(x: tuple, p: tuple, q: tuple, multiplier: Array) -> Array:
        """Whether every bound is clearly active or not, and all rows are met."""
        missing = x[1] - operator.mv(x[0]) - problem.noise * multiplier
        terms = operator.magnitude(x[0]) + jnp.abs(x[1])
        terms = terms + problem.noise * jnp.abs(multiplier) + _LEAST
        fine = jnp.all(jnp.abs(missing) <= 1e-10 * terms)
        for side, x_, p_, q_, size in zip(sides, x, p, q, sizes, strict=True):
            left, right = side.slack(x_)
            for distance, pull, exists in (
                (left, size**2 * p_, side.has_lower),
                (right, size**2 * q_, side.has_upper),
            ):
                less = jnp.minimum(distance, pull)
                more = jnp.maximum(distance, pull)
                fine &= jnp.all(jnp.where(exists, less <= _CLEAR * more, True))
        return fine

    def step(state: _State) -> _State:
        x, p, q, multiplier = state.x, state.p, state.q, state.multiplier
        u, s = x
        slacks = [side.slack(x_) for side, x_ in zip(sides, x, strict=True)]
        stiff = [
            p_ / left + q_ / right
            for (left, right), p_, q_ in zip(slacks, p, q, strict=True)
        ]
        root = metric.softened(stiff[0], ~moving)
        soft = jnp.where(row_moving, 1 / jnp.where(row_moving, stiff[1], 1), 0)
        law = LinearConstraint(
            operator, zeros_like_rows, jnp.sqrt(problem.noise + soft)
        )
        factor = solver.factorise(Gaussian(zeros, root), law)
        pull = operator.rmv(multiplier)
        slopes = (
            jnp.where(moving, metric.precision(u - mean) - pull - p[0] + q[0], 0),
            jnp.where(row_moving, multiplier - p[1] + q[1], 0),
        )
        missing = s - operator.mv(u) - problem.noise * multiplier
        gaps_p = [
            jnp.where(side.has_lower, left * p_, 0)
            for side, (left, _), p_ in zip(sides, slacks, p, strict=True)
        ]
        gaps_q = [
            jnp.where(side.has_upper, right * q_, 0)
            for side, (_, right), q_ in zip(sides, slacks, q, strict=True)
        ]
        gap = total_gap(x, p, q)

        def cov(f: Array) -> Array:
            return root.mv(root.rmv(f))

        def direction(gaps_p: list, gaps_q: list) -> tuple:
            forces = [
                -slope - gp / left + gq / right
                for slope, gp, gq, (left, right) in zip(
                    slopes, gaps_p, gaps_q, slacks, strict=True
                )
            ]
            free = cov(forces[0])
            right_side = missing - operator.mv(free) + soft * forces[1]
            d_multiplier = factor.solve(right_side)
            du = jnp.where(moving, free + cov(operator.rmv(d_multiplier)), 0)
            ds = soft * (forces[1] - d_multiplier)
            dx = (du, ds)
            dp, dq = [], []
            for side, (left, right), p_, q_, gp, gq, d in zip(
                sides, slacks, p, q, gaps_p, gaps_q, dx, strict=True
            ):
                dp.append(jnp.where(side.has_lower, -(gp + p_ * d) / left, 0))
                dq.append(jnp.where(side.has_upper, -(gq - q_ * d) / right, 0))
            return dx, tuple(dp), tuple(dq), d_multiplier

        def longest(dx: tuple, dp: tuple, dq: tuple) -> Scalar:
            t = jnp.array(jnp.inf, mean.dtype)
            for side, (left, right), p_, q_, d, dp_, dq_ in zip(
                sides, slacks, p, q, dx, dp, dq, strict=True
            ):
                for value, change, exists in (
                    (left, d, side.has_lower),
                    (right, -d, side.has_upper),
                    (p_, dp_, side.has_lower),
                    (q_, dq_, side.has_upper),
                ):
                    falls = exists & (change < 0)
                    until = -value / jnp.where(falls, change, -1)
                    t = jnp.minimum(
                        t, jnp.min(jnp.where(falls, until, jnp.inf), initial=jnp.inf)
                    )
            return jnp.minimum(1.0, 0.995 * t)

        def predict_then_correct(k: Array, carry: tuple) -> tuple:
            """Both directions by one program: the second one with corrected gaps."""
            given_p, given_q, _ = carry
            found = direction(given_p, given_q)
            dx, dp, dq, _ = found
            t = longest(dx, dp, dq)
            after = total_gap(
                jax.tree.map(lambda a, b: a + t * b, x, dx),
                jax.tree.map(lambda a, b: a + t * b, p, dp),
                jax.tree.map(lambda a, b: a + t * b, q, dq),
            )
            centring = jnp.minimum((after / gap) ** 3, 1) * gap
            new_p = [
                jnp.where(side.has_lower, gp + d * dp_ - centring, 0)
                for side, gp, d, dp_ in zip(sides, gaps_p, dx, dp, strict=True)
            ]
            new_q = [
                jnp.where(side.has_upper, gq - d * dq_ - centring, 0)
                for side, gq, d, dq_ in zip(sides, gaps_q, dx, dq, strict=True)
            ]
            return new_p, new_q, found

        empty = (
            (jnp.zeros_like(u), jnp.zeros_like(s)),
            (jnp.zeros_like(u), jnp.zeros_like(s)),
            (jnp.zeros_like(u), jnp.zeros_like(s)),
            jnp.zeros_like(multiplier),
        )
        *_, (dx, dp, dq, d_multiplier) = jax.lax.fori_loop(
            0, 2, predict_then_correct, (gaps_p, gaps_q, empty)
        )
        t = longest(dx, dp, dq)

        def moved(a: tuple, b: tuple) -> tuple:
            return jax.tree.map(lambda a, b: a + t * b, a, b)

        new_x, new_p, new_q = moved(x, dx), moved(p, dp), moved(q, dq)
        new_multiplier = multiplier + t * d_multiplier
        done = decided(new_x, new_p, new_q, new_multiplier)
        done |= (gap <= _GAP * state.first_gap) | (t < _SHORTEST)
        new = _State(
            new_x, new_p, new_q, new_multiplier, state.first_gap, state.count + 1, done
        )
        leaves = jax.tree.leaves((new_x, new_p, new_q, new_multiplier))
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(a)) for a in leaves]))
        kept = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, state)
        return kept._replace(done=kept.done | ~finite)

    zeros_like_rows = jnp.zeros_like(problem.row_lower)
    running = lambda s: ~s.done & (s.count < _STEPS)  # noqa: E731
    state = jax.lax.while_loop(running, step, start())
    touches = []
    for side, x_, p_, q_, size in zip(
        sides, state.x, state.p, state.q, sizes, strict=True
    ):
        left, right = side.slack(x_)
        below = side.has_lower & (size**2 * p_ > left)
        above = side.has_upper & (size**2 * q_ > right) & ~below
        touches.append((below, above))
    (below, above), (row_below, row_above) = touches
    below = below | (lower == upper)
    return Interior(
        state.x[0], state.multiplier, below, above, row_below, row_above, state.count
    )


_STEPS = 80
#: A step that ends the iteration: nothing moves any more.
_SHORTEST = 1e-14
#: Complementarity gap at the end, relative to that of the start.
_GAP = 1e-40
#: Ratio of the distance from a bound and the pull of its multiplier that is clear.
_CLEAR = 1e-6
_LEAST = 1e-290
