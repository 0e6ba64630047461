"""Laws about named variables, against independent formulas and other routes."""

import jax
import numpy as np
import pytest
import xarray as xr

import physcon as pc
import physcon.datasets as pcd

SHAPE = {"time": 3, "lat": 4, "lon": 6}


@pytest.fixture
def data(rng):
    """Temperatures on a coarse globe, with land that has no values."""
    lat = xr.Variable("lat", [-67.5, -22.5, 22.5, 67.5], {"units": "degrees_north"})
    lon = xr.Variable("lon", np.arange(6) * 60.0, {"units": "degrees_east"})
    tos = rng.normal(15, 3, tuple(SHAPE.values()))
    tos[:, 1:3, 2] = np.nan
    std = rng.uniform(0.1, 1, tos.shape)
    data = xr.Dataset(
        {
            "tos": (tuple(SHAPE), tos, {"units": "degC"}),
            "std": (tuple(SHAPE), std),
            "target": ("time", [14.0, 15.0, 16.0], {"units": "degC"}),
        }
    )
    return data.assign_coords(lat=lat, lon=lon, time=np.arange(3.0))


def weights(data):
    zones = np.diff(np.sin(np.deg2rad([-90, -45, 0, 45, 90])))
    w = xr.DataArray(zones, dims="lat").broadcast_like(data.tos).transpose(*SHAPE)
    return w.where(data.tos.notnull(), 0.0)


def means(data, name="tos"):
    w = weights(data)
    return (
        (data[name].fillna(0) * w).sum(["lat", "lon"]) / w.sum(["lat", "lon"])
    ).values


def test_the_mean_on_the_sphere_by_the_closed_form(data):
    """u + v w (b - w·u) / (w·v w): one row per time, land left out."""
    fixed = pcd.constrain(data, "mean: {of: tos, equals: target}", spread="std")
    np.testing.assert_allclose(means(fixed), [14, 15, 16], rtol=4e-16 * 4)
    xr.testing.assert_equal(fixed.tos.isnull(), data.tos.isnull())
    w = weights(data)
    w = w / w.sum(["lat", "lon"])
    v = data["std"] ** 2
    space = ["lat", "lon"]
    short = data.target - (w * data.tos).sum(space)
    step = v * w * short / (w * v * w).sum(space)
    xr.testing.assert_allclose(fixed.tos, data.tos + step, rtol=1e-13)
    left = v - (v * w) ** 2 / (w * v * w).sum(space)
    expected = np.sqrt(left).where(data.tos.notnull(), data["std"])
    xr.testing.assert_allclose(fixed["std"], expected, rtol=1e-10)
    assert fixed.tos.attrs == data.tos.attrs
    assert fixed.target.identical(data.target)


@pytest.mark.parametrize("order", [("lon", "lat", "time"), ("lat", "time", "lon")])
def test_dimensions_in_any_order_and_direction(data, order):
    plain = pcd.constrain(data, "mean: {of: tos, equals: target}", spread=0.3)
    turned = data.transpose(*order, missing_dims="ignore").isel(
        lat=slice(None, None, -1)
    )
    fixed = pcd.constrain(turned, "mean: {of: tos, equals: target}", spread=0.3)
    assert fixed.tos.dims == order
    back = fixed.isel(lat=slice(None, None, -1)).transpose(*SHAPE)
    xr.testing.assert_allclose(back.tos, plain.tos, rtol=1e-14)


def test_metrics_are_the_fixers_of_that_name(data):
    law = "mean: {of: tos, equals: target}"
    change = pcd.constrain(data, law, spread="uniform").tos - data.tos
    offset = xr.DataArray([14.0, 15, 16] - means(data), dims="time")
    xr.testing.assert_allclose(
        change,
        offset.broadcast_like(change)
        .where(change.notnull())
        .transpose(*SHAPE)
        .assign_coords(change.coords),
        rtol=1e-10,
    )
    ratio = pcd.constrain(data, law, spread="proportional").tos / data.tos
    expected = [14.0, 15, 16] / means(data)
    np.testing.assert_allclose(ratio.min(["lat", "lon"]), expected, rtol=1e-13)
    np.testing.assert_allclose(ratio.max(["lat", "lon"]), expected, rtol=1e-13)


