"""Positive fields corrected by factors instead of differences."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import require, require_given, require_same_field, require_shape
from physcon._derivative_rules import WithDerivative
from physcon._numerics import safe
from physcon._numerics.float64 import floating, in_float64, in_one_dtype
from physcon._numerics.safe import power_of_two
from physcon._show import shown
from physcon._status import Outcome, choose, settle
from physcon._typing import Array, ArrayLike, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.solvers.factor import over
from physcon.conditioning.solvers.units import with_rows_scaled
from physcon.linear_map import Disjoint, Labelled, Rows


class Relative(NamedTuple):
    """Result of `condition_relative`.

    Attributes:
        mean: the corrected field, ``(*x)``, positive where the given one is.
        multiplier: λ, one per row: the field is multiplied by exp(λ w s).
        residual: b - G mean, one per row, summed in float64.
        outcome: `good`; `unreachable`: no positive factors give the value, such as a
            negative total of a positive field; `not_solved`; `not_finite`.
    """

    mean: Float[Array, "*x"]
    multiplier: Float[Array, "*g"]
    residual: Float[Array, "*g"]
    outcome: Outcome

    __repr__ = shown


def condition_relative(
    mean: ArrayLike,
    constraint: LinearConstraint,
    variance: ArrayLike = 1.0,
    *,
    throw: bool = True,
) -> Relative:
    """The positive field with the least relative change that obeys disjoint totals.

        minimise Σ (u log(u / μ) - u + μ) / s   subject to   Σ_group w u = b

    has the solution u = μ exp(λ w s). For equal s and w this is the scaling by one
    ratio per group that the mass fixers of weather models use, and the softmax layer of
    the downscaling literature. Points where `mean` is zero stay zero, and a group whose
    value is zero becomes zero.

    Shapes: fields ``(*x)``. Cost O(n) a step, about ten steps. Acts on one sample;
    batch with `jax.vmap`. Differentiable in mean, variance, weights and value.

    Args:
        mean: μ, not negative.
        constraint: `integral`, `totals` or `block_means`, exact.
        variance: s, relative variances (their common factor has no effect), scalar or
            ``(*x)``.

    Raises:
        ValueError: other rows, or a noise_std, while tracing.
        RuntimeError: at run time under ``throw=True``, for a failure that
            `Relative.outcome` lists.

    >>> from physcon.conditioning.constraint import integral
    >>> field = jnp.array([1.0, 3.0])
    >>> condition_relative(field, integral(jnp.ones(2), 8.0)).mean.tolist()
    [2.0, 6.0]
    """
    require_given(constraint, LinearConstraint, "constraint")
    field: Array = floating(mean)
    spread = jnp.broadcast_to(jnp.asarray(variance, field.dtype), field.shape)
    law = _disjoint_law(constraint, field.shape)
    given, spread, law = in_one_dtype(field, spread, law)
    inputs = given, spread, law
    law, spread, *sizes = _in_units(law, spread)
    emptied, scaled = _emptied(given, law)
    multiplier, missed = _solved(given, spread, law)
    missed = jnp.where(emptied, 0, missed)
    field, _, _ = _field(multiplier, given, spread, law)
    frozen = jax.lax.stop_gradient((multiplier, given, spread, law))
    value = in_float64(_rounded)(*frozen)
    field = field + jax.lax.stop_gradient(value - field)
    operator = law.operator
    assert isinstance(operator, Disjoint)
    groups = operator.groups
    field = jnp.where(groups.spread(emptied.astype(field.dtype)) > 0, scaled, field)
    outcome = _judged(*inputs, missed)
    residual = inputs[2].residual(field)
    result = Relative(field, multiplier / sizes[0] / sizes[1], residual, outcome)
    return settle(result, outcome, throw, _MESSAGES, inputs)


def _in_units(
    law: LinearConstraint, spread: Array
) -> tuple[LinearConstraint, Array, Array, Array]:
    """Weights and variances divided by their sizes (for their squares), and these.

    The weights of each group have a size of their own.
    """
    operator = law.operator
    assert isinstance(operator, Disjoint)
    total = operator.groups.total(jnp.abs(operator.weights))
    weight = power_of_two(jax.lax.stop_gradient(total))
    largest = power_of_two(jnp.max(spread, initial=0))
    inverse = over(jnp.ones_like(weight), weight)
    scaled = LinearConstraint(with_rows_scaled(operator, inverse), law.value * inverse)
    return scaled, spread / largest, weight, largest


def _judged(
    mean: Array, spread: Array, law: LinearConstraint, missed: Array
) -> Outcome:
    """The outcome; `missed` is relative to the terms of each row."""
    finite = jnp.all(jnp.isfinite(mean)) & jnp.all(jnp.isfinite(spread))
    finite &= jnp.all(jnp.isfinite(law.value))
    negative = jnp.any(mean < 0) | jnp.any(spread < 0)
    return choose(
        (~finite | negative, Outcome.not_finite),
        (jnp.any(missed > 1e-2), Outcome.unreachable),
        (~jnp.all(missed <= 64 * jnp.finfo(mean.dtype).eps), Outcome.not_solved),
    )


def _disjoint_law(
    constraint: LinearConstraint, shape: tuple[int, ...]
) -> LinearConstraint:
    """The law with rows that see disjoint points; a single row is one group."""
    operator = constraint.operator
    require_same_field(shape, tuple(operator.in_shape))
    if isinstance(operator, Rows) and operator.out_shape == (1,):
        groups = Labelled(jnp.zeros(shape, jnp.int32), 1)
        operator = Disjoint(operator.weights[0], groups)
    require(
        isinstance(operator, Disjoint) and constraint.noise_std is None,
        "exact rows that see disjoint points",
        f"{type(operator).__name__}"
        + ("" if constraint.noise_std is None else " with a noise_std"),
        "use integral, totals or block_means, or condition the logarithm of the field",
    )
    require_shape(constraint.value, tuple(operator.out_shape), "value")
    return LinearConstraint(operator, constraint.value)


def _field(
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


def _emptied(mean: Array, law: LinearConstraint) -> tuple[Array, Array]:
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
def _solved(mean: Array, spread: Array, law: LinearConstraint) -> tuple[Array, Array]:
    """The multiplier, and by how much its field misses the rows."""
    return in_float64(_search)(mean, spread, law)


@_solved.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    """The derivative of the equation that the multiplier solves, to any order."""
    found, missed = _solved(*primals)
    _, _, slope = _field(found, *primals)
    _, moved = jax.jvp(lambda *args: _field(found, *args)[1], primals, tangents)
    return (found, missed), (safe.divide(moved, slope), jnp.zeros_like(missed))


@jax.jit
def _rounded(
    multiplier: Array, mean: Array, spread: Array, law: LinearConstraint
) -> Array:
    return _field(multiplier, mean, spread, law)[0]


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
        u, missing, slope = _field(multiplier, mean, spread, law)
        now = total(operator.weights * u)
        same_sign = (now * law.value > 0) & (slope > 0)
        ratio = jnp.where(same_sign, law.value / jnp.where(same_sign, now, 1), 1)
        newton = jnp.where(slope > 0, missing / jnp.where(slope > 0, slope, 1), 0)
        logarithmic = jnp.log(ratio) * now / jnp.where(slope > 0, slope, 1)
        move = jnp.where(same_sign, logarithmic, newton)
        limit = 4 / reach
        return multiplier + jnp.clip(move, -limit, limit)

    multiplier = jax.lax.fori_loop(0, _STEPS, step, jnp.zeros_like(law.value))
    u, missing, _ = _field(multiplier, mean, spread, law)
    terms = total(jnp.abs(operator.weights * u)) + jnp.abs(law.value)
    missed = jnp.abs(missing) / jnp.where(terms > 0, terms, 1)
    return multiplier, jnp.where(operator.present(), missed, 0)


_STEPS = 40
_MESSAGES = {
    "unreachable": (
        "condition_relative: expected a value that positive factors can give, got one "
        "out of reach, such as a negative total of a positive field, or a positive "
        "total of zeros; check the values and the weights"
    ),
    "not_solved": (
        "condition_relative: expected rows met to rounding, got no convergence; check "
        "that weights and variances of one group differ by less than ten decades"
    ),
    "not_finite": (
        "condition_relative: expected a finite mean and finite variances, both nowhere "
        "negative, and finite values, got others; clip the mean at zero"
    ),
}
