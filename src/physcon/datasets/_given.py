"""Rows of the values of a chunk, given the laws of the chunk alone."""

from typing import Any

import numpy as np

from physcon._extras import needs
from physcon.datasets._solve import Rows

with needs("data"):
    import scipy.sparse as sp


def slope_of(matrix: Any, std: np.ndarray, rows: Rows, held: np.ndarray) -> Any:
    """Return ``G V G^T``: V is the covariance given the rows that are held."""
    g = (matrix @ sp.diags(std)).tocsr()
    return (g @ given_rows(g, std, rows, held).T).tocsr()


def given_rows(g: Any, std: np.ndarray, rows: Rows, held: np.ndarray) -> Any:
    """Return ``G S^(1/2)`` less the part that the rows of the chunk determine."""
    if not held.any():
        return g.tocsr()
    a = (rows.matrix @ sp.diags(std)).tocsr()[held]
    length = np.sqrt(np.asarray(a.multiply(a).sum(1)).ravel() + rows.std[held] ** 2)
    length = np.where(length > 0, length, 1.0)
    a = (sp.diags(1 / length) @ a).tocsr()
    gram = (a @ a.T + sp.diags((rows.std[held] / length) ** 2 + 1e-13)).tocsc()
    seen = (a @ g.T).tocsc()
    from scipy.sparse.linalg import spsolve  # see `_dual.newton`

    solved = sp.csc_matrix(spsolve(gram, seen))
    if solved.shape != seen.shape:  # one column comes back as a vector
        solved = solved.reshape(seen.shape)
    return (g - (a.T @ solved).T).tocsr()
