"""The rows of `constrained` as one law, with their smallest and largest values."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from physcon._checks import require, require_given, require_same_field
from physcon._typing import Array, ArrayLike
from physcon.conditioning.builders import from_matrix
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.rows import stack
from physcon.conditioning.stacking import while_known
from physcon.linear_map import LinearMap


def joined(
    prior: Gaussian, constraint: LinearConstraint | None, rows: Any
) -> tuple[LinearConstraint, int]:
    """Equality and inequality rows as one law, and the number of equalities."""
    laws: list[LinearConstraint] = []
    if constraint is not None:
        require_given(constraint, LinearConstraint, "constraint")
        laws.append(constraint)
    equalities = sum(law.value.size for law in laws)
    if rows is not None:
        if not isinstance(rows, LinearMap):
            with while_known(rows):
                rows = from_matrix(rows, 0.0, shape=prior.mean.shape).operator
        dtype = prior.mean.dtype
        laws.append(LinearConstraint(rows, jnp.zeros(rows.out_shape, dtype)))
    require(
        len(laws) > 0,
        "a constraint, rows, or both",
        "neither",
        "for bounds alone clip the mean, or, if errors are correlated, pass a row of "
        "zeros, rows=np.zeros((1, n))",
    )
    for law in laws:
        require_same_field(prior.mean.shape, tuple(law.operator.in_shape))
    return (laws[0] if len(laws) == 1 else stack(*laws)), equalities


def row_ends(
    law: LinearConstraint,
    equalities: int,
    row_lower: ArrayLike | None,
    row_upper: ArrayLike | None,
) -> tuple[Array, Array]:
    """Smallest and largest values of all rows; they agree for an equality."""
    shape = (law.value.size - equalities,)
    dtype = law.value.dtype
    row_low = full(row_lower, -jnp.inf, shape, dtype, "row_lower")
    row_high = full(row_upper, jnp.inf, shape, dtype, "row_upper")
    value = law.value.reshape(-1)[:equalities]
    low = jnp.concatenate([value, row_low]).reshape(law.value.shape)
    high = jnp.concatenate([value, row_high]).reshape(law.value.shape)
    return low, high


def full(
    x: ArrayLike | None, open_end: float, shape: tuple, dtype: Any, name: str
) -> Array:
    """A bound as an array; None is open."""
    x = open_end if x is None else x
    got = np.shape(x)
    remedy = "functions act on one sample: batch with jax.vmap"
    require(got in ((), shape), f"{name} a scalar or of shape {shape}", got, remedy)
    return jnp.broadcast_to(jnp.asarray(x, dtype), shape)
