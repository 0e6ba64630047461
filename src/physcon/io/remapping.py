"""Weights of conservative remapping, as ESMF, xESMF, CDO and NCO write them."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from physcon._checks import require
from physcon._extras import needs


def read_remapping(path: str | os.PathLike) -> Any:
    """The matrix that maps a source field to a destination field, from a weight file.

    ``from_matrix(read_remapping(path), coarse)`` is the law that a fine field has the
    given coarse one: coarse = weights × fine.

    Args:
        path: NetCDF with the variables ``S``, ``row`` and ``col``, counted from 1, and
            the sizes ``n_a`` (source) and ``n_b`` (destination); or with SCRIP's
            ``remap_matrix``, ``src_address`` and ``dst_address``.

    Returns:
        A SciPy sparse array, ``(n_b, n_a)``.

    Raises:
        ValueError: not a weight file, or addresses outside of the grids.

    Source: ESMF Reference Manual, "Regrid weight file format"; Jones, Mon. Weather Rev.
    127 (1999) 2204 (SCRIP).
    """
    path = Path(path)
    require(path.is_file(), f"a weight file at {path}", "no file", "check the path")
    with needs("data"):
        import xarray
    from scipy.sparse import coo_array

    with xarray.open_dataset(path, decode_cf=False) as data:
        weights, row, column, shape = _entries(data, path)
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    require(
        bool(inside.all()),
        f"rows from 1 to {shape[0]} and columns from 1 to {shape[1]} in {path}",
        f"{int((~inside).sum())} others",
        "make the weights again for these two grids",
    )
    return coo_array((weights, (row, column)), shape=shape)


def _entries(
    data: Any, path: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """Weights, rows and columns counted from 0, and the shape."""
    if "S" in data and "row" in data and "col" in data:
        shape = (int(data.sizes["n_b"]), int(data.sizes["n_a"]))
        names = ("S", "row", "col")
    else:
        present = {"remap_matrix", "src_address", "dst_address"} <= set(data.variables)
        require(
            present,
            f"a weight file of ESMF (S, row, col) or SCRIP (remap_matrix) at {path}",
            f"the variables {list(data.variables)[:8]}",
            "write the weights by ESMF_RegridWeightGen, xESMF, CDO or NCO",
        )
        shape = (int(data.sizes["dst_grid_size"]), int(data.sizes["src_grid_size"]))
        names = ("remap_matrix", "dst_address", "src_address")
    weights, row, column = (np.asarray(data[name].values) for name in names)
    first_order = weights[:, 0] if weights.ndim == 2 else weights
    return (
        np.asarray(first_order, np.float64),
        row.astype(np.int64) - 1,
        column.astype(np.int64) - 1,
        shape,
    )
