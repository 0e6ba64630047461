"""Sizes of cells, from what a dataset says of itself, or a refusal with a remedy."""

import numpy as np
import pytest
import xarray as xr

import physcon.datasets as pcd
from physcon.datasets._where import cell_sizes, space_dims
from physcon.sphere import EARTH_RADIUS, cell_areas, midpoint_bounds

SPHERE = 4 * np.pi * EARTH_RADIUS**2
NORTH = {"units": "degrees_north"}
EAST = {"units": "degrees_east"}


def globe(lat, lon, **extra):
    data = xr.Dataset(
        {"q": (("lat", "lon"), np.ones((len(lat), len(lon))))},
        {"lat": ("lat", lat, NORTH), "lon": ("lon", lon, EAST)},
    )
    return data.assign(extra)


def sizes(data, over=("lat", "lon"), weights=None, name="q", **options):
    laws = pcd.laws(pcd.Mean(name, 0.0), **options)
    return cell_sizes(data, name, over, weights, laws)


@pytest.mark.parametrize("kind", [None, "nodes"])
@pytest.mark.parametrize("lat", [np.linspace(90, -90, 19), np.linspace(-90, 90, 13)])
@pytest.mark.parametrize("lon", [np.arange(0, 360, 30.0), np.arange(-180, 180, 24.0)])
def test_a_globe_has_the_area_of_the_sphere(lat, lon, kind):
    area = sizes(globe(lat, lon), coordinates=kind)
    assert float(area.sum()) == pytest.approx(SPHERE, rel=1e-13)
    assert float(sizes(globe(lat, lon), radius=1.0).sum()) == pytest.approx(4 * np.pi)


def test_longitudes_that_wrap_and_regions():
    lat, lon = np.array([10.0, 20, 30]), np.array([350.0, 355, 0, 5])
    expected = cell_areas(midpoint_bounds(lat), midpoint_bounds(np.arange(4) * 5.0))
    np.testing.assert_allclose(sizes(globe(lat, lon)), expected, rtol=1e-12)
    repeated = globe(lat, np.array([0.0, 90, 180, 270, 360]))  # both ends of the circle
    area = sizes(repeated, coordinates="nodes")
    np.testing.assert_allclose(area[0] / area[0, 1], [0.5, 1, 1, 1, 0.5], rtol=1e-12)


def test_a_gaussian_grid_has_gaussian_weights():
    nodes, weights = np.polynomial.legendre.leggauss(24)
    lat = np.rad2deg(np.arcsin(nodes))[::-1]
    area = sizes(globe(lat, np.arange(0, 360, 7.5)), radius=1.0)
    np.testing.assert_allclose(area.sum("lon"), 2 * np.pi * weights, rtol=1e-13)


def test_bounds_are_used_where_they_are():
    lat, lon = np.array([0.0, 50.0]), np.array([0.0, 120.0, 240.0])
    bounds = np.array([[-90.0, 20.0], [20.0, 95.0]])  # beyond the pole, as some files
    data = globe(lat, lon, lat_bnds=(("lat", "bnds"), bounds))
    data.lat.attrs["bounds"] = "lat_bnds"
    found = sizes(data, radius=1.0).sum("lon") / (2 * np.pi)
    top = np.sin(np.deg2rad(20))
    np.testing.assert_allclose(found, [top + 1, 1 - top], rtol=1e-14)


def test_cell_measures_and_weights_by_name(rng):
    area = rng.uniform(1, 2, (3, 4))
    data = globe(np.array([0.0, 10, 20]), np.arange(4.0), own=(("lat", "lon"), area))
    np.testing.assert_array_equal(sizes(data, weights="own"), area)
    np.testing.assert_array_equal(sizes(data, weights=("own", "own")), area**2)
    data.q.attrs["cell_measures"] = "area: own"
    np.testing.assert_array_equal(sizes(data), area)
    data.q.attrs["cell_measures"] = "area: not_in_this_file"
    assert float(sizes(data).max()) > 1e9  # of the Earth
    assert float(sizes(data, weights="equal")) == 1.0


