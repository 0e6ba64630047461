"""Positive fields corrected by factors instead of differences."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import (
    require,
    require_given,
    require_same_field,
    require_shape,
)
from physcon._numerics.float64 import floating, in_float64, in_one_dtype
from physcon._numerics.safe import power_of_two
from physcon._show import shown
from physcon._status import Outcome, choose, settle
from physcon._typing import Array, ArrayLike, Float
from physcon.conditioning._relative_search import (
    emptied_groups,
    field_of,
    rounded,
    solved,
)
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
    emptied, scaled = emptied_groups(given, law)
    multiplier, missed = solved(given, spread, law)
    missed = jnp.where(emptied, 0, missed)
    field, _, _ = field_of(multiplier, given, spread, law)
    frozen = jax.lax.stop_gradient((multiplier, given, spread, law))
    value = in_float64(rounded)(*frozen)
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
