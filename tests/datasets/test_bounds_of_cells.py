"""Bounds of cells fit the coordinates, or are refused: their sizes would be wrong."""

import numpy as np
import pytest
import xarray as xr

import physcon.datasets as pcd
from physcon.datasets._where import cell_sizes

LAT = np.array([-77.0, -50.0, -20.0, 10.0, 60.0])
LON = np.arange(0, 360, 30.0)
BOUNDS = {
    "lat": np.array([[-90, -63], [-63, -35], [-35, -5], [-5, 30], [30, 90.0]]),
    "lon": np.stack([LON - 15, LON + 15], -1),
}
MEAN = "mean: {of: q, equals: 1}"


def globe(units=("degrees_north", "degrees_east"), **bounds):
    """A globe with given bounds, in degrees or in radians."""
    radians = units[0] == "radians"
    scale = np.pi / 180 if radians else 1.0
    found = xr.Dataset({"q": (("lat", "lon"), np.ones((LAT.size, LON.size)))})
    names = {"lat": "latitude", "lon": "longitude"}
    for values, unit, name in zip((LAT, LON), units, names, strict=True):
        attrs = {"units": unit, "bounds": f"{name}_bnds", "standard_name": names[name]}
        found = found.assign_coords({name: (name, values * scale, attrs)})
        if name in bounds:
            found[f"{name}_bnds"] = (name, "two"), bounds[name] * scale
    return found


def areas(data):
    return cell_sizes(data, "q", ("lat", "lon"), None, pcd.laws(MEAN)).values


EXPECTED = np.outer(
    np.diff(np.sin(np.deg2rad(BOUNDS["lat"])), axis=1)[:, 0],
    np.full(LON.size, np.deg2rad(30.0)),
)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("start", [0.0, -180.0, 360.0])
@pytest.mark.parametrize("units", [("degrees_north", "degrees_east"), ("radians",) * 2])
def test_bounds_in_any_order_turn_and_unit_give_the_areas(order, start, units):
    lon = (BOUNDS["lon"] - start) % 360 + start
    data = globe(units, lat=BOUNDS["lat"][:, ::order], lon=lon)
    found = areas(data) / areas(data)[0, 0]
    np.testing.assert_allclose(found, EXPECTED / EXPECTED[0, 0], rtol=1e-12)


WRONG = {
    "every 'lat' within its bounds, got -77": {"lat": BOUNDS["lat"][::-1]},
    "every 'lon' within its bounds, got 0": {"lon": BOUNDS["lon"][::-1]},
    "cells of 'lat_bnds' side by side": {"lat": BOUNDS["lat"] + [[0.0, 3.0]]},
    "cells of 'lon_bnds' that go around once, got 384": {
        "lon": BOUNDS["lon"] + [[0.0, 2.0]]
    },
}


@pytest.mark.parametrize("message", WRONG)
def test_bounds_of_other_cells_are_refused(message):
    with pytest.raises(ValueError, match=message):
        areas(globe(**WRONG[message]))


def test_corners_of_other_cells_are_refused():
    """A file that was turned upside down, except for its corners."""
    lat, lon = np.meshgrid([20.0, 40.0, 60.0], LON[:4], indexing="ij")
    corner = np.array([[-10, -15], [-10, 15], [10, 15], [10, -15.0]])
    data = xr.Dataset({"q": (("j", "i"), np.ones(lat.shape))})
    for name, values, unit, k in (
        ("lat", lat, "degrees_north", 0),
        ("lon", lon, "degrees_east", 1),
    ):
        attrs = {"units": unit, "bounds": f"{name}_b"}
        data = data.assign_coords({name: (("j", "i"), values, attrs)})
        data[f"{name}_b"] = ("j", "i", "v"), values[..., None] + corner[:, k]
    fixed = pcd.constrain(data, "mean: {of: q, equals: 2}", spread="uniform")
    np.testing.assert_allclose(fixed.q, 2.0, rtol=1e-14)
    turned = data.assign(lat_b=data.lat_b[::-1], lon_b=data.lon_b[::-1])
    with pytest.raises(ValueError, match=r"within the bounds of their cells, got 8 of"):
        pcd.constrain(turned, "mean: {of: q, equals: 2}", spread="uniform")


def test_an_index_is_not_corrected():
    with pytest.raises(ValueError, match=r"variable to correct .* got the coordinate"):
        pcd.constrain(globe(), "mean: {of: lat, equals: 1}", spread="uniform")


def test_scales_with_other_zeros_have_no_factor():
    data = globe().assign(b=xr.DataArray(1.0, attrs={"units": "degC"}))
    data.q.attrs["units"] = "K"
    with pytest.raises(ValueError, match=r"'q' in 'K' and 'b' in 'degC'; convert"):
        pcd.constrain(data, "mean: {of: q, equals: b}", spread="uniform")
