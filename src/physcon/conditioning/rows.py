"""Constraints built from differences and other constraints."""

import jax.numpy as jnp

from physcon._checks import require, require_given
from physcon._typing import Array, ArrayLike, Float
from physcon.conditioning._from_fn import from_fn as from_fn
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.stacking import has_structure, stacked, while_known
from physcon.grid import Grid
from physcon.linear_map import Rows, Stencil


def stack(*constraints: LinearConstraint) -> LinearConstraint:
    """Combine constraints on the same field into one constraint.

    Exact and noisy laws may be mixed: exact rows get zero noise and still hold exactly.
    Conditioning on the result equals conditioning on the laws one after the other, in
    any order.
    """
    require(
        len(constraints) >= 1,
        "one or more constraints",
        0,
        "pass the constraints to stack",
    )
    for constraint in constraints:
        require_given(constraint, LinearConstraint, "constraint")
    shapes = {tuple(c.operator.in_shape) for c in constraints}
    require(
        len(shapes) == 1,
        "constraints on fields of one shape",
        shapes,
        "stack the constraints of each field separately",
    )
    exact = all(c.noise_std is None for c in constraints)
    noise = None if exact else jnp.concatenate([c.noise().ravel() for c in constraints])
    value = jnp.concatenate([c.value.ravel() for c in constraints])
    operators = [c.operator for c in constraints]
    with while_known(operators):
        if has_structure(operators):
            return LinearConstraint(stacked(constraints), value, noise)
        rows = jnp.concatenate([operator.rows() for operator in operators])
    return LinearConstraint(Rows(rows), value, noise)


def second_difference(
    domain: int | Grid, value: ArrayLike = 0.0, noise_std: ArrayLike | None = None
) -> LinearConstraint:
    """Second differences of a one-dimensional field, with one row per inner point.

    Args:
        domain: either the number of points, for u₋ - 2u + u₊ with any spacing; or a
            `Grid`, for the second derivative of the parabola through three neighbours
            at arbitrary positions.
        value: right-hand side in the units of the rows, a scalar or ``(n - 2)``.
        noise_std: a scalar or ``(n - 2)``. None makes the field a straight line (if
            `value` is 0). With the noise of `physcon.conditioning.diffuse` this is the
            artificial diffusion of the article, at O(n³) by `condition`; `diffuse`
            itself is O(n).

    >>> second_difference(4).residual(jnp.array([0.0, 1.0, 4.0, 9.0])).tolist()
    [-2.0, -2.0]
    """
    if isinstance(domain, Grid):
        require(
            domain.ndim == 1,
            "a grid of one axis",
            domain.ndim,
            "vmap over the other axes",
        )
        gaps = domain.gaps()
        operator = (
            three_point(_second_derivative(gaps))
            if gaps.size >= 2
            else unit_difference(gaps.size + 1)
        )
    else:
        kind = type(domain).__name__
        whole = jnp.ndim(domain) == 0
        require(whole, "domain: a Grid or an int", f"a {kind}", "pass the grid")
        operator = unit_difference(domain)
    shape = operator.out_shape
    dtype = operator.coefficients.dtype
    noise = (
        None
        if noise_std is None
        else jnp.broadcast_to(jnp.asarray(noise_std, dtype), shape)
    )
    return LinearConstraint(
        operator, jnp.broadcast_to(jnp.asarray(value, dtype), shape), noise
    )


def unit_difference(size: int) -> Stencil:
    """The stencil u₋ - 2u + u₊ at the inner points among `size` points."""
    require(size >= 3, "3 or more points", size, "refine the grid")
    return three_point(
        jnp.broadcast_to(jnp.array([[1.0], [-2.0], [1.0]]), (3, size - 2))
    )


def three_point(coefficients: Float[Array, "3 r"]) -> Stencil:
    """The stencil (G u)_r = a_r u_r + b_r u_{r+1} + c_r u_{r+2}."""
    return Stencil(coefficients, ((0,), (1,), (2,)), (coefficients.shape[1] + 2,))


def _second_derivative(gaps: Float[Array, " g"]) -> Float[Array, "3 g-1"]:
    """Twice the divided difference, which is exact for quadratics."""
    left = gaps[:-1]
    right = gaps[1:]
    both = left + right
    return jnp.stack([2 / left / both, -2 / left / right, 2 / right / both])