def test_curvilinear_cells_with_corners(rng):
    """Two-dimensional coordinates whose corners cover a hemisphere."""
    lat, lon = np.linspace(0, 90, 6), np.linspace(0, 360, 10)
    corners = [
        np.stack([g[:-1, :-1], g[:-1, 1:], g[1:, 1:], g[1:, :-1]], -1)
        for g in np.meshgrid(lat, lon, indexing="ij")
    ]
    data = xr.Dataset(
        {
            "q": (("y", "x"), np.ones((5, 9))),
            "lat_b": (("y", "x", "v"), corners[0]),
            "lon_b": (("y", "x", "v"), corners[1]),
        }
    ).assign_coords(
        nav_lat=(("y", "x"), corners[0].mean(-1), NORTH | {"bounds": "lat_b"}),
        nav_lon=(("y", "x"), corners[1].mean(-1), EAST | {"bounds": "lon_b"}),
    )
    assert space_dims(data, "q") == ("y", "x")
    area = sizes(data, ("y", "x"))
    assert float(area.sum()) == pytest.approx(SPHERE / 2, rel=1e-13)
    for name in ("nav_lat", "nav_lon"):
        del data[name].attrs["bounds"]
    with pytest.raises(ValueError, match=r"corners of the cells.*weights: NAME"):
        sizes(data, ("y", "x"))


def test_straight_axes_say_what_they_hold():
    data = xr.Dataset(
        {"q": (("z", "x"), np.ones((3, 4)))},
        {"x": ("x", [0.0, 1, 3, 6], {"units": "m"}), "z": ("z", [0.0, 10, 30])},
    )
    data["z_bnds"] = ("z", "b"), [[0.0, 5], [5, 20], [20, 40]]
    assert space_dims(data, "q") == ("z", "x")
    with pytest.raises(ValueError, match=r"coordinates: centres, nodes or faces"):
        sizes(data, ("z", "x"))
    nodes = sizes(data, ("z", "x"), coordinates="nodes")
    np.testing.assert_allclose(nodes.isel(z=1) / 15, [0.5, 1.5, 2.5, 1.5])
    centres = sizes(data, ("x",), coordinates="centres")
    np.testing.assert_allclose(centres, [1, 1.5, 2.5, 3])


def test_faces_in_a_variable_of_their_own():
    lat, lon = np.array([-40.0, 60]), np.array([60.0, 180, 300])
    data = globe(lat, lon, lat_f=("lat_f", [-90.0, 10, 90]))
    data["lon_f"] = "lon_f", [0.0, 120, 240, 360]
    area = sizes(data, coordinates="faces", radius=1.0)
    middle = np.sin(np.deg2rad(10))
    expected = np.outer([1 + middle, 1 - middle], np.full(3, 2 * np.pi / 3))
    np.testing.assert_allclose(area, expected, rtol=1e-14)
    plane = xr.Dataset({"q": ("x", np.ones(2)), "x_faces": ("xf", [0.0, 1, 5])})
    np.testing.assert_allclose(sizes(plane, ("x",), coordinates="faces"), [1, 4])
    with pytest.raises(ValueError, match="one variable of 3 faces"):
        sizes(plane.drop_vars("x_faces"), ("x",), coordinates="faces")


def test_degrees_are_never_a_plane():
    data = xr.Dataset(
        {"q": (("j", "i"), np.ones((3, 4)))},
        {
            "j": ("j", [0.0, 1, 2], {"units": "degrees"}),
            "i": ("i", np.arange(4.0), {"units": "degrees"}),
        },
    )
    with pytest.raises(ValueError, match=r"standard_name.*angles are no lengths"):
        sizes(data, ("j", "i"), coordinates="centres")
    data.j.attrs["standard_name"] = "latitude"
    data.i.attrs["standard_name"] = "longitude"
    one = np.deg2rad(1.0)
    area = sizes(data, ("j", "i"), radius=1.0)
    np.testing.assert_allclose(area[0], 2 * np.sin(one / 2) * one, rtol=1e-12)


def test_equal_areas_of_healpix():
    n = 48
    data = xr.Dataset(
        {
            "q": ("cell", np.ones(n), {"grid_mapping": "crs"}),
            "crs": ((), 0, {"grid_mapping_name": "healpix"}),
        }
    )
    data = data.assign_coords(
        lat=("cell", np.linspace(-80, 80, n), NORTH), lon=("cell", np.arange(n), EAST)
    )
    np.testing.assert_allclose(sizes(data, ("cell",)), SPHERE / n, rtol=1e-15)


