"""Areas of cells on the sphere, from the latitudes and longitudes of a variable."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._axes import angles
from physcon.datasets._edges import REMEDY, bounds_of, check_monotone, faces_of
from physcon.datasets._laws import Coordinates, Laws
from physcon.sphere import (
    EARTH_RADIUS,
    directions,
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


def horizontal_sizes(
    data: Any, name: str, over: Sequence[str], laws: Laws
) -> tuple[Any, set[str]] | None:
    """Return areas of cells and their dimensions; None without angles along `over`.

    With latitudes only, or longitudes only, the sizes are widths of one direction.
    """
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
        require(lats[0].ndim == 1, "1-D latitudes", lats[0].dims, REMEDY)
        zones = _zone_weights(data, lats[0], kind)
        sizes = sizes * xr.DataArray(zones * radius**2, dims=[dim])
        used.add(dim)
    if lons:
        dim = str(lons[0].dims[0])
        require(lons[0].ndim == 1, "1-D longitudes", lons[0].dims, REMEDY)
        sizes = sizes * xr.DataArray(_longitudes(data, lons[0], kind), dims=[dim])
        used.add(dim)
    return sizes, used


def _zone_weights(data: Any, latitude: Any, kind: Coordinates | None) -> np.ndarray:
    """Return the weights of latitudes on the unit sphere, per radian of longitude."""
    values = _angle_values(latitude)
    require(
        bool(np.all(np.abs(values) <= 90.001)),
        "latitudes between -90 and 90 degrees",
        f"[{values.min()}, {values.max()}]",
        "correct the coordinate",
    )
    check_monotone(str(latitude.name), values)
    bounds = bounds_of(data, latitude)
    if bounds is None and kind == "faces":
        bounds = faces_of(data, str(latitude.dims[0]))
    if bounds is not None:
        return zone_areas(_degrees(bounds, latitude), 1.0)
    if kind == "nodes":
        return node_zones(values)
    gaussian = gaussian_zones(values)
    if gaussian is not None:
        return gaussian
    return zone_areas(midpoint_bounds(values), 1.0)


def _longitudes(data: Any, longitude: Any, kind: Coordinates | None) -> np.ndarray:
    """Return the widths of cells in longitude, in radians."""
    around = 2 * np.pi if _in_radians(longitude) else 360.0
    bounds = bounds_of(data, longitude, around)
    if bounds is None and kind == "faces":
        bounds = faces_of(data, str(longitude.dims[0]))
    if bounds is not None:
        return widths_of_longitude(_degrees(bounds, longitude))
    values = unwrapped(_angle_values(longitude))
    check_monotone(str(longitude.name), values)
    if kind == "nodes":
        gaps = np.abs(np.deg2rad(np.diff(values)))
        closing = 2 * np.pi - gaps.sum()
        around = np.isclose(closing, gaps.mean(), rtol=1e-3)  # the circle is closed
        ends = closing if around else 0.0
        return 0.5 * (np.append(gaps, ends) + np.insert(gaps, 0, ends))
    widths = widths_of_longitude(midpoint_bounds(values))
    whole = float(np.rad2deg(widths.sum()))
    require(
        whole <= 360.001,
        f"cells of {str(longitude.name)!r} that go around once",
        f"{whole:.6g} degrees",
        "drop the repeated longitude: data.isel(lon=slice(0, -1))",
    )
    return widths


def _angle_values(coordinate: Any) -> np.ndarray:
    """Return angles in degrees."""
    return _degrees(np.asarray(coordinate.values, np.float64), coordinate)


def _degrees(values: np.ndarray, coordinate: Any) -> np.ndarray:
    """Return values in the units of a coordinate, or of its bounds, in degrees."""
    return np.rad2deg(values) if _in_radians(coordinate) else values


def _in_radians(coordinate: Any) -> bool:
    return str(coordinate.attrs.get("units", "")).lower().startswith("rad")


def _polygons(data: Any, name: str, lat: Any, lon: Any, radius: float) -> Any:
    """Return the areas of cells that are given by their corners, or HEALPix cells."""
    corners = []
    for each in (lat, lon):
        named = each.attrs.get("bounds", each.encoding.get("bounds"))
        short = str(each.name)
        trials = (named, f"{short}_bnds", f"{short}bounds_of", f"bounds_{short}")
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
        ends = np.asarray(found[0].values, np.float64)
        corners.append(_degrees(ends, each))
    areas = polygon_areas(corners[0], corners[1], radius)
    centres = directions(_angle_values(lon), _angle_values(lat))
    _check_corners(name, centres, directions(corners[1], corners[0]), areas)
    return xr.DataArray(areas, dims=lat.dims)


def _check_corners(
    name: str, centre: np.ndarray, corners: np.ndarray, areas: np.ndarray
) -> None:
    """Raise where many cells are farther from their positions than their corners.

    Ocean grids have some such cells at their seams (ORCA2: one in a hundred).

    **Shapes**: unit vectors of the positions ``(*cells, 3)`` and of the corners
    ``(*cells, k, 3)``, areas ``(*cells,)``; cells without an area may be anywhere.
    """
    middle = corners.mean(-2)
    reach = np.linalg.norm(corners - middle[..., None, :], axis=-1).max(-1)
    far = np.linalg.norm(centre - middle, axis=-1) > 2 * reach
    wrong = int(np.sum(far & (areas > 0)))
    require(
        wrong <= 0.1 * areas.size,
        f"the positions of {name!r} within the bounds of their cells",
        f"{wrong} of {areas.size} cells elsewhere",
        "correct the bounds of the latitudes and longitudes, or drop them",
    )


def _is_healpix(data: Any, name: str, latitude: Any) -> bool:
    """Whether the grid mapping of a variable says that its cells are HEALPix cells."""
    mapping = data[name].attrs.get(
        "grid_mapping", data[name].encoding.get("grid_mapping")
    )
    attrs = data[mapping].attrs if mapping in data.variables else {}
    if latitude.ndim != 1 or attrs.get("grid_mapping_name") != "healpix":
        return False
    sides = np.sqrt(latitude.size / 12)
    return bool(sides == int(sides))
