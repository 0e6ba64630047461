"""The optimality conditions of a bounded projection: refinement, and a verdict.

    minimise Σ (u - μ)² / (2 V)   subject to   G u + N λ = b,   l <= u <= h

A pair (u, λ) is optimal if and only if u = clip(μ + V Gᵀ λ, l, h) and G u + N λ = b.
Two solvers propose a pair, `find_active_set` and `interior_point`. Here a proposal is
refined to rounding with its active set held fixed, and judged: the verdict tests the
field that is returned, not by the progress of the solver.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._extremes import largest_of
from physcon._numerics.products import combine, gram, inner
from physcon._numerics.whitening import solve_white, whitening
from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning.orthonormal import orthonormal_rows


class Problem(NamedTuple):
    """A bounded projection; every array of one dtype."""

    mean: Float[Array, "*x"]
    variance: Float[Array, "*x"]
    rows: Float[Array, "m *x"]
    value: Float[Array, " m"]
    noise_variance: Float[Array, " m"]
    lower: Float[Array, "*x"]
    upper: Float[Array, "*x"]


class Proposal(NamedTuple):
    """Multipliers, and the points that they put on a bound."""

    multiplier: Float[Array, " m"]
    below: Bool[Array, "*x"]
    above: Bool[Array, "*x"]


class Refined(NamedTuple):
    """A proposal after refinement, and how far it is from optimal."""

    field: Float[Array, "*x"]
    multiplier: Float[Array, " m"]
    below: Bool[Array, "*x"]
    above: Bool[Array, "*x"]
    error: Scalar  # at most 1 if both optimality conditions hold to rounding


def row_scale(problem: Problem) -> Float[Array, " m"]:
    """d: rows times d have a prior variance of one; one for rows without variance."""
    axes = tuple(range(1, problem.rows.ndim))
    spread = problem.rows * jnp.sqrt(problem.variance)[None]
    total = jnp.sum(spread**2, axis=axes) + problem.noise_variance
    return jnp.where(total > 0, total, 1) ** -0.5


def gram_of(
    problem: Problem, d: Float[Array, " m"], variance: Float[Array, "*x"]
) -> Float[Array, "m m"]:
    """d (G diag(variance) Gᵀ + N) d."""
    spread = jnp.sqrt(variance)[None] * problem.rows
    return d[:, None] * (gram(spread) + jnp.diag(problem.noise_variance)) * d[None]


def proposal_of(problem: Problem, multiplier: Float[Array, " m"]) -> Proposal:
    """The points that given multipliers put on a bound."""
    y = problem.mean + problem.variance * combine(multiplier, problem.rows)
    fixed = problem.lower == problem.upper
    return Proposal(multiplier, (y < problem.lower) | fixed, (y > problem.upper))


def refine(
    problem: Problem, proposal: Proposal, dtype: Any, *, orthonormal: bool = False
) -> Refined:
    """Newton steps with the active set held fixed: first in λ, then in u.

    The field is μ + V Gᵀ λ where it is free. If that is a small difference of large
    terms, its rounding spoils the rows, and a step in u restores them.

    Args:
        dtype: the caller's, to which the field is rounded before it is judged.
        orthonormal: for variances that differ by more than seven decades.
    """
    mean, variance, rows, value, noise, lower, upper = problem
    multiplier, below, above = proposal
    free = jnp.where(below | above, 0, variance)
    if orthonormal:
        system = orthonormal_rows(rows, jnp.sqrt(free), jnp.sqrt(noise), dtype)
    else:
        system = _by_gram(problem, free)

    def missing(u: Array, multiplier: Array) -> Array:
        return value - inner(rows, u) - noise * multiplier

    def field(multiplier: Array) -> Array:
        u = mean + free * combine(multiplier, rows)
        held = jnp.where(below, lower, jnp.where(above, upper, u))
        return jnp.where(variance > 0, held, jnp.clip(mean, lower, upper))

    def in_multiplier(_: Any, multiplier: Array) -> Array:
        return multiplier + system.multiplier(missing(field(multiplier), multiplier))

    def in_field(_: Any, u: Array) -> Array:
        left = missing(u, multiplier)
        return jnp.clip(u + system.move(jnp.where(noise > 0, 0, left)), lower, upper)

    multiplier = jax.lax.fori_loop(0, 3, in_multiplier, multiplier)
    u = jnp.clip(field(multiplier), lower, upper)
    u = jax.lax.fori_loop(0, 3, in_field, u)
    u = u.astype(dtype).astype(mean.dtype)
    return Refined(u, multiplier, below, above, error_of(problem, u, multiplier, dtype))


class _Whitened(NamedTuple):
    """The Gram matrix of the free points as its whitener; see `OrthonormalRows`."""

    problem: Problem
    free: Float[Array, "*x"]
    scale: Float[Array, " m"]
    whitener: Float[Array, "m m"]

    def multiplier(self, missing: Float[Array, " m"]) -> Float[Array, " m"]:
        return solve_white(self.whitener, self.scale, missing)

    def move(self, missing: Float[Array, " m"]) -> Float[Array, "*x"]:
        return self.free * combine(self.multiplier(missing), self.problem.rows)


def _by_gram(problem: Problem, free: Float[Array, "*x"]) -> _Whitened:
    d = row_scale(problem)
    s = gram_of(problem, d, free)
    whitener = whitening(_unit_diagonal(s), _SINGULAR).whitener
    return _Whitened(problem, free, d * _unit_scale(s), whitener)


def restored(problem: Problem, u: Float[Array, "*x"]) -> Float[Array, "*x"]:
    """`u` moved by rounding to meet its rows; only points inside the box move."""
    inside = (problem.lower < u) & (u < problem.upper)
    system = _by_gram(problem, jnp.where(inside, problem.variance, 0))

    def correct(_: Any, u: Array) -> Array:
        missing = problem.value - inner(problem.rows, u)
        return jnp.clip(u + system.move(missing), problem.lower, problem.upper)

    return jax.lax.fori_loop(0, 2, correct, u)


def freedom(problem: Problem) -> Float[Array, "*x"]:
    """Share of each point's variance that the exact rows leave, in [0, 1]."""
    found = _by_gram(problem, problem.variance)
    whitener = found.whitener * found.scale[None]
    white = jnp.tensordot(whitener, problem.rows, 1, precision="highest")
    used = problem.variance * jnp.sum(white**2, axis=0)
    return jnp.clip(1 - used, 0, 1)


