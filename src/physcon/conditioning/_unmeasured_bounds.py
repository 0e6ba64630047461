"""Bounds and inequalities together with unmeasured points, whose error is infinite.

The unmeasured points are eliminated from the equality rows. Each of them is then a
linear function of the measured points, so that its bounds are an inequality row, and
the inequality rows that see it become rows on the measured points.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._numerics.float64 import in_float64
from physcon._status import Outcome, worse
from physcon._typing import Array
from physcon.conditioning._coordinates import Coordinates, stacked
from physcon.conditioning._unmeasured import (
    Reduced,
    RestoredRoot,
    entries,
    product,
    reduced,
    restored_mean,
)
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.rows import stack
from physcon.linear_map import LinearMap, Rows, Sparse

Ends = tuple[Array, Array]


class Eliminated(NamedTuple):
    """The problem of `constrained` on the measured points.

    Attributes:
        left: the equalities after elimination.
        law: these, then the inequality rows, then a row for each solved point.
        bounds: of the measured points.
        ends: smallest and largest values of all rows.
        seen: which solved points the inequality rows see, ``(rows, solved)``.
    """

    left: Reduced
    law: LinearConstraint
    bounds: Ends
    ends: Ends
    seen: Coordinates


def eliminated(
    prior: Gaussian,
    law: LinearConstraint,
    bounds: Ends,
    ends: Ends,
    equalities: int,
    absent: np.ndarray,
) -> Eliminated:
    """The problem without its unmeasured points.

    Args:
        law: all rows, equalities first; `ends` are their smallest and largest values.
        absent: flat indices of the unmeasured points.
    """
    matrix = entries(law.operator)
    some = matrix.chosen(np.arange(equalities))
    left = reduced(prior, _first_rows(law, some), absent, some)
    count = left.prior.mean.size
    solved, solving = left.solved, left.elimination.solving
    rows = matrix.chosen(np.arange(equalities, law.value.size))
    number = np.full(prior.mean.size, -1)
    number[solved] = np.arange(solved.size)
    is_solved = number[rows.column] >= 0
    seen = _entries_of(rows, is_solved)
    seen = seen._replace(column=number[seen.column])
    own = solving.times(-1.0)
    whole = stacked([_entries_of(rows, ~is_solved).plus(seen.after(own)), own])
    low, high = (end.reshape(-1) for end in bounds)
    place = jnp.asarray(solved)

    def moved(end: Array, bound: Array, shift: Array) -> Array:
        constant = product(seen, shift) if solved.size else jnp.zeros(seen.size)
        return jnp.concatenate([end - constant, bound - shift])

    shift = left.shift.reshape(-1)[place]
    row_ends = [
        in_float64(moved)(end.reshape(-1)[equalities:], bound[place], shift)
        for end, bound in zip(ends, (low, high), strict=True)
    ]
    measured = jnp.ones(prior.mean.size, bool).at[jnp.asarray(absent)].set(False)
    far = jnp.full(count, jnp.inf, low.dtype)
    points = slice(0, prior.mean.size)
    bounds = (
        (-far).at[points].set(jnp.where(measured, low, -jnp.inf)),
        far.at[points].set(jnp.where(measured, high, jnp.inf)),
    )
    further = LinearConstraint(
        _operator(law.operator, whole, count, low.dtype), jnp.zeros_like(row_ends[0])
    )
    value = left.law.value.reshape(-1)
    joined = stack(left.law, further) if whole.size else left.law
    all_ends = [jnp.concatenate([value, end]) for end in row_ends]
    return Eliminated(left, joined, bounds, (all_ends[0], all_ends[1]), seen)


def restored(
    found: Any,
    problem: Eliminated,
    law: LinearConstraint,
    bounds: Ends,
    equalities: int,
) -> Any:
    """The result of `constrained` for the field, from that for its measured points."""
    left, seen = problem.left, problem.seen
    n, shape = bounds[0].size, bounds[0].shape
    place = jnp.asarray(left.solved)
    rows = law.value.size - equalities
    touching = found.row_active[rows:]
    active = found.active[:n].at[place].set(touching).reshape(shape)
    mean = jnp.clip(restored_mean(left, found.mean), *bounds)
    mean = jnp.where(active < 0, bounds[0], jnp.where(active > 0, bounds[1], mean))
    kept = left.law.value.size
    own, others, pulls = jnp.split(found.multiplier, [kept, kept + rows])
    of_points = pulls + _transposed(seen, others, left.solved.size)
    steps = left.elimination
    multiplier = -_transposed(steps.solving_from, of_points, equalities)
    if steps.free.size:
        multiplier = multiplier + _transposed(steps.free_from, own, equalities)
    lost = left.lost.size > 0
    root = RestoredRoot(found.posterior.root, left.back, place)
    return found._replace(
        mean=mean,
        posterior=Gaussian(mean, root),
        active=active,
        row_active=found.row_active[:rows],
        multiplier=jnp.concatenate([multiplier, others]),
        outcome=worse(found.outcome, Outcome.unobservable if lost else Outcome.good),
    )


def _first_rows(law: LinearConstraint, matrix: Coordinates) -> LinearConstraint:
    """The first rows of a law, whose entries are `matrix`."""
    count = matrix.size
    if count == law.value.size:
        return law
    shape = tuple(law.operator.in_shape)
    operator: LinearMap
    if isinstance(law.operator, Rows):
        operator = Rows(law.operator.rows().reshape(-1, *shape)[:count])
    else:
        row = jnp.asarray(matrix.row.astype(np.uint32))
        column = jnp.asarray(matrix.column.astype(np.uint32))
        entry = jnp.asarray(matrix.entry, law.value.dtype)
        operator = Sparse(entry, row, column, shape, count)
    noise = None if law.noise_std is None else law.noise_std.reshape(-1)[:count]
    return LinearConstraint(operator, law.value.reshape(-1)[:count], noise)


def _operator(
    like: LinearMap, matrix: Coordinates, count: int, dtype: Any
) -> LinearMap:
    """The matrix as rows of the same kind as the law's."""
    entry = jnp.asarray(matrix.entry, dtype)
    if isinstance(like, Rows):
        whole = jnp.zeros((matrix.size, count), dtype)
        return Rows(whole.at[matrix.row, matrix.column].set(entry))
    return Sparse.of(entry, matrix.row, matrix.column, (count,), matrix.size)


def _entries_of(matrix: Coordinates, kept: np.ndarray) -> Coordinates:
    """The matrix with some of its entries only."""
    return Coordinates(
        matrix.shape, matrix.row[kept], matrix.column[kept], matrix.entry[kept]
    )


def _transposed(matrix: Coordinates, y: Array, columns: int) -> Array:
    """The transpose of a matrix times y."""
    terms = jnp.asarray(matrix.entry, y.dtype) * y[matrix.row]
    return jax.ops.segment_sum(terms, jnp.asarray(matrix.column), columns)