def test_bounds_agree_with_the_engine_for_arrays(data, x64):
    total = pcd.Total("tos", 250.0, over=("lat", "lon"), weights="equal")
    laws = [total, pcd.Between("tos", 9.0, 16.0)]
    fixed = pcd.constrain(data, laws, spread="std").tos.values
    for k in range(3):
        inside = ~np.isnan(data.tos.values[k])
        prior = pc.Gaussian.diagonal(
            *(jax.numpy.asarray(a.values[k][inside]) for a in (data.tos, data["std"]))
        )
        row = pc.integral(np.ones(inside.sum()), 250.0)
        expected = pc.bounded(prior, row, 9.0, 16.0).mean
        np.testing.assert_allclose(fixed[k][inside], expected, rtol=1e-10)
        assert fixed[k][inside].min() >= 9
        assert fixed[k][inside].max() <= 16


def dense(mean, std, rows, values):
    """Conditioning by textbook algebra, for any rows."""
    s = rows * std**2 @ rows.T
    return mean + std**2 * (
        rows.T @ np.linalg.lstsq(s, values - rows @ mean, rcond=1e-13)[0]
    )


def test_sums_and_totals_together(rng):
    """Energies that add up at every point, with a known total of one of them."""
    n = 7
    parts = {k: ("x", rng.normal(5, 1, n)) for k in ("ke", "pe", "te")}
    data = xr.Dataset(parts)
    laws = pcd.laws(
        {
            "laws": [
                {"sum": {"of": ["ke", {"of": "pe", "times": 2.0}], "equals": "te"}},
                {"total": {"of": "ke", "equals": 30, "weights": "equal"}},
            ],
            "spread": {"ke": 0.5, "pe": "20%"},
        }
    )
    fixed = pcd.constrain(data, laws)
    mean = np.concatenate([data.ke, data.pe])
    std = np.concatenate([np.full(n, 0.5), 0.2 * np.abs(data.pe)])
    rows = np.vstack([np.hstack([np.eye(n), 2 * np.eye(n)]), [1.0] * n + [0.0] * n])
    expected = dense(mean, std, rows, np.append(data.te, 30.0))
    np.testing.assert_allclose(
        np.concatenate([fixed.ke, fixed.pe]), expected, rtol=1e-12
    )
    np.testing.assert_allclose(fixed.ke + 2 * fixed.pe, data.te, rtol=1e-14)
    assert float(fixed.ke.sum()) == pytest.approx(30, rel=1e-14)
    assert fixed.te.identical(data.te)


def test_block_means_are_the_coarse_values(rng):
    """Refined rain keeps its means over coarse cells, also with given bounds."""
    fine = xr.Dataset(
        {"pr": (("time", "lat", "lon"), rng.gamma(0.5, 2, (2, 6, 8)))},
        {
            "lat": ("lat", np.linspace(75, -75, 6), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(8) * 45.0, {"units": "degrees_east"}),
        },
    )
    coarse = rng.gamma(2, 1, (2, 3, 4))
    coarse[0, 0, 0] = np.nan  # nothing is known there
    data = fine.assign(
        {"rain": (("time", "lat_coarse", "lon_coarse"), coarse)}
    ).assign_coords(lat_coarse=[-60.0, 0, 60], lon_coarse=np.arange(4) * 90 + 22.5)
    laws = [pcd.BlockMean("pr", "rain"), pcd.Between("pr", 0.0)]
    fixed = pcd.constrain(data, laws, spread=1.0)
    zones = np.abs(np.diff(np.sin(np.deg2rad(np.linspace(90, -90, 7)))))
    w = np.tile(zones[:, None], (1, 8))
    pr = fixed.pr.values
    assert pr.min() >= 0
    for t in range(2):
        found = (pr[t] * w).reshape(3, 2, 4, 2).sum((1, 3))
        found = (found / w.reshape(3, 2, 4, 2).sum((1, 3)))[::-1]  # north first in pr
        known = ~np.isnan(coarse[t])
        np.testing.assert_allclose(found[known], coarse[t][known], rtol=1e-13)
    np.testing.assert_array_equal(pr[0, 4:, :2], fine.pr.values[0, 4:, :2])


