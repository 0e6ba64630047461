"""Every way to state laws, spreads, members and masks, against closed forms."""

import itertools

import numpy as np
import pytest
import xarray as xr

import physcon.datasets as pcd
from physcon.datasets import Term, _work

SIZES = {"time": 3, "draw": 5, "lat": 4, "lon": 6}


@pytest.fixture
def data(rng):
    """An ensemble on a globe; the mask changes in time, and some points are certain."""
    shape = tuple(SIZES.values())
    u = rng.normal(10, 2, shape)
    u[0, :, 1, 2] = np.nan
    u[1:, :, 3, :2] = np.nan
    std = rng.uniform(0.5, 2, (3, 4, 6))
    std[:, 0, ::2] = 0
    data = xr.Dataset(
        {
            "u": (tuple(SIZES), u, {"units": "K"}),
            "sd": (("time", "lat", "lon"), std),
            "zonal": (("lat",), rng.uniform(1, 2, 4)),
            "target": (("draw", "time"), rng.normal(10, 1, (5, 3))),
            "known": (("time", "lat"), rng.normal(10, 1, (3, 4))),
        }
    )
    lat = xr.Variable("lat", [67.5, 22.5, -22.5, -67.5], {"units": "degrees_north"})
    lon = xr.Variable("lon", np.arange(6) * 60 - 120.0, {"units": "degrees_east"})
    return data.assign_coords(lat=lat, lon=lon, time=[0.0, 1.0, 2.0])


ZONES = np.diff(np.sin(np.deg2rad([-90, -45, 0, 45, 90])))[:, None] * np.ones(6)
SPREADS = {
    "number": (0.7, lambda d: 0.7 + 0 * d.u),
    "share": ("10%", lambda d: 0.1 * np.abs(d.u)),
    "map": ("sd", lambda d: d.sd + 0 * d.u),
    "one dimension": ("zonal", lambda d: d.zonal + 0 * d.u),
    "members": ({"ensemble": "draw"}, lambda d: d.u.std("draw", ddof=1) + 0 * d.u),
    "of a variable": ({"u": {"std": "zonal"}}, lambda d: d.zonal + 0 * d.u),
}


@pytest.mark.parametrize("kind", SPREADS)
@pytest.mark.parametrize("target", ["target", "known"])
def test_every_spread_in_any_order_of_dimensions(data, kind, target, rng):
    """u + v w (b - w.u) / (w.v w) in every row, for members along `draw`."""
    spread, std = SPREADS[kind]
    over = ["lat", "lon"] if target == "target" else ["lon"]
    laws = {"laws": [{"mean": {"of": "u", "over": over, "equals": target}}]}
    order = tuple(rng.permutation(list(SIZES)))
    fixed = pcd.constrain(data.transpose(*order), laws, spread=spread)
    assert fixed.u.dims == order
    assert fixed.u.attrs == data.u.attrs
    w = xr.DataArray(ZONES, dims=("lat", "lon")).where(data.u.notnull(), 0.0)
    w = w / w.sum(over)
    v = std(data).transpose(*SIZES) ** 2
    missing = data[target] - (w * data.u).sum(over)
    step = v * w * missing / (w * v * w).sum(over)
    expected = (data.u + step).transpose(*order)
    np.testing.assert_allclose(fixed.u, expected, rtol=1e-12)
    np.testing.assert_array_equal(fixed.u.isnull(), expected.isnull())
    same = fixed.u.transpose(*SIZES).where(v == 0)
    np.testing.assert_array_equal(same, data.u.where(v == 0))


