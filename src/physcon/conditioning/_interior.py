"""A primal-dual interior point whose steps are conditionings with other variances.

    minimise ½ (u - μ)ᵀ Σ⁻¹ (u - μ)
    subject to  A u + N λ = s,  l <= u <= h,  c <= s <= d

An equality is a row with c = d. Each step factors A D Aᵀ + N + D_s, where D is the
prior covariance with the barriers of the bounds added and D_s holds the variances that
the barriers give to the row values, which have no prior. Any solver of `condition` does
this, for every structure of A.

Source: Mehrotra's predictor and corrector, as in Nocedal and Wright (2006), alg. 16.4.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._typing import Array, Bool, Float, Int, Scalar
from physcon.conditioning._interior_box import LEAST, Boxed, Point, Setting, setting_of
from physcon.conditioning._interior_newton import newton_at
from physcon.conditioning._interior_sparse import independent_rows
from physcon.conditioning.solvers.interface import Solver

__all__ = ["Boxed", "Interior", "interior_point"]


class Interior(NamedTuple):
    """The last iterate; `below` and `above` are the bounds that it touches."""

    field: Float[Array, "*x"]
    multiplier: Float[Array, "*y"]
    below: Bool[Array, "*x"]
    above: Bool[Array, "*x"]
    row_below: Bool[Array, "*y"]
    row_above: Bool[Array, "*y"]
    steps: Int[Array, ""]


class _State(NamedTuple):
    point: Point
    first_gap: Scalar
    count: Int[Array, ""]
    done: Bool[Array, ""]


def interior_point(problem: Boxed, solver: Solver) -> Interior:
    """The minimiser, and which bounds are active."""
    problem, solver = independent_rows(problem, solver)
    setting = setting_of(problem)

    def step(state: _State) -> _State:
        return _step(setting, solver, state)

    state = jax.lax.while_loop(_running, step, _start(setting))
    return _touching(setting, state)


def _running(state: _State) -> Bool[Array, ""]:
    return ~state.done & (state.count < _STEPS)


def _start(setting: Setting) -> _State:
    """A point inside the boxes, with equal complementarity products."""
    problem, moving, row_moving = setting.problem, setting.moving, setting.row_moving
    mean, operator = problem.mean, problem.operator
    sides, (spread, row_size) = setting.sides, setting.sizes
    rest = jnp.clip(mean, problem.lower, problem.upper)
    u = jnp.where(moving, sides[0].inside(mean, spread), rest)
    s = sides[1].inside(operator.mv(u), row_size)
    s = jnp.where(row_moving, s, problem.row_lower)
    # Complementarity products of a typical deviation from the mean.
    away = jnp.where(moving, (u - mean) / jnp.where(moving, spread, 1), 0)
    missed = (s - operator.mv(u)) / row_size
    gap = 1 + jnp.mean(away**2) + jnp.mean(missed**2)
    p, q = [], []
    for side, x in zip(sides, (u, s), strict=True):
        left, right = side.slack(x)
        p.append(jnp.where(side.has_lower, gap / left, 0))
        q.append(jnp.where(side.has_upper, gap / right, 0))
    point = Point((u, s), (p[0], p[1]), (q[0], q[1]), jnp.zeros_like(s))
    return _State(point, gap, jnp.int32(0), jnp.array(False))


def _step(setting: Setting, solver: Solver, state: _State) -> _State:
    """One step; the iterate is kept, and the iteration ends, if it is not finite."""
    point = state.point
    newton = newton_at(setting, solver, point)
    gaps = newton.gaps()
    gap = setting.gap(*point[:3])
    direction = newton.predict_then_correct(gaps, gap)
    t = newton.step_length(direction)
    moved = point.moved(t, direction)
    done = _decided(setting, moved)
    done |= (gap <= _GAP * state.first_gap) | (t < _SHORTEST)
    new = _State(moved, state.first_gap, state.count + 1, done)
    leaves = jax.tree.leaves(moved)
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(a)) for a in leaves]))
    kept = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, state)
    return kept._replace(done=kept.done | ~finite)


def _decided(setting: Setting, point: Point) -> Bool[Array, ""]:
    """Whether every bound is clearly active or clearly not, and all rows are met."""
    operator, noise = setting.problem.operator, setting.problem.noise
    x, p, q, multiplier = point
    missing = x[1] - operator.mv(x[0]) - noise * multiplier
    terms = operator.magnitude(x[0]) + jnp.abs(x[1])
    terms = terms + noise * jnp.abs(multiplier) + LEAST
    fine = jnp.all(jnp.abs(missing) <= 1e-10 * terms)
    for side, x_, p_, q_, size in zip(
        setting.sides, x, p, q, setting.sizes, strict=True
    ):
        left, right = side.slack(x_)
        for distance, pull, exists in (
            (left, size**2 * p_, side.has_lower),
            (right, size**2 * q_, side.has_upper),
        ):
            less = jnp.minimum(distance, pull)
            more = jnp.maximum(distance, pull)
            fine &= jnp.all(jnp.where(exists, less <= _CLEAR * more, True))
    return fine


def _touching(setting: Setting, state: _State) -> Interior:
    """The last iterate, with the bounds whose multipliers outweigh their distances."""
    x, p, q, multiplier = state.point
    touches = []
    for side, x_, p_, q_, size in zip(
        setting.sides, x, p, q, setting.sizes, strict=True
    ):
        left, right = side.slack(x_)
        below = side.has_lower & (size**2 * p_ > left)
        above = side.has_upper & (size**2 * q_ > right) & ~below
        touches.append((below, above))
    (below, above), (row_below, row_above) = touches
    below = below | (setting.problem.lower == setting.problem.upper)
    return Interior(x[0], multiplier, below, above, row_below, row_above, state.count)


_STEPS = 80
#: The iteration ends at a step shorter than this one.
_SHORTEST = 1e-14
#: Complementarity gap at the end, relative to the gap at the start.
_GAP = 1e-40
#: A bound is decided if its distance and the pull of its multiplier differ by this
#: ratio.
_CLEAR = 1e-6
