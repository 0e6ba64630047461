"""Rows of block means: means of fine cells equal the values of a coarser grid."""

from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._assemble import LawRows, kept
from physcon.datasets._laws import BlockMean, Laws
from physcon.datasets._layout import Layout
from physcon.datasets._units import check_same_units
from physcon.datasets._where import cell_sizes

with needs("data"):
    import scipy.sparse as sp
    import xarray as xr


def block_mean_rows(law: BlockMean, values: Layout, laws: Laws) -> LawRows:
    """Return a row ``sum(w u) / sum(w) = b`` for every known coarse value b."""
    data = values.data
    require(
        law.like in data.variables, f"a variable {law.like!r}", "none", "correct 'like'"
    )
    pairs = block_dims(data, law)
    check_same_units(data, [law.of, law.like], law)
    inside = values.inside(law.of)
    sizes = cell_sizes(data, law.of, tuple(pairs), law.weights, laws)
    weights = xr.where(inside, sizes.broadcast_like(inside), 0.0)
    w = weights.transpose(*inside.dims).values.ravel()
    coarse = data[law.like]
    block = block_numbers(data, coarse, pairs, inside.dims, inside.shape).ravel()
    whole = np.bincount(block, w, coarse.size)
    w = w / np.where(whole > 0, whole, 1.0)[block]
    target = coarse.values.astype(np.float64).ravel()
    columns = values.index(law.of).values.ravel()
    known = np.isfinite(target) & (whole > 0)
    matrix = sp.csr_matrix((w, (block, columns)), (coarse.size, values.size))
    std = np.full(coarse.size, float(law.std or 0.0))
    rows = kept(matrix, target, std, known)
    labels = {"blocks": int(known.sum())}
    unit = str(data[law.of].attrs.get("units", ""))
    shape = {str(d): n for d, n in coarse.sizes.items()}
    return LawRows(law, rows, labels, unit, shape, np.flatnonzero(known))


def block_dims(data: Any, law: BlockMean) -> dict[str, str]:
    """Return which fine dimension belongs to which coarse one."""
    fine, coarse = data[law.of], data[law.like]
    pairs: dict[str, str] = {}
    for dim in map(str, coarse.dims):
        if dim in fine.dims:
            continue  # the same dimension: one row per index
        stems = [d for d in map(str, fine.dims) if dim.startswith(d) or dim.endswith(d)]
        stems = [d for d in stems if d not in coarse.dims]
        require(
            len(stems) == 1,
            f"a dimension of {law.of!r} for {dim!r}",
            f"{fine.dims}",
            "name the coarse dimension like the fine one with a suffix: lat_coarse",
        )
        pairs[stems[0]] = dim
    missing = [
        d for d in map(str, fine.dims) if d not in pairs and d not in coarse.dims
    ]
    require(
        bool(pairs) and not missing,
        f"dimensions of {law.like!r} for all of {fine.dims}",
        f"{coarse.dims}",
        "name the coarse dimensions like the fine ones with a suffix: lat_coarse",
    )
    return pairs


def block_numbers(
    data: Any, coarse: Any, pairs: dict[str, str], dims: Any, shape: Any
) -> np.ndarray:
    """Return the number of the coarse value to which each fine value belongs."""
    numbers = np.arange(coarse.size).reshape(coarse.shape)
    block = xr.DataArray(numbers, dims=coarse.dims)
    for fine, dim in pairs.items():
        where = xr.DataArray(_blocks(data, fine, dim), dims=[fine])
        block = block.isel({dim: where})
    like = xr.DataArray(np.zeros(shape), dims=dims)
    return block.broadcast_like(like).transpose(*dims).values


def _blocks(data: Any, fine: str, coarse: str) -> np.ndarray:
    """Return the coarse cell of each fine cell along one dimension."""
    n, m = data.sizes[fine], data.sizes[coarse]
    if fine in data.coords and coarse in data.coords:
        a = np.asarray(data.coords[fine].values, np.float64)
        b = np.asarray(data.coords[coarse].values, np.float64)
        require(m >= 2 or n >= m, "a coarser grid", f"{m} cells", "swap them")
        if m == 1:
            return np.zeros(n, int)
        order = np.argsort(b)
        edges = 0.5 * (b[order][1:] + b[order][:-1])
        found = order[np.searchsorted(edges, a)]
        counts = np.bincount(found, minlength=m)
        require(
            int(counts.min()) > 0,
            f"fine cells of {fine!r} in every cell of {coarse!r}",
            f"{int((counts == 0).sum())} empty cells",
            "check that both cover the same region in the same unit",
        )
        return found
    require(
        n % m == 0,
        f"a multiple of {m} cells along {fine!r}",
        n,
        "add coordinates to both, which say where the cells are",
    )
    return np.arange(n) // (n // m)
