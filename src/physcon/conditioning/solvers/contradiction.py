"""Whether rows that are missed contradict each other, or were not solved.

Rows contradict each other if a combination of them sees no point that can move, Gᵀ v =
0 wherever the prior has variance, and still has another value than the prior mean gives
it, vᵀ (b - G μ) ≠ 0. This is the alternative of Fredholm: exactly one of the two has a
solution, v or the field that was looked for. The residual r of a least-squares solution
in units D of the rows is such a combination, v = D² r. The residual of a solver that
failed is not.

Source: Strang, Introduction to Linear Algebra (2016), sec. 4.1.
"""

import jax
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._numerics.rarely import rarely
from physcon._status import Outcome
from physcon._typing import Array, Bool, Float
from physcon.conditioning._verdict import PROMISE
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import gram_apply
from physcon.conditioning.solvers.refined import independent_std
from physcon.conditioning.solvers.step import Step
from physcon.linear_map import LinearMap, Root
from physcon.linear_map.basic import DividedMap

#: The largest share of its terms at which a combination counts as zero, in float32
#: and in float64. Rounded weights of dependent rows, times the condition of the rows
#: at the points that move most; what a failed solver leaves is near 1.
SHARE = (1e-4, 1e-9)
#: The smallest contradiction, over the terms of its rows, that is no rounding.
LEAST = 2.5e-12
#: How much less than one row, relative to its terms, a sum of them may miss: their
#: roundings, of 1/2 at most in values and weights, do not add up to 4.
SUM = 0.25
#: The rounding of a residual in float64, over the terms of its row.
ROUNDING = 1e-14


def contradicted(
    step: Step, prior: Gaussian, law: LinearConstraint, eps: float, divided: bool
) -> Bool[Array, ""]:
    """Whether no field obeys the law, if the solver found redundant rows.

    A single row, and a law that is divided among devices, are taken to be solved.

    Args:
        step: the solution, before its mean is rounded.
        eps: of the caller's dtype.
    """
    root, operator = prior.root, law.operator
    divided = divided or isinstance(operator, DividedMap)
    if law.value.size == 1 or divided or root.undiminished() is not root:
        return jnp.ones((), bool)
    share = SHARE[0] if eps > 1e-10 else SHARE[1]
    least = max(PROMISE * eps, LEAST)

    def proved(step: Step, prior: Gaussian, law: LinearConstraint) -> Array:
        return _proved(step, prior, law, share, least)

    def nothing(*_: object) -> Array:
        return jnp.zeros((), bool)

    redundant = step.outcome == Outcome.redundant
    return rarely(redundant, proved, nothing, step, prior, law)


def _proved(
    step: Step, prior: Gaussian, law: LinearConstraint, share: float, least: float
) -> Bool[Array, ""]:
    root, operator = prior.root, law.operator
    noise = law.noise()
    seen, size = operator.measured(step.mean)
    size = size + operator.magnitude(prior.mean) + jnp.abs(law.value)
    missed = law.value - seen - noise * (noise * step.multiplier)
    own = step.factor.units(missed)
    # Rows without variance have no unit but the one of their terms.
    d = jnp.where(own == 0, safe.divide(jnp.ones_like(own), size), own)

    def seen_by_all(v: Array) -> Array:
        return gram_apply(root, law, v)

    share = max(share, step.factor.null_error)
    met = jnp.abs(missed) <= least * size

    def proves(v: Array) -> Array:
        # Rows that take no part, but for rounding: at their own points nothing
        # cancels it.
        largest = jnp.max(safe.divide(jnp.abs(v), d), initial=0)
        v = jnp.where(jnp.abs(v) <= 0.1 * share * d * largest, 0, v)
        rounding = jnp.abs(v) + d * (d * size) * (ROUNDING / share)
        spread = jnp.where(own == 0, 0, safe.divide(rounding, d))
        exact = jnp.all((noise == 0) | (v == 0))
        blind = _sees_nothing(root, operator, v, rounding, spread, share)
        value = jnp.abs(jnp.sum(v * missed))
        return exact & blind & (value > SUM * least * jnp.sum(jnp.abs(v) * size))

    v = step.factor.null(d * (d * missed), met, seen_by_all)
    return proves(v) | proves(jnp.where(met, 0, v))


def _sees_nothing(
    root: Root,
    operator: LinearMap,
    v: Float[Array, "*y"],
    size: Float[Array, "*y"],
    spread: Float[Array, "*y"],
    share: float,
) -> Bool[Array, ""]:
    """Whether Gᵀ v vanishes at all points with variance, up to rounding.

    Args:
        size: of v, to which rounding is relative.
        spread: v times the standard deviation of each row.
    """
    pulled = operator.rmv(v)
    std = independent_std(root)
    if std is None:
        together = jnp.sqrt(jnp.sum(root.rmv(pulled) ** 2))
        return together <= share * jnp.sum(spread)
    ones = jnp.ones(operator.in_shape, v.dtype)
    (most,) = jax.vjp(operator.magnitude, ones)[1](size)  # |G|ᵀ |v|
    known = type(operator).magnitude is not LinearMap.magnitude
    most = most if known else jnp.max(jnp.abs(most), initial=0)
    still = std.reshape(pulled.shape) == 0
    return jnp.all(still | (jnp.abs(pulled) <= share * most))
