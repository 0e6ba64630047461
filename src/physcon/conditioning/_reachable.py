"""The values that each row can have within the bounds."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physcon._numerics.float64 import entirely_in_float64, in_float64
from physcon._typing import Array, ArrayLike, Bool, Float
from physcon.conditioning._bounded_many import has_many_rows, reach_of_rows
from physcon.conditioning._bounded_messages import unreachable_rows
from physcon.conditioning._box import Given, box, diagonal_std
from physcon.conditioning._condition import matched
from physcon.conditioning._grouped import reach_of_groups
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.optimality import Problem
from physcon.linear_map import Diagonal, Disjoint


def reachable(
    prior: Gaussian,
    constraint: LinearConstraint,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
) -> tuple[Float[Array, "*y"], Float[Array, "*y"]]:
    """Smallest and largest value of each row over the fields within the bounds.

    Shapes: two arrays like the constraint's value. Points of zero variance don't move.

    >>> from physcon.conditioning.constraint import integral
    >>> prior = Gaussian.diagonal(jnp.zeros(4), jnp.ones(4))
    >>> [float(x[0]) for x in reachable(prior, integral(jnp.ones(4), 1.0), 0.0, 2.0)]
    [0.0, 8.0]
    """
    prior, constraint = matched(prior, constraint)
    ends = box(prior, lower, upper)
    if has_many_rows(constraint.operator) or not isinstance(prior.root, Diagonal):
        return reach_of_rows(prior, constraint, *ends)[:2]
    std = diagonal_std(prior, constraint)
    if isinstance(constraint.operator, Disjoint):
        return reach_of_groups(prior.mean, std, constraint, *ends)
    given = Given(
        prior.mean,
        std,
        constraint.operator.rows(),
        constraint.value,
        jnp.zeros_like(constraint.value),
        *ends,
    )
    found = entirely_in_float64(partial(_reach_of, dtype=prior.mean.dtype))(given)
    return found[:2]


@partial(jax.jit, static_argnames="dtype")
def _reach_of(
    given: Given, dtype: Any
) -> tuple[Float[Array, " m"], Float[Array, " m"], Bool[Array, " m"]]:
    return reach(given.problem(), dtype)


def reach(
    problem: Problem, dtype: Any
) -> tuple[Float[Array, " m"], Float[Array, " m"], Bool[Array, " m"]]:
    """Smallest and largest row values, and whether b lies outside of them.

    Bounds and values are often sums in the caller's precision: what they miss by its
    rounding is not outside.
    """
    space = tuple(range(1, problem.rows.ndim))
    moving = problem.variance > 0
    resting = jnp.clip(problem.mean, problem.lower, problem.upper)

    def products(end: Array) -> Array:
        ends = jnp.where(moving, end, resting)[None]
        return jnp.where(problem.rows == 0, 0, problem.rows * ends)

    low = products(problem.lower)
    high = products(problem.upper)
    least = jnp.minimum(low, high)
    most = jnp.maximum(low, high)
    lowest = jnp.sum(least, axis=space)
    highest = jnp.sum(most, axis=space)
    b = problem.value
    eps = 3 * float(jnp.finfo(dtype).eps)
    slack_below = eps * (jnp.sum(jnp.abs(least), axis=space) + jnp.abs(b))
    slack_above = eps * (jnp.sum(jnp.abs(most), axis=space) + jnp.abs(b))
    exact = problem.noise_variance == 0
    outside = (b < lowest - slack_below) | (b > highest + slack_above)
    return lowest, highest, exact & outside


def refuse_unreachable(given: Given) -> None:
    """Raise if exact rows have values out of reach; the message names them."""
    found = in_float64(partial(_reach_of, dtype=given.mean.dtype))(given)
    lowest, highest, unreachable = map(np.asarray, found)
    if unreachable.any():
        value = np.asarray(given.value)
        raise ValueError(unreachable_rows(unreachable, lowest, highest, value))
