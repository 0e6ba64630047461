"""Bounds with disjoint rows: one monotone equation per group, for all groups at once.

    minimise Σ (u - μ)² / (2 V)   subject to   Σ_group w u + N λ = b,   l <= u <= h

has the solution u = clip(μ + λ w V, l, h) with one multiplier λ per group, at which
F(λ) = Σ w u(λ) + N λ - b vanishes: a nondecreasing, piecewise linear function.

Source: the continuous quadratic knapsack (Cominetti, Mascarenhas and Silva, Math. Prog.
Comput. 6 (2014) 151).
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics.float64 import in_float64
from physcon._status import Outcome, choose
from physcon._typing import Array, Bool, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.linear_map import Disjoint


class Grouped(NamedTuple):
    """The solution of all groups.

    Attributes:
        field: the minimiser, rounded to the caller's precision.
        multiplier: λ, one per group; the combination of rows that proves a group to be
            out of reach where there is one.
        below, above: the points on their bounds.
        row_std: the prior standard deviation of each row.
        dependent: the group has no free point.
        unreachable: the value lies outside of what the bounds allow.
        error: |b - G u - N λ| in units of 4 roundings of its terms.
    """

    field: Float[Array, "*x"]
    multiplier: Float[Array, "*g"]
    below: Bool[Array, "*x"]
    above: Bool[Array, "*x"]
    row_std: Float[Array, "*g"]
    dependent: Bool[Array, "*g"]
    unreachable: Bool[Array, "*g"]
    error: Float[Array, "*g"]


class _Given(NamedTuple):
    mean: Float[Array, "*x"]
    std: Float[Array, "*x"]
    law: LinearConstraint
    lower: Float[Array, "*x"]
    upper: Float[Array, "*x"]


def search_groups(
    mean: Float[Array, "*x"],
    std: Float[Array, "*x"],
    law: LinearConstraint,
    lower: Float[Array, "*x"],
    upper: Float[Array, "*x"],
) -> tuple[Grouped, Outcome]:
    """The bounded minimiser under a `Disjoint` law and independent errors.

    Everything is in the caller's dtype; nothing is differentiable.
    """
    given = jax.lax.stop_gradient(_Given(mean, std, law, lower, upper))
    found = in_float64(partial(_search, dtype=mean.dtype))(given)
    arrays = (mean, std, law.operator, law.value, law.noise())
    inexact = [
        x for x in jax.tree.leaves(arrays) if jnp.issubdtype(x.dtype, jnp.inexact)
    ]
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in inexact]))
    open_end = jnp.any(~(lower < jnp.inf) | ~(upper > -jnp.inf))
    outcome = choose(
        (~finite | open_end, Outcome.not_finite),
        (jnp.any(lower > upper), Outcome.disordered),
        (jnp.any(found.unreachable), Outcome.unreachable),
        (jnp.any(~(found.error <= 1)), Outcome.not_solved),
    )
    return found, outcome


class _State(NamedTuple):
    t: Float[Array, "*g"]
    below: Float[Array, "*g"]
    above: Float[Array, "*g"]
    reach: Float[Array, "*g"]
    size: Float[Array, "*g"]
    count: Array
    done: Bool[Array, "*g"]


@partial(jax.jit, static_argnames="dtype")
def _search(given: _Given, dtype: Any) -> Grouped:
    mean, std, law, lower, upper = given
    operator = law.operator
    assert isinstance(operator, Disjoint)
    total, spread = operator.groups.total, operator.groups.spread
    w, variance, noise = operator.weights, std**2, law.noise() ** 2
    eps = float(jnp.finfo(dtype).eps)
    moving = variance > 0
    resting = jnp.clip(mean, lower, upper)
    present = operator.present()

    def ends(bound: Array) -> Array:
        return jnp.where(w == 0, 0, w * jnp.where(moving, bound, resting))

    low, high = ends(lower), ends(upper)
    least, most = jnp.minimum(low, high), jnp.maximum(low, high)
    lowest, highest = total(least), total(most)
    slack_below = 3 * eps * (total(jnp.abs(least)) + jnp.abs(law.value))
    slack_above = 3 * eps * (total(jnp.abs(most)) + jnp.abs(law.value))
    exact = present & (noise == 0)
    outside = law.value < lowest - slack_below
    outside = exact & (outside | (law.value > highest + slack_above))
    nearest = jnp.clip(law.value, lowest, highest)
    b = jnp.where(exact, nearest, jnp.where(present, law.value, 0))

    # Multipliers in units of the row: λ = t / s, with s the prior variance of the row.
    s = total(w**2 * variance) + noise
    unit = jnp.where(s > 0, s, 1)
    gain = jnp.where(moving, w * variance * spread(1 / unit), 0)

    def field(t: Array) -> Array:
        y = mean + gain * spread(t)
        return jnp.where(moving, y, resting)

    def misfit(t: Array) -> tuple[Array, Array, Array]:
        y = field(t)
        u = jnp.clip(y, lower, upper)
        free = moving & (lower < y) & (y < upper)
        value = total(w * u) + noise / unit * t - b
        slope = (total(jnp.where(free, w**2 * variance, 0)) + noise) / unit
        return value, slope, total(jnp.abs(w * u)) + jnp.abs(b)

    def step(s: _State) -> _State:
        value, slope, terms = misfit(s.t)
        found = (jnp.abs(value) <= _MET * terms) | ~jnp.isfinite(value)
        below = jnp.where(value < 0, s.t, s.below)
        above = jnp.where(value > 0, s.t, s.above)
        newton = s.t - value / jnp.where(slope > 0, slope, 1)
        closed = jnp.isfinite(below) & jnp.isfinite(above)
        slow = closed & (jnp.abs(value) > 0.5 * s.size)
        trusted = (slope > 0) & (below < newton) & (newton < above) & ~slow
        middle = 0.5 * jnp.where(closed, below + above, 0)
        outward = jnp.where(closed, middle, s.t - jnp.sign(value) * s.reach)
        following = jnp.where(trusted, newton, outward)
        width = jnp.maximum(jnp.abs(below), jnp.abs(above))
        exhausted = closed & (above - below <= 4e-16 * width)
        done = s.done | found | (following == s.t) | exhausted
        return _State(
            t=jnp.where(s.done | found, s.t, following),
            below=below,
            above=above,
            reach=jnp.where(trusted, s.reach, 2 * s.reach),
            size=jnp.abs(value),
            count=s.count + 1,
            done=done,
        )

    start, _, terms = misfit(jnp.zeros_like(b))
    infinity = jnp.full_like(b, jnp.inf)
    first = _State(
        t=jnp.zeros_like(b),
        below=-infinity,
        above=infinity,
        reach=jnp.abs(start) + 1e-3 * terms + jnp.where(terms == 0, 1, 0),
        size=infinity,
        count=jnp.int32(0),
        done=~present | ~(s > 0),
    )
    running = lambda s: ~jnp.all(s.done) & (s.count < _STEPS)  # noqa: E731
    t = jax.lax.while_loop(running, step, first).t
    y = field(t)
    below, above = y <= lower, y >= upper
    free = moving & ~below & ~above
    # What rounding leaves goes to the free points, in proportion to their variances.
    slope = total(jnp.where(free, w**2 * variance, 0)) + noise
    u = jnp.clip(y, lower, upper)
    missing = b - total(w * u) - noise * (t / unit)
    more = jnp.where(slope > 0, missing / jnp.where(slope > 0, slope, 1), 0)
    moved = u + jnp.where(free, w * variance, 0) * spread(more)
    u = jnp.clip(moved, lower, upper).astype(dtype).astype(mean.dtype)
    multiplier = t / unit + jnp.where(noise > 0, more, 0)
    missed = jnp.abs(b - total(w * u) - noise * multiplier)
    terms = total(jnp.abs(w * u)) + jnp.abs(b) + noise * jnp.abs(multiplier)
    tiny = float(jnp.finfo(dtype).tiny) * (total(jnp.abs(w)) + 1)
    dependent = ~(total(jnp.where(free, w**2 * variance, 0)) > 0)
    error = jnp.where(present, missed / (4 * eps * terms + tiny), 0)
    held = moving | (lower == upper)
    return Grouped(
        field=u,
        multiplier=jnp.where(present, multiplier, 0),
        below=held & below,
        above=held & above & ~below,
        row_std=jnp.sqrt(unit),
        dependent=dependent,
        unreachable=outside,
        error=error,
    )


_STEPS = 200
#: Of the terms of a group: what it misses then goes to its free points.
_MET = 1e-13