@pytest.mark.parametrize("units", ["days since 2000-01-01", None])
def test_a_budget_closes_in_every_step(rng, units):
    """Water in columns: storage changes by evaporation minus rain, in seconds."""
    n, cells = 5, 3
    names = {"w": 10.0, "evap": 1e-4, "rain": 1e-4}
    data = xr.Dataset(
        {
            k: (("time", "cell"), s * rng.uniform(0.5, 1.5, (n, cells)))
            for k, s in names.items()
        }
    )
    if units is None:
        data["time"] = np.datetime64("2000-01-01", "ns") + np.array(
            [0, 1, 2, 4, 5]
        ) * np.timedelta64(86400 * 10**9, "ns")
    else:
        data["time"] = ("time", [0.0, 1, 2, 4, 5], {"units": units})
    laws = pcd.laws(
        {
            "laws": [
                {
                    "budget": {
                        "storage": "w",
                        "inflow": ["evap"],
                        "outflow": [{"of": "rain", "given": True}],
                    }
                }
            ],
            "spread": {"w": 0.1, "evap": 1e-5, "rain": 1e-5},
        }
    )
    fixed = pcd.constrain(data, laws)
    seconds = np.array([1, 1, 2, 1.0])[:, None] * 86400
    gain = (fixed.evap - fixed.rain).values[1:] * seconds
    np.testing.assert_allclose(np.diff(fixed.w.values, axis=0), gain, atol=2e-14)
    assert fixed.rain.identical(data.rain)
    report = pcd.audit(fixed, laws)
    assert report.laws[0].count == 4 * cells
    assert report.laws[0].violated_before == 0


def test_a_budget_over_cells_leaves_out_what_is_missing(rng):
    """Where a rate has no value, the storage is not asked to stay as it was."""
    shape = (3, 4)
    data = xr.Dataset(
        {k: (("time", "cell"), rng.uniform(1, 2, shape)) for k in ("w", "rain", "evap")}
    )
    data["rain"][1, 0] = np.nan
    data["evap"][2] = np.nan  # a record is missing: no law for this step
    law = pcd.Budget("w", "rain", "evap", per="total", step=1.0, weights="equal")
    laws = pcd.laws([law], spread={"w": 1.0, "rain": 0.1, "evap": 0.1})
    fixed = pcd.constrain(data, laws)
    seen = slice(1, None)
    gain = (fixed.rain - fixed.evap).values[1, seen].sum()
    grown = np.diff(fixed.w.values[:2, seen], axis=0).sum()
    assert grown == pytest.approx(gain, abs=1e-14)
    for name in ("w", "rain", "evap"):
        np.testing.assert_array_equal(fixed[name][2], data[name][2])
        np.testing.assert_array_equal(fixed[name][:, 0], data[name][:, 0])
    assert pcd.audit(fixed, laws).laws[0].count == 1


def test_order_and_known_values(rng):
    data = xr.Dataset(
        {
            "snow": ("x", rng.uniform(0, 2, 50)),
            "rain": ("x", rng.uniform(0, 2, 50)),
            "dry": ("x", np.arange(50) < 5),
        }
    )
    laws = pcd.laws(
        "laws:\n  - order: [snow, '<=', rain]\n"
        "  - values: {of: snow, where: dry, equals: 0}\nspread: {snow: 1, rain: 2}"
    )
    fixed = pcd.constrain(data, laws)
    assert float((fixed.snow - fixed.rain).max()) <= 1e-15
    np.testing.assert_array_equal(fixed.snow[:5], 0)
    # Where the order is broken the common value is the mean weighted by 1/variance.
    broken = (data.snow > data.rain).values & (np.arange(50) >= 5)
    common = (data.snow * 4 + data.rain * 1) / 5
    np.testing.assert_allclose(fixed.snow[broken], common[broken], rtol=1e-13)
    kept = ~broken & (np.arange(50) >= 5)
    np.testing.assert_array_equal(fixed.snow[kept], data.snow[kept])


