"""Arrays of a file with named dimensions are matched by name, never by position."""

import numpy as np
import pytest
import xarray as xr

from physcon.constrain import Law, Names, constrain_file
from physcon.io import read_arrays, read_dimensions

FACES = np.linspace(0, 1, 11)
NAMES = Names(coordinates="xf")


def put(path, **variables):
    xr.Dataset(variables).to_netcdf(path, engine="h5netcdf")


def conserved(tmp_path, law, names=NAMES, **variables):
    put(tmp_path / "in.nc", **variables)
    constrain_file(tmp_path / "in.nc", tmp_path / "out.nc", law, names, force=True)
    return xr.load_dataset(tmp_path / "out.nc", engine="h5netcdf", decode_times=False)


def test_durations_are_numbers_in_the_unit_of_the_file(tmp_path):
    """Rates of 1 over 24 hours: the total is 24, however Python decodes units."""
    hours = np.arange(25).astype("m8[h]").astype("m8[ns]")
    ones = (("a", "s"), np.ones((1, 24)))
    out = conserved(
        tmp_path,
        Law("24"),
        Names(coordinates="step"),
        mean=ones,
        std=ones,
        step=("f", hours),
    )
    np.testing.assert_allclose(out["mean"], 1.0, rtol=1e-14)


@pytest.mark.parametrize("name", ["mean", "std", "mass"])
def test_dates_are_no_numbers(tmp_path, name):
    """A NetCDF file stores dates as numbers since a day."""
    ones = (("t", "x"), np.ones((2, 10)))
    variables = {"mean": ones, "std": ones, "xf": ("xf", FACES), "mass": ("t", [2, 2])}
    dims, values = variables[name]
    units = {"units": "days since 2020-01-01"}
    variables[name] = (dims, values, units)
    with pytest.raises(ValueError, match=f"in '{name}', got dates .days since 2020"):
        conserved(tmp_path, Law("mass"), **variables)


@pytest.mark.parametrize("order", ["time lev", "lev time"])
def test_totals_broadcast_by_name(tmp_path, order):
    """As many levels as times: only the name tells which of them a total belongs to."""
    ones = ((*order.split(), "x"), np.ones((2, 2, 10)))
    totals = ("time", np.array([1.0, 2.0]))
    out = conserved(
        tmp_path, Law("mass"), mean=ones, std=ones, xf=("xf", FACES), mass=totals
    )
    found = out["mean"].mean("x").transpose("time", "lev")
    np.testing.assert_allclose(found, [[1, 1], [2, 2]], rtol=1e-14)


def test_totals_of_two_dimensions_in_another_order(tmp_path):
    ones = (("time", "lev", "x"), np.ones((2, 2, 10)))
    totals = (("lev", "time"), np.array([[1.0, 2.0], [3.0, 4.0]]))
    out = conserved(
        tmp_path, Law("mass"), mean=ones, std=ones, xf=("xf", FACES), mass=totals
    )
    found = out["mean"].mean("x").transpose("lev", "time")
    np.testing.assert_allclose(found, totals[1], rtol=1e-14)


def test_totals_along_another_dimension_are_refused(tmp_path):
    ones = (("time", "x"), np.ones((2, 10)))
    totals = (("time", "z"), np.ones((2, 2)))
    with pytest.raises(ValueError, match="dimensions among"):
        conserved(
            tmp_path, Law("mass"), mean=ones, std=ones, xf=("xf", FACES), mass=totals
        )


@pytest.mark.parametrize("dimension", ["member", "realization", "draw_number"])
def test_members_are_found_by_name(tmp_path, rng, dimension):
    """Members differ ten times more on the right: the correction goes there.

    Taken over times instead, the spread would be nearly uniform.
    """
    spread = np.linspace(0.1, 1, 10)
    s = 10.0 * np.arange(4)[:, None, None] + rng.normal(size=(4, 5, 10)) * spread
    names = Names(coordinates="xf", member=dimension)
    out = conserved(
        tmp_path,
        Law("15"),
        names,
        samples=(("time", dimension, "x"), s),
        xf=("xf", FACES),
    )
    assert out["samples"].dims == ("time", dimension, "x")
    np.testing.assert_allclose(out["samples"].mean("x"), 15, rtol=1e-13)
    moved = (out["samples"].values - s)[0, 0]
    variance = s[0].var(0)
    np.testing.assert_allclose(moved / moved[0], variance / variance[0], rtol=1e-9)


