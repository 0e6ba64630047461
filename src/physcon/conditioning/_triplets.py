"""Matrices of any kind as entries with their rows and columns."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, is_traced, require
from physcon._numerics.float64 import floating
from physcon._typing import Array


class Triplets:
    """The entries of a matrix, with their rows and columns; or all of a dense one."""

    def __init__(
        self,
        shape: tuple[int, ...],
        entries: Array,
        row: np.ndarray | None = None,
        column: np.ndarray | None = None,
    ):
        self.shape = shape
        self.entries = entries
        self.row = row
        self.column = column


def triplets(matrix: Any) -> Triplets:
    """The entries of a dense or sparse matrix; see `from_matrix` for its types."""
    if hasattr(matrix, "tocoo"):  # any format of scipy.sparse
        coo = matrix.tocoo().copy()
        coo.sum_duplicates()
        shape, row, column = coo.shape, *coo.coords
        return Triplets(shape, floating(coo.data), row, column)
    if hasattr(matrix, "indices") and hasattr(matrix, "todense"):  # BCOO
        return _of_bcoo(matrix)
    return _of_dense(floating(matrix))


def _of_bcoo(matrix: Any) -> Triplets:
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
    return Triplets(tuple(matrix.shape), floating(entries), row, column)


def _of_dense(dense: Array) -> Triplets:
    """All entries, or only the nonzero ones if there are few of them."""
    require_matrix(dense.shape)
    known = concrete(dense)
    if known is None or dense.shape[0] <= 32 or (known != 0).mean() > 0.1:
        return Triplets(dense.shape, dense)
    row, column = np.nonzero(known)
    return Triplets(dense.shape, dense[row, column], row, column)


def require_matrix(shape: tuple[int, ...]) -> None:
    """Raise unless a matrix has two axes."""
    require(
        len(shape) == 2,
        "a matrix of shape (m, n)",
        shape,
        "pass one row as matrix[None]",
    )
