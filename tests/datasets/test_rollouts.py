"""Fixers in a roll-out: the corrections of `constrain`, step by step, in pure JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import physcon.datasets as pcd
from physcon._status import Outcome

N = {"lev": 3, "lat": 2, "lon": 4}
EPS = float(np.finfo(np.float32).eps)


@pytest.fixture
def two(rng):
    """Two states of a small atmosphere over land and sea, as times of a dataset."""
    flat = (("time", "lat", "lon"), (2, 2, 4))
    deep = (("time", "lev", "lat", "lon"), (2, 3, 2, 4))
    lat = xr.Variable("lat", [-45.0, 45], {"units": "degrees_north"})
    lon = xr.Variable("lon", np.arange(4) * 90.0, {"units": "degrees_east"})
    tos = rng.normal(15, 3, flat[1])
    tos[:, 0, 1] = np.nan
    single = {
        "q": (deep[0], rng.gamma(2, 2e-3, deep[1])),
        "ps": (flat[0], 1e5 + rng.normal(0, 2e3, flat[1])),
        "tos": (flat[0], tos),
        "rain": (flat[0], rng.gamma(1, 3e-5, flat[1])),
        "evap": (flat[0], rng.gamma(1, 3e-5, flat[1])),
        "snow": (flat[0], rng.gamma(1, 3e-5, flat[1])),
        "std": (flat[0], rng.uniform(0.1, 1, flat[1])),
        "soil": (flat[0], rng.gamma(5, 20, flat[1])),
        "target": ("time", [14.0, 16.0]),
        "coarse": (("time", "lat_c", "lon_c"), rng.normal(15, 1, (2, 1, 2))),
    }
    data = xr.Dataset(single).astype(np.float32).astype(np.float64)
    levels = {
        "hyam": ("lev", [1e3, 5e3, 2e3]),
        "hybm": ("lev", [0.0, 0.3, 0.8]),
        "hyai": ("ilev", [0.0, 2e3, 8e3, 0.0]),
        "hybi": ("ilev", [0.0, 0.0, 0.6, 1.0]),
        "dry": ("lon", [0, 1, 0, 0]),
    }
    level = (
        "lev",
        np.arange(3.0),
        {
            "standard_name": "atmosphere_hybrid_sigma_pressure_coordinate",
            "formula_terms": "ap: hyam b: hybm ps: ps",
        },
    )
    hours = ("time", [0.0, 6.0], {"units": "hours since 2000-01-01"})
    data = data.assign(levels).assign_coords(lat=lat, lon=lon, lev=level, time=hours)
    data = data.assign_coords(lat_c=[0.0], lon_c=[45.0, 225.0])
    data["soil_std"] = data.soil * xr.DataArray([0.0, 0.1], dims="time")
    data["coarse"][1, 0, 1] = np.nan
    return data


WATER = {"storage": "q", "over": ["lev"], "inflow": ["evap"], "outflow": ["rain"]}
CASES = {
    "total": (
        ["total: {of: tos, equals: initial}", "between: {of: tos, upper: 17}"],
        {"tos": "std"},
    ),
    "mean": (["mean: {of: tos, equals: target}"], {"tos": "uniform"}),
    "column": (
        ["total: {of: q, over: [lev], equals: initial}"],
        {"q": "proportional"},
    ),
    "dry air": (["dry_air: {of: ps, water: q}"], {"ps": "uniform"}),
    "block": (["block_mean: {of: tos, like: coarse}"], {"tos": "10%"}),
    "sum": (
        [
            "sum: {of: [rain, snow], equals: evap}",
            "order: [snow, '<=', rain]",
            "total: {of: snow, equals: 3e9}",
        ],
        {"rain": 1e-5, "snow": 2e-5},
    ),
    "values": (
        ["values: {of: tos, where: dry, equals: 10}", "mean: {of: tos, equals: 15}"],
        {"tos": 1.0},
    ),
    "budget": (
        [{"budget": {"storage": "soil", "inflow": ["rain"], "outflow": ["evap"]}}],
        {"soil": "soil_std", "rain": "20%"},
    ),
    "water": (
        [{"budget": WATER | {"per": "total"}}],
        {"rain": "proportional"},
    ),
    "std": (["mean: {of: tos, equals: 15, std: 0.1}"], {"tos": 0.3}),
}


def parsed(texts):
    import yaml

    return [yaml.safe_load(t) if isinstance(t, str) else t for t in texts]


def state_of(data, k):
    """The variables of a time that change in time, in float32."""
    moving = [n for n in data.data_vars if "time" in data[n].dims]
    return {n: jnp.asarray(data[n].values[k], jnp.float32) for n in moving}


@pytest.mark.parametrize("case", CASES)
def test_one_step_is_what_constrain_does(two, case):
    texts, spread = CASES[case]
    laws = pcd.laws({"laws": parsed(texts), "spread": spread})
    whole = pcd.constrain(two, laws)
    fixer = pcd.fixer(laws, two)
    first, second = state_of(two, 0), state_of(two, 1)
    carried, fixed = jax.jit(fixer.apply)(fixer.init(first), second)
    assert carried.outcome == Outcome.good
    assert set(fixed) == set(second)
    for name in fixed:
        old = np.asarray(second[name])
        spread_of_another = name in ("std", "soil_std")  # constrain updates it
        expected = old if spread_of_another else whole[name].values[1]
        scale = np.nanmax(np.abs(expected))
        np.testing.assert_allclose(fixed[name], expected, rtol=2e-6, atol=2e-6 * scale)
        if name not in spread:
            np.testing.assert_array_equal(fixed[name], old)


def rolled(apply, carried, state, change, steps, forcings=None):
    """The last state of a roll-out by a model that only adds a known change."""

    def step(carry, k):
        carried, state = carry
        moved = {n: x + change(n, x, k) for n, x in state.items()}
        carried, state = apply(carried, moved, forcings)
        return (carried, state), carried.chi_squared

    return jax.lax.scan(step, (carried, state), jnp.arange(steps))


def noisy(name, x, k):
    key = jax.random.fold_in(jax.random.key(3), k)
    return x * (1e-3 + 1e-2 * jax.random.normal(key, x.shape, x.dtype))


def test_a_total_after_a_thousand_steps_in_float32(rng):
    """A model that adds 0.1% each step would have grown by a factor of 2.7."""
    n = 200
    area = rng.uniform(0.5, 1.5, n).astype(np.float32)
    template = xr.Dataset({"q": ("x", np.ones(n)), "area": ("x", area)})
    law = "total: {of: q, equals: initial, weights: area}"
    fixer = pcd.fixer(law, template, spread="proportional")
    q = rng.gamma(2, 1, n).astype(np.float32)
    roll = jax.jit(lambda c, s: rolled(fixer.apply, c, s, noisy, 1000))
    (carried, state), _ = roll(fixer.init({"q": q}), {"q": q})
    total = np.asarray(state["q"], np.float64) @ area.astype(np.float64)
    assert total == pytest.approx(q.astype(float) @ area.astype(float), rel=EPS / 2)
    assert carried.outcome == Outcome.good
    assert carried.steps == 1000


@pytest.mark.parametrize("fluxes", ["end", "start"])
def test_a_budget_is_integrated_without_rounding(rng, fluxes):
    """1000 small gains on a large storage: their sum, not that of rounded numbers."""
    n = 50
    names = {"w": np.full(n, 1e4), "gain": rng.uniform(0, 1e-4, n)}
    template = xr.Dataset({k: ("x", v.astype(np.float32)) for k, v in names.items()})
    law = pcd.Budget("w", (pcd.Term("gain"),), per="total", step=10.0, fluxes=fluxes)
    law = pcd.laws([law], spread={"w": "uniform"}, coordinates="centres")
    template = template.assign_coords(x=np.arange(n) + 0.5)
    fixer = pcd.fixer(law, template)
    state = {k: jnp.asarray(v.values) for k, v in template.data_vars.items()}
    change = lambda name, x, k: noisy(name, x, k) if name == "w" else 0 * x  # noqa: E731
    roll = jax.jit(lambda c, s: rolled(fixer.apply, c, s, change, 1000))
    (carried, last), _ = roll(fixer.init(state), state)
    gained = 1000 * 10 * float(template.gain.astype(float).sum())
    expected = float(template.w.astype(float).sum()) + gained
    total = float(np.asarray(last["w"], np.float64).sum())
    assert total == pytest.approx(expected, rel=EPS / 2)
    np.testing.assert_array_equal(last["gain"], state["gain"])
    assert carried.outcome == Outcome.good


def test_a_state_of_integers_is_refused():
    """The corrected values would be rounded, so that the law does not hold."""
    template = xr.Dataset({"q": ("x", np.ones(3))})
    law = "total: {of: q, equals: 1, weights: equal}"
    fixer = pcd.fixer(law, template, spread="uniform")
    state = {"q": jnp.array([1, 2, 3])}
    with pytest.raises(ValueError, match=r"floating-point .* got \['int32'\]"):
        fixer.apply(fixer.init({"q": jnp.ones(3)}), state)


def test_a_rate_that_is_missing_in_the_template_is_refused():
    """At the first step of a run, rain often has no values yet."""
    template = xr.Dataset({"w": ("x", np.ones(3)), "rain": ("x", [0.1, np.nan, 0.1])})
    law = pcd.Budget("w", "rain", per="total", step=1.0, weights="equal")
    with pytest.raises(ValueError, match="'rain' wherever 'w' has a value, got 1"):
        pcd.fixer(law, template, spread={"w": "uniform"})


def test_gradients_and_batches_of_a_rollout(rng):
    """Reverse-mode derivatives are those of differences; vmap is a loop."""
    n = 6
    template = xr.Dataset({"q": ("x", np.ones(n)), "std": ("x", rng.uniform(1, 2, n))})
    law = "total: {of: q, equals: initial, weights: equal}"
    fixer = pcd.fixer(law, template, spread="std")
    weight = jnp.asarray(rng.normal(size=n), jnp.float32)

    def grow(name, x, k):
        return 0.1 * jnp.sin(x * (k + 1))

    @jax.jit
    def loss(q):
        end = rolled(fixer.apply, fixer.init({"q": q}), {"q": q}, grow, 3)
        return jnp.sum(weight * end[0][1]["q"]) + jnp.sum(end[1])

    q = jnp.asarray(rng.normal(size=(3, n)), jnp.float32)
    slope = jax.vmap(jax.grad(loss))(q)
    for k in range(3):
        along = jnp.asarray(rng.normal(size=n), jnp.float32)
        step = 1e-2
        ends = [loss(q[k] + s * step * along) for s in (1, -1)]
        found = float(slope[k] @ along)
        assert found == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=5e-3)
    np.testing.assert_allclose(jax.vmap(loss)(q), [loss(x) for x in q], rtol=1e-5)


def test_chi_squared_counts_the_laws(rng):
    """Errors drawn from the spread: the mean of chi-squared is the number of rows."""
    template = xr.Dataset({"q": (("y", "x"), np.ones((4, 30)))})
    law = "total: {of: q, equals: 0, over: [x], weights: equal}"
    fixer = pcd.fixer(law, template, spread=2.0)
    q = rng.normal(0, 2, (2000, 4, 30))
    q = jnp.asarray(q, jnp.float32)
    start = fixer.init({"q": q[0]})
    carried, _ = jax.jit(jax.vmap(lambda q: fixer.apply(start, {"q": q})))(q)
    expected = (np.asarray(q, float).sum(-1) ** 2).sum(-1) / (30 * 4)
    np.testing.assert_allclose(carried.chi_squared, expected, rtol=2e-4, atol=1e-6)
    assert float(carried.chi_squared.mean()) == pytest.approx(4, rel=0.1)


def test_members_under_an_uncertain_law_keep_the_right_spread(rng):
    """Var = (1 - k)² P + k² R with k = P / (P + R), and new draws at each step."""
    members = 1 + rng.normal(size=(400, 5))
    template = xr.Dataset({"q": (("member", "x"), members)})
    law = pcd.Mean("q", 1.5, over=("x",), weights="equal", std=0.3)
    fixer = pcd.fixer(law, template, spread={"q": {"ensemble": "member"}})
    state = {"q": jnp.asarray(members, jnp.float32)}
    carried, fixed = fixer.apply(fixer.init(state), state)
    p = members.var(0, ddof=1).sum() / 25
    gain = p / (p + 0.09)
    means = np.asarray(fixed["q"], np.float64).mean(1)
    prior = members.mean(1)
    assert means.mean() == pytest.approx(
        prior.mean() + gain * (1.5 - prior.mean()), 1e-5
    )
    expected = (1 - gain) ** 2 * prior.var(ddof=1) + gain**2 * 0.09
    assert means.var(ddof=1) == pytest.approx(expected, rel=0.15)
    _, other = fixer.apply(carried, state)
    assert not np.allclose(other["q"], fixed["q"])


def test_states_that_cannot_obey(rng):
    template = xr.Dataset({"q": ("x", np.ones(4))})
    laws = [pcd.Total("q", 10.0, weights="equal"), pcd.Between("q", 0.0, 2.0)]
    fixer = pcd.fixer(laws, template, spread=1.0)
    state = {"q": jnp.ones(4)}
    start = fixer.init(state)
    carried, _ = jax.jit(fixer.apply)(start, state)
    assert carried.outcome == Outcome.contradiction
    everywhere = pcd.Values("q", "one", 1.0)
    fixed = template.assign(one=("x", np.ones(4)))
    loud = pcd.fixer([laws[0], everywhere], fixed, spread=1.0, throw=True)
    with pytest.raises(RuntimeError, match="contradict"):
        jax.block_until_ready(jax.jit(loud.apply)(start, state))
    certain = [*laws[:1], pcd.Between("r", 0.0)]
    other = xr.Dataset({"q": ("x", np.ones(4)), "r": ("x", np.ones(4))})
    fixer = pcd.fixer(certain, other, spread={"q": 1.0})
    for low, outcome in ((0.5, Outcome.good), (-0.5, Outcome.unreachable)):
        both = {"q": jnp.ones(4), "r": jnp.asarray([1.0, 1, low, 1])}
        assert jax.jit(fixer.apply)(fixer.init(both), both)[0].outcome == outcome
    easy = pcd.fixer(laws[:1], template, spread=1.0)
    bad = {"q": jnp.asarray([1.0, np.nan, 1, 1])}
    assert easy.apply(easy.init(state), bad)[0].outcome == Outcome.not_finite


def test_what_a_fixer_refuses():
    template = xr.Dataset({"q": ("x", np.ones(4)), "r": ("x", np.ones(4))})
    law = pcd.Sum((pcd.Term("q"), pcd.Term("r")), 2.0)
    fixer = pcd.fixer(law, template, spread={"q": 1.0})
    with pytest.raises(ValueError, match="a state with"):
        fixer.init({"r": jnp.ones(4)})
    state = {"q": jnp.ones(4)}
    with pytest.raises(ValueError, match="'r' in the state or in the forcings"):
        fixer.apply(fixer.init(state), state)
    with pytest.raises(ValueError, match=r"jax\.vmap"):
        fixer.apply(fixer.init(state), {"q": jnp.ones((3, 4))}, {"r": jnp.ones(4)})
    with pytest.raises(ValueError, match="length of a step"):
        pcd.fixer(pcd.Budget("q", (pcd.Term("r"),)), template, spread={"q": 1.0})


def test_units_do_not_matter(rng):
    """Squares of 1e-30 and of 1e20 leave the range of float32."""
    base = rng.normal(5, 1, (4, 6))
    found = []
    for unit in (1.0, 1e-30, 1e20):
        template = xr.Dataset({"a": (("member", "x"), base * unit)})
        law = pcd.Total("a", 32.0 * unit, over="x", weights="equal")
        fixer = pcd.fixer(law, template, spread="ensemble")
        state = {"a": jnp.asarray(base * unit, jnp.float32)}
        carried, fixed = jax.jit(fixer.apply)(fixer.init(state), state)
        assert carried.outcome == Outcome.good
        found.append(np.asarray(fixed["a"], np.float64) / unit)
        assert float(carried.chi_squared) == pytest.approx(12.6, abs=10)
    np.testing.assert_allclose(found[0].sum(1), 32, rtol=4 * EPS)
    np.testing.assert_allclose(found[1:], [found[0], found[0]], rtol=8 * EPS)