def test_an_unnamed_axis_of_members_is_refused(tmp_path, rng):
    with pytest.raises(ValueError, match=r"--names\.member"):
        conserved(
            tmp_path,
            Law("1"),
            samples=(("time", "k", "x"), rng.normal(size=(4, 5, 10))),
            xf=("xf", FACES),
        )


def test_faces_belong_to_the_axis_of_their_name(tmp_path, rng):
    """As many times as cells: the last axis is not the one that has these faces."""
    u = (("x", "time"), rng.normal(size=(10, 10)))
    std = (("x", "time"), np.ones((10, 10)))
    with pytest.raises(ValueError, match="last axis"):
        conserved(tmp_path, Law("1"), mean=u, std=std, xf=("xf", FACES))
    turned = {"mean": (("time", "x"), u[1].T), "std": (("time", "x"), std[1])}
    out = conserved(tmp_path, Law("1"), xf=("xf", FACES), **turned)
    np.testing.assert_allclose(out["mean"].mean("x"), 1, rtol=1e-13)


def test_members_under_an_uncertain_law_keep_the_right_spread(tmp_path, rng):
    """Var = P R / (P + R) for the total; equal totals for all would give half of it.

    The mean over members is Kalman's exactly, because perturbations have mean zero.
    """
    members = 1 + rng.normal(size=(2000, 10))
    np.savez(tmp_path / "in.npz", samples=members, x=FACES)
    law = Law("1.5", noise_std=0.3)
    variances = []
    for seed in (0, 1):
        law = Law("1.5", noise_std=0.3, seed=seed)
        constrain_file(tmp_path / "in.npz", tmp_path / "o.npz", law, force=True)
        totals = read_arrays(tmp_path / "o.npz")["samples"].mean(1)
        variances.append(totals.var(ddof=1))
        p = np.var(members, axis=0, ddof=1).sum() / 100
        gain = p / (p + 0.09)
        expected = members.mean() + gain * (1.5 - members.mean())
        assert totals.mean() == pytest.approx(expected, rel=1e-12)
    prior = members.mean(1).var(ddof=1)
    expected = prior * (1 - gain) ** 2 + gain**2 * 0.09
    np.testing.assert_allclose(variances, expected, rtol=0.1)
    assert variances[0] != variances[1]


def test_axes_of_a_file_have_names(tmp_path):
    put(tmp_path / "a.nc", q=(("t", "k"), np.ones((2, 3))), k=("k", np.arange(3.0)))
    found = read_dimensions(tmp_path / "a.nc")
    assert found["q"] == ("t", "k")
    assert found["k"] == ("k",)


@pytest.mark.parametrize("text", ["x,y", "x y", "[x, y]", '["x", "y"]', "(x,y)"])
def test_coordinates_in_one_text(text):
    assert Names(coordinates=text).axes() == ("x", "y")


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_degrees_are_never_lengths(tmp_path, engine):
    """A sorted latitude was integrated as a plane, off by two metres per second."""
    lat = ("lat", np.linspace(-80, 80, 5), {"units": "degrees_north"})
    lon = ("lon", np.arange(0, 360, 60.0), {"units": "degrees_east"})
    field = (("lat", "lon"), np.ones((5, 6)))
    data = xr.Dataset({"mean": field, "std": field, "lat": lat, "lon": lon})
    data.to_netcdf(tmp_path / "in.nc", engine=engine)
    names = Names(coordinates="lat,lon")
    with pytest.raises(ValueError, match=r"degrees are no lengths: write the law as"):
        constrain_file(tmp_path / "in.nc", tmp_path / "out.nc", Law("1"), names)
    assert not (tmp_path / "out.nc").exists()
