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
from physcon.conditioning._grouped_root import Equation, roots
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.optimality import row_error
from physcon.linear_map import Disjoint
from physcon.linear_map.groups import Columns


class Grouped(NamedTuple):
    """The solution of all groups.

    Attributes:
        field: the minimiser, rounded to the caller's precision.
        multiplier: λ, one per group; for a group out of reach, the combination of rows
            that proves it.
        below, above: the points on their bounds.
        row_std: the prior standard deviation of each row.
        dependent: the group has no free point.
        unreachable: the value lies outside of what the bounds allow.
        lowest, highest: the ends of what they allow.
        error: |b - G u - N λ| in units of 4 roundings of its terms.
    """

    field: Float[Array, "*x"]
    multiplier: Float[Array, "*g"]
    below: Bool[Array, "*x"]
    above: Bool[Array, "*x"]
    row_std: Float[Array, "*g"]
    dependent: Bool[Array, "*g"]
    unreachable: Bool[Array, "*g"]
    lowest: Float[Array, "*g"]
    highest: Float[Array, "*g"]
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


def reach_of_groups(
    mean: Float[Array, "*x"],
    std: Float[Array, "*x"],
    law: LinearConstraint,
    lower: Float[Array, "*x"],
    upper: Float[Array, "*x"],
) -> tuple[Float[Array, "*g"], Float[Array, "*g"]]:
    """Smallest and largest value of each group within the bounds."""

    def ends(given: _Given) -> tuple[Array, Array]:
        operator = given.law.operator
        assert isinstance(operator, Disjoint)
        resting = jnp.clip(given.mean, given.lower, given.upper)
        return _reach(given, resting, operator, mean.dtype)[:2]

    return in_float64(ends)(_Given(mean, std, law, lower, upper))


@partial(jax.jit, static_argnames="dtype")
def _search(given: _Given, dtype: Any) -> Grouped:
    operator = given.law.operator
    assert isinstance(operator, Disjoint)
    columns = operator.groups.columns()
    if columns is not None:
        given = _in_columns(given, operator, columns)
    equation, outside, ends = _equation(given, dtype)
    found = _finished(equation, roots(equation), outside, dtype)
    if columns is not None:
        found = found._replace(
            field=columns.scattered(found.field),
            below=columns.scattered(found.below),
            above=columns.scattered(found.above),
        )
    return found._replace(lowest=ends[0], highest=ends[1])


def _in_columns(given: _Given, operator: Disjoint, columns: Columns) -> _Given:
    """The same problem with the points of a group in a column."""
    mean, std, law, lower, upper = given
    weights = columns.gathered(operator.weights)
    law = LinearConstraint(Disjoint(weights, columns), law.value, law.noise_std)
    fields = (columns.gathered(x) for x in (mean, std, lower, upper))
    mean, std, lower, upper = fields
    return _Given(mean, std, law, lower, upper)


def _equation(given: _Given, dtype: Any) -> tuple[Equation, Array, tuple[Array, Array]]:
    """The equation of every group, which exact values are out of reach, and the ends of
    what can be reached.
    """
    mean, std, law, lower, upper = given
    operator = law.operator
    assert isinstance(operator, Disjoint)
    total = operator.groups.total
    spread = operator.groups.spread
    w = operator.weights
    variance = std**2
    noise = law.noise() ** 2
    moving = variance > 0
    resting = jnp.clip(mean, lower, upper)
    present = operator.present()
    lowest, highest, beyond = _reach(given, resting, operator, dtype)
    exact = present & (noise == 0)
    nearest = jnp.clip(law.value, lowest, highest)
    b = jnp.where(exact, nearest, jnp.where(present, law.value, 0))
    s = total(w**2 * variance) + noise
    unit = jnp.where(s > 0, s, 1)
    gain = jnp.where(moving, w * variance * spread(1 / unit), 0)
    equation = Equation(
        operator=operator,
        mean=mean,
        variance=variance,
        lower=lower,
        upper=upper,
        resting=resting,
        noise=noise,
        value=b,
        present=present,
        solvable=s > 0,
        unit=unit,
        gain=gain,
    )
    return equation, exact & beyond, (lowest, highest)


def _reach(
    given: _Given, resting: Array, operator: Disjoint, dtype: Any
) -> tuple[Array, Array, Array]:
    """Smallest and largest value of each row, and whether b is beyond them."""
    w = operator.weights
    total = operator.groups.total
    moving = given.std**2 > 0
    value = given.law.value

    def ends(bound: Array) -> Array:
        return jnp.where(w == 0, 0, w * jnp.where(moving, bound, resting))

    low = ends(given.lower)
    high = ends(given.upper)
    least = jnp.minimum(low, high)
    most = jnp.maximum(low, high)
    lowest = total(least)
    highest = total(most)
    eps = float(jnp.finfo(dtype).eps)
    slack_below = 3 * eps * (total(jnp.abs(least)) + jnp.abs(value))
    slack_above = 3 * eps * (total(jnp.abs(most)) + jnp.abs(value))
    outside = value < lowest - slack_below
    return lowest, highest, outside | (value > highest + slack_above)


def _finished(equation: Equation, t: Array, outside: Array, dtype: Any) -> Grouped:
    """The rounded solution at the roots, and its error.

    The free points take up what rounding leaves, in proportion to their variances.
    """
    operator, mean, variance, lower, upper, *_ = equation
    w = operator.weights
    total = equation.total
    moving = equation.moving
    noise = equation.noise
    unit = equation.unit
    y = equation.unclipped(t)
    below = y <= lower
    above = y >= upper
    free = moving & ~below & ~above
    slope = equation.row_variance(free) + noise
    u = jnp.clip(y, lower, upper)
    missing = equation.value - total(w * u) - noise * (t / unit)
    more = jnp.where(slope > 0, missing / jnp.where(slope > 0, slope, 1), 0)
    moved = u + jnp.where(free, w * variance, 0) * equation.spread(more)
    u = jnp.clip(moved, lower, upper).astype(dtype).astype(mean.dtype)
    multiplier = t / unit + jnp.where(noise > 0, more, 0)
    held = moving | (lower == upper)
    return Grouped(
        field=u,
        multiplier=jnp.where(equation.present, multiplier, 0),
        below=held & below,
        above=held & above & ~below,
        row_std=jnp.sqrt(unit),
        dependent=~(equation.row_variance(free) > 0),
        unreachable=outside,
        lowest=equation.value,
        highest=equation.value,
        error=_error(equation, u, multiplier, dtype),
    )


def _error(equation: Equation, u: Array, multiplier: Array, dtype: Any) -> Array:
    """The error of each group's row, in units of 4 roundings of its terms."""
    w = equation.operator.weights
    total = equation.total
    b = equation.value
    noise = equation.noise
    missed = jnp.abs(b - total(w * u) - noise * multiplier)
    terms = total(jnp.abs(w * u)) + jnp.abs(b) + noise * jnp.abs(multiplier)
    error = row_error(missed, terms, total(jnp.abs(w)) + 1, dtype)
    return jnp.where(equation.present, error, 0)
