"""The thickness of layers: hybrid sigma-pressure levels, and cells of the ocean."""

from typing import Any, NamedTuple

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._edges import bounds_of
from physcon.datasets._interfaces import layer_edges, pascals
from physcon.datasets._laws import Laws

with needs("data"):
    import xarray as xr

GRAVITY = 9.80665  # m s-2, standard gravity
_HYBRID = "atmosphere_hybrid_sigma_pressure_coordinate"
_SIGMA = "atmosphere_sigma_coordinate"
_FLOOR = ("sea_floor_depth_below_geoid", "sea_floor_depth_below_mean_sea_level")


class HybridLayers(NamedTuple):
    """Layers between the pressures ``a + b ps``, in Pa.

    Attributes:
        dimension: of the layers.
        a: what the constant part adds to the thickness of each layer, ``(n,)``, in Pa.
        b: the share of the surface pressure that a layer adds, ``(n,)``.
        pressure: name of the surface pressure.
        factor: Pa per unit of the surface pressure.
    """

    dimension: str
    a: np.ndarray
    b: np.ndarray
    pressure: str
    factor: float

    def terms(self) -> tuple[Any, Any]:
        """Return a and b as DataArrays; b is for the file's unit of pressure."""
        constant = xr.DataArray(self.a, dims=[self.dimension])
        share = xr.DataArray(self.b * self.factor, dims=[self.dimension])
        return constant, share


def hybrid_layers(data: Any, dimension: str) -> HybridLayers | None:
    """Return the hybrid or sigma layers along a dimension; None if there are none.

    Raises:
        ValueError: a term of the vertical coordinate is missing, or its interfaces.
    """
    level = _level(data, dimension)
    if level is None:
        return None
    terms = _formula(level)
    known = {"ps"} <= set(terms) and ("b" in terms or "sigma" in terms)
    require(
        known,
        f"formula_terms of {str(level.name)!r} with ps, b and ap (or a and p0), "
        "or ps, sigma and ptop",
        repr(terms),
        "add the attribute formula_terms, as in the CF conventions",
    )
    missing = [n for n in terms.values() if n not in data.variables]
    require(
        not missing,
        f"the variables in formula_terms of {str(level.name)!r}",
        f"none named {missing}",
        "add them to the dataset",
    )
    a, b = layer_edges(data, level, terms)
    thickness_a = a[:, 1] - a[:, 0]
    thickness_b = b[:, 1] - b[:, 0]
    sign = np.sign(thickness_a + thickness_b * 1e5)
    require(
        bool(np.all(sign == sign[0]) and sign[0] != 0),
        f"pressures that increase or decrease along {dimension!r}",
        "others",
        "sort the levels and their interfaces",
    )
    return HybridLayers(
        dimension,
        sign[0] * thickness_a,
        sign[0] * thickness_b,
        terms["ps"],
        pascals(data, terms["ps"]),
    )


def thickness(data: Any, name: str, dimension: str, laws: Laws) -> Any | None:
    """Return the thickness of the layers of a variable; None if nothing states it.

    For hybrid levels it is the mass of air per area, ``dp / g`` in kg m-2; for cells of
    the ocean a variable of cell thickness, or the part of a layer above the sea floor.
    """
    layers = hybrid_layers(data, dimension)
    if layers is not None:
        pressure = data[layers.pressure].astype(np.float64).reset_coords(drop=True)
        a, b = layers.terms()
        mass = (a + b * pressure) / gravity_of(laws)
        low = float(mass.min())
        require(
            not low < 0,
            f"a surface pressure {layers.pressure!r} for layers of positive mass",
            f"a mass of {low:.3g} kg m-2",
            "check the units of the pressure and of the coefficients",
        )
        return _of_variable(mass, data, name, layers.pressure)
    given = _cell_thickness(data, name, dimension)
    if given is not None:
        return given
    return _above_the_floor(data, name, dimension)


def gravity_of(laws: Laws) -> float:
    """Return the acceleration of gravity, in m s-2."""
    return GRAVITY if laws.gravity is None else float(laws.gravity)


def pressure_of(data: Any, name: str, over: Any) -> str | None:
    """Return the surface pressure on which the sizes of a variable's cells depend."""
    for dimension in over:
        layers = hybrid_layers(data, dimension)
        if layers is not None:
            return layers.pressure
    return None


def _level(data: Any, dimension: str) -> Any | None:
    """Return the variable of levels along a dimension that states a formula."""
    for key in sorted(map(str, data.variables), key=lambda k: k != dimension):
        each = data[key]
        standard = each.attrs.get("standard_name")
        if each.dims == (dimension,) and standard in (_HYBRID, _SIGMA):
            return each
    return None


def _formula(level: Any) -> dict[str, str]:
    """Return the terms of a vertical coordinate and the names of their variables."""
    text = level.attrs.get("formula_terms", level.encoding.get("formula_terms", ""))
    words = str(text).replace(":", " ").split()
    return dict(zip(words[::2], words[1::2], strict=False))


def _cell_thickness(data: Any, name: str, dimension: str) -> Any | None:
    """Return the variable of cell thickness with a dimension of the variable."""
    dims = set(data[name].dims)
    for key in map(str, data.variables):
        each = data[key]
        stated = each.attrs.get("standard_name") == "cell_thickness"
        named = key == "thkcello"
        if (stated or named) and dimension in each.dims and set(each.dims) <= dims:
            plain = each.astype(np.float64).reset_coords(drop=True)
            return plain.fillna(0.0)
    return None


def _above_the_floor(data: Any, name: str, dimension: str) -> Any | None:
    """Return layers of depth cut at the sea floor, or None if it is not known."""
    if dimension not in data.coords:
        return None
    level = data.coords[dimension]
    down = level.attrs.get("positive") == "down"
    bounds = bounds_of(data, level)
    dims = set(data[name].dims)
    floors = [
        data[k]
        for k in map(str, data.variables)
        if (data[k].attrs.get("standard_name") in _FLOOR or k == "deptho")
        and data[k].dims
        and set(data[k].dims) <= dims - {dimension}
    ]
    if not (down or level.attrs.get("standard_name") == "depth"):
        return None
    if bounds is None or not floors:
        return None
    top = xr.DataArray(bounds.min(1), dims=[dimension])
    bottom = xr.DataArray(bounds.max(1), dims=[dimension])
    floor = floors[0].astype(np.float64).reset_coords(drop=True).fillna(0.0)
    return np.minimum(bottom, np.maximum(floor, top)) - top


def _of_variable(sizes: Any, data: Any, name: str, source: str) -> Any:
    """Return sizes, or an error if they have dimensions that the variable lacks."""
    extra = [d for d in sizes.dims if d not in data[name].dims]
    require(
        not extra,
        f"{source!r} with dimensions among {data[name].dims}",
        data[source].dims,
        f"reduce {source!r}, or select along {extra}",
    )
    return sizes
