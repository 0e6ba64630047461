"""The size of a law's weights, divided out where float32 squares them.

Between a row's variance and its multiplier lie the fourth power of a weight's size and
of a standard deviation's, which is out of the range of float32 for weights of 1e10.
Values are computed in float64. Derivatives are computed in the caller's dtype, so that
both sizes are divided out first. They are powers of two: no bit of a mantissa changes.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import inexact_leaves
from physcon._numerics.safe import power_of_two
from physcon._typing import Array, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Factor
from physcon.linear_map import (
    Difference,
    Disjoint,
    LinearMap,
    Pointwise,
    Rows,
    Sparse,
    Stack,
    Stencil,
    Sum,
)

#: Operators that are linear in each of their floating-point arrays.
_LINEAR = (Difference, Disjoint, Pointwise, Rows, Sparse, Stencil)


def weight_of(operator: LinearMap) -> Scalar | None:
    """The power of two next to the largest weight; None of a map without weights."""
    if not _has_weights(operator):
        return None
    sizes = [jnp.max(jnp.abs(x), initial=0) for x in inexact_leaves(operator)]
    return power_of_two(jnp.max(jnp.stack(sizes)))


def _has_weights(operator: LinearMap) -> bool:
    if isinstance(operator, Stack | Sum):
        return all(map(_has_weights, operator.parts))
    return isinstance(operator, _LINEAR)


def reweighed(operator: LinearMap, factor: Array) -> LinearMap:
    """The operator times a number; see `weight_of`."""

    def times(x: Any) -> Any:
        return x * factor if eqx.is_inexact_array(x) else x

    return jax.tree.map(times, operator)


def law_in_units(
    law: LinearConstraint, unit: Scalar | float, weight: Scalar | None
) -> LinearConstraint:
    """The law with its weights and its noise divided by their sizes.

    Args:
        unit: of the field.
        weight: from `weight_of`.
    """
    sigma = None if law.noise_std is None else law.noise_std / unit
    if weight is None:
        return LinearConstraint(law.operator, law.value, sigma)
    sigma = None if sigma is None else sigma / weight
    return LinearConstraint(reweighed(law.operator, 1 / weight), law.value, sigma)


def prior_in_units(prior: Gaussian, unit: Scalar | float) -> Gaussian:
    """The prior with its covariance divided by unit²."""
    return Gaussian(prior.mean, prior.root.scaled(jnp.asarray(1 / unit)))


def factor_tangent(
    solver: Any, own: Factor, primals: tuple, tangents: tuple, unit: Scalar
) -> Factor:
    """The derivative of the factor, taken where weights and field have unit size."""
    if solver.scales or own.scaled(unit) is None:
        return solver.tangent(own, primals, tangents)
    weight = weight_of(primals[1].operator)
    size = unit if weight is None else unit * weight

    def within(prior: Gaussian, law: LinearConstraint) -> tuple:
        return prior_in_units(prior, unit), law_in_units(law, unit, weight)

    def back(factor: Factor) -> Factor:
        return factor.scaled(size) or factor

    factor = own.scaled(1 / size) or own
    primals, tangents = jax.jvp(within, primals, tangents)
    moved = solver.tangent(factor, primals, tangents)
    return jax.jvp(back, (factor,), (moved,))[1]