def error_of(problem: Problem, u: Array, multiplier: Array, dtype: Any) -> Scalar:
    """The larger violation of the two conditions, in units of what is promised."""
    mean, variance, rows, value, noise, lower, upper = problem
    size = jnp.abs(rows)
    eps = float(jnp.finfo(dtype).eps)
    missed = jnp.abs(value - inner(rows, u) - noise * multiplier)
    terms = inner(size, jnp.abs(u)) + jnp.abs(value) + noise * jnp.abs(multiplier)
    sizes = inner(size, jnp.ones_like(u))
    first = largest_of(row_error(missed, terms, sizes, dtype))
    pull = variance * combine(multiplier, rows)
    apart = jnp.abs(u - jnp.clip(mean + pull, lower, upper))
    pulls = jnp.abs(mean) + variance * combine(jnp.abs(multiplier), size)
    allowed = _STATIONARY * pulls + 4 * eps * jnp.abs(u) + _smallest(u)
    second = largest_of(jnp.where(variance > 0, apart / allowed, 0))
    error = jnp.maximum(first, second)
    return jnp.where(jnp.isfinite(error), error, jnp.inf)


def row_error(missed: Array, terms: Array, sizes: Array, dtype: Any) -> Array:
    """The errors of rows, in units of 4 roundings of their terms in the caller's dtype.

    Args:
        sizes: sums of the sizes of the weights, times which the least number counts.
    """
    info = jnp.finfo(dtype)
    least = float(info.tiny) * sizes + _smallest(terms)
    return missed / (4 * float(info.eps) * terms + least)


def contradicts(problem: Problem, direction: Float[Array, " m"]) -> Bool[Array, ""]:
    """Whether a combination of the rows proves that no field in the box meets them.

    If vᵀ b exceeds the largest value of vᵀ G u in the box, no field has G u = b
    (Farkas' lemma).
    """
    mean, variance, rows, value, noise, lower, upper = problem
    v = jnp.where(noise > 0, 0, direction)
    weight = combine(v, rows)
    rest = jnp.clip(mean, lower, upper)
    end = jnp.where(weight > 0, upper, lower)
    gains = jnp.where(weight == 0, 0, weight * jnp.where(variance > 0, end, rest))
    wanted = jnp.sum(v * value)
    size = jnp.sum(jnp.abs(gains)) + jnp.sum(jnp.abs(v * value))
    return wanted - jnp.sum(gains) > 1e-9 * size


def dependent_rows(
    problem: Problem, found: Refined
) -> tuple[Float[Array, " m"], Bool[Array, " m"]]:
    """Each row's prior std, and whether the free points can't change it on their own.

    A row is dependent if it sees no free point, or if earlier rows imply it. A point
    that only touches its bound counts as free.
    """
    d = row_scale(problem)
    pull = problem.variance * combine(found.multiplier, problem.rows)
    y = problem.mean + pull
    touches = ((y == problem.lower) | (y == problem.upper)) & ~(found.above)
    touches = touches & (problem.lower < problem.upper)
    held = (found.below | found.above) & ~touches
    s = gram_of(problem, d, jnp.where(held, 0, problem.variance))
    eye = jnp.eye(d.size, dtype=s.dtype)
    factor = jnp.linalg.cholesky(_unit_diagonal(s) + 1e-11 * eye)
    return 1 / d, ~(jnp.diag(factor) ** 2 > 1e-9)


def _unit_scale(s: Float[Array, "m m"]) -> Float[Array, " m"]:
    diagonal = jnp.diag(s)
    return jnp.where(diagonal > 0, diagonal, 1) ** -0.5


def _unit_diagonal(s: Float[Array, "m m"]) -> Float[Array, "m m"]:
    scale = _unit_scale(s)
    return scale[:, None] * s * scale[None]


def _smallest(x: Array) -> float:
    return float(jnp.finfo(x.dtype).tiny)


#: Pivots of a Gram matrix of unit diagonal that count as zero.
_SINGULAR = 1e-13
#: |u - clip(μ + V Gᵀ λ)| relative to its terms, in float64.
_STATIONARY = 1e-12
