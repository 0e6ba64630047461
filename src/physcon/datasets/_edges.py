"""Where the cells along a coordinate begin and end, as a dataset states it."""

from typing import Any

import numpy as np

from physcon._checks import require

REMEDY = (
    "name a variable of cell sizes (weights: NAME), add bounds to the coordinate, "
    "or use weights: equal for a plain sum"
)


def bounds_of(data: Any, coordinate: Any) -> np.ndarray | None:
    """Return the bounds of the cells of a 1-D coordinate, ``(n, 2)``, or None."""
    named = coordinate.attrs.get("bounds", coordinate.encoding.get("bounds"))
    name = str(coordinate.name)
    for each in (named, f"{name}_bnds", f"{name}bounds_of", f"bounds_{name}"):
        if each is None or each not in data.variables:
            continue
        found = data[each]
        fits = found.ndim == 2 and found.dims[0] == coordinate.dims[0]
        if fits and found.shape[1] == 2:
            return np.asarray(found.values, np.float64)
    return None


def faces_of(data: Any, dimension: str) -> np.ndarray:
    """Return bounds from the variable of faces of a dimension, one longer than it."""
    count = data.sizes[dimension] + 1
    found = [
        str(n)
        for n, v in data.variables.items()
        if v.shape == (count,) and str(n).lower().startswith(dimension.lower())
    ]
    require(
        len(found) == 1,
        f"one variable of {count} faces whose name begins with {dimension!r}",
        found or "none",
        f"name it like {dimension}faces_of, or use coordinates: centres",
    )
    faces = np.asarray(data[found[0]].values, np.float64)
    check_monotone(found[0], faces)
    return np.stack([faces[:-1], faces[1:]], -1)


def check_monotone(name: str, values: np.ndarray) -> None:
    """Refuse a coordinate that neither increases nor decreases."""
    missing = int(np.isnan(values).sum())
    require(
        missing == 0,
        f"a coordinate {name!r} without missing values",
        f"{missing} missing",
        "correct the coordinate, or its _FillValue (fill_value in a Zarr store)",
    )
    gaps = np.diff(values)
    require(
        bool(np.all(gaps > 0) or np.all(gaps < 0)),
        f"a coordinate {name!r} that increases or decreases",
        "one that does neither",
        "sort the dataset along it (xarray: data.sortby)",
    )
