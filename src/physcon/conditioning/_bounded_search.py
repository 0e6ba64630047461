"""The search of `bounded` for any rows: an active set, then an interior point.

`find_active_set` and `interior_point` propose the points that are free to move, and
`optimality` refines and judges each proposal.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from physcon._numerics.float64 import in_float64
from physcon._status import Outcome, choose
from physcon._typing import Array
from physcon.conditioning._box import Given
from physcon.conditioning._reachable import reach
from physcon.conditioning.active_set import find_active_set
from physcon.conditioning.interior_point import interior_point
from physcon.conditioning.optimality import (
    Refined,
    contradicts,
    dependent_rows,
    refine,
)


def searched(given: Given) -> tuple[Refined, Array, Array, Outcome]:
    """The solution, each row's prior std, which rows are dependent, and the outcome."""
    dtype = given.mean.dtype
    found, row_std, dependent, flags = in_float64(partial(_search, dtype=dtype))(given)
    finite, ordered, unreachable, contradiction = flags
    outcome = choose(
        (~finite, Outcome.not_finite),
        (~ordered, Outcome.disordered),
        (unreachable, Outcome.unreachable),
        (contradiction, Outcome.contradiction),
        (~(found.error <= 1), Outcome.not_solved),
    )
    return found, row_std, dependent, outcome


@partial(jax.jit, static_argnames="dtype")  # compiled once where called without jit
def _search(given: Given, dtype: Any) -> tuple[Refined, Array, Array, tuple]:
    problem = given.problem()
    lowest, highest, outside = reach(problem, dtype)
    nearest = jnp.clip(problem.value, lowest, highest)
    exact = problem.noise_variance == 0
    problem = problem._replace(value=jnp.where(exact, nearest, problem.value))
    tolerance = 4 * float(jnp.finfo(dtype).eps)
    found = refine(problem, find_active_set(problem, tolerance), dtype)
    if problem.value.size > 1:
        other = refine(problem, interior_point(problem, found.error > 1), dtype)
        better = (found.error > 1) & (other.error < found.error)
        found = jax.tree.map(lambda a, b: jnp.where(better, a, b), other, found)
    missing = problem.value - problem.rows.reshape(exact.size, -1) @ found.field.ravel()
    contradiction = (found.error > 1) & (
        contradicts(problem, missing) | contradicts(problem, found.multiplier)
    )
    finite = jnp.stack([jnp.all(jnp.isfinite(x)) for x in given[:5]])
    no_bound = jnp.any(~(given.lower < jnp.inf) | ~(given.upper > -jnp.inf))
    flags = (
        jnp.all(finite) & ~no_bound,
        ~jnp.any(given.lower > given.upper),
        jnp.any(outside),
        contradiction,
    )
    row_std, dependent = dependent_rows(problem, found)
    return found, row_std, dependent, flags
