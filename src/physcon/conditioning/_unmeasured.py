"""Conditioning with unmeasured points, whose standard deviation is infinite.

The points are eliminated from the rows. What is left is a law on the measured points,
and then each unmeasured point is a linear function of these.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import is_traced, require
from physcon._numerics.float64 import in_float64
from physcon._typing import Array, Float
from physcon.conditioning._coordinates import Coordinates, stacked
from physcon.conditioning._elimination import Elimination, eliminate
from physcon.conditioning._restored import Restored as Restored
from physcon.conditioning._restored import RestoredRoot as RestoredRoot
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.refined import independent_std
from physcon.conditioning.stacking import triplets
from physcon.linear_map import (
    Diagonal,
    Disjoint,
    LinearMap,
    Pointwise,
    Rows,
    Sparse,
    Stack,
)
from physcon.linear_map.basic import size


class Reduced(NamedTuple):
    """A conditioning on measured points only.

    Attributes:
        prior: over the measured points and one point for each noisy row, flattened;
            unmeasured points have no variance.
        law: on these.
        back: from these to the field, apart from `shift`.
        shift: ``(*x)``.
        solved: flat indices of the points that combinations of the others give.
        lost: flat indices of the points that the rows don't determine.
        log_density: what the evidence lacks, with a prior density of 1 for each
            unmeasured point.
        elimination: the combinations of rows.
    """

    prior: Gaussian
    law: LinearConstraint
    back: Restored
    shift: Float[Array, "*x"]
    solved: np.ndarray
    lost: np.ndarray
    log_density: float
    elimination: Elimination


def unmeasured(prior: Gaussian) -> np.ndarray | None:
    """Flat indices of infinite standard deviations; None if there are none, or the
    values are traced.
    """
    std = independent_std(prior.root)
    if std is None or is_traced(std):
        return None
    found = np.flatnonzero(np.isinf(np.asarray(std)))
    return found if found.size else None


def reduced(
    prior: Gaussian,
    law: LinearConstraint,
    absent: np.ndarray,
    matrix: Coordinates | None = None,
) -> Reduced:
    """The conditioning that is left after elimination.

    Args:
        matrix: the entries of the law, if they are known already.
    """
    matrix = entries(law.operator) if matrix is None else matrix
    n, m = prior.mean.size, law.value.size
    count = n
    if law.noise_std is not None:  # the noise of a row is a point of its own
        noise = np.arange(m)
        matrix = matrix.plus(Coordinates(matrix.shape, noise, n + noise, np.ones(m)))
        count = n + m
    found = eliminate(matrix, absent)
    dtype = prior.mean.dtype
    std = independent_std(prior.root)
    assert std is not None
    known = jnp.asarray(np.isin(np.arange(n), absent, invert=True))
    spread = jnp.where(known, std.reshape(-1), 0)
    # A point that is not determined keeps its prior mean, where others need a value.
    held = known | jnp.asarray(np.isin(np.arange(n), found.lost))
    centre = jnp.where(held, prior.mean.reshape(-1), 0)
    if count > n:
        spread = jnp.concatenate([spread, law.noise().reshape(-1)])
        centre = jnp.concatenate([centre, jnp.zeros(m, dtype)])
    back, shift = _back(prior, law, found, count)
    return Reduced(
        Gaussian(centre, Diagonal(spread)),
        _law(law, found, count, dtype),
        back,
        shift,
        found.solved,
        found.lost,
        found.log_det,
        found,
    )


def restored_mean(left: Reduced, mean: Float[Array, " e"]) -> Float[Array, "*x"]:
    """The field's mean from the mean of the measured points, rounded once."""
    return in_float64(lambda back, x, shift: back.mv(x) + shift)(
        left.back, mean, left.shift
    )


def _law(
    law: LinearConstraint, found: Elimination, count: int, dtype: jnp.dtype
) -> LinearConstraint:
    rows = found.free
    if rows.size == 0:  # nothing checks the measured points
        none = jnp.zeros((1, count), dtype)
        return LinearConstraint(Rows(none), jnp.zeros(1, dtype))
    value, terms = in_float64(
        lambda b: (product(found.free_from, b), product(found.free_from, b, True))
    )(law.value.reshape(-1))
    # The values of rows that vanish cancel to rounding.
    empty = np.bincount(rows.row, minlength=rows.size) == 0
    rounding = 64 * float(jnp.finfo(dtype).eps) * terms
    value = jnp.where(jnp.asarray(empty) & (jnp.abs(value) <= rounding), 0, value)
    entry = jnp.asarray(rows.entry, dtype)
    operator: LinearMap
    if isinstance(law.operator, Rows):
        whole = jnp.zeros((rows.size, count), dtype)
        operator = Rows(whole.at[rows.row, rows.column].set(entry))
    else:
        operator = Sparse.of(entry, rows.row, rows.column, (count,), rows.size)
    return LinearConstraint(operator, value)


def _back(
    prior: Gaussian, law: LinearConstraint, found: Elimination, count: int
) -> tuple[Restored, Array]:
    n, shape = prior.mean.size, prior.mean.shape
    dtype = prior.mean.dtype
    kept = np.ones(n)
    kept[found.solved] = 0
    rows = found.solving
    back = Restored(
        jnp.asarray(kept, dtype),
        jnp.asarray(found.solved[rows.row], jnp.int32),
        jnp.asarray(rows.column, jnp.int32),
        jnp.asarray(-rows.entry, dtype),
        shape,
        count,
    )
    shift = in_float64(lambda b: product(found.solving_from, b))(law.value.reshape(-1))
    whole = jnp.zeros(n, dtype).at[found.solved].set(shift.astype(dtype))
    return back, whole.reshape(shape)


def product(matrix: Coordinates, x: Array, absolute: bool = False) -> Array:
    """A matrix of the host times an array, or the sizes of its terms."""
    terms = jnp.asarray(matrix.entry, x.dtype) * x[matrix.column]
    terms = jnp.abs(terms) if absolute else terms
    return jax.ops.segment_sum(terms, jnp.asarray(matrix.row), matrix.size)


def entries(operator: LinearMap) -> Coordinates:
    """The entries of an operator, on the host; rows and columns are flattened."""
    require(
        not any(is_traced(leaf) for leaf in jax.tree.leaves(operator)),
        "a law with known entries together with an infinite standard deviation",
        "traced ones",
        "build the law outside of jit, and let the compiled function close over it",
    )
    if isinstance(operator, Stack):
        whole = stacked([entries(part) for part in operator.parts])
        return whole.chosen(np.asarray(operator.layout.order, int))
    count = (size(operator.out_shape),)
    if isinstance(operator, (Sparse, Disjoint, Pointwise)):
        values, row, column = triplets(operator)
        return Coordinates(count, row, column, np.asarray(values, float)).merged()
    dense = np.asarray(operator.rows(), float).reshape(count[0], -1)
    row, column = np.nonzero(dense)
    return Coordinates(count, row, column, dense[row, column])


def refusal(lost: np.ndarray, caller: str = "condition") -> str:
    """The error for points that are not observable; it names them."""
    more = f" and {lost.size - 10} more" if lost.size > 10 else ""
    points = ", ".join(str(k) for k in lost[:10]) + more
    return (
        f"{caller}: expected rows that determine every point with an infinite standard "
        f"deviation, got none that do for the point(s) {points} (numbered in the "
        "flattened field); measure one of them or give it a finite standard deviation, "
        "and see diagnose(prior, law).observable"
    )
