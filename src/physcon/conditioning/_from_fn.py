"""A law from a linear function, with the structure of its matrix."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, require, require_function, require_tuple
from physcon._typing import Array, ArrayLike, Float, Shape
from physcon.conditioning._coordinates import Coordinates
from physcon.conditioning._sparsity import sparse_matrix
from physcon.conditioning.constraint import LinearConstraint
from physcon.linear_map import Disjoint, Labelled, LinearMap, Rows, Sparse
from physcon.linear_map.basic import size


def from_fn(
    fn: Callable[[Float[Array, "*x"]], Array],
    shape: Shape,
    value: ArrayLike,
    noise_std: ArrayLike | None = None,
) -> LinearConstraint:
    """Constraint ``fn(u) = value`` for a linear function, with one row per output.

    A constant part of `fn` is moved to the right-hand side.

    Sparse rows, and rows that see disjoint points, are recognised from the program of
    the function, and get the operators that `from_matrix` and `totals` build. The
    result is compared with the function on random fields; where it differs, or where
    the function holds arrays that are traced, the rows are dense.

    Raises:
        ValueError: `fn` is not linear; this is detected by transposing the traced
            function, and by its values on random fields. Also if dense rows would take
            more than 16 GiB.

    >>> law = from_fn(lambda u: u[1:] - u[:-1], (3,), 1.0)
    >>> law.operator.rows().tolist()
    [[-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]]
    """
    require_function(fn, "fn")
    require_tuple(shape, "shape")
    field = jax.ShapeDtypeStruct(tuple(shape), jnp.result_type(float))
    out = jax.eval_shape(fn, field)
    constant = fn(jnp.zeros(shape, field.dtype))
    operator = _structured(fn, field, constant)
    if operator is None:
        operator = _dense(fn, field, out)
        _check_derivative(operator, fn, field, constant)
    count, dtype = (out.size,), out.dtype
    value = jnp.broadcast_to(jnp.asarray(value, dtype), out.shape) - constant
    noise = None
    if noise_std is not None:
        noise = jnp.broadcast_to(jnp.asarray(noise_std, dtype), out.shape)
        noise = noise.reshape(count)
    return LinearConstraint(operator, value.reshape(count), noise)


def _dense(fn: Callable, field: Any, out: Any) -> Rows:
    needed = out.size * size(field.shape) * out.dtype.itemsize
    require(
        needed <= 2**34,
        "a function whose rows are sparse, or take at most 16 GiB as a dense array",
        f"{out.size} rows over {size(field.shape)} points, {needed / 2**30:.0f} GiB",
        "pass the matrix as from_matrix(matrix, value), or write a LinearMap",
    )
    try:
        transpose = jax.linear_transpose(fn, field)
        basis = jnp.eye(out.size, dtype=out.dtype).reshape(out.size, *out.shape)
        (rows,) = jax.vmap(transpose)(basis)
    except Exception as error:  # JAX has no single exception type for this
        raise ValueError(
            "from_fn: expected a linear function, got one that JAX cannot transpose; "
            "linearise it with jax.linearize at a given field, or iterate"
        ) from error
    known = concrete(rows)
    require(
        known is None or bool(np.isfinite(known).all()),
        "from_fn: a function with finite coefficients",
        "NaN or infinity",
        "give missing points zero weight in the function",
    )
    return Rows(rows)


def _structured(fn: Callable, field: Any, constant: Array) -> LinearMap | None:
    """The operator of a matrix with few entries; None if it is not found."""
    count, points = constant.size, size(field.shape)
    if count <= _FEW or concrete(constant) is None:
        return None
    found = sparse_matrix(fn, field.shape, field.dtype)
    if found is None or found.entry.size > _DENSE * count * points:
        return None
    operator = _operator(found, field, count)
    eps = float(jnp.finfo(field.dtype).eps)
    share = 8 * eps * size(field.shape) ** 0.5
    return operator if _agrees(operator, fn, field, constant, share) else None


def _operator(found: Coordinates, field: Any, count: int) -> LinearMap:
    points = size(field.shape)
    entries = jnp.asarray(found.entry, field.dtype)
    if np.bincount(found.column, minlength=points).max(initial=0) > 1:
        return Sparse.of(entries, found.row, found.column, field.shape, count)
    label = np.full(points, -1, np.int32)
    label[found.column] = found.row
    weights = np.zeros(points)
    weights[found.column] = found.entry
    return Disjoint(
        jnp.asarray(weights, field.dtype).reshape(field.shape),
        Labelled(jnp.asarray(label).reshape(field.shape), count),
    )


def _check_derivative(rows: Rows, fn: Callable, field: Any, constant: Array) -> None:
    """Raise for a function whose values are not those of its derivative.

    JAX takes the derivative of a conversion to integers for zero.
    """
    if concrete(constant) is None or concrete(rows.weights) is None:
        return
    rough = float(jnp.finfo(field.dtype).eps) ** 0.25
    require(
        _agrees(rows, fn, field, constant, rough),
        "a linear function in from_fn",
        "one whose values differ from those of its derivative",
        "leave out roundings and conversions to integers",
    )


def _agrees(
    operator: LinearMap, fn: Callable, field: Any, constant: Array, share: float
) -> bool:
    """Whether the operator gives what the function does on two random fields.

    The difference may be a share of the sum of the terms' magnitudes.
    """
    rng = np.random.default_rng(0)
    for _ in range(2):
        u = jnp.asarray(rng.normal(size=field.shape), field.dtype)
        change = np.asarray(fn(u), float) - np.asarray(constant, float)
        got = np.asarray(operator.mv(u), float)
        terms = np.asarray(operator.magnitude(u), float)
        terms = terms + np.abs(np.asarray(constant, float)).reshape(-1)
        if not np.all(np.abs(change.reshape(-1) - got) <= share * terms):
            return False
    return True


#: Rows up to which dense ones cost nothing.
_FEW = 32
#: Share of nonzero entries from which rows are dense.
_DENSE = 0.1
