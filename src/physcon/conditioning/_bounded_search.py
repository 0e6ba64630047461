"""The search of `bounded` for any rows: an active set, then an interior point.

`find_active_set` and `interior_point` propose the points that are free to move, and
`optimality` refines and judges each proposal.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from physcon._numerics.float64 import in_float64
from physcon._numerics.rarely import rarely
from physcon._status import Outcome, choose
from physcon._typing import Array
from physcon.conditioning._box import Given
from physcon.conditioning._reachable import reach
from physcon.conditioning.active_set import find_active_set
from physcon.conditioning.interior_point import interior_point
from physcon.conditioning.optimality import (
    Problem,
    Refined,
    contradicts,
    dependent_rows,
    error_of,
    proposal_of,
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
    proof = found.multiplier
    if problem.value.size > 1:
        found, proof = _attempts(problem, found, dtype)
    missing = problem.value - problem.rows.reshape(exact.size, -1) @ found.field.ravel()
    directions = jnp.stack([missing, found.multiplier, proof])
    proved = jax.vmap(partial(contradicts, problem))(directions)
    contradiction = (found.error > 1) & jnp.any(proved)
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


def _attempts(problem: Problem, found: Refined, dtype: Any) -> tuple[Refined, Array]:
    """The best of the proposals, and a direction that may prove a contradiction.

    Until one is optimal, three problems are given to the interior point, each followed
    by a Newton step on its active set, in one loop so that all share one program:

    0. The problem itself.
    1. With the rounding of each row as noise. Rows that nearly repeat others disagree
       by rounding, which no field inside the box may be able to meet exactly.
    2. With the widths of the box as standard deviations. If no field meets the rows,
       the multipliers of the nearest one prove it.
    """
    mean, variance, rows, value, noise, lower, upper = problem
    eps = float(jnp.finfo(dtype).eps)
    axes = tuple(range(1, rows.ndim))
    width = upper - lower
    boxed = (variance > 0) & jnp.isfinite(width)
    wide = jnp.where(boxed, jnp.maximum(width, 0) ** 2, variance)
    terms = jnp.sum(jnp.abs(rows * jnp.clip(mean, lower, upper)[None]), axis=axes)
    rounding = (max(eps, 1e-8) * (terms + jnp.abs(value))) ** 2
    soft = jnp.where(noise > 0, noise, rounding)

    def judged(new: Refined) -> Refined:
        error = error_of(problem, new.field, new.multiplier, dtype)
        return new._replace(error=error)

    def attempt(k: Array, carry: tuple[Refined, Array]) -> tuple[Refined, Array]:
        best, multiplier = carry
        kind, again = k // 2, k % 2 == 1
        tried = problem._replace(
            variance=jnp.where(kind == 2, wide, variance),
            noise_variance=jnp.where(kind == 0, noise, soft),
        )
        first = interior_point(tried, (best.error > 1) & ~again)
        second = proposal_of(tried, multiplier)
        proposal = jax.tree.map(lambda a, b: jnp.where(again, b, a), first, second)
        new = judged(refine(tried, proposal, dtype))
        other = rarely(
            jnp.minimum(new.error, best.error) > 1,
            lambda: judged(refine(tried, proposal, dtype, orthonormal=True)),
            lambda: new,
        )
        finer = other.error < new.error
        new = jax.tree.map(lambda a, b: jnp.where(finer, a, b), other, new)
        better = (best.error > 1) & (new.error < best.error)
        kept = jax.tree.map(lambda a, b: jnp.where(better, a, b), new, best)
        return kept, new.multiplier

    return jax.lax.fori_loop(0, 5, attempt, (found, found.multiplier))
