"""Sparse rows ``G u = b`` from the terms of a law, matched by dimension names."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._laws import AnyLaw, title
from physcon.datasets._layout import Layout
from physcon.datasets._scaled_rows import Rows

with needs("data"):
    import scipy.sparse as sp
    import xarray as xr


class LawRows(NamedTuple):
    """The rows of one law.

    Attributes:
        law: the law.
        rows: over all values of the problem.
        labels: names and sizes of the dimensions along which there is a row each.
        units: of the right-hand side, as far as they are known.
        shape: names and sizes of the dimensions along which rows may be.
        known: flat index of each row among them.
        asked: the right-hand sides before they were perturbed, if they were.
    """

    law: AnyLaw
    rows: Rows
    labels: dict[str, int]
    units: str
    shape: dict[str, int]
    known: np.ndarray
    asked: np.ndarray | None = None


class _Part(NamedTuple):
    """One term at every index: the position of its value, and its coefficient.

    Attributes:
        index: positions in the long vector.
        coefficient: zero where the value is missing.
        inside: where the variable has a value.
    """

    index: Any
    coefficient: Any
    inside: Any


def assembled(
    law: AnyLaw,
    values: Layout,
    terms: Sequence[tuple],
    over: Sequence[str],
    target: Any,
    std: float | int | None,
    unit: str,
) -> LawRows:
    """Build one row per index of all dimensions but `over`.

    Each term is the name of a variable, its coefficients and, optionally, the part of
    its indices that it covers.
    """
    parts = [_part(values, *term) for term in terms]
    sizes: dict[str, int] = {}
    for part in parts:
        sizes |= {str(d): n for d, n in part.index.sizes.items() if d not in over}
    strangers = [d for d in target.dims if d not in sizes]
    require(
        not strangers,
        f"known values with dimensions among {tuple(sizes)} for {title(law)!r}",
        target.dims,
        "reduce or rename the others: values are matched by name",
    )
    shape = tuple(sizes.values())
    count = int(np.prod(list(shape), dtype=int))
    number = xr.DataArray(np.arange(count).reshape(shape), dims=list(sizes))
    matrix: Any = sp.csr_matrix((count, values.size))
    for part in parts:
        matrix = matrix + _matrix(part, number, values.size)
    b = _per_row(target, number).astype(float)
    known = np.isfinite(b) & (np.diff(matrix.indptr) > 0)
    if not over:  # a term is missing: there is no law at this point
        for part in parts:
            known &= _per_row(part.inside, number)
    noise = np.full(count, float(std or 0.0))
    rows = kept(matrix, b, noise, known)
    labels = sizes if bool(known.all()) else {"rows": int(known.sum())}
    return LawRows(law, rows, labels, unit, sizes, np.flatnonzero(known))


def _part(
    values: Layout, name: str, coefficient: Any, selected: dict | None = None
) -> _Part:
    """Return a term at every index of its dimensions."""
    require(name in values.start, f"a variable {name!r}", "none", "name a variable")
    index = values.index(name)
    inside = values.inside(name)
    if selected is not None:
        index = index.isel(selected)
        inside = inside.isel(selected)
    index, coefficient, inside = xr.broadcast(index, coefficient, inside)
    coefficient = xr.where(inside, coefficient, 0.0).transpose(*index.dims)
    return _Part(index, coefficient, inside)


def _matrix(part: _Part, number: Any, size: int) -> Any:
    """Return the sparse matrix of one term, whose rows have the given numbers."""
    row, index, coefficient = xr.broadcast(number, part.index, part.coefficient)
    c = coefficient.values.ravel()
    use = c != 0
    rows = row.transpose(*index.dims).values.ravel()[use]
    columns = index.values.ravel()[use]
    return sp.csr_matrix((c[use], (rows, columns)), (number.size, size))


def _per_row(array: Any, number: Any) -> np.ndarray:
    """Return one value per row, in the order of the row numbers."""
    return array.broadcast_like(number).transpose(*number.dims).values.ravel()


def kept(matrix: Any, b: np.ndarray, std: np.ndarray, known: np.ndarray) -> Rows:
    """Return the equations of the rows that are known."""
    matrix = matrix.tocsr()[known]
    return Rows(matrix, b[known], std[known], np.zeros(int(known.sum()), bool))
