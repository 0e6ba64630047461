"""Sparse rows of laws: residuals, the size of their terms, and their scaled form."""

from typing import Any, NamedTuple

import numpy as np

from physcon._extras import needs

with needs("data"):
    import scipy.sparse as sp


class Rows(NamedTuple):
    """Linear laws: ``matrix @ u = value``, or ``<= value`` where `upper_only`.

    Attributes:
        matrix: sparse, ``(rows, values)``.
        value: right-hand sides.
        std: their standard deviations; zero where exact.
        upper_only: which rows are inequalities.
    """

    matrix: Any
    value: np.ndarray
    std: np.ndarray
    upper_only: np.ndarray


class Scaled(NamedTuple):
    """Rows over values in units of their std, scaled to length one."""

    a: Any
    length: np.ndarray
    noise: np.ndarray
    live: np.ndarray
    disjoint: bool  # no two rows see the same value


def residual(rows: Rows, u: np.ndarray) -> np.ndarray:
    """Return ``value - matrix @ u``, summed with more digits than float64 has.

    Where the machine has no such numbers, long sums lose a few units of the last digit.
    """
    return (rows.value - products(rows.matrix, u)).astype(np.float64)


def products(matrix: Any, u: np.ndarray) -> np.ndarray:
    """Return ``matrix @ u`` with more digits than float64 has, see `residual`."""
    a = matrix.tocsr()
    terms = a.data.astype(np.longdouble) * u[a.indices]
    sums = np.zeros(a.shape[0], np.longdouble)
    filled = np.diff(a.indptr) > 0
    if terms.size:
        sums[filled] = np.add.reduceat(terms, a.indptr[:-1][filled])
    return sums


def sizes(rows: Rows, u: np.ndarray) -> np.ndarray:
    """Return the size of the terms of each row, the scale of its rounding errors."""
    return abs(rows.matrix) @ np.abs(u) + np.abs(rows.value)


def scaled_rows(rows: Rows, std: np.ndarray) -> Scaled:
    """Scale values by their std and rows to length one, without squaring units."""
    a = (rows.matrix @ sp.diags(std)).tocsr()
    largest = np.zeros(a.shape[0])
    if a.nnz:
        largest = np.asarray(abs(a).max(axis=1).todense()).ravel()
    largest = np.maximum(largest, rows.std)
    live = largest > 0
    first = np.where(live, largest, 1.0)
    a = sp.diags(1 / first) @ a
    noise = (rows.std / first) ** 2
    length = np.sqrt(np.asarray(a.multiply(a).sum(1)).ravel() + noise)
    length = np.where(live, length, 1.0)
    a = (sp.diags(1 / length) @ a).tocsr()
    disjoint = bool(np.bincount(a.indices).max(initial=0) <= 1)
    return Scaled(a, length * first, noise / length**2, live, disjoint)
