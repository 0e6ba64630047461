"""Condition many named values on sparse rows, equalities and inequalities at once.

Minimise ½ Σ ((u - mean) / std)² subject to ``G u = b`` (with noise), ``G u <= b`` and
bounds. The dual function has one multiplier per row, is concave, and has a continuous,
piecewise linear gradient, so that Newton's method with a line search finds the maximum.
Each step solves the system ``G Σ Gᵀ + N`` of the values that are not at a bound.

All arithmetic is in float64. Values are scaled by their std, and rows to length one, so
that units do not matter.
"""

from typing import NamedTuple

import numpy as np

from physcon._extras import needs
from physcon.datasets._disjoint import is_for_device, solved
from physcon.datasets._dual import maximise, newton
from physcon.datasets._scaled_rows import Rows, Scaled, residual, scaled_rows, sizes

with needs("data"):
    import scipy.sparse as sp

_EPS = np.finfo(np.float64).eps
_MET = 1e-11  # relative to the terms of a row
_ROUNDED = 1e-4  # times _MET: a few rounding errors of the terms before
_MOST_ROWS = 4096  # for standard deviations of rows that share values


class Solved(NamedTuple):
    """The constrained values.

    Attributes:
        values: ``(values,)``.
        unmet: violation of each row, relative to the size of its terms.
        chi_squared: squared correction in units of std, summed.
        good: which rows are met to rounding.
    """

    values: np.ndarray
    unmet: np.ndarray
    chi_squared: float
    good: np.ndarray


def solve(
    mean: np.ndarray, std: np.ndarray, lower: np.ndarray, upper: np.ndarray, rows: Rows
) -> Solved:
    """Return the most probable values that obey the rows and the bounds.

    Values with a std of zero are certain. A row that only sees certain values can't be
    met by a correction: `good` says whether they meet it already. Where JAX's default
    device is an accelerator, it solves long rows that share no value.
    """
    if is_for_device(rows):
        return Solved(*solved(mean, std, lower, upper, rows))
    scaled = scaled_rows(rows, std)
    moved = std > 0
    safe = np.where(moved, std, 1.0)
    low = np.where(moved, (lower - mean) / safe, 0.0)
    high = np.where(moved, (upper - mean) / safe, 0.0)
    ends = (np.where(moved, lower, mean), np.where(moved, upper, mean))
    dual = np.zeros(len(rows.value))
    one_sided = rows.upper_only
    # A row that holds to rounding already asks for no change of any digit.
    missed = residual(rows, mean)
    held = np.abs(missed) <= 2 * _EPS * sizes(rows, mean)
    rows = rows._replace(value=rows.value - np.where(held, missed, 0.0))
    offset = np.where(held, 0.0, missed) / scaled.length
    dual, z = maximise(scaled, offset, low, high, one_sided, dual)
    u, z, dual = _polished(rows, scaled, (mean, std), (low, high), ends, z, dual)
    missed = residual(rows, u)
    unmet = np.where(one_sided, np.minimum(missed, 0.0), missed)
    unmet = unmet - np.where(rows.std > 0, scaled.noise * dual * scaled.length, 0.0)
    # A value near zero is rounded like the larger one that it was corrected from.
    size = sizes(rows, u) + _ROUNDED * sizes(rows, mean)
    relative = np.abs(unmet) / np.where(size > 0, size, 1.0)
    change = np.where(moved, (u - mean) / safe, 0.0)
    return Solved(u, relative, float(change @ change), relative <= _MET)


def _polished(
    rows: Rows,
    scaled: Scaled,
    prior: tuple[np.ndarray, np.ndarray],
    box: tuple[np.ndarray, np.ndarray],
    ends: tuple[np.ndarray, np.ndarray],
    z: np.ndarray,
    dual: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Remove what rounding left of the residuals, with the same values at bounds."""
    mean, std = prior
    low, high = box
    use = scaled.live & (~rows.upper_only | (dual < 0))
    free = (z > low) & (z < high)
    a = scaled.a[use]

    def values(z: np.ndarray) -> np.ndarray:
        u = np.where(z <= low, ends[0], np.where(z >= high, ends[1], mean + std * z))
        return np.clip(u, *ends)

    def wrong(u: np.ndarray, dual: np.ndarray) -> np.ndarray:
        missed = residual(rows, u) / scaled.length - scaled.noise * dual
        return missed[use]

    u = values(z)
    left = wrong(u, dual)
    for _ in range(4):
        size = (sizes(rows, u) / scaled.length)[use]
        left = np.where(np.abs(left) <= 0.25 * _EPS * size, 0.0, left)
        if not left.any():
            break
        step = np.zeros_like(dual)
        step[use] = newton(a, free, scaled.noise[use], left, scaled.disjoint)
        new_z = np.where(free, z + scaled.a.T @ step, z)
        new_u = values(new_z)
        new_left = wrong(new_u, dual + step)
        if not np.linalg.norm(new_left) < np.linalg.norm(left):
            break
        z, u, dual, left = new_z, new_u, dual + step, new_left
    return u, z, dual


def variance_left(std: np.ndarray, rows: Rows) -> np.ndarray | None:
    """Return the share of each variance that is left, or None if that is too costly."""
    scaled = scaled_rows(rows, std)
    keep = scaled.live & ~rows.upper_only
    a = scaled.a[keep]
    s = (a @ a.T + sp.diags(scaled.noise[keep])).tocsc()
    if (s - sp.diags(s.diagonal())).nnz == 0:
        removed = a.multiply(a).T @ (1 / s.diagonal())
    elif a.shape[0] <= _MOST_ROWS:
        inverse = np.linalg.pinv(s.toarray(), hermitian=True)
        removed = np.asarray(a.multiply(sp.csr_matrix(inverse) @ a).sum(0)).ravel()
    else:
        return None
    return np.clip(1 - removed, 0.0, 1.0)
