"""Perturbed right-hand sides of an uncertain law, one for each ensemble member."""

from collections.abc import Iterable
from typing import Any
from zlib import crc32

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._assemble import LawRows
from physcon.datasets._laws import Laws
from physcon.datasets._layout import Layout
from physcon.datasets._names import ensemble_dims
from physcon.datasets._solve import Rows

with needs("data"):
    import xarray as xr

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def perturbed(made: LawRows, values: Layout, laws: Laws, number: int) -> LawRows:
    """Give each member of an ensemble its own right-hand sides, if a law is uncertain.

    With equal ones the members would be drawn together too far. The perturbations of a
    row have mean zero over the members and the std of the law, and differ from row to
    row. They depend on the coordinates of a row only, so that a dataset in blocks gets
    the same ones.
    """
    named = ensemble_dims(values.data, laws)
    rows = made.rows
    members = [d for d in named if d in values.data.dims]
    if not members or not rows.std.any():
        return made
    member = members[0]
    of_row, own = _member_of_rows(rows, _member_of_values(values, member))
    keys = _row_keys(made, values.data, member)
    unique, place = np.unique(keys, return_inverse=True)
    draws = _standard_draws([laws.seed, number], unique, values.data.sizes[member])
    shift = np.where(own, draws[of_row, place] * rows.std, 0.0)
    moved = rows._replace(value=rows.value + shift)
    return made._replace(rows=moved, asked=rows.value)


def check_divisible(data: Any, laws: Laws, dims: Iterable[str | None]) -> None:
    """Refuse to divide along dimensions without labels, if members are perturbed.

    Each block would count from zero and repeat the perturbations of the first one.
    """
    uncertain = any(getattr(law, "std", None) for law in laws.laws)
    if not uncertain or not any(d in data.dims for d in ensemble_dims(data, laws)):
        return
    for dim in dims:
        require(
            dim is None or dim in data.coords,
            f"a coordinate along {dim!r}, along which the data are divided: the random "
            "numbers for the members of an uncertain law depend on it",
            "none",
            f"add one, such as data.assign_coords({dim}=range({data.sizes.get(dim)}))",
        )


def _row_keys(made: LawRows, data: Any, member: str) -> np.ndarray:
    """Return a number for each row, from its coordinates along all other dimensions."""
    keys = np.zeros(len(made.known), np.uint64)
    if not made.shape:
        return keys
    places = np.unravel_index(made.known, tuple(made.shape.values()))
    for (dim, count), place in zip(made.shape.items(), places, strict=True):
        if dim == member:
            continue
        labels = np.arange(count)
        if dim in data.coords and data.coords[dim].ndim == 1:
            labels = data.coords[dim].values[-count:]  # a budget: the end of each step
        keys = _mixed(keys ^ _bits(labels)[place])
    return keys


def _bits(labels: np.ndarray) -> np.ndarray:
    """Return 64 bits for each label."""
    if labels.dtype.kind in "OUS":  # dates of other calendars, and text
        codes = [crc32(str(label).encode()) for label in labels]
        return np.array(codes, np.uint64)
    if labels.dtype.kind in "mMiub":
        return labels.astype(np.int64).view(np.uint64)
    return labels.astype(np.float64).view(np.uint64)


def _mixed(x: np.ndarray) -> np.ndarray:
    """Return well-mixed bits of each number.

    Source: Steele, Lea and Flood (2014), Fast splittable pseudorandom number
    generators (SplitMix64).
    """
    with np.errstate(over="ignore"):
        x = x + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _standard_draws(seed: list[int], keys: np.ndarray, count: int) -> np.ndarray:
    """Return normal draws, ``(members, rows)``, of mean 0 and standard deviation 1."""
    first = np.random.default_rng(seed).integers(0, 2**63, (count, 1), np.uint64)
    bits = _mixed(_mixed(keys)[None] ^ _mixed(first))
    more = _mixed(bits ^ _GOLDEN)
    unit = 2.0**-53
    radius = np.sqrt(-2 * np.log(((bits >> np.uint64(11)) + 0.5) * unit))
    draws = radius * np.cos(2 * np.pi * (more >> np.uint64(11)) * unit)
    draws -= draws.mean(axis=0)
    return draws / draws.std(axis=0, ddof=1)


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
