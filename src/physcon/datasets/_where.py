"""Where a field lives: the size of every cell, from what a dataset says of itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from physcon._checks import require
from physcon._extras import needs
from physcon.datasets._laws import Coordinates, Laws, Weights
from physcon.sphere import (
    EARTH_RADIUS,
    gaussian_zones,
    midpoint_bounds,
    node_zones,
    polygon_areas,
    unwrapped,
    widths_of_longitude,
    zone_areas,
)

with needs("data"):
    import xarray as xr

_NORTH = {"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen"}
_EAST = {"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee"}
_TIME_NAMES = ("time", "t", "time_counter", "valid_time", "year", "month")
MEMBERS = (
    "member",
    "members",
    "ensemble",
    "ens",
    "realization",
    "realisation",
    "number",
    "sample",
)
_REMEDY = (
    "name a variable of cell sizes (weights: NAME), add bounds to the coordinate, "
    "or use weights: equal for a plain sum"
)


def is_time(data: Any, dimension: str) -> bool:
    """Whether a dimension is time, by its coordinate or its name."""
    if dimension in data.coords:
        coordinate = data.coords[dimension]
        attrs = coordinate.attrs
        if coordinate.dtype.kind in "mM" or attrs.get("axis") == "T":
            return True
        if attrs.get("standard_name") == "time" or " since " in str(attrs.get("units")):
            return True
    return dimension.lower() in _TIME_NAMES


def is_member(dimension: str) -> bool:
    """Whether a dimension holds the members of an ensemble, by its name."""
    return dimension.lower() in MEMBERS


def space_dims(data: Any, name: str) -> tuple[str, ...]:
    """Return the dimensions of latitude and longitude, or all but time and members."""
    dims = tuple(map(str, data[name].dims))
    found: list[str] = []
    for kind in ("latitude", "longitude"):
        for coordinate in angles(data, name, kind):
            found += [d for d in map(str, coordinate.dims) if d not in found]
    rest = tuple(d for d in dims if not is_time(data, d) and not is_member(d))
    return tuple(d for d in dims if d in found) or rest


def cell_sizes(
    data: Any, name: str, over: Sequence[str], weights: Weights, laws: Laws
) -> Any:
    """Return the sizes of the cells of a variable along dimensions, as a DataArray.

    The first of these that applies: the variables named by `weights`; the cell measure
    of the variable; areas on the sphere, for latitude and longitude; widths from the
    bounds of a coordinate, or from the coordinate itself if `laws.coordinates` says
    what it holds.

    Raises:
        ValueError: the dataset does not say how large its cells are.
    """
    if weights is not None:
        return _named(data, name, over, weights)
    left = list(over)
    sizes: Any = xr.DataArray(1.0)
    measure = _measure(data, name, over)
    if measure is not None:
        sizes = measure
        left = [d for d in left if d not in measure.dims]
    horizontal = _horizontal(data, name, left, laws)
    if horizontal is not None:
        area, used = horizontal
        sizes = sizes * area
        left = [d for d in left if d not in used]
    for dimension in left:
        sizes = sizes * _widths(data, name, dimension, laws.coordinates)
    return sizes


def _named(data: Any, name: str, over: Sequence[str], weights: Weights) -> Any:
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


def _measure(data: Any, name: str, over: Sequence[str]) -> Any | None:
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


def angles(data: Any, name: str, kind: str) -> list[Any]:
    """Return the coordinates of a variable that are latitudes (or longitudes)."""
    dims = set(data[name].dims)
    units = _NORTH if kind == "latitude" else _EAST
    short = ("lat", "latitude", "nav_lat") if kind == "latitude" else ()
    short = short or ("lon", "longitude", "nav_lon", "long")
    found = []
    for key in data.variables:
        each = data[key]
        if not each.dims or not set(each.dims) <= dims or each.dtype.kind not in "fiu":
            continue
        standard = str(each.attrs.get("standard_name", ""))
        unit = str(each.attrs.get("units", "")).strip().lower()
        by_name = str(key).lower() in short and unit.startswith("degree")
        by_unit = unit in units and "bound" not in str(key) and "bnds" not in str(key)
        rotated = standard == f"grid_{kind}" and key in dims
        if standard == kind or by_unit or by_name or rotated:
            found.append(each)
    # Coordinates of dimensions first: they are exact where both are present.
    return sorted(found, key=lambda each: (each.ndim, each.name not in dims))


def _horizontal(
    data: Any, name: str, over: Sequence[str], laws: Laws
) -> tuple[Any, set[str]] | None:
    lats = [a for a in angles(data, name, "latitude") if set(a.dims) <= set(over)]
    lons = [a for a in angles(data, name, "longitude") if set(a.dims) <= set(over)]
    if not lats and not lons:
        return None
    radius = EARTH_RADIUS if laws.radius is None else float(laws.radius)
    if lats and lons and lats[0].dims == lons[0].dims:
        area = _polygons(data, name, lats[0], lons[0], radius)
        return area, set(map(str, lats[0].dims))
    kind = laws.coordinates
    sizes: Any = xr.DataArray(1.0)
    used: set[str] = set()
    if lats:
        dim = str(lats[0].dims[0])
        require(lats[0].ndim == 1, "1-D latitudes", lats[0].dims, _REMEDY)
        zones = _zones(data, lats[0], kind)
        sizes = sizes * xr.DataArray(zones * radius**2, dims=[dim])
        used.add(dim)
    if lons:
        dim = str(lons[0].dims[0])
        require(lons[0].ndim == 1, "1-D longitudes", lons[0].dims, _REMEDY)
        sizes = sizes * xr.DataArray(_longitudes(data, lons[0], kind), dims=[dim])
        used.add(dim)
    return sizes, used


def _zones(data: Any, latitude: Any, kind: Coordinates | None) -> np.ndarray:
    """Return the weights of latitudes on the unit sphere, per radian of longitude."""
    values = _angle_values(latitude)
    require(
        bool(np.all(np.abs(values) <= 90.001)),
        "latitudes between -90 and 90 degrees",
        f"[{values.min()}, {values.max()}]",
        "correct the coordinate",
    )
    _check_monotone(str(latitude.name), values)
    bounds = _bounds(data, latitude)
    if bounds is None and kind == "faces":
        bounds = _faces(data, str(latitude.dims[0]))
    if bounds is not None:
        return zone_areas(bounds, 1.0)
    if kind == "nodes":
        return node_zones(values)
    gaussian = gaussian_zones(values)
    if gaussian is not None:
        return gaussian
    return zone_areas(midpoint_bounds(values), 1.0)


def _longitudes(data: Any, longitude: Any, kind: Coordinates | None) -> np.ndarray:
    """Return the widths of cells in longitude, in radians."""
    bounds = _bounds(data, longitude)
    if bounds is None and kind == "faces":
        bounds = _faces(data, str(longitude.dims[0]))
    if bounds is not None:
        return widths_of_longitude(bounds)
    values = unwrapped(_angle_values(longitude))
    _check_monotone(str(longitude.name), values)
    if kind == "nodes":
        gaps = np.abs(np.deg2rad(np.diff(values)))
        closing = 2 * np.pi - gaps.sum()
        around = np.isclose(closing, gaps.mean(), rtol=1e-3)  # the circle is closed
        ends = closing if around else 0.0
        return 0.5 * (np.append(gaps, ends) + np.insert(gaps, 0, ends))
    return widths_of_longitude(midpoint_bounds(values))


def _angle_values(coordinate: Any) -> np.ndarray:
    values = np.asarray(coordinate.values, np.float64)
    if str(coordinate.attrs.get("units", "")).lower().startswith("rad"):
        values = np.rad2deg(values)
    return values


def _check_monotone(name: str, values: np.ndarray) -> None:
    gaps = np.diff(values)
    require(
        bool(np.all(gaps > 0) or np.all(gaps < 0)),
        f"a coordinate {name!r} that increases or decreases",
        "one that does neither",
        "sort the dataset along it (xarray: data.sortby)",
    )


def _bounds(data: Any, coordinate: Any) -> np.ndarray | None:
    """Return the bounds of the cells of a 1-D coordinate, ``(n, 2)``, or None."""
    named = coordinate.attrs.get("bounds", coordinate.encoding.get("bounds"))
    name = str(coordinate.name)
    for each in (named, f"{name}_bnds", f"{name}_bounds", f"bounds_{name}"):
        if each is None or each not in data.variables:
            continue
        found = data[each]
        fits = found.ndim == 2 and found.dims[0] == coordinate.dims[0]
        if fits and found.shape[1] == 2:
            return np.asarray(found.values, np.float64)
    return None


def _polygons(data: Any, name: str, lat: Any, lon: Any, radius: float) -> Any:
    corners = []
    for each in (lat, lon):
        named = each.attrs.get("bounds", each.encoding.get("bounds"))
        short = str(each.name)
        trials = (named, f"{short}_bnds", f"{short}_bounds", f"bounds_{short}")
        found = [data[t] for t in trials if t is not None and t in data.variables]
        found = [f for f in found if f.dims[: each.ndim] == each.dims]
        if not found and _is_healpix(data, name, each):
            n = each.size
            area = np.full(n, 4 * np.pi * radius**2 / n)
            return xr.DataArray(area, dims=each.dims)
        require(
            bool(found),
            f"the corners of the cells of {name!r}",
            f"{short!r} without bounds",
            "name a variable of cell areas (weights: NAME), or add bounds to "
            "latitudes and longitudes",
        )
        corners.append(np.asarray(found[0].values, np.float64))
    areas = polygon_areas(corners[0], corners[1], radius)
    return xr.DataArray(areas, dims=lat.dims)


def _is_healpix(data: Any, name: str, latitude: Any) -> bool:
    mapping = data[name].attrs.get(
        "grid_mapping", data[name].encoding.get("grid_mapping")
    )
    attrs = data[mapping].attrs if mapping in data.variables else {}
    if latitude.ndim != 1 or attrs.get("grid_mapping_name") != "healpix":
        return False
    sides = np.sqrt(latitude.size / 12)
    return bool(sides == int(sides))


def _faces(data: Any, dimension: str) -> np.ndarray:
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
        f"name it like {dimension}_faces, or use coordinates: centres",
    )
    faces = np.asarray(data[found[0]].values, np.float64)
    _check_monotone(found[0], faces)
    return np.stack([faces[:-1], faces[1:]], -1)


def _widths(data: Any, name: str, dimension: str, kind: Coordinates | None) -> Any:
    """Return the widths of cells along a straight axis."""
    if kind == "faces" and dimension not in data.coords:
        ends = _faces(data, dimension)
        return xr.DataArray(np.abs(ends[:, 1] - ends[:, 0]), dims=[dimension])
    require(
        dimension in data.coords,
        f"a coordinate for the dimension {dimension!r} of {name!r}",
        "none",
        _REMEDY,
    )
    coordinate = data.coords[dimension]
    bounds = _bounds(data, coordinate)
    if bounds is not None:
        return xr.DataArray(np.abs(bounds[:, 1] - bounds[:, 0]), dims=[dimension])
    unit = str(coordinate.attrs.get("units", "")).lower()
    require(
        not unit.startswith("degree"),
        f"a latitude or a longitude, in degrees along {dimension!r}",
        f"units {unit!r} without a standard_name",
        "set its standard_name to latitude or longitude: degrees are no lengths",
    )
    require(
        kind is not None,
        f"to know what the coordinate {dimension!r} holds",
        "no bounds",
        "say so by coordinates: centres, nodes or faces (--coordinates centres), or "
        + _REMEDY,
    )
    values = np.asarray(coordinate.values, np.float64)
    _check_monotone(dimension, values)
    if kind == "nodes":
        gaps = np.abs(np.diff(values))
        widths = 0.5 * (np.append(gaps, 0.0) + np.insert(gaps, 0, 0.0))
    else:
        faces = kind == "faces"
        ends = _faces(data, dimension) if faces else midpoint_bounds(values)
        widths = np.abs(ends[:, 1] - ends[:, 0])
    return xr.DataArray(widths, dims=[dimension])
