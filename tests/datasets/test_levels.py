"""Vertical integrals: hybrid levels, partial cells, dry air and columns of water."""

import numpy as np
import pytest
import xarray as xr

import physcon.datasets as pcd

G = 9.80665
A = np.array([0.0, 2000, 9000, 6000, 0.0])  # Pa, at interfaces from the top down
B = np.array([0.0, 0.0, 0.2, 0.7, 1.0])
LAT = np.array([-67.5, -22.5, 22.5, 67.5])
HYBRID = {"standard_name": "atmosphere_hybrid_sigma_pressure_coordinate"}


def areas():
    edges = np.deg2rad([-90, -45, 0, 45, 90])
    return 6_371_008.8**2 * np.diff(np.sin(edges))[:, None] * np.full(6, np.pi / 3)


@pytest.fixture
def air(rng):
    """Water on hybrid levels, whose surface pressure changes in time."""
    shape = (3, 4, 4, 6)  # time, lev, lat, lon
    ps = 1e5 + rng.normal(0, 2e3, (3, 4, 6))
    q = rng.gamma(2, 2e-3, shape)
    lat = xr.Variable("lat", LAT, {"units": "degrees_north"})
    lon = xr.Variable("lon", np.arange(6) * 60.0, {"units": "degrees_east"})
    data = xr.Dataset(
        {
            "q": (("time", "lev", "lat", "lon"), q, {"units": "kg kg-1"}),
            "ps": (("time", "lat", "lon"), ps, {"units": "Pa"}),
            "hyam": ("lev", 0.5 * (A[1:] + A[:-1])),
            "hybm": ("lev", 0.5 * (B[1:] + B[:-1])),
            "hyai": ("ilev", A),
            "hybi": ("ilev", B),
        },
        {"time": ("time", np.arange(3.0), {"units": "days since 2000-01-01"})},
    )
    level = (
        "lev",
        np.arange(4.0),
        HYBRID | {"formula_terms": "ap: hyam b: hybm ps: ps"},
    )
    return data.assign_coords(lat=lat, lon=lon, lev=level)


def masses(data):
    """The mass of air in each cell, from the definition of the levels."""
    ps = data.ps.transpose("time", "lat", "lon").values
    p = A[:, None, None] + B[:, None, None] * ps[:, None]
    return np.diff(p, axis=1) / G * areas()


def water(data, q="q"):
    """The mass of water at every time."""
    return (data[q].transpose("time", "lev", "lat", "lon").values * masses(data)).sum(
        (1, 2, 3)
    )


def as_bounds(data):
    pairs = [("ap_bnds", A), ("b_bnds", B)]
    found = {k: (("lev", "two"), np.stack([x[:-1], x[1:]], -1)) for k, x in pairs}
    new = data.drop_vars(["hyai", "hybi"]).assign(found)
    new.lev.attrs["bounds"] = "lev_bnds"
    new["lev_bnds"] = ("lev", "two"), np.zeros((4, 2))
    new.lev_bnds.attrs["formula_terms"] = "ap: ap_bnds b: b_bnds ps: ps"
    return new


def as_fractions(data):
    new = data.assign(P0=1e5, hyam=data.hyam / 1e5, hyai=data.hyai / 1e5)
    new.lev.attrs["formula_terms"] = "a: hyam b: hybm p0: P0 ps: ps"
    return new


def as_hectopascals(data):
    new = data.assign(ps=data.ps / 100, hyam=data.hyam / 100, hyai=data.hyai / 100)
    for name in ("ps", "hyam", "hyai"):
        new[name].attrs["units"] = "hPa"
    return new


FORMS = {
    "interfaces": lambda d: d,
    "bounds": as_bounds,
    "fractions": as_fractions,
    "hPa": as_hectopascals,
    "upward": lambda d: d.isel(lev=slice(None, None, -1)),
    "both upward": lambda d: d.isel(
        lev=slice(None, None, -1), ilev=slice(None, None, -1)
    ),
    "southward": lambda d: d.isel(lat=slice(None, None, -1)),
    "turned": lambda d: d.transpose("lon", "lev", "ilev", "lat", "time"),
}
WATER = "total: {of: q, over: [lev, lat, lon], equals: initial}"