def test_initial_totals_and_spread_of_an_ensemble(rng):
    shape = (4, 5, 6)
    data = xr.Dataset({"q": (("time", "member", "x"), rng.uniform(1, 2, shape))})
    laws = "total: {of: q, equals: initial, over: [x], weights: equal}"
    fixed = pcd.constrain(data, laws, spread={"q": {"ensemble": "member"}})
    total = fixed.q.sum("x")
    np.testing.assert_allclose(total, total[0].broadcast_like(total), rtol=1e-14)
    np.testing.assert_array_equal(fixed.q[0], data.q[0])
    variance = data.q.var("member", ddof=1)
    moved = (fixed.q - data.q)[1, 0]
    np.testing.assert_allclose(moved / moved[0], (variance[1] / variance[1, 0]), 1e-8)


def test_an_uncertain_total_is_met_half_way():
    data = xr.Dataset({"q": ("x", [1.0, 1.0])})
    law = pcd.Total("q", 4.0, weights="equal", std=np.sqrt(2.0))
    fixed = pcd.constrain(data, law, spread=1.0)
    np.testing.assert_allclose(fixed.q, 1.5, rtol=1e-14)


@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e20])
def test_units_do_not_matter(rng, unit):
    n = 20
    base = rng.uniform(1, 2, n)
    data = xr.Dataset({"a": ("x", base * unit), "b": ("x", base[::-1] * unit)})
    laws = [
        pcd.Sum((pcd.Term("a"), pcd.Term("b")), 3.0 * unit),
        pcd.Total("a", 32.0 * unit, weights="equal"),
        pcd.Between("a", unit),
    ]
    fixed = pcd.constrain(data, laws, spread="10%")
    np.testing.assert_allclose(fixed.a + fixed.b, 3 * unit, rtol=1e-13)
    assert float(fixed.a.sum()) == pytest.approx(32 * unit, rel=1e-13)
    assert float(fixed.a.min()) >= unit


def test_random_problems_are_optimal(rng):
    """Karush-Kuhn-Tucker conditions: the correction is in the span of active laws."""
    for _ in range(20):
        n = int(rng.integers(3, 40))
        data = xr.Dataset(
            {
                "a": ("x", rng.normal(size=n)),
                "b": ("x", rng.normal(size=n)),
                "w": ("x", rng.uniform(0, 1, n)),
                "s": ("x", 10 ** rng.uniform(-6, 1, n)),
            }
        )
        low, high = -0.6, 0.7
        value = float(data.w @ xr.DataArray(rng.uniform(low, high, n), dims="x"))
        laws = [
            pcd.Total("a", value, weights="w"),
            pcd.Between("a", low, high),
            pcd.Order("b", "a"),
        ]
        laws = pcd.laws(laws, spread={"a": "s", "b": 1.0})
        fixed = pcd.constrain(data.assign(s=data.s), laws)
        a, b = fixed.a.values, fixed.b.values
        scale = float(data.w @ np.abs(fixed.a))
        assert abs(float(data.w @ fixed.a) - value) <= 1e-13 * max(scale, 1)
        assert a.min() >= low
        assert a.max() <= high
        assert (b - a).max() <= 1e-13
        # b = b0 - mu, mu >= 0, and mu > 0 only where b = a.
        mu = data.b.values - b
        assert mu.min() >= -1e-12
        assert np.abs(mu * (b - a)).max() <= 1e-12
        # Inside the box: (a - a0)/s² = lambda w + mu, with one lambda for all points.
        free = (a > low) & (a < high) & (data.s.values > 1e-3)
        if free.sum() >= 2:
            pull = (a - data.a.values)[free] / data.s.values[free] ** 2 - mu[free]
            found = pull / data.w.values[free]
            tolerance = 1e-7 * np.abs(found).max() + 1e-7
            assert np.ptp(found) <= tolerance


def test_blocks_give_the_same_as_one(data, monkeypatch):
    from physcon.datasets import _constrain, _work

    whole = pcd.constrain(data, "mean: {of: tos, equals: target}", spread="std")
    monkeypatch.setattr(_work, "VALUES_AT_ONCE", 30)
    laws = pcd.laws("mean: {of: tos, equals: target}", spread="std")
    parts, report = _constrain.constrain_with_report(data, laws)
    xr.testing.assert_identical(parts, whole)
    assert report.laws[0].count == 3


