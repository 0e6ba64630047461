"""The studies of a hierarchy of forecasts and of leaks, at small sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.conditioning import condition
from physcon.studies.evidence import hierarchy, leak, pipes, reconciled, smoothing
from physcon.studies.evidence.hierarchy_settings import HierarchyConfig, LeakConfig
from physcon.studies.evidence.series import read_hierarchy
from physcon.studies.session import Session

SMALL = HierarchyConfig(
    levels=("state", "city"),
    period=4,
    first=44,
    step=8,
    horizon=2,
    window=30,
    samples=4,
)


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Four bottom series near zero, in two states, one of which has one city only."""
    rng = np.random.default_rng(4)
    path = tmp_path_factory.mktemp("series") / "series.csv"
    labels = ["A,AA", "A,AB", "A,AC", "B,BA"]
    values = np.maximum(rng.normal(1.0, 1.0, (4, 60)).cumsum(axis=1) % 5 - 1, 0)
    lines = [f"{k},{labels[k]}," + ",".join(map(str, values[k])) for k in range(4)]
    head = ",state,city," + ",".join(map(str, range(60)))
    path.write_text("\n".join([head, *lines]))
    return read_hierarchy(SMALL, path)


def test_series_are_summed_level_by_level(series):
    expected = [[1, 1, 1, 1], [1, 1, 1, 0]]
    np.testing.assert_array_equal(series.summing[:2], expected)
    np.testing.assert_array_equal(series.summing[2:], np.eye(4))
    assert series.level.tolist() == [0, 1, 2, 2, 2, 2]
    np.testing.assert_allclose(series.series[:, 1], series.series[:, 2:5].sum(axis=1))


def test_smoothing_is_the_recursion_and_knows_a_season_exactly():
    rng = np.random.default_rng(0)
    cycle = np.array([1.0, 4.0, -2.0])
    exact = 10 + np.tile(cycle, 10)
    noisy = exact + rng.normal(size=30)
    states = smoothing.smoothed(np.stack([exact, noisy], axis=1), 3)
    found = smoothing.forecast(states, 27, 3, 5)
    np.testing.assert_allclose(found.mean[:, 0], exact[27:], rtol=1e-12)
    k = 7  # any pair of weights, one value after the other
    alpha, gamma = states.weights[k]
    level = noisy[:6].mean()
    season = list(noisy[:6].reshape(2, 3).mean(axis=0) - level)
    for t, value in enumerate(noisy):
        error = value - level - season[t]
        assert states.error[t, k, 1] == pytest.approx(error, abs=1e-12)
        level += alpha * error
        season.append(season[t] + gamma * error)
    # Errors of forecasts two steps ahead, from what was known then.
    best = np.argmin((states.error[6:27, :, 1] ** 2).sum(axis=0))
    then = states.level[24, best, 1] + states.season[23, best, 1]
    assert found.ahead[1, -1, 1] == pytest.approx(noisy[26] - then, abs=1e-12)


def test_condition_with_past_errors_is_mint(x64, series):
    """Mean and samples, in float64, with the covariance of one step and h = 1."""
    states = smoothing.smoothed(series.series, SMALL.period)
    found = smoothing.forecast(states, 44, 1, 30)
    base = jax.tree.map(lambda x: jnp.asarray(x[0]), reconciled.bases(found))
    law = series.law
    key = jax.random.key(1)

    @jax.jit
    def both(base):
        prior = reconciled.prior(base, "one_step")
        posterior = condition(prior, law, throw=False).posterior
        summing = jnp.asarray(series.summing)
        drawn = jnp.vstack([base.mean, prior.sample(key, (5,))])
        exact = reconciled.minimum_trace(base, summing, drawn)
        ours = jnp.vstack([posterior.mean, posterior.sample(key, (5,))])
        return exact, ours, prior.covariance(), posterior.covariance()

    exact, ours, before, after = both(base)
    np.testing.assert_allclose(before, base.weights, atol=1e-12)
    np.testing.assert_allclose(ours, exact, atol=1e-10)
    w = np.linalg.inv(np.asarray(base.weights))
    s = series.summing
    np.testing.assert_allclose(after, s @ np.linalg.inv(s.T @ w @ s) @ s.T, atol=1e-10)


def test_every_method_but_none_is_coherent_and_bounds_hold(series):
    states = smoothing.smoothed(series.series, SMALL.period)
    base = reconciled.bases(smoothing.forecast(states, 44, 1, 30))
    base = jax.tree.map(lambda x: jnp.asarray(x[0], jnp.float32), base)
    summing = jnp.asarray(series.summing, jnp.float32)
    factor = jnp.linspace(0.5, 2.0, 6)
    law = series.law

    @jax.jit
    def drawn(base):
        return reconciled.samples(jax.random.key(0), base, law, summing, factor, 4)

    found = {name: np.asarray(u) for name, u in drawn(base).items()}
    assert found.keys() == set(reconciled.METHODS)
    for name, u in found.items():
        missed = np.abs(u - u[:, 2:] @ series.summing.T).max()
        if name.startswith("no reconciliation"):
            assert missed > 0.1
        else:
            assert missed < 1e-5
        assert (u.min() >= 0) == name.endswith(("u >= 0", "negative"))


def test_scores_are_lists_over_origins_and_the_text_shows_their_means(series):
    names = ("crps", "covered")
    one = {name: np.arange(12.0).reshape(2, 6) for name in names}
    one |= {"energy_score": np.array([1.0, 3.0]), "negative": np.zeros(2)}
    one |= {"incoherence": np.array([0.0, 2.0])}
    row = hierarchy._lists(series, [one, one])
    assert row["energy_score"] == [2.0, 2.0]
    assert row["crps_total"] == [3.0, 3.0]
    assert row["crps_city"] == [6.5, 6.5]
    assert row["incoherence"] == [2.0, 2.0]


NETWORK = """
[JUNCTIONS]
 a 0 0 ;
 b 0 30
 c 0 10
[RESERVOIRS]
 r 100
[PIPES]
 1 r a 1000 12 100
 2 a b 1000 12 100
 3 a c 1000 12 100
 4 c b 1000 12 100
"""


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "small.inp"
    path.write_text(NETWORK)
    return pipes.read_pipes(path)


def test_flows_balance_and_lose_no_head_around_a_loop(network):
    assert network.ends.tolist() == [[-1, 0], [0, 1], [0, 2], [2, 1]]
    flow = pipes.hydraulic_flows(network, network.demand)
    assert flow[0] == pytest.approx(40)
    assert flow[1] + flow[3] == pytest.approx(30)
    assert flow[2] - flow[3] == pytest.approx(10)
    lost = network.resistance * np.abs(flow) ** 0.852 * flow
    assert lost[1] == pytest.approx(lost[2] + lost[3])


def test_a_large_leak_is_found_where_it_is(network):
    config = LeakConfig(sizes=(0.0, 0.5), metered=(1.0,), trials=12, repeats=1)
    without, large = leak.run(config, Session(progress=False), pipes=network)
    assert without["alarm"][0] <= 0.25
    assert large["alarm"] == [1.0]
    assert large["largest_score"] == large["largest_score_or_neighbour"] == [1.0]
    # The leak at the end of one pipe could be the fault of its meter.
    assert large["among_suspects"][0] >= 0.5