@pytest.mark.parametrize("form", FORMS)
def test_the_mass_of_water_on_hybrid_levels(air, form):
    """Every way to write the levels gives the same ratio at each time."""
    data = FORMS[form](air)
    before = water(air)
    fixed = pcd.constrain(data, WATER, spread="proportional")
    assert fixed.q.dims == data.q.dims
    ratio = (fixed.q / data.q).transpose("time", ...).values.reshape(3, -1)
    expected = before[0] / before
    np.testing.assert_allclose(ratio, np.tile(expected[:, None], ratio.shape[1]), 1e-12)
    errors = pcd.audit(data, WATER).laws[0].before
    np.testing.assert_allclose(errors[1:], np.abs(before - before[0])[1:], rtol=1e-9)


def test_columns_of_water_and_means_weighted_by_mass(air):
    """Over the levels only a total is the water path of each column, in kg m-2."""
    mass = masses(air)
    path = xr.DataArray(
        rng_free(air.ps.shape), dims=("time", "lat", "lon"), name="path"
    )
    data = air.assign(path=path)
    column = "total: {of: q, over: [lev], equals: path}"
    fixed = pcd.constrain(data, column, spread="uniform")
    found = (fixed.q.values * mass / areas()).sum(1)
    np.testing.assert_allclose(found, path, rtol=1e-13)
    mean = "mean: {of: q, over: [lev, lat, lon], equals: 0.01}"
    fixed = pcd.constrain(air, mean, spread="uniform")
    change = (fixed.q - air.q).values.reshape(3, -1)
    expected = 0.01 - water(air) / mass.sum((1, 2, 3))
    np.testing.assert_allclose(change, np.tile(expected[:, None], change.shape[1]))


