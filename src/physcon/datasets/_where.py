"""The size of every cell of a variable, from what its dataset states."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._axes import space_dims
from physcon.datasets._edges import REMEDY, bounds_of, check_monotone, faces_of
from physcon.datasets._laws import Coordinates, Laws, Weights
from physcon.datasets._layers import thickness
from physcon.datasets._polygons import polygon_sizes
from physcon.datasets._sphere_cells import horizontal_sizes
from physcon.sphere import midpoint_bounds

with needs("data"):
    import xarray as xr

__all__ = ["cell_measure", "cell_sizes", "space_dims"]


def cell_sizes(
    data: Any, name: str, over: Sequence[str], weights: Weights, laws: Laws
) -> Any:
    """Return the sizes of the cells of a variable along dimensions, as a DataArray.

    The first of these that applies: the variables named by `weights`; the cell measure
    of the variable; areas of the polygons of a UGRID mesh; areas on the sphere, for
    latitude and longitude; the thickness of layers; widths from the bounds of a
    coordinate, or from the coordinate itself if `laws.coordinates` says what it holds.

    Raises:
        ValueError: the dataset does not say how large its cells are.
    """
    if weights is not None:
        return _named(data, name, over, weights)
    left = list(over)
    sizes: Any = xr.DataArray(1.0)
    measure = cell_measure(data, name, over)
    if measure is not None:
        sizes = measure
        left = [d for d in left if d not in measure.dims]
    polygons = polygon_sizes(data, name, left, laws)
    if polygons is not None:
        sizes = sizes * polygons
        left = [d for d in left if d not in polygons.dims]
    horizontal = horizontal_sizes(data, name, left, laws)
    if horizontal is not None:
        area, used = horizontal
        sizes = sizes * area
        left = [d for d in left if d not in used]
    for dimension in left:
        layers = thickness(data, name, dimension, laws)
        if layers is None:
            layers = _widths(data, name, dimension, laws.coordinates)
        sizes = sizes * layers
    return sizes


def _named(data: Any, name: str, over: Sequence[str], weights: Weights) -> Any:
    """Return the product of the variables of weights; 1 for equal weights."""
    several = (weights,) if isinstance(weights, str) else tuple(weights or ())
    sizes: Any = xr.DataArray(1.0)
    for each in several:
        if each == "equal":
            continue
        require(
            each in data.variables,
            f"weights {each!r}",
            f"variables {sorted(map(str, data.variables))}",
            "name a variable of the dataset, or use weights: equal",
        )
        found = data[each].astype(np.float64).reset_coords(drop=True)
        require(
            set(found.dims) <= set(data[name].dims),
            f"weights with dimensions among {data[name].dims}",
            found.dims,
            "reduce or rename them",
        )
        require(
            float(found.min()) >= 0, "weights >= 0", float(found.min()), "correct them"
        )
        sizes = sizes * found.fillna(0.0)
    return sizes


def cell_measure(data: Any, name: str, over: Sequence[str]) -> Any | None:
    """Return the cell measure that the variable names, if it covers `over`."""
    text = data[name].attrs.get(
        "cell_measures", data[name].encoding.get("cell_measures")
    )
    words = str(text or "").replace(":", " ").split()
    named = [w for k, w in zip(words[::2], words[1::2], strict=False) if k != ""]
    found = []
    for each in (*named, "areacella", "areacello"):
        if each in data.variables:
            dims = set(map(str, data[each].dims))
            of_space = dims <= set(map(str, data[name].dims)) and dims & set(over)
            if of_space and (each in named or dims <= set(over)):
                found.append(data[each])
    if not found:
        return None
    best = max(found, key=lambda each: len(set(each.dims) & set(over)))
    return best.astype(np.float64).reset_coords(drop=True).fillna(0.0)


def _widths(data: Any, name: str, dimension: str, kind: Coordinates | None) -> Any:
    """Return the widths of cells along a straight axis."""
    if kind == "faces" and dimension not in data.coords:
        ends = faces_of(data, dimension)
        return xr.DataArray(np.abs(ends[:, 1] - ends[:, 0]), dims=[dimension])
    require(
        dimension in data.coords,
        f"a coordinate for the dimension {dimension!r} of {name!r}",
        "none",
        REMEDY,
    )
    coordinate = data.coords[dimension]
    bounds = bounds_of(data, coordinate)
    if bounds is not None:
        return xr.DataArray(np.abs(bounds[:, 1] - bounds[:, 0]), dims=[dimension])
    unit = str(coordinate.attrs.get("units", "")).lower()
    require(
        not unit.startswith(("degree", "rad")),
        f"a latitude or a longitude, in {unit} along {dimension!r}",
        f"units {unit!r} without a standard_name",
        "set its standard_name to latitude or longitude: angles are no lengths",
    )
    require(
        kind is not None,
        f"to know what the coordinate {dimension!r} holds",
        "no bounds",
        "say so by coordinates: centres, nodes or faces (--coordinates centres), or "
        + REMEDY,
    )
    values = np.asarray(coordinate.values, np.float64)
    check_monotone(dimension, values)
    if kind == "nodes":
        gaps = np.abs(np.diff(values))
        widths = 0.5 * (np.append(gaps, 0.0) + np.insert(gaps, 0, 0.0))
    else:
        faces = kind == "faces"
        ends = faces_of(data, dimension) if faces else midpoint_bounds(values)
        widths = np.abs(ends[:, 1] - ends[:, 0])
    return xr.DataArray(widths, dims=[dimension])
