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
from physcon._numerics.products import along_rows
from physcon._numerics.safe import power_of_two
from physcon._numerics.sparse import pick
from physcon._typing import Array, Float, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Factor, over
from physcon.conditioning.solvers.refined import independent_std
from physcon.linear_map import (
    Difference,
    Disjoint,
    LinearMap,
    Pointwise,
    Root,
    Rows,
    Sparse,
    Stack,
    Stencil,
    Sum,
)

#: Operators whose rows can be scaled one by one.
_BY_ROW = (Disjoint, Pointwise, Rows, Sparse)
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


def sized(root: Root, law: LinearConstraint) -> tuple[LinearConstraint, Array]:
    """The law over its size, and the size: one number per row where rows are known.

    The norm of residuals in mixed units does not tell whether each row is solved.
    """
    size = row_sizes(root, law)
    if size is None:
        size = weight_of(law.operator)
    if size is None:
        return law, jnp.ones((), law.value.dtype)
    return law_over(law, size), size


def law_over(law: LinearConstraint, size: Array) -> LinearConstraint:
    """The law over its `size`, see `sized`."""
    if size.ndim > 0:
        return law_by_row(law, over(jnp.ones_like(size), size))
    if weight_of(law.operator) is None:
        return law
    return law_in_units(law, 1.0, size)


def row_sizes(root: Root, law: LinearConstraint) -> Float[Array, "*y"] | None:
    """The power of two near each row's standard deviation, for `with_rows_scaled`.

    None of an operator whose rows can't be scaled one by one. A correlated prior is
    taken to have standard deviations of one.
    """
    operator, root = jax.lax.stop_gradient((law.operator, root))
    if not _by_row(operator):
        return None
    std = independent_std(root)
    if std is None:
        std = jnp.ones(operator.in_shape, law.value.dtype)
    seen = operator.magnitude(std.reshape(operator.in_shape))
    return power_of_two(seen + jnp.abs(law.noise()))


def _by_row(operator: LinearMap) -> bool:
    """Whether rows can be scaled one by one."""
    parts = operator.parts if isinstance(operator, Stack) else (operator,)
    return all(isinstance(part, _BY_ROW) for part in parts)


def with_rows_scaled(operator: LinearMap, d: Float[Array, "*y"]) -> LinearMap:
    """The operator with each of its rows times its entry of d; see `row_sizes`."""
    if isinstance(operator, Stack):
        pairs = zip(operator.parts, operator.layout.split(d), strict=True)
        parts = tuple(with_rows_scaled(part, own) for part, own in pairs)
        return Stack(parts, operator.layout)
    if isinstance(operator, Rows):
        return Rows(along_rows(d, operator.weights))
    if isinstance(operator, Sparse):
        entries = pick(d, operator.row) * operator.entries
        return eqx.tree_at(lambda o: o.entries, operator, entries)
    if isinstance(operator, Disjoint):
        return Disjoint(operator.groups.spread(d) * operator.weights, operator.groups)
    assert isinstance(operator, Pointwise)
    matrix = operator.matrix
    if matrix.ndim == 2:  # equal at all points, and so are the sizes
        scale = d.reshape(d.shape[0], -1)[:, :1]
        return Pointwise(scale * matrix, operator.space)
    return Pointwise(d[:, None] * matrix, operator.space)


def law_by_row(law: LinearConstraint, d: Float[Array, "*y"]) -> LinearConstraint:
    """The law with the weights and the noise of each row times its entry of d."""
    sigma = None if law.noise_std is None else law.noise_std * d
    return LinearConstraint(with_rows_scaled(law.operator, d), law.value, sigma)


def prior_in_units(prior: Gaussian, unit: Scalar | float) -> Gaussian:
    """The prior with its covariance divided by unit²."""
    return Gaussian(prior.mean, prior.root.scaled(jnp.asarray(1 / unit)))


def factor_tangent(
    solver: Any, own: Factor, primals: tuple, tangents: tuple, unit: Scalar
) -> Factor:
    """The derivative of the factor, taken where weights and field have unit size."""
    if solver.scales or own.scaled(unit) is None:
        return solver.tangent(own, primals, tangents)
    operator = primals[1].operator
    weight = weight_of(operator)
    if solver.reweighs and _by_row(operator):
        weight = None
    size = unit if weight is None else unit * weight

    def within(prior: Gaussian, law: LinearConstraint) -> tuple:
        return prior_in_units(prior, unit), law_in_units(law, unit, weight)

    def back(factor: Factor) -> Factor:
        return factor.scaled(size) or factor

    factor = own.scaled(1 / size) or own
    primals, tangents = jax.jvp(within, primals, tangents)
    moved = solver.tangent(factor, primals, tangents)
    return jax.jvp(back, (factor,), (moved,))[1]