UNITS = {"units": "days since 1999-12-31", "calendar": "noleap"}
CALENDARS = {
    "dates": lambda: xr.date_range("2001-06-15", periods=30, freq="30D"),
    "360 days": lambda: xr.date_range(
        "2001-01-30", periods=30, freq="30D", calendar="360_day", use_cftime=True
    ),
    "numbers": lambda: xr.Variable("time", np.arange(30) * 30.0, UNITS),
}


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("first", [1, 7])
def test_a_climatology_of_standard_deviations(calendar, first, rng):
    """The change of each month is proportional to the variance of that month."""
    months = (np.arange(12) + first - 1) % 12 + 1
    sd = rng.uniform(1, 2, (12, 4))
    data = xr.Dataset(
        {"u": (("time", "x"), np.zeros((30, 4))), "sd": (("month", "x"), sd)},
        {"time": CALENDARS[calendar](), "month": months},
    )
    fixed = pcd.constrain(data, "mean: {of: u, equals: 1, weights: equal}", "sd")
    if calendar == "numbers":  # month lengths of 365 days, from the last of December
        day = (np.arange(30) * 30 - 1) % 365
        ends = np.cumsum([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
        month = np.searchsorted(ends, day, side="right") + 1
    elif calendar == "360 days":
        month = np.arange(30) % 12 + 1
    else:
        month = data.time.dt.month.values
    v = sd[[list(months).index(m) for m in month]] ** 2
    np.testing.assert_allclose(fixed.u, v / v.mean(1, keepdims=True), rtol=1e-12)
    with pytest.raises(ValueError, match="dimensions among"):
        pcd.constrain(data.rename(month="z"), "mean: {of: u, equals: 1}", "sd")


def test_chi_squared_is_the_squared_misfit_of_the_laws(data):
    """sum (change / std)² = (b - w.u)² / (w.v w): the number of rows on average."""
    from physcon.datasets._constrain import constrain_with_report

    laws = pcd.laws("mean: {of: u, equals: target}", spread={"u": "sd"})
    _, report = constrain_with_report(data, laws)
    w = xr.DataArray(ZONES, dims=("lat", "lon")).where(data.u.notnull(), 0.0)
    w = w / w.sum(["lat", "lon"])
    v = (data.sd + 0 * data.u) ** 2
    missing = data.target - (w * data.u).sum(["lat", "lon"])
    expected = missing**2 / (w * v * w).sum(["lat", "lon"])
    assert report.variables[0].chi_squared == pytest.approx(float(expected.sum()))
    change = pcd.constrain(data, laws).u - data.u
    norm = float(np.sqrt((change.fillna(0) ** 2).sum()))
    assert report.variables[0].norm == pytest.approx(norm)


def test_perturbed_members_differ_from_row_to_row(rng, monkeypatch):
    """Var = P R / (P + R) at each time; errors of different times are independent."""
    members, times = 300, 40
    u = 1 + rng.normal(size=(times, members, 4))
    data = xr.Dataset({"u": (("time", "k", "x"), u)}, {"time": np.arange(times) * 0.1})
    law = pcd.Mean("u", 1.2, over="x", weights="equal", std=0.25)
    options = {"spread": {"u": {"ensemble": "k"}}}
    fixed = pcd.constrain(data, law, **options)
    means = fixed.u.mean("x")
    p = data.u.var("k", ddof=1).sum("x") / 16
    gain = p / (p + 0.25**2)
    prior = data.u.mean("x")
    kalman = prior.mean("k") + gain * (1.2 - prior.mean("k"))
    np.testing.assert_allclose(means.mean("k"), kalman, rtol=1e-12)
    left = float((means.var("k", ddof=1) / (p * 0.25**2 / (p + 0.25**2))).mean())
    assert left == pytest.approx(1, abs=0.03)
    # What a member was perturbed by: (fixed - (1 - gain) prior) / gain.
    noise = ((means - (1 - gain) * prior) / gain - 1.2).values
    np.testing.assert_allclose(noise.std(1, ddof=1), 0.25, rtol=1e-9)
    overall = noise.mean(0).std()  # 1 / sqrt(times) where times are independent
    assert overall == pytest.approx(0.25 / np.sqrt(times), rel=0.2)
    lazy = pcd.constrain(data.chunk(time=7), law, **options)
    np.testing.assert_allclose(lazy.u, fixed.u, rtol=1e-13)
    with monkeypatch.context() as patch:
        patch.setattr(_work, "VALUES_AT_ONCE", 8400)  # 7 times at once
        blocks = pcd.constrain(data, law, **options)
        np.testing.assert_allclose(blocks.u, fixed.u, rtol=1e-13)
        # All pieces would have the same perturbations.
        with pytest.raises(ValueError, match="a coordinate along 'time'"):
            pcd.constrain(data.drop_vars("time"), law, **options)
    nameless = data.drop_vars("time")
    with pytest.raises(ValueError, match="a coordinate along 'time'"):
        pcd.constrain(nameless.chunk(time=7), law, **options)
    assert np.isfinite(pcd.constrain(nameless, law, **options).u).all()
    shuffled = pcd.constrain(data.isel(time=slice(None, None, -1)), law, **options)
    np.testing.assert_allclose(shuffled.u[::-1], fixed.u, rtol=1e-13)
    assert not np.allclose(pcd.constrain(data, law, seed=1, **options).u, fixed.u)


WRAPS = ([0, 90, 180, 270], [-180, -90, 0, 90], [350, 80, 170, 260], [270, 180, 90, 0])


@pytest.mark.parametrize("lon", [*WRAPS, [179, -91, -1, 89]])
def test_longitudes_that_wrap(lon):
    """Four cells are a quarter of the sphere each, wherever the circle begins."""
    coords = {
        "lat": ("lat", [-45.0, 45], {"units": "degrees_north"}),
        "lon": ("lon", np.array(lon, float), {"units": "degrees_east"}),
    }
    one = xr.Dataset({"u": (("lat", "lon"), np.ones((2, 4)))}, coords)
    found = pcd.audit(one, "total: {of: u, equals: 0}", radius=1.0).laws[0].before
    np.testing.assert_allclose(found, 4 * np.pi, rtol=1e-14)


def test_a_longitude_that_is_there_twice_is_refused():
    coords = {
        "lat": ("lat", [-45.0, 45], {"units": "degrees_north"}),
        "lon": ("lon", np.arange(5) * 90.0, {"units": "degrees_east"}),
    }
    twice = xr.Dataset({"u": (("lat", "lon"), np.ones((2, 5)))}, coords)
    with pytest.raises(ValueError, match="drop the repeated longitude"):
        pcd.audit(twice, "mean: {of: u, equals: 0}")


LAWS = {
    "total: {of: q, equals: 9, over: x, weights: [r, e]}": pcd.Total(
        "q", 9, over=["x"], weights=["r", "e"]
    ),
    "mean: {of: q, equals: r, over: [x, y], std: 0.1}": pcd.Mean(
        "q", "r", over=("x", "y"), std=0.1
    ),
    "dry_air: {of: ps, water: q}": pcd.DryAir("ps", "q"),
    "block_mean: {of: q, like: r}": pcd.BlockMean("q", "r"),
    "sum: {of: [q, {of: r, times: 2}], equals: 9}": pcd.Sum(["q", Term("r", 2)], 9),
    "budget: {storage: w, inflow: e, outflow: [{of: r, given: true}], over: lev}": (
        pcd.Budget("w", "e", [Term("r", given=True)], over="lev")
    ),
    "between: {of: q, lower: 0}": pcd.Between("q", 0),
    "order: [q, '>=', r]": pcd.Order("r", "q"),
    "values: {of: q, where: m, equals: 0}": pcd.Values("q", "m", 0),
}


@pytest.mark.parametrize("text", LAWS)
def test_laws_made_in_python_equal_those_of_yaml(text):
    law = LAWS[text]
    assert pcd.laws(text) == pcd.laws(law) == pcd.laws([law]) == pcd.laws((law,))


REFUSED = {
    "NaN": ({"equals": np.nan}, 1.0, "a number or a name for 'equals'"),
    "std": ({"std": -1.0}, 1.0, "std >= 0"),
    "no std": ({"std": np.nan}, 1.0, "a number for 'std'"),
    "percent": ({}, "ten%", "a percentage >= 0"),
    "negative": ({}, -1.0, "spread >= 0"),
    "infinite": ({}, np.inf, "NaN or infinite"),
    "true": ({}, True, "a spread of 'q'"),
    "kind": ({}, {"q": {"ensembel": "x"}}, "ensemble, metric or std"),
    "one member": ({}, {"q": {"ensemble": "z"}}, "two or more members"),
    "variable": ({}, {"r": 1.0}, "a spread of the variables"),
    "array": ({}, {"q": np.ones(3)}, "add an array to the dataset"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_entries_that_can_not_be_meant(case):
    data = xr.Dataset({"q": ("x", [1.0, 2, 3]), "r": ("x", np.ones(3))})
    entries, spread, message = REFUSED[case]
    law = {"mean": {"of": "q", "equals": 4, "weights": "equal"} | entries}
    with pytest.raises(ValueError, match=message):
        pcd.constrain(data, {"laws": [law]}, spread=spread)


MEAN = {"mean": {"of": "q", "equals": 4}}
BUDGET = {"storage": "q", "inflow": "r"}
WRONG_WORDS = {
    "fluxes: 'end' or 'start', got 'middle'": {"budget": BUDGET | {"fluxes": "middle"}},
    "per: 'column' or 'total', got 'columns'": {"budget": BUDGET | {"per": "columns"}},
    "names for 'over', got 5": {"budget": BUDGET | {"over": 5}},
    "names for 'weights'": {"mean": MEAN["mean"] | {"weights": {"a": 1}}},
    "terms for 'inflow', got 5": {"budget": BUDGET | {"inflow": 5}},
    "a number for 'times', got 'two'": {
        "sum": {"of": [{"of": "q", "times": "two"}], "equals": 4}
    },
    "true or false for 'given', got 'no'": {
        "sum": {"of": [{"of": "q", "given": "no"}], "equals": 4}
    },
    "a number or a name for 'equals', got True": {
        "mean": MEAN["mean"] | {"equals": True}
    },
    "a number or a name for 'equals', got None": {
        "mean": MEAN["mean"] | {"equals": None}
    },
    "a lower or an upper bound, got none": {"between": {"of": "q"}},
    r"names for 'over', got \[\]": {"mean": MEAN["mean"] | {"over": []}},
    "names for 'over', got .'x', 'x'.": {"mean": MEAN["mean"] | {"over": ["x", "x"]}},
    "a radius > 0, got -5": {"laws": [MEAN], "radius": -5},
    "a number for 'gravity', got 'big'": {"laws": [MEAN], "gravity": "big"},
    "a seed, an integer >= 0, got 1.5": {"laws": [MEAN], "seed": 1.5},
    "coordinates: 'centres', 'nodes' or 'faces'": {"laws": [MEAN], "coordinates": "in"},
}


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize("message", WRONG_WORDS)
def test_words_that_are_no_entries_are_refused_when_laws_are_made(message):
    with pytest.raises(ValueError, match=message):
        pcd.laws(WRONG_WORDS[message])


def test_an_underscore_is_not_part_of_a_number():
    """Python reads 2e2_0 as 2e20; here it is the name of a variable."""
    assert pcd.Mean("q", "2e2_0").equals == "2e2_0"
    assert pcd.Mean("q", "2e2").equals == 200.0


def test_the_accessor_has_the_functions(data):
    law = "mean: {of: u, equals: target}"
    fixed = data.physcon.constrain(law, "sd")
    xr.testing.assert_identical(fixed, pcd.constrain(data, law, "sd"))
    assert data.physcon.audit(law) == pcd.audit(data, law)
    init, apply = data.physcon.fixer(law, "sd")
    state = {n: data[n].values.astype(np.float32)[0] for n in ("u", "sd")}
    state["target"] = data.target.values.astype(np.float32)[:, 0]
    _, step = apply(init(state), state)
    np.testing.assert_allclose(step["u"], fixed.u[0], rtol=1e-5)


def test_several_laws_commute(data):
    """The order in which laws are listed does not matter."""
    several = [
        pcd.Mean("u", "target", over=("lat", "lon")),
        pcd.Mean("u", "known", over=("lon",), std=0.5),
        pcd.Between("u", 2.0),
    ]
    found = [
        pcd.constrain(data, list(some), spread="zonal").u
        for some in itertools.permutations(several, 3)
    ]
    for each in found[1:]:
        np.testing.assert_allclose(each, found[0], rtol=1e-9)
