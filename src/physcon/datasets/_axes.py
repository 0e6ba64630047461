"""What the dimensions of a variable are: time, members, latitude and longitude."""

from typing import Any

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


def is_time(data: Any, dimension: str) -> bool:
    """Whether a dimension is time, by its coordinate or its name."""
    if dimension in data.coords:
        coordinate = data.coords[dimension]
        attrs = coordinate.attrs
        if coordinate.dtype.kind in "mM" or attrs.get("axis") == "T":
            return True
        if attrs.get("standard_name") == "time" or " since " in str(attrs.get("units")):
            return True
    return dimension.rpartition("/")[2].lower() in _TIME_NAMES


def is_member(dimension: str) -> bool:
    """Whether a dimension holds the members of an ensemble, by its name."""
    return dimension.rpartition("/")[2].lower() in MEMBERS


def space_dims(data: Any, name: str) -> tuple[str, ...]:
    """Return the dimensions of latitude and longitude, or all but time and members."""
    dims = tuple(map(str, data[name].dims))
    found: list[str] = []
    for kind in ("latitude", "longitude"):
        for coordinate in angles(data, name, kind):
            found += [d for d in map(str, coordinate.dims) if d not in found]
    rest = tuple(d for d in dims if not is_time(data, d) and not is_member(d))
    return tuple(d for d in dims if d in found) or rest


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
        last = str(key).rpartition("/")[2].lower()  # in a group
        by_name = last in short and unit.startswith("degree")
        by_unit = unit in units and "bound" not in str(key) and "bnds" not in str(key)
        rotated = standard == f"grid_{kind}" and key in dims
        if standard == kind or by_unit or by_name or rotated:
            found.append(each)
    # Coordinates of dimensions first: they are exact where both are present.
    return sorted(found, key=lambda each: (each.ndim, each.name not in dims))
