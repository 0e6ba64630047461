"""Tests of measurements against the laws that they should obey."""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics import safe
from physcon._numerics.float64 import in_float64
from physcon._status import Outcome
from physcon._typing import Array, Bool, Float, Int, Scalar
from physcon.conditioning._condition import matched
from physcon.conditioning._row_variance import row_variance
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers import Auto, Solver
from physcon.conditioning.solvers.refined import independent_std
from physcon.linear_map import Diagonal, Root, Rows


class Diagnosis(NamedTuple):
    """Result of `diagnose`.

    Attributes:
        chi_squared: (b - G μ)ᵀ S⁻¹ (b - G μ): how far the measurements are from obeying
            the rows, in units of their errors.
        degrees: its degrees of freedom, the number of independent rows.
        p_value: probability of a larger value if all errors are as stated.
        row_score: (b - G μ) / √S_rr, one per row.
        adjustment: what conditioning adds to each measurement, ``(*x)``.
        score: the adjustment over its standard deviation, ``(*x)``; zero for a
            measurement that no row checks. Under the stated errors each is a standard
            normal number.
        checked: ``(*x)``, whether the rows check the measurement at all (it is
            redundant in the sense of data reconciliation).
        critical: the |score| that the largest of all exceeds with probability `level`.
        suspects: ``(max_errors,)``, flat indices of measurements with gross errors, in
            the order in which they were found; -1: no further one.
        outcome: as of `condition`.
    """

    chi_squared: Scalar
    degrees: Scalar
    p_value: Scalar
    row_score: Float[Array, "*y"]
    adjustment: Float[Array, "*x"]
    score: Float[Array, "*x"]
    checked: Bool[Array, "*x"]
    critical: Scalar
    suspects: Int[Array, " e"]
    outcome: Outcome


def diagnose(
    prior: Gaussian,
    constraint: LinearConstraint,
    *,
    level: float = 0.05,
    max_errors: int = 3,
) -> Diagnosis:
    """Whether measurements fit the laws, and which of them have gross errors.

    `prior.mean` are the measurements and the prior's standard deviations their errors.
    Gross errors are found by serial elimination: the measurement with the largest
    |score| above the critical value is taken to be unknown, and the test is repeated.

    Args:
        prior: independent errors.
        level: probability of a false alarm among all measurements.
        max_errors: the largest number of suspects.

    Source: Narasimhan and Jordache, Data Reconciliation and Gross Error Detection
    (2000), ch. 7 and 8.

    >>> from physcon.conditioning.builders import incidence
    >>> law = incidence([[-1, 0], [0, 1], [0, 2], [1, 2], [2, -1]], 3)
    >>> flows = jnp.array([3.0, 1.0, 2.0, 4.0, 3.0])  # the fourth should be 1
    >>> found = diagnose(Gaussian.diagonal(flows, 0.1 * jnp.ones(5)), law)
    >>> found.suspects.tolist()
    [3, -1, -1]
    """
    prior, law = matched(prior, constraint)
    require(
        independent_std(prior.root) is not None,
        "a prior with independent errors",
        type(prior.root).__name__,
        "pass Gaussian.diagonal(measurements, std)",
    )
    solver = Auto().choose(prior, law)
    test = partial(_tested, solver=solver)
    first = in_float64(test)(prior, law)
    n = prior.mean.size
    tests = 1 - (1 - level) ** (1 / n)
    critical = jax.scipy.stats.norm.ppf(jnp.asarray(1 - tests / 2, prior.mean.dtype))
    suspects = in_float64(partial(_eliminated, solver=solver, count=max_errors))(
        prior, law, critical
    )
    degrees = first.degrees
    p_value = jax.scipy.special.gammaincc(0.5 * degrees, 0.5 * first.chi_squared)
    return Diagnosis(
        first.chi_squared,
        degrees,
        p_value,
        first.row_score,
        first.adjustment,
        first.score,
        first.checked,
        critical,
        suspects.astype(jnp.int32),
        first.outcome,
    )


class _Tested(NamedTuple):
    chi_squared: Array
    degrees: Array
    row_score: Array
    adjustment: Array
    score: Array
    checked: Array
    outcome: Outcome


@eqx.filter_jit
def _tested(prior: Gaussian, law: LinearConstraint, solver: Solver) -> _Tested:
    root = prior.root
    operator = law.operator
    factor = solver.factorise(prior, law)
    missing = law.value - operator.mv(prior.mean)
    multiplier = factor.solve(missing)
    adjustment = root.mv(root.rmv(operator.rmv(multiplier)))
    variance = root.gram_diagonal()
    removed = factor.variance_removed(root, operator)
    if removed is None:

        def one(row: Array) -> Array:
            seen = operator.mv(root.mv(root.rmv(row)))
            return jnp.sum(seen * factor.solve(seen))

        basis = jnp.eye(prior.mean.size).reshape(-1, *prior.mean.shape)
        removed = jax.lax.map(one, basis).reshape(prior.mean.shape)
    checked = removed > 1e-10 * variance
    spread = safe.sqrt(jnp.where(checked, removed, 0))
    row_variance = _row_variance(law, root)
    rank = jnp.asarray(factor.rank(law.value.size), missing.dtype)
    return _Tested(
        chi_squared=jnp.sum(missing * multiplier),
        degrees=rank,
        row_score=safe.divide(missing, safe.sqrt(row_variance)),
        adjustment=adjustment,
        score=safe.divide(adjustment, spread),
        checked=checked,
        outcome=factor.outcome,
    )


def _row_variance(law: LinearConstraint, root: Root) -> Array:
    """The diagonal of S, under independent errors."""
    found = row_variance(law, root)
    if found is None:
        dense = LinearConstraint(Rows(law.operator.rows()), law.value.reshape(-1))
        found = row_variance(dense, root)
        assert found is not None
        found = found.reshape(law.value.shape) + law.noise() ** 2
    return found


def _eliminated(
    prior: Gaussian, law: LinearConstraint, critical: Array, solver: Solver, count: int
) -> Array:
    std = independent_std(prior.root)
    assert std is not None
    flat = std.reshape(-1)

    places = jnp.arange(flat.size, dtype=jnp.int32)

    def step(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        flat, suspects = carry
        root = Diagonal(flat.reshape(prior.mean.shape))
        score = _tested(Gaussian(prior.mean, root), law, solver).score.reshape(-1)
        known = jnp.zeros(flat.shape, bool).at[suspects].set(True, mode="drop")
        size = jnp.where(known, 0, jnp.abs(score))
        # Not argmax: JAX lowers it in float32 inside of a float64 program.
        worst = jnp.min(jnp.where(size == jnp.max(size), places, size.size - 1))
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
