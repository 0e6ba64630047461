"""Tests of measurements against rows, and the serial elimination of gross errors."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._derivative_rules import WithDerivative
from physcon._extremes import first_largest
from physcon._numerics import safe
from physcon._numerics.safe import power_of_two
from physcon._status import Outcome
from physcon._typing import Array
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers import Solver
from physcon.conditioning.solvers.factor import Factor, inverse
from physcon.conditioning.solvers.refined import independent_std
from physcon.conditioning.solvers.row_variance import row_variance
from physcon.conditioning.solvers.units import factor_tangent
from physcon.linear_map import Diagonal, Root, Rows


class Examined(NamedTuple):
    chi_squared: Array
    degrees: Array
    row_score: Array
    adjustment: Array
    score: Array
    checked: Array
    outcome: Outcome


@WithDerivative
def _factorised(solver: Solver, prior: Gaussian, law: LinearConstraint) -> Factor:
    return solver.factorise(prior, law)


@_factorised.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Factor, Any]:
    """By the solver's formula: a search for redundant rows has no reverse mode."""
    solver, prior, law = primals
    factor = _factorised(*primals)
    unit = power_of_two(jnp.asarray(prior.root.unit(), prior.mean.dtype))
    return factor, factor_tangent(
        solver, factor, (prior, law), (tangents[1], tangents[2]), unit
    )


@eqx.filter_jit
def examined(prior: Gaussian, law: LinearConstraint, solver: Solver) -> Examined:
    root = prior.root
    operator = law.operator
    factor = _factorised(solver, prior, law)
    # The factor is fixed in this derivative, since S itself is differentiated.
    solve = inverse(jax.lax.stop_gradient(factor), root, law)
    missing = law.value - operator.mv(prior.mean)
    multiplier = solve(missing)[0]
    adjustment = root.mv(root.rmv(operator.rmv(multiplier)))
    variance = root.gram_diagonal()
    removed = factor.variance_removed(root, operator)
    if removed is None:

        def one(row: Array) -> Array:
            seen = operator.mv(root.mv(root.rmv(row)))
            return jnp.sum(seen * solve(seen)[0])

        basis = jnp.eye(prior.mean.size).reshape(-1, *prior.mean.shape)
        removed = jax.lax.map(one, basis).reshape(prior.mean.shape)
    checked = removed > 1e-10 * variance
    spread = safe.sqrt(jnp.where(checked, removed, 0))
    row_variance = expected_variance(law, root)
    rank = jnp.asarray(factor.rank(law.value.size), missing.dtype)
    return Examined(
        chi_squared=jnp.sum(missing * multiplier),
        degrees=rank,
        row_score=safe.divide(missing, safe.sqrt(row_variance)),
        adjustment=adjustment,
        score=safe.divide(adjustment, spread),
        checked=checked,
        outcome=factor.outcome,
    )


def expected_variance(law: LinearConstraint, root: Root) -> Array:
    """The diagonal of S, under independent errors."""
    found = row_variance(law, root)
    if found is None:
        dense = LinearConstraint(Rows(law.operator.rows()), law.value.reshape(-1))
        found = row_variance(dense, root)
        assert found is not None
        found = found.reshape(law.value.shape) + law.noise() ** 2
    return found


@eqx.filter_jit  # one program for all calls outside of jit
def serially_eliminated(
    prior: Gaussian,
    law: LinearConstraint,
    critical: Array,
    solver: Solver,
    count: int,
    points: int,
) -> Array:
    """Flat indices of the measurements with gross errors; -1: no further one.

    Args:
        count: the largest number of them.
        points: how many of the first points are measurements.
    """
    std = independent_std(prior.root)
    assert std is not None
    flat = std.reshape(-1)

    places = jnp.arange(flat.size, dtype=jnp.int32)

    def step(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        flat, suspects = carry
        root = Diagonal(flat.reshape(prior.mean.shape))
        score = examined(Gaussian(prior.mean, root), law, solver).score.reshape(-1)
        known = jnp.zeros(flat.shape, bool).at[suspects].set(True, mode="drop")
        size = jnp.where(known | (places >= points), 0, jnp.abs(score))
        worst = first_largest(size)
        found = size[worst] > critical
        grown = jnp.where(found, _UNKNOWN, 1.0) * flat[worst]
        flat = flat.at[worst].set(grown)
        index = jnp.where(found, worst, flat.size).astype(suspects.dtype)
        return flat, suspects.at[k].set(index)

    start = jnp.full(count, flat.size, jnp.int32)
    _, suspects = jax.lax.fori_loop(0, count, step, (flat, start))
    return jnp.where(suspects == flat.size, -1, suspects)


#: By how much the error of a suspect grows: what it measured has no weight any more.
_UNKNOWN = 1e5
