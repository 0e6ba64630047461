"""Condition many named values on sparse rows, equalities and inequalities at once.

Minimise ½ Σ ((u - mean) / std)² subject to ``G u = b`` (with noise), ``G u <= b`` and
bounds. The dual function has one multiplier per row, is concave, and has a continuous,
piecewise linear gradient, so that Newton's method with a line search finds the maximum.
Each step solves the system ``G Σ Gᵀ + N`` of the values that are not at a bound.

All arithmetic is in float64. Values are scaled by their std, and rows to length one, so
that units do not matter.
"""

from typing import Any, NamedTuple

import numpy as np

from physcon._extras import needs

with needs("data"):
    import scipy.sparse as sp
    from scipy.sparse.linalg import splu

_EPS = np.finfo(np.float64).eps
_STEPS = 200
_MET = 1e-11  # relative to the terms of a row
_SHIFT = 1e-11  # relative, so that redundant rows can be factorised
_MOST_ROWS = 4096  # for standard deviations of rows that share values


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


class _Scaled(NamedTuple):
    """Rows over values in units of their std, scaled to length one."""

    a: Any
    length: np.ndarray
    noise: np.ndarray
    live: np.ndarray
    disjoint: bool  # no two rows see the same value


def solve(
    mean: np.ndarray, std: np.ndarray, lower: np.ndarray, upper: np.ndarray, rows: Rows
) -> Solved:
    """Return the most probable values that obey the rows and the bounds.

    Values with a std of zero are certain. A row that only sees certain values can't be
    met by a correction: `good` says whether they meet it already.
    """
    scaled = _scaled(rows, std)
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
    dual, z = _maximise(scaled, offset, low, high, one_sided, dual)
    u, z, dual = _polished(rows, scaled, (mean, std), (low, high), ends, z, dual)
    missed = residual(rows, u)
    unmet = np.where(one_sided, np.minimum(missed, 0.0), missed)
    unmet = unmet - np.where(rows.std > 0, scaled.noise * dual * scaled.length, 0.0)
    size = sizes(rows, u)
    relative = np.abs(unmet) / np.where(size > 0, size, 1.0)
    change = np.where(moved, (u - mean) / safe, 0.0)
    return Solved(u, relative, float(change @ change), relative <= _MET)


