"""One chunk of a dataset under laws that tie several chunks together.

For given multipliers of the rows that the chunks share, each chunk is a problem of its
own: the values nearest to ``mean + variance * G^T multipliers`` that obey the laws of
the chunk. The shared rows hold for the right multipliers.
"""

from typing import Any, NamedTuple

import numpy as np

from physcon._extras import needs
from physcon.datasets._assemble import LawRows
from physcon.datasets._given import given_rows, slope_of
from physcon.datasets._laws import Laws, Mean
from physcon.datasets._names import spread_pairs
from physcon.datasets._problem import Problem, problem_of, stacked
from physcon.datasets._reach import check_met
from physcon.datasets._shared import (
    Cut,
    Measured,
    Multipliers,
    Shared,
    is_shared,
    row_count,
    row_numbers,
)
from physcon.datasets._solve import Rows, residual, sizes, solve, variance_left
from physcon.datasets._totals import row_weights

with needs("data"):
    import scipy.sparse as sp


class Opened(NamedTuple):
    """The problem of a chunk: its own rows, and its part of the shared rows.

    Attributes:
        problem: with the laws of the chunk alone.
        rows: of these laws.
        shared: the rows of each shared law, whose means are totals here.
        matrices: of the shared rows, for the values of the chunk only.
        own: which values belong to the chunk.
    """

    problem: Problem
    rows: Rows
    shared: list[LawRows]
    matrices: list[Any]
    own: np.ndarray


def measured(data: Any, laws: Laws, cut: Cut, multipliers: Multipliers) -> Measured:
    """Return what a chunk adds to the shared rows, and its slope by the multipliers."""
    opened = opened_chunk(data, laws, cut)
    u = _solved(opened, laws, cut, multipliers)
    found = []
    for made, matrix in zip(opened.shared, opened.matrices, strict=True):
        mean = isinstance(made.law, Mean)
        found.append(
            Shared(
                laws.laws.index(made.law),
                row_count(made, cut),
                row_numbers(made, cut),
                matrix @ u,
                abs(matrix) @ np.abs(u),
                made.rows.value,
                made.rows.std,
                np.asarray(matrix.sum(1)).ravel() if mean else None,
            )
        )
    matrix = sp.vstack(opened.matrices).tocsr()
    std = opened.problem.std
    free = (u > opened.problem.lower) & (u < opened.problem.upper)
    held = ~opened.rows.upper_only
    updated = bool(spread_pairs(data, laws))
    prior = slope_of(matrix, std, opened.rows, held) if updated else None
    touched = residual(opened.rows, u) <= 1e-9 * sizes(opened.rows, u)
    slope = slope_of(matrix, np.where(free, std, 0.0), opened.rows, held | touched)
    return Measured(found, slope, prior)


def corrected(
    data: Any, laws: Laws, cut: Cut, multipliers: Multipliers
) -> dict[str, np.ndarray]:
    """Return the new values of each variable of a chunk, for given multipliers."""
    opened = opened_chunk(data, laws, cut)
    return corrected_values(opened, data, laws, cut, multipliers)


def corrected_values(
    opened: Opened, data: Any, laws: Laws, cut: Cut, multipliers: Multipliers
) -> dict[str, np.ndarray]:
    """Return the new values of an opened chunk; see `corrected`."""
    u = _solved(opened, laws, cut, multipliers)
    found = {n: _part(opened, data, n, n, u, cut) for n in opened.problem.names}
    pairs = spread_pairs(data, laws)
    if pairs:
        std = _new_std(opened, laws, cut, multipliers)
        for name, spread in pairs.items():
            old = data[spread]
            if std is None:
                found[spread] = _own(old.values, old.dims, cut)
            else:
                found[spread] = _part(opened, data, name, spread, std, cut)
    return found


def _part(
    opened: Opened, data: Any, name: str, into: str, u: np.ndarray, cut: Cut
) -> np.ndarray:
    """Return the part of the long vector of one variable; missing values stay."""
    array = data[name]
    start = opened.problem.values.start[name]
    new = u[start : start + array.size].reshape(array.shape)
    missing = np.isnan(array.values.astype(np.float64))
    new = np.where(missing, data[into].values, new)
    kind = data[into].dtype
    dtype = kind if kind.kind == "f" else np.dtype(np.float64)
    return _own(new, array.dims, cut).astype(dtype)


def _own(values: np.ndarray, dims: Any, cut: Cut) -> np.ndarray:
    """Return the values of the chunk without those that were added around it."""
    where = [cut.own if d == cut.dimension else slice(None) for d in dims]
    return values[tuple(where)]


def _new_std(
    opened: Opened, laws: Laws, cut: Cut, multipliers: Multipliers
) -> np.ndarray | None:
    """Return the stds given all laws, or None if they are too costly."""
    std = opened.problem.std
    left = variance_left(std, opened.rows)
    if left is None or multipliers.inverse is None:
        return None
    numbers = [
        multipliers.start[laws.laws.index(m.law)] + row_numbers(m, cut)
        for m in opened.shared
    ]
    rows = np.concatenate(numbers)
    inverse = multipliers.inverse[rows][:, rows]
    g = sp.vstack(opened.matrices).tocsr() @ sp.diags(std)
    seen = given_rows(g, std, opened.rows, ~opened.rows.upper_only)
    removed = np.asarray(seen.multiply(inverse @ seen).sum(0)).ravel()
    return std * np.sqrt(np.clip(left - removed, 0.0, 1.0))


def opened_chunk(
    data: Any, laws: Laws, cut: Cut, *, with_spread: bool = True
) -> Opened:
    """Return the problem of a chunk with its rows in two groups."""
    problem = problem_of(data, laws, with_spread=with_spread)
    shared = [m for m in problem.rows if is_shared(m.law, data, cut.dimension)]
    alone = [m for m in problem.rows if not is_shared(m.law, data, cut.dimension)]
    problem = problem._replace(rows=alone)
    own = np.zeros(problem.values.size, bool)
    for name in problem.names:
        index = problem.values.index(name)
        inner = index.isel({cut.dimension: cut.own})
        own[inner.values.ravel()] = True
    matrices = [_matrix(m, problem, laws, own) for m in shared]
    return Opened(problem, stacked(problem), shared, matrices, own)


def _matrix(made: LawRows, problem: Problem, laws: Laws, own: np.ndarray) -> Any:
    """Return the shared rows for the values of the chunk; a mean as a weighted sum."""
    matrix = made.rows.matrix
    law = made.law
    if isinstance(law, Mean):
        over = tuple(law.over or ())
        whole = row_weights(law, problem.values, laws, over, normalise=False).sum(over)
        matrix = sp.diags(whole.values.ravel()[made.known]) @ matrix
    return (matrix @ sp.diags(own.astype(np.float64))).tocsr()


def _solved(
    opened: Opened, laws: Laws, cut: Cut, multipliers: Multipliers
) -> np.ndarray:
    """Return the values of a chunk for given multipliers of the shared rows."""
    problem = opened.problem
    pull = np.zeros(problem.values.size)
    for made, matrix in zip(opened.shared, opened.matrices, strict=True):
        number = laws.laws.index(made.law)
        if number in multipliers.of:
            pull += matrix.T @ multipliers.of[number][row_numbers(made, cut)]
    mean = problem.mean + problem.std**2 * pull
    found = solve(mean, problem.std, problem.lower, problem.upper, opened.rows)
    check_met(problem, found.good, found.unmet)
    return found.values
