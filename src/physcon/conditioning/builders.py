"""Laws with many rows: disjoint regions, a small law per point, sparse matrices."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from physcon._checks import (
    concrete,
    error_if,
    is_traced,
    require,
    require_shape,
    require_share,
)
from physcon._numerics import safe
from physcon._numerics.float64 import float64_primal, floating
from physcon._typing import Array, ArrayLike, Float, Shape
from physcon.conditioning._law_of import law_of, require_finite
from physcon.conditioning._matrices import from_matrix, incidence
from physcon.conditioning.constraint import LinearConstraint
from physcon.grid import Grid
from physcon.linear_map import Blocks, Disjoint, Labelled, Pointwise

__all__ = [
    "block_means",
    "from_matrix",
    "incidence",
    "pointwise",
    "totals",
]


def block_means(
    domain: Grid | ArrayLike,
    factor: int | np.integer | Sequence[int] | np.ndarray,
    values: ArrayLike,
    noise_std: ArrayLike | None = None,
    *,
    where: ArrayLike | None = None,
) -> LinearConstraint:
    """The weighted mean over every block of points equals the value of a coarse field.

    Args:
        domain: a `Grid`, whose cell volumes are the weights, or the weights ``(*x)``
            themselves, such as the areas of the cells of a sphere.
        factor: points per block, one number or one per axis. Where it does not divide
            the number of points, the last block of the axis holds the rest.
        values: the coarse field, ``(*ceil(x / factor))``, or a scalar.
        noise_std: None where the means are exact; else scalar or like `values`.
        where: per point true or false, or the share of its volume that counts. A block
            without any such point has no row, and its value is ignored.

    >>> law = block_means(jnp.ones(5), 2, jnp.array([1.0, 2.0, 3.0]))
    >>> law.residual(jnp.array([1.0, 1.0, 2.0, 2.0, 4.0])).tolist()
    [0.0, 0.0, -1.0]
    """
    weights = domain.weights() if isinstance(domain, Grid) else floating(domain)
    per_axis: tuple[Any, ...] = (factor,) * weights.ndim
    if isinstance(factor, Sequence | np.ndarray) and np.ndim(factor) == 1:
        per_axis = tuple(factor)
    whole = all(isinstance(k, int | np.integer) and k >= 1 for k in per_axis)
    require(
        len(per_axis) == weights.ndim and whole,
        f"a factor of 1 or more, or one for each of {weights.ndim} axes",
        factor,
        "count the points of a block along each axis",
    )
    weights = _masked(weights, where)
    known = concrete(weights)
    require(
        known is None or not bool((known < 0).any()),
        "weights of zero or more",
        "a negative one",
        "pass the areas or volumes of the cells",
    )
    groups = Blocks(weights.shape, tuple(int(k) for k in per_axis))
    operator = Disjoint(_normalised(weights, groups), groups)
    return law_of(operator, values, noise_std, operator.present(), "a coarse field")


@float64_primal
def _normalised(weights: Array, groups: Blocks) -> Array:
    volumes = groups.total(weights)
    return weights * groups.spread(safe.divide(jnp.ones_like(volumes), volumes))


def totals(
    labels: ArrayLike,
    values: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    where: ArrayLike | None = None,
    noise_std: ArrayLike | None = None,
    throw: bool = True,
) -> LinearConstraint:
    """The weighted sum over every labelled region equals its value.

    Args:
        labels: integers ``(*x)``: the region of each point, from 0 to g - 1; -1: none.
        values: ``(g,)``, one total per region. A region without points has no row, and
            its value is ignored.
        weights: ``(*x)``, such as cell volumes; None: one each.
        where: per point true or false, or the share of its weight that counts.
        noise_std: None where the totals are exact; else scalar or ``(g,)``.

    Raises:
        ValueError: labels that are not integers, or outside of -1 to g - 1.

    >>> law = totals(jnp.array([0, 1, 0]), jnp.array([5.0, 1.0]))
    >>> law.residual(jnp.array([1.0, 1.0, 3.0])).tolist()
    [1.0, 0.0]
    """
    _require_integers(labels)
    labels = jnp.asarray(labels)
    values = floating(values)
    labels = _checked(labels, values, throw)
    dtype = values.dtype
    weights = jnp.ones(labels.shape, dtype) if weights is None else floating(weights)
    require_shape(weights, labels.shape, "weights")
    groups = Labelled(labels.astype(jnp.int32), values.size)
    inside = (labels >= 0).astype(weights.dtype)
    operator = Disjoint(_masked(weights, where) * inside, groups)
    return law_of(operator, values, noise_std, operator.present(), "values")


def _checked(labels: Array, values: Array, throw: bool) -> Array:
    """The labels, or an error unless they number regions that have values."""
    require(
        values.ndim == 1,
        "one value per region, (g,)",
        values.shape,
        "functions act on one sample: batch with jax.vmap",
    )
    outside = (labels < -1) | (labels >= values.size)
    known = None if is_traced(labels) else np.asarray(labels)
    if known is not None and known.size:
        require(
            int(known.max()) < values.size and int(known.min()) >= -1,
            f"labels from -1 (no region) to {values.size - 1}, one value per region",
            f"labels from {known.min()} to {known.max()}",
            "number the regions from 0, or pass one value for each",
        )
    else:
        message = "totals: expected labels from -1 to one less than the values"
        labels = error_if(labels, jnp.any(outside), message, throw)
    return labels


def _require_integers(labels: ArrayLike) -> None:
    """Refuse names of regions, and numbers that are not integers."""
    dtype: Any = getattr(labels, "dtype", None)
    if dtype is None:
        dtype = np.asarray(labels).dtype
    require(
        dtype.kind in "iu",
        "integer labels",
        f"labels of dtype {dtype}",
        "number the regions from 0: numpy.unique(names, return_inverse=True)",
    )


def pointwise(
    matrix: ArrayLike,
    values: ArrayLike,
    noise_std: ArrayLike | None = None,
    *,
    shape: Shape | None = None,
) -> LinearConstraint:
    """A small linear law at every point: Σ_c matrix_rc u_c = values_r.

    Fractions that add to one, energies that add to a total, atoms of each element in a
    mixture of species.

    Args:
        matrix: ``(r, c)``, or one per point ``(r, c, *x)``; fields are ``(c, *x)``.
        values: ``(r, *x)``.
        noise_std: None for an exact law; else scalar or like `values`.
        shape: ``(*x)``, where neither the matrix nor the values have the points' axes.

    >>> law = pointwise(jnp.ones((1, 2)), jnp.ones((1, 3)))  # two fractions, 3 points
    >>> law.residual(jnp.full((2, 3), 0.25)).tolist()
    [[0.5, 0.5, 0.5]]
    """
    matrix, values = floating(matrix), floating(values)
    require(
        matrix.ndim >= 2,
        "a matrix of shape (rows, components) or (rows, components, *x)",
        matrix.shape,
        "put one row first: matrix[None]",
    )
    require_finite(matrix, "matrix")
    if shape is None:
        shape = matrix.shape[2:] or values.shape[1:]
    operator = Pointwise(matrix, tuple(shape))
    present = jnp.any(matrix != 0, axis=1).reshape(
        matrix.shape[:1] + (matrix.shape[2:] or (1,) * len(shape))
    )
    return law_of(operator, values, noise_std, present, "values")


def _masked(weights: Float[Array, "*x"], where: ArrayLike | None) -> Array:
    require_finite(weights, "weights")
    if where is None:
        return weights
    share = jnp.asarray(where)
    require_shape(share, weights.shape, "where")
    require_finite(share, "where")
    require_share(share)
    return weights * share.astype(weights.dtype)
