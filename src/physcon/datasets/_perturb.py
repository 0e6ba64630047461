"""Perturbed right-hand sides of an uncertain law, one for each ensemble member."""

import numpy as np

from physcon._extras import needs
from physcon.datasets._assemble import LawRows
from physcon.datasets._laws import Laws
from physcon.datasets._layout import Layout
from physcon.datasets._names import ensemble_dims
from physcon.datasets._scaled_rows import Rows

with needs("data"):
    import xarray as xr


def perturbed(made: LawRows, values: Layout, laws: Laws, number: int) -> LawRows:
    """Give each member of an ensemble its own right-hand side, if a law is uncertain.

    With equal ones the members would be drawn together too far. The perturbations have
    mean zero over the members, and the std of the law.
    """
    named = ensemble_dims(values.data, laws)
    rows = made.rows
    members = [d for d in named if d in values.data.dims]
    if not members or not rows.std.any():
        return made
    member = members[0]
    draws = _standard_draws([laws.seed, number], values.data.sizes[member])
    of_row, own = _member_of_rows(rows, _member_of_values(values, member))
    shift = np.where(own, draws[of_row] * rows.std, 0.0)
    moved = rows._replace(value=rows.value + shift)
    return made._replace(rows=moved, asked=rows.value)


def _standard_draws(seed: list[int], count: int) -> np.ndarray:
    """Return normal draws, shifted and scaled to mean zero and standard deviation 1."""
    draws = np.random.default_rng(seed).standard_normal(count)
    draws -= draws.mean()
    draws *= 1 / draws.std(ddof=1)
    return draws


def _member_of_values(values: Layout, member: str) -> np.ndarray:
    """Return the member to which each value belongs; -1 for a value of no member."""
    index = np.full(values.size, -1)
    for name, start in values.start.items():
        dims = values.data[name].dims
        if member in dims:
            where = xr.DataArray(np.arange(values.data.sizes[member]), dims=[member])
            where = where.broadcast_like(values.index(name)).transpose(*dims)
            index[start : start + where.size] = where.values.ravel()
    return index


def _member_of_rows(rows: Rows, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the member of each row's first value, and whether all values share it."""
    matrix = rows.matrix.tocsr()
    first = matrix.indptr[:-1]
    of_row = index[matrix.indices[first]]
    same = np.repeat(of_row, np.diff(matrix.indptr)) == index[matrix.indices]
    whole = np.logical_and.reduceat(same, first)
    return of_row, whole & (of_row >= 0)
