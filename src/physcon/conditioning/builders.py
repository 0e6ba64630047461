"""Laws with many rows: disjoint regions, a small law per point, sparse matrices."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, error_if, is_traced, require, require_shape
from physcon._numerics import safe
from physcon._numerics.float64 import float64_primal, floating
from physcon._typing import Array, ArrayLike, Float, Shape
from physcon.conditioning.constraint import LinearConstraint
from physcon.grid import Grid
from physcon.linear_map import Blocks, Disjoint, Labelled, LinearMap, Pointwise, Rows
from physcon.linear_map import Sparse as SparseMap


def block_means(
    domain: Grid | ArrayLike,
    factor: int | Sequence[int],
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
    per_axis = (factor,) * weights.ndim if isinstance(factor, int) else tuple(factor)
    require(
        len(per_axis) == weights.ndim and all(k >= 1 for k in per_axis),
        f"a factor of 1 or more, or one for each of {weights.ndim} axes",
        factor,
        "count the points of a block along each axis",
    )
    groups = Blocks(weights.shape, tuple(int(k) for k in per_axis))
    operator = Disjoint(_normalised(_masked(weights, where), groups), groups)
    return _law(operator, values, noise_std, operator.present(), "a coarse field")


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
    labels, values = jnp.asarray(labels), floating(values)
    require(
        jnp.issubdtype(labels.dtype, jnp.integer),
        "integer labels",
        f"labels of dtype {labels.dtype}",
        "number the regions from 0: numpy.unique(names, return_inverse=True)",
    )
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
    dtype = values.dtype
    weights = jnp.ones(labels.shape, dtype) if weights is None else floating(weights)
    require_shape(weights, labels.shape, "weights")
    groups = Labelled(labels.astype(jnp.int32), values.size)
    inside = (labels >= 0).astype(weights.dtype)
    operator = Disjoint(_masked(weights, where) * inside, groups)
    return _law(operator, values, noise_std, operator.present(), "values")


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
    if shape is None:
        shape = matrix.shape[2:] or values.shape[1:]
    operator = Pointwise(matrix, tuple(shape))
    present = jnp.any(matrix != 0, axis=1).reshape(
        matrix.shape[:1] + (matrix.shape[2:] or (1,) * len(shape))
    )
    return _law(operator, values, noise_std, present, "values")


def from_matrix(
    matrix: Any,
    values: ArrayLike,
    noise_std: ArrayLike | None = None,
    *,
    shape: Shape | None = None,
) -> LinearConstraint:
    """``matrix @ u = values`` for a dense or sparse matrix.

    Args:
        matrix: ``(m, n)``: a NumPy or JAX array, a SciPy sparse matrix or array of any
            format, or a `jax.experimental.sparse.BCOO`. Repeated entries are added. A
            sparse matrix is analysed on the host, once; its values may be traced, its
            pattern not. A dense array with few nonzero entries becomes a sparse law.
        values: ``(m,)`` or a scalar. A row without entries is no row; its value is
            ignored.
        noise_std: None for exact rows; else scalar or ``(m,)``.
        shape: of the field, if it is not ``(n,)``.

    Raises:
        ValueError: a matrix that is not two-dimensional or not finite, or values of
            another length.

    >>> law = from_matrix(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, -1.0]]), 0.0)
    >>> law.residual(jnp.array([1.0, -1.0, -1.0])).tolist()
    [0.0, 0.0]
    """
    found = _triplets(matrix)
    m, n = found.shape
    field = (n,) if shape is None else tuple(shape)
    require(
        int(np.prod(field)) == n,
        f"a field of {n} points, one per column",
        field,
        "pass the shape of the field that the columns of the matrix see",
    )
    known = concrete(found.entries)
    require(
        known is None or bool(np.isfinite(known).all()),
        "a finite matrix",
        "NaN or infinity",
        "give missing points zero weight, and drop rows that are not known",
    )
    operator: LinearMap
    if found.row is None or found.column is None:
        operator = Rows(found.entries.reshape(m, *field))
        present = jnp.any(found.entries.reshape(m, -1) != 0, axis=1)
        return _law(operator, values, noise_std, present, "values")
    operator = SparseMap.of(found.entries, found.row, found.column, field, m)
    return _law(operator, values, noise_std, operator.present(), "values")


def incidence(
    edges: ArrayLike | Sequence[Sequence[int]],
    nodes: int,
    supply: ArrayLike = 0.0,
    noise_std: ArrayLike | None = None,
) -> LinearConstraint:
    """The flows along the edges of a network balance at every node.

    What leaves a node less what enters it equals its supply (a demand is negative).

    Args:
        edges: integers ``(e, 2)``, concrete: from and to which node; -1: outside of the
            network. The field is the flow along each edge, ``(e,)``.
        nodes: the number of nodes, m.
        supply: scalar or ``(m,)``, in the units of the flow.
        noise_std: None for an exact balance; else scalar or ``(m,)``.

    >>> law = incidence([[0, 1], [1, -1]], 2, jnp.array([3.0, 0.0]))
    >>> law.residual(jnp.array([3.0, 3.0])).tolist()
    [0.0, 0.0]
    """
    ends = np.asarray(edges)
    require(
        ends.ndim == 2 and ends.shape[1] == 2 and np.issubdtype(ends.dtype, np.integer),
        "edges as integers of shape (e, 2)",
        f"shape {ends.shape} of {ends.dtype}",
        "give the two nodes of each edge",
    )
    require(
        ends.size == 0 or (int(ends.min()) >= -1 and int(ends.max()) < nodes),
        f"nodes from -1 (outside) to {nodes - 1}",
        f"nodes from {ends.min(initial=0)} to {ends.max(initial=0)}",
        "number the nodes from 0",
    )
    inside = ends >= 0
    column = np.repeat(np.arange(ends.shape[0]), 2).reshape(-1, 2)
    sign = np.broadcast_to(np.array([1.0, -1.0]), ends.shape)
    entries = jnp.asarray(sign[inside], jnp.result_type(float))
    operator = SparseMap.of(
        entries, ends[inside], column[inside], (ends.shape[0],), nodes
    )
    return _law(operator, supply, noise_std, operator.present(), "the supply")


def _masked(weights: Float[Array, "*x"], where: ArrayLike | None) -> Array:
    if where is None:
        return weights
    share = jnp.asarray(where)
    require_shape(share, weights.shape, "where")
    return weights * share.astype(weights.dtype)


def _law(
    operator: LinearMap,
    values: ArrayLike,
    noise_std: ArrayLike | None,
    present: Array,
    name: str,
) -> LinearConstraint:
    """The constraint; a row without points gets the value zero, which it has."""
    shape = tuple(operator.out_shape)
    dtype = jnp.result_type(*(x for x in jax.tree.leaves(operator) if _inexact(x)))

    def full(x: ArrayLike, what: str) -> Array:
        got = np.shape(x)
        remedy = "functions act on one sample: batch with jax.vmap"
        require(
            got in ((), shape), f"{what} of shape {shape}, or a scalar", got, remedy
        )
        x = jnp.asarray(x)
        x = x.astype(jnp.promote_types(dtype, x.dtype))
        return jnp.broadcast_to(x, shape)

    value = jnp.where(present, full(values, name), 0)
    noise = None if noise_std is None else full(noise_std, "noise_std")
    return LinearConstraint(operator, value, noise)


def _inexact(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.inexact)


class _Triplets:
    """The entries of a matrix, with their rows and columns; or all of a dense one."""

    def __init__(
        self,
        shape: tuple[int, ...],
        entries: Array,
        row: np.ndarray | None = None,
        column: np.ndarray | None = None,
    ):
        self.shape, self.entries, self.row, self.column = shape, entries, row, column


def _triplets(matrix: Any) -> _Triplets:
    if hasattr(matrix, "tocoo"):  # any format of scipy.sparse
        coo = matrix.tocoo().copy()
        coo.sum_duplicates()
        shape, row, column = coo.shape, *coo.coords
        return _Triplets(shape, floating(coo.data), row, column)
    if hasattr(matrix, "indices") and hasattr(matrix, "todense"):  # BCOO
        require(
            not is_traced(matrix.indices) and matrix.n_batch == matrix.n_dense == 0,
            "a BCOO matrix with a known pattern and no batch or dense axes",
            "traced indices, or such axes",
            "build the law outside of jit and pass it as an argument",
        )
        index = np.asarray(matrix.indices)
        require_matrix(matrix.shape)
        inside = (index < np.asarray(matrix.shape)).all(axis=1)
        index = index[inside]
        keys = index[:, 0] * matrix.shape[1] + index[:, 1]
        unique, place = np.unique(keys, return_inverse=True)
        data = matrix.data[np.flatnonzero(inside)]
        entries = jax.ops.segment_sum(data, jnp.asarray(place), unique.size)
        row, column = np.divmod(unique, matrix.shape[1])
        return _Triplets(tuple(matrix.shape), floating(entries), row, column)
    dense = floating(matrix)
    require_matrix(dense.shape)
    known = concrete(dense)
    if known is None or dense.shape[0] <= 32 or (known != 0).mean() > 0.1:
        return _Triplets(dense.shape, dense)
    row, column = np.nonzero(known)
    return _Triplets(dense.shape, dense[row, column], row, column)


def require_matrix(shape: tuple[int, ...]) -> None:
    """Raise unless a matrix has two axes."""
    require(
        len(shape) == 2, "a matrix of shape (m, n)", shape, "one row is matrix[None]"
    )