def rng_free(shape):
    return 20 + 5 * np.sin(np.arange(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize("form", ["interfaces", "hPa", "upward"])
@pytest.mark.parametrize("spread", ["uniform", "proportional"])
def test_the_mass_of_dry_air(air, form, spread):
    """M = sum area/g (A(q) + B(q) ps): an offset of dry air, or a factor of ps."""
    data = FORMS[form](air)
    law = "dry_air: {of: ps, water: q, equals: initial}"
    fixed = pcd.constrain(data, law, spread=spread)
    unit = 100.0 if form == "hPa" else 1.0
    dry = 1 - air.q.values
    a = (np.diff(A)[:, None, None] * dry).sum(1)
    b = (np.diff(B)[:, None, None] * dry).sum(1)
    area = areas()
    old = a + b * air.ps.values
    mass = (old * area).sum((1, 2))
    if spread == "uniform":
        shift = ((mass[0] - mass) / area.sum())[:, None, None]
        expected = air.ps.values + shift / b
    else:
        ratio = (mass[0] - (a * area).sum((1, 2))) / (b * air.ps.values * area).sum(
            (1, 2)
        )
        expected = air.ps.values * ratio[:, None, None]
    np.testing.assert_allclose(fixed.ps.values * unit, expected, rtol=1e-12)
    np.testing.assert_array_equal(fixed.ps[0], data.ps[0])
    report = pcd.audit(data, law).laws[0]
    wanted = np.abs(mass - mass[0]) / G
    np.testing.assert_allclose(report.before, wanted, rtol=1e-9, atol=1e-15 * mass[0])
    assert report.units == "kg"
    assert pcd.audit(fixed, law).laws[0].violated_before == 0


@pytest.mark.parametrize("per", ["total", "column"])
def test_a_budget_of_water_with_fluxes_through_the_surface(air, per, rng):
    """Storage on levels of changing mass; the rates are per area of the ground."""
    shape = ("time", "lat", "lon")
    evap = rng.uniform(2e-5, 4e-5, air.ps.shape)
    rain = rng.gamma(1, 3e-5, air.ps.shape)
    rates = {"evap": (shape, evap), "rain": (shape, rain)}
    data = air.assign(rates)
    law = {
        "budget": {
            "storage": "q",
            "over": ["lev"],
            "inflow": [{"of": "evap", "given": True}],
            "outflow": ["rain"],
            "per": per,
        }
    }
    spread = {"rain": "proportional" if per == "total" else "residual"}
    fixed = pcd.constrain(data, law, spread=spread)
    assert fixed.q.identical(air.q)
    gain = np.diff((air.q.values * masses(air) / areas()).sum(1), axis=0) / 86400
    if per == "column":
        np.testing.assert_allclose(fixed.rain[1:], evap[1:] - gain, atol=1e-18)
    else:
        wanted = ((evap[1:] - gain) * areas()).sum((1, 2))
        ratio = wanted / (rain[1:] * areas()).sum((1, 2))
        expected = rain[1:] * ratio[:, None, None]
        np.testing.assert_allclose(fixed.rain[1:], expected, rtol=1e-11)
    np.testing.assert_array_equal(fixed.rain[0], rain[0])


@pytest.fixture
def ocean(rng):
    thetao = rng.uniform(2, 20, (3, 5))
    return xr.Dataset(
        {
            "thetao": (("lev", "cell"), thetao),
            "deptho": ("cell", [5.0, 10, 25, 60, 0]),
            "area": ("cell", rng.uniform(1, 2, 5)),
        },
        {"lev": ("lev", [5.0, 20, 45], {"positive": "down", "bounds": "lev_bnds"})},
    ).assign(lev_bnds=(("lev", "two"), [[0.0, 10], [10, 30], [30, 60]]))


CUT = np.array([[5, 10, 10, 10, 0], [0, 0, 15, 20, 0], [0, 0, 0, 30, 0.0]])


@pytest.mark.parametrize("stated", ["floor", "thickness"])
def test_partial_cells_at_the_sea_floor(ocean, stated):
    """The heat content of each column up to the floor, by either way to state it."""
    if stated == "thickness":
        ocean = ocean.drop_vars("deptho").assign(thkcello=(("lev", "cell"), CUT))
    law = "mean: {of: thetao, over: [lev], equals: 10}"
    fixed = pcd.constrain(ocean, law, spread="proportional").thetao.values
    wet = CUT.sum(0) > 0
    means = (fixed * CUT).sum(0)[wet] / CUT.sum(0)[wet]
    np.testing.assert_allclose(means, 10, rtol=1e-13)
    np.testing.assert_array_equal(fixed[CUT == 0], ocean.thetao.values[CUT == 0])
    ratio = fixed[:, 3] / ocean.thetao.values[:, 3]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-13)


def test_levels_that_do_not_say_how_thick_they_are(air):
    with pytest.raises(ValueError, match="interfaces of 'hybm'"):
        pcd.audit(air.drop_vars(["hyai", "hybi"]), WATER)
    with pytest.raises(ValueError, match="none named"):
        pcd.audit(air.drop_vars("hyam"), WATER)
    bare = air.assign_coords(lev=("lev", np.arange(4.0), HYBRID))
    with pytest.raises(ValueError, match="formula_terms of 'lev'"):
        pcd.audit(bare, WATER)
    with pytest.raises(ValueError, match="size of every cell"):
        pcd.audit(air.assign(ps=air.ps.where(air.ps > air.ps.min())), WATER)
    mixed = air.assign(hybm=("lev", np.array([0.1, 0.9, 0.5, 0.2])))
    with pytest.raises(ValueError, match="same order"):
        pcd.audit(mixed, WATER)


def test_a_pressure_and_what_it_weights_are_not_changed_together(air):
    """Their product is not linear; one after the other both laws hold."""
    dry = pcd.DryAir("ps", ("q",))
    both = [dry, pcd.Total("q", "initial", over=("lev", "lat", "lon"))]
    spread = {"ps": "uniform", "q": "10%"}
    with pytest.raises(ValueError, match="constrain one after the other"):
        pcd.constrain(air, both, spread=spread)
    with pytest.raises(ValueError, match="use two fixers"):
        pcd.fixer(both, air, spread=spread)
    bounded = [pcd.Between("ps", 9e4), both[1]]
    with pytest.raises(ValueError, match="constrain 'ps' first"):
        pcd.constrain(air, bounded, spread=spread)
    first = pcd.constrain(air, dry, spread="uniform")
    second = pcd.constrain(first, WATER, spread="proportional")
    np.testing.assert_allclose(water(second), water(air)[0], rtol=1e-14)
