"""Equalities, inequalities and boxes together, for any number of sparse rows."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require_given
from physcon._numerics.float64 import in_one_dtype
from physcon._show import shown
from physcon._status import Outcome, choose, failed, settle, worse
from physcon._typing import Array, ArrayLike, Bool, Float, Int
from physcon.conditioning._condition import condition
from physcon.conditioning._constrained_messages import messages
from physcon.conditioning._constrained_rows import full, joined, row_ends
from physcon.conditioning._constrained_verdict import Given, judged, search, search_rows
from physcon.conditioning._interior import Interior
from physcon.conditioning._latent import from_latent_space, in_latent_space
from physcon.conditioning._masked import masked
from physcon.conditioning._metric import has_metric, held_prior
from physcon.conditioning._unmeasured import refusal, unmeasured
from physcon.conditioning._unmeasured_bounds import eliminated, restored
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers import Auto, DenseGram
from physcon.linear_map import LinearMap


class Constrained(NamedTuple):
    """Result of `constrained`.

    Attributes:
        mean: the most probable field, ``(*x)``; inside its bounds exactly.
        posterior: Gaussian over what is left free: points on a bound have no variance,
            and active rows are exact. Its samples may leave the box.
        active: -1 on the lower bound, 1 on the upper one, 0 free; ``(*x)``.
        row_active: the same for the inequality rows, ``(k)``.
        multiplier: of the equality rows, then of the inequality rows, in one array. If
            no field meets them all: the combination of the rows that proves it.
        residual: b - G mean, one per equality row, summed in float64.
        outcome: `good`; `contradiction`: no field meets all rows within the bounds, and
            `multiplier` proves it; `disordered`: a lower bound above its upper one;
            `unobservable`: the rows don't determine a point with an infinite standard
            deviation; `not_solved`; `not_finite`.
        steps: of the interior point.
    """

    mean: Float[Array, "*x"]
    posterior: Gaussian
    active: Int[Array, "*x"]
    row_active: Int[Array, "*k"]
    multiplier: Float[Array, " m"]
    residual: Float[Array, "*y"] | None
    outcome: Outcome
    steps: Int[Array, ""]

    __repr__ = shown


def constrained(
    prior: Gaussian,
    constraint: LinearConstraint | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    rows: Any = None,
    row_lower: ArrayLike | None = None,
    row_upper: ArrayLike | None = None,
    throw: bool = True,
) -> Constrained:
    """The most probable field that obeys equalities, inequalities and bounds.

        minimise (u - μ)ᵀ Σ⁻¹ (u - μ)
        subject to  G u = b,  lower <= u <= upper,  row_lower <= C u <= row_upper

    With independent errors, or an ensemble with independent errors on top
    (`Gaussian.from_samples` with a positive `std`), sparse, disjoint and pointwise rows
    are used as such: each of some 10 to 30 steps costs one factorisation by the solver
    that `condition` would choose. Any other prior, such as a Gaussian process, is
    solved in its latent variables, with a dense factor of all rows and points together
    (at most 4096). Acts on one sample; batch with `jax.vmap`.

    Derivatives are taken with the active set held fixed: they are exact except where a
    bound is just about to become active. Points with a standard deviation of infinity
    were not measured: as in `condition` they are eliminated exactly, and have to be
    known outside of jit. Their bounds count.

    Args:
        constraint: G u = b, or with a `noise_std` weighed against the prior; or None.
        lower, upper: scalar or ``(*x)``; None or infinite where open.
        rows: C: a `LinearMap`, or a matrix as for `from_matrix`.
        row_lower, row_upper: scalar or one per row of C; None or infinite where open.
        throw: False returns the outcome instead of raising.

    Raises:
        ValueError: shapes, or a prior that is too large, while tracing.
        RuntimeError: at run time under ``throw=True``, see `Constrained.outcome`.

    >>> prior = Gaussian.diagonal(jnp.array([3.0, 0.0, 1.0]), jnp.ones(3))
    >>> found = constrained(prior, lower=0.0, rows=jnp.ones((1, 3)), row_upper=2.0)
    >>> [round(float(u), 4) for u in found.mean]
    [2.0, 0.0, 0.0]
    """
    require_given(prior, Gaussian, "prior")
    law, equalities = joined(prior, constraint, rows)
    prior, law = in_one_dtype(prior, law)
    low = full(lower, -jnp.inf, prior.mean.shape, prior.mean.dtype, "lower")
    high = full(upper, jnp.inf, prior.mean.shape, prior.mean.dtype, "upper")
    ends = row_ends(law, equalities, row_lower, row_upper)
    bounds = None if lower is None and upper is None else (low, high)
    found, gap, lost = most_probable(prior, law, bounds, ends, equalities)
    sentences = messages(found.multiplier, gap, equalities, law.value.size)
    sentences["unobservable"] = refusal(lost, "constrained")
    found = found._replace(multiplier=found.multiplier[: law.value.size])
    if constraint is not None:
        found = found._replace(residual=constraint.residual(found.mean))
    inputs = (prior, law, low, high, ends)
    return settle(found, found.outcome, throw, sentences, inputs)


def most_probable(
    prior: Gaussian,
    law: LinearConstraint,
    bounds: tuple[Array, Array] | None,
    ends: tuple[Array, Array],
    equalities: int,
) -> tuple[Constrained, Array, np.ndarray]:
    """As `_most_probable`, for any prior; the multipliers of bounds may follow.

    In addition the flat indices of unmeasured points that the rows don't determine.
    """
    absent = unmeasured(prior)
    none = np.zeros(0, int)
    if absent is None and has_metric(prior):
        return *_most_probable(prior, law, bounds, ends, equalities), none
    bounds = bounds or _open(prior.mean)
    if absent is not None:
        whole = eliminated(prior, law, bounds, ends, equalities, absent)
        left = whole.left
        kept = left.law.value.size
        found, gap = _most_probable(
            left.prior, whole.law, whole.bounds, whole.ends, kept
        )
        return restored(found, whole, law, bounds, equalities), gap, left.lost
    latent = in_latent_space(prior, law, bounds, ends)
    free = _open(latent.prior.mean)
    found, gap = _most_probable(latent.prior, latent.law, free, latent.ends, equalities)
    rows = law.value.size - equalities
    return from_latent_space(found, prior, bounds, rows), gap, none


def _most_probable(
    prior: Gaussian,
    law: LinearConstraint,
    bounds: tuple[Array, Array] | None,
    ends: tuple[Array, Array],
    equalities: int,
) -> tuple[Constrained, Array]:
    """The result without its residual: the active set, then the field that it leaves;
    and by how much every field misses the combination of rows in a proof.

    Args:
        law: all rows, equalities first; `ends` are their smallest and largest values.
        bounds: of the points; None where they have none.
    """
    low, high = bounds or _open(prior.mean)
    open_rows = jnp.isinf(ends[0]) & jnp.isinf(ends[1])
    operator = masked(law.operator, ~open_rows)
    solver = Auto().choose(prior, law)
    closed = _closed(ends, open_rows)
    given = Given(prior, operator, law.noise(), low, high, *closed)
    given = jax.lax.stop_gradient(given)
    of_rows = bounds is None and law.value.size > equalities
    if of_rows and isinstance(solver, DenseGram):
        found = search_rows(given, law.operator, ~open_rows, equalities)
    else:
        found = search(given, solver)

    left = _active_rows(law, operator, found, ends, open_rows, equalities)
    held = found.below | found.above
    pinned = jnp.where(found.below, low, jnp.where(found.above, high, prior.mean))
    free = held_prior(prior, held, pinned)
    result = condition(free, left, solver=solver, throw=False)
    frozen = jax.lax.stop_gradient(result.posterior.mean)
    field, multiplier, gap, outcome = judged(given, found, frozen)
    # Without a posterior there are no derivatives.
    outcome = worse(outcome, choose((failed(result.outcome), Outcome.not_solved)))
    multiplier = multiplier.reshape(-1)
    finite = jnp.isfinite(frozen)
    moving = jnp.where(finite, result.posterior.mean, 0)
    mean = moving + jax.lax.stop_gradient(field - jnp.where(finite, frozen, 0))
    mean = jnp.where(held, pinned, mean)
    # After a failure every derivative is NaN, even if all points are held.
    mean = mean + 0 * (jnp.sum(prior.mean) + jnp.sum(law.value))
    found_field = Constrained(
        mean=mean,
        posterior=Gaussian(mean, result.posterior.root),
        active=_sign(found.below, found.above),
        row_active=_sign(found.row_below, found.row_above).reshape(-1)[equalities:],
        multiplier=multiplier,
        residual=None,
        outcome=outcome,
        steps=found.steps,
    )
    return found_field, gap


def _open(like: Array) -> tuple[Array, Array]:
    """Bounds that bound nothing."""
    far = jnp.full_like(like, jnp.inf)
    return -far, far


def _active_rows(
    law: LinearConstraint,
    operator: LinearMap,
    found: Interior,
    ends: tuple[Array, Array],
    open_rows: Bool[Array, "*y"],
    equalities: int,
) -> LinearConstraint:
    """The equalities and the active inequalities, as rows that are met with equality.

    All other rows are zero, so that the shape does not depend on the active set.
    """
    is_equality = jnp.arange(law.value.size) < equalities
    is_equality = is_equality.reshape(law.value.shape)
    used = is_equality | found.row_below | found.row_above
    target = jnp.where(found.row_above, ends[1], ends[0])
    target = jnp.where(used & ~open_rows, target, 0)
    return LinearConstraint(masked(operator, used), target, law.noise_std)


def _sign(below: Bool[Array, "*x"], above: Bool[Array, "*x"]) -> Int[Array, "*x"]:
    """-1 below, 1 above, 0 elsewhere."""
    return above.astype(jnp.int32) - below.astype(jnp.int32)


def _closed(ends: tuple[Array, Array], open_rows: Array) -> tuple[Array, ...]:
    """The ends of the rows; both are zero for a row that is open at both."""
    return tuple(jnp.where(open_rows, 0, end) for end in ends)
