"""Where the cells along a coordinate begin and end, as a dataset states it."""

from typing import Any

import numpy as np

from physcon._require import require

REMEDY = (
    "name a variable of cell sizes (weights: NAME), add bounds to the coordinate, "
    "or use weights: equal for a plain sum"
)
WIDTHS = "_widths"  # dimension of bounds that only state the widths of cells
_NEAR = 1e-3  # of a width, for coordinates and bounds that were rounded


def bounds_of(
    data: Any, coordinate: Any, period: float | None = None
) -> np.ndarray | None:
    """Return the bounds of the cells of a 1-D coordinate, ``(n, 2)``, or None.

    Raises:
        ValueError: a coordinate outside of its cell, or cells that overlap. With a
            `period`, positions are compared modulo it.
    """
    named = coordinate.attrs.get("bounds", coordinate.encoding.get("bounds"))
    name = str(coordinate.name)
    for each in (named, f"{name}_bnds", f"{name}bounds_of", f"bounds_{name}"):
        if each is None or each not in data.variables:
            continue
        found = data[each]
        fits = found.ndim == 2 and found.dims[0] == coordinate.dims[0]
        if fits and found.shape[1] == 2:
            bounds = np.asarray(found.values, np.float64)
            if found.dims[1] != WIDTHS:
                _check_bounds(coordinate, str(each), bounds, period)
            return bounds
    return None


def _check_bounds(
    coordinate: Any, name: str, bounds: np.ndarray, period: float | None
) -> None:
    """Raise for coordinates outside of their cells, and for cells that overlap."""
    remedy = f"correct {name!r}, or drop it"
    value = np.asarray(coordinate.values, np.float64)
    low, high = bounds.min(1), bounds.max(1)
    width = high - low
    if period is not None and len(width) > 1:
        width = np.where(width > period / 2, period - width, width)
    offset = value - bounds.mean(1)
    if period is not None:
        offset = (offset + period / 4) % (period / 2) - period / 4
    outside = np.abs(offset) > (0.5 + _NEAR) * width
    if outside.any():
        k = int(np.argmax(outside))
        got = f"{value[k]} at index {k}, with the bounds {bounds[k].tolist()}"
        expected = f"every {str(coordinate.name)!r} within its bounds"
        require(False, expected, got, remedy)
    if period is not None:
        whole = float(width.sum())
        around = whole <= period * (1 + _NEAR)
        got = f"{whole:.6g} {coordinate.attrs.get('units', '')}"
        require(around, f"cells of {name!r} that go around once", got, remedy)
        return
    order = np.argsort(low)
    overlap = high[order][:-1] - low[order][1:] > _NEAR * width[order][1:]
    if overlap.any():
        pair = bounds[order][int(np.argmax(overlap)) :][:2]
        require(False, f"cells of {name!r} side by side", pair.tolist(), remedy)


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