def _polished(
    rows: Rows,
    scaled: _Scaled,
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
        step[use] = _newton(a, free, scaled.noise[use], left, scaled.disjoint)
        new_z = np.where(free, z + scaled.a.T @ step, z)
        new_u = values(new_z)
        new_left = wrong(new_u, dual + step)
        if not np.linalg.norm(new_left) < np.linalg.norm(left):
            break
        z, u, dual, left = new_z, new_u, dual + step, new_left
    return u, z, dual


def variance_left(std: np.ndarray, rows: Rows) -> np.ndarray | None:
    """Return the share of each variance that is left, or None if that is too costly."""
    scaled = _scaled(rows, std)
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


def _scaled(rows: Rows, std: np.ndarray) -> _Scaled:
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
    return _Scaled(a, length * first, noise / length**2, live, disjoint)


def residual(rows: Rows, u: np.ndarray) -> np.ndarray:
    """Return ``value - matrix @ u``, summed with more digits than float64 has.

    Where the machine has no such numbers, long sums lose a few units of the last digit.
    """
    a = rows.matrix.tocsr()
    terms = a.data.astype(np.longdouble) * u[a.indices]
    sums = np.zeros(len(rows.value), np.longdouble)
    filled = np.diff(a.indptr) > 0
    if terms.size:
        sums[filled] = np.add.reduceat(terms, a.indptr[:-1][filled])
    return (rows.value - sums).astype(np.float64)


def sizes(rows: Rows, u: np.ndarray) -> np.ndarray:
    """Return the size of the terms of each row, the scale of its rounding errors."""
    return abs(rows.matrix) @ np.abs(u) + np.abs(rows.value)


def _maximise(
    scaled: _Scaled,
    offset: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    one_sided: np.ndarray,
    dual: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Maximise the dual function; return multipliers and scaled corrections."""
    a, noise, live = scaled.a, scaled.noise, scaled.live
    at = a.T
    if scaled.disjoint and not one_sided.any():
        # One equation per row; without bounds at work this is the answer.
        dual = np.where(live, offset, 0.0)
        z = at @ dual
        if np.all((z >= low) & (z <= high)):
            return dual, z
        dual = np.zeros_like(dual)

    def state(dual: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        pull = at @ dual
        z = np.clip(pull, low, high)
        gradient = np.where(live, offset - a @ z - noise * dual, 0.0)
        value = dual @ gradient + 0.5 * (z @ z) + 0.5 * (dual * noise) @ dual
        return float(value), gradient, z, (pull > low) & (pull < high)

    value, gradient, z, free = state(dual)
    # Rounding errors of a row's terms; below them nothing is gained.
    rounding = 4 * _EPS * (np.abs(offset) + np.sqrt(np.diff(a.indptr) + 1.0))
    least = np.inf
    stalled = 0
    for _ in range(_STEPS):
        wrong = _wrong(dual, gradient, one_sided)
        worst = float(np.max(np.abs(wrong) / rounding, initial=0.0))
        stalled = 0 if worst < 0.5 * least else stalled + 1
        least = min(least, worst)
        if worst <= 1 or (stalled >= 3 and worst < 30) or stalled >= 60:
            break
        use = live & (~one_sided | (dual + gradient < 0))
        step = np.where(one_sided, -dual, 0.0)
        step[use] = _newton(a[use], free, noise[use], gradient[use], scaled.disjoint)
        norm = float(np.linalg.norm(wrong))
        accepted = False
        size = 1.0
        for _ in range(60):
            trial = dual + size * step
            trial = np.where(one_sided, np.minimum(trial, 0.0), trial)
            new = state(trial)
            gain = float(gradient @ (trial - dual))
            # Where the value is too large to show the gain, the gradient decides.
            blind = gain <= 64 * _EPS * (abs(value) + abs(new[0]))
            if blind:
                rest = _wrong(trial, new[1], one_sided)
                accepted = float(np.linalg.norm(rest)) < norm
            else:
                accepted = new[0] >= value + 1e-4 * gain
            if accepted:
                break
            size *= 0.5
        if not accepted:
            break
        dual = trial
        value, gradient, z, free = new
    return dual, z


def _wrong(dual: np.ndarray, gradient: np.ndarray, one_sided: np.ndarray) -> np.ndarray:
    """Return by how much the conditions for a maximum fail, for each row."""
    to = dual + gradient
    return dual - np.where(one_sided, np.minimum(0.0, to), to)


def _newton(
    a: Any, free: np.ndarray, noise: np.ndarray, r: np.ndarray, disjoint: bool
) -> np.ndarray:
    """Solve (A A^T + N) d = r over the free values; redundant rows do no harm."""
    if disjoint:
        squares = type(a)((a.data**2, a.indices, a.indptr), a.shape)
        diagonal = squares @ free.astype(np.float64) + noise
        return r / np.where(diagonal > 1e-26, diagonal, 1e-10)
    part = a @ sp.diags(free.astype(np.float64))
    s = (part @ part.T + sp.diags(noise)).tocsc()
    diagonal = s.diagonal()
    # A row whose values are all at a bound gets a long step, which frees some of them.
    scale = 1 / np.sqrt(np.where(diagonal > 1e-26, diagonal, 1e-10))
    r = scale * r
    if (s - sp.diags(diagonal)).nnz == 0:
        return scale * r
    s = (sp.diags(scale) @ s @ sp.diags(scale)).tocsc()
    factor = splu(
        (s + _SHIFT * sp.eye(len(diagonal))).tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    d = factor.solve(r)
    for _ in range(3):
        d = d + factor.solve(r - s @ d)
    return scale * d
