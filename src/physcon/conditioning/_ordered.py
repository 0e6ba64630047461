"""Two inequalities that come up often: one variable below another, and fractions."""

import jax.numpy as jnp

from physcon._checks import require, require_given
from physcon._typing import ArrayLike
from physcon.conditioning._constrained import Constrained, constrained
from physcon.conditioning.builders import pointwise
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.rows import stack
from physcon.linear_map import Pointwise


def ordered(
    prior: Gaussian,
    constraint: LinearConstraint | None = None,
    *,
    first: int = 0,
    second: int = 1,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    throw: bool = True,
) -> Constrained:
    """The most probable field in which one component is nowhere above another.

    Frozen precipitation below the total, dew point below temperature.

    Args:
        prior: over fields ``(c, *x)``, as for `constrained`.
        constraint: further equality rows, such as totals that are kept, or None.
        first, second: u[first] <= u[second] at every point.
        lower, upper: bounds of the field, scalar or ``(c, *x)``.

    >>> prior = Gaussian.diagonal(jnp.array([[3.0, 0.0], [1.0, 1.0]]), jnp.ones((2, 2)))
    >>> [[round(float(x), 4) for x in row] for row in ordered(prior).mean]
    [[2.0, 0.0], [2.0, 1.0]]
    """
    require_given(prior, Gaussian, "prior")
    components, *space = prior.mean.shape
    require(
        first != second and max(first, second) < components and min(first, second) >= 0,
        f"two different components out of {components}",
        (first, second),
        "put the axis of the components first",
    )
    matrix = jnp.zeros((1, components), prior.mean.dtype)
    matrix = matrix.at[0, first].set(-1).at[0, second].set(1)
    rows = Pointwise(matrix, tuple(space))
    return constrained(
        prior, constraint, lower, upper, rows=rows, row_lower=0.0, throw=throw
    )


def simplex(
    prior: Gaussian,
    constraint: LinearConstraint | None = None,
    *,
    total: ArrayLike = 1.0,
    throw: bool = True,
) -> Constrained:
    """The most probable fractions: none is negative, and they add up at every point.

    Args:
        prior: over fields ``(c, *x)``, c fractions, as for `constrained`.
        constraint: further equality rows, such as totals that are kept, or None.
        total: what the fractions add up to, scalar or ``(*x)``.

    >>> prior = Gaussian.diagonal(jnp.array([[0.9], [0.4], [-0.5]]), jnp.ones((3, 1)))
    >>> [round(float(x), 4) for x in simplex(prior).mean[:, 0]]
    [0.75, 0.25, 0.0]
    """
    require_given(prior, Gaussian, "prior")
    components, *space = prior.mean.shape
    sums = jnp.broadcast_to(jnp.asarray(total, prior.mean.dtype), (1, *space))
    matrix = jnp.ones((1, components), prior.mean.dtype)
    law = pointwise(matrix, sums)
    if constraint is not None:
        law = stack(law, constraint)
    return constrained(prior, law, 0.0, throw=throw)
