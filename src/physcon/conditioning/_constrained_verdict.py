"""The search of `constrained`, and the verdict on what it found."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._extremes import largest_of
from physcon._numerics.float64 import in_float64
from physcon._status import Outcome, choose
from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning._interior import Interior, interior_point
from physcon.conditioning._interior_box import LEAST, Boxed
from physcon.conditioning._interior_rows import interior_point_of_rows
from physcon.conditioning._metric import metric_of
from physcon.conditioning._rounding import EPS64, terms_of_rows
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers import Solver
from physcon.linear_map import LinearMap


class Given(NamedTuple):
    """The arguments of `constrained`, in the caller's dtype."""

    prior: Gaussian
    operator: LinearMap  # equality rows, then inequality rows
    noise_std: Float[Array, "*y"]
    lower: Float[Array, "*x"]
    upper: Float[Array, "*x"]
    row_lower: Float[Array, "*y"]
    row_upper: Float[Array, "*y"]


def search(given: Given, solver: Solver) -> Interior:
    """The last iterate of the interior point; nothing is differentiable."""
    return in_float64(partial(_search, solver=solver))(given)


def search_rows(
    given: Given, whole: LinearMap, kept: Bool[Array, "*y"], equalities: int
) -> Interior:
    """As `search`, for a field without bounds and dense rows.

    Args:
        whole: the operator with the rows that are open at both ends.
        kept: false for these rows.
        equalities: the number of equality rows, which come first.
    """
    searched = in_float64(partial(_search_rows, equalities=equalities))
    return searched(given._replace(operator=whole), kept)


@partial(jax.jit, static_argnames="solver")
def _search(given: Given, solver: Solver) -> Interior:
    return interior_point(_problem(given), solver)


@partial(jax.jit, static_argnames="equalities")
def _search_rows(given: Given, kept: Array, equalities: int) -> Interior:
    problem = _problem(given)
    return interior_point_of_rows(problem, given.prior, equalities, kept)


def _problem(given: Given) -> Boxed:
    prior, operator, noise_std, *ends = given
    return Boxed(prior.mean, metric_of(prior), operator, noise_std**2, *ends)


def judged(
    given: Given, found: Interior, field: Float[Array, "*x"]
) -> tuple[Float[Array, "*x"], Float[Array, "*y"], Scalar, Outcome]:
    """The better of two fields, the multipliers or the proof, its gap, the outcome.

    Args:
        found: the last iterate of the interior point.
        field: the result of the conditioning with its active set.
    """
    verdict = in_float64(partial(_verdict, dtype=field.dtype))
    chosen, multiplier, gap, flags = verdict(given, found, field)
    finite, ordered, infeasible, solved = flags
    outcome = choose(
        (~finite, Outcome.not_finite),
        (~ordered, Outcome.disordered),
        (infeasible, Outcome.contradiction),
        (~solved, Outcome.not_solved),
    )
    return chosen, multiplier, gap, outcome


@partial(jax.jit, static_argnames="dtype")
def _verdict(
    given: Given, found: Interior, field: Array, dtype: Any
) -> tuple[Array, Array, Array, tuple]:
    """The better of the two fields, the multipliers or the proof, by how much every
    field misses that combination of the rows, and four flags.

    The flags are: finite, ordered, infeasible, solved. If no field obeys everything,
    the combination of rows that proves it takes the place of the multipliers.
    """
    problem = _problem(given)
    iterate = jnp.clip(found.field, problem.lower, problem.upper)
    terms = terms_of_rows(given.prior, problem.operator, found.multiplier)
    error_field = _error(problem, found.multiplier, terms, field, dtype)
    error_iterate = _error(problem, found.multiplier, terms, iterate, dtype)
    use_field = (error_field <= 1) | (error_field <= error_iterate)
    chosen = jnp.where(use_field, field, iterate)
    chosen = jnp.clip(chosen, problem.lower, problem.upper)
    solved = jnp.minimum(error_field, error_iterate) <= 1
    finite, ordered = _valid(given, problem)
    s = problem.operator.mv(iterate)
    missing = jnp.clip(s, problem.row_lower, problem.row_upper) - s
    by_multiplier, gap = _contradicts(problem, found.multiplier)
    by_missing, other_gap = _contradicts(problem, missing)
    first = by_multiplier | ~by_missing
    proof = jnp.where(first, found.multiplier, missing)
    gap = jnp.where(first, gap, other_gap)
    proved = by_multiplier | by_missing
    return chosen, proof, gap, (finite, ordered, ~solved & proved, solved)


def _error(
    problem: Boxed, multiplier: Array, before: Array, u: Array, dtype: Any
) -> Scalar:
    """The largest violation of a bound or a row, in units of what is promised.

    Args:
        before: the sizes of the terms of the rows, which were summed in float64.
    """
    eps = float(jnp.finfo(dtype).eps)
    promise = 16 if dtype == jnp.float32 else 16 + u.size**0.5
    inside = jnp.clip(u, problem.lower, problem.upper)
    sizes = jnp.abs(u) + jnp.abs(inside)
    out = jnp.abs(u - inside) / (16 * eps * sizes + LEAST)
    rounded = inside.astype(dtype).astype(u.dtype)
    s = problem.operator.mv(rounded) + problem.noise * multiplier
    nearest = jnp.clip(s, problem.row_lower, problem.row_upper)
    terms = problem.operator.magnitude(rounded) + jnp.abs(nearest)
    terms = terms + problem.noise * jnp.abs(multiplier)
    terms = terms + before * (EPS64 / eps)
    missed = jnp.abs(s - nearest) / (promise * eps * terms + LEAST)
    worst = jnp.maximum(largest_of(out), largest_of(missed))
    return jnp.where(jnp.isfinite(worst), worst, jnp.inf)


def _valid(given: Given, problem: Boxed) -> tuple[Array, Array]:
    """Whether the arguments are finite, and whether their bounds are in order."""
    arrays = jax.tree.leaves(given[:3])
    inexact = [x for x in arrays if jnp.issubdtype(x.dtype, jnp.inexact)]
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in inexact]))
    finite &= ~jnp.any(jnp.isnan(problem.lower) | jnp.isnan(problem.upper))
    finite &= ~jnp.any(jnp.isnan(problem.row_lower) | jnp.isnan(problem.row_upper))
    ordered = ~jnp.any(problem.lower > problem.upper)
    ordered &= ~jnp.any(problem.row_lower > problem.row_upper)
    return finite, ordered


def _contradicts(problem: Boxed, direction: Array) -> tuple[Bool[Array, ""], Scalar]:
    """Whether a combination of the rows proves that no field in the box meets them all,
    and by how much every field misses the combination.

    If vᵀ s exceeds vᵀ A u for all u in the box and all s between the ends of the rows,
    nothing meets them (Farkas' lemma).
    """
    v = jnp.where(problem.noise > 0, 0, direction)
    weight = problem.operator.rmv(v)
    fixed = (problem.metric.std == 0) & (problem.metric.vectors is None)
    rest = jnp.clip(problem.mean, problem.lower, problem.upper)
    end = jnp.where(weight > 0, problem.upper, problem.lower)
    terms = jnp.where(weight == 0, 0, weight * jnp.where(fixed, rest, end))
    lowest = jnp.where(v > 0, problem.row_lower, problem.row_upper)
    wanted = jnp.where(v == 0, 0, v * lowest)
    scale = jnp.sum(jnp.abs(wanted)) + jnp.sum(jnp.abs(terms))
    gap = jnp.sum(wanted) - jnp.sum(terms)
    return gap > 1e-9 * scale, gap
