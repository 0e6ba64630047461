"""Bounds and conservation: the most probable field in a box that obeys its laws.

Positivity, a maximum principle, a volume fraction between 0 and 1. A bound that holds
with equality is an observation without noise, so the answer is `condition` once more,
restricted to the points that are free to move. `_bounded_search` finds these points.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import is_traced
from physcon._show import shown
from physcon._status import Messages, Outcome, choose, failed, settle, worse
from physcon._typing import Array, ArrayLike, Float, Int
from physcon.conditioning._bounded_many import bounded_by_rows, has_many_rows
from physcon.conditioning._bounded_messages import MESSAGES, unreachable_rows
from physcon.conditioning._bounded_search import searched
from physcon.conditioning._box import Given, box, box_status, diagonal_std, with_value
from physcon.conditioning._condition import matched
from physcon.conditioning._grouped import Grouped, search_groups
from physcon.conditioning._reachable import reachable, refuse_unreachable
from physcon.conditioning._unmeasured import unmeasured
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.optimality import Refined
from physcon.conditioning.solvers import Auto
from physcon.conditioning.solvers.implicit import update
from physcon.linear_map import Diagonal, Disjoint

__all__ = [
    "MESSAGES",
    "Bounded",
    "bounded",
    "box",
    "diagonal_std",
    "reachable",
    "with_value",
]


class Bounded(NamedTuple):
    """Result of `bounded`.

    Attributes:
        mean: the most probable field, ``(*x)``; always inside its bounds.
        posterior: Gaussian over the free points, given the constraint; points on a
            bound have no variance. Its samples may leave the box: draw with
            `sample_bounded` instead.
        active: -1 on the lower bound, 1 on the upper one, 0 free; ``(*x)``.
        multiplier: λ in mean = clip(μ + Σ Gᵀ λ, lower, upper), ``(m)``.
        residual: b - G mean, ``(m)``, summed in float64.
        outcome: `good`, `not_finite`, `disordered` (a lower bound above its upper one),
            `unreachable` (no field within the bounds has the value of some row),
            `contradiction` (the rows can be met one by one, but not together),
            `unobservable` (the rows don't determine a point with an infinite standard
            deviation) or `not_solved` (the field misses a row, or is not the most
            probable one).
    """

    mean: Float[Array, "*x"]
    posterior: Gaussian
    active: Int[Array, "*x"]
    multiplier: Float[Array, "*y"]
    residual: Float[Array, "*y"]
    outcome: Outcome

    __repr__ = shown

    status = box_status


def bounded(
    prior: Gaussian,
    constraint: LinearConstraint,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    throw: bool = True,
) -> Bounded:
    """The most probable field under `prior` within bounds that obeys `constraint`.

        minimise Σ (u - μ)² / σ²   subject to   G u = b,   lower <= u <= upper

    Shapes: fields ``(*x)``, m rows; bounds scalar or ``(*x)``, None or infinite where
    open. Points of zero variance stay, or move to the nearest bound. A constraint with
    a `noise_std` is weighed against the prior instead of met. Acts on one sample; batch
    with `jax.vmap`. Under independent errors the cost is about ten to thirty steps of
    O(n) for rows that see disjoint points (`block_means`, `totals`), which have one
    monotone equation each; of one sparse factorisation for many sparse or pointwise
    rows; of O(m² n) for others. Other priors, and many rows, are solved as by
    `constrained`, whose promise is 16 eps instead of 4; Σ (u - μ)² / σ² is then
    (u - μ)ᵀ Σ⁻¹ (u - μ).

    Where no bound is active the result is that of `condition`. The mean is the exact
    minimiser, computed in float64 and rounded once: bounds hold exactly and |G u - b|
    <= 4 eps (|G| |u| + |b|) in the caller's precision. The outcome tests the returned
    field for this. Derivatives in both modes belong to conditioning the free points
    with the active set held fixed: they are exact except where a point is just about
    to touch a bound (a kink).

    Raises:
        ValueError: shapes; for a few dense rows, a value out of reach, with the
            reachable interval, if the arguments have values (outside of jit).
        RuntimeError: bad values at run time, see `Bounded.outcome`. ``throw=False``
            returns the outcome instead and, for a single row out of reach, the field
            nearest to it.

    Source: Cominetti, Mascarenhas and Silva (2014), eq. 1, for one row.

    >>> from physcon.conditioning.constraint import integral
    >>> prior = Gaussian.diagonal(jnp.array([-1.0, 1.0, 3.0]), jnp.ones(3))
    >>> bounded(prior, integral(jnp.ones(3), 2.5), lower=0.0).mean.tolist()
    [0.0, 0.25, 2.25]
    """
    prior, constraint = matched(prior, constraint)
    low, high = box(prior, lower, upper)
    inputs = (prior, constraint, low, high)
    alone = isinstance(prior.root, Diagonal) and unmeasured(prior) is None
    if not alone or has_many_rows(constraint.operator):
        result, named = _by_rows(*inputs)
        return settle(result, result.outcome, throw, named, inputs)
    groups = isinstance(constraint.operator, Disjoint)
    known = not any(is_traced(x) for x in jax.tree.leaves(inputs))
    if throw and known and not groups:
        refuse_unreachable(_given(*inputs))
    result, reach = _in_box(*inputs)
    sentences = partial(_sentences, reach, constraint.value)
    return settle(result, result.outcome, throw, sentences, inputs)


def _by_rows(
    prior: Gaussian, law: LinearConstraint, low: Array, high: Array
) -> tuple[Bounded, Messages]:
    """By the solvers for bounds as rows, and their messages."""
    found, outcome, named = bounded_by_rows(prior, law, low, high)
    residual = law.residual(found.mean)
    parts = found.mean, found.posterior, found.active, found.multiplier
    return Bounded(*parts, residual, outcome), named


def _sentences(reach: tuple[Array, Array, Array] | None, value: Array) -> Messages:
    if reach is None:
        return MESSAGES
    return {**MESSAGES, "unreachable": unreachable_rows(*reach, value)}


def _given(prior: Gaussian, law: LinearConstraint, low: Array, high: Array) -> Given:
    """The arguments as arrays, which are not differentiated."""
    std = diagonal_std(prior, law)
    rows = law.operator.rows()
    given = Given(prior.mean, std, rows, law.value, law.noise(), low, high)
    return jax.lax.stop_gradient(given)


@jax.jit  # one program for all calls outside of jit
def _in_box(
    prior: Gaussian, constraint: LinearConstraint, low: Array, high: Array
) -> tuple[Bounded, tuple[Array, Array, Array] | None]:
    """The result, and of disjoint rows which are out of reach, and of what."""
    std = diagonal_std(prior, constraint)
    found: Grouped | Refined
    if isinstance(constraint.operator, Disjoint):
        found, outcome = search_groups(prior.mean, std, constraint, low, high)
        reach = found.unreachable, found.lowest, found.highest
        row_std = found.row_std
        dependent = found.dependent
    else:
        given = _given(prior, constraint, low, high)
        found, row_std, dependent, outcome = searched(given)
        reach = None
    law = _regular(_shifted(constraint, found), dependent, row_std)
    result = _result(prior, std, (low, high), law, found)
    result = result._replace(
        residual=constraint.residual(result.mean),
        outcome=worse(outcome, result.outcome),
    )
    return result, reach


def _result(
    prior: Gaussian,
    std: Array,
    ends: tuple[Array, Array],
    law: LinearConstraint,
    found: Grouped | Refined,
) -> Bounded:
    """The free points, conditioned once more from the solution.

    Conditioning N(μ + Σ Gᵀ λ, Σ) on b - N λ gives what N(μ, Σ) and b give, for any
    fixed λ. From the solution hardly anything is left to condition, so the posterior,
    and all derivatives, are accurate where variances differ by many orders of
    magnitude.

    Args:
        law: from `_shifted` and `_regular`.
    """
    low, high = ends
    held = found.below | found.above
    multiplier = jax.lax.stop_gradient(found.multiplier).reshape(law.value.shape)
    pull = std * (std * law.operator.rmv(multiplier))
    start = jnp.where(std > 0, prior.mean + pull, jnp.clip(prior.mean, low, high))
    start = with_value(start, found.field)
    start = jnp.where(found.below, low, jnp.where(found.above, high, start))
    free = Gaussian(start, Diagonal(jnp.where(held, 0, std)))
    solver = Auto().choose(free, law)
    new = update(solver, free, law)
    # Without a trustworthy posterior there are neither derivatives nor draws.
    off = jnp.abs(new.mean - found.field) > 1e-3 * (std + jnp.abs(found.field))
    lost = failed(new.outcome) | jnp.any(off)
    mean = with_value(new.mean, found.field)
    return Bounded(
        mean,
        Gaussian(mean, solver.posterior_root(free, law, new.factor)),
        found.above.astype(jnp.int32) - found.below.astype(jnp.int32),
        found.multiplier,
        law.residual(mean),
        choose((lost, Outcome.not_solved)),
    )


def _shifted(
    constraint: LinearConstraint, found: Grouped | Refined
) -> LinearConstraint:
    """The constraint with the value b - N λ, see `_result`."""
    value, noise_std = constraint.value, constraint.noise_std
    if noise_std is None:
        return constraint
    multiplier = jax.lax.stop_gradient(found.multiplier).reshape(value.shape)
    value = value - noise_std * (noise_std * multiplier)
    return LinearConstraint(constraint.operator, value, noise_std)


def _regular(
    constraint: LinearConstraint, dependent: Array, row_std: Array
) -> LinearConstraint:
    """The constraint with noise on its dependent rows.

    A row that the free points can't change, or that other rows imply, is met already.
    As a noisy row it has no effect, and the Gram matrix stays regular.
    """
    noise_std = constraint.noise()
    noise_std = jnp.where(dependent & (noise_std == 0), row_std, noise_std)
    return LinearConstraint(constraint.operator, constraint.value, noise_std)