@pytest.mark.parametrize(
    ("laws", "message"),
    [
        ("mean: {of: absent, equals: 1}", "a variable 'absent'.*'q'"),
        ("mean: {of: q, equals: absent}", "a number or a variable 'absent'"),
        ("mean: {of: q, equals: 1, over: [z]}", "dimensions of 'q' among"),
        ("mean: {of: q}", "none for \\['equals'\\]"),
        ("mean: {of: q, equal: 1}", "entries of 'mean' among"),
        ("median: {of: q, equals: 1}", "a law among"),
        ("order: [q, '<', q]", "order: \\[a"),
        ("mean: [", "YAML"),
        ("total: {of: q, equals: 1, over: lat}", "a total over latitude and longitude"),
        ("absent.yaml", "no file at absent.yaml"),
        ("mean: {of: q, equals: other}", "same units.*mm day-1.*kg m-2 s-1"),
    ],
)
def test_laws_that_can_not_be_meant(laws, message):
    data = globe(np.array([-45.0, 45]), np.arange(0, 360, 90.0))
    data.q.attrs["units"] = "mm day-1"
    data["other"] = ((), 1.0, {"units": "kg m-2 s-1"})
    with pytest.raises(ValueError, match=message):
        pcd.constrain(data, laws, spread=1.0)


@pytest.mark.parametrize(
    ("spread", "message"),
    [
        (None, "a spread of.*metric: uniform"),
        ("absent", "a number, a percentage, a variable or a metric"),
        (-1.0, "a spread >= 0"),
        ({"other": 1.0}, "a spread of the variables"),
        ({"q": {"ensemble": "member"}}, "members along 'member'"),
    ],
)
def test_spreads_that_can_not_be_meant(spread, message):
    data = globe(np.array([-45.0, 45]), np.arange(0, 360, 90.0))
    with pytest.raises(ValueError, match=message):
        pcd.constrain(data, "mean: {of: q, equals: 2}", spread=spread)


def test_contradictions_and_bounds_out_of_reach():
    data = globe(np.array([-45.0, 45]), np.arange(0, 360, 90.0))
    both = [pcd.Mean("q", 1.5), pcd.Mean("q", 1.6)]
    with pytest.raises(ValueError, match=r"mean of q' within reach.*contradict"):
        pcd.constrain(data, both, spread=1.0)
    with pytest.raises(ValueError, match=r"2 is out of \[0, 1\.8\]"):
        pcd.constrain(
            data, [pcd.Mean("q", 2.0), pcd.Between("q", 0.0, 1.8)], spread=1.0
        )
    twice = pcd.constrain(data, [pcd.Mean("q", 1.5), pcd.Mean("q", 1.5)], spread=1.0)
    assert float(twice.q.mean()) == pytest.approx(1.5, rel=1e-14)


@pytest.mark.parametrize(
    ("units", "message"),
    [("mm day-1", "a rate 'rain'.*'mm day-1'"), ("kg m-2 day-1", "factor of 1.157")],
)
def test_rates_in_other_units_than_the_storage(units, message):
    data = xr.Dataset(
        {
            "w": ("time", [1.0, 2.0], {"units": "kg m-2"}),
            "rain": ("time", [0.0, 1e-5], {"units": units}),
        }
    ).assign_coords(time=("time", [0.0, 1.0], {"units": "days since 2000-01-01"}))
    law = pcd.Budget("w", inflow=(pcd.Term("rain"),))
    with pytest.raises(ValueError, match=message):
        pcd.constrain(data, law, spread=1.0)
    data.rain.attrs["units"] = "kg m-2 s-1"
    fixed = pcd.constrain(data, law, spread={"rain": 1.0})
    assert float(fixed.rain[1]) == pytest.approx(1 / 86400, rel=1e-12)


def test_units_that_are_the_same_in_other_words():
    data = globe(np.array([-45.0, 45]), np.arange(0, 360, 90.0))
    data.q.attrs["units"] = "m/s"
    data["other"] = ((), 2.0, {"units": "m s-1"})
    fixed = pcd.constrain(data, "mean: {of: q, equals: other}", spread=1.0)
    np.testing.assert_allclose(fixed.q, 2.0, rtol=1e-14)