@pytest.mark.parametrize("spread", ["ensemble", {"e": "ensemble"}])
def test_blocks_never_divide_the_members_that_a_spread_comes_from(
    rng, monkeypatch, spread
):
    from physcon.datasets import _work

    members = rng.normal(size=(6, 5)) * np.arange(1.0, 6.0)
    data = xr.Dataset({"e": (("member", "x"), members)})
    text = "mean: {of: e, equals: 2.0, weights: equal}"
    whole = pcd.constrain(data, text, spread=spread)
    std = members.std(0, ddof=1)
    expected = members + std**2 * (2 - members.mean(1, keepdims=True)) / np.mean(std**2)
    np.testing.assert_allclose(whole.e, expected, rtol=1e-12)
    monkeypatch.setattr(_work, "VALUES_AT_ONCE", 10)  # two members at a time
    xr.testing.assert_identical(pcd.constrain(data, text, spread=spread), whole)
    with pytest.raises(ValueError, match="no law sums"):
        pcd.constrain(data.chunk(member=2), text, spread=spread)


def test_dask_chunks_are_constrained_when_computed(data):
    plain = pcd.constrain(data, "mean: {of: tos, equals: target}", spread="std")
    lazy = data.chunk(time=1).physcon.constrain(
        "mean: {of: tos, equals: target}", spread="std"
    )
    assert lazy.tos.chunks is not None
    xr.testing.assert_allclose(lazy.compute().tos, plain.tos, rtol=1e-15)
    np.testing.assert_allclose(lazy["std"].values, plain["std"].values, rtol=1e-14)


def test_types_and_the_report(data):
    single = data.assign(tos=data.tos.astype(np.float32))
    single.tos.encoding["_FillValue"] = np.float32(1e20)
    laws = pcd.laws("mean: {of: tos, equals: target}", spread="10%")
    before = single.physcon.audit(laws)
    fixed = single.physcon.constrain(laws)
    after = pcd.audit(fixed, laws)
    assert fixed.tos.dtype == np.float32
    assert fixed.tos.encoding == single.tos.encoding
    error = np.abs(means(single) - [14, 15, 16])
    assert before.laws[0].largest_before == pytest.approx(error.max(), rel=1e-6)
    assert before.laws[0].violated_before == 3
    assert after.laws[0].violated_before == 0
    assert after.laws[0].largest_before <= 4 * np.finfo(np.float32).eps * 16
    assert "mean of tos" in str(before)
    assert '"law": "mean of tos"' in before.to_json()


def test_members_under_an_uncertain_law_keep_the_right_spread(rng):
    """Var = P R / (P + R) for the totals; equal totals would give half of it."""
    members = 1 + rng.normal(size=(3, 400, 10))
    data = xr.Dataset({"q": (("time", "member", "x"), members)})
    law = pcd.Mean("q", 1.5, over=("x",), weights="equal", std=0.3)
    spread = {"q": {"ensemble": "member"}}
    found = [
        pcd.constrain(data, law, spread=spread, seed=s).q.mean("x") for s in (0, 1)
    ]
    p = data.q.var("member", ddof=1).sum("x") / 100
    gain = p / (p + 0.09)
    kalman = data.q.mean(["member", "x"]) + gain * (1.5 - data.q.mean(["member", "x"]))
    prior = data.q.mean("x").var("member", ddof=1)
    expected = (1 - gain) ** 2 * prior + gain**2 * 0.09
    for totals in found:
        np.testing.assert_allclose(totals.mean("member"), kalman, rtol=1e-12)
        np.testing.assert_allclose(totals.var("member", ddof=1), expected, rtol=0.2)
    assert not np.allclose(*found)


@pytest.mark.parametrize("times", [0, 1])
def test_no_times_at_all(data, times):
    short = data.isel(time=slice(0, times))
    fixed = pcd.constrain(short, "mean: {of: tos, equals: 15}", spread="uniform")
    assert fixed.tos.shape == short.tos.shape
    assert pcd.audit(fixed, "mean: {of: tos, equals: 15}").laws[0].count == times
