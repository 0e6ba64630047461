"""The multipliers of `condition_relative`: one monotone equation per group."""

import jax
import jax.numpy as jnp

from physcon._derivative_rules import WithDerivative
from physcon._numerics import safe
from physcon._numerics.float64 import in_float64
from physcon._typing import Array
from physcon.conditioning.constraint import LinearConstraint
from physcon.linear_map import Disjoint

_STEPS = 40


def field_of(
    multiplier: Array, mean: Array, spread: Array, law: LinearConstraint
) -> tuple[Array, Array, Array]:
    """u, what the groups miss, and its derivative in the multiplier."""
    operator = law.operator
    assert isinstance(operator, Disjoint)
    gain = operator.weights * spread
    exponent = gain * operator.groups.spread(multiplier)
    u = mean * jnp.exp(exponent)
    missing = law.value - operator.mv(u)
    slope = operator.groups.total(operator.weights * gain * u)
    return u, missing, slope


def emptied_groups(mean: Array, law: LinearConstraint) -> tuple[Array, Array]:
    """Groups whose total is zero, and the field scaled by one ratio per group.

    No positive factors give zero, but smaller and smaller ones do: the field is zero
    there. The ratio gives it the derivative in the value.
    """
    operator = law.operator
    assert isinstance(operator, Disjoint)
    total = operator.groups.total
    now = operator.mv(mean)
    positive = total((operator.weights < 0).astype(mean.dtype)) == 0
    emptied = (law.value == 0) & positive & (now > 0)
    ratio = jnp.where(emptied, law.value / jnp.where(emptied, now, 1), 0)
    return emptied, mean * operator.groups.spread(ratio)


@WithDerivative
def solved(mean: Array, spread: Array, law: LinearConstraint) -> tuple[Array, Array]:
    """The multiplier, and by how much its field misses the rows."""
    return in_float64(_search)(mean, spread, law)


@solved.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    """The derivative of the equation that the multiplier solves, to any order."""
    found, missed = solved(*primals)
    _, _, slope = field_of(found, *primals)
    _, moved = jax.jvp(lambda *args: field_of(found, *args)[1], primals, tangents)
    return (found, missed), (safe.divide(moved, slope), jnp.zeros_like(missed))


@jax.jit
def rounded(
    multiplier: Array, mean: Array, spread: Array, law: LinearConstraint
) -> Array:
    return field_of(multiplier, mean, spread, law)[0]


@jax.jit
def _search(mean: Array, spread: Array, law: LinearConstraint) -> tuple[Array, Array]:
    """Newton's method on log of the groups' values where they are positive, damped.

    With weights of one sign the logarithm of Σ w μ exp(λ w s) is convex and nearly
    linear in λ, so that Newton's method on it takes a few steps from any value.
    """
    operator = law.operator
    assert isinstance(operator, Disjoint)
    groups = operator.groups
    total = groups.total
    sizes = jnp.abs(operator.weights) * spread
    # The largest exponent of a group is λ times its reach: steps are limited by it.
    label = groups.labels().reshape(-1)
    count = law.value.size
    index = jnp.where(label < 0, count, label)
    reach = jax.ops.segment_max(sizes.reshape(-1), index, count + 1)[:count]
    reach = jnp.where(reach > 0, reach, 1).reshape(law.value.shape)

    def step(_: Array, multiplier: Array) -> Array:
        u, missing, slope = field_of(multiplier, mean, spread, law)
        now = total(operator.weights * u)
        same_sign = (now * law.value > 0) & (slope > 0)
        ratio = jnp.where(same_sign, law.value / jnp.where(same_sign, now, 1), 1)
        newton = jnp.where(slope > 0, missing / jnp.where(slope > 0, slope, 1), 0)
        logarithmic = jnp.log(ratio) * now / jnp.where(slope > 0, slope, 1)
        move = jnp.where(same_sign, logarithmic, newton)
        limit = 4 / reach
        return multiplier + jnp.clip(move, -limit, limit)

    multiplier = jax.lax.fori_loop(0, _STEPS, step, jnp.zeros_like(law.value))
    u, missing, _ = field_of(multiplier, mean, spread, law)
    terms = total(jnp.abs(operator.weights * u)) + jnp.abs(law.value)
    missed = jnp.abs(missing) / jnp.where(terms > 0, terms, 1)
    return multiplier, jnp.where(operator.present(), missed, 0)
